//! Handing connections to other workers. A kept-alive connection whose next request arrives at a saturated worker, or
//! that sits idle on a worker that has to go, travels with its unread bytes through a socket that all workers share and
//! read like a second accept queue. Only between requests: nothing of a request has been parsed when its connection
//! travels.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use proto::proxy::ProxyHeader;
use socket2::Socket;
use sys::fdpass::{Handed, Queue};
use sys::scoreboard::{Scoreboard, Slot, State};

use crate::accept::{Accepted, local};
use crate::codec::Codec;
use crate::connection::{Connection, Fate};
use crate::link::Link;
use crate::peer::Ends;
use crate::proxy_header::read_travelling;
use crate::reactor::Reactor;
use crate::timers::Millis;
use crate::turn::Turn;

/// Stands before the bytes of a message, because a descriptor needs a byte to travel with, and says how to read the
/// rest: unread bytes of the client.
const PLAIN: u8 = 1;
/// The same where a load balancer has told whose connection it is: its PROXY header stands before the unread bytes.
const PROXIED: u8 = 2;
/// Unread bytes that may travel. A message must fit the socket's buffer, and a client that has sent more than this
/// without waiting for an answer can wait for one.
const UNREAD: usize = 16 * 1024;
/// How long the answer to "are there other workers?" is believed, in milliseconds.
const CENSUS: Millis = 100;
/// How often a saturated worker looks whether another one has become free for the requests that wait here.
pub(crate) const RECHECK: Millis = 5;
/// Requests taken from those that wait without asking the poller for new ones. Asking costs a system call, which one
/// request should not have to pay alone; more than a few would let a busy connection starve a quiet one.
const UNPOLLED: u32 = 16;

/// What a worker needs to know the others.
#[derive(Debug)]
pub struct Siblings {
    /// All workers of this arbiter.
    pub board: Scoreboard,
    /// Where connections are put and taken from. The arbiter closes it when all workers have to go.
    pub queue: Queue,
}

/// The reactor's side of the handover.
#[derive(Debug)]
pub(crate) struct Handover {
    siblings: Siblings,
    own_slot: Slot,
    threads: u32,
    counted: Option<Millis>,
    pub(crate) has_others: bool,
    unpolled: u32,
}

impl Handover {
    pub(crate) fn new(siblings: Siblings, own_slot: Slot, threads: u32) -> Handover {
        Handover {
            siblings,
            own_slot,
            threads,
            counted: None,
            has_others: false,
            unpolled: 0,
        }
    }

    pub(crate) fn source(&self) -> BorrowedFd<'_> {
        self.siblings.queue.as_fd()
    }

    fn others(&self) -> impl Iterator<Item = Slot> {
        let slots = (0..self.siblings.board.slots()).map(|index| self.siblings.board.slot(index));
        slots.filter(|slot| slot.index() != self.own_slot.index() && slot.state() == State::Ready)
    }

    /// Finds out whether other workers serve. The last answer is believed for a while, because it is wanted in every
    /// turn: shorter where it was no, since what is read by mistake is bound to this worker, and not at all by a worker
    /// without a free thread, which has the time to look.
    pub(crate) fn count(&mut self, now: Millis, free: u32) {
        let believed = match (free, self.has_others) {
            (0, _) => 0,
            (_, true) => CENSUS,
            (_, false) => RECHECK,
        };
        if self.counted.is_none_or(|counted| now >= counted + believed) {
            self.counted = Some(now);
            let any = self.others().next().is_some();
            self.has_others = any;
        }
    }

    /// Whether a worker with `own` connections has more of them than the others have.
    pub(crate) fn is_ahead(&self, own: usize) -> bool {
        let others = self.others().map(|slot| slot.connections());
        exceeds_share(own, others)
    }

    /// Whether another worker could serve a request now.
    fn is_another_free(&self) -> bool {
        self.others().any(|slot| slot.in_flight() < self.threads)
    }
}

/// Whether `own` connections are more than the mean of the others and an eighth of it.
fn exceeds_share(own: usize, others: impl Iterator<Item = u32>) -> bool {
    let add = |(workers, held), one| (workers + 1, held + u64::from(one));
    let (workers, held): (u64, u64) = others.fold((0, 0), add);
    8 * own as u64 * workers > 9 * held
}

impl Reactor {
    /// Serves those that wait, as far as threads are free. Says whether there is enough to do to leave the poller
    /// alone.
    pub(crate) fn serve_waiting(&mut self) -> bool {
        while self.turn.ready.len() < self.turn.admission.free as usize {
            let Some(id) = self.turn.admission.deferred.pop_front() else {
                break;
            };
            self.with_current(id, Connection::end_deferral);
        }
        let enough = !self.turn.ready.is_empty() && self.turn.again.is_empty();
        let Some(handover) = &mut self.handover else {
            return false;
        };
        handover.unpolled = if enough && handover.unpolled < UNPOLLED {
            handover.unpolled + 1
        } else {
            0
        };
        handover.unpolled > 0
    }

    /// Whether another worker could serve a request now.
    pub(crate) fn is_another_free(&self) -> bool {
        self.handover
            .as_ref()
            .is_some_and(Handover::is_another_free)
    }

