//! The way of lines through Python's `logging`, where the operator has configured that. In a process that serves, a
//! line may be logged with a lock held, so that it is not handed over there: it waits in an outbox until [`deliver`] is
//! called, which takes a token of the interpreter, and that cannot be had with a lock held (`lock.rs`).

use std::os::fd::AsFd as _;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use pyo3::prelude::*;
use server::{Entry, Left, Peer, Server};
use sys::forks::Private;

use super::{CRITICAL, ERROR, INFO, WARNING, set_level, tell};
use crate::application::Interface;
use crate::failure::traceback;
use crate::gateway;
use crate::lock::{Lock, Plain, Slot};

/// What waits at most: more than a worker can have under way between two looks. Lines beyond it are written directly.
const OUTBOX: usize = 16 * 1024;

/// The object with the methods `info`, `error`, … that hooks know as `server.log`.
static LOGGER: Slot<Option<Py<PyAny>>> = Slot::empty();
/// Whether lines go through it.
static ON: AtomicBool = AtomicBool::new(false);
/// Whether this process serves.
static SERVES: AtomicBool = AtomicBool::new(false);
/// What waits.
static WAITING: Lock<Vec<Waiting>> = Lock::new(Vec::new());
/// Whether any do.
static ANY: AtomicBool = AtomicBool::new(false);
/// The pipe that wakes a thread which delivers. Python writes to it too, for as long as the process lives.
static BELL: OnceLock<Private> = OnceLock::new();

/// What waits for a thread that can call Python.
enum Waiting {
    /// A level and a message.
    Line(u32, String),
    /// For the access log.
    Request(Box<Entry>),
}

impl Plain for Waiting {}

/// Which way access lines take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// The server writes them.
    Server,
    /// `access()` of the logger is called for every request.
    Logger,
    /// There are none.
    Off,
}

/// Looks at how `logging` is configured, and sends lines the way that is meant from now on. To be called whenever code
/// of the operator has run that may have changed it.
///
/// # Errors
///
/// What the logger's class raises.
pub(crate) fn follow(py: Python<'_>, logger: &Bound<'_, PyAny>) -> PyResult<Access> {
    let (level, through, access): (u32, bool, String) = py
        .import("oxicorn.glogging")?
        .call_method1("route", (logger,))?
        .extract()?;
    deliver(py);
    set_level(level);
    drop(LOGGER.replace(Some(logger.clone().unbind())));
    ON.store(through, Ordering::Relaxed);
    Ok(match access.as_str() {
        "server" => Access::Server,
        "logger" => Access::Logger,
        _ => Access::Off,
    })
}

/// Has the access lines of `server` take the way that `access` says. The gateway of WSGI has the environ, and tells the
/// logger itself.
pub(crate) fn leave_access_lines(server: &Server, access: Access, interface: Interface) {
    match (access, interface) {
        (Access::Server, _) => {}
        (Access::Off, _) => server.leave_access_lines(Left::Refused, drop),
        (Access::Logger, Interface::Wsgi) => server.leave_access_lines(Left::Refused, note_request),
        (Access::Logger, Interface::Asgi) => server.leave_access_lines(Left::All, note_request),
    }
}

/// Whether lines go through Python.
pub(super) fn is_on() -> bool {
    ON.load(Ordering::Relaxed)
}

/// The logger, once there is one.
pub(crate) fn logger(py: Python<'_>) -> Option<Bound<'_, PyAny>> {
    LOGGER.share(py).map(|logger| logger.into_bound(py))
}

/// From here on the process serves, and lines wait for [`deliver`].
pub(crate) fn hold_lines() {
    SERVES.store(true, Ordering::Relaxed);
}

/// Keeps the pipe `bell` open, and writes a byte to it whenever lines wait: its reader then calls [`deliver`].
pub(crate) fn ring_on(bell: Private) {
    // A process becomes a worker once.
    let _ = BELL.set(bell);
}

/// Sends a line on its way.
pub(super) fn pass(level: u32, message: String) {
    match SERVES.load(Ordering::Relaxed) {
        // The arbiter, and a worker before it has a server: there is one thread, and it holds no lock.
        false => Python::attach(|py| {
            deliver(py);
            hand_over(py, level, &message);
        }),
        // A critical record ends the process: no later call would hand it over. Nor does one in a process that the
        // application has forked.
        true if level >= CRITICAL || sys::forks::is_stray() => tell(level, message),
        true => put_by(Waiting::Line(level, message)),
    }
}

/// Has `access()` of the logger called for a request. May be called with locks held.
pub(crate) fn note_request(entry: Entry) {
    put_by(Waiting::Request(Box::new(entry)));
}

fn put_by(what: Waiting) {
    let left = WAITING.with(|waiting| {
        if waiting.len() >= OUTBOX {
            return Some(what);
        }
        waiting.push(what);
        None
    });
    if let Some(left) = left {
        if let Waiting::Line(level, message) = left {
            tell(level, message);
        }
        return;
    }
    ANY.store(true, Ordering::Release);
    if let Some(bell) = BELL.get() {
        sys::pipe::write_byte(bell.as_fd(), 0);
    }
}

/// Whether lines wait for [`deliver`].
pub(crate) fn has_waiting() -> bool {
    ANY.load(Ordering::Relaxed)
}

/// Hands over the lines that wait. Called without locks, by any thread that has the GIL.
pub(crate) fn deliver(py: Python<'_>) {
    // What waits in a process that the application has forked is its parent's, which has a copy.
    if !ANY.load(Ordering::Relaxed) || !ANY.swap(false, Ordering::Acquire) || sys::forks::is_stray()
    {
        return;
    }
    let waiting = WAITING.with(std::mem::take);
    for what in waiting {
        match what {
            Waiting::Line(level, message) => hand_over(py, level, &message),
            Waiting::Request(entry) => report(py, &entry),
        }
    }
}

fn report(py: Python<'_>, entry: &Entry) {
    let Some(logger) = logger(py) else { return };
    let told = match &entry.request {
        Some(request) => gateway::note_access(&logger, request, entry),
        None => refused(&logger, entry),
    };
    if let Err(error) = told {
        let traceback = traceback(py, &error);
        let message = format!("Exception in the logger's access()\n{traceback}");
        hand_over(py, ERROR, &message);
    }
}

/// Nothing is known of what could not be parsed.
fn refused(logger: &Bound<'_, PyAny>, entry: &Entry) -> PyResult<()> {
    let peer = match entry.peer {
        Peer::Inet(address) => address.ip().to_string(),
        Peer::Unix => String::new(),
    };
    let module = logger.py().import("oxicorn.glogging")?;
    let arguments = (logger, peer, entry.status, entry.sent, entry.took);
    module.call_method1("refused", arguments).map(drop)
}

/// Calls the logger. A line that it cannot take is written directly.
fn hand_over(py: Python<'_>, level: u32, message: &str) {
    let method = match level {
        CRITICAL.. => "critical",
        ERROR.. => "error",
        WARNING.. => "warning",
        INFO.. => "info",
        _ => "debug",
    };
    let taken = logger(py).map(|logger| {
        let message = settings::os_text::shown(message);
        logger.call_method1(method, (&*message,))
    });
    match taken {
        Some(Ok(_)) => {}
        Some(Err(error)) => {
            tell(level, message);
            tell(ERROR, format!("The logger failed: {error}"));
        }
        None => tell(level, message),
    }
}
