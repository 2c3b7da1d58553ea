//! A file that the application names in the head of its response, and that goes out in place of the body that it gives.

use std::sync::Arc;

use proto::Request;

use super::Reply;
use super::state::{ReplyError, State};
use crate::site::{Answer, Named};

impl Reply {
    /// The same, which sends files that its head names. The request has conditions and ranges.
    pub(crate) fn with_named_files(self, request: Option<Request>) -> Reply {
        Reply {
            asker: request,
            ..self
        }
    }

    /// Sends the file that the head names; says whether it names one.
    pub(super) fn send_named(&mut self) -> Result<bool, ReplyError> {
        let Some(request) = self.asker.take() else {
            return Ok(false);
        };
        let dispatcher = Arc::clone(&self.dispatcher);
        let number = dispatcher.site.next_body();
        match dispatcher.site.named(&self.head) {
            None => return Ok(false),
            Some(Named::File(found)) => {
                self.leave_uncompressed();
                found.send(&request, number, self)?;
            }
            Some(Named::Nothing(why)) => {
                log::error!("{why}");
                Answer::NotFound.send(&request, number, self)?;
            }
        }
        if let State::Complete { .. } = self.state {
            // What the application gives of a body now is dropped, and is none too many.
            self.state = State::Complete { full: false };
        }
        Ok(true)
    }
}
