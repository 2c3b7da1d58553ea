//! One request with the way to answer it. It belongs to one thread at a time, needs no reactor to answer, and completes
//! when it is dropped: in every case the connection ends in a state that the client can understand.

mod end;
mod streaming;
mod websocket;

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use proto::forwarded::Scheme;
use proto::h1::Content;
use proto::{Request, Version};

pub use streaming::Presence;
pub use websocket::{AcceptFailure, WebSocket};

use crate::access_log::json::trace_ids;
use crate::body::Body;
use crate::connection::ConnectionId;
use crate::dispatcher::Dispatcher;
use crate::inlet::Inlet;
use crate::link::Link;
use crate::outlet::Outlet;
use crate::peer::{Ends, Local, Peer, Proxied};
use crate::reply::{Asked, Reply};
use crate::sink::Sink;
use crate::site::Answer;
use crate::tls::TlsInfo;

/// Names one exchange; the default names none.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExchangeId {
    /// Distinguishes the exchange from all others of the server's life; later ones have higher numbers.
    pub(crate) number: u64,
    /// The key of its connection, which another connection may have later.
    pub(crate) key: usize,
    /// Distinguishes the connection from others that have had the same key.
    pub(crate) serial: u64,
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
    /// When it could be answered, where that is measured.
    complete: Option<Instant>,
    standing: Standing,
    /// What was sent before the client's side ended, and whether it was probed since; see [`Exchange::probe`].
    sent_before: u64,
    probed: bool,
    variables: Vec<Option<Vec<u8>>>,
}

/// Who answers for an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// It waits for a thread. Where it is dropped so, the server is going down, and nothing is said of it.
    Queued,
    /// An application.
    Called,
    /// The server itself.
    Unserved,
    /// It has ended.
    Over,
}

/// Where an exchange comes from.
pub(crate) struct Origin {
    pub(crate) dispatcher: Arc<Dispatcher>,
    pub(crate) ends: Arc<Ends>,
    pub(crate) outlet: Outlet,
    pub(crate) id: ExchangeId,
    pub(crate) arrived: Instant,
    pub(crate) inlet: Option<Arc<Inlet>>,
}

impl Exchange {
    pub(crate) fn new(origin: Origin, request: Request, body: Body, scheme: Scheme) -> Exchange {
        let asked = Asked {
            version: match request.variables() {
                // A front server that speaks uwsgi reads neither chunks nor interim responses.
                Some(_) => Version::Http10,
                None => request.version(),
            },
            content: Content::of(&request),
            keep_alive: request.keep_alive(),
        };
        let request_ids = origin.dispatcher.options.request_ids.as_ref();
        let request_id = request_ids
            .and_then(|ids| request.field(ids.field()))
            .map(<[u8]>::to_vec);
        let compression = origin.dispatcher.options.compression.as_ref();
        let wish = compression.map(|compression| compression.wish(&request));
        let asker = origin
            .dispatcher
            .site
            .takes_names()
            .then(|| request.clone());
        let sink = Sink::new(origin.outlet);
        let is_measured = origin.dispatcher.slot.counters() > 0;
        Exchange {
            complete: is_measured.then(Instant::now),
            reply: Reply::new(
                origin.dispatcher,
                origin.id,
                sink,
                asked,
                origin.inlet.clone(),
            )
            .with_request_id(request_id)
            .with_compression(wish)
            .with_named_files(asker),
            inlet: origin.inlet,
            request,
            body,
            scheme,
            ends: origin.ends,
            arrived: origin.arrived,
            standing: Standing::Queued,
            sent_before: 0,
            probed: false,
            variables: Vec::new(),
        }
    }

    /// An exchange that no application sees. `request` is empty where its head could not be read.
    pub(crate) fn unserved(origin: Origin, request: Request, scheme: Scheme) -> Exchange {
        let mut exchange = Exchange::new(origin, request, Body::Empty, scheme);
        exchange.standing = Standing::Unserved;
        exchange
    }

