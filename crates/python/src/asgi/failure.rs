//! What becomes of an exception: what `send()` raises, and what is logged of that with which an application ended.

use pyo3::exceptions::asyncio::CancelledError;
use pyo3::exceptions::{
    PyBrokenPipeError, PyKeyboardInterrupt, PyOSError, PyRuntimeError, PySystemExit,
    PyTimeoutError, PyValueError,
};
use pyo3::intern;
use pyo3::prelude::*;
use server::SinkError;

use super::reply::Stuck;
use crate::wsgi::{report, text};

/// How far back in the chain of an exception its cause is looked for.
const CHAIN: usize = 16;

/// How things stood with the client when its application raised.
#[derive(Debug, Clone, Copy)]
pub(super) struct Standing {
    /// The application was told, by an exception out of `send`, that there is nobody any more.
    pub(super) told: bool,
    /// The client left before its request was complete, and the application was told.
    pub(super) broken_off: bool,
    /// The server has cancelled what outlasted `graceful_timeout`.
    pub(super) out_of_time: bool,
    /// Nobody waits for anything: the client has left, or has all that it asked for.
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
pub(super) fn judge(py: Python<'_>, target: &[u8], error: PyErr, standing: Standing) -> Verdict {
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
    // What frameworks make of a request that broke off is of many types.
    let of_the_client = standing.broken_off
        || standing.told && comes_of_the_client(py, &error)
        || standing.released && names_the_disconnect(py, &error);
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
        report(py, &target, &error);
    }
    Verdict::OfTheApplication(exit.then_some(error))
}

/// What `send()` raises.
pub(super) fn exception(stuck: Stuck) -> PyErr {
    match stuck {
        Stuck::Misplaced(rule) => PyRuntimeError::new_err(rule),
        // ASGI, HTTP version 2.4: an OSError tells that nobody listens any more.
        Stuck::Lost(SinkError::Disconnected) => {
            PyBrokenPipeError::new_err("the client has closed the connection")
        }
        Stuck::Lost(SinkError::TimedOut) => {
            PyTimeoutError::new_err("the client takes nothing any more")
        }
        Stuck::Misuse(misuse) => PyValueError::new_err(misuse.to_string()),
    }
}

/// Whether an exception is what Starlette and Litestar make of a disconnect that `receive()` has told them of. Few applications
/// catch it, and a reload that closes thousands of WebSockets would fill the log with their tracebacks.
fn names_the_disconnect(py: Python<'_>, error: &PyErr) -> bool {
    let name = error.get_type(py).name();
    name.is_ok_and(|name| name == "WebSocketDisconnect")
}

/// Whether an exception is what `send()` raised, or was raised because of it, as Starlette's `ClientDisconnect` is.
fn comes_of_the_client(py: Python<'_>, error: &PyErr) -> bool {
    let mut next = Some(error.value(py).clone().into_any());
    for _ in 0..CHAIN {
        let Some(exception) = next else {
            return false;
        };
        if exception.is_instance_of::<PyOSError>() {
            return true;
        }
        next = exception
            .getattr(intern!(py, "__context__"))
            .ok()
            .filter(|context| !context.is_none());
    }
    false
}
