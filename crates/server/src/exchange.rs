//! One request with the way to answer it. It belongs to one thread at a time, needs no reactor to answer, and completes when it
//! is dropped: whatever the application did, the connection ends in a state that the client can understand.

mod end;
mod streaming;
mod websocket;

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::unix::SourceFd;
use proto::Request;
use proto::forwarded::Scheme;

pub use streaming::Presence;
pub use websocket::{AcceptFailure, WebSocket};

use crate::body::Body;
use crate::connection::ConnectionId;
use crate::dispatcher::{Dispatcher, Message, Outcome};
use crate::inlet::Inlet;
use crate::link::Link;
use crate::overdue::Call;
use crate::peer::{Ends, Local, Peer};
use crate::reply::{Asked, Reply};
use crate::sink::Sink;

/// Names one exchange; the default names none.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExchangeId {
    /// The key of its connection, which another connection may have later.
    pub(crate) key: usize,
    /// Distinguishes the connection from others that have had the same key.
    pub(crate) serial: u64,
    /// Distinguishes the exchange from all others of the server's life.
    pub(crate) number: u64,
}

impl ExchangeId {
    /// The name of its connection.
    pub(crate) fn connection(self) -> ConnectionId {
        ConnectionId {
            key: self.key,
            serial: self.serial,
        }
    }
}

/// One request and its response-to-be.
#[derive(Debug)]
pub struct Exchange {
    /// The request head.
    pub request: Request,
    /// The response.
    pub reply: Reply,
    body: Body,
    inlet: Option<Arc<Inlet>>,
    scheme: Scheme,
    ends: Arc<Ends>,
    arrived: Instant,
    departed: Option<Instant>,
    /// What was sent before the client's side ended, and whether it was probed since; see [`Exchange::probe`].
    sent_before: u64,
    probed: bool,
    variables: Vec<Option<Vec<u8>>>,
}

/// Where an exchange comes from.
pub(crate) struct Origin {
    pub(crate) dispatcher: Arc<Dispatcher>,
    pub(crate) ends: Arc<Ends>,
    pub(crate) link: Arc<Link>,
    pub(crate) id: ExchangeId,
    pub(crate) arrived: Instant,
    pub(crate) inlet: Option<Arc<Inlet>>,
}

impl Exchange {
    pub(crate) fn new(origin: Origin, request: Request, body: Body, scheme: Scheme) -> Exchange {
        let asked = Asked {
            version: request.version(),
            head_request: request.is_head(),
            keep_alive: request.keep_alive(),
        };
        let sink = Sink::h1(origin.link);
        Exchange {
            reply: Reply::new(
                origin.dispatcher,
                origin.id,
                sink,
                asked,
                origin.inlet.clone(),
            ),
            inlet: origin.inlet,
            request,
            body,
            scheme,
            ends: origin.ends,
            arrived: origin.arrived,
            departed: None,
            sent_before: 0,
            probed: false,
            variables: Vec::new(),
        }
    }

    fn link(&self) -> &Arc<Link> {
        self.reply.sink().link()
    }

    fn dispatcher(&self) -> &Dispatcher {
        self.reply.dispatcher()
    }

    /// Marks the moment at which a thread took it.
    pub(crate) fn depart(&mut self) {
        self.departed = Some(Instant::now());
    }

    /// What is to be known of it while it is with the application.
    pub(crate) fn call(&self, mut head: Vec<u8>) -> Option<Call> {
        let taken = self.link().taken()?;
        head.extend_from_slice(self.request.head());
        Some(Call {
            id: self.id(),
            arrived: self.arrived,
            scheme: self.scheme,
            ends: Arc::clone(&self.ends),
            link: Arc::clone(self.link()),
            taken,
            head,
        })
    }

    /// What the reactor has to be told where the client left before a thread took the exchange.
    pub(crate) fn withdraw(&self) -> Option<Message> {
        let left = self.link().taken().is_none();
        left.then_some(Message::Finished(self.id(), Outcome::Close))
    }

    /// The buffered body, once.
    pub fn take_body(&mut self) -> Body {
        std::mem::take(&mut self.body)
    }

    /// Its name.
    #[must_use]
    pub fn id(&self) -> ExchangeId {
        self.reply.id()
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

    /// How long ago the first byte of the request was read.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.arrived.elapsed()
    }

    /// Takes the values of the variables that access lines show ([`crate::Server::access_variables`]), in their order.
    pub fn note_variables(&mut self, values: Vec<Option<Vec<u8>>>) {
        self.variables = values;
    }

    /// A descriptor of the socket, for the application to look at it. The server goes on using the connection, so the flags that both
    /// descriptors share must stay as they are.
    ///
    /// # Errors
    /// The process may have no more descriptors.
    pub fn look_at_socket(&self) -> io::Result<OwnedFd> {
        Ok(self.link().socket().try_clone()?.into())
    }

    /// Gives the socket to the application, which answers by itself. The server forgets the connection.
    ///
    /// # Errors
    /// The descriptor could not be duplicated, or something still waits to be sent.
    pub fn hijack(&mut self) -> io::Result<OwnedFd> {
        if self.link().has_pending() {
            // The socket is about to block, and nobody but the reactor could send what waits.
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let copy = self.link().socket().try_clone()?;
        let descriptor = std::os::fd::AsRawFd::as_raw_fd(&**self.link());
        self.dispatcher()
            .registry
            .deregister(&mut SourceFd(&descriptor))?;
        copy.set_nonblocking(false)?;
        // What goes over the socket from here on is no HTTP.
        self.dispatcher().state().under_way.end(self.id());
        self.reply.note_hijacked();
        Ok(copy.into())
    }

    /// Gives up on a client that has left: nothing more is sent to it. Where no response has begun, the access log has nginx's
    /// statuses: 400 for a request that was not complete, else 499.
    pub fn forsake(&mut self) {
        let is_whole = self.inlet.as_ref().is_none_or(|inlet| inlet.is_whole());
        self.reply.forsake(if is_whole { 499 } else { 400 });
    }
}
