//! What is under way with one client: a request, or a WebSocket. The runner and the awaitables need not know which.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use pyo3::prelude::*;
use server::{ExchangeId, Room};

use super::app_runner::AppRunner;
use super::awaitable::Step;
use super::http_cycle::HttpCycle;
use super::waiters::Waiters;
use super::websocket_cycle::WebSocketCycle;

/// Whether a step of the application's own coroutine is being made. What becomes of its messages is then looked at when
/// the step is over, and for messages of other tasks at once.
#[derive(Debug, Default)]
pub(super) struct StepMark(AtomicBool);

impl StepMark {
    pub(super) fn begin(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(super) fn end(&self) {
        self.0.store(false, Ordering::Relaxed);
    }

    fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// One of the two.
#[derive(Debug)]
pub(super) enum Cycle {
    /// A request and its response.
    Http(Py<HttpCycle>),
    /// A WebSocket.
    WebSocket(Py<WebSocketCycle>),
}

impl Cycle {
    pub(super) fn clone_ref(&self, py: Python<'_>) -> Cycle {
        match self {
            Cycle::Http(cycle) => Cycle::Http(cycle.clone_ref(py)),
            Cycle::WebSocket(cycle) => Cycle::WebSocket(cycle.clone_ref(py)),
        }
    }

    /// The object whose methods the application and the event loop call.
    pub(super) fn object<'a, 'py>(&'a self, py: Python<'py>) -> &'a Bound<'py, PyAny> {
        match self {
            Cycle::Http(cycle) => cycle.bind(py).as_any(),
            Cycle::WebSocket(cycle) => cycle.bind(py).as_any(),
        }
    }

    /// The name of its exchange.
    pub(super) fn id(&self) -> ExchangeId {
        match self {
            Cycle::Http(cycle) => cycle.get().id(),
            Cycle::WebSocket(cycle) => cycle.get().id(),
        }
    }

    /// Whether an answer is still owed.
    pub(super) fn is_open(&self) -> bool {
        match self {
            Cycle::Http(cycle) => cycle.get().is_open(),
            Cycle::WebSocket(cycle) => cycle.get().is_open(),
        }
    }

    /// Tells the operator's hook of a request before the application is called.
    pub(super) fn begin(&self, py: Python<'_>) -> PyResult<()> {
        match self {
            Cycle::Http(cycle) => cycle.get().begin(py),
            // As with Gunicorn, the hooks are for requests that get a response.
            Cycle::WebSocket(_) => Ok(()),
        }
    }

    /// Asks to be told when the client leaves; says whether it has left already.
    pub(super) fn watch_client(&self) -> bool {
        match self {
            Cycle::Http(cycle) => cycle.get().watch_client(),
            Cycle::WebSocket(cycle) => cycle.get().watch_client(),
        }
    }

    /// The calls of the application that wait for this client.
    pub(super) fn waiters(&self) -> &Waiters {
        match self {
            Cycle::Http(cycle) => &cycle.get().waiters,
            Cycle::WebSocket(cycle) => &cycle.get().waiters,
        }
    }

    fn runner(&self) -> &AppRunner {
        match self {
            Cycle::Http(cycle) => &cycle.get().runner,
            Cycle::WebSocket(cycle) => &cycle.get().runner,
        }
    }

    /// The client has left. Returns how long that has been known.
    pub(super) fn note_gone(&self, py: Python<'_>) -> Duration {
        match self {
            Cycle::Http(cycle) => cycle.get().note_gone(py),
            Cycle::WebSocket(cycle) => {
                cycle.get().note_gone(py);
                Duration::ZERO
            }
        }
    }

    /// The client was answered in place of the application. Says whether its task is to be cancelled, which is so once.
    pub(super) fn note_overdue(&self, py: Python<'_>) -> bool {
        match self {
            Cycle::Http(cycle) => cycle.get().note_overdue(py),
            Cycle::WebSocket(cycle) => {
                cycle.get().note_gone(py);
                true
            }
        }
    }

    /// A step of `receive()`.
    pub(super) fn next_message(&self, py: Python<'_>) -> PyResult<Step> {
        match self {
            Cycle::Http(cycle) => cycle.get().next_message(py),
            Cycle::WebSocket(cycle) => cycle.get().next_message(py),
        }
    }

    /// A message of the application.
    pub(super) fn perform(&self, py: Python<'_>, message: &Bound<'_, PyAny>) -> PyResult<Room> {
        let room = match self {
            Cycle::Http(cycle) => cycle.get().perform(py, message)?,
            Cycle::WebSocket(cycle) => cycle.get().perform(py, message)?,
        };
        if !self.step_mark().is_set() {
            self.see_to_head(py);
        }
        Ok(room)
    }

    pub(super) fn step_mark(&self) -> &StepMark {
        match self {
            Cycle::Http(cycle) => &cycle.get().step,
            Cycle::WebSocket(cycle) => &cycle.get().step,
        }
    }

    /// A head whose body does not follow in this turn of the event loop goes out at its end.
    pub(super) fn see_to_head(&self, py: Python<'_>) {
        let has_head_only = match self {
            Cycle::Http(cycle) => cycle.get().has_head_only(),
            Cycle::WebSocket(cycle) => cycle.get().has_head_only(),
        };
        if has_head_only && let Err(error) = self.runner().flush_soon(self.object(py)) {
            log::error!("The head of a response has to wait for its body: {error}");
        }
    }

    /// A step of `send()` where the client is slow.
    pub(super) fn room(&self, py: Python<'_>) -> PyResult<Step> {
        self.waiters().room(py, self.runner())
    }

    /// Sees to what an application leaves that has returned or raised. Returns the exception that the worker must obey.
    pub(super) fn settle(&self, py: Python<'_>, outcome: PyResult<()>) -> Option<PyErr> {
        match self {
            Cycle::Http(cycle) => cycle.get().settle(py, outcome),
            Cycle::WebSocket(cycle) => cycle.get().settle(py, outcome),
        }
    }

    /// The application raised. Returns the exception if the worker must obey it.
    pub(super) fn fail(&self, py: Python<'_>, error: PyErr) -> Option<PyErr> {
        match self {
            Cycle::Http(cycle) => cycle.get().fail(py, error),
            Cycle::WebSocket(cycle) => cycle.get().fail(py, error),
        }
    }

    /// Answers what the application does not get to see.
    pub(super) fn refuse(&self, status: u16, rule: &str) {
        match self {
            Cycle::Http(cycle) => cycle.get().refuse(status, rule),
            Cycle::WebSocket(cycle) => cycle.get().refuse(status, rule),
        }
    }
}
