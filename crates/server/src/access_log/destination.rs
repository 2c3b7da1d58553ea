//! Where access lines go: a file or standard output, and what is said when it does not take them.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::path::PathBuf;

use sys::output::{Lost, Output};

/// A file or standard output.
#[derive(Debug)]
pub(super) struct Destination {
    place: Place,
    output: Output,
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
            output: Output::new(),
            lost: 0,
        };
        if name != "-" {
            let path = PathBuf::from(settings::os_text::to_os(name));
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

    /// Writes whole lines. What cannot be written is lost: to keep it would be to run out of memory instead, and to
    /// wait for a pipe that nothing reads would stop the worker.
    pub(super) fn write(&mut self, lines: &[u8]) {
        let written = match self.place.descriptor() {
            Some(place) => self.output.write(place, lines),
            None => Err(Lost {
                lines: lines.iter().filter(|byte| **byte == b'\n').count() as u64,
                error: io::ErrorKind::NotFound.into(),
            }),
        };
        match written {
            Ok(()) if self.lost > 0 => {
                let lost = std::mem::take(&mut self.lost);
                log::warn!("The access log can be written again; {lost} lines were lost");
            }
            Ok(()) => {}
            Err(Lost { lines, error }) => {
                if self.lost == 0 {
                    log::error!(
                        "The access log cannot be written: {error}; lines are lost until it can"
                    );
                }
                self.lost += lines;
            }
        }
    }
}

impl Place {
    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Place::File { file, .. } => file.as_ref().map(|file| file.as_fd()),
            // Not through std's buffer, which would keep what could not be written and write it again. Standard output
            // is open as long as the process is.
            Place::Stdout => Some(sys::fds::stdout()),
        }
    }
}
