//! Whose rights root uses for a file that is named by a path others can change.
//!
//! Root may open, create and give away every file. Where another user can change a directory on the way to a file, a
//! symbolic or a hard link there would lend these rights to that user. So the kernel is asked with the other user's
//! rights: what the other user could not do either, fails.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{Mode, OFlags, PROC_SUPER_MAGIC, fstatfs, open};

/// How many symbolic links are followed in one path, as in the kernel.
const MOST_LINKS: u32 = 40;

/// Bits of a mode: others and the group may write, and the sticky bit, with which only the owner of an entry may
/// replace it.
const OTHERS_WRITE: u32 = 0o002;
const GROUP_WRITES: u32 = 0o020;
const STICKY: u32 = 0o1000;

const ROOT: u32 = 0;

/// A user and a group by their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The user.
    pub uid: u32,
    /// The group.
    pub gid: u32,
}

/// Calls `act`, which opens, makes or removes what is at `path`. If a user other than root can change a name on the way
/// there, it has the rights of `workers`, the user that root gives the server's files to, or else of the user who owns
/// the first directory that is not root's alone. Without `workers` it has the rights of this process.
///
/// # Errors
///
/// What `act` ends with; that an action was not permitted says with whose rights it was tried.
pub fn with_rights_at<T>(
    path: &Path,
    workers: Option<Owner>,
    mut act: impl FnMut() -> io::Result<T>,
) -> io::Result<T> {
    let Some(workers) = workers else { return act() };
    let Some(stranger) = stranger_on_the_way(path, workers)? else {
        return act();
    };
    let mut last = None;
    for user in [workers, stranger.owner] {
        match borrowed(user, &mut act) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => last = Some(user),
            result => return result,
        }
    }
    let uid = last.map_or(workers.uid, |user| user.uid);
    let directory = stranger.directory.display();
    let reason = format!(
        "Permission denied for uid {uid}: root uses no rights of its own below {directory}, which others can change"
    );
    Err(io::Error::new(io::ErrorKind::PermissionDenied, reason))
}

/// The directory or file on the way to `path`, itself included, that a user other than root can change.
///
/// # Errors
///
/// The path cannot be followed.
pub fn changed_by_others(path: &Path, workers: Owner) -> io::Result<Option<PathBuf>> {
    if let Some(stranger) = stranger_on_the_way(path, workers)? {
        return Ok(Some(stranger.directory));
    }
    let file = fs::metadata(path)?;
    let by_group = file.mode() & GROUP_WRITES != 0 && file.gid() == workers.gid;
    let by_others = file.uid() != ROOT || file.mode() & OTHERS_WRITE != 0 || by_group;
    Ok(by_others.then(|| path.to_owned()))
}

/// Who, besides root, can change where a path leads.
struct Stranger {
    owner: Owner,
    directory: PathBuf,
}

