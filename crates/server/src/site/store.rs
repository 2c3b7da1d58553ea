//! Files that were opened lately: small ones are kept in memory, others open. Each is compared with what its name
//! stands for at every use, so that a file that has changed is never served from here.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::{Duration, Instant, UNIX_EPOCH};

use httpdate::HttpDate;
use parking_lot::Mutex;
use proto::resource::Coding;
use sys::beneath::{Directory, FileFacts, Kind, Links};

/// Files that are kept open at the most. Connections and the application need descriptors too, of which a process often
/// has 1,024.
const OPEN_FILES: usize = 64;
/// A file up to this length is kept in memory: one call then sends head and content, and no descriptor is held.
const SMALL: u64 = 16 * 1024;
/// Bytes that are kept in memory at the most.
const MEMORY: u64 = 8 * 1024 * 1024;
/// Small files that are kept at the most, however short they are.
const SMALL_FILES: usize = 1024;
/// How long it is believed which coded siblings a file has. What is served is compared each time; only one that is new
/// may be overlooked for so long.
const SIBLINGS: Duration = Duration::from_secs(1);
/// The last second that has an IMF-fixdate.
const LAST_DATE: i64 = 253_402_300_799;

/// Names a file of the site.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) mount: usize,
    pub(super) path: Box<[u8]>,
}

/// The content of a file.
#[derive(Debug)]
pub(crate) enum FileContent {
    Memory(Box<[u8]>),
    Open(Arc<File>),
}

/// A file as it was when it was opened.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) content: FileContent,
    pub(crate) facts: FileFacts,
    /// Last-Modified.
    pub(crate) modified: HttpDate,
    /// When its coded siblings were looked for, and which there were.
    siblings: Mutex<Option<(Instant, Vec<Coding>)>>,
}

impl Stored {
    fn open(relative: &[u8], directory: &Directory, links: Links) -> io::Result<Stored> {
        let (file, facts) = directory.open_file(relative, links)?;
        Stored::new(file, facts)
    }

    fn new(file: File, facts: FileFacts) -> io::Result<Stored> {
        let content = match facts.length <= SMALL {
            true => read_whole(&file, facts)?.map(FileContent::Memory),
            false => None,
        };
        let seconds = facts.modified.clamp(0, LAST_DATE).unsigned_abs();
        Ok(Stored {
            content: content.unwrap_or_else(|| FileContent::Open(Arc::new(file))),
            facts,
            modified: HttpDate::from(UNIX_EPOCH + Duration::from_secs(seconds)),
            siblings: Mutex::new(None),
        })
    }

    /// The entity tag: when the content changed, and its length. That of a coded sibling says so, because a tag must
    /// not name two representations.
    pub(crate) fn etag(&self, coding: Option<Coding>) -> String {
        let facts = &self.facts;
        let suffix = coding.map_or("", |coding| match coding {
            Coding::Gzip => "-gz",
            Coding::Brotli => "-br",
            Coding::Zstd => "-zst",
        });
        let (seconds, nanoseconds, length) = (facts.modified, facts.modified_ns, facts.length);
        format!("\"{seconds:x}.{nanoseconds:x}-{length:x}{suffix}\"")
    }

    fn memory(&self) -> u64 {
        match &self.content {
            FileContent::Memory(content) => content.len() as u64,
            FileContent::Open(_) => 0,
        }
    }
}

/// The content of a small file; `None` where it changes meanwhile.
fn read_whole(file: &File, facts: FileFacts) -> io::Result<Option<Box<[u8]>>> {
    let mut content = vec![0; usize::try_from(facts.length).unwrap_or(0)];
    match file.read_exact_at(&mut content, 0) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        read => read?,
    }
    let is_same = FileFacts::of_file(file)? == facts;
    Ok(is_same.then(|| content.into_boxed_slice()))
}

/// The files that are kept.
#[derive(Debug, Default)]
pub(super) struct FileStore {
    small: Shelf,
    open: Shelf,
    memory: u64,
    uses: u64,
}

/// Files by name, each with its last use.
type Shelf = HashMap<Key, (Arc<Stored>, u64)>;

impl FileStore {
    /// The file of that name as it is now.
    ///
    /// # Errors
    /// There is none that may be served.
    pub(super) fn file(
        &mut self,
        key: Key,
        directory: &Directory,
        links: Links,
    ) -> io::Result<Arc<Stored>> {
        let named = directory.facts(&key.path);
        if let Some(stored) = self.kept(&key) {
            if named.as_ref().is_ok_and(|named| *named == stored.facts) {
                return Ok(stored);
            }
            self.forget(&key);
        }
        if named?.kind != Kind::Regular {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let stored = Arc::new(Stored::open(&key.path, directory, links)?);
        self.keep(key, &stored);
        Ok(stored)
    }

    /// The codings that a file has siblings in.
    pub(super) fn siblings(
        &self,
        file: &Stored,
        look: impl FnOnce() -> Vec<Coding>,
    ) -> Vec<Coding> {
        let mut known = file.siblings.lock();
        match &*known {
            Some((looked, siblings)) if looked.elapsed() < SIBLINGS => siblings.clone(),
            _ => {
                let siblings = look();
                *known = Some((Instant::now(), siblings.clone()));
                siblings
            }
        }
    }

    fn kept(&mut self, key: &Key) -> Option<Arc<Stored>> {
        self.uses += 1;
        let (stored, used) = match self.small.get_mut(key) {
            Some(entry) => entry,
            None => self.open.get_mut(key)?,
        };
        *used = self.uses;
        Some(Arc::clone(stored))
    }

    fn forget(&mut self, key: &Key) {
        if let Some((stored, _)) = self.small.remove(key) {
            self.memory -= stored.memory();
        }
        self.open.remove(key);
    }

    fn keep(&mut self, key: Key, stored: &Arc<Stored>) {
        match stored.content {
            FileContent::Open(_) => {
                while self.open.len() >= OPEN_FILES && self.drop_oldest(KeptAs::Open) {}
                self.open.insert(key, (Arc::clone(stored), self.uses));
            }
            FileContent::Memory(_) => {
                let needed = stored.memory();
                while (self.small.len() >= SMALL_FILES || self.memory + needed > MEMORY)
                    && self.drop_oldest(KeptAs::Small)
                {}
                self.memory += needed;
                self.small.insert(key, (Arc::clone(stored), self.uses));
            }
        }
    }

    /// Forgets the file that was used longest ago; says whether there was one.
    fn drop_oldest(&mut self, which: KeptAs) -> bool {
        let shelf = match which {
            KeptAs::Small => &self.small,
            KeptAs::Open => &self.open,
        };
        let oldest = shelf.iter().min_by_key(|(_, (_, used))| *used);
        let Some(key) = oldest.map(|(key, _)| key.clone()) else {
            return false;
        };
        self.forget(&key);
        true
    }
}

/// Which of the two shelves.
#[derive(Debug, Clone, Copy)]
enum KeptAs {
    Small,
    Open,
}
