//! Writing lines to a place where perhaps nothing reads them, without ever waiting for a reader: what a full pipe,
//! socket or terminal does not take is lost, and counted.

use std::io::{self, IoSlice};
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::fs::{FileType, fstat};
use rustix::io::{Errno, ReadWriteFlags, pwritev2};
use rustix::net::{SendFlags, send};

/// `PIPE_BUF` of Linux: a pipe takes so many bytes whole or not at all, and one that reports room takes them at once.
const ATOMIC: usize = 4096;

/// A place for lines.
#[derive(Debug, Default)]
pub struct Output {
    /// The last line that was written broke off.
    torn: AtomicBool,
}

/// What was not written.
#[derive(Debug)]
pub struct Lost {
    /// How many lines.
    pub lines: u64,
    /// Why; `WouldBlock` where nothing reads.
    pub error: io::Error,
}

impl Output {
    /// A place to which nothing has been written.
    #[must_use]
    pub const fn new() -> Output {
        Output {
            torn: AtomicBool::new(false),
        }
    }

    /// Writes whole lines, in as few calls as keep those whole that are not longer than a page.
    ///
    /// # Errors
    ///
    /// Some lines were not written.
    pub fn write(&self, place: BorrowedFd<'_>, mut lines: &[u8]) -> Result<(), Lost> {
        let file_type = fstat(place).map(|stat| FileType::from_raw_mode(stat.st_mode));
        let file_type = file_type.unwrap_or(FileType::Unknown);
        while !lines.is_empty() {
            let (chunk, rest) = lines.split_at(match file_type {
                FileType::Fifo | FileType::Socket | FileType::CharacterDevice => first(lines),
                _ => lines.len(),
            });
            if let Err(error) = self.write_chunk(place, file_type, chunk) {
                let lines = lines.iter().filter(|byte| **byte == b'\n').count() as u64;
                return Err(Lost { lines, error });
            }
            lines = rest;
        }
        Ok(())
    }

    fn write_chunk(
        &self,
        place: BorrowedFd<'_>,
        file_type: FileType,
        mut chunk: &[u8],
    ) -> io::Result<()> {
        if self.torn.load(Ordering::Relaxed) {
            write_now(place, file_type, b"\n")?;
            self.torn.store(false, Ordering::Relaxed);
        }
        let whole = chunk.len();
        while !chunk.is_empty() {
            match write_now(place, file_type, chunk) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => chunk = &chunk[count..],
                Err(Errno::INTR) => {}
                Err(error) => {
                    self.torn.store(chunk.len() < whole, Ordering::Relaxed);
                    return Err(error.into());
                }
            }
        }
        Ok(())
    }
}

/// The length of the first lines that a pipe takes whole: at least one.
fn first(lines: &[u8]) -> usize {
    let ends = |part: &[u8]| part.iter().rposition(|byte| *byte == b'\n');
    let within = &lines[..lines.len().min(ATOMIC)];
    let end = ends(within).or_else(|| lines.iter().position(|byte| *byte == b'\n'));
    end.map_or(lines.len(), |end| end + 1)
}

/// Writes what is taken at once. The place may be shared with other processes, so it is not made non-blocking.
fn write_now(place: BorrowedFd<'_>, file_type: FileType, bytes: &[u8]) -> Result<usize, Errno> {
    match file_type {
        FileType::Fifo => {
            // An offset of -1 is the place's own, and the only one that a pipe has.
            let buffers = [IoSlice::new(bytes)];
            match pwritev2(place, &buffers, u64::MAX, ReadWriteFlags::NOWAIT) {
                // Before Linux 6.4 pipes do not know the flag.
                Err(Errno::OPNOTSUPP | Errno::NOSYS) => write_if_writable(place, bytes),
                result => result,
            }
        }
        FileType::Socket => send(place, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL),
        FileType::CharacterDevice => write_if_writable(place, bytes),
        _ => rustix::io::write(place, bytes),
    }
}

/// Another process may fill the place between the look and the write, which then waits.
fn write_if_writable(place: BorrowedFd<'_>, bytes: &[u8]) -> Result<usize, Errno> {
    if !crate::poll::is_writable(place, Duration::ZERO) {
        return Err(Errno::AGAIN);
    }
    rustix::io::write(place, &bytes[..bytes.len().min(ATOMIC)])
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    use super::*;
    use crate::pipe::pipe;

    /// Fills a place with numbered lines, and checks that those that were taken are whole and come first.
    fn check(place: BorrowedFd<'_>, mut reader: impl Read, length: usize) {
        let output = Output::new();
        let line = |number: usize| format!("{number:0length$}\n");
        let mut written = 0;
        let lost = loop {
            match output.write(place, line(written).as_bytes()) {
                Ok(()) => written += 1,
                Err(lost) => break lost,
            }
        };
        assert_eq!(
            (lost.lines, lost.error.kind()),
            (1, io::ErrorKind::WouldBlock)
        );
        let mut taken = vec![0; written * (length + 1)];
        reader.read_exact(&mut taken).expect("read");
        assert_eq!(taken, (0..written).map(line).collect::<String>().as_bytes());
        output.write(place, b"again\n").expect("there is room");
    }

    #[test]
    fn a_pipe_that_is_not_read_loses_lines_and_is_not_waited_for() {
        for length in [10, 100, 3000] {
            let pipe = pipe().expect("pipe");
            check(
                pipe.write.as_fd(),
                std::fs::File::from(std::os::fd::OwnedFd::from(pipe.read)),
                length,
            );
        }
    }

    #[test]
    fn a_socket_that_is_not_read_loses_lines_and_is_not_waited_for() {
        let (near, far) = UnixStream::pair().expect("pair");
        check(near.as_fd(), far, 10);
    }

    #[test]
    fn lines_that_come_together_are_counted_one_by_one() {
        let pipe = pipe().expect("pipe");
        let lines = "x".repeat(999) + "\n";
        let lost = Output::new()
            .write(pipe.write.as_fd(), lines.repeat(1000).as_bytes())
            .expect_err("a pipe has 64 KiB");
        assert!(lost.lines > 900 && lost.lines < 1000, "{}", lost.lines);
    }

    #[test]
    fn lines_are_cut_where_a_pipe_takes_them_whole() {
        assert_eq!(first(b"ab\ncd\n"), 6);
        let long = [vec![b'x'; 5000], b"\nab\n".to_vec()].concat();
        assert_eq!(first(&long), 5001);
        let many = b"0123456789\n".repeat(1000);
        assert_eq!(first(&many), ATOMIC / 11 * 11);
    }
}
