//! Signals: their names, who receives them, and the pipe that turns them into bytes.
//!
//! The handler does the one thing that a handler may do, a `write(2)` of a small record, so that a signal becomes
//! something to poll for. signal-hook does not tell who sent a signal and keeps its handlers over a fork; both matter
//! to an arbiter, hence our own.

use std::fmt;
use std::io;
use std::mem::{self, MaybeUninit};
use std::os::fd::{AsFd, BorrowedFd, IntoRawFd, OwnedFd};
use std::ptr;
use std::sync::atomic::{AtomicI32, Ordering};

use libc::{c_int, c_void, siginfo_t};

use crate::forks::Private;
use crate::pipe::pipe;

/// A signal by its number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Signal(c_int);

macro_rules! signals {
    ($($name:ident = $number:ident,)*) => {
        impl Signal {
            $(#[doc = concat!("`", stringify!($number), "`.")] pub const $name: Self = Self(libc::$number);)*
        }

        /// Every signal that has a name here.
        const NAMES: &[(c_int, &str)] = &[$((libc::$number, stringify!($number)),)*];
    };
}

signals! {
    HUP = SIGHUP,
    INT = SIGINT,
    QUIT = SIGQUIT,
    ILL = SIGILL,
    TRAP = SIGTRAP,
    ABRT = SIGABRT,
    BUS = SIGBUS,
    FPE = SIGFPE,
    KILL = SIGKILL,
    USR1 = SIGUSR1,
    SEGV = SIGSEGV,
    USR2 = SIGUSR2,
    PIPE = SIGPIPE,
    ALRM = SIGALRM,
    TERM = SIGTERM,
    CHLD = SIGCHLD,
    CONT = SIGCONT,
    STOP = SIGSTOP,
    TSTP = SIGTSTP,
    TTIN = SIGTTIN,
    TTOU = SIGTTOU,
    URG = SIGURG,
    XCPU = SIGXCPU,
    XFSZ = SIGXFSZ,
    VTALRM = SIGVTALRM,
    PROF = SIGPROF,
    WINCH = SIGWINCH,
    IO = SIGIO,
    PWR = SIGPWR,
    SYS = SIGSYS,
}

impl Signal {
    /// The signal of that number, when it is one that Linux knows (1 to 64).
    #[must_use]
    pub fn from_number(number: i32) -> Option<Self> {
        (1..=64).contains(&number).then_some(Self(number))
    }

    /// Its number.
    #[must_use]
    pub fn number(self) -> i32 {
        self.0
    }

    /// Its name without `SIG` and in lower case, as Gunicorn's log has it: `hup`; `None` for a real-time signal.
    #[must_use]
    pub fn short_name(self) -> Option<String> {
        self.name()
            .map(|name| name.trim_start_matches("SIG").to_ascii_lowercase())
    }

    fn name(self) -> Option<&'static str> {
        NAMES
            .iter()
            .find(|(number, _)| *number == self.0)
            .map(|(_, name)| *name)
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "signal {}", self.0),
        }
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A signal that came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// Which.
    pub signal: Signal,
    /// The process that sent it; `None` when the kernel did, for example for Ctrl-C.
    pub sender: Option<i32>,
}

/// Signal number and sender's pid in native order. Well below `PIPE_BUF`, so a record is written whole or not at all.
const RECORD: usize = 8;

/// Records that one [`SignalPipe::take`] reads at most. What is left makes the pipe readable again.
const RECORDS_AT_ONCE: usize = 128;

/// Where the handler writes; -1 while it has to discard.
static WRITE_END: AtomicI32 = AtomicI32::new(-1);

/// The process that installed the handler. A process that other code forks (a hook that starts a program) inherits
/// the handler until its exec, and must not speak in the arbiter's name.
static OWNER: AtomicI32 = AtomicI32::new(0);

/// Receives signals as bytes of a pipe. One for each process.
#[derive(Debug)]
pub struct SignalPipe {
    read: Private,
    installed: Vec<Signal>,
}

impl SignalPipe {
    /// Installs the handler for `signals`.
    ///
    /// # Errors
    ///
    /// When no pipe can be made, or a signal cannot be handled (KILL, STOP).
    pub fn install(signals: &[Signal]) -> io::Result<Self> {
        let pipe = pipe()?;
        OWNER.store(crate::process::pid(), Ordering::Relaxed);
        // The write end is never closed in this process: another thread may be in the handler while we are being
        // dropped, and the number must not meanwhile belong to something else.
        WRITE_END.store(OwnedFd::from(pipe.write).into_raw_fd(), Ordering::Release);
        let mut this = Self {
            read: pipe.read,
            installed: Vec::with_capacity(signals.len()),
        };
        for &signal in signals {
            dispose(signal, Disposition::Record)?;
            this.installed.push(signal);
        }
        Ok(this)
    }

    /// Installs the handlers again, where other code may have replaced them.
    ///
    /// # Errors
    ///
    /// None that [`SignalPipe::install`] has not had.
    pub fn renew(&self) -> io::Result<()> {
        self.installed
            .iter()
            .try_for_each(|&signal| dispose(signal, Disposition::Record))
    }

