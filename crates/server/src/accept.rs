//! Listening sockets, and the rules of accepting: only while a thread is free to take the request, so that the kernel's
//! queue is the one queue for all workers. An event loop takes any number of requests, so there the workers look how many
//! connections the others have.

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;

use mio::Interest;
use mio::unix::SourceFd;
use rustix::net::{SocketAddrAny, SocketFlags, acceptfrom_with};
use settings::Address;
use socket2::{SockAddr, Socket};
use sys::forks::Private;

use crate::connection::Connection;
use crate::handover::Handover;
use crate::link::Link;
use crate::options::Bodies;
use crate::peer::{Ends, Local, canonical};
use crate::reactor::{Life, Reactor};
use crate::timers::Millis;

/// Connections accepted in one turn at the most: a burst must not hold up those that are served.
const BATCH: usize = 64;
/// How long no connection is accepted after the process ran out of descriptors.
const PAUSE: Millis = 1000;
/// How long none is accepted while `worker_connections` are open and all of them are in use.
const CROWDED: Millis = 100;
/// How long an event loop that has more connections than the others leaves new clients to them. All of them have heard of
/// those clients, so who is still in the queue afterwards waits for workers that are busy.
const COURTESY: Millis = 2;
/// How many of those it takes then, before it looks at the others again.
const LEFT_OVER: usize = 8;

/// A listening socket and what it is bound to.
#[derive(Debug)]
pub struct Listener {
    /// The socket: listening and non-blocking.
    pub socket: Private,
    /// Its address as the operator wrote it.
    pub address: Address,
}

/// How one attempt to accept went.
pub(crate) enum Accepted {
    Connection,
    QueueEmpty,
    Stop,
}

impl Reactor {
    /// Registers the listeners with the poller, or takes them out of it. They report as long as somebody waits, so a
    /// worker that may not accept must not watch them.
    pub(crate) fn listen(&mut self, wanted: bool) {
        let wanted = wanted && self.now >= self.pause_until;
        if wanted == self.listening {
            return;
        }
        self.listening = wanted;
        let handover = self.handover.iter().map(Handover::source);
        let listeners = self
            .listeners
            .iter()
            .map(|listener| listener.socket.as_fd());
        for (index, source) in handover.chain(listeners).enumerate() {
            let poller = self.poll.registry().as_fd();
            let result = match wanted {
                true => sys::epoll::add_exclusive(poller, source, Reactor::queue_token(index)),
                false => sys::epoll::delete(poller, source),
            };
            if let Err(error) = result {
                log::error!("a listener could not be watched: {error}");
            }
        }
    }

