//! How far a worker is from its end, and what it does on the way there.

use crate::codec::Codec;
use crate::connection::{Connection, Fate};
use crate::reactor::Reactor;
use crate::server::Shutdown;
use crate::timers::Millis;
use crate::websockets::CloseReason;

/// How long an idle kept-alive connection may still bring a request after a graceful stop began, in milliseconds: one
/// that is on its way when we close would be lost.
const LAST_REQUEST: Millis = 2000;

/// How far it is.
///
/// ```text
///             the end is asked for, others do not serve       until then, or the queues are empty
///   Serving ──────────────────────────────────────► Draining ─────────────────────────────────► Closing
///      │ others serve, or the end is to be quick                                                   ▲
///      └───────────────────────────────────────────────────────────────────────────────────────────┘
/// ```
#[derive(Debug, Clone, Copy)]
enum Phase {
    Serving,
    /// Stopping, and serving the clients that wait to be accepted, at the longest until then.
    Draining {
        until: Millis,
    },
    /// No client is accepted any more.
    Closing,
}

/// The life of a worker's server.
#[derive(Debug)]
pub(crate) struct Life {
    phase: Phase,
    /// What WebSockets are closed with, once the server comes to its end.
    pub(crate) close_reason: Option<CloseReason>,
}

impl Life {
    pub(crate) fn new() -> Life {
        Life {
            phase: Phase::Serving,
            close_reason: None,
        }
    }

    pub(crate) fn is_serving(&self) -> bool {
        matches!(self.phase, Phase::Serving)
    }

    pub(crate) fn is_draining(&self) -> bool {
        matches!(self.phase, Phase::Draining { .. })
    }

    pub(crate) fn is_closing(&self) -> bool {
        matches!(self.phase, Phase::Closing)
    }
}

impl Reactor {
    /// Moves towards the end, once that has been asked for.
    pub(crate) fn follow_stop(&mut self) {
        let Some(how) = self.turn.dispatcher.stopping() else {
            return;
        };
        if self.life.is_serving() {
            self.turn.dispatcher.publish_leaving();
            // The last turn may have been long ago, and the times below count from now.
            self.turn.clock.look();
        }
        match (how, self.life.phase) {
            (Shutdown::Graceful, Phase::Serving) if self.has_successors() => {
                self.stop_listening();
                self.tell_to_leave(CloseReason::Restart);
            }
            (Shutdown::Graceful, Phase::Serving) => {
                // The other half of the time is for those that have been accepted.
                let span = self.turn.dispatcher.options.graceful_timeout / 2;
                let until = self.turn.now().saturating_add(span);
                self.life.phase = Phase::Draining { until };
                self.shorten_idle_times();
                self.tell_to_leave(CloseReason::GoingAway);
            }
            (Shutdown::Graceful, Phase::Draining { until }) if self.turn.now() >= until => {
                self.stop_listening()
            }
            (Shutdown::Graceful, Phase::Draining { .. } | Phase::Closing) => {}
            (Shutdown::Quick, _) => {
                self.stop_listening();
                self.tell_to_leave(CloseReason::GoingAway);
                for key in self.keys() {
                    self.with(key, |connection, _| {
                        // The application may have its exchange for as long as its thread runs.
                        connection.link.shut();
                        Fate::Closed
                    });
                }
                self.turn.ready.clear();
            }
        }
    }

    /// No more clients: the queue goes to the other workers, and idle connections may bring one last request.
    pub(crate) fn stop_listening(&mut self) {
        self.listen(false);
        self.listen.clear();
        self.life.phase = Phase::Closing;
        self.shorten_idle_times();
        for key in self.keys() {
            if !self.give(key) {
                self.with(key, Connection::wind_down);
            }
        }
    }

    /// Connections that become idle from now on have the time for one last request.
    fn shorten_idle_times(&mut self) {
        self.turn.settings.keep_alive = LAST_REQUEST;
    }

    /// Tells the clients that would stay: WebSockets are closed, and those of HTTP/2 begin nothing more here.
    fn tell_to_leave(&mut self, close_reason: CloseReason) {
        self.life.close_reason = Some(close_reason);
        for key in self.keys() {
            self.with(key, |connection, turn| match connection.codec {
                Codec::H2(_) => connection.wind_down_h2(turn),
                _ => connection.close_websocket(close_reason, turn),
            });
        }
    }

    fn keys(&self) -> Vec<usize> {
        self.connections.iter().map(|(key, _)| key).collect()
    }
}
