//! How long a call may go on in silence, and what is known of those that were answered in place of their threads.

use std::time::{Duration, Instant};

use crate::exchange::ExchangeId;
use crate::outlet::Outlet;

/// The longest time that a thread has to come back after its client was answered, before the worker counts as stuck. It
/// has as long as the limit of its request where that is shorter.
const GRACE: Duration = Duration::from_secs(5);

/// The limit of a call that is under way.
#[derive(Debug)]
pub(crate) struct SilenceLimit {
    limit: Duration,
    until: Instant,
    /// What the outlet said of how often something was sent, when the time began to run.
    seen: Option<u64>,
}

impl SilenceLimit {
    /// The time of a call that begins `now`, where it has a limit.
    pub(crate) fn from(now: Instant, limit: Option<Duration>) -> Option<SilenceLimit> {
        let limit = limit?;
        Some(SilenceLimit {
            limit,
            until: now.checked_add(limit)?,
            seen: None,
        })
    }

    /// Until when the application may be silent.
    pub(super) fn until(&self) -> Instant {
        self.until
    }

    /// Until when it may be silent, now that it has come to `now`; nothing where the time is over.
    pub(super) fn look(&mut self, outlet: &Outlet, mark: u64, now: Instant) -> Option<Instant> {
        if now < self.until {
            return Some(self.until);
        }
        let taken = outlet.taken();
        let is_silent = taken.is_none_or(|taken| taken == self.seen.unwrap_or(mark));
        // An application that waits for its client is not at fault.
        if is_silent && !outlet.has_pending() {
            return None;
        }
        self.seen = taken;
        self.until = now.checked_add(self.limit)?;
        Some(self.until)
    }
}

/// A call whose client was answered in its place, and that has not come back.
#[derive(Debug)]
struct LateCall {
    id: ExchangeId,
    since: Instant,
    until: Instant,
    /// How often the event loop had looked.
    looks: u64,
    standing: LateStanding,
}

/// What is known of its thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LateStanding {
    /// It may come back.
    Awaited,
    /// It has not come back in time.
    Stuck,
    /// It is an event loop, which goes on.
    Alive,
}

/// Those calls.
#[derive(Debug, Default)]
pub(super) struct LateCalls(Vec<LateCall>);

impl LateCalls {
    /// Takes up a call that is answered `now`.
    pub(super) fn insert(
        &mut self,
        id: ExchangeId,
        limit: &SilenceLimit,
        now: Instant,
        looks: u64,
    ) {
        self.0.push(LateCall {
            id,
            since: now,
            until: now + limit.limit.min(GRACE),
            looks,
            standing: LateStanding::Awaited,
        });
    }

    /// A call has come back.
    pub(super) fn remove(&mut self, id: ExchangeId) {
        self.0.retain(|call| call.id != id);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many are stuck.
    pub(super) fn stuck(&self) -> usize {
        let is_stuck = |call: &&LateCall| call.standing == LateStanding::Stuck;
        self.0.iter().filter(is_stuck).count()
    }

    /// When the next one is to be judged.
    pub(super) fn next(&self) -> Option<Instant> {
        let awaited = |call: &&LateCall| call.standing == LateStanding::Awaited;
        self.0.iter().filter(awaited).map(|call| call.until).min()
    }

    /// Judges those whose time is over. Returns for how long each has been stuck that is found to be. `looks` is how
    /// often the event loop has looked, where one leads: where it has since, it is not blocked.
    pub(super) fn judge(&mut self, now: Instant, looks: Option<u64>) -> Vec<Duration> {
        let mut stuck = Vec::new();
        for call in &mut self.0 {
            if call.standing != LateStanding::Awaited || now < call.until {
                continue;
            }
            call.standing = match looks {
                Some(looks) if looks != call.looks => LateStanding::Alive,
                _ => LateStanding::Stuck,
            };
            if call.standing == LateStanding::Stuck {
                stuck.push(now.duration_since(call.since));
            }
        }
        stuck
    }
}