    /// What has come in since the last call, in order.
    pub fn take(&mut self) -> Vec<Received> {
        let mut bytes = [0u8; RECORD * RECORDS_AT_ONCE];
        let length = rustix::io::read(&self.read, &mut bytes).unwrap_or(0);
        bytes[..length]
            .chunks_exact(RECORD)
            .filter_map(decode)
            .collect()
    }

    /// In a forked child, with all signals still blocked: gives every signal of ours back to its default and lets go of
    /// the pipe that belongs to the parent.
    pub fn abandon(self) {
        for &signal in &self.installed {
            // It was accepted once with the same number, so it is accepted again.
            let _ = dispose(signal, Disposition::Default);
        }
        let write = WRITE_END.swap(-1, Ordering::AcqRel);
        if write >= 0 {
            // SAFETY: the number came from `into_raw_fd` in `install`, and a freshly forked child has no other thread
            // that could be using it.
            drop(unsafe { <OwnedFd as std::os::fd::FromRawFd>::from_raw_fd(write) });
        }
    }
}

impl AsFd for SignalPipe {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.read.as_fd()
    }
}

impl Drop for SignalPipe {
    fn drop(&mut self) {
        // The handlers stay and discard: a second SIGTERM must not turn a clean exit into a death by signal.
        WRITE_END.store(-1, Ordering::Release);
    }
}

/// In a process that was forked without the server's knowledge: gives the signals that [`SignalPipe`] receives back to
/// their defaults, and those of `others`, a bit for each, so that the process can be ended as any other.
/// Async-signal-safe.
pub(crate) fn give_back(others: u64) {
    WRITE_END.store(-1, Ordering::Release);
    for &(number, _) in NAMES {
        // SAFETY: all-zero bytes are a valid sigaction.
        let mut action: libc::sigaction = unsafe { mem::zeroed() };
        // SAFETY: no new action is given, and the old one is written to where it has room.
        let known = unsafe { libc::sigaction(number, ptr::null(), &raw mut action) } == 0;
        let ours = action.sa_sigaction == record as *const () as usize;
        if known && (ours || others & (1 << number) != 0) {
            // It was accepted once with the same number, so it is accepted again.
            let _ = dispose(Signal(number), Disposition::Default);
        }
    }
}

fn decode(record: &[u8]) -> Option<Received> {
    let (number, sender) = record.split_first_chunk::<4>()?;
    let signal = Signal::from_number(i32::from_ne_bytes(*number))?;
    let sender = i32::from_ne_bytes(*sender.first_chunk::<4>()?);
    Some(Received {
        signal,
        sender: (sender > 0).then_some(sender),
    })
}

/// What a process does with a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// What the system does by itself.
    Default,
    /// Nothing, and programs that are started ignore it too.
    Ignore,
    /// Nothing, but programs that are started have the default.
    Swallow,
    /// A record in the pipe of [`SignalPipe`].
    Record,
}

