//! What `receive()` and `send()` return: an awaitable that acts when it is awaited, as a coroutine does, and needs a
//! future only where something has to be waited for, which is rare. It has a coroutine's methods, so that
//! `asyncio.create_task(send(message))` and `asyncio.gather` take it for one.

use pyo3::exceptions::{PyRuntimeError, PyRuntimeWarning, PyStopIteration, PyValueError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use server::Room;

use super::cycle::Cycle;
use crate::lock::Slot;

/// How far it has come.
#[derive(Debug)]
enum AwaitableStage {
    /// `send()` was called and not awaited.
    Send(Cycle, Py<PyAny>),
    /// The message is sent; the client has to take some of what is queued.
    Room(Cycle),
    /// `receive()` was called, or waits.
    Receive(Cycle),
    /// A step is being made. Reading a message may run Python code, which may come back here.
    Running,
    Over,
}

/// One awaitable.
#[derive(Debug)]
#[pyclass(frozen, freelist = 256, module = "oxicorn._oxicorn")]
pub(super) struct Awaitable(Slot<AwaitableStage>);

/// Where a step has led.
pub(super) enum Step {
    /// To the end, with this value.
    Done(Option<Py<PyDict>>),
    /// To this, which the event loop waits for.
    Wait(Py<PyAny>),
}

impl Awaitable {
    /// The next message that `cycle` has for its application.
    pub(super) fn of_receive(cycle: Cycle) -> Awaitable {
        Awaitable(Slot::new(AwaitableStage::Receive(cycle)))
    }

    /// Sends `message`.
    pub(super) fn of_send(cycle: Cycle, message: Py<PyAny>) -> Awaitable {
        Awaitable(Slot::new(AwaitableStage::Send(cycle, message)))
    }

    fn step(&self, py: Python<'_>) -> PyResult<Step> {
        let stage = self.0.replace(AwaitableStage::Running);
        let (step, stage) = match stage {
            AwaitableStage::Receive(cycle) => {
                (cycle.next_message(py), AwaitableStage::Receive(cycle))
            }
            AwaitableStage::Room(cycle) => (cycle.room(py), AwaitableStage::Room(cycle)),
            AwaitableStage::Send(cycle, message) => match cycle.perform(py, message.bind(py)) {
                Ok(Room::Enough) => (Ok(Step::Done(None)), AwaitableStage::Over),
                Ok(Room::Full) => (cycle.room(py), AwaitableStage::Room(cycle)),
                Err(error) => (Err(error), AwaitableStage::Over),
            },
            AwaitableStage::Running => (Err(executing()), AwaitableStage::Running),
            AwaitableStage::Over => (Err(reused()), AwaitableStage::Over),
        };
        let stage = match step {
            Ok(Step::Wait(_)) => stage,
            // What it held is dropped here, without the lock: a destructor may run the application's code.
            Ok(Step::Done(_)) => AwaitableStage::Over,
            Err(_) if matches!(stage, AwaitableStage::Running) => AwaitableStage::Running,
            Err(_) => AwaitableStage::Over,
        };
        drop(self.0.replace(stage));
        step
    }

    fn end(&self) {
        drop(self.0.replace(AwaitableStage::Over));
    }
}

/// The words are CPython's for its own coroutines.
fn executing() -> PyErr {
    PyValueError::new_err("coroutine already executing")
}

fn reused() -> PyErr {
    PyRuntimeError::new_err("cannot reuse already awaited coroutine")
}

#[pymethods]
impl Awaitable {
    fn __await__(awaitable: Py<Awaitable>) -> Py<Awaitable> {
        awaitable
    }

    fn __iter__(awaitable: Py<Awaitable>) -> Py<Awaitable> {
        awaitable
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        match self.step(py)? {
            Step::Wait(future) => Ok(Some(future)),
            Step::Done(None) => Ok(None),
            Step::Done(Some(value)) => {
                stop_with(py, &value);
                Ok(None)
            }
        }
    }

    fn send(&self, py: Python<'_>, _value: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        match self.step(py)? {
            Step::Wait(future) => Ok(future),
            Step::Done(value) => Err(PyStopIteration::new_err((value,))),
        }
    }

    /// As a coroutine that catches nothing. The future that was waited for has been cancelled by the code that throws.
    #[pyo3(signature = (kind, value=None, traceback=None))]
    fn throw(
        &self,
        kind: &Bound<'_, PyAny>,
        value: Option<&Bound<'_, PyAny>>,
        traceback: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        let _ = traceback;
        self.end();
        let thrown = value.filter(|value| !value.is_none()).unwrap_or(kind);
        Err(PyErr::from_value(thrown.clone()))
    }

    fn close(&self) {
        self.end();
    }
}

impl Drop for Awaitable {
    /// A message that is given to `send()` without an `await` is never sent: Python warns of such coroutines, and so
    /// does this.
    fn drop(&mut self) {
        if matches!(self.0.get_mut(), AwaitableStage::Send(..)) {
            Python::attach(warn_of_a_message_unsent);
        }
    }
}

fn warn_of_a_message_unsent(py: Python<'_>) {
    // It may be freed while an exception is on its way.
    let pending = PyErr::take(py);
    let kind = py.get_type::<PyRuntimeWarning>();
    let told = PyErr::warn(py, &kind, c"coroutine 'send' was never awaited", 1);
    if let Err(error) = told {
        error.write_unraisable(py, None);
    }
    if let Some(pending) = pending {
        pending.restore(py);
    }
}

/// Raises `StopIteration(value)`. Before Python 3.12 the value alone is raised, and the awaiting code takes it as it
/// is, so that no exception is made for each message.
fn stop_with(_running: Python<'_>, value: &Py<PyDict>) {
    // SAFETY: the interpreter runs, which `_running` shows, so its exceptions exist.
    let kind = unsafe { ffi::PyExc_StopIteration };
    // SAFETY: both are objects that live, and the GIL is held. The value is a dict, which is not taken for arguments or
    // for an exception as a tuple or an exception would be.
    unsafe { ffi::PyErr_SetObject(kind, value.as_ptr()) }
}
