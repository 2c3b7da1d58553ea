//! One request and the sink for its response. It belongs to one thread at a time, needs no reactor to answer, and completes
//! when it is dropped: whatever the application did, the connection ends in a state that the client can understand.

mod end;
mod response;
mod streaming;
mod websocket;

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::unix::SourceFd;
use proto::Request;
use proto::forwarded::Scheme;
use proto::h1::ResponseFraming;

pub use streaming::{Presence, Room};
pub use websocket::{AcceptFailure, WebSocket};

use crate::body::Body;
use crate::dispatcher::{Dispatcher, Message, Outcome};
use crate::inlet::Inlet;
use crate::link::{Flushed, Link};
use crate::overdue::Call;
use crate::peer::{Ends, Local, Peer};

/// Why a response cannot go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SinkError {
    /// The client closed or reset the connection.
    Disconnected,
    /// The client took nothing for `send_timeout`.
    TimedOut,
}

impl std::fmt::Display for SinkError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            SinkError::Disconnected => "the client closed the connection",
            SinkError::TimedOut => "the client read nothing for send_timeout",
        })
    }
}

impl std::error::Error for SinkError {}

/// One request and its response-to-be.
#[derive(Debug)]
pub struct Exchange {
    /// The request head.
    pub request: Request,
    body: Body,
    inlet: Option<Arc<Inlet>>,
    /// The client waits for permission to send its body, which it gets once the application wants it.
    owes_continue: bool,
    scheme: Scheme,
    ends: Arc<Ends>,
    link: Arc<Link>,
    dispatcher: Arc<Dispatcher>,
    key: usize,
    serial: u64,
    number: u64,
    keep_alive: bool,
    arrived: Instant,
    departed: Option<Instant>,
    response: Response,
    status: u16,
    sent: u64,
    /// What of `sent` was sent before the client's side ended, and whether it was probed since; see [`Exchange::probe`].
    sent_before: u64,
    /// Body bytes beyond the Content-Length, which were not sent.
    excess: u64,
    probed: bool,
    fields: Vec<u8>,
    variables: Vec<Option<Vec<u8>>>,
}

/// How far the response has come.
#[derive(Debug)]
enum Response {
    /// Nothing has been said.
    Unstarted,
    /// The head is written down and goes out with the first chunk.
    Staged {
        head: Vec<u8>,
        framing: ResponseFraming,
    },
    /// The head is out.
    Streaming(ResponseFraming),
    /// All is out.
    Complete,
    /// It broke off.
    Cut,
    /// The application has the socket.
    Hijacked,
    /// It has become a WebSocket.
    Upgraded,
}

/// Where an exchange comes from.
pub(crate) struct Origin {
    pub(crate) dispatcher: Arc<Dispatcher>,
    pub(crate) ends: Arc<Ends>,
    pub(crate) link: Arc<Link>,
    pub(crate) key: usize,
    pub(crate) serial: u64,
    pub(crate) number: u64,
    pub(crate) arrived: Instant,
    pub(crate) inlet: Option<Arc<Inlet>>,
}

impl Exchange {
    pub(crate) fn new(origin: Origin, request: Request, body: Body, scheme: Scheme) -> Exchange {
        Exchange {
            keep_alive: request.keep_alive(),
            owes_continue: request.expects_continue(),
            inlet: origin.inlet,
            request,
            body,
            scheme,
            ends: origin.ends,
            link: origin.link,
            dispatcher: origin.dispatcher,
            key: origin.key,
            serial: origin.serial,
            number: origin.number,
            arrived: origin.arrived,
            departed: None,
            response: Response::Unstarted,
            status: 0,
            sent: 0,
            sent_before: 0,
            excess: 0,
            probed: false,
            fields: Vec::new(),
            variables: Vec::new(),
        }
    }

    /// Marks the moment at which a thread took it.
    pub(crate) fn depart(&mut self) {
        self.departed = Some(Instant::now());
    }

    /// What is to be known of it while it is with the application.
    pub(crate) fn call(&self, mut head: Vec<u8>) -> Option<Call> {
        let taken = self.link.taken()?;
        head.extend_from_slice(self.request.head());
        Some(Call {
            key: self.key,
            serial: self.serial,
            arrived: self.arrived,
            scheme: self.scheme,
            ends: Arc::clone(&self.ends),
            link: Arc::clone(&self.link),
            taken,
            head,
        })
    }

    /// What the reactor has to be told where the client left before a thread took the exchange.
    pub(crate) fn withdraw(&self) -> Option<Message> {
        let left = self.link.taken().is_none();
        left.then_some(Message::Finished {
            key: self.key,
            serial: self.serial,
            outcome: Outcome::Close,
        })
    }

    /// The buffered body, once.
    pub fn take_body(&mut self) -> Body {
        std::mem::take(&mut self.body)
    }

    /// Tells this exchange from all others of the server's life.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.number
    }

    /// Who sent the request.
    #[must_use]
    pub fn peer(&self) -> &Peer {
        &self.ends.peer
    }

    /// Where it was received.
    #[must_use]
    pub fn local(&self) -> &Local {
        &self.ends.local
    }

    /// Whether the peer is one of `forwarded_allow_ips` (or came over a Unix socket).
    #[must_use]
    pub fn trusted(&self) -> bool {
        self.ends.trusted
    }

    /// The scheme that the client used, as far as it can be known.
    #[must_use]
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Whether the head of the response is on its way, so that no other answer can be given.
    #[must_use]
    pub fn started(&self) -> bool {
        !matches!(self.response, Response::Unstarted | Response::Staged { .. })
    }

    /// The status that was answered; 0 before there is one.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// How long ago the first byte of the request was read.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.arrived.elapsed()
    }

    /// Takes the values of the variables that access lines show ([`crate::Server::access_variables`]), in their order.
    pub fn note_variables(&mut self, values: Vec<Option<Vec<u8>>>) {
        self.variables = values;
    }

    /// Body bytes sent, framing not counted.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.sent
    }

    /// Gives the socket to the application, which answers by itself. The server forgets the connection.
    ///
    /// # Errors
    /// The descriptor could not be duplicated, or something still waits to be sent.
    pub fn hijack(&mut self) -> io::Result<OwnedFd> {
        if self.link.has_pending() {
            // The socket is about to block, and nobody but the reactor could send what waits.
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let copy = self.link.socket().try_clone()?;
        self.dispatcher
            .registry
            .deregister(&mut SourceFd(&std::os::fd::AsRawFd::as_raw_fd(&*self.link)))?;
        copy.set_nonblocking(false)?;
        // What goes over the socket from here on is no HTTP.
        self.dispatcher.state().under_way.end(self.key, self.serial);
        self.response = Response::Hijacked;
        self.keep_alive = false;
        Ok(copy.into())
    }

    fn send(&mut self, parts: &[&[u8]]) -> Result<(), SinkError> {
        match self.link.send(parts) {
            Ok(flushed) => {
                self.note_pending(flushed);
                Ok(())
            }
            Err(error) => {
                self.abort();
                Err(error)
            }
        }
    }

    fn note_pending(&self, flushed: Flushed) {
        if flushed != Flushed::Empty {
            self.dispatcher.tell(self.pending());
        }
    }

    /// There is something to do for this connection that the poller will not report.
    fn pending(&self) -> Message {
        Message::Pending {
            key: self.key,
            serial: self.serial,
        }
    }
}
