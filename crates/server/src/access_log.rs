//! The access log: Gunicorn's format string compiled once, lines formatted without Python, written once a turn. A full disk
//! or a closed pipe never stops serving and is reported once.

mod format;

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use proto::h1::Request;

use format::Format;

use crate::peer::Ends;

/// Lines are written at the end of a turn, or when this many bytes have come together.
const BUFFER: usize = 64 * 1024;

/// What one line is made of.
pub(crate) struct Record<'a> {
    /// Absent where the request could not be parsed.
    pub(crate) request: Option<&'a Request>,
    pub(crate) ends: &'a Ends,
    pub(crate) status: u16,
    /// Body bytes sent.
    pub(crate) sent: u64,
    /// From the arrival of the request to the end of its response.
    pub(crate) took: Duration,
    /// The fields of the response as they went out, where the format asks for any.
    pub(crate) response_fields: &'a [u8],
}

/// Where the lines go, and those that are not there yet.
#[derive(Debug)]
pub(crate) struct AccessLog(Option<Open>);

#[derive(Debug)]
struct Open {
    format: Format,
    path: Option<PathBuf>,
    state: Mutex<State>,
    reported: AtomicBool,
}

#[derive(Debug)]
struct State {
    file: Box<dyn Destination>,
    lines: Vec<u8>,
}

trait Destination: Write + Send + std::fmt::Debug {}
impl<T: Write + Send + std::fmt::Debug> Destination for T {}

impl AccessLog {
    /// Opens the destination: `None` for no log, `-` for standard output, otherwise a file that is appended to.
    ///
    /// # Errors
    /// The file cannot be opened. A format that is not understood is reported as invalid input.
    pub(crate) fn open(destination: Option<&str>, format: &str) -> io::Result<AccessLog> {
        let Some(destination) = destination else {
            return Ok(AccessLog(None));
        };
        let format = Format::compile(format)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let path = (destination != "-").then(|| PathBuf::from(destination));
        let state = State {
            file: open(path.as_ref())?,
            lines: Vec::new(),
        };
        let open = Open {
            format,
            path,
            state: Mutex::new(state),
            reported: AtomicBool::new(false),
        };
        Ok(AccessLog(Some(open)))
    }

    /// Whether lines are wanted at all.
    pub(crate) fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Whether the format shows fields of the response (`%({name}o)s`).
    pub(crate) fn wants_response_fields(&self) -> bool {
        self.0
            .as_ref()
            .is_some_and(|open| open.format.wants_response_fields())
    }

    /// Adds one line.
    pub(crate) fn note(&self, record: &Record<'_>) {
        let Some(open) = &self.0 else { return };
        let mut state = open.state.lock();
        open.format
            .write(record, SystemTime::now(), &mut state.lines);
        if state.lines.len() >= BUFFER {
            open.write_out(&mut state);
        }
    }

    /// Writes out what has come together.
    pub(crate) fn flush(&self) {
        let Some(open) = &self.0 else { return };
        let mut state = open.state.lock();
        if !state.lines.is_empty() {
            open.write_out(&mut state);
        }
    }

    /// Opens the file anew, for log rotation. The old one stays where that fails.
    pub(crate) fn reopen(&self) {
        let Some(open) = &self.0 else { return };
        self.flush();
        match self::open(open.path.as_ref()) {
            Ok(file) => open.state.lock().file = file,
            Err(error) => log::error!("the access log could not be reopened: {error}"),
        }
    }
}

impl Open {
    fn write_out(&self, state: &mut State) {
        let result = state
            .file
            .write_all(&state.lines)
            .and_then(|()| state.file.flush());
        state.lines.clear();
        match result {
            Ok(()) => self.reported.store(false, Ordering::Relaxed),
            Err(error) if !self.reported.swap(true, Ordering::Relaxed) => {
                log::error!(
                    "the access log could not be written: {error}; lines are lost until it can"
                );
            }
            Err(_) => {}
        }
    }
}

fn open(path: Option<&PathBuf>) -> io::Result<Box<dyn Destination>> {
    match path {
        Some(path) => {
            let file: File = OpenOptions::new().append(true).create(true).open(path)?;
            Ok(Box::new(file))
        }
        None => Ok(Box::new(io::stdout())),
    }
}
