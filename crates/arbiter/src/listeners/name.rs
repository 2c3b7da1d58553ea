//! The name of a unix socket in the file system.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use socket2::{Domain, SockAddr, Socket, Type};
use sys::rights::{Owner as User, with_rights_at};

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
    /// With whose rights the name is removed.
    rights: Option<User>,
}

impl Name {
    pub(super) fn of(path: &Path, owner: Owner, rights: Option<User>) -> io::Result<Self> {
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
            rights,
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
        if is_ours {
            // A name that cannot be removed is found stale by the next server.
            let _ = with_rights_at(&self.path, self.rights, || match self.is_unchanged() {
                true => fs::remove_file(&self.path),
                false => Ok(()),
            });
        }
    }
}

/// Removes the name of a socket on which no process listens.
pub(super) fn remove_stale(path: &Path) -> io::Result<()> {
    let file = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        result => result?,
    };
    if !file.file_type().is_socket() {
        return Err(io::Error::other("the file exists and is not a socket"));
    }
    match try_connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path)
            .map_err(|error| {
                let reason = format!("the stale socket cannot be removed: {error}");
                io::Error::new(error.kind(), reason)
            }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        // It was accepted, or may not be tried: a process listens.
        _ => Err(io::Error::other(match sys::holder::of_unix(path) {
            Some(holder) => format!(
                "it is already in use by pid {} ({})",
                holder.pid, holder.name
            ),
            None => "it is already in use".to_owned(),
        })),
    }
}

/// Whether the name could be taken, without taking it: an error is a sentence, and a server that has it is a doubt.
pub(super) fn check(path: &Path) -> Result<Option<String>, String> {
    let shown = path.display();
    let Ok(file) = fs::symlink_metadata(path) else {
        return Ok(None);
    };
    if !file.file_type().is_socket() {
        return Err(format!(
            "cannot listen on unix:{shown}: the file exists and is not a socket"
        ));
    }
    let taken = try_connect(path).is_ok();
    Ok(taken.then(|| format!("unix:{shown} is already in use")))
}

/// Without waiting: the queue of a busy server may be full.
fn try_connect(path: &Path) -> io::Result<()> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.connect(&SockAddr::unix(path)?)
}