/// Follows `path` as the kernel would. A path on which only root can change a name leads where root has meant it to.
fn stranger_on_the_way(path: &Path, workers: Owner) -> io::Result<Option<Stranger>> {
    let path = std::path::absolute(path)?;
    let mut pending = names(&path);
    let mut here = PathBuf::from("/");
    let mut links = 0;
    while let Some(name) = pending.pop_front() {
        if name == ".." {
            here.pop();
            continue;
        }
        let next = here.join(&name);
        let entry = match fs::symlink_metadata(&next) {
            Ok(entry) => Some(entry),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let directory = fs::metadata(&here)?;
        if let Some(owner) = stranger_in(&directory, entry.as_ref(), pending.is_empty(), workers) {
            let directory = here;
            return Ok(Some(Stranger { owner, directory }));
        }
        match entry {
            // The last name, which `act` makes, or the first that is missing.
            None => return Ok(None),
            Some(entry) if entry.is_symlink() => {
                if is_procfs(&here)? {
                    // It names no path but an open file, and /proc/self is this process's.
                    return Ok(None);
                }
                links += 1;
                if links > MOST_LINKS {
                    return Err(rustix::io::Errno::LOOP.into());
                }
                let target = fs::read_link(&next)?;
                if target.is_absolute() {
                    here = PathBuf::from("/");
                }
                for name in names(&target).into_iter().rev() {
                    pending.push_front(name);
                }
            }
            Some(_) => here = next,
        }
    }
    Ok(None)
}

fn names(path: &Path) -> VecDeque<OsString> {
    path.components()
        .filter(|part| matches!(part, Component::Normal(_) | Component::ParentDir))
        .map(|part| part.as_os_str().to_owned())
        .collect()
}

/// The user who can make another file of `entry`, a name in `directory`.
fn stranger_in(
    directory: &Metadata,
    entry: Option<&Metadata>,
    is_last: bool,
    workers: Owner,
) -> Option<Owner> {
    let owner = |file: &Metadata| Owner {
        uid: file.uid(),
        gid: file.gid(),
    };
    if directory.uid() != ROOT {
        return Some(owner(directory));
    }
    if directory.mode() & OTHERS_WRITE != 0 {
        let is_kept = directory.mode() & STICKY != 0 && !is_last;
        return match entry {
            Some(entry) if is_kept && entry.uid() == ROOT => None,
            Some(entry) if is_kept => Some(owner(entry)),
            _ => Some(workers),
        };
    }
    let is_theirs = directory.mode() & GROUP_WRITES != 0 && directory.gid() == workers.gid;
    is_theirs.then_some(workers)
}

fn is_procfs(directory: &Path) -> io::Result<bool> {
    let opened = open(directory, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    Ok(fstatfs(opened.as_fd())?.f_type == PROC_SUPER_MAGIC)
}

/// Calls `act` with the rights of `user` to files. No other right of this thread changes, and no other thread.
fn borrowed<T>(user: Owner, act: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    let borrowed = Borrowed::begin(user)?;
    let result = act();
    borrowed.end()?;
    result
}

/// What this thread had before it took on another user's rights.
struct Borrowed {
    groups: Vec<libc::gid_t>,
    is_over: bool,
}

impl Borrowed {
    fn begin(user: Owner) -> io::Result<Self> {
        let groups = groups()?;
        set_groups(&[user.gid])?;
        let borrowed = Self {
            groups,
            is_over: false,
        };
        set_ids(user)?;
        Ok(borrowed)
    }

    fn end(mut self) -> io::Result<()> {
        self.give_back()
    }

    fn give_back(&mut self) -> io::Result<()> {
        if std::mem::replace(&mut self.is_over, true) {
            return Ok(());
        }
        set_ids(Owner {
            uid: crate::users::effective_uid(),
            gid: crate::users::effective_gid(),
        })?;
        set_groups(&self.groups)
    }
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        // `act` has panicked, or taking on the rights failed half-way; what remains are fewer rights.
        let _ = self.give_back();
    }
}

fn groups() -> io::Result<Vec<libc::gid_t>> {
    let groups = rustix::process::getgroups()?;
    Ok(groups.into_iter().map(|group| group.as_raw()).collect())
}

/// Of this thread only, unlike setgroups(3).
fn set_groups(groups: &[libc::gid_t]) -> io::Result<()> {
    // SAFETY: the kernel reads as many numbers as the slice has.
    let result = unsafe { libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr()) };
    match result {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// The group first: the user's number carries the right to change it.
fn set_ids(user: Owner) -> io::Result<()> {
    // SAFETY: setfsgid takes an integer.
    let _ = unsafe { libc::setfsgid(user.gid) };
    // SAFETY: setfsuid takes an integer.
    let _ = unsafe { libc::setfsuid(user.uid) };
    // They report no failure, only what was in force before; a number that no user has changes nothing.
    // SAFETY: setfsgid takes an integer.
    let gid = unsafe { libc::setfsgid(u32::MAX) };
    // SAFETY: setfsuid takes an integer.
    let uid = unsafe { libc::setfsuid(u32::MAX) };
    match (u32::try_from(uid), u32::try_from(gid)) {
        (Ok(uid), Ok(gid)) if uid == user.uid && gid == user.gid => Ok(()),
        _ => Err(io::ErrorKind::PermissionDenied.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, chown, symlink};

    use super::*;

    const NOBODY: Owner = Owner {
        uid: 65_534,
        gid: 65_534,
    };

    /// A directory of root's that others may pass through. `None` where the test is not root.
    fn directory() -> Option<tempfile::TempDir> {
        if crate::users::effective_uid() != ROOT {
            return None;
        }
        let directory = tempfile::tempdir().expect("a directory");
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).expect("chmod");
        Some(directory)
    }

    fn append(path: &Path) -> io::Result<Metadata> {
        with_rights_at(path, Some(NOBODY), || {
            let mut options = fs::OpenOptions::new();
            options.append(true).create(true).open(path)?.metadata()
        })
    }

    #[test]
    fn roots_own_directories_are_used_by_root() {
        let Some(directory) = directory() else { return };
        assert_eq!(
            append(&directory.path().join("log")).expect("made").uid(),
            ROOT
        );
        let private = directory.path().join("private");
        fs::create_dir(&private).expect("mkdir");
        fs::set_permissions(&private, fs::Permissions::from_mode(0o700)).expect("chmod");
        symlink(&private, directory.path().join("link")).expect("symlink");
        assert_eq!(
            append(&directory.path().join("link/log"))
                .expect("made")
                .uid(),
            ROOT
        );
    }

    #[test]
    fn a_link_of_another_user_gives_nothing_of_roots() {
        let Some(directory) = directory() else { return };
        let theirs = directory.path().join("theirs");
        fs::create_dir(&theirs).expect("mkdir");
        chown(&theirs, Some(NOBODY.uid), Some(NOBODY.gid)).expect("chown");
        let secret = directory.path().join("secret");
        fs::write(&secret, "root's").expect("write");
        symlink(&secret, theirs.join("log")).expect("symlink");
        symlink(directory.path(), theirs.join("up")).expect("symlink");
        fs::hard_link(&secret, theirs.join("hard")).expect("link");
        for name in ["log", "hard", "up/new"] {
            let error = append(&theirs.join(name)).expect_err(name);
            assert_eq!(error.kind(), io::ErrorKind::PermissionDenied, "{name}");
            assert!(error.to_string().contains("uid 65534"), "{error}");
        }
        assert!(!directory.path().join("new").exists());
        assert_eq!(append(&theirs.join("own")).expect("made").uid(), NOBODY.uid);
        symlink(theirs.join("own"), theirs.join("alias")).expect("symlink");
        append(&theirs.join("alias")).expect("it is theirs");
    }

    #[test]
    fn a_third_users_directory_is_used_with_that_users_rights() {
        let Some(directory) = directory() else { return };
        let theirs = directory.path().join("theirs");
        fs::create_dir(&theirs).expect("mkdir");
        chown(&theirs, Some(12_345), Some(12_345)).expect("chown");
        assert_eq!(append(&theirs.join("log")).expect("made").uid(), 12_345);
    }

    #[test]
    fn a_directory_that_all_may_write_is_used_with_the_workers_rights() {
        let Some(directory) = directory() else { return };
        let shared = directory.path().join("shared");
        fs::create_dir(&shared).expect("mkdir");
        fs::set_permissions(&shared, fs::Permissions::from_mode(0o1777)).expect("chmod");
        assert_eq!(append(&shared.join("log")).expect("made").uid(), NOBODY.uid);
        let inner = shared.join("roots");
        fs::create_dir(&inner).expect("mkdir");
        assert_eq!(append(&inner.join("log")).expect("made").uid(), ROOT);
    }

    #[test]
    fn an_open_file_by_its_number_is_no_strangers() {
        let Some(directory) = directory() else { return };
        let theirs = directory.path().join("theirs");
        let file = fs::File::create(&theirs).expect("made");
        let number = std::os::fd::AsRawFd::as_raw_fd(&file);
        append(Path::new(&format!("/proc/self/fd/{number}"))).expect("opened");
    }

    #[test]
    fn the_rights_come_back() {
        let Some(directory) = directory() else { return };
        let theirs = directory.path().join("theirs");
        fs::create_dir(&theirs).expect("mkdir");
        chown(&theirs, Some(NOBODY.uid), Some(NOBODY.gid)).expect("chown");
        let before = groups().expect("groups");
        append(&theirs.join("log")).expect("made");
        assert_eq!(groups().expect("groups"), before);
        assert_eq!(fs::metadata(directory.path()).expect("stat").uid(), ROOT);
        let made = directory.path().join("made");
        fs::write(&made, "").expect("root writes again");
        assert_eq!(fs::metadata(&made).expect("stat").uid(), ROOT);
    }
}
