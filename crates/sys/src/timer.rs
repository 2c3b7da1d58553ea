//! A timer that is a descriptor (`timerfd_create(2)`), for pollers.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::time::Duration;

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};

use crate::forks::Private;

/// A timer, which processes that the application forks do not get. It is readable once its time has passed, until it is
/// set again.
#[derive(Debug)]
pub struct Timer(Private);

impl Timer {
    /// A timer that is not set; closed on exec.
    ///
    /// # Errors
    ///
    /// When the process or the machine has no file descriptor left.
    pub fn new() -> io::Result<Timer> {
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        Ok(Timer(
            timerfd_create(TimerfdClockId::Monotonic, flags)?.into(),
        ))
    }

    /// Sets it to go off once, `span` from now. A span of zero stops it.
    ///
    /// # Errors
    ///
    /// What `timerfd_settime(2)` says.
    pub fn set(&self, span: Duration) -> io::Result<()> {
        let timing = Itimerspec {
            it_interval: Timespec::default(),
            it_value: Timespec {
                tv_sec: i64::try_from(span.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: span.subsec_nanos().into(),
            },
        };
        timerfd_settime(&self.0, TimerfdTimerFlags::empty(), &timing)?;
        Ok(())
    }
}

impl AsFd for Timer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for Timer {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::poll::readable;

    #[test]
    fn a_timer_goes_off_when_it_is_set() {
        let timer = Timer::new().expect("timerfd");
        let is_over = |timeout| readable([timer.as_fd()], timeout).expect("poll")[0];
        assert!(!is_over(Some(Duration::ZERO)));
        timer.set(Duration::from_millis(1)).expect("set");
        assert!(is_over(None));
    }
}
