//! What is under way with one client: a request, or a WebSocket. The desk and the awaitables need not know which.

use std::time::Duration;

use pyo3::prelude::*;

use super::conversation::Conversation;
use super::desk::Desk;
use super::dialogue::Dialogue;
use super::promise::Step;
use super::waiters::Waiters;

/// One of the two.
#[derive(Debug)]
pub(super) enum Talk {
    /// A request and its response.
    Request(Py<Conversation>),
    /// A WebSocket.
    WebSocket(Py<Dialogue>),
}

impl Talk {
    pub(super) fn clone_ref(&self, py: Python<'_>) -> Talk {
        match self {
            Talk::Request(conversation) => Talk::Request(conversation.clone_ref(py)),
            Talk::WebSocket(dialogue) => Talk::WebSocket(dialogue.clone_ref(py)),
        }
    }

    /// The object whose methods the application and the event loop call.
    pub(super) fn object<'a, 'py>(&'a self, py: Python<'py>) -> &'a Bound<'py, PyAny> {
        match self {
            Talk::Request(conversation) => conversation.bind(py).as_any(),
            Talk::WebSocket(dialogue) => dialogue.bind(py).as_any(),
        }
    }

    /// The number of its exchange.
    pub(super) fn id(&self) -> u64 {
        match self {
            Talk::Request(conversation) => conversation.get().id(),
            Talk::WebSocket(dialogue) => dialogue.get().id(),
        }
    }

    /// Whether an answer is still owed.
    pub(super) fn is_open(&self) -> bool {
        match self {
            Talk::Request(conversation) => conversation.get().is_open(),
            Talk::WebSocket(dialogue) => dialogue.get().is_open(),
        }
    }

    /// Tells the operator's hook of a request before the application is called.
    pub(super) fn begin(&self, py: Python<'_>) -> PyResult<()> {
        match self {
            Talk::Request(conversation) => conversation.get().begin(py),
            // As with Gunicorn, the hooks are for requests that get a response.
            Talk::WebSocket(_) => Ok(()),
        }
    }

    /// Asks to be told when the client leaves; says whether it has left already.
    pub(super) fn watch_client(&self) -> bool {
        match self {
            Talk::Request(conversation) => conversation.get().watch_client(),
            Talk::WebSocket(dialogue) => dialogue.get().watch_client(),
        }
    }

    /// The calls of the application that wait for this client.
    pub(super) fn waiters(&self) -> &Waiters {
        match self {
            Talk::Request(conversation) => &conversation.get().waiters,
            Talk::WebSocket(dialogue) => &dialogue.get().waiters,
        }
    }

    fn desk(&self) -> &Desk {
        match self {
            Talk::Request(conversation) => &conversation.get().desk,
            Talk::WebSocket(dialogue) => &dialogue.get().desk,
        }
    }

    /// The client has left. Returns how long that has been known.
    pub(super) fn note_gone(&self, py: Python<'_>) -> Duration {
        match self {
            Talk::Request(conversation) => conversation.get().note_gone(py),
            Talk::WebSocket(dialogue) => {
                dialogue.get().note_gone(py);
                Duration::ZERO
            }
        }
    }

    /// A step of `receive()`.
    pub(super) fn next_message(&self, py: Python<'_>) -> PyResult<Step> {
        match self {
            Talk::Request(conversation) => conversation.get().next_message(py),
            Talk::WebSocket(dialogue) => dialogue.get().next_message(py),
        }
    }

    /// A step of `send()` where the client is slow.
    pub(super) fn room(&self, py: Python<'_>) -> PyResult<Step> {
        self.waiters().room(py, self.desk())
    }

    /// Sees to what an application leaves that has returned or raised. Returns the exception that the worker must obey.
    pub(super) fn settle(&self, py: Python<'_>, outcome: PyResult<()>) -> Option<PyErr> {
        match self {
            Talk::Request(conversation) => conversation.get().settle(py, outcome),
            Talk::WebSocket(dialogue) => dialogue.get().settle(py, outcome),
        }
    }

    /// The application raised. Returns the exception if the worker must obey it.
    pub(super) fn fail(&self, py: Python<'_>, error: PyErr) -> Option<PyErr> {
        match self {
            Talk::Request(conversation) => conversation.get().fail(py, error),
            Talk::WebSocket(dialogue) => dialogue.get().fail(py, error),
        }
    }

    /// Answers what the application does not get to see.
    pub(super) fn refuse(&self, status: u16, rule: &str) {
        match self {
            Talk::Request(conversation) => conversation.get().refuse(status, rule),
            Talk::WebSocket(dialogue) => dialogue.get().refuse(status, rule),
        }
    }
}
