//! Files beneath a directory: a path that a client has named is resolved by the kernel so that neither `..` nor a
//! symbolic link leads out (`openat2(2)` with `RESOLVE_BENEATH`, Linux 5.6).
//!
//! Where the kernel lacks the call, or a sandbox refuses it, the path is walked component by component and every
//! symbolic link is refused: stricter, and right in all cases.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;

/// How often an open is tried again that a rename elsewhere has disturbed (`EAGAIN` of `openat2(2)`).
const ATTEMPTS: usize = 4;

/// What symbolic links may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Links {
    /// Lead to what lies beneath the directory.
    Beneath,
    /// Lead anywhere.
    Anywhere,
}

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A file with content.
    Regular,
    /// A directory.
    Directory,
    /// A device, a pipe or a socket.
    Special,
}

/// What is known of a file. Equal facts mean the same file with the same content, as far as the clock of the file
/// system can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileFacts {
    /// What it is.
    pub kind: Kind,
    /// Bytes of content.
    pub length: u64,
    /// When the content changed: seconds of the Unix clock.
    pub modified: i64,
    /// The nanoseconds of that.
    pub modified_ns: u32,
    changed: (i64, u32),
    device: u64,
    inode: u64,
}

impl FileFacts {
    #[expect(
        clippy::unnecessary_cast,
        reason = "the types differ between architectures"
    )]
    fn of(stat: &Stat) -> Self {
        let kind = match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Kind::Regular,
            FileType::Directory => Kind::Directory,
            _ => Kind::Special,
        };
        Self {
            kind,
            length: u64::try_from(stat.st_size).unwrap_or(0),
            modified: stat.st_mtime as i64,
            modified_ns: stat.st_mtime_nsec as u32,
            changed: (stat.st_ctime as i64, stat.st_ctime_nsec as u32),
            device: stat.st_dev as u64,
            inode: stat.st_ino as u64,
        }
    }

    /// Whether the content is the one that `other` tells of. Another name of a file, or its removal, changes nothing of
    /// that.
    #[must_use]
    pub fn has_content_of(&self, other: &Self) -> bool {
        let content = |facts: &Self| (facts.length, facts.modified, facts.modified_ns);
        content(self) == content(other)
    }

    /// Of an open file.
    ///
    /// # Errors
    /// What fstat(2) says.
    pub fn of_file(file: &File) -> io::Result<Self> {
        Ok(Self::of(&rustix::fs::fstat(file)?))
    }
}

/// How paths are kept beneath the directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Resolver {
    Kernel,
    Walk,
}

/// A directory below which files are opened.
#[derive(Debug)]
pub struct Directory {
    fd: OwnedFd,
    resolver: Resolver,
}

impl Directory {
    /// Opens a directory.
    ///
    /// # Errors
    /// It does not exist, or is none.
    pub fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::open(path, flags, Mode::empty())?;
        let probe = beneath(fd.as_fd(), Path::new("."), flags);
        // A sandbox older than the call answers EPERM.
        let resolver = match probe {
            Err(Errno::NOSYS | Errno::PERM) => Resolver::Walk,
            _ => Resolver::Kernel,
        };
        Ok(Self { fd, resolver })
    }

    /// Whether it is still what `path` names.
    #[must_use]
    pub fn is_at(&self, path: &Path) -> bool {
        let identity = |stat: Stat| (stat.st_dev, stat.st_ino);
        match (
            rustix::fs::fstat(&self.fd),
            rustix::fs::statat(CWD, path, AtFlags::empty()),
        ) {
            (Ok(own), Ok(named)) => identity(own) == identity(named),
            _ => false,
        }
    }

    /// What a relative path names, links followed wherever they lead. To be compared with the facts of a file that was
    /// opened; it opens nothing.
    ///
    /// # Errors
    /// What fstatat(2) says.
    pub fn facts(&self, relative: &[u8]) -> io::Result<FileFacts> {
        let stat = rustix::fs::statat(&self.fd, path(relative), AtFlags::empty())?;
        Ok(FileFacts::of(&stat))
    }

    /// Opens a regular file for reading. Never waits for a pipe, and never takes a terminal.
    ///
    /// # Errors
    /// There is none of that name that may be read, or a link leads out of the directory.
    pub fn open_file(&self, relative: &[u8], links: Links) -> io::Result<(File, FileFacts)> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        // To open a device can do something to it.
        if self.facts(relative)?.kind != Kind::Regular {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let fd = match (links, self.resolver) {
            (Links::Anywhere, _) => {
                rustix::fs::openat(&self.fd, path(relative), flags, Mode::empty())?
            }
            (Links::Beneath, Resolver::Kernel) => beneath(self.fd.as_fd(), path(relative), flags)?,
            (Links::Beneath, Resolver::Walk) => self.walk(relative, flags)?,
        };
        let file = File::from(fd);
        let facts = FileFacts::of_file(&file)?;
        match facts.kind {
            Kind::Regular => Ok((file, facts)),
            Kind::Directory | Kind::Special => Err(io::ErrorKind::InvalidInput.into()),
        }
    }

    /// Opens one component after the other, without following a link.
    fn walk(&self, relative: &[u8], flags: OFlags) -> io::Result<OwnedFd> {
        let (directories, name) = match relative.iter().rposition(|&byte| byte == b'/') {
            Some(slash) => (&relative[..slash], &relative[slash + 1..]),
            None => (&[][..], relative),
        };
        let mut at = self.fd.try_clone()?;
        let components = directories.split(|&byte| byte == b'/');
        for component in components.filter(|component| !component.is_empty()) {
            if component == b".." {
                return Err(Errno::XDEV.into());
            }
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            at = rustix::fs::openat(&at, path(component), flags, Mode::empty())?;
        }
        let flags = flags | OFlags::NOFOLLOW;
        Ok(rustix::fs::openat(&at, path(name), flags, Mode::empty())?)
    }

    #[cfg(test)]
    fn walking(mut self) -> Self {
        self.resolver = Resolver::Walk;
        self
    }
}

