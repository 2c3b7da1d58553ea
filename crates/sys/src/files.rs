//! Files by their names and descriptors; what could be done with them, without doing it; and why it could not, in
//! words.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{
    Access, CWD, FileType, Gid, Mode, OFlags, ResolveFlags, Uid, access, fcntl_getfl, openat2,
};

/// The flag for opening a file without waiting: a pipe that no process writes to opens at once.
pub const NONBLOCK: i32 = libc::O_NONBLOCK;

/// A file in memory, which no path leads to.
///
/// # Errors
///
/// The process may have no more descriptors.
pub fn memory_file(name: &str) -> io::Result<File> {
    let file = rustix::fs::memfd_create(name, rustix::fs::MemfdFlags::CLOEXEC)?;
    Ok(file.into())
}

/// Whether the descriptor was opened for reading.
///
/// # Errors
///
/// What `fcntl(2)` says.
pub fn is_readable(file: &File) -> io::Result<bool> {
    let flags = fcntl_getfl(file)?;
    let mode = flags & OFlags::RWMODE;
    Ok(!flags.contains(OFlags::PATH) && (mode == OFlags::RDONLY || mode == OFlags::RDWR))
}

/// Whether the file could be opened for writing, or made where it is not there yet.
///
/// # Errors
///
/// What the attempt would end with: the file or its folder may not be written to, or there is no such folder.
pub fn check_writable(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    if path.exists() {
        return Ok(access(path, Access::WRITE_OK)?);
    }
    let folder = match path.parent() {
        Some(folder) if folder.as_os_str().is_empty() => Path::new("."),
        Some(folder) => folder,
        None => Path::new("/"),
    };
    check_folder(folder)
}

/// Whether files could be made in the folder.
///
/// # Errors
///
/// What the attempt would end with.
pub fn check_folder(folder: &Path) -> io::Result<()> {
    if !folder.metadata()?.is_dir() {
        return Err(io::ErrorKind::NotADirectory.into());
    }
    Ok(access(folder, Access::WRITE_OK | Access::EXEC_OK)?)
}

/// Why nothing could be made at `path`: the directory that is missing, by its name, or what the system says.
#[must_use]
pub fn reason(path: &Path, error: &io::Error) -> String {
    let missing = |directory: &&Path| !directory.as_os_str().is_empty() && !directory.exists();
    match path.parent().filter(missing) {
        Some(directory) if error.kind() == io::ErrorKind::NotFound => {
            format!("no such directory: {}", directory.display())
        }
        _ => sentence(error),
    }
}

/// Whether the error says that there is no such family of addresses.
#[must_use]
pub fn is_no_such_family(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EAFNOSUPPORT)
}

/// What the system says, without the number of the error; of a limit on open files, which that is.
#[must_use]
pub fn sentence(error: &io::Error) -> String {
    if error.raw_os_error() == Some(libc::EMFILE) {
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        let limit = limit.map_or_else(|| "unlimited".to_owned(), |limit| limit.to_string());
        return format!(
            "too many open files: the limit of this process is {limit} (ulimit -n, LimitNOFILE=)"
        );
    }
    let text = error.to_string();
    match text.find(" (os error") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

/// Opens a file with flags of open(2), as Python has them; it is closed on exec.
///
/// # Errors
///
/// What open(2) says.
pub fn open(path: &Path, flags: i32) -> io::Result<OwnedFd> {
    let flags = OFlags::from_bits_retain(flags.cast_unsigned()) | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::from_raw_mode(0o666))?)
}

/// Reads a file that belongs to this process's user and has one name, without following a link anywhere in its path.
///
/// # Errors
///
/// It is another user's, has more than one name, or cannot be read.
pub fn read_own(path: &Path) -> io::Result<String> {
    let path = std::path::absolute(path)?;
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let resolve = ResolveFlags::NO_SYMLINKS;
    let file = openat2(CWD, &path, flags, Mode::empty(), resolve)?;
    let status = rustix::fs::fstat(&file)?;
    let is_regular = FileType::from_raw_mode(status.st_mode).is_file();
    if !is_regular || status.st_nlink != 1 || status.st_uid != crate::users::effective_uid() {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    let mut text = String::new();
    File::from(file).read_to_string(&mut text)?;
    Ok(text)
}

/// Gives an open file to a user and a group; `None` leaves what it has.
///
/// # Errors
///
/// What fchown(2) says.
pub fn give(file: BorrowedFd<'_>, uid: Option<u32>, gid: Option<u32>) -> io::Result<()> {
    let is_regular = FileType::from_raw_mode(rustix::fs::fstat(file)?.st_mode).is_file();
    if !is_regular {
        return Ok(());
    }
    let (uid, gid) = (uid.map(Uid::from_raw), gid.map(Gid::from_raw));
    Ok(rustix::fs::fchown(file, uid, gid)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_was_opened_for_writing_cannot_be_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("file");
        let check = |options: &mut std::fs::OpenOptions, expected: bool| {
            let file = options.open(&path).expect("it opens");
            assert_eq!(is_readable(&file).expect("its flags"), expected);
        };
        check(File::options().write(true).create(true), false);
        check(File::options().read(true), true);
        check(File::options().read(true).write(true), true);
        check(File::options().append(true), false);
        check(File::options().read(true).append(true), true);
    }

    #[test]
    fn what_could_be_written_is_told_from_what_could_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("file");
        check_writable(&file).expect("it could be made");
        std::fs::write(&file, "").expect("it can");
        check_writable(&file).expect("it could be written to");
        check_folder(folder.path()).expect("files could be made");
        let check = |path: &Path, expected: io::ErrorKind| {
            let error = check_writable(path).expect_err("it could not");
            assert_eq!(error.kind(), expected, "{}", path.display());
        };
        check(folder.path(), io::ErrorKind::IsADirectory);
        check(&folder.path().join("none/file"), io::ErrorKind::NotFound);
        check(&file.join("file"), io::ErrorKind::NotADirectory);
    }

    #[test]
    fn a_reason_names_the_directory_and_no_number() {
        let not_found = io::Error::from_raw_os_error(2);
        assert_eq!(
            reason(Path::new("/no/where/file"), &not_found),
            "no such directory: /no/where"
        );
        assert_eq!(
            reason(Path::new("file"), &not_found),
            "No such file or directory"
        );
        let denied = io::Error::from_raw_os_error(13);
        assert_eq!(
            reason(Path::new("/no/where/file"), &denied),
            "Permission denied"
        );
    }
}
