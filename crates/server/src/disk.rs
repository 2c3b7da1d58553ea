//! The temporary files of a worker: request bodies that are too long for the memory, and responses that wait for slow
//! clients. How much disk they take together is bounded, for each worker and for all.

use std::fs::File;
use std::io;
use std::path::PathBuf;

use sys::scoreboard::{Slot, SpoolFull, SpoolLimits};

/// Disk is noted in steps of this many bytes, so that a file that grows costs few looks at the other workers' numbers.
/// A body that moves to a file is at least as long.
const STEP: u64 = 256 * 1024;

/// Where temporary files go, and how much they may take.
#[derive(Debug)]
pub(crate) struct Disk {
    /// `tmp_upload_dir`; the system's directory where there is none.
    pub(crate) directory: Option<PathBuf>,
    pub(crate) slot: Slot,
    pub(crate) limits: SpoolLimits,
}

/// Why a temporary file cannot be written.
#[derive(Debug)]
pub(crate) enum DiskError {
    /// The files of the worker, or of all, take as much as they may.
    Full(SpoolFull),
    /// The file system.
    Io(io::Error),
}

impl From<io::Error> for DiskError {
    fn from(error: io::Error) -> DiskError {
        DiskError::Io(error)
    }
}

impl std::fmt::Display for DiskError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            DiskError::Full(SpoolFull::Worker) => {
                formatter.write_str("the temporary files of this worker take limit_spool bytes")
            }
            DiskError::Full(SpoolFull::Total) => formatter
                .write_str("the temporary files of all workers take limit_spool_total bytes"),
            DiskError::Io(error) => error.fmt(formatter),
        }
    }
}

impl Disk {
    /// An unlinked temporary file.
    pub(crate) fn create(&self) -> io::Result<(File, Allowance)> {
        let file = match &self.directory {
            Some(directory) => tempfile::tempfile_in(directory)?,
            None => tempfile::tempfile()?,
        };
        let allowance = Allowance {
            slot: self.slot.clone(),
            limits: self.limits,
            bytes: 0,
        };
        Ok((file, allowance))
    }
}

/// What one temporary file may take. It is given back when this is dropped, which has to be with the file.
#[derive(Debug)]
pub(crate) struct Allowance {
    slot: Slot,
    limits: SpoolLimits,
    bytes: u64,
}

impl Allowance {
    /// Lets the file become this long.
    ///
    /// # Errors
    /// [`DiskError::Full`]
    pub(crate) fn grow_to(&mut self, length: u64) -> Result<(), DiskError> {
        let missing = length.saturating_sub(self.bytes);
        if missing == 0 {
            return Ok(());
        }
        let wanted = missing.next_multiple_of(STEP);
        self.slot
            .reserve_spool(wanted, self.limits)
            .map_err(DiskError::Full)?;
        self.bytes += wanted;
        Ok(())
    }
}

impl Drop for Allowance {
    fn drop(&mut self) {
        self.slot.release_spool(self.bytes);
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use sys::scoreboard::Scoreboard;

    use super::*;

    /// A disk of a single worker, and its slot.
    pub(crate) fn disk(worker: u64) -> Disk {
        Disk {
            directory: None,
            slot: Scoreboard::new(1).unwrap().slot(0),
            limits: SpoolLimits { worker, total: 0 },
        }
    }

    #[test]
    fn a_file_takes_its_length_in_steps_and_gives_it_back() {
        let disk = disk(3 * STEP);
        let (_file, mut first) = disk.create().unwrap();
        first.grow_to(1).unwrap();
        first.grow_to(STEP).unwrap();
        assert_eq!(disk.slot.spooled(), STEP);
        first.grow_to(STEP + 1).unwrap();
        let (_file, mut second) = disk.create().unwrap();
        second.grow_to(STEP).unwrap();
        let refused = second.grow_to(STEP + 1);
        assert!(matches!(refused, Err(DiskError::Full(SpoolFull::Worker))));
        drop(first);
        second.grow_to(STEP + 1).unwrap();
        drop(second);
        assert_eq!(disk.slot.spooled(), 0);
    }
}
