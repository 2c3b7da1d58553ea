//! What the `worker` object of hooks can ask of the server in its process.

use std::sync::Arc;

use pyo3::prelude::*;
use server::Server;
use sys::pipe::Notifier;
use sys::scoreboard::{Slot, State};

/// A worker's hold on its server.
#[pyclass(frozen, module = "oxicorn._oxicorn")]
pub(crate) struct Controls {
    server: Arc<Server>,
    slot: Slot,
    notifier: Notifier,
}

impl Controls {
    pub(crate) fn new(server: Arc<Server>, slot: Slot, notifier: Notifier) -> Self {
        Self {
            server,
            slot,
            notifier,
        }
    }
}

#[pymethods]
impl Controls {
    /// How many requests have come.
    fn requests(&self) -> u64 {
        self.slot.requests()
    }

    /// Asks for a successor; the worker is dismissed when that serves. One that is told to go already, or that has not
    /// booted yet, stays with what it does.
    fn recycle(&self) {
        if self.slot.state() == State::Ready {
            self.slot.set_state(State::Recycling);
            self.notifier.notify();
        }
    }

    /// After how many requests from its start the worker asks for a successor.
    fn set_max_requests(&self, number: u64) {
        self.server.set_max_requests(number);
    }

    /// Starts the time-out anew, where it runs.
    fn notify(&self) {
        self.slot.renew_busy_ms(sys::clock::monotonic_ms());
    }
}
