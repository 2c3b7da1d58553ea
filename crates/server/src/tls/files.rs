//! The files that the settings name for TLS, and their texts. The process that may read them hands the texts to those
//! that may not.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use settings::Config;

use super::TlsMisuse;

/// The files of one configuration.
#[derive(Debug, Clone)]
pub(super) struct Files {
    files: Vec<File>,
}

#[derive(Debug, Clone)]
struct File {
    /// The setting that names it first.
    setting: &'static str,
    path: PathBuf,
}

impl Files {
    pub(super) fn of(config: &Config) -> Files {
        let named = [
            ("certfile", &config.certfile),
            ("keyfile", &config.keyfile),
            ("tls_ticket_key_file", &config.tls_ticket_key_file),
            ("ca_certs", &config.ca_certs),
            ("tls_crl_file", &config.tls_crl_file),
        ];
        let mut files: Vec<File> = Vec::new();
        for (setting, path) in named {
            if let Some(path) = path
                && files.iter().all(|known| known.path != *path)
            {
                let path = path.clone();
                files.push(File { setting, path });
            }
        }
        Files { files }
    }

    /// Reads all of them.
    ///
    /// # Errors
    /// One of them cannot be read.
    pub(super) fn read(&self) -> Result<Texts, TlsMisuse> {
        let text = |file: &File| {
            let text = fs::read(&file.path).map_err(|error| {
                TlsMisuse::new(file.setting, sys::files::reason(&file.path, &error))
            })?;
            Ok((file.path.clone(), text))
        };
        let texts = self.files.iter().map(text).collect::<Result<_, _>>()?;
        Ok(Texts { texts })
    }

    /// The texts that another process has read of the same files, and passes on as bytes.
    pub(super) fn texts_of(&self, mut bytes: &[u8]) -> Option<Texts> {
        let mut texts = Vec::with_capacity(self.files.len());
        for file in &self.files {
            let (length, rest) = bytes.split_first_chunk()?;
            let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
            let (text, rest) = rest.split_at_checked(length)?;
            texts.push((file.path.clone(), text.to_vec()));
            bytes = rest;
        }
        Some(Texts { texts })
    }

    /// Their names, for the log.
    pub(super) fn names(&self) -> String {
        let names: Vec<_> = (self.files.iter())
            .map(|file| file.path.display().to_string())
            .collect();
        names.join(", ")
    }

    /// What tells a change of them.
    pub(super) fn stamps(&self) -> Vec<Option<Stamp>> {
        let stamp = |file: &File| fs::metadata(&file.path).map(|found| Stamp::of(&found));
        self.files.iter().map(|file| stamp(file).ok()).collect()
    }
}

/// What is in the files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Texts {
    texts: Vec<(PathBuf, Vec<u8>)>,
}

impl Texts {
    /// The text of a file that the settings name.
    pub(super) fn of(&self, path: &Path) -> &[u8] {
        let found = self.texts.iter().find(|(known, _)| known == path);
        found.map_or(&[], |(_, text)| text)
    }

    /// The texts as [`Files::texts_of`] reads them.
    ///
    /// # Errors
    /// A file has 4 GiB.
    pub(super) fn to_bytes(&self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        for (_, text) in &self.texts {
            let length = u32::try_from(text.len()).map_err(|_| io::ErrorKind::FileTooLarge)?;
            bytes.extend(length.to_be_bytes());
            bytes.extend(text);
        }
        Ok(bytes)
    }
}

/// One state of a file. A link that leads to another file now is a change as well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
}

impl Stamp {
    fn of(found: &fs::Metadata) -> Stamp {
        Stamp {
            device: found.dev(),
            inode: found.ino(),
            size: found.size(),
            modified: (found.mtime(), found.mtime_nsec()),
        }
    }
}
