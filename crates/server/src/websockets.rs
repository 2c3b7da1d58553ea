//! What the reactor does with WebSockets: it reads, sends on, watches the time, and closes them when the server ends.

use std::io;
use std::sync::Arc;

use crate::connection::{Stage, Then};
use crate::inlet::Event;
use crate::link::Flushed;
use crate::progress::{READS, receive};
use crate::reactor::Reactor;
use crate::shared_websocket::{SharedWebSocket, Taken};
use crate::sink::SinkError;
use crate::timers::Millis;

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
    /// When the client has to have taken some of what waits for it; `Millis::MAX` where nothing does.
    send_by: Millis,
    /// When the connection ends, whatever the client says; `Millis::MAX` until the server comes to its end.
    leave_by: Millis,
}

impl Upgraded {
    fn new(shared: Arc<SharedWebSocket>) -> Upgraded {
        Upgraded {
            shared,
            send_by: Millis::MAX,
            leave_by: Millis::MAX,
        }
    }
}

impl Reactor {
    /// An exchange has become a WebSocket.
    pub(crate) fn upgrade(&mut self, key: usize, shared: Arc<SharedWebSocket>) {
        let connection = &mut self.connections[key];
        connection.inlet = None;
        connection.stage = Stage::WebSocket(Box::new(Upgraded::new(shared)));
        self.again.push((key, connection.serial));
        if let Some(close_reason) = self.close_reason {
            self.close_websocket(key, close_reason);
        }
    }

    /// Reads what there is, as far as the application follows.
    pub(crate) fn progress_websocket(&mut self, key: usize) {
        for _ in 0..READS {
            let connection = &mut self.connections[key];
            let unread = connection.has_unread();
            let Stage::WebSocket(upgraded) = &connection.stage else {
                return;
            };
            let shared = Arc::clone(&upgraded.shared);
            if !unread || shared.is_over() || !shared.may_read() {
                return self.settle(key);
            }
            let taken = if connection.inbound.is_empty() {
                match receive(connection, &mut self.scratch) {
                    Ok(0) if shared.is_parting() => {
                        connection.readable = false;
                        continue;
                    }
                    Ok(0) => return self.close(key),
                    Ok(count) => {
                        let taken = shared.take(&self.scratch[..count]);
                        let rest = &self.scratch[taken.consumed..count];
                        connection.inbound.extend_from_slice(rest);
                        taken
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        connection.readable = false;
                        continue;
                    }
                    Err(_) => return self.close(key),
                }
            } else {
                let mut held = std::mem::take(&mut connection.inbound);
                let taken = shared.take(&held);
                if taken.consumed < held.len() {
                    held.drain(..taken.consumed);
                    connection.inbound = held;
                }
                taken
            };
            self.heard(key, taken);
        }
        let serial = self.connections[key].serial;
        self.settle(key);
        self.again.push((key, serial));
    }

    /// Tells the application what has come of the bytes.
    fn heard(&mut self, key: usize, taken: Taken) {
        let connection = &self.connections[key];
        if taken.awaited {
            self.reports.push(Event::Message(connection.exchange));
        }
        if taken.ended {
            self.reports.push(Event::Gone(connection.exchange));
        }
        if connection.link.has_pending() {
            self.again.push((key, connection.serial));
        }
    }

    /// Ends the connection of a WebSocket that is over, and sets the deadline of any other.
    fn settle(&mut self, key: usize) {
        let connection = &mut self.connections[key];
        let Stage::WebSocket(upgraded) = &connection.stage else {
            return;
        };
        if !upgraded.shared.is_over() {
            let timeout = upgraded.shared.timeout().map_or(Millis::MAX, |timeout| {
                // The clock of the reactor stands still during a turn.
                let timeout = Millis::try_from(timeout.as_millis()).unwrap_or(Millis::MAX);
                self.now.saturating_add(timeout).saturating_add(1)
            });
            let at = timeout.min(upgraded.send_by).min(upgraded.leave_by);
            return self.set_deadline(key, at.saturating_sub(self.now));
        }
        // The client may be in the middle of a message, and must not lose our close frame to a reset.
        if !connection.link.has_pending() {
            return self.linger(key);
        }
        connection.stage = Stage::Sending(Then::Linger);
        self.again.push((key, connection.serial));
        self.watch_sending(key);
    }

    /// Notes what a flush has brought: everything was sent, or the client has `send_timeout` to take some of the rest.
    pub(crate) fn note_flushed(&mut self, key: usize, flushed: Flushed, moved: bool) {
        let send_by = self
            .now
            .saturating_add(self.dispatcher.options.send_timeout);
        let connection = &mut self.connections[key];
        let Stage::WebSocket(upgraded) = &mut connection.stage else {
            return;
        };
        match flushed {
            Flushed::Empty => upgraded.send_by = Millis::MAX,
            _ if moved || upgraded.send_by == Millis::MAX => {
                upgraded.send_by = send_by;
                connection.unsent = connection.link.unsent();
            }
            _ => {}
        }
    }

    /// The deadline of a WebSocket has passed.
    pub(crate) fn websocket_due(&mut self, key: usize) {
        let connection = &mut self.connections[key];
        let Stage::WebSocket(upgraded) = &mut connection.stage else {
            return;
        };
        if upgraded.leave_by <= self.now {
            return self.close(key);
        }
        if upgraded.send_by <= self.now && connection.link.has_pending() {
            let unsent = connection.link.unsent();
            if unsent >= connection.unsent {
                connection.link.give_up(SinkError::TimedOut);
                return self.close(key);
            }
            connection.unsent = unsent;
            upgraded.send_by = self
                .now
                .saturating_add(self.dispatcher.options.send_timeout);
        }
        if upgraded.shared.handle_timeout() {
            self.reports.push(Event::Gone(connection.exchange));
        }
        if connection.link.has_pending() {
            self.again.push((key, connection.serial));
        }
        self.settle(key);
    }

    /// The connection of a WebSocket is gone, or about to be closed.
    pub(crate) fn lose(&mut self, key: usize) {
        if let Some(connection) = self.connections.get(key)
            && let Stage::WebSocket(upgraded) = &connection.stage
            && upgraded.shared.lose()
        {
            self.reports.push(Event::Gone(connection.exchange));
        }
    }

    /// The server comes to its end, and closes its WebSockets with this.
    pub(crate) fn close_websockets(&mut self, close_reason: CloseReason) {
        self.close_reason = Some(close_reason);
        let keys: Vec<usize> = self.connections.iter().map(|(key, _)| key).collect();
        keys.into_iter()
            .for_each(|key| self.close_websocket(key, close_reason));
    }

    /// Closes a WebSocket, and gives the client a while to answer.
    fn close_websocket(&mut self, key: usize, close_reason: CloseReason) {
        let span = CLOSE_TIMEOUT.min(self.dispatcher.options.graceful_timeout / 4);
        let connection = &mut self.connections[key];
        let Stage::WebSocket(upgraded) = &mut connection.stage else {
            return;
        };
        upgraded.leave_by = self.now.saturating_add(span);
        let (code, reason) = close_reason.words();
        if upgraded.shared.close_by_server(code, reason) {
            self.reports.push(Event::Gone(connection.exchange));
        }
        self.again.push((key, connection.serial));
    }
}
