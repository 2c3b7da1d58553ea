//! Forks that the server did not ask for: what an application or a hook forks shares every descriptor and every shared
//! page with the server. A handler in the child (`pthread_atfork`) puts `/dev/null` in the place of the server's
//! descriptors and private memory in the place of its shared pages, so that the child cannot take listeners out of a
//! poller, answer a client or write into the scoreboard, no matter what its copy of the server's objects does.
//!
//! Descriptors are replaced and not closed: the child's objects still own the numbers, which must not come to mean
//! files that the child opens.

use std::cell::Cell;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering};

use libc::c_void;

use crate::signals::{self, Blocked, Signal};

/// Descriptors from here on are not tracked: what `fs.nr_open` allows by default.
const MOST: usize = 1 << 20;
const WORD: usize = u64::BITS as usize;

/// A bit for each descriptor that the child must not have.
static WITHHELD: [AtomicU64; MOST / WORD] = [const { AtomicU64::new(0) }; MOST / WORD];
/// The shared pages, one mapping.
static PAGES: AtomicPtr<c_void> = AtomicPtr::new(std::ptr::null_mut());
static PAGES_SIZE: AtomicUsize = AtomicUsize::new(0);
/// Whether the next fork is the server's own.
static EXPECTED: AtomicBool = AtomicBool::new(false);
/// Whether this process came out of a fork that was not the server's own.
static STRAY: AtomicBool = AtomicBool::new(false);

/// A bit for each signal that the child finds at its default.
static GIVEN_BACK: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// While this thread forks, its signals wait: one that reaches the child before the child has given the server's
    /// handlers back would be taken for the server's, and lost.
    static WAITING: Cell<Option<Blocked>> = const { Cell::new(None) };
}

/// Makes this process the server's: what is forked from here on, except under [`expect`], is stray.
///
/// # Errors
///
/// When the system has no memory for the handler.
pub fn claim() -> io::Result<()> {
    static INSTALLED: Once = Once::new();
    STRAY.store(false, Ordering::Relaxed);
    let mut result = 0;
    INSTALLED.call_once(|| {
        // SAFETY: the handler in the child does nothing that is forbidden between a fork and an exec, and all three
        // live as long as the process: CPython never unloads an extension module.
        result =
            unsafe { libc::pthread_atfork(Some(before), Some(in_the_parent), Some(in_the_child)) };
    });
    match result {
        0 => Ok(()),
        error => Err(io::Error::from_raw_os_error(error)),
    }
}

/// Whether this process is one that the application has forked, and so must do nothing in the server's name.
#[inline]
#[must_use]
pub fn is_stray() -> bool {
    STRAY.load(Ordering::Relaxed)
}

/// Says which signals a stray process finds at their defaults from its first instruction on, of those that CPython
/// handles.
pub fn give_back(signals: &[Signal]) {
    let bits = signals
        .iter()
        .filter_map(|signal| 1_u64.checked_shl(signal.number().unsigned_abs()))
        .sum();
    GIVEN_BACK.store(bits, Ordering::Relaxed);
}

/// While it lives, forks are the server's own.
#[derive(Debug)]
pub struct Expected(());

/// Announces a fork of the server's own. The guard is dropped on both sides of it.
#[must_use]
pub fn expect() -> Expected {
    EXPECTED.store(true, Ordering::Relaxed);
    Expected(())
}

impl Drop for Expected {
    fn drop(&mut self) {
        EXPECTED.store(false, Ordering::Relaxed);
    }
}

/// Keeps a descriptor from stray processes for as long as it lives. It must be dropped before the descriptor is closed:
/// a number that is used again is another file, which a child may well have.
#[derive(Debug)]
pub struct Withheld(RawFd);

impl Withheld {
    /// Withholds `descriptor`, which may be any object that has one.
    pub fn new(descriptor: &impl AsRawFd) -> Self {
        let number = descriptor.as_raw_fd();
        if let Some((word, bit)) = place(number) {
            word.fetch_or(bit, Ordering::Relaxed);
        }
        Self(number)
    }
}

impl Drop for Withheld {
    fn drop(&mut self) {
        if let Some((word, bit)) = place(self.0) {
            word.fetch_and(!bit, Ordering::Relaxed);
        }
    }
}

