//! When the files of TLS are read again: once a change of them has come to rest. It reads no clock and no file.

use std::time::Duration;

/// How often the files are looked at.
const INTERVAL: Duration = Duration::from_secs(1);

/// What was seen of the files, by their stamps.
#[derive(Debug)]
pub(super) struct Watch<S> {
    /// When they are looked at next, by the monotonic clock.
    due: Duration,
    /// As they were when they were read last.
    read: S,
    /// As they were at the last look.
    seen: S,
}

impl<S: Clone + PartialEq> Watch<S> {
    /// Files that were read in this state.
    pub(super) fn new(read: S) -> Watch<S> {
        Watch {
            due: Duration::ZERO,
            seen: read.clone(),
            read,
        }
    }

    /// When to look next.
    pub(super) fn due(&self) -> Duration {
        self.due
    }

    /// Whether a look is due. The next one follows at a distance from this one.
    pub(super) fn takes_a_look(&mut self, now: Duration) -> bool {
        let is_due = now >= self.due;
        if is_due {
            self.due = now + INTERVAL;
        }
        is_due
    }

    /// Takes what a look has found. Says whether the files are to be read again: they have changed and, because a
    /// certificate and its key are written one after the other, have been so at the look before as well.
    pub(super) fn found(&mut self, stamps: S) -> bool {
        let is_at_rest = stamps == self.seen;
        let is_new = stamps != self.read;
        self.seen = stamps;
        if is_at_rest && is_new {
            self.read = self.seen.clone();
            return true;
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_read_once_when_it_has_come_to_rest() {
        let mut watch = Watch::new("old");
        let mut looks = |stamps| watch.found(stamps);
        assert!(!looks("old"));
        assert!(!looks("half"), "it has just changed");
        assert!(!looks("new"), "it goes on changing");
        assert!(looks("new"));
        assert!(!looks("new"), "it was read");
    }

    #[test]
    fn a_change_that_is_taken_back_is_none() {
        let mut watch = Watch::new("old");
        assert!(!watch.found("new"));
        assert!(!watch.found("old"));
        assert!(!watch.found("old"));
    }

    #[test]
    fn looks_have_a_distance() {
        let mut watch = Watch::new(());
        let begun = Duration::from_secs(100);
        assert!(watch.takes_a_look(begun));
        assert_eq!(watch.due(), begun + INTERVAL);
        assert!(!watch.takes_a_look(begun + INTERVAL / 2));
        assert!(watch.takes_a_look(begun + INTERVAL));
    }
}
