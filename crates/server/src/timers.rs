//! Deadlines of connections. Each connection has at most one live entry in the heap; moving a deadline later costs
//! nothing, because the entry is only looked at when it comes up. A keep-alive connection that is busy moves its deadline
//! at every request, so this is what makes a timer free on the hot path.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// A moment in milliseconds of the worker's own monotonic clock.
pub(crate) type Millis = u64;

/// A deadline that a connection carries.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline {
    /// When the connection is to be looked at.
    at: Millis,
    /// The time of its live heap entry; `Millis::MAX` when it has none.
    scheduled: Millis,
}

impl Deadline {
    /// No deadline at all.
    pub(crate) const NONE: Deadline = Deadline {
        at: Millis::MAX,
        scheduled: Millis::MAX,
    };

    /// Whether there is one.
    pub(crate) fn is_set(self) -> bool {
        self.at != Millis::MAX
    }

    /// Whether it is over.
    pub(crate) fn has_passed(self, now: Millis) -> bool {
        self.at <= now
    }
}

/// The heap of entries: (when, which connection, its serial number).
#[derive(Debug, Default)]
pub(crate) struct Timers {
    heap: BinaryHeap<Reverse<(Millis, usize, u64)>>,
}

/// What an entry that came up is found to be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// The deadline has passed.
    Expired,
    /// It was moved later; a new entry stands for it.
    Later,
    /// The entry is an old one; another stands for this connection.
    Stale,
}

impl Timers {
    /// Sets a connection's deadline. A new entry is made only where the deadline comes before the entry that stands.
    pub(crate) fn set(&mut self, deadline: &mut Deadline, at: Millis, key: usize, serial: u64) {
        deadline.at = at;
        if at < deadline.scheduled {
            deadline.scheduled = at;
            self.heap.push(Reverse((at, key, serial)));
        }
    }

    /// Takes the next entry whose time has come.
    pub(crate) fn pop(&mut self, now: Millis) -> Option<(Millis, usize, u64)> {
        let Reverse((at, ..)) = *self.heap.peek()?;
        if at > now {
            return None;
        }
        self.heap.pop().map(|Reverse(entry)| entry)
    }

    /// Judges an entry taken by [`Timers::pop`] against the deadline of its connection.
    pub(crate) fn judge(
        &mut self,
        deadline: &mut Deadline,
        entry: (Millis, usize, u64),
        now: Millis,
    ) -> Due {
        let (at, key, serial) = entry;
        if deadline.scheduled != at {
            return Due::Stale;
        }
        deadline.scheduled = Millis::MAX;
        if deadline.at <= now {
            return Due::Expired;
        }
        if deadline.at != Millis::MAX {
            self.set(deadline, deadline.at, key, serial);
        }
        Due::Later
    }

    /// When the next entry comes up.
    pub(crate) fn next(&self) -> Option<Millis> {
        self.heap.peek().map(|Reverse((at, ..))| *at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_moved_later_makes_no_new_entry() {
        let (mut timers, mut deadline) = (Timers::default(), Deadline::NONE);
        timers.set(&mut deadline, 10, 1, 1);
        for at in 11..1000 {
            timers.set(&mut deadline, at, 1, 1);
        }
        assert_eq!(timers.heap.len(), 1);
        let entry = timers.pop(500).unwrap();
        assert_eq!(timers.judge(&mut deadline, entry, 500), Due::Later);
        assert_eq!(timers.next(), Some(999));
        let entry = timers.pop(999).unwrap();
        assert_eq!(timers.judge(&mut deadline, entry, 999), Due::Expired);
    }

    #[test]
    fn a_deadline_moved_earlier_comes_up_early_and_once() {
        let (mut timers, mut deadline) = (Timers::default(), Deadline::NONE);
        timers.set(&mut deadline, 100, 1, 1);
        timers.set(&mut deadline, 10, 1, 1);
        let entry = timers.pop(10).unwrap();
        assert_eq!(timers.judge(&mut deadline, entry, 10), Due::Expired);
        let entry = timers.pop(100).unwrap();
        assert_eq!(timers.judge(&mut deadline, entry, 100), Due::Stale);
        assert!(timers.pop(u64::MAX).is_none());
    }
}
