//! Deadlines of connections. Each connection has at most one live entry in the heap; moving a deadline later costs
//! nothing, because the entry is only looked at when it comes up. A keep-alive connection that is busy moves its
//! deadline at every request, so this is what makes a timer free on the hot path.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

pub(crate) use proto::h1::session::Millis;

use crate::connection::ConnectionId;

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
}

/// When a connection is to be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TimerEntry {
    at: Millis,
    pub(crate) id: ConnectionId,
}

/// The entries, the next one first.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    heap: BinaryHeap<Reverse<TimerEntry>>,
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
    pub(crate) fn set(&mut self, deadline: &mut Deadline, at: Millis, id: ConnectionId) {
        deadline.at = at;
        if at < deadline.scheduled {
            deadline.scheduled = at;
            self.heap.push(Reverse(TimerEntry { at, id }));
        }
    }

    /// Takes the next entry whose time has come.
    pub(crate) fn pop(&mut self, now: Millis) -> Option<TimerEntry> {
        let Reverse(next) = self.heap.peek()?;
        if next.at > now {
            return None;
        }
        self.heap.pop().map(|Reverse(entry)| entry)
    }

    /// Judges an entry taken by [`Timers::pop`] against the deadline of its connection.
    pub(crate) fn judge(&mut self, deadline: &mut Deadline, entry: TimerEntry, now: Millis) -> Due {
        if deadline.scheduled != entry.at {
            return Due::Stale;
        }
        deadline.scheduled = Millis::MAX;
        if deadline.at <= now {
            return Due::Expired;
        }
        if deadline.at != Millis::MAX {
            self.set(deadline, deadline.at, entry.id);
        }
        Due::Later
    }

    /// When the next entry comes up.
    pub(crate) fn next(&self) -> Option<Millis> {
        self.heap.peek().map(|Reverse(entry)| entry.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: ConnectionId = ConnectionId { key: 1, serial: 1 };
    const TWO: ConnectionId = ConnectionId { key: 2, serial: 7 };

    #[test]
    fn a_deadline_moved_later_makes_no_new_entry() {
        let (mut timers, mut deadline) = (Timers::default(), Deadline::NONE);
        timers.set(&mut deadline, 10, ONE);
        for at in 11..1000 {
            timers.set(&mut deadline, at, ONE);
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
        timers.set(&mut deadline, 100, ONE);
        timers.set(&mut deadline, 10, ONE);
        let entry = timers.pop(10).unwrap();
        assert_eq!(timers.judge(&mut deadline, entry, 10), Due::Expired);
        let entry = timers.pop(100).unwrap();
        assert_eq!(timers.judge(&mut deadline, entry, 100), Due::Stale);
        assert!(timers.pop(u64::MAX).is_none());
    }

    #[test]
    fn deadlines_come_up_in_their_order_whosever_they_are() {
        let mut timers = Timers::default();
        let (mut one, mut two) = (Deadline::NONE, Deadline::NONE);
        timers.set(&mut one, 20, ONE);
        timers.set(&mut two, 10, TWO);
        assert_eq!(timers.pop(9), None);
        assert_eq!(timers.pop(30).map(|entry| entry.id), Some(TWO));
        assert_eq!(timers.pop(30).map(|entry| entry.id), Some(ONE));
    }

    #[test]
    fn a_deadline_that_is_lifted_comes_up_as_nothing() {
        let (mut timers, mut deadline) = (Timers::default(), Deadline::NONE);
        timers.set(&mut deadline, 10, ONE);
        timers.set(&mut deadline, Millis::MAX, ONE);
        let entry = timers.pop(10).unwrap();
        assert_eq!(timers.judge(&mut deadline, entry, 10), Due::Later);
        assert_eq!(timers.next(), None);
    }
}
