//! Whether files could be written, without writing them.

use std::io;
use std::path::Path;

use rustix::fs::{Access, access};

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

#[cfg(test)]
mod tests {
    use super::*;

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
}
