//! One connection: its socket, the protocol that it speaks, and how it moves on. The reactor looks a connection up once
//! and calls one method of it, which says whether the connection lives on; what comes of it for others goes into the
//! [`Turn`].
//!
//! ```text
//!   accepted ──► Handshake, where there is TLS
//!                │
//!                ▼      a handshake is accepted
//!   accepted ──► H1 ────────────────────────────► WebSocket
//!      │         │ ▲                                  │ it is over
//!      │         │ └──────────────────────────────────┘ (what is left is the end of a connection of HTTP/1)
//!      │         │ ▲
//!      │         │ └──────────────────── H2 (as well)
//!      ▼         │                       ▲
//!   Opening ─────┴───────────────────────┘ the preface
//!                ├─► closed
//!                └─► detached: another worker has it, or the application
//! ```
//!
//! The states within a protocol are those of [`proto::h1::Session`] and [`proto::ws::WebSocketSession`].

use std::io;
use std::ops::ControlFlow;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use proto::h1::session::ExchangeEnd;

use crate::codec::Codec;
use crate::dispatcher::Outcome;
use crate::exchange::ExchangeId;
use crate::head_memory::HeadCharge;
use crate::inlet::Event;
use crate::link::{Flushed, Link};
use crate::peer::Ends;
use crate::shared_websocket::SharedWebSocket;
use crate::sink::SinkError;
use crate::timers::Deadline;
use crate::turn::Turn;
use crate::websockets::{CloseReason, Upgraded};

/// Reads from one connection in a turn; beyond it the others come first (1 MiB with the reactor's buffer).
pub(crate) const READS: usize = 16;

/// Names a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ConnectionId {
    /// Its key, which another connection may have later.
    pub(crate) key: usize,
    /// Distinguishes it from others that have had the same key.
    pub(crate) serial: u64,
}

/// What becomes of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(crate) enum Fate {
    /// It goes on.
    Open,
    /// It is over.
    Closed,
    /// Its socket lives on elsewhere.
    Detached,
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) link: Arc<Link>,
    pub(crate) ends: Arc<Ends>,
    pub(crate) id: ConnectionId,
    pub(crate) codec: Codec,
    /// Since when it stands so: idle, or with a request of which this was the first byte.
    pub(crate) since: Instant,
    /// Bytes that have been read and belong to no request yet. An idle connection has none, and no buffer either.
    pub(crate) inbound: Vec<u8>,
    /// What those bytes count for; see [`HeadMemory`](crate::head_memory::HeadMemory).
    pub(crate) charge: Option<HeadCharge>,
    /// The socket may have more to read. It reports that once (edge-triggered), so it is remembered here.
    pub(crate) readable: bool,
    /// The client has ended its side; what is readable ends with the end of the stream.
    pub(crate) half_closed: bool,
    /// The exchange that it is or was last in.
    pub(crate) exchange: ExchangeId,
    deadline: Deadline,
    /// What the kernel held for the client when its time began to run. A large buffer takes a slow client longer than
    /// `send_timeout` to empty so far that the socket reports, so it is asked whether it shrinks.
    pub(crate) unsent: usize,
}

/// What the poller reports.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Readiness {
    pub(crate) readable: bool,
    pub(crate) writable: bool,
    pub(crate) read_closed: bool,
    /// Nothing can be sent any more.
    pub(crate) broken: bool,
}

impl Readiness {
    pub(crate) fn of(event: &mio::event::Event) -> Readiness {
        Readiness {
            readable: event.is_readable(),
            writable: event.is_writable(),
            read_closed: event.is_read_closed(),
            broken: event.is_error() || event.is_write_closed(),
        }
    }
}

impl Connection {
    /// A connection that begins so. `unread` has been read from it.
    pub(crate) fn new(
        link: Arc<Link>,
        ends: Arc<Ends>,
        id: ConnectionId,
        unread: Vec<u8>,
        codec: Codec,
        turn: &Turn,
    ) -> Connection {
        Connection {
            link,
            ends,
            id,
            codec,
            since: turn.clock.instant,
            inbound: unread,
            charge: None,
            // The request often is there already when a connection is accepted: a look costs less than another wait.
            readable: true,
            half_closed: false,
            exchange: ExchangeId::default(),
            deadline: Deadline::NONE,
            unsent: 0,
        }
    }

    /// Whether the client may still be sending something that will not be read.
    pub(crate) fn has_unread(&self) -> bool {
        self.readable || !self.inbound.is_empty()
    }

    /// Whether it may travel to another worker: nothing of a request has been read, and what has been agreed on with
    /// the client is known there. The keys of TLS are not.
    pub(crate) fn may_travel(&self) -> bool {
        !self.link.is_secure() && (self.codec.is_idle() || self.codec.is_deferred())
    }

