//! Listening sockets, and the rules of accepting: only while a thread is free to take the request, so that the kernel's
//! queue is the one queue for all workers.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::Arc;

use mio::Interest;
use mio::unix::SourceFd;
use rustix::net::{SocketAddrAny, SocketFlags, acceptfrom_with};
use settings::Address;
use socket2::{SockAddr, Socket};

use crate::connection::Connection;
use crate::outlet::Outlet;
use crate::peer::{Ends, Local};
use crate::reactor::{Life, Reactor};

/// Connections accepted in one turn at the most: a burst must not hold up those that are served.
const BATCH: usize = 64;
/// How long no connection is accepted after the process ran out of descriptors.
const PAUSE: u64 = 1000;

/// A listening socket and what it is bound to.
#[derive(Debug)]
pub struct Listener {
    /// The socket: listening and non-blocking.
    pub socket: OwnedFd,
    /// Its address as the operator wrote it.
    pub address: Address,
}

/// How one attempt to accept went.
enum Accepted {
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
        for (index, listener) in self.listeners.iter().enumerate() {
            let (poller, source) = (self.poll.registry().as_fd(), listener.socket.as_fd());
            let result = match wanted {
                true => sys::epoll::add_exclusive(
                    poller,
                    source,
                    Reactor::listener_token(index).0 as u64,
                ),
                false => sys::epoll::delete(poller, source),
            };
            if let Err(error) = result {
                log::error!(
                    "the listener {} could not be watched: {error}",
                    listener.address
                );
            }
        }
    }

    /// Accepts until `free` requests are there, the queues are empty or the batch is full.
    pub(crate) fn accept(&mut self, free: u32) {
        let already = self.ready.len();
        let mut queues_empty = 0;
        for index in 0..self.listeners.len() {
            for _ in 0..BATCH {
                if self.ready.len() - already >= free as usize {
                    return;
                }
                match self.accept_one(index) {
                    Accepted::Connection => {}
                    Accepted::QueueEmpty => {
                        queues_empty += 1;
                        break;
                    }
                    Accepted::Stop => return,
                }
            }
        }
        if queues_empty == self.listeners.len() && matches!(self.life, Life::Draining { .. }) {
            self.stop_listening();
        }
    }

    fn accept_one(&mut self, index: usize) -> Accepted {
        if self.connections.len() >= self.connection_limit && !self.close_an_idle_one() {
            self.listen(false);
            return Accepted::Stop;
        }
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        match acceptfrom_with(&self.listeners[index].socket, flags) {
            Ok((socket, address)) => {
                self.admit(index, socket, address);
                Accepted::Connection
            }
            Err(rustix::io::Errno::AGAIN) => Accepted::QueueEmpty,
            // The client gave up while it waited; the next one may be well.
            Err(rustix::io::Errno::CONNABORTED | rustix::io::Errno::INTR) => Accepted::Connection,
            Err(error) => {
                log::error!("no connection could be accepted: {error}; trying again in a second");
                self.pause_until = self.now + PAUSE;
                self.listen(false);
                Accepted::Stop
            }
        }
    }

    fn admit(&mut self, index: usize, socket: OwnedFd, address: Option<SocketAddrAny>) {
        let socket = Socket::from(socket);
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
        self.serial += 1;
        let serial = self.serial;
        let outlet = Arc::new(Outlet::new(socket));
        let entry = self.connections.vacant_entry();
        let key = entry.key();
        let descriptor = outlet.as_raw_fd();
        entry.insert(Connection::new(outlet, ends, serial));
        let registry = self.poll.registry();
        let interest = Interest::READABLE | Interest::WRITABLE;
        if let Err(error) = registry.register(&mut SourceFd(&descriptor), mio::Token(key), interest)
        {
            log::error!("a connection could not be watched: {error}");
            self.connections.remove(key);
            return;
        }
        self.crew.publish_connections(self.connections.len());
        self.set_deadline(key, self.crew.options.header_timeout);
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
        Ok(Ends::of(peer, local, &self.crew.options.trusted))
    }

    /// At the limit of connections an idle one makes room for a new one, as in nginx: whoever has something to ask comes
    /// before whoever may have something to ask some day.
    fn close_an_idle_one(&mut self) -> bool {
        let idle = self
            .connections
            .iter()
            .find(|(_, connection)| connection.is_idle());
        let key = idle.map(|(key, _)| key);
        key.map(|key| self.close(key)).is_some()
    }
}

/// The near end of an accepted connection; an inherited descriptor may be of either family.
fn local(address: &SockAddr) -> Local {
    match (address.as_socket(), address.as_pathname()) {
        (Some(address), _) => Local::Inet(address),
        (None, Some(path)) => Local::Unix(path.to_path_buf()),
        (None, None) => Local::Unix(std::path::PathBuf::new()),
    }
}
