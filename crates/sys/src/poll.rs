//! Waiting until one of a few descriptors can be read, and looking what can be done with one now.

use std::io;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};

/// Waits until one of `sources` is readable or at its end, for at most `timeout` (`None`: as long as it takes), and
/// says which are.
///
/// A signal ends the wait early with nothing readable.
///
/// # Errors
///
/// What `poll(2)` says.
pub fn readable<const N: usize>(
    sources: [BorrowedFd<'_>; N],
    timeout: Option<Duration>,
) -> io::Result<[bool; N]> {
    let mut polled = sources.map(|source| PollFd::from_borrowed_fd(source, PollFlags::IN));
    let timeout = timeout.map(timespec);
    match rustix::event::poll(&mut polled, timeout.as_ref()) {
        Ok(_) => Ok(polled.map(|source| !source.revents().is_empty())),
        Err(rustix::io::Errno::INTR) => Ok([false; N]),
        Err(error) => Err(error.into()),
    }
}

/// A descriptor, and what is waited for on it.
#[derive(Clone, Copy, Debug)]
pub struct Interest<'a> {
    /// The descriptor.
    pub source: BorrowedFd<'a>,
    /// That it can be read, or is at its end.
    pub readable: bool,
    /// That it takes bytes.
    pub writable: bool,
}

/// Waits until one of `interests` is ready, a signal arrives, or `timeout` is over (`None`: as long as it takes).
///
/// # Errors
///
/// What `poll(2)` says.
pub fn any(interests: &[Interest<'_>], timeout: Option<Duration>) -> io::Result<()> {
    let polled = interests.iter().map(|interest| {
        let mut wanted = PollFlags::empty();
        wanted.set(PollFlags::IN, interest.readable);
        wanted.set(PollFlags::OUT, interest.writable);
        PollFd::from_borrowed_fd(interest.source, wanted)
    });
    let mut polled: Vec<_> = polled.collect();
    let timeout = timeout.map(timespec);
    match rustix::event::poll(&mut polled, timeout.as_ref()) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn timespec(span: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(span.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: span.subsec_nanos().into(),
    }
}

/// What can be done with a descriptor.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Readiness {
    /// It can be read, is at its end or has failed.
    pub readable: bool,
    /// It takes bytes.
    pub writable: bool,
}

/// What can be done with `source` once one of the two can be, or after `timeout`.
#[must_use]
pub fn readiness(source: BorrowedFd<'_>, timeout: Duration) -> Readiness {
    let wanted = PollFlags::IN | PollFlags::OUT;
    wait_for(source, wanted, timeout)
}

/// Whether `source` takes bytes, now or within `timeout`.
#[must_use]
pub fn is_writable(source: BorrowedFd<'_>, timeout: Duration) -> bool {
    wait_for(source, PollFlags::OUT, timeout).writable
}

fn wait_for(source: BorrowedFd<'_>, wanted: PollFlags, timeout: Duration) -> Readiness {
    let mut polled = [PollFd::from_borrowed_fd(source, wanted)];
    let timeout = timespec(timeout);
    // What fails here is a signal or a lack of memory, and then nothing is known.
    match rustix::event::poll(&mut polled, Some(&timeout)) {
        Ok(1..) => Readiness {
            readable: !polled[0].revents().difference(PollFlags::OUT).is_empty(),
            writable: polled[0].revents().contains(PollFlags::OUT),
        },
        _ => Readiness::default(),
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;
    use crate::pipe::{Notifier, pipe};

    #[test]
    fn it_says_which_source_is_readable() {
        let quiet = Notifier::new().expect("eventfd");
        let loud = Notifier::new().expect("eventfd");
        loud.notify();
        let ready = readable([quiet.as_fd(), loud.as_fd()], Some(Duration::ZERO)).expect("poll");
        assert_eq!(ready, [false, true]);
    }

    #[test]
    fn a_wait_for_any_ends_with_the_first_that_is_ready() {
        let quiet = Notifier::new().expect("eventfd");
        let taking = pipe().expect("pipe");
        let interest = |source, writable: bool| Interest {
            source,
            readable: !writable,
            writable,
        };
        let wanted = [
            interest(quiet.as_fd(), false),
            interest(taking.write.as_fd(), true),
        ];
        // Without an end in sight: a pipe takes bytes.
        any(&wanted, None).expect("poll");
        any(&wanted[..1], Some(Duration::from_millis(1))).expect("poll");
    }

    #[test]
    fn the_end_of_a_pipe_is_readable() {
        let pipe = pipe().expect("pipe");
        assert_eq!(
            readable([pipe.read.as_fd()], Some(Duration::ZERO)).expect("poll"),
            [false]
        );
        drop(pipe.write);
        assert_eq!(readable([pipe.read.as_fd()], None).expect("poll"), [true]);
    }
}
