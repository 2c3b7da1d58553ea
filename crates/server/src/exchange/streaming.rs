//! The exchange as an event loop uses it: the body is read while it arrives, and nothing waits.

use proto::h1;

use super::{Exchange, SinkError};
use crate::inlet::Read;

/// Whether a response may go on at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// It may.
    Enough,
    /// Too much is queued for the client; an [`crate::Event::Room`] tells when it has taken some.
    Full,
}

impl Exchange {
    /// What there is of the body of a server whose bodies are streamed.
    pub fn read_body(&mut self) -> Read {
        let Some(inlet) = &self.inlet else {
            return Read::Gone;
        };
        let (read, resume) = inlet.read();
        if resume {
            self.crew.tell(self.pending());
        }
        if read == Read::Pending && std::mem::take(&mut self.owes_continue) {
            // A client that is gone is noticed by the reactor.
            let _ = self.send(&[h1::CONTINUE]);
        }
        read
    }

    /// Whether the client has left. One that has only ended its own side may still take the response, so this is no reason
    /// not to send it.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.outlet.is_broken() || self.inlet.as_ref().is_some_and(|inlet| inlet.is_gone())
    }

    /// Asks for an [`crate::Event::Gone`] when the client leaves. Says whether it has left already.
    pub fn watch_gone(&mut self) -> bool {
        self.inlet.as_ref().is_some_and(|inlet| inlet.await_gone())
    }

    /// As [`Exchange::write`], but never waits.
    ///
    /// # Errors
    /// The client is gone, or took nothing for `send_timeout`.
    pub fn push(&mut self, chunk: &[u8]) -> Result<Room, SinkError> {
        self.send_chunk(chunk)?;
        self.outlet.ask_for_room()
    }
}
