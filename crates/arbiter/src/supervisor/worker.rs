//! One worker as the arbiter sees it.

use std::fmt;
use std::time::Duration;

use sys::signals::Signal;

use super::event::Terms;
use crate::status::{WorkerPhase, WorkerStatus};

/// Where a worker is in its life.
///
/// ```text
/// Booting ──► Serving ──► Leaving ──► Killed ──► (reaped)
///    │           │           │          ▲
///    └───────────┴───────────┴► Aborting┘
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Forked, or about to be; it has not said that it serves.
    Booting,
    /// It serves.
    Serving {
        /// Whether it has served as many requests as it may and asks for a successor.
        asks_to_go: bool,
    },
    /// It was told to go, or goes by itself.
    Leaving {
        /// When it is killed if it is still there.
        kill_at: Duration,
    },
    /// It hung, and was sent ABRT, so that it can still say where.
    Aborting {
        /// When it is killed if it is still there.
        kill_at: Duration,
    },
    /// It was sent KILL and only has to be reaped.
    Killed,
}

/// Why the arbiter ended a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// The server stops.
    Stop,
    /// A newer generation took over, or this one was given up.
    Reload,
    /// There are more workers than there shall be.
    Surplus,
    /// It has served its number of requests.
    Recycled,
    /// It hung.
    Timeout,
    /// It was told to go and did not.
    Overdue,
    /// An operator wanted it gone.
    Unwanted,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stop => "the server stops",
            Self::Reload => "a reload replaced it",
            Self::Surplus => "there were more workers than asked for",
            Self::Recycled => "it had served its number of requests",
            Self::Timeout => "it had timed out",
            Self::Unwanted => "an operator wanted another in its place",
            Self::Overdue => "it did not leave within the graceful timeout",
        })
    }
}

/// The last signal that the arbiter sent to end a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sent {
    pub(super) signal: Signal,
    pub(super) why: Why,
}

/// A worker.
#[derive(Clone, Debug)]
pub(super) struct Worker {
    pub(super) age: u64,
    pub(super) slot: usize,
    pub(super) generation: u64,
    pub(super) born: Duration,
    /// `None` until the fork is done.
    pub(super) pid: Option<i32>,
    pub(super) phase: Phase,
    /// When it first said that it serves.
    pub(super) ready_since: Option<Duration>,
    /// Since when it boots or can take no further request.
    pub(super) busy_since: Option<Duration>,
    /// When its slot was last read.
    pub(super) looked_at: Duration,
    pub(super) sent: Option<Sent>,
}

impl Worker {
    /// Whether it counts among those that there shall be.
    pub(super) fn is_active(&self) -> bool {
        matches!(self.phase, Phase::Booting | Phase::Serving { .. })
    }

    /// What operators are shown of it; nothing before it is forked.
    pub(super) fn status(&self) -> Option<WorkerStatus> {
        Some(WorkerStatus {
            pid: self.pid?,
            age: self.age,
            slot: self.slot,
            phase: match self.phase {
                Phase::Booting => WorkerPhase::Booting,
                Phase::Serving { .. } => WorkerPhase::Serving,
                Phase::Leaving { .. } => WorkerPhase::Leaving,
                Phase::Aborting { .. } | Phase::Killed => WorkerPhase::Dying,
            },
            since: self.born,
            busy_since: self.busy_since,
        })
    }

    /// Whether nothing is left to do but to reap it.
    pub(super) fn is_ending(&self) -> bool {
        matches!(self.phase, Phase::Aborting { .. } | Phase::Killed)
    }

    pub(super) fn is_serving(&self) -> bool {
        matches!(self.phase, Phase::Serving { .. })
    }

    pub(super) fn asks_to_go(&self) -> bool {
        self.phase == Phase::Serving { asks_to_go: true }
    }

    /// When the arbiter has to act on this worker, or at least to look at it again.
    ///
    /// A worker that was not busy when it was looked at cannot have been busy for the whole timeout any sooner than
    /// one timeout later, so an idle server is not woken more often than that.
    pub(super) fn deadline(&self, terms: &Terms) -> Option<Duration> {
        let look = match self.boots_until(terms) {
            Some(until) => Some(until),
            None => (!terms.timeout.is_zero())
                .then(|| self.busy_since.unwrap_or(self.looked_at) + terms.timeout),
        };
        match self.phase {
            Phase::Booting | Phase::Serving { .. } => look,
            Phase::Leaving { kill_at } => Some(look.map_or(kill_at, |look| look.min(kill_at))),
            Phase::Aborting { kill_at } => Some(kill_at),
            Phase::Killed => None,
        }
    }

    /// Until when it may boot, where that has a limit of its own.
    fn boots_until(&self, terms: &Terms) -> Option<Duration> {
        let has_limit = self.phase == Phase::Booting && !terms.boot_timeout.is_zero();
        has_limit.then(|| self.born + terms.boot_timeout)
    }

    /// Whether it has hung for the whole timeout, or has not booted in time.
    pub(super) fn has_timed_out(&self, terms: &Terms, now: Duration) -> bool {
        if let Some(until) = self.boots_until(terms) {
            return until <= now;
        }
        let may_hang = !matches!(self.phase, Phase::Aborting { .. } | Phase::Killed);
        may_hang
            && !terms.timeout.is_zero()
            && self
                .busy_since
                .is_some_and(|since| since + terms.timeout <= now)
    }

    /// Whether it was given its last chance and let it pass.
    pub(super) fn is_overdue(&self, now: Duration) -> bool {
        match self.phase {
            Phase::Leaving { kill_at } | Phase::Aborting { kill_at } => kill_at <= now,
            Phase::Booting | Phase::Serving { .. } | Phase::Killed => false,
        }
    }

    /// Whether it has served for at least `span`.
    pub(super) fn has_served_for(&self, span: Duration, now: Duration) -> bool {
        self.ready_since.is_some_and(|since| since + span <= now)
    }
}
