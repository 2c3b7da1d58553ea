//! Files that the application names in its response, for the server to send in place of a body: by their path in the
//! file system (`X-Sendfile`), or by a path of `sendfile_root` (`X-Accel-Redirect`). No file outside of
//! these directories is sent.

use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use proto::h1::{FieldEdit, ResponseHead};
use proto::resource::{MediaType, decode_path};
use settings::Mount;
use sys::beneath::{Kind, Links};

use super::answer::{Found, Framed};
use super::store::Key;
use super::{Fallback, Located, Mounted, Root, Site};

/// The fields that name files.
const BY_FILE: &[u8] = b"x-sendfile";
const BY_URL: &[u8] = b"x-accel-redirect";
/// Where the numbers of these directories begin; those of `static` and `spa` come before.
const FIRST_NUMBER: usize = 1 << 32;

/// A directory whose files the application may name.
#[derive(Debug)]
pub(super) struct Download {
    mounted: Mounted,
    /// The directory as a path in the file system begins that leads into it.
    absolute: PathBuf,
}

impl Download {
    /// # Errors
    /// The directory cannot be opened.
    pub(super) fn open(number: usize, mount: &Mount) -> io::Result<Download> {
        Ok(Download {
            mounted: Mounted {
                number: FIRST_NUMBER + number,
                prefix: mount.prefix.clone().into_bytes(),
                root: Root::open(mount.directory.clone())?,
                fallback: Fallback::Nothing,
            },
            absolute: std::path::absolute(&mount.directory)?,
        })
    }

    pub(super) fn prefix_length(&self) -> usize {
        self.mounted.prefix.len()
    }

    fn locate<'a>(&'a self, relative: &'a [u8]) -> Option<Located<'a>> {
        is_plain(relative).then(|| Located {
            mounted: &self.mounted,
            directory: self.mounted.root.directory(),
            relative,
        })
    }
}

/// What an application has named.
#[derive(Debug)]
pub(crate) enum Named {
    /// This file.
    File(Box<Found>),
    /// Nothing that may be sent. The sentence is for the log.
    Nothing(String),
}

impl Site {
    /// Whether the application may name files.
    pub(crate) fn takes_names(&self) -> bool {
        !self.downloads.is_empty()
    }

    /// The file that a response names, if it names one.
    pub(crate) fn named(&self, head: &ResponseHead) -> Option<Named> {
        let value = |wanted: &[u8]| {
            let mut fields = head.fields();
            fields.find(|(name, _)| name.eq_ignore_ascii_case(wanted))
        };
        let (name, value) = value(BY_URL).or_else(|| value(BY_FILE))?;
        let found = match name.eq_ignore_ascii_case(BY_URL) {
            true => self.by_url(value, head),
            false => self.by_path(value, head),
        };
        Some(found.map_or_else(
            || {
                let (name, value) = (name.escape_ascii(), value.escape_ascii());
                Named::Nothing(format!(
                    "The application's {name} names {value}, which is no file below a sendfile_root; it is answered \
                     with 404."
                ))
            },
            |found| Named::File(Box::new(found)),
        ))
    }

    fn by_url(&self, value: &[u8], head: &ResponseHead) -> Option<Found> {
        let path = value.split(|&byte| byte == b'?').next().unwrap_or_default();
        let path = decode_path(path)?;
        let download = self
            .downloads
            .iter()
            .find(|download| path.starts_with(&download.mounted.prefix))?;
        self.download(download, &path[download.mounted.prefix.len()..], head)
    }

    fn by_path(&self, value: &[u8], head: &ResponseHead) -> Option<Found> {
        let path = Path::new(std::ffi::OsStr::from_bytes(value));
        self.downloads.iter().find_map(|download| {
            let relative = path.strip_prefix(&download.absolute).ok()?;
            self.download(download, relative.as_os_str().as_bytes(), head)
        })
    }

    fn download(&self, download: &Download, relative: &[u8], head: &ResponseHead) -> Option<Found> {
        let located = download.locate(relative)?;
        if located.directory.facts(relative).ok()?.kind != Kind::Regular {
            return None;
        }
        let key = Key {
            mount: located.mounted.number,
            path: relative.into(),
        };
        let file = self
            .store
            .lock()
            .file(key, &located.directory, Links::Beneath);
        Some(Found {
            file: file.ok()?,
            coding: None,
            varies: false,
            content_type: content_type(relative, head),
            is_font: false,
            cache_control: None,
            framed: Framed::By(Box::new(without_body(head))),
        })
    }
}

/// What the application states, without what speaks of a body that is not sent.
fn without_body(head: &ResponseHead) -> ResponseHead {
    const OF_THE_BODY: [&[u8]; 8] = [
        BY_FILE,
        BY_URL,
        b"content-type",
        b"content-length",
        b"content-range",
        b"accept-ranges",
        b"etag",
        b"last-modified",
    ];
    let mut head = head.clone();
    head.edit(|name, _| {
        let is_named = |field: &&[u8]| name.eq_ignore_ascii_case(field);
        match OF_THE_BODY.iter().any(is_named) {
            true => FieldEdit::Drop,
            false => FieldEdit::Keep,
        }
    });
    head
}

/// What the application states, else by the name.
fn content_type(relative: &[u8], head: &ResponseHead) -> String {
    let stated = head
        .fields()
        .find(|(name, _)| name.eq_ignore_ascii_case(b"content-type"));
    match stated {
        Some((_, value)) => String::from_utf8_lossy(value).into_owned(),
        None => MediaType::of(relative).content_type(),
    }
}

/// A path that leads downwards, one name at a time. The kernel sees to the links in it.
fn is_plain(relative: &[u8]) -> bool {
    let is_name = |segment: &[u8]| !matches!(segment, b"" | b"." | b"..");
    !relative.contains(&0) && relative.split(|&byte| byte == b'/').all(is_name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_leads_downwards() {
        for name in ["a", "a/b.pdf", ".hidden", "a b", "a..b"] {
            assert!(is_plain(name.as_bytes()), "{name}");
        }
        for name in ["", "/a", "a/", "..", "a/../b", "a//b", "./a", "a\0b"] {
            assert!(!is_plain(name.as_bytes()), "{name:?}");
        }
    }
}
