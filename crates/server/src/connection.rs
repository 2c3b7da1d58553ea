//! What the reactor knows of one connection, and the states it goes through.
//!
//! ```text
//!            first byte        head complete       body complete
//!   ┌─ Idle ───────────► Head ───────────► Body ───────────► Serving
//!   │   ▲ │                │                │                   │ exchange over
//!   │   │ └────────────────┴── violation ───┴──┐                ▼
//!   │   └──────── all sent, keep-alive ────────┼──────────── Sending
//!   ▼                                          ▼                │ all sent, close
//! closed ◄──────────── end of stream ────── Lingering ◄─────────┘
//! ```
//!
//! Idle ◄──► Waiting, where a request is there and no thread is free for it.
//! Serving ──► WebSocket, when the application accepts a handshake; from there to Sending, Lingering or closed.

use std::sync::Arc;
use std::time::Instant;

use proto::Request;
use proto::forwarded::Scheme;
use proto::h1::{BodyDecoder, HeadParser};

use crate::body::Spool;
use crate::exchange::ExchangeId;
use crate::inlet::Inlet;
use crate::link::Link;
use crate::peer::Ends;
use crate::timers::Deadline;
use crate::websockets::Upgraded;

/// One connection.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) link: Arc<Link>,
    pub(crate) ends: Arc<Ends>,
    /// Distinguishes this connection from others that have had the same key.
    pub(crate) serial: u64,
    pub(crate) stage: Stage,
    /// Since when it stands so: idle, or with a request of which this was the first byte.
    pub(crate) since: Instant,
    /// Bytes that have been read and belong to no request yet. An idle connection has none, and no buffer either.
    pub(crate) inbound: Vec<u8>,
    /// The socket may have more to read. It reports that once (edge-triggered), so it is remembered here.
    pub(crate) readable: bool,
    /// The client has ended its side; what is readable ends with the end of the stream.
    pub(crate) half_closed: bool,
    /// The exchange that it is or was last in.
    pub(crate) exchange: ExchangeId,
    /// Where the application reads the body of its exchange, and learns that the client left.
    pub(crate) inlet: Option<Arc<Inlet>>,
    pub(crate) deadline: Deadline,
    /// What the kernel held for the client when its deadline was set. A large buffer takes a slow client longer than
    /// `send_timeout` to empty so far that the socket reports, so it is asked whether it shrinks.
    pub(crate) unsent: usize,
}

/// Where a connection stands.
#[derive(Debug)]
pub(crate) enum Stage {
    /// Waiting for the first byte of a request.
    Idle,
    /// A request is there and stays unread until a thread is free for it, here or in another worker; see `handover.rs`.
    Waiting,
    /// Part of a request head is in `inbound`; the parser remembers how far it has looked.
    Head(HeadParser),
    /// The head is complete and the body is on its way.
    Body(Box<Upload>),
    /// The exchange is with the application, or waits for a thread.
    Serving,
    /// The exchange is with the application, which reads the body while it arrives.
    Streaming(Box<Intake>),
    /// The exchange is over; bytes of the response still wait for the client.
    Sending(Then),
    /// The exchange has become a WebSocket; see `websockets.rs`.
    WebSocket(Box<Upgraded>),
    /// The response is out and our side is shut; what the client still sends is discarded, so that the answer is not
    /// destroyed by a reset (RFC 9112, section 9.6).
    Lingering,
}

/// What follows once all is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    /// The next request.
    KeepAlive,
    /// The end.
    Close,
    /// The end, by way of [`Stage::Lingering`].
    Linger,
}

/// A request whose body is being read.
#[derive(Debug)]
pub(crate) struct Upload {
    pub(crate) request: Request,
    pub(crate) scheme: Scheme,
    pub(crate) decoder: BodyDecoder,
    pub(crate) spool: Spool,
}

/// A body that goes to the application while it is being read.
#[derive(Debug)]
pub(crate) struct Intake {
    pub(crate) decoder: BodyDecoder,
    pub(crate) inlet: Arc<Inlet>,
    /// Bytes of the body so far.
    pub(crate) length: u64,
}

impl Connection {
    pub(crate) fn new(
        link: Arc<Link>,
        ends: Arc<Ends>,
        serial: u64,
        unread: Vec<u8>,
        now: Instant,
    ) -> Connection {
        Connection {
            link,
            ends,
            serial,
            stage: Stage::Idle,
            since: now,
            inbound: unread,
            // The request often is there already when a connection is accepted: a look costs less than another wait.
            readable: true,
            half_closed: false,
            exchange: ExchangeId::default(),
            inlet: None,
            deadline: Deadline::NONE,
            unsent: 0,
        }
    }

    /// Whether nothing of a request has been read, and none is known to wait.
    pub(crate) fn is_idle(&self) -> bool {
        matches!(self.stage, Stage::Idle)
    }

    /// Whether the client may still be sending something that nobody will read.
    pub(crate) fn has_unread(&self) -> bool {
        self.readable || !self.inbound.is_empty()
    }
}
