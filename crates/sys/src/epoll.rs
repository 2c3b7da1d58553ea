//! Registering a shared listener with an epoll instance that another library owns.
//!
//! mio has no word for `EPOLLEXCLUSIVE`, without which every waiting worker is woken for every connection.

use std::io;
use std::os::fd::BorrowedFd;

use rustix::event::epoll::{self, EventData, EventFlags};

/// Watches `source` for reading, level-triggered, and asks the kernel to wake only one of the epoll instances that
/// watch it.
///
/// # Errors
///
/// What `epoll_ctl(2)` says: `AlreadyExists` when `source` is registered here, `PermissionDenied` for a regular file.
pub fn add_exclusive(epoll: BorrowedFd<'_>, source: BorrowedFd<'_>, token: u64) -> io::Result<()> {
    // EPOLLEXCLUSIVE may be combined with EPOLLIN and little else, see epoll_ctl(2).
    let flags = EventFlags::IN | EventFlags::EXCLUSIVE;
    Ok(epoll::add(epoll, source, EventData::new_u64(token), flags)?)
}

/// Watches `source` for reading, level-triggered.
///
/// # Errors
///
/// What `epoll_ctl(2)` says, as for [`add_exclusive`].
pub fn add(epoll: BorrowedFd<'_>, source: BorrowedFd<'_>, token: u64) -> io::Result<()> {
    Ok(epoll::add(
        epoll,
        source,
        EventData::new_u64(token),
        EventFlags::IN,
    )?)
}

/// Stops watching `source`.
///
/// # Errors
///
/// What `epoll_ctl(2)` says: `NotFound` when `source` is not registered here.
pub fn delete(epoll: BorrowedFd<'_>, source: BorrowedFd<'_>) -> io::Result<()> {
    Ok(epoll::delete(epoll, source)?)
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use rustix::event::Timespec;
    use rustix::event::epoll::{CreateFlags, Event};

    use super::*;
    use crate::pipe::Notifier;

    fn ready_tokens(epoll: BorrowedFd<'_>) -> Vec<u64> {
        let mut events = Vec::<Event>::with_capacity(4);
        let at_once = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        epoll::wait(
            epoll,
            rustix::buffer::spare_capacity(&mut events),
            Some(&at_once),
        )
        .expect("epoll_wait");
        events.iter().map(|event| { event.data }.u64()).collect()
    }

    #[test]
    fn an_exclusive_source_reports_its_token_until_it_is_deleted() {
        let poller = epoll::create(CreateFlags::CLOEXEC).expect("epoll");
        let notifier = Notifier::new().expect("eventfd");
        add_exclusive(poller.as_fd(), notifier.as_fd(), 77).expect("add");
        assert!(ready_tokens(poller.as_fd()).is_empty());
        notifier.notify();
        assert_eq!(ready_tokens(poller.as_fd()), [77]);
        assert_eq!(ready_tokens(poller.as_fd()), [77], "level-triggered");
        delete(poller.as_fd(), notifier.as_fd()).expect("delete");
        assert!(ready_tokens(poller.as_fd()).is_empty());
    }

    #[test]
    fn a_source_that_is_not_registered_cannot_be_deleted() {
        let poller = epoll::create(CreateFlags::CLOEXEC).expect("epoll");
        let notifier = Notifier::new().expect("eventfd");
        let error = delete(poller.as_fd(), notifier.as_fd()).expect_err("not registered");
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
