//! What booting workers tell the arbiter beside their slots: which interface the application has, and why the first of
//! them could not boot. Shared memory and atomics, as in [`crate::scoreboard`]: a worker that is killed at any
//! instruction leaves no text behind, or a whole one.

use std::io;
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};

use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};

/// Longest reason that is kept, in bytes. It is one line of a log.
const LONGEST_REASON: usize = 4000;

/// All bytes zero is a valid page that says nothing.
#[repr(C)]
struct Page {
    interface: AtomicU32,
    is_claimed: AtomicBool,
    length: AtomicU32,
    reason: [AtomicU8; LONGEST_REASON],
}

/// A shared page. A forked process has its own mapping of the same page and unmaps only that.
#[derive(Debug)]
struct Mapping(NonNull<Page>);

// SAFETY: the mapping is plain memory that stays where it is until the last owner drops it, in any thread.
unsafe impl Send for Mapping {}
// SAFETY: a shared reference reaches nothing but atomics.
unsafe impl Sync for Mapping {}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: base and size are those of the mmap in `BootReport::new`, and no reference to the page is left.
        let _ = unsafe { munmap(self.0.as_ptr().cast(), size_of::<Page>()) };
    }
}

/// The report. Made by the arbiter before the first fork; every process that is forked later shares it.
#[derive(Clone, Debug)]
pub struct BootReport(Arc<Mapping>);

impl BootReport {
    /// A report that says nothing.
    ///
    /// # Errors
    ///
    /// When the machine has no memory for it.
    pub fn new() -> io::Result<Self> {
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a null hint lets the kernel choose an address that nothing else uses.
        let base = unsafe {
            mmap_anonymous(ptr::null_mut(), size_of::<Page>(), access, MapFlags::SHARED)
        }?;
        let page = NonNull::new(base.cast::<Page>()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self(Arc::new(Mapping(page))))
    }

    /// Notes the number of the application's interface, which is not zero, and returns whether it is another than
    /// before.
    pub fn note_interface(&self, number: u32) -> bool {
        self.page().interface.swap(number, Ordering::Relaxed) != number
    }

    /// The number that was noted last; zero while none was.
    #[must_use]
    pub fn interface(&self) -> u32 {
        self.page().interface.load(Ordering::Relaxed)
    }

    /// Notes why a worker could not boot, and returns whether that is news: another worker may have noted the same. The
    /// first reason since the last [`BootReport::forget_failure`] stays.
    pub fn note_failure(&self, reason: &str) -> bool {
        let page = self.page();
        if page.is_claimed.swap(true, Ordering::Relaxed) {
            return self.failure().as_deref() != Some(reason);
        }
        for (place, byte) in page.reason.iter().zip(reason.bytes()) {
            place.store(byte, Ordering::Relaxed);
        }
        let length = u32::try_from(reason.len().min(LONGEST_REASON)).unwrap_or_default();
        page.length.store(length, Ordering::Release);
        true
    }

    /// The reason that was noted.
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        let page = self.page();
        let length = page.length.load(Ordering::Acquire) as usize;
        let bytes = page.reason.iter().take(length);
        let bytes: Vec<u8> = bytes.map(|byte| byte.load(Ordering::Relaxed)).collect();
        (length > 0).then(|| String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Forgets the reason: other workers are about to boot.
    pub fn forget_failure(&self) {
        let page = self.page();
        page.length.store(0, Ordering::Relaxed);
        page.is_claimed.store(false, Ordering::Relaxed);
    }

    fn page(&self) -> &Page {
        // SAFETY: the page is aligned, zeroed by the kernel (a valid one), and mapped for as long as `self` lives.
        unsafe { self.0.0.as_ref() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_reason_stays_until_it_is_forgotten() {
        let report = BootReport::new().expect("memory");
        assert_eq!(report.failure(), None);
        assert!(report.note_failure("one"));
        assert!(!report.note_failure("one"));
        assert!(report.clone().note_failure("another"));
        assert_eq!(report.failure().as_deref(), Some("one"));
        report.forget_failure();
        assert_eq!(report.failure(), None);
        report.note_failure(&"x".repeat(2 * LONGEST_REASON));
        assert_eq!(
            report.failure().map(|reason| reason.len()),
            Some(LONGEST_REASON)
        );
    }

    #[test]
    fn an_interface_is_news_once() {
        let report = BootReport::new().expect("memory");
        assert_eq!(report.interface(), 0);
        assert!(report.note_interface(2));
        assert!(!report.note_interface(2));
        assert_eq!(report.interface(), 2);
    }
}
