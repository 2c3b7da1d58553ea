//! The monotonic clock, which every process of the server reads alike.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Milliseconds of `CLOCK_MONOTONIC` since the machine booted, at the kernel's tick (1 to 10 ms).
///
/// The coarse clock is read from the vDSO page without asking the hardware, so it may stand in a hot path. It is never
/// zero, so that zero can mean "never" where such a time is kept.
#[must_use]
pub fn monotonic_ms() -> u64 {
    let now = duration(ClockId::MonotonicCoarse).as_millis();
    u64::try_from(now).unwrap_or(u64::MAX).max(1)
}

/// `CLOCK_MONOTONIC` since the machine booted, exact.
#[must_use]
pub fn monotonic() -> Duration {
    duration(ClockId::Monotonic)
}

fn duration(clock: ClockId) -> Duration {
    let now = clock_gettime(clock);
    // The monotonic clock starts at zero and only grows, so neither conversion can fail on a real machine.
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    let nanoseconds = u32::try_from(now.tv_nsec).unwrap_or(0);
    Duration::new(seconds, nanoseconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_coarse_clock_follows_the_exact_one() {
        let exact = u64::try_from(monotonic().as_millis()).expect("fits");
        let coarse = monotonic_ms();
        assert!(
            exact.abs_diff(coarse) < 1000,
            "exact {exact}, coarse {coarse}"
        );
    }
}
