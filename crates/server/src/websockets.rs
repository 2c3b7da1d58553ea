//! What the reactor does with WebSockets: it reads, sends on, watches the time, and closes them when the server ends.

use std::io;
use std::sync::Arc;

use crate::codec::Codec;
use crate::connection::{Connection, Fate, READS};
use crate::http1::Http1;
use crate::inlet::Event;
use crate::link::Flushed;
use crate::shared_websocket::{SharedWebSocket, Taken};
use crate::sink::SinkError;
use crate::timers::Millis;
use crate::turn::Turn;

/// How long a client may take to answer the close frame of a server that ends, in milliseconds; less where
/// `graceful_timeout` is short. What follows, such as the lifespan of an application, needs its time too.
const CLOSE_TIMEOUT: Millis = 5000;

/// Why the server closes its WebSockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CloseReason {
    /// It ends (RFC 6455, section 7.4.1).
    GoingAway,
    /// Another takes its place, so clients may connect anew at once (IANA's registry of close codes).
    Restart,
}

impl CloseReason {
    fn words(self) -> (u16, &'static str) {
        match self {
            CloseReason::GoingAway => (1001, "going away"),
            CloseReason::Restart => (1012, "service restart"),
        }
    }
}

/// A connection that has become a WebSocket.
#[derive(Debug)]
pub(crate) struct Upgraded {
    pub(crate) shared: Arc<SharedWebSocket>,
    /// When the session has something to do, as far as it was asked.
    session_due: Millis,
    /// When the client has to have taken some of what waits for it; `Millis::MAX` where nothing does.
    send_by: Millis,
    /// When the connection ends, even where the client goes on; `Millis::MAX` until the server comes to its end.
    leave_by: Millis,
}

impl Upgraded {
    pub(crate) fn new(shared: Arc<SharedWebSocket>) -> Upgraded {
        Upgraded {
            shared,
            session_due: Millis::MAX,
            send_by: Millis::MAX,
            leave_by: Millis::MAX,
        }
    }

    /// When something is overdue.
    pub(crate) fn timeout(&self) -> Millis {
        self.session_due.min(self.send_by).min(self.leave_by)
    }
}

impl Connection {
    /// Reads what there is, as far as the application follows.
    pub(crate) fn progress_websocket(&mut self, turn: &mut Turn) -> Fate {
        let Codec::WebSocket(upgraded) = &self.codec else {
            return Fate::Open;
        };
        let shared = Arc::clone(&upgraded.shared);
        for _ in 0..READS {
            if !self.has_unread() || shared.is_over() || !shared.may_read() {
                return self.settle(turn);
            }
            match self.read_websocket(&shared, turn) {
                Ok(Some(taken)) => self.heard_websocket(taken, turn),
                Ok(None) => return Fate::Closed,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.readable = false,
                Err(_) => return Fate::Closed,
            }
        }
        turn.again.push(self.id);
        self.settle(turn)
    }

    /// Takes what was read before, or reads once. `None` is the end of the connection.
    fn read_websocket(
        &mut self,
        shared: &SharedWebSocket,
        turn: &mut Turn,
    ) -> io::Result<Option<Taken>> {
        if !self.inbound.is_empty() {
            let mut held = std::mem::take(&mut self.inbound);
            let taken = shared.take(&held);
            if taken.consumed < held.len() {
                held.drain(..taken.consumed);
                self.inbound = held;
            }
            return Ok(Some(taken));
        }
        match self.receive(&mut turn.scratch)? {
            // Our close frame is still to come.
            0 if shared.is_parting() => Err(io::ErrorKind::WouldBlock.into()),
            0 => Ok(None),
            count => {
                let taken = shared.take(&turn.scratch[..count]);
                let rest = &turn.scratch[taken.consumed..count];
                self.inbound.extend_from_slice(rest);
                Ok(Some(taken))
            }
        }
    }

