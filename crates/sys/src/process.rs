//! Processes: forking, ending, waiting, and what a process is called.

use std::fmt;
use std::fs::File;
use std::io::{self, IsTerminal as _};
use std::os::fd::{AsRawFd, RawFd};
use std::path::Path;

use rustix::process::{Pid, WaitOptions, WaitStatus};

use crate::signals::Signal;

/// This process.
#[must_use]
pub fn pid() -> i32 {
    rustix::process::getpid().as_raw_nonzero().get()
}

/// The parent of this process; zero when it is in another pid namespace.
#[must_use]
pub fn parent_pid() -> i32 {
    rustix::process::getppid().map_or(0, |pid| pid.as_raw_nonzero().get())
}

/// Which of two processes one is after a fork.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fork {
    /// The one that forked; with the child's pid.
    Parent(i32),
    /// The new one.
    Child,
}

/// Forks a process that has a single thread.
///
/// CPython has to fork through its own `os.fork`; this is for processes without an interpreter.
///
/// # Errors
///
/// When the process has other threads, whose locks the child would inherit without a thread to release them, or when
/// `fork(2)` fails.
pub fn fork() -> io::Result<Fork> {
    if std::fs::read_dir("/proc/self/task")?.count() != 1 {
        return Err(io::Error::other(
            "a process with several threads cannot be forked safely",
        ));
    }
    // SAFETY: there is no other thread, so the child finds every lock and every heap structure at rest.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(Fork::Child),
        child => Ok(Fork::Parent(child)),
    }
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It exited with this code.
    Exited(i32),
    /// A signal ended it.
    Signalled {
        /// Which.
        signal: Signal,
        /// Whether a core was dumped.
        core: bool,
    },
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(code) => write!(f, "code {code}"),
            Self::Signalled {
                signal,
                core: false,
            } => write!(f, "{signal}"),
            Self::Signalled { signal, core: true } => write!(f, "{signal}, core dumped"),
        }
    }
}

/// A child that is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exit {
    /// Its pid, which may be given to another process from now on.
    pub pid: i32,
    /// How it ended.
    pub end: End,
}

/// Collects one child that has ended, if there is one.
///
/// # Errors
///
/// What `waitpid(2)` says, except that having no children is not an error.
pub fn reap() -> io::Result<Option<Exit>> {
    collect(None, WaitOptions::NOHANG)
}

/// Waits until the child `pid` ends.
///
/// # Errors
///
/// What `waitpid(2)` says; `None` means that there is no such child.
pub fn wait(pid: i32) -> io::Result<Option<Exit>> {
    match positive(pid) {
        Some(pid) => collect(Some(pid), WaitOptions::empty()),
        None => Ok(None),
    }
}

