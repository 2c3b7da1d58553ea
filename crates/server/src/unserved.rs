//! Requests that no application sees: what they are answered, and their lines in the access log. What a client
//! has begun to send has one line, whatever became of it.

use proto::Request;
use proto::forwarded::Scheme;
use proto::h1;

use crate::access_log::Record;
use crate::connection::{Connection, Stage, Then};
use crate::reactor::Reactor;
use crate::receive::Refusal;

/// In the access log only: the client left before its request was complete. nginx's number for it.
const INCOMPLETE: u16 = 400;

impl Reactor {
    /// Answers a request that is not served, and ends its connection.
    pub(crate) fn refuse(&mut self, key: usize, refusal: &Refusal) {
        let held = self.connections[key].take_unfinished();
        let request = refusal.request.as_deref().or(held.as_ref());
        self.turn_away(key, refusal, request);
    }

    /// The same; the request, if it is known, for the access log.
    pub(crate) fn turn_away(&mut self, key: usize, refusal: &Refusal, request: Option<&Request>) {
        let mut page = Vec::with_capacity(512);
        let date = self.dispatcher.date.now();
        let added = self.dispatcher.options.additions(&date);
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
        let answered = self.connections[key].link.send(&[&page]);
        self.note_unserved(key, refusal.status, length as u64, request);
        if answered.is_err() {
            return self.close(key);
        }
        let connection = &mut self.connections[key];
        if connection.link.has_pending() {
            connection.stage = Stage::Sending(Then::Linger);
            return self.again.push((key, connection.serial));
        }
        self.linger(key);
    }

    /// The client has left. Of a request that it had begun there is a line.
    pub(crate) fn forsaken(&mut self, key: usize) {
        let connection = &mut self.connections[key];
        if connection.has_begun_request() {
            let request = connection.take_unfinished();
            self.note_unserved(key, INCOMPLETE, 0, request.as_ref());
        }
        self.close(key);
    }

    fn note_unserved(&self, key: usize, status: u16, sent: u64, request: Option<&Request>) {
        let connection = &self.connections[key];
        let took = connection.since.elapsed();
        self.dispatcher.measure(status, took);
        self.dispatcher.access_log.note_refusal(&Record {
            request,
            ends: &connection.ends,
            status,
            sent,
            took,
            response_fields: &[],
            scheme: Scheme::Http,
            variables: &[],
        });
    }
}

impl Connection {
    /// Whether part of a request has been read that is not yet with the application.
    fn has_begun_request(&self) -> bool {
        matches!(self.stage, Stage::Head(_) | Stage::Body(_))
    }

    /// The request whose body is being read, which ends here.
    fn take_unfinished(&mut self) -> Option<Request> {
        match std::mem::replace(&mut self.stage, Stage::Idle) {
            Stage::Body(upload) => Some(upload.request),
            stage => {
                self.stage = stage;
                None
            }
        }
    }
}
