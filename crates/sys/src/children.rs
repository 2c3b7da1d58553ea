//! Children that other code than the server's has forked: finding them, and hearing of their end without collecting it.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};

use rustix::process::{Pid, PidfdFlags, WaitId, WaitIdOptions, pidfd_open, waitid};

use crate::forks::Private;
use crate::process::End;
use crate::signals::Signal;

/// The children that the calling thread has forked and that have not been waited for; none where the kernel does not
/// list them (`CONFIG_PROC_CHILDREN`).
#[must_use]
pub fn of_this_thread() -> Vec<i32> {
    let listed = std::fs::read_to_string("/proc/thread-self/children").unwrap_or_default();
    listed
        .split_ascii_whitespace()
        .filter_map(|pid| pid.parse().ok())
        .collect()
}

/// A child that is watched.
#[derive(Debug)]
pub struct Child(Private);

impl Child {
    /// Watches the child `pid`, which must not have been collected: another process may have the number then.
    ///
    /// # Errors
    ///
    /// When there is no such process, or the kernel has no such descriptors (before Linux 5.3).
    pub fn watch(pid: i32) -> io::Result<Self> {
        let pid = Pid::from_raw(pid).ok_or(io::ErrorKind::InvalidInput)?;
        let handle: OwnedFd = pidfd_open(pid, PidfdFlags::empty())?;
        Ok(Self(handle.into()))
    }

    /// Waits until the child has ended. `None` where its parent has collected it first, which alone knows how it ended.
    ///
    /// # Errors
    ///
    /// What `poll(2)` says.
    pub fn end(&self) -> io::Result<Option<End>> {
        while !crate::poll::readable([self.0.as_fd()], None)?[0] {}
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        let Ok(Some(status)) = waitid(WaitId::PidFd(self.0.as_fd()), options) else {
            return Ok(None);
        };
        let signalled = |number| {
            Some(End::Signalled {
                signal: Signal::from_number(number)?,
                core: status.dumped(),
            })
        };
        Ok(match status.exit_status() {
            Some(code) => Some(End::Exited(code)),
            None => status.terminating_signal().and_then(signalled),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn the_end_of_a_child_is_heard_and_left_to_its_parent() {
        let mut child = Command::new("sh")
            .args(["-c", "exit 7"])
            .spawn()
            .expect("sh");
        let pid = i32::try_from(child.id()).expect("pid");
        assert!(of_this_thread().contains(&pid));
        let watched = Child::watch(pid).expect("pidfd");
        assert_eq!(watched.end().expect("poll"), Some(End::Exited(7)));
        assert_eq!(child.wait().expect("wait").code(), Some(7));
        assert_eq!(watched.end().expect("poll"), None);
    }

    #[test]
    fn a_process_that_is_not_there_is_not_watched() {
        assert!(Child::watch(i32::MAX).is_err());
        assert!(Child::watch(0).is_err());
    }
}
