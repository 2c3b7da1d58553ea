//! File descriptors as such: copies, flags, and those that were there before us.

use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd, IntoRawFd as _, OwnedFd, RawFd};
use std::sync::Mutex;

use rustix::fs::{Mode, OFlags, fcntl_getfl, fcntl_setfl, open};
use rustix::io::{FdFlags, fcntl_dupfd_cloexec, fcntl_setfd};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Standard input, output and error belong to std and are never taken away from it.
const FIRST_INHERITED: RawFd = 3;

/// Opens `/dev/null` for each of the three standard streams that the parent process has closed. The next socket or pipe
/// would get its number otherwise, and what is meant for standard error would go to a client.
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

/// Standard output. It is never closed: see [`fill_standard_streams`].
#[must_use]
pub fn stdout() -> BorrowedFd<'static> {
    rustix::stdio::stdout()
}

/// How many columns the terminal on standard output has, or `COLUMNS` says; `None` where neither is known.
#[must_use]
pub fn columns() -> Option<usize> {
    let mut size = libc::winsize {
        ws_row: 0,
        ws_col: 0,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    // SAFETY: the request writes one `winsize`, which is what the pointer leads to for the length of the call.
    let result = unsafe { libc::ioctl(libc::STDOUT_FILENO, libc::TIOCGWINSZ, &raw mut size) };
    let terminal = (result == 0 && size.ws_col > 0).then(|| usize::from(size.ws_col));
    let variable = || std::env::var("COLUMNS").ok()?.parse().ok();
    terminal.or_else(variable)
}

/// A second descriptor for the same open file, closed on exec.
///
/// # Errors
///
/// When the process has no descriptor left.
pub fn duplicate(fd: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    Ok(fcntl_dupfd_cloexec(fd, FIRST_INHERITED)?)
}

/// Whether something failed because the process, or the machine, has no descriptor left.
#[must_use]
pub fn are_used_up(error: &io::Error) -> bool {
    let errno = rustix::io::Errno::from_io_error(error);
    matches!(
        errno,
        Some(rustix::io::Errno::MFILE | rustix::io::Errno::NFILE)
    )
}

/// How many descriptors this process has open, about: where `/proc` is not there, what a process has at its start.
#[must_use]
pub fn open_count() -> u64 {
    const AT_THE_START: u64 = 32;
    std::fs::read_dir("/proc/self/fd").map_or(AT_THE_START, |entries| entries.count() as u64)
}

/// Raises the limit of open descriptors to `wanted` or, where it may not be as high, as far as it may. Returns what it
/// is then.
pub fn raise_limit(wanted: u64) -> u64 {
    let before = getrlimit(Resource::Nofile);
    let current = before.current.unwrap_or(u64::MAX);
    if current >= wanted {
        return current;
    }
    let raised = before.maximum.map_or(wanted, |most| most.min(wanted));
    let limit = Rlimit {
        current: Some(raised),
        ..before
    };
    match setrlimit(Resource::Nofile, limit) {
        Ok(()) => raised,
        Err(_) => current,
    }
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

/// A descriptor that was open before this program opened any of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Inherited {
    number: RawFd,
    /// Device and inode, which tell a file that was opened later under the same number.
    file: (u64, u64),
    /// Only what is kept on exec can have come from the process that started this program. The rest belongs to an
    /// object of the program that this server is a part of.
    on_exec: OnExec,
    /// So that none gets two owners.
    is_adopted: bool,
}

static INHERITED: Mutex<Vec<Inherited>> = Mutex::new(Vec::new());

/// How far descriptors are looked for where `/proc` is not there.
const NUMBERS_WITHOUT_PROC: RawFd = 1100;

/// Notes which descriptors are open: those that [`adopt_socket`] may take. To be called before this program opens
/// anything.
pub fn note_inherited() {
    let mut found = Vec::new();
    // The descriptor that the directory is read by is closed before any is adopted.
    for number in open_numbers().unwrap_or_else(|_| (0..NUMBERS_WITHOUT_PROC).collect()) {
        if let (Ok(status), Ok(on_exec)) = (status(number), on_exec(number)) {
            found.push(Inherited {
                number,
                file: (status.st_dev, status.st_ino),
                on_exec,
                is_adopted: false,
            });
        }
    }
    inherited().append(&mut found);
}

fn open_numbers() -> io::Result<Vec<RawFd>> {
    let entries = std::fs::read_dir("/proc/self/fd")?;
    let number =
        |entry: io::Result<std::fs::DirEntry>| entry.ok()?.file_name().to_str()?.parse().ok();
    Ok(entries.filter_map(number).collect())
}

fn inherited() -> std::sync::MutexGuard<'static, Vec<Inherited>> {
    INHERITED
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Takes ownership of a socket that the process inherited under this number (`fd://N`, `LISTEN_FDS`, `GUNICORN_FD`),
/// and has it closed on exec. One that belongs to an object of this program is duplicated.
///
/// # Errors
///
/// `NotFound` when nothing is open under the number, `InvalidInput` when it is not a socket or not one that was open
/// when the program began, `AlreadyExists` when it has been adopted before.
pub fn adopt_socket(number: RawFd) -> io::Result<OwnedFd> {
    let invalid = |reason| io::Error::new(io::ErrorKind::InvalidInput, reason);
    let status = status(number)?;
    if status.st_mode & libc::S_IFMT != libc::S_IFSOCK {
        return Err(invalid("it is not a socket"));
    }
    let file = (status.st_dev, status.st_ino);
    let mut inherited = inherited();
    let is_it = |known: &Inherited| known.number == number && known.file == file;
    let Some(known) = inherited.iter_mut().find(|known| is_it(known)) else {
        return Err(invalid("it was not open when the server was started"));
    };
    if number < FIRST_INHERITED || known.on_exec == OnExec::Close {
        return duplicate_number(number);
    }
    if known.is_adopted {
        return Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            "it is in use already",
        ));
    }
    known.is_adopted = true;
    // SAFETY: nothing in this process owns it. It was open before this program opened anything, it was kept on exec, as
    // nothing is that belongs to an object, its inode says that no other file has taken its number since, and the list
    // says that it is adopted for the first time.
    let socket = unsafe { OwnedFd::from_raw_fd(number) };
    set_on_exec(std::os::fd::AsFd::as_fd(&socket), OnExec::Close)?;
    Ok(socket)
}

