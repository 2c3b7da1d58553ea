//! A flag that a process and those that it forks afterwards share. It is raised once and never lowered.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::shared_pages::{Cell, SharedPages};

/// The flag. Copies are the same flag. It has a page of its own: there are few, one for each listener.
#[derive(Clone, Debug)]
pub struct SharedFlag {
    page: Arc<SharedPages<Raised>>,
}

#[derive(Debug)]
struct Raised(AtomicBool);

// SAFETY: a zeroed `AtomicBool` is a valid one, and there is nothing else.
unsafe impl Cell for Raised {}

impl SharedFlag {
    /// A flag that is not raised.
    ///
    /// # Errors
    ///
    /// When the machine has no memory for it.
    pub fn new() -> io::Result<Self> {
        let page = Arc::new(SharedPages::new(1)?);
        Ok(Self { page })
    }

    /// Raises it, for every process.
    pub fn raise(&self) {
        self.page.cell(0).0.store(true, Ordering::Release);
    }

    /// Whether it has been raised.
    #[must_use]
    pub fn is_raised(&self) -> bool {
        self.page.cell(0).0.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_are_the_same_flag() {
        let flag = SharedFlag::new().expect("mmap");
        let copy = flag.clone();
        let other = SharedFlag::new().expect("mmap");
        assert!(!copy.is_raised());
        flag.raise();
        drop(flag);
        assert!(copy.is_raised() && !other.is_raised());
    }
}
