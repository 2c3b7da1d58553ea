//! The access log: Gunicorn's format string compiled once, lines formatted without Python, written once a turn. A full
//! disk, a closed pipe or a directory that is gone never stops serving and is reported once.

mod destination;
mod format;
pub(crate) mod json;
pub(crate) mod pieces;

use std::fmt;
use std::fs::File;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use proto::Request;
use proto::forwarded::Scheme;

use destination::Destination;
use format::Format;
use pieces::Clock;

use crate::peer::{Ends, Peer};

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
    /// The scheme that the client used.
    pub(crate) scheme: Scheme,
    /// The variables of the environ that the format asks for; none where the request had no environ.
    pub(crate) variables: &'a [Option<Vec<u8>>],
}

/// A request that is over, for an access log that the server does not write.
#[derive(Debug)]
pub struct Entry {
    /// Absent where it could not be parsed.
    pub request: Option<Request>,
    /// Who sent it.
    pub peer: Peer,
    /// The scheme that the client used.
    pub scheme: Scheme,
    /// What it was answered with; 0 for nothing.
    pub status: u16,
    /// Body bytes sent.
    pub sent: u64,
    /// From its arrival to the end of its response.
    pub took: Duration,
    /// The fields of the response, as they went out.
    pub fields: Vec<u8>,
}

/// Which requests the writer of the access lines is told of, where that is not the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    /// Those that never became an [`crate::Exchange`], because the holder of the exchange knows of the others.
    Refused,
    /// All.
    All,
}

/// Who writes the lines instead.
struct Elsewhere {
    left: Left,
    told: Box<dyn Fn(Entry) + Send + Sync>,
}

/// Whether lines show statuses in colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Colours {
    /// They go to a terminal.
    On,
    /// They are read by programs too.
    Off,
}

/// Where the lines go, and those that are not there yet.
pub(crate) struct AccessLog {
    open: Option<Open>,
    elsewhere: OnceLock<Elsewhere>,
    /// Lines wait for the thread that said so, though no thread turns the reactor.
    held: AtomicBool,
}

#[derive(Debug)]
struct Open {
    format: Format,
    state: Mutex<LogState>,
}

#[derive(Debug)]
struct LogState {
    destination: Destination,
    lines: Vec<u8>,
    clock: Clock,
}

impl AccessLog {
    /// Opens the destination: `None` for no log, `-` for standard output, otherwise a file that is appended to, which
    /// may be `opened` already. A file that cannot be opened is reported, and its lines are lost until it can. A format
    /// that is not understood is no log either: the code that understands it writes the lines ([`AccessLog::leave`]).
    pub(crate) fn open(
        destination: Option<&str>,
        format: &str,
        colours: Colours,
        opened: Option<File>,
    ) -> AccessLog {
        let open = destination.and_then(|destination| {
            Some(Open {
                format: Format::compile(format).ok()?.coloured(colours),
                state: Mutex::new(LogState {
                    destination: Destination::open(destination, opened),
                    lines: Vec::new(),
                    clock: Clock::default(),
                }),
            })
        });
        AccessLog {
            open,
            elsewhere: OnceLock::new(),
            held: AtomicBool::new(false),
        }
    }

    /// Whether anything is to be noted of exchanges.
    pub(crate) fn is_on(&self) -> bool {
        match self.elsewhere.get() {
            None => self.open.is_some(),
            Some(elsewhere) => elsewhere.left == Left::All,
        }
    }

    /// Leaves the lines to another writer.
    pub(crate) fn leave(&self, left: Left, told: Box<dyn Fn(Entry) + Send + Sync>) {
        // The writer that they were left to first keeps them.
        let _ = self.elsewhere.set(Elsewhere { left, told });
    }

    /// Whether the fields of the response are shown (`%({name}o)s`).
    pub(crate) fn wants_response_fields(&self) -> bool {
        match (self.elsewhere.get(), &self.open) {
            (Some(elsewhere), _) => elsewhere.left == Left::All,
            (None, Some(open)) => open.format.wants_response_fields(),
            (None, None) => false,
        }
    }

    /// The variables of the environ that the format shows (`%({name}e)s`).
    pub(crate) fn variables(&self) -> &[String] {
        match &self.open {
            Some(open) if self.elsewhere.get().is_none() => open.format.variables(),
            _ => &[],
        }
    }

    /// Adds one line, or tells the other writer of the lines.
    pub(crate) fn note(&self, record: &Record<'_>) {
        match self.elsewhere.get() {
            Some(elsewhere) if elsewhere.left == Left::All => return elsewhere.tell(record),
            Some(_) => return,
            None => {}
        }
        let Some(open) = &self.open else { return };
        let mut guard = open.state.lock();
        let state = &mut *guard;
        open.format
            .write(record, &mut state.clock, &mut state.lines);
        if state.lines.len() >= BUFFER {
            state.write_out();
        }
    }

    /// The same for a request that never became an exchange.
    pub(crate) fn note_refusal(&self, record: &Record<'_>) {
        match self.elsewhere.get() {
            Some(elsewhere) => elsewhere.tell(record),
            None => self.note(record),
        }
    }

    /// Keeps lines together until the next [`AccessLog::flush`]. Says whether there are any to be kept.
    pub(crate) fn hold(&self) -> bool {
        let writes = self.open.is_some() && self.elsewhere.get().is_none();
        self.held.store(writes, Ordering::Relaxed);
        writes
    }

    /// Whether a thread is going to flush.
    pub(crate) fn is_held(&self) -> bool {
        self.held.load(Ordering::Relaxed)
    }

    /// Writes out what has come together.
    pub(crate) fn flush(&self) {
        self.held.store(false, Ordering::Relaxed);
        let Some(open) = &self.open else { return };
        let mut state = open.state.lock();
        if !state.lines.is_empty() {
            state.write_out();
        }
    }

    /// Opens the file anew, for log rotation. The old one stays where that fails.
    pub(crate) fn reopen(&self) {
        let Some(open) = &self.open else { return };
        self.flush();
        open.state.lock().destination.reopen();
    }
}

impl fmt::Debug for AccessLog {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("AccessLog")
            .field("open", &self.open)
            .finish_non_exhaustive()
    }
}

impl Elsewhere {
    fn tell(&self, record: &Record<'_>) {
        (self.told)(Entry {
            request: record.request.cloned(),
            peer: record.ends.peer.clone(),
            scheme: record.scheme,
            status: record.status,
            sent: record.sent,
            took: record.took,
            fields: record.response_fields.to_vec(),
        });
    }
}

impl LogState {
    fn write_out(&mut self) {
        self.destination.write(&self.lines);
        self.lines.clear();
    }
}

/// The atoms of a format that do not exist and show as `-`; `None` where the format itself is not understood.
#[must_use]
pub fn unknown_atoms(format: &str) -> Option<Vec<String>> {
    let format = Format::compile(format).ok()?;
    Some(format.unknown().to_vec())
}
