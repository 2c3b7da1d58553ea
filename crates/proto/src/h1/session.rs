//! One connection of HTTP/1, without its socket and its clock: what may be read and written when, what follows the end
//! of an exchange, and when something is overdue. Every transition of a connection is in this file.
//!
//! The connection has two sides. The caller feeds what it reads to [`Session::hear`], says [`Session::begin`] when it
//! makes an exchange of a request, and [`Session::over`] when the exchange is over; [`Session::sent`] and
//! [`Session::took`] tell what became of bytes that the client did not take at once. Bodies go to the caller piece by
//! piece: whether it collects them before it begins the exchange or begins at once and passes them on is its own
//! choice.

use super::chunked::BodyDecoder;
use super::head::HeadParser;
use super::response::CONTINUE;
use crate::framing::Framing;
use crate::request::Request;
use crate::uwsgi::read_packet;
use crate::violation::Violation;

mod incoming_body;
mod messages;
mod questions;

pub use incoming_body::{DISCARDED, may_discard};
use incoming_body::{IncomingBody, Permission};
pub use messages::{
    Action, Arrival, ExchangeEnd, HeadForm, Heard, Leftover, Millis, NEVER, Overdue, Refused,
    Settings,
};

/// How long what a client sends after its last answer is read and dropped. Gunicorn's value.
pub const LINGER: Millis = 2000;

/// One connection.
#[derive(Debug)]
pub struct Session {
    reading: Reading,
    writing: Writing,
    /// When the client has to have sent what it is expected to send.
    read_by: Millis,
    /// When it has to have taken something of what waits for it. While something does, nothing is expected of it.
    send_by: Millis,
}

/// What the bytes of the client are.
///
/// ```text
///                first byte         head complete           body complete
///  ┌──► Idle ──────────────► Head ────────────────► Body ────────────────► Complete
///  │    │  ▲                  │      no body         │ │                     ▲    │
///  │    ▼  │                  ├──────────────────────┼─┼─────────────────────┘    │
///  │  Deferred                │                      │ └─ over, the rest is small │
///  │                          │                      │                  │         │ over,
///  │                          │ violation, time-out, │                  ▼         │ keep-alive
///  ├── the rest has come ─────┼──────────────────────┼───────────── Unwanted      │
///  ├──────────────────────────┼──────────────────────┼────────────────────────────┘
///  │                          ▼                      ▼
///                        Discarding ── end of stream ──► Ended
/// ```
#[derive(Debug)]
enum Reading {
    /// Nothing of the next request has been read.
    Idle,
    /// The next request is there, and stays unread until the caller has a place for it.
    Deferred,
    /// Part of a head; the parser remembers how far it has looked.
    Head(HeadParser),
    /// A body that the caller wants.
    Body(IncomingBody),
    /// The request is complete. What follows is the next one, and is read when this one has been answered.
    Complete,
    /// The rest of a body whose request has been answered; the next request stands behind it.
    Unwanted(IncomingBody),
    /// Nothing that the client sends matters any more, or can be understood. It is read and dropped, so that the answer
    /// is not destroyed by a reset (RFC 9112, section 9.6).
    Discarding,
    /// The client has ended its side, within a body or after everything.
    Ended,
}

/// What the client is sent.
///
/// ```text
///             begin             over, bytes wait                 all taken
///  ┌─► Silent ─────► Exchange ──────────────────► Draining ─┬─► (keep-alive) ──┐
///  │                    │ over, nothing waits               ├─► Shut           │
///  │                    └───────────────────────────────────┴─► closed         │
///  └───────────────────────────────────────────────────────────────────────────┘
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Writing {
    /// No exchange is under way.
    Silent,
    /// A request is being answered.
    Exchange,
    /// The answer is complete, and bytes of it still wait for the client.
    Draining(Then),
    /// Our side is shut.
    Shut,
}

/// What follows once all is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    /// The next request.
    KeepAlive,
    /// The end, after what the client still sends has been read.
    Linger,
    /// The end.
    Close,
}