/// A second descriptor, closed on exec, for the file that is open under this number now.
///
/// It claims nothing of the number: another thread may close it at any moment. Then there is an error, or a descriptor
/// of the file that has taken the number meanwhile.
///
/// # Errors
///
/// Nothing is open under it, or the process has no descriptor left.
pub fn duplicate_number(number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: fcntl takes integers here, and answers EBADF for a number that is not open.
    let copy = unsafe { libc::fcntl(number, libc::F_DUPFD_CLOEXEC, FIRST_INHERITED) };
    if copy < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just made it for this call.
    Ok(unsafe { OwnedFd::from_raw_fd(copy) })
}

fn on_exec(number: RawFd) -> io::Result<OnExec> {
    // SAFETY: fcntl takes integers here, and answers EBADF for a number that is not open.
    match unsafe { libc::fcntl(number, libc::F_GETFD) } {
        -1 => Err(io::Error::last_os_error()),
        flags if flags & libc::FD_CLOEXEC != 0 => Ok(OnExec::Close),
        _ => Ok(OnExec::Keep),
    }
}

fn status(number: RawFd) -> io::Result<libc::stat> {
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
    Ok(status)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::fd::{AsFd, AsRawFd, IntoRawFd};
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn a_duplicate_is_the_same_file_and_closes_on_exec() {
        let (left, mut right) = UnixStream::pair().expect("socketpair");
        let copy = duplicate(left.as_fd()).expect("dup");
        assert_eq!(on_exec(copy.as_raw_fd()).expect("fcntl"), OnExec::Close);
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
        assert_eq!(on_exec(left.as_raw_fd()).expect("fcntl"), OnExec::Keep);
        set_on_exec(left.as_fd(), OnExec::Close).expect("fcntl");
        assert_eq!(on_exec(left.as_raw_fd()).expect("fcntl"), OnExec::Close);
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
        set_on_exec(left.as_fd(), OnExec::Keep).expect("as one that was inherited");
        let number = left.into_raw_fd();
        note_inherited();
        let adopted = adopt_socket(number).expect("adopt");
        assert_eq!(adopted.as_raw_fd(), number);
        assert_eq!(on_exec(number).expect("fcntl"), OnExec::Close);
        assert_eq!(
            adopt_socket(number).expect_err("twice").kind(),
            io::ErrorKind::AlreadyExists
        );
    }

    #[test]
    fn what_this_program_has_opened_is_not_adopted() {
        let (left, _right) = UnixStream::pair().expect("socketpair");
        let error = adopt_socket(left.as_raw_fd()).expect_err("it is ours");
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        let closed = left.as_raw_fd();
        set_on_exec(left.as_fd(), OnExec::Keep).expect("fcntl");
        note_inherited();
        drop(left);
        let (other, _end) = UnixStream::pair().expect("socketpair");
        let taken = rustix::io::fcntl_dupfd_cloexec(&other, closed).expect("dup");
        if taken.as_raw_fd() == closed {
            adopt_socket(closed).expect_err("another socket has its number");
        }
    }

    #[test]
    fn what_belongs_to_an_object_of_this_program_is_duplicated() {
        let (left, _right) = UnixStream::pair().expect("socketpair");
        note_inherited();
        let copy = adopt_socket(left.as_raw_fd()).expect("a copy");
        assert_ne!(copy.as_raw_fd(), left.as_raw_fd());
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
