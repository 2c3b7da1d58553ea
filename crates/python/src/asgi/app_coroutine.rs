//! The coroutine that the task of a request runs: the application's own, step by step, and behind its last step what
//! has to be seen to then. A callback of the task would be told of the end as well, but in a turn of the event loop of
//! its own.

use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};

use pyo3::exceptions::PyStopIteration;
use pyo3::exceptions::asyncio::CancelledError;
use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyString, PyTuple};

use super::cycle::Cycle;
use crate::forks;
use crate::logging;

/// One call of the application. What it has no word for, such as `cr_frame`, is asked of the application's coroutine.
#[derive(Debug)]
#[pyclass(frozen, freelist = 64, module = "oxicorn._oxicorn")]
pub(super) struct AppCoroutine {
    cycle: Cycle,
    coroutine: Py<PyAny>,
    over: AtomicBool,
}

impl AppCoroutine {
    pub(super) fn new(cycle: Cycle, coroutine: Bound<'_, PyAny>) -> AppCoroutine {
        AppCoroutine {
            cycle,
            coroutine: coroutine.unbind(),
            over: AtomicBool::new(false),
        }
    }

    /// Whether the application has ended.
    pub(super) fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// Where a step has led: to what the event loop waits for, or to the end. The task fails only with what the
    /// code that waits for it has to see: its cancellation, and what the worker obeys.
    fn judge(
        &self,
        py: Python<'_>,
        step: PyResult<Option<Py<PyAny>>>,
    ) -> PyResult<Option<Py<PyAny>>> {
        forks::leave_if_stray(py, &step);
        self.cycle.step_mark().end();
        let outcome = match step {
            Ok(Some(future)) => {
                self.cycle.see_to_head(py);
                return Ok(Some(future));
            }
            Ok(None) => Ok(()),
            Err(error) => Err(error),
        };
        if self.over.swap(true, Ordering::Relaxed) {
            return outcome.map(|()| None); // It was resumed once more, and the caller is told so.
        }
        let cancellation = match &outcome {
            Err(error) if error.is_instance_of::<CancelledError>(py) => Some(error.clone_ref(py)),
            _ => None,
        };
        let exit = self.cycle.settle(py, outcome);
        // A server in a program's own process may have turned for the last time.
        logging::deliver(py);
        if let Some(exit) = exit {
            // Where no task runs this, nothing reports it.
            let _ = retrieve(py);
            return Err(exit);
        }
        cancellation.map_or(Ok(None), Err)
    }
}

#[pymethods]
impl AppCoroutine {
    fn __await__(wrapper: Py<AppCoroutine>) -> Py<AppCoroutine> {
        wrapper
    }

    fn __iter__(wrapper: Py<AppCoroutine>) -> Py<AppCoroutine> {
        wrapper
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        self.cycle.step_mark().begin();
        self.judge(py, resume(self.coroutine.bind(py), py.None().bind(py)))
    }

    fn send(&self, py: Python<'_>, value: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        self.cycle.step_mark().begin();
        self.judge(py, resume(self.coroutine.bind(py), value))?
            .ok_or_else(|| PyStopIteration::new_err(()))
    }

    #[pyo3(signature = (*exception))]
    fn throw(&self, py: Python<'_>, exception: &Bound<'_, PyTuple>) -> PyResult<Py<PyAny>> {
        self.cycle.step_mark().begin();
        let step = match self
            .coroutine
            .bind(py)
            .call_method1(intern!(py, "throw"), exception)
        {
            Ok(future) => Ok(Some(future.unbind())),
            Err(end) if end.is_instance_of::<PyStopIteration>(py) => Ok(None),
            Err(error) => Err(error),
        };
        self.judge(py, step)?
            .ok_or_else(|| PyStopIteration::new_err(()))
    }

    fn close(&self, py: Python<'_>) -> PyResult<()> {
        self.coroutine
            .call_method0(py, intern!(py, "close"))
            .map(drop)
    }

    fn __getattr__<'py>(
        &self,
        py: Python<'py>,
        name: &Bound<'py, PyString>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.coroutine.bind(py).getattr(name)
    }
}

/// One step of a coroutine: what it waits for, or nothing at its end.
fn resume(coroutine: &Bound<'_, PyAny>, value: &Bound<'_, PyAny>) -> PyResult<Option<Py<PyAny>>> {
    let py = coroutine.py();
    let mut result = ptr::null_mut();
    // SAFETY: both objects live for as long as they are borrowed, the GIL is held, and the result has a place.
    let sent = unsafe { ffi::PyIter_Send(coroutine.as_ptr(), value.as_ptr(), &raw mut result) };
    // SAFETY: what PyIter_Send has put there is a reference of our own, or null where it raised.
    let result = unsafe { Bound::from_owned_ptr_or_opt(py, result) };
    match (sent, result) {
        (ffi::PySendResult::PYGEN_NEXT, Some(future)) => Ok(Some(future.unbind())),
        (ffi::PySendResult::PYGEN_RETURN, _) => Ok(None),
        _ => Err(PyErr::fetch(py)),
    }
}

/// Has the exception that the running task is about to end with count as seen: asyncio reports those that were never
/// asked for.
fn retrieve(py: Python<'_>) -> PyResult<()> {
    let task = py
        .import(intern!(py, "asyncio"))?
        .call_method0(intern!(py, "current_task"))?;
    let exception = task.get_type().getattr(intern!(py, "exception"))?;
    task.call_method1(intern!(py, "add_done_callback"), (exception,))
        .map(drop)
}