    /// Reads what has arrived and does what follows from it.
    pub(crate) fn progress(&mut self, turn: &mut Turn) -> Fate {
        for _ in 0..READS {
            let flow = match self.codec {
                Codec::H1(_) => self.progress_h1(turn),
                Codec::Proxy(_) => self.progress_proxy(turn),
                Codec::Handshake(_) => self.progress_handshake(turn),
                Codec::Opening(_) => return self.progress_opening(turn),
                Codec::H2(_) => return self.progress_h2(turn),
                Codec::WebSocket(_) => return self.progress_websocket(turn),
            };
            if let ControlFlow::Break(fate) = flow {
                return fate;
            }
        }
        turn.again.push(self.id);
        Fate::Open
    }

    /// One `recv`. Where the end of the stream was reported, there is always more to read.
    pub(crate) fn receive(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let received = self.link.receive(buffer)?;
        self.readable = received.has_more || self.half_closed;
        Ok(received.count)
    }

    /// The poller has something to say.
    pub(crate) fn report(&mut self, readiness: Readiness, turn: &mut Turn) -> Fate {
        if readiness.broken {
            self.link.give_up(SinkError::Disconnected);
            match &mut self.codec {
                // What arrived before the connection broke comes first; reading beyond it meets the error.
                Codec::H1(http) if http.session.awaits_request() && readiness.readable => {}
                Codec::Proxy(_) if readiness.readable => {}
                // The thread that answers is told, and ends the exchange.
                Codec::H1(http) if http.session.is_answering() => http.session.lose(),
                _ => return self.forsaken(turn),
            }
        }
        if readiness.read_closed || readiness.broken {
            self.tell_gone(turn);
        }
        self.half_closed |= readiness.read_closed;
        self.readable |= readiness.readable || readiness.read_closed;
        if readiness.writable && self.link.unblock() && self.flush(turn) != Fate::Open {
            return Fate::Closed;
        }
        self.progress(turn)
    }

    /// The client had reset the connection before it was accepted: what it has sent is read for its line in the access
    /// log, and not served.
    pub(crate) fn hear_departed(&mut self, turn: &mut Turn) -> Fate {
        let gone = Readiness {
            readable: true,
            writable: false,
            read_closed: true,
            broken: true,
        };
        self.report(gone, turn)
    }

    /// Goes on with what one turn did not allow, or a thread has told.
    pub(crate) fn go_on(&mut self, turn: &mut Turn) -> Fate {
        if let Codec::H2(_) = self.codec {
            return match self.flush_h2(turn) {
                Fate::Open => self.progress(turn),
                fate => fate,
            };
        }
        let drains = matches!(&self.codec, Codec::H1(http) if http.session.is_draining());
        if (drains || self.link.wants_flush()) && self.flush(turn) != Fate::Open {
            return Fate::Closed;
        }
        self.progress(turn)
    }

    /// Sends on what waits for the client, and watches that it takes something now and then.
    pub(crate) fn flush(&mut self, turn: &mut Turn) -> Fate {
        if let Codec::H2(_) = self.codec {
            return self.flush_h2(turn);
        }
        let (flushed, moved) = self.link.flush();
        if self.link.take_room() {
            turn.events.push(Event::Room(self.exchange));
        }
        let http = match &mut self.codec {
            Codec::H1(http) => http,
            Codec::WebSocket(_) => return self.flushed_websocket(flushed, moved, turn),
            // A client that takes none of the handshake does not get to its end in time.
            Codec::Handshake(_) if flushed == Flushed::Broken => return Fate::Closed,
            Codec::Handshake(_) | Codec::Proxy(_) | Codec::Opening(_) | Codec::H2(_) => {
                return Fate::Open;
            }
        };
        match flushed {
            Flushed::Empty => {
                let step = http.session.sent(&turn.settings, turn.clock.now);
                self.follow(step, turn)
            }
            Flushed::Broken if http.session.is_answering() => {
                self.tell_gone(turn);
                Fate::Open
            }
            Flushed::Broken => Fate::Closed,
            Flushed::More => {
                turn.again.push(self.id);
                self.watch_sending(turn);
                Fate::Open
            }
            Flushed::Blocked => {
                if moved || !http.session.is_sending() {
                    self.watch_sending(turn);
                }
                Fate::Open
            }
        }
    }

    /// Gives a client `send_timeout` to take some of what waits for it.
    pub(crate) fn watch_sending(&mut self, turn: &Turn) {
        self.unsent = self.link.unsent();
        if let Codec::H1(http) = &mut self.codec {
            http.session.took(&turn.settings, turn.clock.now);
        }
    }

    /// Whether the kernel holds less for the client than when its time began to run.
    pub(crate) fn has_taken_some(&self) -> bool {
        self.link.unsent() < self.unsent
    }

