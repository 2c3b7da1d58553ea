//! How far a worker is from its end, and what it does on the way there.

use crate::codec::Codec;
use crate::connection::{Connection, Fate};
use crate::reactor::Reactor;
use crate::refusal::ENDING;
use crate::server::Shutdown;
use crate::timers::Millis;
use crate::websockets::CloseReason;

/// How long an idle kept-alive connection may still bring a request after a graceful stop began, in milliseconds: one
/// that is on its way when we close would be lost.
const LAST_REQUEST: Millis = 2000;

/// How long before the end of `graceful_timeout` requests are refused that wait for a thread: at most so many
/// milliseconds, and at most this share of it. An answer takes no longer to leave, and a thread that comes free later
/// would hardly finish another request.
const REFUSING: Millis = 1000;
const REFUSING_SHARE: Millis = 8;

/// How far it is.
///
/// ```text
///             the end is asked for,                until then, or the            handshakes that had
///             others do not serve                  queues are empty              begun are over
///   Serving ───────────────────────────► Draining ──────────────────► Settling ─────────────────────► Closing
///      │ others serve                                                    ▲                               ▲
///      ├─────────────────────────────────────────────────────────────────┘                               │
///      │ the end is to be quick                                                                          │
///      └─────────────────────────────────────────────────────────────────────────────────────────────────┘
/// ```
#[derive(Debug, Clone, Copy)]
enum Phase {
    Serving,
    /// Stopping, and serving the clients that wait to be accepted, at the longest until then.
    Draining {
        until: Millis,
    },
    /// No client gets into the queues that end with this server, and those that are on their way in are accepted.
    Settling {
        until: Millis,
    },
    /// No client is accepted any more.
    Closing,
}

/// The life of a worker's server.
#[derive(Debug)]
pub(crate) struct Life {
    phase: Phase,
    /// When the requests that no thread has taken are answered with 503: before the arbiter's patience ends, which
    /// would reset them.
    refuse_at: Option<Millis>,
    /// What WebSockets are closed with, once the server comes to its end.
    pub(crate) close_reason: Option<CloseReason>,
}

impl Life {
    pub(crate) fn new() -> Life {
        Life {
            phase: Phase::Serving,
            refuse_at: None,
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

    /// When the next step is due.
    pub(crate) fn deadline(&self) -> Option<Millis> {
        let phase = match self.phase {
            Phase::Draining { until } | Phase::Settling { until } => Some(until),
            Phase::Serving | Phase::Closing => None,
        };
        [phase, self.refuse_at].into_iter().flatten().min()
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
            let span = self.turn.dispatcher.options.graceful_timeout;
            let refusing = (span / REFUSING_SHARE).min(REFUSING);
            self.life.refuse_at = Some(self.turn.now().saturating_add(span - refusing));
        }
        self.refuse_waiting();
        match (how, self.life.phase) {
            (Shutdown::Graceful, Phase::Serving) if self.has_successors() => {
                self.listen(false);
                self.listen.keep_ending();
                self.begin_closing();
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
                self.begin_closing();
            }
            (Shutdown::Graceful, Phase::Settling { until }) if self.turn.now() >= until => {
                self.accept_rest();
                self.stop_listening();
            }
            (Shutdown::Graceful, _) => {}
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

    /// The queues are empty, or it is time: what no other process accepts from is closed, without a client in it.
    pub(crate) fn begin_closing(&mut self) {
        match self.listen.stop_admitting() {
            0 => {
                self.accept_rest();
                self.stop_listening();
            }
            span => {
                let until = self.turn.now().saturating_add(span);
                self.life.phase = Phase::Settling { until };
            }
        }
    }

    /// Answers the requests that wait for a thread, and will not get one before the worker is killed.
    fn refuse_waiting(&mut self) {
        if self.life.refuse_at.is_none_or(|at| self.turn.now() < at) {
            return;
        }
        self.life.refuse_at = None;
        // A quick end answers nothing.
        if self.turn.dispatcher.stopping() == Some(Shutdown::Graceful) {
            let waiting = std::mem::take(&mut self.turn.dispatcher.state().ready);
            for mut exchange in waiting {
                exchange.reply.refuse(ENDING.status, ENDING.rule);
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
