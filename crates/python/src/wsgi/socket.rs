//! `gunicorn.socket`: a stand-in for the client's socket. The real one is taken from the server only when the application does something
//! with it, because from then on the server says nothing on this connection any more.

use std::net::SocketAddr;
use std::os::fd::{AsRawFd, IntoRawFd};
use std::sync::{Arc, OnceLock};

use pyo3::exceptions::PyAttributeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};
use server::{Local, Peer};

use super::counter::Counter;

/// The stand-in.
#[derive(Debug)]
#[pyclass(frozen, name = "ClientSocket", module = "oxicorn._oxicorn")]
pub(super) struct ClientSocket {
    counter: Arc<Counter>,
    taken: OnceLock<Py<PyAny>>,
}

#[pymethods]
impl ClientSocket {
    /// Anything but the few questions below is the use of a socket, and takes it.
    fn __getattr__(&self, py: Python<'_>, name: &Bound<'_, PyString>) -> PyResult<Py<PyAny>> {
        // `copy`, `pickle`, `inspect` and debuggers that walk through an environ ask for such names; the C type answers most of them.
        if name.to_string_lossy().starts_with("__") {
            let message = format!(
                "the client socket has no attribute {}",
                name.to_string_lossy()
            );
            return Err(PyAttributeError::new_err(message));
        }
        Ok(self.take(py)?.getattr(name)?.unbind())
    }

    /// Who is at the other end; asking takes nothing.
    fn getpeername(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        if let Some(socket) = self.taken.get() {
            return socket.call_method0(py, intern!(py, "getpeername"));
        }
        let peer = self
            .counter
            .with(|reply| reply.exchange().map(|exchange| exchange.peer().clone()))?;
        match peer {
            Some(Peer::Inet(address)) => name_of(py, address),
            Some(Peer::Unix) | None => Ok(PyString::new(py, "").into_any().unbind()),
        }
    }

    /// Where the client connected to; asking takes nothing.
    fn getsockname(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        if let Some(socket) = self.taken.get() {
            return socket.call_method0(py, intern!(py, "getsockname"));
        }
        let local = self
            .counter
            .with(|reply| reply.exchange().map(|exchange| exchange.local().clone()))?;
        match local {
            Some(Local::Inet(address)) => name_of(py, address),
            Some(Local::Unix(path)) => {
                Ok(path.into_os_string().into_pyobject(py)?.into_any().unbind())
            }
            None => Ok(PyString::new(py, "").into_any().unbind()),
        }
    }

    fn __repr__(&self) -> &'static str {
        if self.taken.get().is_some() {
            "<oxicorn client socket, taken>"
        } else {
            "<oxicorn client socket>"
        }
    }
}

impl ClientSocket {
    pub(super) fn new(counter: &Arc<Counter>) -> ClientSocket {
        ClientSocket {
            counter: Arc::clone(counter),
            taken: OnceLock::new(),
        }
    }

    /// Whether the application has the real socket.
    pub(super) fn is_taken(&self) -> bool {
        self.taken.get().is_some()
    }

    /// The real `socket.socket`, in blocking mode as Gunicorn's sync worker gives it.
    fn take<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        if let Some(socket) = self.taken.get() {
            return Ok(socket.bind(py).clone());
        }
        let module = py.import(intern!(py, "socket"))?;
        let fd = self.counter.with(|reply| reply.hijack())??;
        let arguments = PyDict::new(py);
        arguments.set_item(intern!(py, "fileno"), fd.as_raw_fd())?;
        let socket = module
            .getattr(intern!(py, "socket"))?
            .call((), Some(&arguments))?;
        // The Python object closes the descriptor from here on.
        let _ = fd.into_raw_fd();
        socket.call_method1(intern!(py, "setblocking"), (true,))?;
        Ok(self.taken.get_or_init(|| socket.unbind()).bind(py).clone())
    }
}

/// An address as Python's `socket` module writes it.
fn name_of(py: Python<'_>, address: SocketAddr) -> PyResult<Py<PyAny>> {
    let ip = address.ip().to_string();
    let name = match address {
        SocketAddr::V4(_) => (ip, address.port()).into_pyobject(py)?,
        SocketAddr::V6(v6) => (ip, v6.port(), v6.flowinfo(), v6.scope_id()).into_pyobject(py)?,
    };
    Ok(name.into_any().unbind())
}
