//! A text that a process publishes to all that it forks, and replaces as a whole while they run. Readers take no lock:
//! one that a writer has disturbed reads again, and a process that is killed at any instruction holds up no other.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering, fence};

use crate::shared_pages::{Cell, SharedPages};

/// The longest text. It holds a hundred certificates with their keys; the kernel gives memory only for what is written.
pub const LONGEST_TEXT: usize = 1024 * 1024;

/// How often a reader begins anew. A writer publishes once in seconds, so more than once is rare.
const ATTEMPTS: usize = 8;

/// The text. Copies are the same one.
///
/// Only one process may publish, and with one thread.
#[derive(Clone, Debug)]
pub struct Publication {
    pages: Arc<SharedPages<Pages>>,
}

/// The area in force is the one that the version's last bit names; the other one is free to be written.
#[derive(Debug)]
struct Pages {
    version: AtomicU64,
    areas: [Area; 2],
}

#[derive(Debug)]
struct Area {
    length: AtomicU32,
    bytes: [AtomicU8; LONGEST_TEXT],
}

// SAFETY: zeroed atomics are valid ones, and there is nothing else.
unsafe impl Cell for Pages {}

impl Publication {
    /// Nothing is published yet: the version is 0.
    ///
    /// # Errors
    ///
    /// The machine has no memory for it.
    pub fn new() -> io::Result<Self> {
        let pages = Arc::new(SharedPages::new(1)?);
        Ok(Self { pages })
    }

    /// Which text is in force: a number that grows with each.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.pages().version.load(Ordering::Acquire)
    }

    /// Puts a text in the place of the one before it, which is wiped: it may be a key.
    ///
    /// # Errors
    ///
    /// The text is longer than [`LONGEST_TEXT`].
    pub fn publish(&self, text: &[u8]) -> io::Result<()> {
        if text.len() > LONGEST_TEXT {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let pages = self.pages();
        let before = pages.version.load(Ordering::Relaxed);
        pages.area(before + 1).write(text);
        pages.version.store(before + 1, Ordering::Release);
        // A reader that sees anything of what follows sees the new version as well.
        fence(Ordering::Release);
        pages.area(before).write(&[]);
        Ok(())
    }

    /// The text in force with its version; `None` where nothing is published, or the writer is quicker than the reader.
    #[must_use]
    pub fn read(&self) -> Option<(u64, Vec<u8>)> {
        let pages = self.pages();
        (0..ATTEMPTS).find_map(|_| {
            let version = pages.version.load(Ordering::Acquire);
            let text = (version > 0).then(|| pages.area(version).read())?;
            fence(Ordering::Acquire);
            let is_whole = pages.version.load(Ordering::Relaxed) == version;
            is_whole.then_some((version, text))
        })
    }

    fn pages(&self) -> &Pages {
        self.pages.cell(0)
    }
}

impl Pages {
    fn area(&self, version: u64) -> &Area {
        let [even, odd] = &self.areas;
        match version.is_multiple_of(2) {
            true => even,
            false => odd,
        }
    }
}

impl Area {
    /// Writes a text and wipes what is left of a longer one before it.
    fn write(&self, text: &[u8]) {
        let before = self.length.load(Ordering::Relaxed) as usize;
        let wiped = before.saturating_sub(text.len());
        let all = text.iter().copied().chain(std::iter::repeat_n(0, wiped));
        for (cell, byte) in self.bytes.iter().zip(all) {
            cell.store(byte, Ordering::Relaxed);
        }
        let length = u32::try_from(text.len()).unwrap_or(0);
        self.length.store(length, Ordering::Relaxed);
    }

    fn read(&self) -> Vec<u8> {
        let length = self.length.load(Ordering::Relaxed) as usize;
        let cells = self.bytes.iter().take(length);
        cells.map(|cell| cell.load(Ordering::Relaxed)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_reads_what_was_published_last() {
        let publication = Publication::new().expect("mmap");
        let copy = publication.clone();
        assert_eq!((copy.version(), copy.read()), (0, None));
        publication.publish(b"a long text").expect("short enough");
        assert_eq!(copy.read(), Some((1, b"a long text".to_vec())));
        publication.publish(b"other").expect("short enough");
        assert_eq!(copy.read(), Some((2, b"other".to_vec())));
        publication.publish(b"").expect("short enough");
        assert_eq!(copy.read(), Some((3, Vec::new())));
    }

    #[test]
    fn what_was_replaced_is_wiped() {
        let publication = Publication::new().expect("mmap");
        publication.publish(b"a key").expect("short enough");
        publication.publish(b"new").expect("short enough");
        let old = publication.pages().area(1);
        assert!(
            old.bytes
                .iter()
                .take(5)
                .all(|byte| byte.load(Ordering::Relaxed) == 0)
        );
    }

    #[test]
    fn a_text_that_is_too_long_changes_nothing() {
        let publication = Publication::new().expect("mmap");
        publication.publish(b"short").expect("short enough");
        assert!(publication.publish(&vec![b'x'; LONGEST_TEXT + 1]).is_err());
        assert_eq!(publication.read(), Some((1, b"short".to_vec())));
        publication
            .publish(&vec![b'x'; LONGEST_TEXT])
            .expect("just short enough");
        assert_eq!(publication.version(), 2);
    }

    #[test]
    fn a_reader_never_sees_parts_of_two_texts() {
        let publication = Publication::new().expect("mmap");
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| {
                let mut seen = 0;
                while seen < 2000 {
                    if let Some((version, text)) = publication.read() {
                        let expected = u8::try_from(version % 251).expect("a byte");
                        assert!(text.iter().all(|byte| *byte == expected), "{version}");
                        seen = version;
                    }
                }
            });
            for version in 1..=2000_u64 {
                let byte = u8::try_from(version % 251).expect("a byte");
                let length = usize::try_from(version % 7).expect("small") * 100;
                publication.publish(&vec![byte; length]).expect("short");
            }
            reader.join().expect("no torn text");
        });
    }
}
