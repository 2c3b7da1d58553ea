//! What the owner of a connection tells its session, and what the session tells it.

use crate::limits::Limits;
use crate::request::Request;
use crate::violation::Violation;

/// A moment, or a span of time, in milliseconds of the caller's clock.
pub type Millis = u64;

/// No time-out.
pub const NEVER: Millis = Millis::MAX;

/// In what form the heads of requests come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeadForm {
    /// As HTTP/1 has them.
    Http1,
    /// As packets of the uwsgi protocol. All else is as with HTTP/1.
    Uwsgi,
}

/// The bounds that hold for the connections of a server.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// In what form heads come.
    pub heads: HeadForm,
    /// Bounds of heads and trailers.
    pub limits: Limits,
    /// Bytes of a request body; 0 for no limit.
    pub body_limit: u64,
    /// How long a connection may be idle between two requests.
    pub keep_alive: Millis,
    /// How long a head may take from its first byte on.
    pub header_timeout: Millis,
    /// How long a client may be silent within a body.
    pub body_timeout: Millis,
    /// How long a client may take nothing of what waits for it.
    pub send_timeout: Millis,
}

/// What became of bytes that were read.
#[derive(Debug)]
pub struct Heard<'a> {
    /// How many of them were used. Those that were not are to be presented again, with more behind them: part of a
    /// head, or a request that comes after the present one.
    pub consumed: usize,
    /// What they brought.
    pub event: Arrival<'a>,
}

/// What bytes can bring.
#[derive(Debug)]
pub enum Arrival<'a> {
    /// Nothing that the caller has to know.
    Nothing,
    /// A request head. Its body follows, if its framing says that it has one.
    Request(Request),
    /// A piece of the body, possibly empty.
    Body {
        /// The bytes.
        data: &'a [u8],
        /// Whether the body goes on.
        more: bool,
    },
}

/// A request that is not served. Nothing that follows it is read as HTTP.
#[derive(Debug)]
pub struct Refused {
    /// The rule that was broken.
    pub violation: Violation,
    /// The request, where its head could be read and the caller does not have it already.
    pub request: Option<Box<Request>>,
}

/// How an exchange ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExchangeEnd {
    /// The response lets the client send its next request.
    KeepAlive,
    /// The connection ends with the response.
    Close,
}

/// What there is at the end of an exchange beside what the session knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leftover {
    /// Bytes of the response that the client has not taken yet.
    pub output: bool,
    /// Bytes of the client that have not been heard, or may have arrived.
    pub input: bool,
}

/// What the caller has to do with the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Action {
    /// Nothing: it goes on.
    Stay,
    /// Shut its sending side, and go on reading.
    Shut,
    /// Close it.
    Close,
}

/// What is overdue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overdue {
    /// A request, or the end of a connection that has been answered: it is to be closed.
    Connection,
    /// The rest of a head: it is to be answered with 408.
    Head,
    /// The rest of a body: 408 too, as far as an answer can still be given.
    Body,
    /// The client takes nothing of what it is sent.
    Send,
}

impl Heard<'_> {
    pub(super) fn nothing(consumed: usize) -> Self {
        Self {
            consumed,
            event: Arrival::Nothing,
        }
    }
}
