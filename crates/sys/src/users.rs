//! Users and groups: finding them by name, and becoming one.

use std::ffi::{CStr, CString};
use std::io;
use std::path::Path;

use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Uid, chownat};

/// A user of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The user's number.
    pub uid: u32,
    /// The number of the group that the user belongs to first.
    pub gid: u32,
    /// The name.
    pub name: String,
}

/// What the name service may need for one entry. glibc suggests 1024; a group with many members needs more.
const ENTRY_MAX: usize = 1 << 20;

/// The user with this name or, where there is none and it is a number, with this number.
///
/// # Errors
///
/// When the name service fails; that there is no such user is `Ok(None)`.
pub fn user(name_or_uid: &str) -> io::Result<Option<User>> {
    let Ok(name) = CString::new(name_or_uid) else {
        return Ok(None);
    };
    // SAFETY: the name ends with a zero byte, and `lookup` passes a buffer with its length and a place for the result.
    let found = lookup(|entry, buffer, length, result| unsafe {
        libc::getpwnam_r(name.as_ptr(), entry, buffer, length, result)
    })?;
    match (found, name_or_uid.parse()) {
        (Some(user), _) => Ok(Some(user)),
        (None, Ok(uid)) => user_of_uid(uid),
        (None, Err(_)) => Ok(None),
    }
}

/// The user with this number.
///
/// # Errors
///
/// When the name service fails; that there is no such user is `Ok(None)`.
pub fn user_of_uid(uid: u32) -> io::Result<Option<User>> {
    // SAFETY: `lookup` passes a buffer with its length and a place for the result.
    lookup(|entry, buffer, length, result| unsafe {
        libc::getpwuid_r(uid, entry, buffer, length, result)
    })
}

/// The number of the group with this name or, where there is none and it is a number, that number.
///
/// # Errors
///
/// When the name service fails; that there is no such group is `Ok(None)`.
pub fn group(name_or_gid: &str) -> io::Result<Option<u32>> {
    let Ok(name) = CString::new(name_or_gid) else {
        return Ok(None);
    };
    // SAFETY: the name ends with a zero byte, and `lookup` passes a buffer with its length and a place for the result.
    let found = lookup(|entry, buffer, length, result| unsafe {
        libc::getgrnam_r(name.as_ptr(), entry, buffer, length, result)
    })?;
    Ok(found.or_else(|| name_or_gid.parse().ok()))
}

/// An entry of the user or the group database, made from what libc fills in.
trait Entry: Sized {
    type Raw;
    /// Reads an entry that libc has just filled in and whose strings live in the caller's buffer.
    fn read(raw: &Self::Raw) -> Self;
}

impl Entry for User {
    type Raw = libc::passwd;
    fn read(raw: &libc::passwd) -> Self {
        // SAFETY: a filled-in entry has a name that ends with a zero byte.
        let name = unsafe { CStr::from_ptr(raw.pw_name) };
        Self {
            uid: raw.pw_uid,
            gid: raw.pw_gid,
            name: name.to_string_lossy().into_owned(),
        }
    }
}

impl Entry for u32 {
    type Raw = libc::group;
    fn read(raw: &libc::group) -> Self {
        raw.gr_gid
    }
}

/// Calls a `get…_r` function with a buffer that grows until the entry fits.
fn lookup<E: Entry>(
    call: impl Fn(*mut E::Raw, *mut libc::c_char, libc::size_t, *mut *mut E::Raw) -> libc::c_int,
) -> io::Result<Option<E>> {
    let mut buffer = vec![0; 1024];
    loop {
        let mut entry = std::mem::MaybeUninit::<E::Raw>::uninit();
        let mut result: *mut E::Raw = std::ptr::null_mut();
        match call(
            entry.as_mut_ptr(),
            buffer.as_mut_ptr(),
            buffer.len(),
            &raw mut result,
        ) {
            // SAFETY: the result is null, or points to `entry`, which is filled in then and lives here.
            0 => return Ok(unsafe { result.as_ref() }.map(E::read)),
            libc::ERANGE if buffer.len() < ENTRY_MAX => buffer.resize(buffer.len() * 2, 0),
            libc::EINTR => {}
            // POSIX allows these for "there is none".
            libc::ENOENT | libc::ESRCH => return Ok(None),
            error => return Err(io::Error::from_raw_os_error(error)),
        }
    }
}

