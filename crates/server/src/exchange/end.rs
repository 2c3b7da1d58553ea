//! The end of an exchange: whatever the application did, the client gets something that it can understand, the access log
//! its line, and the reactor the word that the connection is its own again.

use std::time::{Duration, Instant};

use super::{Exchange, Response};
use crate::access_log::Record;
use crate::dispatcher::{Message, Outcome};

impl Drop for Exchange {
    fn drop(&mut self) {
        let Some(departed) = self.departed else {
            return; // It never left the queue: the server is going down, or its client left.
        };
        match self.response {
            Response::Unstarted | Response::Staged { .. } => self.refuse(500, ""),
            Response::Streaming(_) => self.abort(),
            Response::Complete | Response::Cut | Response::Hijacked | Response::Upgraded => {}
        }
        let now = Instant::now();
        self.log_access(now.duration_since(self.arrived));
        let outcome = self.outcome();
        let urgent = outcome != Outcome::KeepAlive || self.link.take_attention();
        let message = Message::Finished {
            key: self.key,
            serial: self.serial,
            outcome,
        };
        self.dispatcher
            .come_back(message, now.duration_since(departed), urgent);
        // The reactor may have seen something between the look above and the message: it notes it before it takes the
        // message, so a second look after the message cannot miss it.
        if !urgent && self.link.take_attention() {
            self.dispatcher.wake();
        }
    }
}

impl Exchange {
    fn outcome(&self) -> Outcome {
        match self.response {
            Response::Hijacked => Outcome::Hijacked,
            Response::Upgraded => Outcome::Upgraded,
            Response::Complete if self.keep_alive => Outcome::KeepAlive,
            _ => Outcome::Close,
        }
    }

    fn log_access(&self, took: Duration) {
        if self.link.is_overdue() {
            return; // Whoever answered in its place has written the line.
        }
        if !matches!(self.response, Response::Upgraded) {
            self.dispatcher.measure(self.status, took);
        }
        if !self.dispatcher.access_log.is_on() {
            return;
        }
        self.dispatcher.access_log.note(&Record {
            request: Some(&self.request),
            ends: &self.ends,
            status: self.status,
            sent: self.sent,
            took,
            response_fields: &self.fields,
            scheme: self.scheme,
            variables: &self.variables,
        });
        if self.dispatcher.is_led() && !self.dispatcher.access_log.is_held() {
            // The leader may sleep in the poller for long; nobody else writes the line meanwhile.
            self.dispatcher.access_log.flush();
        }
    }
}
