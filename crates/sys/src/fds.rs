//! File descriptors as such: copies, flags, and those that were there before us.

use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd, IntoRawFd as _, OwnedFd, RawFd};
use std::sync::Mutex;

use rustix::fs::{Mode, OFlags, fcntl_getfl, fcntl_setfl, open};
use rustix::io::{FdFlags, fcntl_dupfd_cloexec, fcntl_setfd};

/// Standard input, output and error belong to std and are never taken away from it.
const FIRST_INHERITED: RawFd = 3;

/// Opens `/dev/null` for each of the three standard streams that whoever started us has closed. The next socket or pipe would
/// get its number otherwise, and what is meant for standard error would go to a client.
///
/// # Errors
///
/// When `/dev/null` cannot be opened.
pub fn fill_standard_streams() -> io::Result<()> {
    loop {
        // Programs that we start inherit it, as they would the real ones.
        let lowest = open("/dev/null", OFlags::RDWR, Mode::empty())?;
        if lowest.as_raw_fd() >= FIRST_INHERITED {
            return Ok(());
        }
        let _ = lowest.into_raw_fd();
    }
}

/// A second descriptor for the same open file, closed on exec.
///
/// # Errors
///
/// When the process has no descriptor left.
pub fn duplicate(fd: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    Ok(fcntl_dupfd_cloexec(fd, FIRST_INHERITED)?)
}

/// What happens to a descriptor when the process starts another program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnExec {
    /// It is closed.
    Close,
    /// The program inherits it under the same number.
    Keep,
}

/// Sets what happens to `fd` on exec.
///
/// # Errors
///
/// What `fcntl(2)` says.
pub fn set_on_exec(fd: BorrowedFd<'_>, on_exec: OnExec) -> io::Result<()> {
    let flags = match on_exec {
        OnExec::Close => FdFlags::CLOEXEC,
        OnExec::Keep => FdFlags::empty(),
    };
    Ok(fcntl_setfd(fd, flags)?)
}

/// Makes reads and writes return `WouldBlock` instead of waiting. This belongs to the open file, so all copies of the
/// descriptor change with it, in other processes too.
///
/// # Errors
///
/// What `fcntl(2)` says.
pub fn set_nonblocking(fd: BorrowedFd<'_>) -> io::Result<()> {
    let flags = fcntl_getfl(fd)?;
    Ok(fcntl_setfl(fd, flags | OFlags::NONBLOCK)?)
}

/// Numbers that were adopted, so that none gets two owners.
static ADOPTED: Mutex<Vec<RawFd>> = Mutex::new(Vec::new());

/// Takes ownership of a socket that the process inherited under this number (`fd://N`, `LISTEN_FDS`, `GUNICORN_FD`), and
/// has it closed on exec.
///
/// # Errors
///
/// `NotFound` when nothing is open under the number, `InvalidInput` when it is not a socket, `AlreadyExists` when it
/// has been adopted before.
pub fn adopt_socket(number: RawFd) -> io::Result<OwnedFd> {
    if !is_socket(number)? {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "it is not a socket",
        ));
    }
    if number < FIRST_INHERITED {
        // SAFETY: it was just found open, and the standard streams stay open while the process lives.
        let standard = unsafe { BorrowedFd::borrow_raw(number) };
        return duplicate(standard);
    }
    let mut adopted = ADOPTED
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    if adopted.contains(&number) {
        return Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            "it is in use already",
        ));
    }
    adopted.push(number);
    // SAFETY: it is an open socket that whoever started this process meant for it, and the list above makes sure that
    // it is taken once. Everything that this process opens itself is owned elsewhere and not named by an operator.
    let socket = unsafe { OwnedFd::from_raw_fd(number) };
    set_on_exec(std::os::fd::AsFd::as_fd(&socket), OnExec::Close)?;
    Ok(socket)
}

fn is_socket(number: RawFd) -> io::Result<bool> {
    // SAFETY: all-zero bytes are a valid stat structure.
    let mut status: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: fstat writes to the structure, and answers EBADF for a number that is not open.
    if unsafe { libc::fstat(number, &raw mut status) } != 0 {
        let error = io::Error::last_os_error();
        return Err(match error.raw_os_error() {
            Some(libc::EBADF) => io::Error::new(io::ErrorKind::NotFound, "it is not open"),
            _ => error,
        });
    }
    Ok(status.st_mode & libc::S_IFMT == libc::S_IFSOCK)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::fd::{AsFd, AsRawFd, IntoRawFd};
    use std::os::unix::net::UnixStream;

    use super::*;

    fn on_exec(fd: BorrowedFd<'_>) -> OnExec {
        match rustix::io::fcntl_getfd(fd)
            .expect("fcntl")
            .contains(FdFlags::CLOEXEC)
        {
            true => OnExec::Close,
            false => OnExec::Keep,
        }
    }

    #[test]
    fn a_duplicate_is_the_same_file_and_closes_on_exec() {
        let (left, mut right) = UnixStream::pair().expect("socketpair");
        let copy = duplicate(left.as_fd()).expect("dup");
        assert_eq!(on_exec(copy.as_fd()), OnExec::Close);
        drop(left);
        UnixStream::from(copy).write_all(b"hi").expect("write");
        let mut received = String::new();
        right.read_to_string(&mut received).expect("read");
        assert_eq!(received, "hi");
    }

    #[test]
    fn the_exec_flag_is_set_and_cleared() {
        let (left, _right) = UnixStream::pair().expect("socketpair");
        set_on_exec(left.as_fd(), OnExec::Keep).expect("fcntl");
        assert_eq!(on_exec(left.as_fd()), OnExec::Keep);
        set_on_exec(left.as_fd(), OnExec::Close).expect("fcntl");
        assert_eq!(on_exec(left.as_fd()), OnExec::Close);
    }

    #[test]
    fn a_nonblocking_read_does_not_wait() {
        let (mut left, _right) = UnixStream::pair().expect("socketpair");
        set_nonblocking(left.as_fd()).expect("fcntl");
        assert_eq!(
            left.read(&mut [0]).expect_err("empty").kind(),
            io::ErrorKind::WouldBlock
        );
    }

    #[test]
    fn a_socket_is_adopted_once_and_under_its_number() {
        let (left, _right) = UnixStream::pair().expect("socketpair");
        let number = left.into_raw_fd();
        let adopted = adopt_socket(number).expect("adopt");
        assert_eq!(adopted.as_raw_fd(), number);
        assert_eq!(on_exec(adopted.as_fd()), OnExec::Close);
        assert_eq!(
            adopt_socket(number).expect_err("twice").kind(),
            io::ErrorKind::AlreadyExists
        );
    }

    #[test]
    fn what_is_not_open_or_not_a_socket_is_not_adopted() {
        assert_eq!(
            adopt_socket(99_999).expect_err("closed").kind(),
            io::ErrorKind::NotFound
        );
        assert_eq!(
            adopt_socket(-1).expect_err("closed").kind(),
            io::ErrorKind::NotFound
        );
        let file = std::fs::File::open("/dev/null").expect("open");
        assert_eq!(
            adopt_socket(file.as_raw_fd()).expect_err("a file").kind(),
            io::ErrorKind::InvalidInput
        );
    }
}