    /// Accepts until `free` requests are there, the queues are empty or the batch is full. Each listener in its turn comes
    /// first: a worker that takes one client at a time would otherwise never see those of the second while the first has any.
    pub(crate) fn accept(&mut self, free: u32) {
        let mut left_over = match std::mem::take(&mut self.yielding) {
            true => LEFT_OVER,
            false => 0,
        };
        let already = self.taken();
        let mut queues_empty = 0;
        // What other workers gave away has waited longest.
        let (first, count) = (self.first_listener, self.listeners.len());
        self.first_listener = (first + 1) % count.max(1);
        let listeners = (0..count).map(|index| Some((first + index) % count));
        for queue in [None].into_iter().chain(listeners) {
            for _ in 0..BATCH {
                if self.taken().saturating_sub(already) >= free as usize {
                    return;
                }
                if left_over == 0 && self.is_ahead() {
                    self.pause(COURTESY);
                    self.yielding = true;
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
        if queues_empty > self.listeners.len() && matches!(self.life, Life::Draining { .. }) {
            self.stop_listening();
        }
    }

    /// The requests that this worker has taken on and no thread has taken yet.
    fn taken(&self) -> usize {
        let waiting = self
            .handover
            .as_ref()
            .map_or(0, |handover| handover.waiting.len());
        self.ready.len() + waiting
    }

    fn accept_one(&mut self, index: usize) -> Accepted {
        let crowded = self.connections.len() >= self.connection_limit;
        let leaving = crowded.then(|| self.idle_for_longest()).flatten();
        if crowded && leaving.is_none() {
            return self.pause(CROWDED);
        }
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        match acceptfrom_with(&self.listeners[index].socket, flags) {
            Ok((socket, address)) => {
                if let Some(key) = leaving {
                    self.close(key);
                }
                self.welcome(index, Socket::from(socket), address);
                Accepted::Connection
            }
            Err(rustix::io::Errno::AGAIN) => Accepted::QueueEmpty,
            // The client gave up while it waited; the next one may be well.
            Err(rustix::io::Errno::CONNABORTED | rustix::io::Errno::INTR) => Accepted::Connection,
            Err(error) => {
                log::error!("no connection could be accepted: {error}; trying again in a second");
                self.pause(PAUSE)
            }
        }
    }

    /// Whether the next client had better go to another event loop, where its connection will stay.
    fn is_ahead(&self) -> bool {
        let is_loop = self.dispatcher.options.bodies() == Bodies::Streamed;
        let handover = self.handover.as_ref();
        is_loop
            && matches!(self.life, Life::Serving)
            && handover.is_some_and(|handover| handover.is_ahead(self.connections.len()))
    }

    /// Ends a courtesy with its reason: connections that come and go leave nothing to be shared out.
    pub(crate) fn reconsider(&mut self) {
        self.yielding &= !self.listening;
        if self.yielding && self.free > 0 && !self.is_ahead() {
            self.yielding = false;
            self.pause_until = self.now;
            self.listen(!matches!(self.life, Life::Closing));
        }
    }

    fn pause(&mut self, span: Millis) -> Accepted {
        self.pause_until = self.now + span;
        self.listen(false);
        Accepted::Stop
    }

    fn welcome(&mut self, index: usize, socket: Socket, address: Option<SocketAddrAny>) {
        let ends = match self.ends(index, &socket, address) {
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
        self.admit(
            socket,
            ends,
            Vec::new(),
            self.dispatcher.options.header_timeout,
        );
    }

    /// Makes a socket one of the worker's connections. `unread` has been read from it, and `patience` is how long it may
    /// be silent, in milliseconds.
    pub(crate) fn admit(
        &mut self,
        socket: Socket,
        ends: Arc<Ends>,
        unread: Vec<u8>,
        patience: Millis,
    ) {
        self.serial += 1;
        let serial = self.serial;
        let link = Arc::new(Link::new(socket));
        let entry = self.connections.vacant_entry();
        let key = entry.key();
        let descriptor = link.as_raw_fd();
        entry.insert(Connection::new(link, ends, serial, unread, self.instant));
        let registry = self.poll.registry();
        let interest = Interest::READABLE | Interest::WRITABLE;
        if let Err(error) = registry.register(&mut SourceFd(&descriptor), mio::Token(key), interest)
        {
            log::error!("a connection could not be watched: {error}");
            self.connections.remove(key);
            return;
        }
        self.dispatcher.publish_connections(self.connections.len());
        self.set_deadline(key, patience);
        self.progress(key);
    }

    fn ends(
        &self,
        index: usize,
        socket: &Socket,
        address: Option<SocketAddrAny>,
    ) -> io::Result<Ends> {
        let peer = address.and_then(|address| std::net::SocketAddr::try_from(address).ok());
        let local = match &self.listeners[index].address {
            Address::Unix(path) => Local::Unix(path.clone()),
            _ => local(&socket.local_addr()?),
        };
        Ok(Ends::of(peer, local, &self.dispatcher.options.trusted))
    }

    /// At the limit of connections the one that has been idle for longest makes room for a new one, as in nginx: whoever has
    /// something to ask comes before whoever may have something to ask some day. One whose request is there and waits for
    /// a thread has asked already.
    fn idle_for_longest(&self) -> Option<usize> {
        let idle = self
            .connections
            .iter()
            .filter(|(_, connection)| connection.is_idle() && !connection.has_unread());
        idle.min_by_key(|(_, connection)| (connection.since, connection.serial))
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
