//! Requests that no application sees: what they are answered, and their lines in the access log. What a client
//! has begun to send has one line, whatever became of it.

use proto::Request;
use proto::forwarded::Scheme;
use proto::h1;
use proto::h1::session::Outcome;

use crate::access_log::Record;
use crate::codec::Codec;
use crate::connection::{Connection, Fate};
use crate::http1::Refusal;
use crate::turn::Turn;

/// In the access log only: the client left before its request was complete. nginx's number for it.
const INCOMPLETE: u16 = 400;

impl Connection {
    /// Answers a request that is not served, and ends the connection.
    pub(crate) fn refuse(&mut self, refusal: &Refusal, turn: &mut Turn) -> Fate {
        let held = self.take_unfinished();
        let request = refusal.request.as_deref().or(held.as_ref());
        self.turn_away(refusal, request, turn)
    }

    /// The same; the request, if it is known, for the access log.
    pub(crate) fn turn_away(
        &mut self,
        refusal: &Refusal,
        request: Option<&Request>,
        turn: &mut Turn,
    ) -> Fate {
        let mut page = Vec::with_capacity(512);
        let date = turn.dispatcher.date.now();
        let added = turn.dispatcher.options.additions(&date);
        let mut length = h1::encode_error(refusal.status, refusal.rule, added, &mut page);
        if request.is_some_and(Request::is_head) {
            page.truncate(page.len() - length);
            length = 0;
        }
        log::debug!(
            "a request was refused with {}: {}",
            refusal.status,
            refusal.rule
        );
        let answered = self.link.send(&[&page]);
        self.note_unserved(refusal.status, length as u64, request, turn);
        if answered.is_err() {
            return Fate::Closed;
        }
        if let Codec::H1(http) = &mut self.codec {
            http.session.refuse();
        }
        self.over(Outcome::Close, turn)
    }

    /// The client has left. Of a request that it had begun there is a line.
    pub(crate) fn forsaken(&mut self, turn: &Turn) -> Fate {
        if matches!(&self.codec, Codec::H1(http) if http.session.is_receiving()) {
            let request = self.take_unfinished();
            self.note_unserved(INCOMPLETE, 0, request.as_ref(), turn);
        }
        Fate::Closed
    }

    fn note_unserved(&self, status: u16, sent: u64, request: Option<&Request>, turn: &Turn) {
        let took = self.since.elapsed();
        turn.dispatcher.measure(status, took);
        turn.dispatcher.access_log.note_refusal(&Record {
            request,
            ends: &self.ends,
            status,
            sent,
            took,
            response_fields: &[],
            scheme: Scheme::Http,
            variables: &[],
        });
    }

    /// The request whose body is being read, which ends here.
    fn take_unfinished(&mut self) -> Option<Request> {
        match &mut self.codec {
            Codec::H1(http) => http.take_unfinished(),
            Codec::WebSocket(_) => None,
        }
    }
}
