//! Small channels between processes: the notifier that wakes, and the pipe whose end tells that a process is gone.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::Arc;

use rustix::event::{EventfdFlags, eventfd};
use rustix::pipe::{PipeFlags, pipe_with};

use crate::forks::Private;

/// A doorbell: any process or thread that holds a copy rings it, one that polls it hears.
///
/// Rings do not add up; one that is not yet heard swallows the next. Copies share one kernel object, also after a
/// fork.
#[derive(Clone, Debug)]
pub struct Notifier {
    counter: Arc<Private>,
}

impl Notifier {
    /// A silent notifier, closed on exec.
    ///
    /// # Errors
    ///
    /// When the process or the machine has no file descriptor left.
    pub fn new() -> io::Result<Self> {
        let counter = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self {
            counter: Arc::new(counter.into()),
        })
    }

    /// Rings. Never blocks.
    pub fn notify(&self) {
        // The only failure of a write of one is a counter that is full, and then it already rings.
        let _ = rustix::io::write(&*self.counter, &1u64.to_ne_bytes());
    }

    /// Stops the ringing and says whether it rang.
    pub fn drain(&self) -> bool {
        let mut count = [0u8; 8];
        rustix::io::read(&*self.counter, &mut count).is_ok()
    }
}

impl AsFd for Notifier {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.counter.as_fd()
    }
}

impl AsRawFd for Notifier {
    fn as_raw_fd(&self) -> RawFd {
        self.counter.as_raw_fd()
    }
}

/// Reads the available bytes, as many as fit; 0 is the end of the stream.
///
/// # Errors
///
/// What `read(2)` says.
pub fn read(source: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<usize> {
    Ok(rustix::io::read(source, buffer)?)
}

/// The two ends of a pipe.
#[derive(Debug)]
pub struct Pipe {
    /// Where bytes, or the end, arrive.
    pub read: Private,
    /// Where bytes go in.
    pub write: Private,
}

/// A pipe whose ends are closed on exec and never block.
///
/// # Errors
///
/// When the process or the machine has no file descriptor left.
pub fn pipe() -> io::Result<Pipe> {
    let (read, write) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
    Ok(Pipe {
        read: read.into(),
        write: write.into(),
    })
}

/// Writes one byte, if the reading end is still open.
pub fn write_byte(write: BorrowedFd<'_>, byte: u8) {
    // Without a reader there is no process to report the failure to.
    let _ = rustix::io::write(write, &[byte]);
}

/// Reads one byte; `None` at the end of the pipe, or while it is empty.
#[must_use]
pub fn read_byte(read: BorrowedFd<'_>) -> Option<u8> {
    let mut byte = [0u8; 1];
    matches!(rustix::io::read(read, &mut byte), Ok(1)).then_some(byte[0])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notifier_rings_once_however_often_it_was_rung() {
        let notifier = Notifier::new().expect("eventfd");
        let copy = notifier.clone();
        assert!(!notifier.drain());
        copy.notify();
        copy.notify();
        assert!(notifier.drain());
        assert!(!notifier.drain());
    }

    #[test]
    fn the_reading_end_learns_that_the_writer_is_gone() {
        let pipe = pipe().expect("pipe");
        let mut byte = [0u8; 1];
        let empty = rustix::io::read(&pipe.read, &mut byte).expect_err("nothing was written");
        assert_eq!(empty, rustix::io::Errno::AGAIN);
        write_byte(pipe.write.as_fd(), 7);
        assert_eq!(read_byte(pipe.read.as_fd()), Some(7));
        drop(pipe.write);
        assert_eq!(rustix::io::read(&pipe.read, &mut byte), Ok(0));
        assert_eq!(read_byte(pipe.read.as_fd()), None);
    }
}
