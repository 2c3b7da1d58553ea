//! Listening sockets, and the rules of accepting: only while a thread is free to take the request, so that the kernel's
//! queue is the one queue for all workers. An event loop takes any number of requests, so there the workers look how
//! many connections the others have.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;

use settings::Address;
use socket2::{SockAddr, Socket};
use sys::forks::Private;
use sys::shared_flag::SharedFlag;

use crate::codec::Codec;
use crate::connection::{Connection, ConnectionId, Fate};
use crate::descriptors::{CLOSED_AT_ONCE, Descriptors};
use crate::handover::Handover;
use crate::link::Link;
use crate::options::Lead;
use crate::peer::{Ends, Local, canonical};
use crate::reactor::Reactor;
use crate::timers::Millis;
use crate::turn::Turn;

/// Connections accepted in one turn at the most: a burst must not hold up those that are served.
const BATCH: usize = 64;
/// How long no connection is accepted after the system has refused one.
const PAUSE: Millis = 1000;
/// How long none is accepted while `worker_connections` are open and all of them are in use.
const CROWDED: Millis = 100;
/// How long an event loop that has more connections than the others leaves new clients to them. All of them have heard
/// of those clients, so who is still in the queue afterwards waits for workers that are busy.
const COURTESY: Millis = 2;
/// How long handshakes that have begun may take before a listener is closed, in milliseconds: a round trip to most
/// places. A client that is told that it is connected would be reset otherwise.
const SETTLING: Millis = 200;
/// Clients that are taken from a queue before it is closed, at the most: more than a queue holds.
const REST: usize = 1 << 16;
/// How many of those it takes then, before it looks at the others again.
const LEFT_OVER: usize = 8;

/// A listening socket and what it is bound to.
#[derive(Debug)]
pub struct Listener {
    /// The socket: listening and non-blocking.
    pub socket: Private,
    /// Its address as the operator wrote it.
    pub address: Address,
    /// Raised when no other process will accept from it: the worker that leaves closes it, and no client is left in its
    /// queue.
    pub ending: SharedFlag,
}

impl Listener {
    /// How long a handshake that has begun may take to come to its end. Over loopback it is one step.
    fn settling_time(&self) -> Millis {
        let is_near = match local_of(self) {
            Some(address) => address.ip().to_canonical().is_loopback(),
            None => true,
        };
        match is_near {
            true => 0,
            false => SETTLING,
        }
    }
}

/// Where it listens, where that is an address of the internet's families.
fn local_of(listener: &Listener) -> Option<SocketAddr> {
    socket2::SockRef::from(&listener.socket)
        .local_addr()
        .ok()?
        .as_socket()
}

/// How one attempt to accept went.
pub(crate) enum Accepted {
    Connection,
    QueueEmpty,
    Stop,
}

/// What a connection does as soon as it is the worker's.
type FirstLook = fn(&mut Connection, &mut Turn) -> Fate;

/// The listeners of a worker, and whether it accepts.
#[derive(Debug)]
pub(crate) struct Listen {
    listeners: Vec<Listener>,
    /// The poller watches them.
    is_on: bool,
    /// New clients were left to the other workers, and this one has not looked since who is still there.
    yielding: bool,
    /// The listener that is the first to be accepted from next time.
    first: usize,
    pause_until: Millis,
    descriptors: Descriptors,
}

impl Listen {
    pub(crate) fn new(listeners: Vec<Listener>, descriptors: Descriptors) -> Listen {
        Listen {
            listeners,
            is_on: false,
            yielding: false,
            first: 0,
            pause_until: 0,
            descriptors,
        }
    }

    /// Whether the poller watches the queues of clients.
    pub(crate) fn is_on(&self) -> bool {
        self.is_on
    }

    /// When a pause ends, if there is one.
    pub(crate) fn pause(&self, now: Millis) -> Option<Millis> {
        (self.pause_until > now).then_some(self.pause_until)
    }

    /// Gives the listeners up: no client is accepted any more. Those that no other process accepts from are closed.
    pub(crate) fn clear(&mut self) {
        for listener in self.listeners.drain(..) {
            if listener.ending.is_raised() {
                // It may be closed already, by another worker.
                let _ = sys::listening::close(listener.socket.as_fd());
            }
        }
    }

    /// Leaves to the others what they go on accepting from.
    pub(crate) fn keep_ending(&mut self) {
        self.listeners
            .retain(|listener| listener.ending.is_raised());
    }

    /// Lets no further client into the queues that are to be closed. Says after how long those that have knocked are
    /// in them.
    pub(crate) fn stop_admitting(&self) -> Millis {
        let ending = self
            .listeners
            .iter()
            .filter(|listener| listener.ending.is_raised());
        let settled = ending.map(|listener| {
            if let Err(error) = sys::listening::stop_admitting(listener.socket.as_fd()) {
                log::debug!("a listener lets clients in until it is closed: {error}");
            }
            listener.settling_time()
        });
        settled.max().unwrap_or(0)
    }

