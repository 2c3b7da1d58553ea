//! The name of a unix socket in the file system.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use settings::Config;
use socket2::{Domain, SockAddr, Socket, Type};

use crate::failure::Failure;

/// Who removes a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    ThisProcess,
    /// One that this process was started by, or has started.
    AnotherMaster,
}

/// A name that is removed with the last copy of its listener: by the process that owns it, and only while it still is
/// the file that was made.
#[derive(Debug)]
pub(super) struct Name {
    path: PathBuf,
    device: u64,
    inode: u64,
    process: i32,
    is_ours: AtomicBool,
}

impl Name {
    pub(super) fn of(path: &Path, owner: Owner) -> io::Result<Self> {
        let path = std::path::absolute(path)?;
        let file = fs::symlink_metadata(&path)?;
        let is_ours = AtomicBool::new(owner == Owner::ThisProcess);
        let process = sys::process::pid();
        Ok(Self {
            path,
            device: file.dev(),
            inode: file.ino(),
            process,
            is_ours,
        })
    }

    pub(super) fn belongs_to(&self, owner: Owner) {
        self.is_ours
            .store(owner == Owner::ThisProcess, Ordering::Relaxed);
    }

    fn is_unchanged(&self) -> bool {
        fs::symlink_metadata(&self.path)
            .is_ok_and(|file| (file.dev(), file.ino()) == (self.device, self.inode))
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        // A worker has a copy of this value and is another process.
        let is_ours = self.is_ours.load(Ordering::Relaxed) && self.process == sys::process::pid();
        if is_ours && self.is_unchanged() {
            // A name that cannot be removed is found stale by whoever comes next.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Removes the name of a socket that nobody listens on. The error is a sentence.
pub(super) fn remove_stale(path: &Path) -> Result<(), String> {
    let file = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        result => result.map_err(|error| error.to_string())?,
    };
    if !file.file_type().is_socket() {
        return Err("the file exists and is not a socket".to_owned());
    }
    match try_connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path)
            .map_err(|error| format!("the stale socket cannot be removed: {error}")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        // It was accepted, or may not be tried: somebody is there.
        _ => Err(match sys::holder::of_unix(path) {
            Some(holder) => format!(
                "it is already in use by pid {} ({})",
                holder.pid, holder.name
            ),
            None => "it is already in use".to_owned(),
        }),
    }
}

/// Without waiting: the queue of a busy server may be full.
fn try_connect(path: &Path) -> io::Result<()> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.connect(&SockAddr::unix(path)?)
}

/// The owner and the group that a new socket gets; `None` leaves what it has.
#[derive(Clone, Copy, Debug)]
pub(super) struct NewOwner {
    pub(super) uid: Option<u32>,
    pub(super) gid: Option<u32>,
}

/// Whom a new socket is given to: when root starts the server, the user and group that the workers will have.
pub(super) fn new_owner(config: &Config) -> Result<Option<NewOwner>, Failure> {
    let is_root = sys::users::effective_uid() == 0;
    if !is_root || (config.user.is_none() && config.group.is_none()) {
        return Ok(None);
    }
    let uid = config.user.as_deref().map(uid_of).transpose()?;
    let gid = config.group.as_deref().map(gid_of).transpose()?;
    Ok(Some(NewOwner { uid, gid }))
}

fn uid_of(user: &str) -> Result<u32, Failure> {
    let known =
        sys::users::user(user).map_err(|error| unknown("user", user, &error.to_string()))?;
    // A number needs no entry in the database.
    known
        .map(|user| user.uid)
        .or_else(|| user.parse().ok())
        .ok_or_else(|| unknown("user", user, "there is none"))
}

fn gid_of(group: &str) -> Result<u32, Failure> {
    let known =
        sys::users::group(group).map_err(|error| unknown("group", group, &error.to_string()))?;
    known.ok_or_else(|| unknown("group", group, "there is none"))
}

fn unknown(what: &str, name: &str, why: &str) -> Failure {
    Failure::new(format!("the {what} '{name}' cannot be found: {why}"))
}
