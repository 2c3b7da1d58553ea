//! What `receive()` and `send()` return: an awaitable that needs no future where nothing has to be waited for, which is nearly always.
//! It has a coroutine's methods, so that `asyncio.create_task(receive())` takes it for one.

use pyo3::exceptions::PyStopIteration;
use pyo3::prelude::*;

use super::talk::Talk;

/// What is awaited.
#[derive(Debug)]
enum What {
    /// Nothing: it has been done.
    Nothing,
    /// The next message for the application.
    Message(Talk),
    /// Room for more of what it sends.
    Room(Talk),
}

/// One awaitable.
#[derive(Debug)]
#[pyclass(frozen, module = "oxicorn._oxicorn")]
pub(super) struct Promise(What);

/// Where a step has led.
pub(super) enum Step {
    /// To the end, with this value.
    Done(Option<Py<PyAny>>),
    /// To this, which the event loop waits for.
    Wait(Py<PyAny>),
}

impl Promise {
    /// Has been kept already.
    pub(super) fn kept() -> Promise {
        Promise(What::Nothing)
    }

    /// The next message that `talk` has for its application.
    pub(super) fn message(talk: Talk) -> Promise {
        Promise(What::Message(talk))
    }

    /// Room in the queue of the client.
    pub(super) fn room(talk: Talk) -> Promise {
        Promise(What::Room(talk))
    }

    fn step(&self, py: Python<'_>) -> PyResult<Step> {
        match &self.0 {
            What::Nothing => Ok(Step::Done(None)),
            What::Message(talk) => talk.next_message(py),
            What::Room(talk) => talk.room(py),
        }
    }
}

#[pymethods]
impl Promise {
    fn __await__(promise: Py<Promise>) -> Py<Promise> {
        promise
    }

    fn __iter__(promise: Py<Promise>) -> Py<Promise> {
        promise
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        match self.step(py)? {
            Step::Wait(future) => Ok(Some(future)),
            Step::Done(None) => Ok(None),
            Step::Done(Some(value)) => Err(PyStopIteration::new_err((value,))),
        }
    }

    fn send(&self, py: Python<'_>, _value: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        match self.__next__(py)? {
            Some(future) => Ok(future),
            None => Err(PyStopIteration::new_err(())),
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