    /// The listeners in the order in which they are accepted from this time. Each in its turn comes first: a worker
    /// that takes one client at a time would otherwise never see those of the second while the first has any.
    fn order(&mut self) -> impl Iterator<Item = usize> + use<> {
        let (first, count) = (self.first, self.listeners.len());
        self.first = (first + 1) % count.max(1);
        (0..count).map(move |index| (first + index) % count)
    }
}

impl Reactor {
    /// Registers the listeners with the poller, or takes them out of it. They report as long as clients wait, so a
    /// worker that may not accept must not watch them.
    pub(crate) fn listen(&mut self, wanted: bool) {
        let wanted = wanted && self.turn.now() >= self.listen.pause_until;
        if wanted == self.listen.is_on {
            return;
        }
        self.listen.is_on = wanted;
        let handover = self.handover.iter().map(Handover::source);
        let listeners = self.listen.listeners.iter();
        let listeners = listeners.map(|listener| listener.socket.as_fd());
        for (index, source) in handover.chain(listeners).enumerate() {
            if let Err(error) = self.poller.watch_queue(index, source, wanted) {
                log::error!("a listener could not be watched: {error}");
            }
        }
    }

    /// Accepts until `free` requests are there, the queues are empty or the batch is full.
    pub(crate) fn accept(&mut self, free: u32) {
        let mut left_over = match std::mem::take(&mut self.listen.yielding) {
            true => LEFT_OVER,
            false => 0,
        };
        let already = self.taken();
        let mut queues_empty = 0;
        // What other workers gave away has waited longest.
        let listeners = self.listen.order().map(Some);
        for queue in [None].into_iter().chain(listeners) {
            for _ in 0..BATCH {
                if self.taken().saturating_sub(already) >= free as usize {
                    return;
                }
                if left_over == 0 && self.is_ahead() {
                    self.pause(COURTESY);
                    self.listen.yielding = true;
                    return;
                }
                let accepted = match queue {
                    None => self.adopt_one(),
                    Some(index) => self.accept_one(index),
                };
                match accepted {
                    Accepted::Connection => left_over = left_over.saturating_sub(1),
                    Accepted::QueueEmpty => {
                        queues_empty += 1;
                        break;
                    }
                    Accepted::Stop => return,
                }
            }
        }
        if queues_empty > self.listen.listeners.len() && self.life.is_draining() {
            self.begin_closing();
        }
    }

    /// Takes the clients that are left in the queues that are about to be closed, whether a thread is free or not: they
    /// have been told that they are connected.
    pub(crate) fn accept_rest(&mut self) {
        for index in 0..self.listen.listeners.len() {
            let is_ending = |listener: &Listener| listener.ending.is_raised();
            if !self.listen.listeners.get(index).is_some_and(is_ending) {
                continue;
            }
            for _ in 0..REST {
                match self.accept_one(index) {
                    Accepted::Connection => {}
                    Accepted::QueueEmpty | Accepted::Stop => break,
                }
            }
        }
    }

    /// Another worker has closed the listener for all.
    fn forget_listener(&mut self, index: usize) -> Accepted {
        self.listen(false);
        self.listen.listeners.remove(index);
        Accepted::QueueEmpty
    }

    /// The requests that this worker has taken on and no thread has taken yet.
    fn taken(&self) -> usize {
        self.turn.ready.len() + self.turn.admission.deferred.len()
    }