impl Session {
    /// A connection whose client has until `read_by` for its first byte.
    #[must_use]
    pub fn new(read_by: Millis) -> Self {
        Self {
            reading: Reading::Idle,
            writing: Writing::Silent,
            read_by,
            send_by: NEVER,
        }
    }

    /// A connection of which only the end is left: what waits for the client is sent, and what it still sends is
    /// dropped. The caller says [`Session::sent`] when nothing waits.
    #[must_use]
    pub fn ending() -> Self {
        Self {
            reading: Reading::Discarding,
            writing: Writing::Draining(Then::Linger),
            read_by: NEVER,
            send_by: NEVER,
        }
    }

    /// Takes bytes that were read, up to the end of the first thing among them that the caller has to know.
    ///
    /// # Errors
    /// The rule that they break. The caller answers as far as it still can, and says [`Session::over`].
    pub fn hear<'a>(
        &mut self,
        input: &'a [u8],
        settings: &Settings,
        now: Millis,
    ) -> Result<Heard<'a>, Refused> {
        match &mut self.reading {
            Reading::Idle | Reading::Head(_) => self.hear_head(input, settings, now),
            Reading::Body(_) => self.hear_body(input, settings, now),
            Reading::Unwanted(_) => Ok(self.discard_body(input, settings, now)),
            Reading::Discarding => Ok(Heard::nothing(input.len())),
            Reading::Deferred | Reading::Complete | Reading::Ended => Ok(Heard::nothing(0)),
        }
    }

    fn hear_head<'a>(
        &mut self,
        input: &'a [u8],
        settings: &Settings,
        now: Millis,
    ) -> Result<Heard<'a>, Refused> {
        let (is_first, mut parser) = match std::mem::replace(&mut self.reading, Reading::Idle) {
            Reading::Head(parser) => (false, parser),
            _ => (true, HeadParser::default()),
        };
        if is_first && input.is_empty() {
            return Ok(Heard::nothing(0));
        }
        let parsed = match settings.heads {
            HeadForm::Http1 => parser.parse(input, &settings.limits),
            HeadForm::Uwsgi => read_packet(input, &settings.limits),
        };
        match parsed {
            Ok(Some((request, consumed))) => {
                if let Err(violation) = self.expect_body(&request, settings, now) {
                    let mut refused = self.refused(violation);
                    refused.request = Some(Box::new(request));
                    return Err(refused);
                }
                Ok(Heard {
                    consumed,
                    event: Arrival::Request(request),
                })
            }
            Ok(None) => {
                if is_first {
                    // The whole head has to arrive in time, however many pieces it comes in.
                    self.read_by = now.saturating_add(settings.header_timeout);
                }
                self.reading = Reading::Head(parser);
                Ok(Heard::nothing(0))
            }
            Err(violation) => Err(self.refused(violation)),
        }
    }

    fn expect_body(
        &mut self,
        request: &Request,
        settings: &Settings,
        now: Millis,
    ) -> Result<(), Violation> {
        let framing = request.framing();
        if matches!(framing, Framing::None | Framing::Length(0)) {
            self.reading = Reading::Complete;
            self.read_by = NEVER;
            return Ok(());
        }
        if let Framing::Length(length) = framing
            && exceeds(length, settings.body_limit)
        {
            return Err(Violation::BodyTooLarge);
        }
        self.reading = Reading::Body(IncomingBody {
            decoder: BodyDecoder::new(framing, &settings.limits),
            length: 0,
            permission: match request.expects_continue() {
                true => Permission::Awaited,
                false => Permission::NotAwaited,
            },
        });
        self.read_by = now.saturating_add(settings.body_timeout);
        Ok(())
    }

    fn hear_body<'a>(
        &mut self,
        input: &'a [u8],
        settings: &Settings,
        now: Millis,
    ) -> Result<Heard<'a>, Refused> {
        let Reading::Body(body) = &mut self.reading else {
            return Ok(Heard::nothing(0));
        };
        let (consumed, data, more) = match body.take(input) {
            Ok(taken) => taken,
            Err(violation) => return Err(self.refused(violation)),
        };
        if exceeds(body.length, settings.body_limit) {
            return Err(self.refused(Violation::BodyTooLarge));
        }
        if !more {
            self.reading = Reading::Complete;
            self.read_by = NEVER;
        } else if consumed > 0 {
            self.read_by = now.saturating_add(settings.body_timeout);
        }
        Ok(Heard {
            consumed,
            event: Arrival::Body { data, more },
        })
    }

    fn discard_body<'a>(&mut self, input: &'a [u8], settings: &Settings, now: Millis) -> Heard<'a> {
        let Reading::Unwanted(body) = &mut self.reading else {
            return Heard::nothing(0);
        };
        match body.take(input) {
            Ok((consumed, _, true)) => {
                if consumed > 0 {
                    self.read_by = now.saturating_add(settings.body_timeout);
                }
                Heard::nothing(consumed)
            }
            Ok((consumed, _, false)) => {
                self.become_idle(settings, now);
                Heard::nothing(consumed)
            }
            // Only chunks can be wrong, and the rest of those is never waited for; see [`Session::over`].
            Err(_) => {
                self.reading = Reading::Discarding;
                Heard::nothing(input.len())
            }
        }
    }

    fn refused(&mut self, violation: Violation) -> Refused {
        self.refuse();
        Refused {
            violation,
            request: None,
        }
    }

    /// The request is not served: nothing that follows it is read as HTTP.
    pub fn refuse(&mut self) {
        self.reading = Reading::Discarding;
        self.read_by = NEVER;
    }

    /// The interim response that permits the client to send the body that it announced, if it waits for that; once. A
    /// client that has begun to send does not (RFC 9110, section 10.1.1).
    pub fn permit_body(&mut self) -> Option<&'static [u8]> {
        match &mut self.reading {
            Reading::Body(body) if body.permission == Permission::Awaited => {
                body.permission = Permission::NotAwaited;
                Some(CONTINUE)
            }
            _ => None,
        }
    }

    /// The next request is there, and the caller has no place for it.
    pub fn defer(&mut self) {
        if matches!(self.reading, Reading::Idle) {
            self.reading = Reading::Deferred;
            self.read_by = NEVER;
        }
    }

    /// The next request may be read again.
    pub fn end_deferral(&mut self, settings: &Settings, now: Millis) {
        if self.is_deferred() {
            self.become_idle(settings, now);
        }
    }

    /// An exchange has been made of the request: with its head, or when its body has arrived.
    pub fn begin(&mut self) {
        self.writing = Writing::Exchange;
    }

    /// The exchange is over, and its response complete or as complete as it will be.
    pub fn over(
        &mut self,
        end: ExchangeEnd,
        leftover: Leftover,
        settings: &Settings,
        now: Millis,
    ) -> Action {
        let reading = std::mem::replace(&mut self.reading, Reading::Discarding);
        let (reading, then) = match (end, reading) {
            (ExchangeEnd::KeepAlive, Reading::Complete) => (Reading::Complete, Then::KeepAlive),
            (ExchangeEnd::KeepAlive, Reading::Body(rest)) if rest.is_small() => {
                (Reading::Unwanted(rest), Then::KeepAlive)
            }
            // Nothing says where the next request begins, or it is far behind.
            (_, Reading::Body(_) | Reading::Unwanted(_)) => (Reading::Discarding, Then::Linger),
            // The client ended its side within its body: nothing comes that could destroy the answer.
            (_, Reading::Ended) => (Reading::Ended, Then::Close),
            (_, Reading::Discarding) => (Reading::Discarding, Then::Linger),
            (_, _) if leftover.input => (Reading::Discarding, Then::Linger),
            (_, _) => (Reading::Discarding, Then::Close),
        };
        self.reading = reading;
        self.read_by = NEVER;
        if leftover.output {
            self.writing = Writing::Draining(then);
            return Action::Stay;
        }
        self.proceed(then, settings, now)
    }

    /// The client has taken everything that waited for it.
    pub fn sent(&mut self, settings: &Settings, now: Millis) -> Action {
        self.send_by = NEVER;
        match self.writing {
            Writing::Draining(then) => self.proceed(then, settings, now),
            Writing::Silent | Writing::Exchange | Writing::Shut => {
                if matches!(self.reading, Reading::Body(_)) {
                    // It had nothing to send as long as it had something to take.
                    self.read_by = now.saturating_add(settings.body_timeout);
                }
                Action::Stay
            }
        }
    }

    fn proceed(&mut self, then: Then, settings: &Settings, now: Millis) -> Action {
        self.send_by = NEVER;
        match then {
            Then::KeepAlive => {
                self.writing = Writing::Silent;
                match self.reading {
                    Reading::Unwanted(_) => {
                        self.read_by = now.saturating_add(settings.body_timeout);
                    }
                    _ => self.become_idle(settings, now),
                }
                Action::Stay
            }
            Then::Linger => {
                self.writing = Writing::Shut;
                self.read_by = now.saturating_add(LINGER);
                Action::Shut
            }
            Then::Close => Action::Close,
        }
    }

    fn become_idle(&mut self, settings: &Settings, now: Millis) {
        self.reading = Reading::Idle;
        self.read_by = now.saturating_add(settings.keep_alive);
    }

    /// Something waits for the client, and it has taken some of it, or it has just begun to wait.
    pub fn took(&mut self, settings: &Settings, now: Millis) {
        self.send_by = now.saturating_add(settings.send_timeout);
    }

    /// Whether the time for taking something runs.
    #[must_use]
    pub fn is_sending(&self) -> bool {
        self.send_by != NEVER
    }

    /// The application is slower than the client: the rest of the body is not waited for.
    pub fn pause(&mut self) {
        self.read_by = NEVER;
    }

    /// The rest of the body is waited for, from now on if it was not.
    pub fn resume(&mut self, settings: &Settings, now: Millis) {
        if matches!(self.reading, Reading::Body(_)) && self.read_by == NEVER {
            self.read_by = now.saturating_add(settings.body_timeout);
        }
    }

    /// The client has ended its side of the connection.
    pub fn ended(&mut self) -> Action {
        match self.writing {
            Writing::Silent | Writing::Shut => Action::Close,
            // It may still take its answer. The body, if it was within one, will not come.
            Writing::Exchange => {
                if !matches!(self.reading, Reading::Complete) {
                    self.reading = Reading::Ended;
                    self.read_by = NEVER;
                }
                Action::Stay
            }
            Writing::Draining(_) => {
                self.reading = Reading::Ended;
                self.writing = Writing::Draining(Then::Close);
                Action::Stay
            }
        }
    }

    /// The connection is broken while a request is being answered: nothing can be read any more, and the end of the
    /// exchange is the end of the connection.
    pub fn lose(&mut self) {
        self.reading = Reading::Ended;
        self.read_by = NEVER;
        self.send_by = NEVER;
    }

    /// The server comes to its end: a client that may still send a request has as long as `settings` now says.
    pub fn wind_down(&mut self, settings: &Settings, now: Millis) {
        if matches!(self.reading, Reading::Idle | Reading::Unwanted(_)) {
            self.read_by = self.read_by.min(now.saturating_add(settings.keep_alive));
        }
    }

    /// When [`Session::handle_timeout`] has to be called; [`NEVER`] where nothing is awaited.
    #[must_use]
    pub fn timeout(&self) -> Millis {
        match self.send_by {
            NEVER => self.read_by,
            send_by => send_by,
        }
    }

    /// Says what is overdue, if anything is. Where the client takes nothing, the caller may know better, and then says
    /// [`Session::took`].
    pub fn handle_timeout(&mut self, now: Millis) -> Option<Overdue> {
        if self.timeout() > now {
            return None;
        }
        if self.is_sending() {
            return Some(Overdue::Send);
        }
        self.read_by = NEVER;
        match self.reading {
            Reading::Head(_) => {
                self.reading = Reading::Discarding;
                Some(Overdue::Head)
            }
            Reading::Body(_) => {
                self.reading = Reading::Discarding;
                Some(Overdue::Body)
            }
            Reading::Idle | Reading::Unwanted(_) | Reading::Discarding => Some(Overdue::Connection),
            Reading::Deferred | Reading::Complete | Reading::Ended => None,
        }
    }
}

fn exceeds(length: u64, limit: u64) -> bool {
    limit != 0 && length > limit
}