fn beneath(directory: BorrowedFd<'_>, relative: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    for _ in 1..ATTEMPTS {
        match rustix::fs::openat2(directory, relative, flags, Mode::empty(), resolve) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            result => return result,
        }
    }
    rustix::fs::openat2(directory, relative, flags, Mode::empty(), resolve)
}

fn path(bytes: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(bytes))
}

/// Has the kernel read a part of a file ahead, so that sending it soon afterwards does not wait for the disk. It is a
/// hint: what becomes of it does not matter.
pub fn read_ahead(file: &File, offset: u64, length: u64) {
    let length = std::num::NonZeroU64::new(length);
    let _ = rustix::fs::fadvise(file, offset, length, rustix::fs::Advice::WillNeed);
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Read;
    use std::os::unix::fs::symlink;

    use super::*;

    /// A directory with a file, and beside it a secret that nothing in it may reach.
    fn tree() -> tempfile::TempDir {
        let tree = tempfile::tempdir().expect("a folder");
        let at = |name: &str| tree.path().join(name);
        fs::create_dir_all(at("root/deep")).expect("folders");
        fs::write(at("root/deep/file"), "content").expect("a file");
        fs::write(at("secret"), "secret").expect("a file");
        symlink("deep/file", at("root/within")).expect("a link");
        symlink("../secret", at("root/out")).expect("a link");
        symlink("..", at("root/up")).expect("a link");
        symlink(at("secret"), at("root/absolute")).expect("a link");
        rustix::fs::mknodat(
            CWD,
            at("root/pipe"),
            FileType::Fifo,
            Mode::from_raw_mode(0o600),
            0,
        )
        .expect("a pipe");
        tree
    }

    fn read(directory: &Directory, name: &str, links: Links) -> Option<String> {
        let (mut file, facts) = directory.open_file(name.as_bytes(), links).ok()?;
        let mut text = String::new();
        file.read_to_string(&mut text).expect("it can be read");
        assert_eq!(facts.length, text.len() as u64);
        Some(text)
    }

    #[test]
    fn no_path_and_no_link_leads_out_of_the_directory() {
        let tree = tree();
        let open = || Directory::open(&tree.path().join("root")).expect("it opens");
        for (directory, within) in [(open(), Some("content")), (open().walking(), None)] {
            let check = |name: &str, expected: Option<&str>| {
                assert_eq!(
                    read(&directory, name, Links::Beneath).as_deref(),
                    expected,
                    "{name}"
                );
            };
            check("deep/file", Some("content"));
            check("within", within);
            check("out", None);
            check("up/secret", None);
            check("absolute", None);
            check("../secret", None);
            check("deep/../../secret", None);
            check("/etc/hostname", None);
            check("none", None);
            check("deep", None);
            check("pipe", None);
        }
    }

    #[test]
    fn links_may_lead_anywhere_where_the_operator_says_so() {
        let tree = tree();
        let directory = Directory::open(&tree.path().join("root")).expect("it opens");
        assert_eq!(
            read(&directory, "out", Links::Anywhere).as_deref(),
            Some("secret")
        );
    }

    #[test]
    fn facts_differ_once_a_file_has_changed() {
        let tree = tree();
        let directory = Directory::open(&tree.path().join("root")).expect("it opens");
        let (file, facts) = directory
            .open_file(b"deep/file", Links::Beneath)
            .expect("it opens");
        assert_eq!(directory.facts(b"deep/file").expect("its facts"), facts);
        fs::write(tree.path().join("root/deep/file"), "other").expect("it can be written");
        assert_ne!(directory.facts(b"deep/file").expect("its facts"), facts);
        assert_ne!(FileFacts::of_file(&file).expect("its facts"), facts);
    }

    #[test]
    fn a_directory_that_was_exchanged_is_known_to_be_another() {
        let tree = tree();
        let path = tree.path().join("root");
        let directory = Directory::open(&path).expect("it opens");
        assert!(directory.is_at(&path));
        fs::rename(&path, tree.path().join("old")).expect("it can be renamed");
        assert!(!directory.is_at(&path));
        fs::create_dir(&path).expect("a folder");
        assert!(!directory.is_at(&path));
    }
}
