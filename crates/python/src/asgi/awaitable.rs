//! What `receive()` and `send()` return: an awaitable that needs no future where nothing has to be waited for, which is nearly always.
//! It has a coroutine's methods, so that `asyncio.create_task(receive())` takes it for one.

use pyo3::exceptions::PyStopIteration;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::cycle::Cycle;

/// What is awaited.
#[derive(Debug)]
enum What {
    /// Nothing: it has been done.
    Nothing,
    /// The next message for the application.
    Message(Cycle),
    /// Room for more of what it sends.
    Room(Cycle),
}

/// One awaitable.
#[derive(Debug)]
#[pyclass(frozen, module = "oxicorn._oxicorn")]
pub(super) struct Awaitable(What);

/// Where a step has led.
pub(super) enum Step {
    /// To the end, with this value.
    Done(Option<Py<PyDict>>),
    /// To this, which the event loop waits for.
    Wait(Py<PyAny>),
}

impl Awaitable {
    /// One that is done already.
    pub(super) fn completed() -> Awaitable {
        Awaitable(What::Nothing)
    }

    /// The next message that `cycle` has for its application.
    pub(super) fn message(cycle: Cycle) -> Awaitable {
        Awaitable(What::Message(cycle))
    }

    /// Room in the queue of the client.
    pub(super) fn room(cycle: Cycle) -> Awaitable {
        Awaitable(What::Room(cycle))
    }

    fn step(&self, py: Python<'_>) -> PyResult<Step> {
        match &self.0 {
            What::Nothing => Ok(Step::Done(None)),
            What::Message(cycle) => cycle.next_message(py),
            What::Room(cycle) => cycle.room(py),
        }
    }
}

#[pymethods]
impl Awaitable {
    fn __await__(promise: Py<Awaitable>) -> Py<Awaitable> {
        promise
    }

    fn __iter__(promise: Py<Awaitable>) -> Py<Awaitable> {
        promise
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

    /// As a coroutine that catches nothing. The future that was waited for has been cancelled by whoever throws.
    #[pyo3(signature = (kind, value=None, traceback=None))]
    fn throw(
        &self,
        kind: &Bound<'_, PyAny>,
        value: Option<&Bound<'_, PyAny>>,
        traceback: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        let _ = traceback;
        let thrown = value.filter(|value| !value.is_none()).unwrap_or(kind);
        Err(PyErr::from_value(thrown.clone()))
    }

    fn close(&self) {}
}

/// Raises `StopIteration(value)`. Before Python 3.12 the value alone is raised, and whoever awaits takes it as it is, so that
/// no exception is made for each message.
fn stop_with(_running: Python<'_>, value: &Py<PyDict>) {
    // SAFETY: the interpreter runs, which `_running` shows, so its exceptions exist.
    let kind = unsafe { ffi::PyExc_StopIteration };
    // SAFETY: both are objects that live, and the GIL is held. The value is a dict, which is not taken for arguments or for an
    // exception as a tuple or an exception would be.
    unsafe { ffi::PyErr_SetObject(kind, value.as_ptr()) }
}