    fn accept_one(&mut self, index: usize) -> Accepted {
        self.spare_descriptors();
        let crowded = self.is_crowded();
        let leaving = crowded.then(|| self.idle_for_longest()).flatten();
        if crowded && leaving.is_none() {
            return self.pause(CROWDED);
        }
        let Some(listener) = self.listen.listeners.get(index) else {
            return Accepted::QueueEmpty;
        };
        match sys::socket::accept(listener.socket.as_fd()) {
            Ok((socket, address)) => {
                let socket = Socket::from(socket);
                let ends = self.ends(listener, &socket, address);
                if let Some(key) = leaving {
                    self.close(key);
                }
                self.welcome(socket, ends);
                Accepted::Connection
            }
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock => Accepted::QueueEmpty,
                // The client gave up while it waited; the next one may be well.
                io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted => {
                    Accepted::Connection
                }
                _ if sys::listening::is_over(&error) => self.forget_listener(index),
                _ if sys::fds::are_used_up(&error) => {
                    let now = self.turn.now();
                    self.listen.descriptors.complain(&error, now);
                    match self.close_idle(1) {
                        0 => self.pause(CROWDED),
                        // There is room to try it again.
                        _ => Accepted::Connection,
                    }
                }
                _ => {
                    log::error!(
                        "no connection could be accepted: {error}; trying again in a second"
                    );
                    self.pause(PAUSE)
                }
            },
        }
    }

    /// Whether as many connections are open as may be.
    fn is_crowded(&self) -> bool {
        self.connections.len() >= self.listen.descriptors.connections
    }

    /// Closes idle connections where the application has taken more descriptors than were left to it.
    fn spare_descriptors(&mut self) {
        let held = self.connections.len();
        self.listen.descriptors.count(held, self.turn.now());
        let beyond = held.saturating_sub(self.listen.descriptors.connections);
        self.close_idle(beyond.min(CLOSED_AT_ONCE));
    }

    /// Makes room for a connection that another worker has given away.
    pub(crate) fn make_room(&mut self) {
        self.spare_descriptors();
        if self.is_crowded() {
            self.close_idle(1);
        }
    }

    /// Closes up to so many connections, those that have been idle for longest, and says how many.
    fn close_idle(&mut self, most: usize) -> usize {
        for closed in 0..most {
            match self.idle_for_longest() {
                Some(key) => self.close(key),
                None => return closed,
            }
        }
        most
    }

    /// Whether the next client had better go to another event loop, where its connection will stay.
    fn is_ahead(&self) -> bool {
        let is_loop = self.turn.dispatcher.options.lead() == Lead::EventLoop;
        let handover = self.handover.as_ref();
        is_loop
            && self.life.is_serving()
            && handover.is_some_and(|handover| handover.is_ahead(self.connections.len()))
    }

    /// Ends a courtesy with its reason: connections that come and go leave nothing to be shared out.
    pub(crate) fn reconsider(&mut self) {
        self.listen.yielding &= !self.listen.is_on;
        if self.listen.yielding && self.turn.admission.free > 0 && !self.is_ahead() {
            self.listen.yielding = false;
            self.listen.pause_until = self.turn.now();
            self.listen(!self.life.is_closing());
        }
    }

    fn pause(&mut self, span: Millis) -> Accepted {
        self.listen.pause_until = self.turn.now() + span;
        self.listen(false);
        Accepted::Stop
    }

    fn welcome(&mut self, socket: Socket, ends: io::Result<Ends>) {
        let first: FirstLook = match sys::socket::is_gone(socket.as_fd()) {
            true => Connection::hear_departed,
            false => Connection::progress,
        };
        let ends = match ends {
            Ok(ends) => Arc::new(ends),
            Err(error) => {
                log::debug!("a client left before it was accepted: {error}");
                return;
            }
        };
        if matches!(ends.local, Local::Inet(_)) {
            // A response leaves in one piece as far as it can; Nagle's algorithm would only hold back its last segment.
            let _ = socket.set_tcp_nodelay(true);
        }
        let Some(link) = self.link(socket) else {
            return;
        };
        let read_by = (self.turn.now()).saturating_add(self.turn.settings.header_timeout);
        let codec = Codec::accepted(read_by, &ends, &link, &self.turn);
        self.admit(link, ends, Vec::new(), codec, first);
    }

    /// What the bytes of an accepted connection go through.
    fn link(&self, socket: Socket) -> Option<Link> {
        let Some(tls) = &self.turn.dispatcher.options.tls else {
            return Some(Link::new(socket));
        };
        match tls.session() {
            Ok(session) => Some(Link::secured(socket, session)),
            Err(error) => {
                log::error!("a TLS connection could not be begun: {error}");
                None
            }
        }
    }

    /// Makes a link one of the worker's connections, which begins so. `unread` has been read from it. `first` is what
    /// it does at once: a request often is there already.
    pub(crate) fn admit(
        &mut self,
        link: Link,
        ends: Arc<Ends>,
        unread: Vec<u8>,
        codec: Codec,
        first: FirstLook,
    ) {
        self.serial += 1;
        let entry = self.connections.vacant_entry();
        let id = ConnectionId {
            key: entry.key(),
            serial: self.serial,
        };
        let link = Arc::new(link);
        if let Err(error) = self.poller.register(link.as_raw_fd(), id.key) {
            log::error!("a connection could not be watched: {error}");
            return;
        }
        entry.insert(Connection::new(link, ends, id, unread, codec, &self.turn));
        self.publish_connections();
        self.with(id.key, first);
    }

    fn ends(
        &self,
        listener: &Listener,
        socket: &Socket,
        address: Option<SocketAddr>,
    ) -> io::Result<Ends> {
        let local = match &listener.address {
            Address::Unix(path) => Local::Unix(path.clone()),
            _ => local(&socket.local_addr()?),
        };
        Ok(Ends::of(
            address,
            local,
            &self.turn.dispatcher.options.trusted,
        ))
    }

    /// At the limit of connections the one that has been idle for longest makes room for a new one, as in nginx:
    /// a client that has sent a request comes before one that may send a request some day. One whose request is there
    /// and waits for a thread has asked already.
    fn idle_for_longest(&self) -> Option<usize> {
        let idle = self
            .connections
            .iter()
            .filter(|(_, connection)| connection.codec.is_expendable() && !connection.has_unread());
        idle.min_by_key(|(_, connection)| (connection.since, connection.id.serial))
            .map(|(key, _)| key)
    }
}

/// The near end of an accepted connection; an inherited descriptor may be of either family.
pub(crate) fn local(address: &SockAddr) -> Local {
    match (address.as_socket(), address.as_pathname()) {
        (Some(address), _) => Local::Inet(canonical(address)),
        (None, Some(path)) => Local::Unix(path.to_path_buf()),
        (None, None) => Local::Unix(std::path::PathBuf::new()),
    }
}
