//! What becomes of an exception: what `send()` raises, and what is logged of that with which an application ended.

use pyo3::exceptions::asyncio::CancelledError;
use pyo3::exceptions::{
    PyBrokenPipeError, PyKeyboardInterrupt, PyOSError, PyRuntimeError, PySystemExit,
    PyTimeoutError, PyValueError,
};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyString, PyTuple};
use server::SinkError;

use super::reply::Stuck;
use crate::gateway::failure::{Ids, report};
use crate::gateway::text;

/// How many exceptions are looked at, in chains and groups, to tell where one comes from.
const LOOKS: usize = 256;

/// The attribute by which an exception that `send()` has raised for a client that has left is known again. An
/// application's own `OSError`, of a file or a database, must not pass for one.
const MARK: &str = "_oxicorn_client_left";

/// What frameworks raise for a disconnect that `receive()` has told them of: Starlette, FastAPI and Litestar, Django,
/// BlackSheep. Few applications catch it, and a reload that closes thousands of WebSockets would fill the log with
/// their tracebacks.
const DISCONNECTS: [&str; 4] = [
    "WebSocketDisconnect",
    "ClientDisconnect",
    "RequestAborted",
    "MessageAborted",
];

/// How things stood with the client when its application raised.
#[derive(Debug, Clone, Copy)]
pub(super) struct Standing {
    /// The application was told, by an exception out of `send`, that its client is gone. One that is there is owed an
    /// answer, and its application is at fault where it fails for another's departure.
    pub(super) told: bool,
    /// The client left before its request was complete, and the application was told.
    pub(super) broken_off: bool,
    /// The server has cancelled what outlasted `graceful_timeout`.
    pub(super) out_of_time: bool,
    /// No answer is awaited: the client has left, or has all that it asked for.
    pub(super) released: bool,
}

/// What an exception was.
pub(super) enum Verdict {
    /// It came of the client, who has left.
    OfTheClient,
    /// The application's own. The worker must obey `SystemExit` and `KeyboardInterrupt`.
    OfTheApplication(Option<PyErr>),
}

/// Logs what the application raised, unless it came of the client.
pub(super) fn judge(
    py: Python<'_>,
    target: &[u8],
    ids: &Ids,
    error: PyErr,
    standing: Standing,
) -> Verdict {
    let target = text::printable(target);
    let exit =
        error.is_instance_of::<PySystemExit>(py) || error.is_instance_of::<PyKeyboardInterrupt>(py);
    if error.is_instance_of::<CancelledError>(py) && standing.released {
        log::debug!("The task of {target} was cancelled.");
        return Verdict::OfTheClient;
    }
    if error.is_instance_of::<CancelledError>(py) && standing.out_of_time {
        log::warn!("{target} was cut off: it has outlasted graceful_timeout.");
        return Verdict::OfTheApplication(None);
    }
    let of_the_client = comes_of_the_client(error.value(py).as_any(), standing);
    if of_the_client && !exit {
        log::debug!("Client of {target} is gone: {error}");
        return Verdict::OfTheClient;
    }
    // The exception of the signal's handler, and the cancellation that follows it.
    let of_the_signal =
        error.is_instance_of::<PySystemExit>(py) || error.is_instance_of::<CancelledError>(py);
    if crate::signals::is_leaving() && of_the_signal {
        log::debug!("{target} is not waited for: the worker ends at once.");
    } else {
        report(py, &target, ids, &error);
    }
    Verdict::OfTheApplication(exit.then_some(error))
}

/// What `send()` raises.
pub(super) fn exception(py: Python<'_>, stuck: Stuck) -> PyErr {
    match stuck {
        Stuck::Misplaced(rule) => PyRuntimeError::new_err(rule),
        // ASGI, HTTP version 2.4: an OSError tells that the client does not listen any more.
        Stuck::Lost(SinkError::Disconnected) => marked(
            py,
            PyBrokenPipeError::new_err("the client has closed the connection"),
        ),
        Stuck::Lost(SinkError::TimedOut) => marked(
            py,
            PyTimeoutError::new_err("the client takes nothing any more"),
        ),
        Stuck::Misuse(misuse) => PyValueError::new_err(misuse.to_string()),
    }
}

fn marked(py: Python<'_>, error: PyErr) -> PyErr {
    // Without the mark there is a traceback too many in the log.
    let _ = error.value(py).setattr(MARK, true);
    error
}

/// Whether an exception is the client's departure: what `send()` raised for it, what a framework raises when
/// `receive()` tells of it, anything of which one of these is the cause or the context, or a group of nothing else.
fn comes_of_the_client(error: &Bound<'_, PyAny>, standing: Standing) -> bool {
    let mut search = Search {
        standing,
        looks: LOOKS,
    };
    match members(error) {
        // What frameworks make of a request that broke off is of many types.
        None if standing.broken_off => true,
        _ => search.finds_the_client(error),
    }
}

/// The exceptions in a group (PEP 654, or its backport); `None` for what is no group.
fn members<'py>(error: &Bound<'py, PyAny>) -> Option<Bound<'py, PyTuple>> {
    let py = error.py();
    if !error.hasattr(intern!(py, "derive")).ok()? {
        return None;
    }
    let members = error.getattr(intern!(py, "exceptions")).ok()?;
    members.cast_into().ok()
}

struct Search {
    standing: Standing,
    looks: usize,
}

impl Search {
    fn finds_the_client(&mut self, error: &Bound<'_, PyAny>) -> bool {
        let Some(left) = self.looks.checked_sub(1) else {
            return false;
        };
        self.looks = left;
        if let Some(members) = members(error) {
            return members.iter().all(|member| self.finds_the_client(&member));
        }
        self.is_of_the_client(error)
            || self.follow(error, intern!(error.py(), "__cause__"))
            || self.follow(error, intern!(error.py(), "__context__"))
    }

    fn follow(&mut self, error: &Bound<'_, PyAny>, link: &Bound<'_, PyString>) -> bool {
        match error.getattr(link) {
            Ok(next) if !next.is_none() => self.finds_the_client(&next),
            _ => false,
        }
    }

    fn is_of_the_client(&self, error: &Bound<'_, PyAny>) -> bool {
        let standing = self.standing;
        if error.is_instance_of::<PyOSError>() {
            let is_gone = standing.told || standing.released;
            return is_gone && error.hasattr(MARK).unwrap_or(false);
        }
        if error.is_instance_of::<CancelledError>() {
            return standing.released;
        }
        let is_told = standing.released || standing.broken_off;
        let named = |name: Bound<'_, PyString>| DISCONNECTS.iter().any(|one| name == *one);
        is_told && error.get_type().name().is_ok_and(named)
    }
}
