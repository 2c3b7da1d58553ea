//! The objects `receive` and `send` that an application is called with. Libraries ask whether they are coroutine
//! functions, so they look like functions: `oxicorn.asgi` gives them the attributes of an `async def` of the same
//! signature.

use std::sync::Once;

use pyo3::ffi;
use pyo3::prelude::*;

use super::awaitable::Awaitable;
use super::cycle::Cycle;
use super::vectorcall::{self, ByVector};

/// `receive` of one request or WebSocket.
#[derive(Debug)]
#[pyclass(
    frozen,
    weakref,
    freelist = 64,
    name = "receive",
    module = "oxicorn.asgi"
)]
pub(super) struct ReceiveFunction {
    entry: ffi::vectorcallfunc,
    cycle: Cycle,
}

/// `send` of one request or WebSocket.
#[derive(Debug)]
#[pyclass(frozen, weakref, freelist = 64, name = "send", module = "oxicorn.asgi")]
pub(super) struct SendFunction {
    entry: ffi::vectorcallfunc,
    cycle: Cycle,
}

/// Both functions of one cycle.
///
/// # Errors
/// There is no memory for them.
pub(super) fn of_cycle<'py>(
    py: Python<'py>,
    cycle: &Cycle,
) -> PyResult<(Bound<'py, ReceiveFunction>, Bound<'py, SendFunction>)> {
    let receive = ReceiveFunction {
        entry: vectorcall::entry::<ReceiveFunction>,
        cycle: cycle.clone_ref(py),
    };
    let send = SendFunction {
        entry: vectorcall::entry::<SendFunction>,
        cycle: cycle.clone_ref(py),
    };
    let (receive, send) = (Bound::new(py, receive)?, Bound::new(py, send)?);
    ANNOUNCED.call_once(|| {
        vectorcall::announce(&receive);
        vectorcall::announce(&send);
    });
    Ok((receive, send))
}

/// That CPython knows how to call instances of both.
static ANNOUNCED: Once = Once::new();

impl ByVector for ReceiveFunction {
    fn place(&self) -> &ffi::vectorcallfunc {
        &self.entry
    }

    fn call(&self, py: Python<'_>, arguments: &[Py<PyAny>]) -> Option<PyResult<Py<PyAny>>> {
        arguments
            .is_empty()
            .then(|| Py::new(py, self.__call__(py)).map(Py::into_any))
    }
}

impl ByVector for SendFunction {
    fn place(&self) -> &ffi::vectorcallfunc {
        &self.entry
    }

    fn call(&self, py: Python<'_>, arguments: &[Py<PyAny>]) -> Option<PyResult<Py<PyAny>>> {
        match arguments {
            [message] => {
                let awaitable = self.__call__(py, message.clone_ref(py));
                Some(Py::new(py, awaitable).map(Py::into_any))
            }
            _ => None,
        }
    }
}

#[pymethods]
impl ReceiveFunction {
    fn __call__(&self, py: Python<'_>) -> Awaitable {
        Awaitable::of_receive(self.cycle.clone_ref(py))
    }

    #[getter(__name__)]
    fn name(&self) -> &'static str {
        "receive"
    }
}

#[pymethods]
impl SendFunction {
    fn __call__(&self, py: Python<'_>, message: Py<PyAny>) -> Awaitable {
        Awaitable::of_send(self.cycle.clone_ref(py), message)
    }

    #[getter(__name__)]
    fn name(&self) -> &'static str {
        "send"
    }
}

/// Has both pass for coroutine functions.
///
/// # Errors
/// `oxicorn.asgi` does not do it.
pub(super) fn mark(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    let mark = module.getattr("mark_coroutine_function")?;
    let receive = py.get_type::<ReceiveFunction>();
    mark.call1((receive, module.getattr("receive")?))?;
    let send = py.get_type::<SendFunction>();
    mark.call1((send, module.getattr("send")?)).map(drop)
}
