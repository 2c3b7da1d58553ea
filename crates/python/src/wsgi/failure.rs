//! Failures between an application and its client, and their consequences: a log line, an error page, or a closed
//! connection.

use pyo3::exceptions::{
    PyAssertionError, PyBrokenPipeError, PyKeyboardInterrupt, PyOSError, PyStopIteration,
    PySystemExit, PyTimeoutError,
};
use pyo3::prelude::*;
use server::{Exchange, ReplyError, SinkError};

use super::shared_reply::SharedReply;
use crate::gateway::failure::{self, is_greenlet_exit, report};
use crate::gateway::text;

/// What the client reads on the error page. The reason is for the operator, in the log.
const RULE: &str = "The application failed to answer this request.";

/// Why an answer was not given as the application meant it.
#[derive(Debug)]
pub(super) enum AnswerFailure {
    /// The application raised, or broke a rule of WSGI.
    Raised(PyErr),
    /// The client went away, which is no error of the application.
    Lost(SinkError),
}

impl From<PyErr> for AnswerFailure {
    fn from(error: PyErr) -> AnswerFailure {
        AnswerFailure::Raised(error)
    }
}

impl From<ReplyError> for AnswerFailure {
    fn from(error: ReplyError) -> AnswerFailure {
        match error {
            ReplyError::Headless => AnswerFailure::Raised(PyAssertionError::new_err(
                "the application gave a body before it called start_response(status, headers)",
            )),
            // WSGI has no trailer fields.
            ReplyError::TrailersTooLong => {
                AnswerFailure::Raised(PyAssertionError::new_err(error.to_string()))
            }
            ReplyError::Lost(error) => AnswerFailure::Lost(error),
        }
    }
}

impl AnswerFailure {
    /// The exception for application code that sends by itself, through `write` or early hints.
    pub(super) fn into_exception(self) -> PyErr {
        match self {
            AnswerFailure::Raised(error) => error,
            AnswerFailure::Lost(SinkError::Disconnected) => {
                PyBrokenPipeError::new_err("the client has closed the connection")
            }
            AnswerFailure::Lost(SinkError::TimedOut) => {
                PyTimeoutError::new_err("the client takes nothing any more")
            }
        }
    }
}

/// What log lines call a request.
pub(super) fn named(method: &[u8], target: &[u8]) -> String {
    format!("{} {}", text::printable(method), text::printable(target))
}

/// Logs a failure and answers the client; `last` names the request where its exchange has been released already.
/// Returns the exception that the worker must obey: `SystemExit` and `KeyboardInterrupt`.
pub(super) fn settle(
    py: Python<'_>,
    shared: &SharedReply,
    last: String,
    failure: AnswerFailure,
) -> Option<PyErr> {
    let name = |exchange: &Exchange| named(exchange.request.method(), exchange.request.target());
    let request = shared.with(|reply| reply.exchange().map(|one| (name(one), failure::ids(one))));
    let (request, ids) = request.ok().flatten().unwrap_or_else(|| (last, Vec::new()));
    let error = match failure {
        AnswerFailure::Lost(error) => {
            log::debug!("Client of {request} is gone: {error:?}");
            return None;
        }
        AnswerFailure::Raised(error) => error,
    };
    let lost = shared.with(|reply| reply.is_lost()).unwrap_or(false);
    if lost && error.is_instance_of::<PyOSError>(py) {
        log::debug!("Client of {request} is gone: {error}");
        return None;
    }
    if error.is_instance_of::<PyStopIteration>(py) {
        // How extensions that took `gunicorn.socket` tell Gunicorn that there is nothing to answer.
        log::debug!("Closing connection of {request}");
        let _ = shared.send(py, |reply| reply.cut());
        return None;
    }
    if is_greenlet_exit(py, &error) {
        log::debug!("The greenlet of {request} was killed");
        let _ = shared.send(py, |reply| reply.cut());
        return None;
    }
    // The worker's own handlers end a view by SystemExit; that is no failure of the application.
    let told_to_leave = crate::signals::is_leaving() && error.is_instance_of::<PySystemExit>(py);
    // A reply that another thread holds, or that is over, has nothing to refuse.
    let _ = if told_to_leave {
        // The reactor is closing all connections: whether this one gets an answer must not depend on who is first.
        shared.send(py, |reply| reply.cut())
    } else {
        report(py, &request, &ids, &error);
        shared.send(py, |reply| reply.give_up(500, RULE))
    };
    is_exit(py, &error).then_some(error)
}

fn is_exit(py: Python<'_>, error: &PyErr) -> bool {
    error.is_instance_of::<PySystemExit>(py) || error.is_instance_of::<PyKeyboardInterrupt>(py)
}