fn place(number: RawFd) -> Option<(&'static AtomicU64, u64)> {
    let number = usize::try_from(number).ok()?;
    let word = WITHHELD.get(number / WORD)?;
    Some((word, 1 << (number % WORD)))
}

/// A descriptor that stray processes do not get.
#[derive(Debug)]
pub struct Private {
    // Dropped first.
    _withheld: Withheld,
    descriptor: OwnedFd,
}

impl From<OwnedFd> for Private {
    fn from(descriptor: OwnedFd) -> Self {
        Self {
            _withheld: Withheld::new(&descriptor),
            descriptor,
        }
    }
}

impl From<Private> for OwnedFd {
    fn from(private: Private) -> Self {
        private.descriptor
    }
}

impl AsFd for Private {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

impl AsRawFd for Private {
    fn as_raw_fd(&self) -> RawFd {
        self.descriptor.as_raw_fd()
    }
}

/// Has stray processes find private, empty pages where `base` points. There is one such mapping, and the last one
/// counts.
pub(crate) fn withhold_pages(base: *mut c_void, size: usize) {
    // Without a base the size means nothing, so it is never read half.
    PAGES.store(std::ptr::null_mut(), Ordering::SeqCst);
    PAGES_SIZE.store(size, Ordering::SeqCst);
    PAGES.store(base, Ordering::SeqCst);
}

/// The pages at `base` are about to be unmapped.
pub(crate) fn release_pages(base: *mut c_void) {
    let _ = PAGES.compare_exchange(
        base,
        std::ptr::null_mut(),
        Ordering::SeqCst,
        Ordering::SeqCst,
    );
}

/// Runs in the thread that forks, before it does.
extern "C" fn before() {
    // A thread that is ending has no such variable any more, and forks unprotected.
    let _ = WAITING.try_with(|waiting| waiting.set(Some(signals::block_all_but_faults())));
}

/// Runs in the thread that has forked.
extern "C" fn in_the_parent() {
    let _ = WAITING.try_with(Cell::take);
}

/// Runs in every child of `fork(2)`, before any other code of it. Everything in it is async-signal-safe.
extern "C" fn in_the_child() {
    // A stray process that forks on has nothing of ours left in it.
    if !EXPECTED.load(Ordering::Relaxed) && !STRAY.swap(true, Ordering::Relaxed) {
        replace_pages();
        replace_descriptors();
        signals::give_back(GIVEN_BACK.load(Ordering::Relaxed));
    }
    let _ = WAITING.try_with(Cell::take);
}

fn replace_pages() {
    let base = PAGES.load(Ordering::SeqCst);
    if base.is_null() {
        return;
    }
    let size = PAGES_SIZE.load(Ordering::SeqCst);
    let access = libc::PROT_READ | libc::PROT_WRITE;
    let kind = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED;
    // SAFETY: the pages belong to the scoreboard, which is valid with any contents of atomics, zeros among them, and
    // stays mapped: its owner in this process unmaps the new pages as it would have the old ones.
    let mapped = unsafe { libc::mmap(base, size, access, kind, -1, 0) };
    debug_assert_eq!(mapped, base);
}

fn replace_descriptors() {
    // SAFETY: the path is a string that ends with a zero byte.
    let null = unsafe { libc::open(c"/dev/null".as_ptr(), libc::O_RDWR | libc::O_CLOEXEC) };
    for (index, word) in WITHHELD.iter().enumerate() {
        let mut bits = word.swap(0, Ordering::Relaxed);
        while bits != 0 {
            let number = index * WORD + bits.trailing_zeros() as usize;
            bits &= bits - 1;
            replace(number, null);
        }
    }
    if null >= 0 {
        // SAFETY: the number was just opened here, and no other code knows it.
        let _ = unsafe { libc::close(null) };
    }
}

/// Without a free number for `/dev/null`, `null` is negative: closing is the lesser evil then.
fn replace(number: usize, null: RawFd) {
    let Ok(number) = RawFd::try_from(number) else {
        return;
    };
    if null < 0 {
        // SAFETY: the child's copy of the number; an object that still owns it gets EBADF or another file of this
        // process.
        let _ = unsafe { libc::close(number) };
        return;
    }
    // SAFETY: two numbers; the one that is replaced stays owned by the object that owns it.
    let _ = unsafe { libc::dup3(null, number, libc::O_CLOEXEC) };
}
