//! The next deadline as a descriptor: an event loop that watches the poller then needs no timers of ours.

use std::io;
use std::os::fd::AsRawFd;
use std::time::Duration;

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use sys::timer::Timer;

use crate::timers::Millis;

/// A timer that the poller watches.
#[derive(Debug)]
pub(crate) struct Alarm {
    timer: Timer,
    /// When it will ring.
    set_for: Option<Millis>,
}

impl Alarm {
    pub(crate) fn new(registry: &Registry, token: Token) -> io::Result<Alarm> {
        let timer = Timer::new()?;
        registry.register(&mut SourceFd(&timer.as_raw_fd()), token, Interest::READABLE)?;
        Ok(Alarm {
            timer,
            set_for: None,
        })
    }

    /// Has it ring at `at`, which is `span` from now, or earlier: the event loop that it wakes looks what is due and
    /// sets it again, so a deadline that moves later, as that of a busy connection does all the time, costs no system
    /// call.
    pub(crate) fn set(&mut self, at: Option<Millis>, span: Duration) -> io::Result<()> {
        let Some(at) = at.filter(|at| self.set_for.is_none_or(|set| *at < set)) else {
            return Ok(());
        };
        self.set_for = Some(at);
        self.timer.set(span)
    }

    /// It went off.
    pub(crate) fn rang(&mut self) {
        self.set_for = None;
    }
}