fn collect(pid: Option<Pid>, options: WaitOptions) -> io::Result<Option<Exit>> {
    loop {
        match rustix::process::waitpid(pid, options) {
            Ok(Some((pid, status))) => {
                if let Some(end) = end_of(status) {
                    return Ok(Some(Exit {
                        pid: pid.as_raw_nonzero().get(),
                        end,
                    }));
                }
            }
            Ok(None) | Err(rustix::io::Errno::CHILD) => return Ok(None),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn end_of(status: WaitStatus) -> Option<End> {
    if let Some(code) = status.exit_status() {
        return Some(End::Exited(code));
    }
    let signal = Signal::from_number(status.terminating_signal()?)?;
    /// The bit of the wait status that says that a core was dumped (`WCOREDUMP`).
    const CORE: i32 = 0x80;
    Some(End::Signalled {
        signal,
        core: status.as_raw() & CORE != 0,
    })
}

/// Sends a signal.
///
/// # Errors
///
/// `NotFound` when there is no such process, `PermissionDenied` when it belongs to another user. Only single processes
/// can be named: a pid below one is `InvalidInput`.
pub fn kill(pid: i32, signal: Signal) -> io::Result<()> {
    if pid < 1 {
        // Zero and negative numbers mean whole groups to kill(2), and -1 all processes.
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // SAFETY: kill takes two integers and touches no memory of ours.
    match unsafe { libc::kill(pid, signal.number()) } {
        0 => Ok(()),
        _ => Err(not_found(io::Error::last_os_error())),
    }
}

/// `ESRCH` has no kind of its own in std.
fn not_found(error: io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(libc::ESRCH) => io::Error::new(io::ErrorKind::NotFound, error),
        _ => error,
    }
}

/// Whether there is such a process, ours or not, and it has not ended. A zombie, whose parent has not asked for its end
/// yet, has no effect any more; in a container whose first process reaps no children they stay for good.
#[must_use]
pub fn is_alive(pid: i32) -> bool {
    exists(pid) && !is_zombie(pid)
}

fn is_zombie(pid: i32) -> bool {
    // proc(5): the state follows the name, which stands in parentheses and may hold any character.
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit_once(") ").map(|(_, rest)| rest);
    state.is_some_and(|rest| rest.starts_with(['Z', 'X']))
}

/// Whether there is such a process, ours or not. A zombie is one.
#[must_use]
pub fn exists(pid: i32) -> bool {
    let Some(pid) = positive(pid) else {
        return false;
    };
    !matches!(
        rustix::process::test_kill_process(pid),
        Err(rustix::io::Errno::SRCH)
    )
}

/// rustix asserts that a pid is not negative; ours come from files as well.
fn positive(pid: i32) -> Option<Pid> {
    if pid > 0 { Pid::from_raw(pid) } else { None }
}

/// Makes this process the leader of a new session without a terminal.
///
/// # Errors
///
/// `PermissionDenied` when it leads a process group already.
pub fn new_session() -> io::Result<()> {
    rustix::process::setsid()?;
    Ok(())
}

/// Sets the file mode creation mask and returns the one before. The mask belongs to the whole process.
pub fn set_umask(mask: u32) -> u32 {
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(mask)).bits()
}

/// Which of standard output and error are left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Streams {
    /// Both.
    All,
    /// Those that are terminals; what is redirected stays.
    OnTerminals,
}

/// Points standard input at `/dev/null`, and of standard output and error those that are to be left.
///
/// # Errors
///
/// When `/dev/null` cannot be opened.
pub fn leave_standard_streams(which: Streams) -> io::Result<()> {
    let null = File::options()
        .read(true)
        .write(true)
        .open(Path::new("/dev/null"))?;
    let leaves = |is_terminal| is_terminal || which == Streams::All;
    rustix::stdio::dup2_stdin(&null)?;
    if leaves(io::stdout().is_terminal()) {
        rustix::stdio::dup2_stdout(&null)?;
    }
    if leaves(io::stderr().is_terminal()) {
        rustix::stdio::dup2_stderr(&null)?;
    }
    const LAST_STANDARD_STREAM: RawFd = 2;
    if null.as_raw_fd() <= LAST_STANDARD_STREAM {
        // A stream was closed at the start and the file took its number: it has to stay open.
        std::mem::forget(null);
    }
    Ok(())
}

/// The size that the main thread's stack may grow to, in bytes; `None` where it has no limit.
#[must_use]
pub fn stack_limit() -> Option<u64> {
    rustix::process::getrlimit(rustix::process::Resource::Stack).current
}

/// Names the calling thread, for the main thread what `ps -o comm` shows. The kernel keeps 15 bytes.
pub fn set_name(name: &str) {
    const NAME_MAX: usize = 15;
    let bytes: Vec<u8> = name
        .bytes()
        .filter(|&byte| byte != 0)
        .take(NAME_MAX)
        .collect();
    if let Ok(name) = std::ffi::CString::new(bytes) {
        // A name that the kernel refuses is no reason to fail.
        let _ = rustix::thread::set_name(&name);
    }
}

/// The kernel's number of the calling thread, which Python calls its native id.
#[must_use]
pub fn thread_id() -> i32 {
    rustix::thread::gettid().as_raw_nonzero().get()
}

/// Ends the process at once: no destructors, no exit handlers, nothing flushed.
pub fn exit_at_once(code: i32) -> ! {
    // SAFETY: _exit has no preconditions.
    unsafe { libc::_exit(code) }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    #[allow(clippy::zombie_processes, reason = "the waiting is what is tested")]
    fn the_end_of_a_child_tells_code_or_signal() {
        let child = Command::new("sh")
            .args(["-c", "exit 3"])
            .spawn()
            .expect("sh");
        let id = i32::try_from(child.id()).expect("pid");
        assert_eq!(
            wait(id).expect("wait"),
            Some(Exit {
                pid: id,
                end: End::Exited(3)
            })
        );

        let child = Command::new("sleep").arg("100").spawn().expect("sleep");
        let id = i32::try_from(child.id()).expect("pid");
        assert!(exists(id));
        kill(id, Signal::TERM).expect("kill");
        let end = End::Signalled {
            signal: Signal::TERM,
            core: false,
        };
        assert_eq!(wait(id).expect("wait"), Some(Exit { pid: id, end }));
        assert!(!exists(id));
        assert_eq!(
            kill(id, Signal::TERM).expect_err("gone").kind(),
            io::ErrorKind::NotFound
        );
    }

    #[test]
    fn a_process_that_is_not_our_child_is_not_waited_for() {
        assert_eq!(wait(1).expect("wait"), None);
    }

    #[test]
    fn groups_cannot_be_killed_by_accident() {
        for pid in [0, -1, -77] {
            assert_eq!(
                kill(pid, Signal::CONT).expect_err("refused").kind(),
                io::ErrorKind::InvalidInput
            );
            assert!(!exists(pid));
        }
    }

    #[test]
    fn a_process_with_threads_is_not_forked() {
        std::thread::scope(|scope| {
            let (sender, receiver) = std::sync::mpsc::channel::<()>();
            scope.spawn(move || receiver.recv());
            assert!(fork().is_err());
            drop(sender);
        });
    }

    #[test]
    fn ends_read_well() {
        assert_eq!(End::Exited(4).to_string(), "code 4");
        assert_eq!(
            End::Signalled {
                signal: Signal::SEGV,
                core: true
            }
            .to_string(),
            "SIGSEGV, core dumped"
        );
    }
}
