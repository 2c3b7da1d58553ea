//! The end of an exchange: in every case the client gets something that it can understand, and the
//! access log and statsd are told. There is no other way to a line of the access log.

use std::time::{Duration, Instant};

use super::{Exchange, Standing};
use crate::access_log::Record;
use crate::reply::{Mismatch, Stage};
use crate::request_metrics::Ended;

impl Drop for Exchange {
    fn drop(&mut self) {
        if sys::forks::is_stray() {
            return; // The application's child has a copy of it. Locks that it would take may have been held at the fork.
        }
        if self.standing != Standing::Over {
            self.end(Instant::now());
        }
    }
}

impl Exchange {
    /// Completes the response, and writes the access line. Does nothing the second time.
    pub(crate) fn end(&mut self, now: Instant) {
        let standing = std::mem::replace(&mut self.standing, Standing::Over);
        if matches!(standing, Standing::Queued | Standing::Over) {
            return;
        }
        match self.reply.stage() {
            Stage::Unstarted | Stage::Stated => self.reply.refuse(500, ""),
            _ => self.reply.abort(),
        }
        self.tell_mismatch();
        self.note(standing, now.duration_since(self.arrived));
    }

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

    fn note(&self, standing: Standing, took: Duration) {
        let dispatcher = self.dispatcher();
        let sent = self.reply.sent();
        let request = Some(&self.request).filter(|request| !request.head().is_empty());
        // Of a WebSocket metrics were told when it was accepted.
        if self.reply.stage() != Stage::Upgraded {
            dispatcher.measure(&Ended {
                request,
                status: sent.status,
                took,
                bytes: sent.bytes,
            });
        }
        let log = &dispatcher.access_log;
        let record = Record {
            request,
            ends: &self.ends,
            status: sent.status,
            sent: sent.bytes,
            took,
            response_fields: self.reply.fields(),
            scheme: self.scheme,
            variables: &self.variables,
        };
        if standing == Standing::Unserved {
            return log.note_refusal(&record);
        }
        if !log.is_on() {
            return;
        }
        log.note(&record);
        if dispatcher.is_led() && !log.is_held() {
            // The leader may sleep in the poller for long, and writes no line meanwhile.
            log.flush();
        }
    }
}