/// The supplementary groups that a process takes when it changes its user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Groups {
    /// Those that it has.
    Keep,
    /// None but its main group. Who drops root's user and keeps root's groups has dropped little.
    None,
    /// Those of the user with this name (`initgroups`).
    OfUser(String),
}

/// Whom to become.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The user; `None` leaves it.
    pub uid: Option<u32>,
    /// The main group; `None` leaves it.
    pub gid: Option<u32>,
    /// The supplementary groups.
    pub groups: Groups,
}

/// Changes the user of this process, all its threads included, for good.
///
/// # Errors
///
/// `PermissionDenied` when the process may not do that. It may have changed its groups by then: who fails here should
/// not go on.
pub fn become_user(identity: &Identity) -> io::Result<()> {
    // Groups first: once the user is changed there is no right left to change them.
    match (&identity.groups, identity.gid) {
        (Groups::Keep, _) | (Groups::OfUser(_), None) => {}
        (Groups::None, _) => {
            // SAFETY: with a count of zero the list is not read.
            check(unsafe { libc::setgroups(0, std::ptr::null()) })?;
        }
        (Groups::OfUser(name), Some(gid)) => {
            let name = CString::new(name.as_str())?;
            // SAFETY: the name ends with a zero byte.
            check(unsafe { libc::initgroups(name.as_ptr(), gid) })?;
        }
    }
    if let Some(gid) = identity.gid {
        // SAFETY: setgid takes an integer.
        check(unsafe { libc::setgid(gid) })?;
    }
    if let Some(uid) = identity.uid {
        // SAFETY: setuid takes an integer.
        check(unsafe { libc::setuid(uid) })?;
    }
    Ok(())
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Whether the number is one in this process's user namespace, which may have few users.
#[must_use]
pub fn is_mapped(id: u32, of: Ids) -> bool {
    let table = match of {
        Ids::Users => "/proc/self/uid_map",
        Ids::Groups => "/proc/self/gid_map",
    };
    // Each line is a range: its first number here, that outside, its length. Without /proc it is not known.
    let Ok(table) = std::fs::read_to_string(table) else {
        return true;
    };
    table.lines().any(|line| {
        let mut numbers = line.split_whitespace().map(str::parse::<u64>);
        let (Some(Ok(first)), Some(Ok(_)), Some(Ok(length))) =
            (numbers.next(), numbers.next(), numbers.next())
        else {
            return false;
        };
        (first..first + length).contains(&u64::from(id))
    })
}

/// Which numbers are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ids {
    /// Those of users.
    Users,
    /// Those of groups.
    Groups,
}

/// The effective user of this process.
#[must_use]
pub fn effective_uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// The effective group of this process.
#[must_use]
pub fn effective_gid() -> u32 {
    rustix::process::getegid().as_raw()
}

/// Gives the name of a unix socket to a user and a group; `None` leaves what it has. Only to a socket with one name:
/// another file that has taken the name meanwhile stays whose it is.
///
/// # Errors
///
/// What the system says, or that it is no such socket.
pub fn give_socket(path: &Path, uid: Option<u32>, gid: Option<u32>) -> io::Result<()> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::open(path, flags, Mode::empty())?;
    let status = rustix::fs::fstat(&file)?;
    let is_socket = FileType::from_raw_mode(status.st_mode).is_socket();
    if !is_socket || status.st_nlink != 1 {
        return Err(io::Error::other("another file has taken its name"));
    }
    let (uid, gid) = (uid.map(Uid::from_raw), gid.map(Gid::from_raw));
    Ok(chownat(&file, "", uid, gid, AtFlags::EMPTY_PATH)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_is_found_by_name_and_by_number() {
        let root = User {
            uid: 0,
            gid: 0,
            name: "root".into(),
        };
        assert_eq!(user("root").expect("lookup"), Some(root.clone()));
        assert_eq!(user("0").expect("lookup"), Some(root));
        assert_eq!(group("root").expect("lookup"), Some(0));
    }

    #[test]
    fn an_unknown_name_finds_no_user() {
        for name in ["no such user", "", "nul\0byte", "-1"] {
            assert_eq!(user(name).expect("lookup"), None, "{name:?}");
            assert_eq!(group(name).expect("lookup"), None, "{name:?}");
        }
    }

    #[test]
    fn a_group_number_needs_no_entry() {
        assert_eq!(group("54321").expect("lookup"), Some(54321));
    }
}