    /// While no thread is free here, gives those that wait to a worker that is.
    pub(crate) fn give_waiting(&mut self) {
        while self.is_another_free() {
            let Some(id) = self.turn.admission.deferred.pop_front() else {
                return;
            };
            let waits = self
                .current(id)
                .is_some_and(|connection| connection.codec.is_deferred());
            if waits && !self.give(id.key) {
                self.turn.admission.deferred.push_back(id);
                return;
            }
        }
    }

    /// Gives a connection away that is between two requests. It stays where no other worker serves, the queue is full
    /// or too much of it is unread.
    pub(crate) fn give(&mut self, key: usize) -> bool {
        let (Some(connection), Some(handover)) = (self.connections.get(key), &self.handover) else {
            return false;
        };
        let fits = connection.inbound.len() <= UNREAD;
        if !fits || !connection.may_travel() || handover.others().next().is_none() {
            return false;
        }
        let mut message = Vec::with_capacity(1 + connection.inbound.len());
        match &connection.ends.proxied {
            None => message.push(PLAIN),
            Some(proxied) => {
                message.push(PROXIED);
                proxied.header.write(&mut message);
            }
        }
        message.extend_from_slice(&connection.inbound);
        let socket = connection.link.socket();
        match handover.siblings.queue.give(&message, socket.as_fd()) {
            Ok(_) => {
                self.forget(key);
                true
            }
            Err(error) => {
                log::debug!("a connection could not be handed over: {error}");
                false
            }
        }
    }

    /// Takes one connection that another worker gave away.
    pub(crate) fn adopt_one(&mut self) -> Accepted {
        let Some(handover) = &self.handover else {
            return Accepted::QueueEmpty;
        };
        match handover.siblings.queue.take(&mut self.turn.scratch) {
            Ok(Handed {
                file: Some(file),
                length,
            }) if length > 0 && matches!(self.turn.scratch[0], PLAIN | PROXIED) => {
                let message = &self.turn.scratch[1..length];
                let proxied = match self.turn.scratch[0] {
                    PROXIED => read_travelling(message),
                    _ => None,
                };
                let (header, skipped) = match proxied {
                    Some((header, skipped)) => (Some(header), skipped),
                    None => (None, 0),
                };
                let unread = message[skipped..].to_vec();
                self.make_room();
                self.adopt(Socket::from(file), unread, header);
                Accepted::Connection
            }
            Ok(Handed {
                length: 0,
                file: None,
            }) => {
                self.stop_taking();
                Accepted::QueueEmpty
            }
            Ok(_) => {
                // recvmsg(2): a process that has no descriptor free gets the bytes alone.
                log::error!(
                    "a connection that another worker gave away was lost: no descriptor is free"
                );
                Accepted::Connection
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Accepted::QueueEmpty,
            Err(error) => {
                log::error!("no connection could be taken over: {error}");
                Accepted::QueueEmpty
            }
        }
    }

    fn adopt(&mut self, socket: Socket, unread: Vec<u8>, header: Option<ProxyHeader>) {
        let ends = socket
            .peer_addr()
            .and_then(|peer| Ok((peer, socket.local_addr()?)));
        // It may have been reset on the way.
        let Ok((peer, near)) = ends else { return };
        let options = &self.turn.dispatcher.options;
        let mut ends = Ends::of(peer.as_socket(), local(&near), &options.trusted);
        if let Some(header) = header {
            ends = ends.behind(header, &options.trusted);
        }
        let read_by = (self.turn.now()).saturating_add(options.session.keep_alive);
        let codec = Codec::first(read_by, &ends, &self.turn);
        // Only plain connections travel.
        let link = Link::new(socket);
        self.admit(link, Arc::new(ends), unread, codec, Connection::progress);
    }

    /// Whether other workers go on serving when this one ends. Its clients, and those in the queue, are theirs then.
    pub(crate) fn has_successors(&mut self) -> bool {
        // The end of the queue stands behind the connections that are still in it, so those are taken first.
        while matches!(self.adopt_one(), Accepted::Connection) {}
        self.handover
            .as_ref()
            .is_some_and(|handover| handover.others().next().is_some())
    }

    /// The arbiter ends all workers: there is no worker to take from or give to. Requests that waited for another
    /// worker are served here.
    fn stop_taking(&mut self) {
        let listening = self.listen.is_on();
        self.listen(false);
        self.handover = None;
        self.turn.admission.has_others = false;
        self.listen(listening && !self.life.is_closing());
        for id in std::mem::take(&mut self.turn.admission.deferred) {
            self.with_current(id, Connection::end_deferral);
        }
    }
}

impl Connection {
    /// A thread is free for a request that waits, or no other worker will serve it.
    pub(crate) fn end_deferral(&mut self, turn: &mut Turn) -> Fate {
        self.resume(turn);
        self.progress(turn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_has_more_than_the_others_exceeds_its_share() {
        let exceeds = |own, others: &[u32]| exceeds_share(own, others.iter().copied());
        assert!(!exceeds(0, &[0, 0]) && !exceeds(1000, &[]));
        assert!(exceeds(1, &[0]) && exceeds(2, &[1]) && !exceeds(1, &[1]));
        assert!(!exceeds(90, &[80]) && exceeds(91, &[80]));
        assert!(!exceeds(60, &[100, 10, 50]) && exceeds(61, &[100, 10, 50]));
    }
}
