//! One client of the admin server: it sends a request, and another when it has taken the answer.

use std::io::{Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::time::Duration;

use arbiter::{Order, Status};
use serde_json::Value;
use socket2::Socket;
use sys::poll::Interest;

use crate::inquiry::Inquiry;
use crate::listening::is_not_yet;
use crate::{control, http};

/// How long a request over HTTP may take to arrive, and its answer to be read.
const HTTP_PATIENCE: Duration = Duration::from_secs(10);
/// The same between the commands of a control connection, at which a person types. Gunicorn's number.
const CONTROL_PATIENCE: Duration = Duration::from_secs(300);
/// The most of an unread request. Commands and scrapes are a few hundred bytes.
const REQUEST_BYTES: usize = 16 * 1024;
/// What is read in one turn.
const READ_BYTES: usize = 4 * 1024;

/// What clients speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// HTTP/1, one request a connection.
    Http,
    /// Gunicorn's control protocol.
    Control,
}

impl Protocol {
    /// The setting that opens it.
    pub(crate) fn setting(self) -> &'static str {
        match self {
            Self::Http => "admin_bind",
            Self::Control => "control_socket",
        }
    }

    /// What it is for.
    pub(crate) fn purpose(self) -> &'static str {
        match self {
            Self::Http => "admin",
            Self::Control => "control",
        }
    }

    fn patience(self) -> Duration {
        match self {
            Self::Http => HTTP_PATIENCE,
            Self::Control => CONTROL_PATIENCE,
        }
    }
}

/// What becomes of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Open,
    Closed,
}

/// What a protocol makes of the bytes that have arrived.
#[derive(Debug)]
pub(crate) enum Heard {
    /// A request is not whole yet.
    Part,
    /// A request of this many bytes, with its answer.
    Request {
        length: usize,
        answer: Vec<u8>,
        order: Option<Order>,
        /// Whether another may follow.
        goes_on: bool,
    },
    /// A request of this many bytes and this id, which workers have to answer.
    Inquiry {
        length: usize,
        inquiry: Inquiry,
        id: Value,
    },
}

#[derive(Debug)]
pub(crate) struct Client {
    socket: Socket,
    protocol: Protocol,
    received: Vec<u8>,
    /// Some of it has not been looked at.
    is_unheard: bool,
    /// What workers have been asked for it, with the id of its request.
    inquiry: Option<(Inquiry, Value)>,
    /// The answer, as far as it has not been sent.
    unsent: Vec<u8>,
    /// Whether the connection ends when the answer is sent.
    is_last: bool,
    until: Duration,
    answers: u32,
    order: Option<Order>,
}

impl Client {
    pub(crate) fn new(socket: Socket, protocol: Protocol, now: Duration) -> Client {
        Client {
            socket,
            protocol,
            received: Vec::new(),
            is_unheard: false,
            inquiry: None,
            unsent: Vec::new(),
            is_last: false,
            until: now + protocol.patience(),
            answers: 0,
            order: None,
        }
    }

    /// What it waits for. While workers are asked it is only the time, or a client that has left would be reported
    /// without end.
    pub(crate) fn interest(&self) -> Option<Interest<'_>> {
        self.inquiry.is_none().then(|| Interest {
            source: self.socket.as_fd(),
            readable: self.unsent.is_empty(),
            writable: !self.unsent.is_empty(),
        })
    }

    /// When it wants its turn: at once where something that it has sent waits for it.
    pub(crate) fn deadline(&self) -> Duration {
        match &self.inquiry {
            Some((inquiry, _)) => inquiry.deadline(),
            None if self.is_unheard && self.unsent.is_empty() => Duration::ZERO,
            None => self.until,
        }
    }

    /// How often it was answered since the last call.
    pub(crate) fn take_answers(&mut self) -> u32 {
        std::mem::take(&mut self.answers)
    }

    /// What it has ordered.
    pub(crate) fn take_order(&mut self) -> Option<Order> {
        self.order.take()
    }

    /// Reads once, answers once, writes once.
    pub(crate) fn turn(&mut self, status: &Status<'_>, may_answer: bool, now: Duration) -> Fate {
        if now >= self.until {
            return Fate::Closed;
        }
        if self.inquiry.is_some() {
            self.inquire(status, now);
        } else if self.unsent.is_empty() {
            if self.read() == Fate::Closed {
                return Fate::Closed;
            }
            if may_answer && self.is_unheard {
                self.answer(status, now);
            }
        }
        self.write(now)
    }

    fn read(&mut self) -> Fate {
        let room = REQUEST_BYTES.saturating_sub(self.received.len());
        let mut buffer = [0; READ_BYTES];
        let part = &mut buffer[..room.min(READ_BYTES)];
        if part.is_empty() {
            return Fate::Open;
        }
        match self.socket.read(part) {
            Ok(0) => Fate::Closed,
            Ok(count) => {
                self.received.extend_from_slice(&part[..count]);
                self.is_unheard = true;
                Fate::Open
            }
            Err(error) if is_not_yet(&error) => Fate::Open,
            Err(_) => Fate::Closed,
        }
    }

    fn answer(&mut self, status: &Status<'_>, now: Duration) {
        self.is_unheard = false;
        let is_full = self.received.len() >= REQUEST_BYTES;
        let heard = match self.protocol {
            Protocol::Http => http::hear(&self.received, is_full, status, now),
            Protocol::Control => control::hear(&self.received, is_full, status, now),
        };
        match heard {
            Heard::Part => {}
            Heard::Request {
                length,
                answer,
                order,
                goes_on,
            } => {
                self.note_heard(length, now);
                self.unsent = answer;
                self.order = order;
                self.is_last = !goes_on;
            }
            Heard::Inquiry {
                length,
                inquiry,
                id,
            } => {
                self.note_heard(length, now);
                self.inquiry = Some((inquiry, id));
                self.inquire(status, now);
            }
        }
    }

    fn note_heard(&mut self, length: usize, now: Duration) {
        self.received.drain(..length);
        self.is_unheard = !self.received.is_empty();
        self.until = now + HTTP_PATIENCE;
        self.answers += 1;
    }

    /// Looks whether the workers have answered.
    fn inquire(&mut self, status: &Status<'_>, now: Duration) {
        if let Some((inquiry, id)) = &mut self.inquiry
            && let Some(data) = inquiry.look(status, now)
        {
            self.unsent = control::report(id, &data);
            self.inquiry = None;
        }
    }

    fn write(&mut self, now: Duration) -> Fate {
        if self.unsent.is_empty() {
            return Fate::Open;
        }
        match self.socket.write(&self.unsent) {
            Ok(count) => {
                self.unsent.drain(..count);
            }
            Err(error) if is_not_yet(&error) => {}
            Err(_) => return Fate::Closed,
        }
        match self.unsent.is_empty() {
            true if self.is_last => {
                // The answer must not be lost with a reset for bytes that are not read.
                let _ = self.socket.shutdown(std::net::Shutdown::Write);
                Fate::Closed
            }
            true => {
                self.unsent = Vec::new();
                self.until = now + self.protocol.patience();
                Fate::Open
            }
            false => Fate::Open,
        }
    }
}
