//! Whether the peer is still there: pings at an interval, and a time in which something has to come back.

use std::time::Duration;

/// The times of a [`super::Session`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// Time between two pings; zero: none are sent.
    pub ping_interval: Duration,
    /// Longest silence after a ping; zero: a silent peer is borne.
    pub ping_timeout: Duration,
    /// Longest wait for the peer's close frame after ours.
    pub close_timeout: Duration,
}

impl Default for Timing {
    /// 20 seconds each for pings, as Python's WebSocket servers do it: well below the 60 seconds after which proxies
    /// cut silent connections. 10 seconds for closing, in which a peer can still read what was sent before.
    fn default() -> Self {
        Self {
            ping_interval: Duration::from_secs(20),
            ping_timeout: Duration::from_secs(20),
            close_timeout: Duration::from_secs(10),
        }
    }
}

/// Times are those of the caller's clock, counted from any moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keepalive {
    /// No pings are sent.
    Off,
    /// The next ping is due then.
    Resting { ping_at: Duration },
    /// A ping was sent and nothing has come since.
    Asking {
        ping_at: Duration,
        give_up_at: Duration,
    },
    /// Nothing is read from the peer, so its silence proves nothing.
    Paused,
}

/// What is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    Nothing,
    Ping,
    GiveUp,
}

impl Keepalive {
    pub(super) fn new(timing: &Timing, now: Duration) -> Self {
        if timing.ping_interval.is_zero() {
            Self::Off
        } else {
            Self::Resting {
                ping_at: now.saturating_add(timing.ping_interval),
            }
        }
    }

    /// Bytes have come. Any will do: a peer in the middle of a long message cannot answer a ping.
    pub(super) fn heard(&mut self) {
        if let Self::Asking { ping_at, .. } = *self {
            *self = Self::Resting { ping_at };
        }
    }

    pub(super) fn pause(&mut self) {
        if *self != Self::Off {
            *self = Self::Paused;
        }
    }

    pub(super) fn resume(&mut self, timing: &Timing, now: Duration) {
        if *self == Self::Paused {
            *self = Self::new(timing, now);
        }
    }

    pub(super) fn timeout(&self) -> Option<Duration> {
        match self {
            Self::Off | Self::Paused => None,
            Self::Resting { ping_at } => Some(*ping_at),
            Self::Asking { give_up_at, .. } => Some(*give_up_at),
        }
    }

    pub(super) fn handle_timeout(&mut self, timing: &Timing, now: Duration) -> Due {
        match *self {
            Self::Resting { ping_at } if ping_at <= now => {
                let ping_at = now.saturating_add(timing.ping_interval);
                *self = if timing.ping_timeout.is_zero() {
                    Self::Resting { ping_at }
                } else {
                    Self::Asking {
                        ping_at,
                        give_up_at: now.saturating_add(timing.ping_timeout),
                    }
                };
                Due::Ping
            }
            Self::Asking { give_up_at, .. } if give_up_at <= now => Due::GiveUp,
            _ => Due::Nothing,
        }
    }
}
