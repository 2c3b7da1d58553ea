//! The objects `receive` and `send` that an application is called with. Libraries ask whether they are coroutine
//! functions, so they look like functions: `oxicorn.asgi` gives them the attributes of an `async def` of the same
//! signature.

use pyo3::prelude::*;

use super::awaitable::Awaitable;
use super::cycle::Cycle;

/// `receive` of one request or WebSocket.
#[derive(Debug)]
#[pyclass(frozen, weakref, name = "receive", module = "oxicorn.asgi")]
pub(super) struct ReceiveFunction(pub(super) Cycle);

/// `send` of one request or WebSocket.
#[derive(Debug)]
#[pyclass(frozen, weakref, name = "send", module = "oxicorn.asgi")]
pub(super) struct SendFunction(pub(super) Cycle);

#[pymethods]
impl ReceiveFunction {
    fn __call__(&self, py: Python<'_>) -> Awaitable {
        Awaitable::of_receive(self.0.clone_ref(py))
    }

    #[getter(__name__)]
    fn name(&self) -> &'static str {
        "receive"
    }
}

#[pymethods]
impl SendFunction {
    fn __call__(&self, py: Python<'_>, message: Py<PyAny>) -> Awaitable {
        Awaitable::of_send(self.0.clone_ref(py), message)
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
