//! Files that an application has opened, and wants sent without reading them itself.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::RawFd;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use server::FilePart;

/// A file whose size is not known is read into memory up to this, because nothing says where it ends. What the kernel
/// tells of processes and devices is shorter.
const UNSIZED_MAX: u64 = 16 * 1024 * 1024;

/// The content of a file.
#[derive(Debug)]
pub(crate) enum Content {
    /// It can be sent by sendfile(2).
    Part(FilePart),
    /// It had to be read.
    Bytes(Vec<u8>),
}

/// The size of a file as far as it is known; `None` for what is no regular file, and for files whose size is not what
/// they say.
///
/// The files of procfs have the size 0 and those of sysfs one of 4096, independent of their content: the kernel writes
/// them as they are read. Neither takes up blocks. Other files without blocks (sparse ones, short ones that a file
/// system keeps in the inode) have a last byte.
///
/// # Errors
/// The file cannot be asked.
pub(crate) fn true_size(file: &File) -> io::Result<Option<u64>> {
    let metadata = file.metadata()?;
    if !metadata.is_file() || metadata.len() == 0 || !sys::files::is_readable(file)? {
        return Ok(None);
    }
    let known = metadata.blocks() > 0
        || matches!(file.read_at(&mut [0], metadata.len() - 1), Ok(read) if read == 1);
    Ok(known.then_some(metadata.len()))
}

/// The content from `offset` on, at most `count` bytes of it.
///
/// # Errors
/// The file cannot be read, or has no end within a bound.
pub(crate) fn content(file: File, offset: u64, count: Option<u64>) -> io::Result<Content> {
    if let Some(size) = true_size(&file)? {
        let left = size.saturating_sub(offset);
        let length = count.map_or(left, |count| count.min(left));
        return Ok(Content::Part(FilePart::new(file, offset, length)));
    }
    let mut bytes = Vec::new();
    let wanted = count.unwrap_or(u64::MAX).min(UNSIZED_MAX);
    let mut piece = [0; 8192];
    while (bytes.len() as u64) < wanted {
        match file.read_at(&mut piece, offset + bytes.len() as u64)? {
            0 => return Ok(Content::Bytes(bytes)),
            read => bytes.extend_from_slice(&piece[..read]),
        }
    }
    match count {
        Some(count) if count <= UNSIZED_MAX => {
            bytes.truncate(count as usize);
            Ok(Content::Bytes(bytes))
        }
        _ => Err(io::ErrorKind::FileTooLarge.into()),
    }
}

/// Opens a regular file, without waiting for the other end of a pipe.
///
/// # Errors
/// It cannot be opened, or is no regular file.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    let file = options
        .read(true)
        .custom_flags(sys::files::NONBLOCK)
        .open(path)?;
    if file.metadata()?.is_file() {
        return Ok(file);
    }
    let message = format!("not a regular file: {}", path.display());
    Err(io::Error::new(io::ErrorKind::InvalidInput, message))
}

/// A descriptor of our own for one that Python code has named as open: the application closes its own when it likes.
/// `None` for a negative number, by which some files say that they have none.
///
/// The number is only a number: a thread closes a file without the GIL, perhaps at this moment. The kernel then says
/// that nothing is open, or gives the file that the application has opened under the number since.
///
/// # Errors
/// It is not open, or the process may have no more.
pub(crate) fn duplicate(descriptor: RawFd) -> io::Result<Option<File>> {
    if descriptor < 0 {
        return Ok(None);
    }
    Ok(Some(File::from(sys::fds::duplicate_number(descriptor)?)))
}
