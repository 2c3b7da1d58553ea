//! Waiting until one of a few descriptors can be read.

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
    let timeout = timeout.map(|timeout| Timespec {
        tv_sec: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: timeout.subsec_nanos().into(),
    });
    match rustix::event::poll(&mut polled, timeout.as_ref()) {
        Ok(_) => Ok(polled.map(|source| !source.revents().is_empty())),
        Err(rustix::io::Errno::INTR) => Ok([false; N]),
        Err(error) => Err(error.into()),
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