    pub(crate) fn link(&self) -> &Arc<Link> {
        self.reply.sink().link()
    }

    pub(crate) fn outlet(&self) -> Outlet {
        self.reply.sink().outlet()
    }

    pub(crate) fn dispatcher(&self) -> &Dispatcher {
        self.reply.dispatcher()
    }

    pub(crate) fn ends(&self) -> &Arc<Ends> {
        &self.ends
    }

    pub(crate) fn arrived(&self) -> Instant {
        self.arrived
    }

    /// How long it waited to be called, where that is measured.
    pub(crate) fn waited(&self, called: Instant) -> Option<Duration> {
        Some(called.saturating_duration_since(self.complete?))
    }

    /// An application has it from now on.
    pub(crate) fn note_called(&mut self) {
        self.standing = Standing::Called;
    }

    /// Another exchange has answered in its place, and has had the line in the access log.
    pub(crate) fn note_answered_in_place(&mut self) {
        self.standing = Standing::Over;
    }

    /// The server answers it itself.
    pub(crate) fn note_unserved(&mut self) {
        self.standing = Standing::Unserved;
    }

    /// Answers it with a file of the site.
    pub(crate) fn serve_site(&mut self, answer: &Answer) {
        let number = self.dispatcher().site.next_body();
        // A file has its coded siblings, if any.
        self.reply.leave_uncompressed();
        if let Err(error) = answer.send(&self.request, number, &mut self.reply) {
            log::debug!("a file was not sent: {error}");
        }
    }

    /// Its client left before a thread took it.
    pub(crate) fn note_abandoned(&mut self) {
        self.standing = Standing::Unserved;
        self.forsake();
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

    /// What a load balancer has told of the connection with the PROXY protocol.
    #[must_use]
    pub fn proxied(&self) -> Option<&Arc<Proxied>> {
        self.ends.proxied.as_ref()
    }

    /// The scheme that the client used, as far as it can be known.
    #[must_use]
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// What was agreed on in the TLS handshake of the connection, if there was one.
    #[must_use]
    pub fn tls(&self) -> Option<&TlsInfo> {
        self.ends.tls.as_deref()
    }

    /// How long ago the first byte of the request was read.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.arrived.elapsed()
    }

    /// The id that the request carries, where requests do.
    #[must_use]
    pub fn request_id(&self) -> Option<&[u8]> {
        let ids = self.dispatcher().options.request_ids.as_ref()?;
        self.request.field(ids.field())
    }

    /// The ids of the trace and of the caller's span (W3C Trace Context).
    #[must_use]
    pub fn trace_ids(&self) -> Option<(&[u8], &[u8])> {
        trace_ids(self.request.field(b"traceparent")?)
    }

    /// Takes the values of the variables that access lines show ([`crate::Server::access_variables`]), in their order.
    pub fn note_variables(&mut self, values: Vec<Option<Vec<u8>>>) {
        self.variables = values;
    }

    /// A descriptor of the socket, for the application to look at it. The server goes on using the connection, so the
    /// flags that both descriptors share must stay as they are.
    ///
    /// # Errors
    /// The process may have no more descriptors.
    pub fn look_at_socket(&self) -> io::Result<OwnedFd> {
        Ok(self.link().socket().try_clone()?.into())
    }

    /// Whether a rest of the body may be there and unread, with the next request behind it.
    pub(crate) fn has_unread_body(&self) -> bool {
        self.inlet.as_ref().is_some_and(|inlet| !inlet.is_whole())
    }

    /// Gives up on a client that has left: nothing more is sent to it. Where no response has begun, the access log has
    /// nginx's statuses: 400 for a request that was not complete, else 499.
    pub fn forsake(&mut self) {
        let is_whole = self.inlet.as_ref().is_none_or(|inlet| inlet.is_whole());
        self.reply.forsake(if is_whole { 499 } else { 400 });
    }
}
