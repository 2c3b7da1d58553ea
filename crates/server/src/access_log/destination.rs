//! Where access lines go: a file or standard output, and what is said when it does not take them.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::PathBuf;

/// A file or standard output.
#[derive(Debug)]
pub(super) struct Destination {
    place: Place,
    /// Lines that were lost since the last that was written.
    lost: u64,
}

#[derive(Debug)]
enum Place {
    Stdout,
    File {
        path: PathBuf,
        /// Absent where it could not be opened.
        file: Option<File>,
    },
}

impl Destination {
    /// `-` is standard output. A file that cannot be opened now may be there at the next rotation.
    pub(super) fn open(name: &str, opened: Option<File>) -> Destination {
        let mut destination = Destination {
            place: Place::Stdout,
            lost: 0,
        };
        if name != "-" {
            let path = PathBuf::from(name);
            let is_open = opened.is_some();
            destination.place = Place::File { path, file: opened };
            if !is_open {
                destination.reopen();
            }
        }
        destination
    }

    /// Opens the file anew. The old one stays where that fails.
    pub(super) fn reopen(&mut self) {
        let Place::File { path, file } = &mut self.place else {
            return;
        };
        match OpenOptions::new().append(true).create(true).open(&path) {
            Ok(opened) => *file = Some(opened),
            Err(error) => {
                let reason = sys::files::reason(path, &error);
                let path = path.display();
                log::error!("The access log {path} could not be opened: {reason}");
            }
        }
    }

    /// Writes whole lines. What cannot be written is lost: to keep it would be to run out of memory instead.
    pub(super) fn write(&mut self, lines: &[u8]) {
        match self.place.write_all(lines) {
            Ok(()) if self.lost > 0 => {
                let lost = std::mem::take(&mut self.lost);
                log::warn!("The access log can be written again; {lost} lines were lost");
            }
            Ok(()) => {}
            Err(error) => {
                if self.lost == 0 {
                    log::error!(
                        "The access log cannot be written: {error}; lines are lost until it can"
                    );
                }
                self.lost += lines.iter().filter(|byte| **byte == b'\n').count() as u64;
            }
        }
    }
}

impl Place {
    fn write_all(&mut self, lines: &[u8]) -> io::Result<()> {
        match self {
            Place::File { file, .. } => match file {
                Some(file) => file.write_all(lines),
                None => Err(io::ErrorKind::NotFound.into()),
            },
            // Not through std's buffer, which would keep what could not be written and write it again.
            Place::Stdout => write_to_stdout(lines),
        }
    }
}

fn write_to_stdout(mut lines: &[u8]) -> io::Result<()> {
    while !lines.is_empty() {
        match rustix::io::write(io::stdout(), lines) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => lines = lines.get(count..).unwrap_or_default(),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
