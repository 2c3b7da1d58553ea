//! That an application has an exchange. A call counts as in flight, takes one of the places, and stands in
//! the register of those that are answered 504 when the arbiter gives the worker up. When it is dropped its exchange
//! ends, the thread is free again, and the reactor learns what becomes of the connection.

use std::io;
use std::ops::{Deref, DerefMut};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::unix::SourceFd;

use crate::dispatcher::Outcome;
use crate::exchange::{Exchange, ExchangeId};
use crate::overdue::{CallRecord, Calls, SilenceLimit};

/// One call of an application.
#[derive(Debug)]
pub struct Call {
    /// In a box, because it is some 600 bytes, and changes hands ten times between the reactor and the end of its
    /// response.
    exchange: Box<Exchange>,
    /// When a thread took it.
    began: Instant,
    /// Its place in the register.
    place: usize,
}

/// A call that is over.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) id: ExchangeId,
    pub(crate) outcome: Outcome,
    /// Its place in the register.
    pub(crate) place: usize,
    /// How long the application had it.
    pub(crate) took: Duration,
    /// The reactor has to hear of it at once.
    pub(crate) is_urgent: bool,
}

impl Call {
    /// Hands an exchange to an application. `mark` is what [`crate::sink::Sink::taken`] says of it.
    pub(crate) fn begin(mut exchange: Box<Exchange>, mark: u64, calls: &mut Calls) -> Call {
        exchange.note_called();
        exchange.reply.sink().note_taken();
        let began = Instant::now();
        let limit = exchange
            .dispatcher()
            .options
            .request_limits
            .limit(&exchange.request);
        let record = CallRecord::new(&exchange, mark, SilenceLimit::from(began, limit));
        let place = calls.insert(record);
        Call {
            exchange,
            began,
            place,
        }
    }

    /// The request has become a conversation, which lasts as long as it likes.
    pub(crate) fn lift_limit(&self) {
        let mut state = self.exchange.dispatcher().state();
        state.calls.lift_limit(self.place, self.id());
    }

    /// How long the exchange waited to be called, where that is measured.
    pub(crate) fn waited(&self) -> Option<Duration> {
        self.exchange.waited(self.began)
    }

    /// Gives the socket to the application, which answers by itself. The server forgets the connection.
    ///
    /// # Errors
    /// The descriptor could not be duplicated, something still waits to be sent, or the connection carries other
    /// requests too.
    pub fn hijack(&mut self) -> io::Result<OwnedFd> {
        if !self.exchange.reply.sink().has_connection() {
            return Err(io::ErrorKind::Unsupported.into());
        }
        let link = Arc::clone(self.exchange.link());
        if link.is_secure() {
            // Its bytes mean nothing without the keys.
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "the socket of a TLS connection cannot be taken over",
            ));
        }
        if link.has_pending() {
            // The socket is about to block, and only the reactor could send what waits.
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let copy = link.socket().try_clone()?;
        let dispatcher = self.exchange.dispatcher();
        dispatcher
            .registry
            .deregister(&mut SourceFd(&link.as_raw_fd()))?;
        // What goes over the socket from here on is no HTTP.
        dispatcher.state().calls.remove(self.place, self.id());
        self.exchange.reply.note_hijacked();
        Ok(copy.into())
    }
}

impl Deref for Call {
    type Target = Exchange;

    fn deref(&self) -> &Exchange {
        &self.exchange
    }
}

impl DerefMut for Call {
    fn deref_mut(&mut self) -> &mut Exchange {
        &mut self.exchange
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if sys::forks::is_stray() {
            return; // As for an exchange: this is a copy in a child of the application's.
        }
        let now = Instant::now();
        if self.exchange.reply.sink().was_answered_in_place() {
            self.exchange.note_answered_in_place();
        }
        self.exchange.end(now);
        let outcome = self.exchange.reply.outcome();
        let sink = self.exchange.reply.sink();
        let urgent = outcome != Outcome::KeepAlive
            || self.exchange.has_unread_body()
            || sink.take_attention();
        let dispatcher = self.exchange.dispatcher();
        dispatcher.come_back(Finished {
            id: self.exchange.id(),
            outcome,
            place: self.place,
            took: now.duration_since(self.began),
            is_urgent: urgent,
        });
        // The reactor may have seen something between the look above and the message: it notes it before it takes the
        // message, so a second look after the message cannot miss it.
        if !urgent && sink.take_attention() {
            dispatcher.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use settings::Config;

    use super::*;
    use crate::dispatcher::{Leader, Message};
    use crate::fixtures::{dispatcher, exchange, link};
    use crate::sink::SinkError;

    const GET: &str = "GET /page HTTP/1.1\r\nHost: a\r\n\r\n";

    #[test]
    fn a_call_is_in_flight_until_it_is_dropped() {
        let dispatcher = dispatcher(&Config::default());
        let (link, _far) = link();
        let mut state = dispatcher.state();
        state.leader = Leader::Loop;
        state.ready.push_back(exchange(&dispatcher, &link, GET));
        let call = dispatcher.depart(&mut state).unwrap();
        assert_eq!(state.busy, 1);
        drop(state);
        drop(call);
        let state = dispatcher.state();
        assert_eq!(state.busy, 0);
        drop(state);
        let Some(Message::Finished(_, outcome)) = dispatcher.take_messages().into_iter().next()
        else {
            panic!("the reactor is not told")
        };
        assert_eq!(
            outcome,
            Outcome::Close,
            "it was answered with an error page"
        );
    }

    #[test]
    fn a_request_whose_client_left_before_a_thread_was_free_is_not_run_and_has_a_line() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("access");
        let dispatcher = dispatcher(&Config {
            accesslog: Some(log.to_str().unwrap().to_owned()),
            access_log_format: "%(r)s %(s)s".to_owned(),
            ..Config::default()
        });
        let (link, _far) = link();
        link.give_up(SinkError::Disconnected);
        let mut state = dispatcher.state();
        state.leader = Leader::Loop;
        state.ready.push_back(exchange(&dispatcher, &link, GET));
        assert!(dispatcher.depart(&mut state).is_none());
        drop(state);
        let told = dispatcher.take_messages().into_iter().next();
        let Some(Message::Abandoned(mut exchange)) = told else {
            panic!("the reactor is not told")
        };
        exchange.note_abandoned();
        drop(exchange);
        dispatcher.access_log.flush();
        assert_eq!(
            fs::read_to_string(&log).unwrap(),
            "GET /page HTTP/1.1 499\n"
        );
    }
}