    /// Whether a connection whose deadline has passed has moved on all the same. The poller was asked before the clock,
    /// and may have had more to tell than was taken from it: where the processor was with others for a while, there are
    /// bytes that came in time.
    fn catch_up(&mut self, turn: &mut Turn) -> ControlFlow<Fate> {
        let socket = self.link.socket().as_fd();
        let ready = sys::poll::readiness(socket, Duration::ZERO);
        let may_send = ready.writable && self.link.has_pending();
        if !ready.readable && !may_send {
            return ControlFlow::Continue(());
        }
        self.readable |= ready.readable;
        if self.link.unblock() && self.flush(turn) != Fate::Open {
            return ControlFlow::Break(Fate::Closed);
        }
        match self.progress(turn) {
            Fate::Open if self.codec.timeout() <= turn.now() => ControlFlow::Continue(()),
            fate => ControlFlow::Break(fate),
        }
    }

    /// The deadline has passed, unless there is more to be heard.
    pub(crate) fn expire(&mut self, turn: &mut Turn) -> Fate {
        if let ControlFlow::Break(fate) = self.catch_up(turn) {
            return fate;
        }
        match self.codec {
            Codec::H1(_) => match self.expire_h1(turn) {
                Fate::Open => self.progress(turn),
                fate => fate,
            },
            Codec::Proxy(_) => self.expire_proxy(turn),
            Codec::Opening(_) => Fate::Closed,
            Codec::H2(_) => self.expire_h2(turn),
            Codec::WebSocket(_) => self.expire_websocket(turn),
            Codec::Handshake(_) => {
                log::debug!("a TLS handshake was not done in time");
                Fate::Closed
            }
        }
    }

    /// Whether an exchange is, or was last, one of this connection.
    pub(crate) fn is_in(&self, id: ExchangeId) -> bool {
        match &self.codec {
            Codec::H2(http2) => id.connection() == self.id && http2.has(id),
            _ => self.exchange == id,
        }
    }

    /// The exchange that it was in is over.
    pub(crate) fn finished(&mut self, id: ExchangeId, outcome: Outcome, turn: &mut Turn) -> Fate {
        if let Codec::H2(_) = self.codec {
            return self.finished_h2(id, turn);
        }
        let end = match outcome {
            Outcome::Hijacked => return Fate::Detached,
            // Its own state says what is to be done.
            Outcome::Upgraded => return Fate::Open,
            _ if self.link.is_cut() => return Fate::Closed,
            Outcome::KeepAlive => ExchangeEnd::KeepAlive,
            Outcome::Close => ExchangeEnd::Close,
        };
        match self.over(end, turn) {
            // The next request may be there.
            Fate::Open => self.progress(turn),
            fate => fate,
        }
    }

    /// The exchange has become a WebSocket; `close_reason` where the server is at its end.
    pub(crate) fn upgrade(
        &mut self,
        shared: Arc<SharedWebSocket>,
        close_reason: Option<CloseReason>,
        turn: &mut Turn,
    ) -> Fate {
        self.codec = Codec::WebSocket(Box::new(Upgraded::new(shared)));
        turn.again.push(self.id);
        match close_reason {
            Some(close_reason) => self.close_websocket(close_reason, turn),
            None => Fate::Open,
        }
    }

    /// The server comes to its end: idle clients have as long for a last request as the bounds of the turn now say.
    pub(crate) fn wind_down(&mut self, turn: &mut Turn) -> Fate {
        match &mut self.codec {
            Codec::H1(http) => {
                http.session.wind_down(&turn.settings, turn.now());
                Fate::Open
            }
            Codec::H2(_) => self.wind_down_h2(turn),
            Codec::Handshake(handshake) => {
                handshake.wind_down(turn.settings.keep_alive);
                Fate::Open
            }
            Codec::Proxy(awaited) => {
                awaited.wind_down(turn.now().saturating_add(turn.settings.keep_alive));
                Fate::Open
            }
            Codec::Opening(_) | Codec::WebSocket(_) => Fate::Open,
        }
    }

    /// The connection is over: tells a WebSocket, and a thread that streams to the client.
    pub(crate) fn closed(&mut self, turn: &mut Turn) {
        if let Codec::WebSocket(upgraded) = &self.codec
            && upgraded.shared.lose()
        {
            turn.events.push(Event::Gone(self.exchange));
        }
        self.lose_h2(turn);
        self.link.end();
    }

    /// Sets the deadline to what the protocol says. To be called after everything that moves the connection on.
    pub(crate) fn schedule(&mut self, turn: &mut Turn) {
        let at = self.codec.timeout();
        turn.timers.set(&mut self.deadline, at, self.id);
    }

    /// The deadline, for the judgement of an entry that came up.
    pub(crate) fn deadline(&mut self) -> &mut Deadline {
        &mut self.deadline
    }
}

#[cfg(test)]
pub(crate) mod tests;
