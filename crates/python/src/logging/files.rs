//! The files of the logs: the arbiter opens them, with the rights that the place of the file calls for, gives them to
//! the user of the workers, and passes them on. Nothing here follows a name twice: a file changes its owner by its
//! descriptor.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use sys::rights::{self, Owner};
use sys::users::Identity;

use crate::lock::{Lock, Plain};

/// Whom files are given to, and whose rights are used where others than root can change a directory. None where the
/// workers have the arbiter's user and group.
static WORKERS: Lock<Workers> = Lock::new(Workers {
    uid: None,
    gid: None,
});

#[derive(Clone, Copy, Debug)]
struct Workers {
    uid: Option<u32>,
    gid: Option<u32>,
}

impl Plain for Workers {}

/// The file of the access log, for workers to come.
static ACCESS: Lock<Option<(PathBuf, File)>> = Lock::new(None);

/// Says whom the workers will be.
pub(crate) fn belong_to(identity: &Identity) {
    let them = Workers {
        uid: identity.uid,
        gid: identity.gid,
    };
    WORKERS.with(|workers| *workers = them);
}

fn workers() -> Workers {
    WORKERS.with(|workers| *workers)
}

impl Workers {
    /// The user whose rights are enough for the files of a server that root has started.
    fn owner(self) -> Option<Owner> {
        let uid = self
            .uid
            .filter(|uid| *uid != 0 && sys::users::effective_uid() == 0)?;
        let gid = self.gid.unwrap_or_else(sys::users::effective_gid);
        Some(Owner { uid, gid })
    }
}

/// Calls `act`, which opens the file at `path` for the server.
///
/// # Errors
///
/// What `act` ends with.
fn with_rights_at<T>(path: &Path, act: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    let owner = workers().owner();
    rights::with_rights_at(path, owner, act)
}

/// Opens a file with flags of open(2), for a handler of Python's `logging`.
///
/// # Errors
///
/// It cannot be opened.
pub(crate) fn open_with(path: &Path, flags: i32) -> io::Result<OwnedFd> {
    with_rights_at(path, || sys::files::open(path, flags))
}

/// Lets the workers' user open the file again.
pub(crate) fn give_away(file: BorrowedFd<'_>) {
    let Workers { uid, gid } = workers();
    if uid.is_some() || gid.is_some() {
        // A worker, which has changed its user, may not, and need not. A terminal or a pipe stays whose it is.
        let _ = sys::files::give(file, uid, gid);
    }
}

/// Opens a log.
///
/// # Errors
///
/// It cannot be opened.
pub(super) fn open_log(path: &Path) -> io::Result<File> {
    let file = with_rights_at(path, || {
        OpenOptions::new().append(true).create(true).open(path)
    })?;
    give_away(file.as_fd());
    Ok(file)
}

/// Opens the access log, where it is a file. One that cannot be opened is the business of the loggers, which open it
/// too.
pub(super) fn open_access_log(name: Option<&str>) {
    let opened = name.filter(|name| *name != "-").and_then(|name| {
        let path = std::path::absolute(settings::os_text::to_os(name)).ok()?;
        let file = open_log(&path).ok()?;
        Some((path, file))
    });
    ACCESS.with(|access| *access = opened);
}

/// Opens the access log anew, because it has been moved. Where that fails the old file stays in use.
pub(super) fn reopen_access_log() {
    let opened = ACCESS.with(|access| {
        let Some((path, file)) = access else {
            return Ok(());
        };
        match open_log(path) {
            Ok(opened) => *file = opened,
            Err(error) => return Err((path.display().to_string(), error)),
        }
        Ok(())
    });
    if let Err((path, error)) = opened {
        log::error!("The access log {path} could not be opened again: {error}");
    }
}

/// The file of the access log that the arbiter has opened, for the worker that this process has become.
pub(crate) fn access_log() -> Option<File> {
    ACCESS.with(|access| {
        let (_, file) = access.as_ref()?;
        file.try_clone().ok()
    })
}
