//! The end of an exchange: whatever the application did, the client gets something that it can understand, the access log
//! its line, and the reactor the word that the connection is its own again.

use std::time::{Duration, Instant};

use super::Exchange;
use crate::access_log::Record;
use crate::dispatcher::{Message, Outcome};
use crate::reply::{Mismatch, Stage};

impl Drop for Exchange {
    fn drop(&mut self) {
        if sys::forks::is_stray() {
            return; // The application's child has a copy of it. Locks that it would take may have been held at the fork.
        }
        let Some(departed) = self.departed else {
            return; // It never left the queue: the server is going down, or its client left.
        };
        match self.reply.stage() {
            Stage::Unstarted | Stage::Stated => self.reply.refuse(500, ""),
            _ => self.reply.abort(),
        }
        self.tell_mismatch();
        let now = Instant::now();
        self.log_access(now.duration_since(self.arrived));
        let outcome = self.reply.outcome();
        // The rest of a body may be there and unread, and the next request stands behind it.
        let is_unread = self.inlet.as_ref().is_some_and(|inlet| !inlet.is_whole());
        let urgent = outcome != Outcome::KeepAlive || is_unread || self.link().take_attention();
        let message = Message::Finished(self.id(), outcome);
        self.dispatcher()
            .come_back(message, now.duration_since(departed), urgent);
        // The reactor may have seen something between the look above and the message: it notes it before it takes the
        // message, so a second look after the message cannot miss it.
        if !urgent && self.link().take_attention() {
            self.dispatcher().wake();
        }
    }
}

impl Exchange {
    fn tell_mismatch(&self) {
        let target = self.request.target().escape_ascii();
        match self.reply.mismatch() {
            None => {}
            Some(Mismatch::Shorter) => log::warn!(
                "The response to {target} was shorter than its Content-Length; the connection is closed."
            ),
            Some(Mismatch::Longer(excess)) => log::warn!(
                "The response to {target} was longer than its Content-Length; {excess} bytes were cut off."
            ),
        }
    }

    fn log_access(&self, took: Duration) {
        if self.link().is_overdue() {
            return; // Whoever answered in its place has written the line.
        }
        let dispatcher = self.dispatcher();
        let sent = self.reply.sent();
        if self.reply.stage() != Stage::Upgraded {
            dispatcher.measure(sent.status, took);
        }
        if !dispatcher.access_log.is_on() {
            return;
        }
        dispatcher.access_log.note(&Record {
            request: Some(&self.request),
            ends: &self.ends,
            status: sent.status,
            sent: sent.bytes,
            took,
            response_fields: self.reply.fields(),
            scheme: self.scheme,
            variables: &self.variables,
        });
        if dispatcher.is_led() && !dispatcher.access_log.is_held() {
            // The leader may sleep in the poller for long; nobody else writes the line meanwhile.
            dispatcher.access_log.flush();
        }
    }
}
