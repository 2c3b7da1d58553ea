//! A request body that is read in full before the application is called: in memory up to a bound, beyond it in an
//! unlinked temporary file. A slow upload therefore holds a connection, never a Python thread.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write as _};
use std::os::unix::fs::FileExt as _;

use crate::disk::{Allowance, Disk, DiskError};

/// How much of a body stays in memory. The usual form post or JSON document fits; a thousand slow uploads at once cost
/// at most 256 MB.
const IN_MEMORY: usize = 256 * 1024;

/// A whole request body.
#[derive(Debug, Default)]
pub enum Body {
    /// The request has none, or an empty one.
    #[default]
    Empty,
    /// The bytes.
    Memory(Vec<u8>),
    /// An unlinked temporary file.
    File(BodyFile),
}

/// A body in a temporary file, positioned at its start. The disk that it takes is given back when this is dropped.
///
/// The position is its own: the one in the system is shared with processes that the application forks, and what a child
/// reads would be missing here.
#[derive(Debug)]
pub struct BodyFile {
    file: File,
    length: u64,
    position: u64,
    _allowance: Option<Allowance>,
}

impl BodyFile {
    /// The body in a file whose disk is not counted.
    #[must_use]
    pub fn new(file: File, length: u64) -> BodyFile {
        BodyFile {
            file,
            length,
            position: 0,
            _allowance: None,
        }
    }

    /// Its length in bytes.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.length
    }
}

impl Read for BodyFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(buffer, self.position)?;
        self.position += read as u64;
        Ok(read)
    }
}

impl Seek for BodyFile {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
            SeekFrom::End(offset) => self.length.checked_add_signed(offset),
        };
        self.position = position.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

/// A body on its way in.
#[derive(Debug)]
pub(crate) struct BodyBuffer {
    memory: Vec<u8>,
    file: Option<(File, Allowance)>,
    length: u64,
}

impl BodyBuffer {
    /// `expected` is the announced length where there is one; it sizes the buffer, within the bound.
    pub(crate) fn new(expected: Option<u64>) -> BodyBuffer {
        let capacity = expected.map_or(0, |length| length.min(IN_MEMORY as u64) as usize);
        BodyBuffer {
            memory: Vec::with_capacity(capacity),
            file: None,
            length: 0,
        }
    }

    /// Adds a piece.
    ///
    /// # Errors
    /// The temporary file could not be made or written, or there are too many of them.
    pub(crate) fn push(&mut self, piece: &[u8], disk: &Disk) -> Result<(), DiskError> {
        let length = self.length + piece.len() as u64;
        if let Some((file, allowance)) = &mut self.file {
            allowance.grow_to(length)?;
            file.write_all(piece)?;
        } else if self.memory.len() + piece.len() <= IN_MEMORY {
            self.memory.extend_from_slice(piece);
        } else {
            let (mut file, mut allowance) = disk.create()?;
            allowance.grow_to(length)?;
            file.write_all(&self.memory)?;
            file.write_all(piece)?;
            self.memory = Vec::new();
            self.file = Some((file, allowance));
        }
        self.length = length;
        Ok(())
    }

    /// What is in memory, for a body that is streamed from here on: it never was as long as a file's.
    pub(crate) fn into_memory(self) -> Vec<u8> {
        self.memory
    }

    /// The body is complete.
    pub(crate) fn finish(self) -> Body {
        match self.file {
            Some((file, allowance)) => Body::File(BodyFile {
                file,
                length: self.length,
                position: 0,
                _allowance: Some(allowance),
            }),
            None if self.memory.is_empty() => Body::Empty,
            None => Body::Memory(self.memory),
        }
    }
}

#[cfg(test)]
mod tests {
    use sys::scoreboard::SpoolFull;

    use super::*;
    use crate::disk::tests::disk;

    #[test]
    fn a_body_beyond_the_bound_moves_to_a_file_whole() {
        let disk = disk(0);
        let mut buffer = BodyBuffer::new(None);
        let piece = [7u8; 1000];
        for _ in 0..300 {
            buffer.push(&piece, &disk).unwrap();
        }
        let Body::File(mut file) = buffer.finish() else {
            panic!("not in a file")
        };
        let mut read = Vec::new();
        file.read_to_end(&mut read).unwrap();
        assert_eq!((file.length(), read.len()), (300_000, 300_000));
        assert!(read.iter().all(|byte| *byte == 7));
        assert!(disk.slot.spooled() >= 300_000);
        drop(file);
        assert_eq!(disk.slot.spooled(), 0);
    }

    #[test]
    fn a_body_for_which_there_is_no_room_is_refused_when_it_grows() {
        let disk = disk(1_000_000);
        let (mut first, mut second) = (BodyBuffer::new(None), BodyBuffer::new(None));
        first.push(&[7; 500_000], &disk).unwrap();
        second.push(&[7; IN_MEMORY], &disk).unwrap();
        let refused = second.push(&[7; 500_000], &disk);
        assert!(matches!(refused, Err(DiskError::Full(SpoolFull::Worker))));
        drop(first);
        second.push(&[7; 500_000], &disk).unwrap();
    }

    #[test]
    fn a_small_body_stays_in_memory() {
        let disk = disk(1);
        let mut buffer = BodyBuffer::new(Some(3));
        buffer.push(b"abc", &disk).unwrap();
        assert!(matches!(buffer.finish(), Body::Memory(bytes) if bytes == b"abc"));
    }
}
