//! Memory that a process shares with all that are forked from it later: a fixed number of cells that begin as zeros.

use std::io;
use std::ptr::{self, NonNull};

use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};

/// What may lie in shared pages.
///
/// # Safety
///
/// All bytes zero are a valid value, and all fields are atomics, because other processes change them at any time.
pub(crate) unsafe trait Cell {}

/// Shared pages. A forked process has its own mapping of the same pages and unmaps only that.
#[derive(Debug)]
pub(crate) struct SharedPages<T> {
    base: NonNull<T>,
    length: usize,
}

// SAFETY: the mapping is plain memory that stays where it is until the last owner drops it, whichever thread that is.
unsafe impl<T: Cell> Send for SharedPages<T> {}
// SAFETY: through a shared reference only the cells are reached, and those hold nothing but atomics.
unsafe impl<T: Cell> Sync for SharedPages<T> {}

impl<T: Cell> SharedPages<T> {
    /// Pages for `length` cells; one page at least.
    ///
    /// # Errors
    ///
    /// The machine has no memory for it.
    pub(crate) fn new(length: usize) -> io::Result<Self> {
        let size = Self::size_of(length).ok_or(io::ErrorKind::OutOfMemory)?;
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a null hint lets the kernel choose an address that nothing else uses.
        let base = unsafe { mmap_anonymous(ptr::null_mut(), size, access, MapFlags::SHARED) }?;
        let base = NonNull::new(base.cast::<T>()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { base, length })
    }

    /// Has processes that the application forks find other pages here, empty ones of their own; see
    /// [`crate::forks`]. This is possible for one mapping.
    pub(crate) fn withhold(&self) {
        let size = size_of::<T>().saturating_mul(self.length.max(1));
        crate::forks::withhold_pages(self.base.as_ptr().cast(), size);
    }

    /// How many cells there are.
    pub(crate) fn len(&self) -> usize {
        self.length
    }

    /// The cell `index`.
    ///
    /// # Panics
    ///
    /// There is no such cell.
    pub(crate) fn cell(&self, index: usize) -> &T {
        assert!(index < self.length, "slot {index} of {}", self.length);
        // SAFETY: the index lies within the `length` cells that the mapping was made for.
        let cell = unsafe { self.base.add(index) };
        // SAFETY: pages are aligned more strictly than any cell, zeroed by the kernel (a valid cell), and mapped for as
        // long as `self` lives.
        unsafe { cell.as_ref() }
    }

    /// The kernel maps nothing of length zero.
    fn size_of(length: usize) -> Option<usize> {
        size_of::<T>().checked_mul(length.max(1))
    }
}

impl<T> Drop for SharedPages<T> {
    fn drop(&mut self) {
        let size = size_of::<T>().saturating_mul(self.length.max(1));
        crate::forks::release_pages(self.base.as_ptr().cast());
        // SAFETY: base and size are those of the mmap in `SharedPages::new`, and nothing borrows a cell any more.
        let _ = unsafe { munmap(self.base.as_ptr().cast(), size) };
    }
}
