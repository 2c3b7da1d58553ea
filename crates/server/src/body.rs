//! A request body that is read in full before the application is called: in memory up to a bound, beyond it in an unlinked
//! temporary file. A slow upload therefore holds a connection, never a Python thread.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::Path;

/// How much of a body stays in memory. The usual form post or JSON document fits; a thousand slow uploads at once cost at
/// most 256 MB.
const IN_MEMORY: usize = 256 * 1024;

/// A whole request body.
#[derive(Debug, Default)]
pub enum Body {
    /// The request has none, or an empty one.
    #[default]
    Empty,
    /// The bytes.
    Memory(Vec<u8>),
    /// An unlinked temporary file, positioned at its start, and its length in bytes.
    File(File, u64),
}

/// A body on its way in.
#[derive(Debug)]
pub(crate) struct BodyBuffer {
    memory: Vec<u8>,
    file: Option<File>,
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

    /// Adds a piece. `directory` is where a temporary file goes (`tmp_upload_dir`).
    ///
    /// # Errors
    /// The temporary file could not be made or written: no space, no right.
    pub(crate) fn push(&mut self, piece: &[u8], directory: Option<&Path>) -> io::Result<()> {
        self.length += piece.len() as u64;
        if let Some(file) = &mut self.file {
            return file.write_all(piece);
        }
        if self.memory.len() + piece.len() <= IN_MEMORY {
            self.memory.extend_from_slice(piece);
            return Ok(());
        }
        let mut file = match directory {
            Some(directory) => tempfile::tempfile_in(directory)?,
            None => tempfile::tempfile()?,
        };
        file.write_all(&self.memory)?;
        file.write_all(piece)?;
        self.memory = Vec::new();
        self.file = Some(file);
        Ok(())
    }

    /// What is in memory, for a body that is streamed from here on: it never was as long as a file's.
    pub(crate) fn into_memory(self) -> Vec<u8> {
        self.memory
    }

    /// The body is complete.
    ///
    /// # Errors
    /// The temporary file could not be rewound.
    pub(crate) fn finish(self) -> io::Result<Body> {
        match self.file {
            Some(mut file) => {
                file.seek(SeekFrom::Start(0))?;
                Ok(Body::File(file, self.length))
            }
            None if self.memory.is_empty() => Ok(Body::Empty),
            None => Ok(Body::Memory(self.memory)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn a_body_beyond_the_bound_moves_to_a_file_whole() {
        let mut buffer = BodyBuffer::new(None);
        let piece = [7u8; 1000];
        for _ in 0..300 {
            buffer.push(&piece, None).unwrap();
        }
        let Body::File(mut file, length) = buffer.finish().unwrap() else {
            panic!("not in a file")
        };
        let mut read = Vec::new();
        file.read_to_end(&mut read).unwrap();
        assert_eq!((length, read.len()), (300_000, 300_000));
        assert!(read.iter().all(|byte| *byte == 7));
    }

    #[test]
    fn a_small_body_stays_in_memory() {
        let mut buffer = BodyBuffer::new(Some(3));
        buffer.push(b"abc", None).unwrap();
        assert!(matches!(buffer.finish().unwrap(), Body::Memory(bytes) if bytes == b"abc"));
    }
}
