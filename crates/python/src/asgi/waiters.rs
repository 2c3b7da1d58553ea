//! Calls of `receive()` and `send()` that wait: the futures that stand for them in the event loop.

use std::sync::atomic::{AtomicBool, Ordering};

use pyo3::intern;
use pyo3::prelude::*;
use server::Room;

use super::app_runner::AppRunner;
use super::awaitable::Step;
use crate::lock::Stack;

/// The waiting calls of one client's application, and whether `send()` has to be one of them.
#[derive(Debug, Default)]
pub(super) struct Waiters {
    futures: Stack<Py<PyAny>>,
    /// Too much is queued for the client. The event loop's thread calls `send` and is told of room, so neither
    /// overtakes the other.
    full: AtomicBool,
}

impl Waiters {
    /// A future for the event loop to wait for.
    ///
    /// # Errors
    /// The loop makes none.
    pub(super) fn wait(&self, py: Python<'_>, runner: &AppRunner) -> PyResult<Step> {
        let future = runner.future(py)?;
        let step = future
            .call_method0(intern!(py, "__await__"))?
            .call_method0(intern!(py, "__next__"))?;
        // Calls that were cancelled leave their futures behind. Asking them runs the loop's code, which may bring
        // another.
        let mut waiting = self.futures.take();
        waiting.retain(|future| !is_done(future.bind(py)));
        waiting.push(future.unbind());
        self.futures.append(waiting);
        Ok(Step::Wait(step.unbind()))
    }

    /// A step of `send()` where the client is slow.
    pub(super) fn room(&self, py: Python<'_>, runner: &AppRunner) -> PyResult<Step> {
        match self.full.load(Ordering::Relaxed) {
            true => self.wait(py, runner),
            false => Ok(Step::Done(None)),
        }
    }

    /// Says whether there is room for more of what the application sends.
    pub(super) fn set_room(&self, room: Room) {
        self.full.store(room == Room::Full, Ordering::Relaxed);
    }

    /// The client has taken some of what was queued.
    pub(super) fn note_room(&self, py: Python<'_>) {
        self.set_room(Room::Enough);
        self.wake(py);
    }

    /// Has every waiting call look again.
    pub(super) fn wake(&self, py: Python<'_>) {
        let waiting = self.futures.take();
        for future in waiting {
            if let Err(error) = resolve(future.bind(py)) {
                log::error!("A waiting task could not be woken: {error}");
            }
        }
    }

    /// Whether no task waits.
    pub(super) fn is_empty(&self) -> bool {
        self.futures.len() == 0
    }
}

fn is_done(future: &Bound<'_, PyAny>) -> bool {
    let done = future.call_method0(intern!(future.py(), "done"));
    done.and_then(|done| done.is_truthy()).unwrap_or(true)
}

fn resolve(future: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = future.py();
    match is_done(future) {
        true => Ok(()),
        false => future
            .call_method1(intern!(py, "set_result"), (py.None(),))
            .map(drop),
    }
}
