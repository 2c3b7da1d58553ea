//! How long to wait before the next fork when workers keep dying.

use std::time::Duration;

/// The pause after the first untimely death. Short, because one death is mostly one death.
const FIRST: Duration = Duration::from_millis(100);

/// The longest pause. An application that waits for its database should be back soon after the database is, and one
/// boot in ten seconds fills no disk with tracebacks.
const LONGEST: Duration = Duration::from_secs(10);

/// A worker that has served for this long has lived: what kills it later is no boot loop.
pub(super) const LIVED: Duration = Duration::from_secs(10);

/// An exponential pause.
#[derive(Clone, Debug, Default)]
pub(super) struct BackOff {
    failures: u32,
    last: Duration,
    until: Duration,
}

impl BackOff {
    /// Counts an untimely death of a worker that was forked at `born`, and returns the pause that follows, unless the
    /// death belongs to a round that is counted already: ten workers that die of one cause are one failure.
    pub(super) fn fail(&mut self, born: Duration, now: Duration) -> Option<Duration> {
        if self.failures > 0 && born < self.last {
            return None;
        }
        let pause = FIRST
            .saturating_mul(1 << self.failures.min(16))
            .min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        self.last = now;
        self.until = now + pause;
        Some(pause)
    }

    /// Forgets all failures: a worker has lived, or an operator has intervened.
    pub(super) fn reset(&mut self) {
        *self = Self::default();
    }

    /// Whether a worker forked at `born` was forked after the last failure.
    pub(super) fn is_survivor(&self, born: Duration) -> bool {
        born >= self.last
    }

    /// When the next worker may be forked, if that is later than now.
    pub(super) fn pause_until(&self, now: Duration) -> Option<Duration> {
        (self.until > now).then_some(self.until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_doubles_up_to_a_bound() {
        let mut back_off = BackOff::default();
        let mut now = Duration::from_secs(100);
        let mut pauses = Vec::new();
        for _ in 0..40 {
            let pause = back_off.fail(now, now).expect("a new round");
            assert_eq!(back_off.pause_until(now), Some(now + pause));
            now += pause;
            assert_eq!(back_off.pause_until(now), None);
            pauses.push(pause);
        }
        assert_eq!(pauses[..4], [100, 200, 400, 800].map(Duration::from_millis));
        assert_eq!(pauses[39], LONGEST);
        back_off.reset();
        assert_eq!(back_off.fail(now, now), Some(FIRST));
    }

    #[test]
    fn deaths_of_one_round_count_once() {
        let mut back_off = BackOff::default();
        let born = Duration::from_secs(1);
        assert_eq!(back_off.fail(born, born + FIRST), Some(FIRST));
        assert_eq!(back_off.fail(born, born + FIRST), None);
        assert!(!back_off.is_survivor(born));
    }
}