/// Sets what this process does with `signal`.
///
/// # Errors
///
/// For KILL and STOP, which cannot be disposed of.
pub fn dispose(signal: Signal, disposition: Disposition) -> io::Result<()> {
    // SAFETY: all-zero bytes are a valid sigaction: no flags, no handler, an empty mask.
    let mut action: libc::sigaction = unsafe { mem::zeroed() };
    action.sa_flags = libc::SA_RESTART;
    action.sa_sigaction = match disposition {
        Disposition::Default => libc::SIG_DFL,
        Disposition::Ignore => libc::SIG_IGN,
        Disposition::Swallow => swallow as *const () as usize,
        Disposition::Record => {
            action.sa_flags |= libc::SA_SIGINFO;
            record as *const () as usize
        }
    };
    // SAFETY: the action is complete, its handler has the signature that its flags promise and does nothing that is
    // forbidden in a handler, and no old action is asked for.
    let result = unsafe { libc::sigaction(signal.0, &raw const action, ptr::null_mut()) };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

extern "C" fn swallow(_: c_int) {}

/// The handler. Everything in it is async-signal-safe: atomics, getpid, write.
extern "C" fn record(number: c_int, info: *mut siginfo_t, _context: *mut c_void) {
    let write = WRITE_END.load(Ordering::Acquire);
    // SAFETY: getpid has no preconditions.
    let pid = unsafe { libc::getpid() };
    if write < 0 || pid != OWNER.load(Ordering::Relaxed) {
        return;
    }
    let mut bytes = [0u8; RECORD];
    bytes[..4].copy_from_slice(&number.to_ne_bytes());
    bytes[4..].copy_from_slice(&sender(info).to_ne_bytes());
    // SAFETY: errno is a thread-local of the thread that runs the handler.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: the pointer was just given to us and is valid for this thread.
    let saved = unsafe { *errno };
    // A pipe that is full has thousands of signals waiting in it; one more of them tells nothing new.
    // SAFETY: the buffer has RECORD bytes.
    let _ = unsafe { libc::write(write, bytes.as_ptr().cast(), RECORD) };
    // SAFETY: as above; the interrupted code must find its errno again.
    unsafe { *errno = saved };
}

/// The sender's pid, or zero.
fn sender(info: *const siginfo_t) -> c_int {
    // SAFETY: with SA_SIGINFO the kernel passes a valid siginfo, and a null pointer gives None.
    let Some(info) = (unsafe { info.as_ref() }) else {
        return 0;
    };
    if matches!(
        info.si_code,
        libc::SI_USER | libc::SI_QUEUE | libc::SI_TKILL
    ) {
        // SAFETY: these codes mean that a process sent the signal, and then si_pid is filled in.
        unsafe { info.si_pid() }
    } else {
        0
    }
}

/// The signals that a fault of the thread itself raises. A thread that blocks one is killed by it without its handler:
/// `faulthandler` prints nothing, and runtimes that handle it (JVM, Wasm) break.
const FAULTS: [Signal; 7] = [
    Signal::SEGV,
    Signal::BUS,
    Signal::FPE,
    Signal::ILL,
    Signal::ABRT,
    Signal::SYS,
    Signal::TRAP,
];

/// The last of the real-time signals, which nothing uses but what asks for it.
#[must_use]
pub fn last_realtime() -> Signal {
    Signal(libc::SIGRTMAX())
}

/// Raises a signal in the calling thread, which has handled it when this returns, also where it blocks it otherwise.
pub fn raise_here(signal: Signal) {
    let mut only = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: sigemptyset writes a whole set to where it is pointed.
    let _ = unsafe { libc::sigemptyset(only.as_mut_ptr()) };
    // SAFETY: the set is initialised, and the number is a signal's.
    let _ = unsafe { libc::sigaddset(only.as_mut_ptr(), signal.0) };
    let mut before = MaybeUninit::<libc::sigset_t>::zeroed();
    // SAFETY: the first set is initialised, the second may be written to.
    let _ = unsafe { libc::pthread_sigmask(libc::SIG_UNBLOCK, only.as_ptr(), before.as_mut_ptr()) };
    // SAFETY: zeroed bytes are the empty set, and pthread_sigmask wrote the old one over them.
    let before = unsafe { before.assume_init() };
    let restored = Blocked { before };
    // SAFETY: raise has no preconditions. In a process with threads it means the calling one.
    let _ = unsafe { libc::raise(signal.0) };
    drop(restored);
}

/// While it lives, the calling thread receives none of the blocked signals. They wait until it is dropped.
#[derive(Debug)]
pub struct Blocked {
    before: libc::sigset_t,
}

/// Blocks every signal that can be blocked, in the calling thread.
#[must_use]
pub fn block_all() -> Blocked {
    block_all_but(&[])
}

/// Blocks every signal but those that a fault of the thread itself raises, in the calling thread and in those that it
/// starts: for threads that run none of the application's code.
#[must_use]
pub fn block_all_but_faults() -> Blocked {
    block_all_but(&FAULTS)
}

fn block_all_but(open: &[Signal]) -> Blocked {
    let mut all = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: sigfillset writes a whole set to where it is pointed.
    let _ = unsafe { libc::sigfillset(all.as_mut_ptr()) };
    for signal in open {
        // SAFETY: the set is initialised, and the number is a signal's.
        let _ = unsafe { libc::sigdelset(all.as_mut_ptr(), signal.0) };
    }
    let mut before = MaybeUninit::<libc::sigset_t>::zeroed();
    // SAFETY: the first set is initialised, the second may be written to. The call fails only for an unknown `how`.
    let _ = unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, all.as_ptr(), before.as_mut_ptr()) };
    // SAFETY: zeroed bytes are the empty set, and pthread_sigmask wrote the old one over them.
    let before = unsafe { before.assume_init() };
    Blocked { before }
}

impl Drop for Blocked {
    fn drop(&mut self) {
        // SAFETY: the set is the one that pthread_sigmask gave us, and no old set is asked for.
        let _ = unsafe {
            libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.before, ptr::null_mut())
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_have_the_names_that_logs_show() {
        assert_eq!(Signal::KILL.to_string(), "SIGKILL");
        assert_eq!(Signal::HUP.short_name().as_deref(), Some("hup"));
        let realtime = Signal::from_number(35).expect("valid");
        assert_eq!(
            (realtime.to_string(), realtime.short_name()),
            ("signal 35".into(), None)
        );
        assert_eq!(Signal::from_number(0), None);
        assert_eq!(Signal::from_number(65), None);
    }

    #[test]
    fn a_record_that_is_cut_or_wrong_is_nothing() {
        assert_eq!(decode(&[1, 0, 0]), None);
        assert_eq!(decode(&[0; 8]), None);
    }

    #[test]
    fn kill_cannot_be_disposed_of() {
        assert!(dispose(Signal::KILL, Disposition::Ignore).is_err());
    }

    // What a process does with its signals belongs to the whole process, so everything that needs a handler is in the
    // one test of tests/signals.rs, in a process of its own.
}