    /// Tells the application what has come of the bytes.
    fn heard_websocket(&mut self, taken: Taken, turn: &mut Turn) {
        if taken.awaited {
            turn.events.push(Event::Message(self.exchange));
        }
        if taken.ended {
            turn.events.push(Event::Gone(self.exchange));
        }
        if self.link.has_pending() {
            turn.again.push(self.id);
        }
    }

    /// Ends the connection of a WebSocket that is over, and asks any other when it has something to do.
    fn settle(&mut self, turn: &mut Turn) -> Fate {
        let Codec::WebSocket(upgraded) = &mut self.codec else {
            return Fate::Open;
        };
        if !upgraded.shared.is_over() {
            upgraded.session_due = upgraded.shared.timeout().map_or(Millis::MAX, |timeout| {
                // The clock of the reactor stands still during a turn.
                let timeout = Millis::try_from(timeout.as_millis()).unwrap_or(Millis::MAX);
                turn.now().saturating_add(timeout).saturating_add(1)
            });
            return Fate::Open;
        }
        // The client may be in the middle of a message, and must not lose our close frame to a reset.
        let mut http = Http1::ending();
        let pending = self.link.has_pending();
        let step = match pending {
            true => None,
            false => Some(http.session.sent(&turn.settings, turn.clock.now)),
        };
        self.codec = Codec::H1(http);
        turn.again.push(self.id);
        match step {
            Some(step) => self.follow(step, turn),
            None => {
                self.watch_sending(turn);
                Fate::Open
            }
        }
    }

    /// Notes what a flush has brought: everything was sent, or the client has `send_timeout` to take some of the rest.
    pub(crate) fn flushed_websocket(
        &mut self,
        flushed: Flushed,
        moved: bool,
        turn: &mut Turn,
    ) -> Fate {
        let Codec::WebSocket(upgraded) = &mut self.codec else {
            return Fate::Open;
        };
        match flushed {
            Flushed::Broken => return Fate::Closed,
            Flushed::Empty => {
                upgraded.send_by = Millis::MAX;
                return Fate::Open;
            }
            Flushed::More => turn.again.push(self.id),
            Flushed::Blocked => {}
        }
        if moved || upgraded.send_by == Millis::MAX {
            upgraded.send_by = turn.now().saturating_add(turn.settings.send_timeout);
            self.watch_sending(turn);
        }
        Fate::Open
    }

    /// The deadline of a WebSocket has passed.
    pub(crate) fn expire_websocket(&mut self, turn: &mut Turn) -> Fate {
        let Codec::WebSocket(upgraded) = &mut self.codec else {
            return Fate::Open;
        };
        if upgraded.leave_by <= turn.now() {
            return Fate::Closed;
        }
        if upgraded.send_by <= turn.now() {
            upgraded.send_by = Millis::MAX;
            if self.link.has_pending() {
                let before = std::mem::replace(&mut self.unsent, self.link.unsent());
                if self.unsent >= before {
                    self.link.cut(SinkError::TimedOut);
                    return Fate::Closed;
                }
                upgraded.send_by = turn.now().saturating_add(turn.settings.send_timeout);
            }
        }
        if upgraded.shared.handle_timeout() {
            turn.events.push(Event::Gone(self.exchange));
        }
        if self.link.has_pending() {
            turn.again.push(self.id);
        }
        self.settle(turn)
    }

    /// Closes a WebSocket, and gives the client a while to answer.
    pub(crate) fn close_websocket(&mut self, close_reason: CloseReason, turn: &mut Turn) -> Fate {
        let span = CLOSE_TIMEOUT.min(turn.dispatcher.options.graceful_timeout / 4);
        let Codec::WebSocket(upgraded) = &mut self.codec else {
            return Fate::Open;
        };
        upgraded.leave_by = turn.now().saturating_add(span);
        let (code, reason) = close_reason.words();
        if upgraded.shared.close_by_server(code, reason) {
            turn.events.push(Event::Gone(self.exchange));
        }
        turn.again.push(self.id);
        Fate::Open
    }
}
