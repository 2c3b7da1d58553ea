//! Files that an application has opened, and wants sent without reading them itself.

use std::fs::File;
use std::io;
use std::os::fd::{BorrowedFd, RawFd};

use pyo3::prelude::*;

/// A range of an open file.
#[derive(Debug)]
pub(crate) struct FilePart {
    pub(crate) file: File,
    /// Where it begins.
    pub(crate) offset: u64,
    /// Its length in bytes.
    pub(crate) length: u64,
}

/// A descriptor of our own for one that Python code has just named as open: the application closes its own when it likes. `None` for a
/// negative number, by which some files say that they have none.
///
/// # Errors
/// It is not open, or the process may have no more.
pub(crate) fn duplicate(_attached: Python<'_>, descriptor: RawFd) -> io::Result<Option<File>> {
    if descriptor < 0 {
        return Ok(None);
    }
    // SAFETY: the number is not negative. We hold the GIL and run no Python code until the descriptor is duplicated, so whoever has
    // named it as open cannot close it meanwhile; one that never was open makes the system call fail.
    let descriptor = unsafe { BorrowedFd::borrow_raw(descriptor) };
    Ok(Some(File::from(descriptor.try_clone_to_owned()?)))
}
