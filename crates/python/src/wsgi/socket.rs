//! `gunicorn.socket`: a stand-in for the client's socket. It can be looked at like a socket, while the connection stays
//! the server's; reading from it, sending and detaching take the connection over, and from then on the server says
//! nothing on it any more.

use std::net::SocketAddr;
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use pyo3::exceptions::PyTimeoutError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};
use server::{Local, Peer};

use super::shared_reply::SharedReply;

/// Attributes of a socket that tell something, or set what has no effect on the bytes of the connection.
const LOOKS: [&str; 9] = [
    "family",
    "type",
    "proto",
    "fileno",
    "getsockopt",
    "setsockopt",
    "get_inheritable",
    "_closed",
    "_io_refs",
];

/// The methods that read, with the position of their flags among the arguments.
const READS: [(&str, usize); 6] = [
    ("recv", 1),
    ("recv_into", 2),
    ("recvfrom", 1),
    ("recvfrom_into", 2),
    ("recvmsg", 2),
    ("recvmsg_into", 2),
];

/// How long one wait for something to peek at takes, in seconds, where the application has set no time-out. A signal
/// handler may raise at any time.
const PEEK_S: f64 = 3600.0;

/// The stand-in.
#[derive(Debug)]
#[pyclass(frozen, name = "ClientSocket", module = "oxicorn._oxicorn")]
pub(super) struct ClientSocket {
    shared: Arc<SharedReply>,
    /// A `socket.socket` over the connection: at first to look at it, later the application's own.
    socket: OnceLock<Py<PyAny>>,
    taken: OnceLock<()>,
    /// The time-out in seconds that the application has set. It is not the real socket's before that is taken: a socket
    /// that blocks blocks the server too.
    timeout: Timeout,
}

/// A time-out in seconds or none, without a lock: every request ends with a look at it.
#[derive(Debug)]
struct Timeout(AtomicU64);

impl Timeout {
    /// The bits of no time: a NaN.
    const NONE: u64 = u64::MAX;

    fn new() -> Timeout {
        Timeout(AtomicU64::new(Self::NONE))
    }

    fn set(&self, seconds: Option<f64>) {
        let bits = seconds.map_or(Self::NONE, f64::to_bits);
        self.0.store(bits, Ordering::Relaxed);
    }

    fn seconds(&self) -> Option<f64> {
        match self.0.load(Ordering::Relaxed) {
            Self::NONE => None,
            bits => Some(f64::from_bits(bits)),
        }
    }
}

#[pymethods]
impl ClientSocket {
    fn __getattr__(slf: &Bound<'_, Self>, name: &Bound<'_, PyString>) -> PyResult<Py<PyAny>> {
        let (py, this) = (slf.py(), slf.get());
        if this.is_taken() {
            return Ok(this.take(py)?.getattr(name)?.unbind());
        }
        // What no socket has (`getpeercert`, or what `copy` and `pickle` look for) this one has not either.
        let class = py
            .import(intern!(py, "socket"))?
            .getattr(intern!(py, "socket"))?;
        class.getattr(name)?;
        if LOOKS.contains(&&*name.to_string_lossy()) {
            return Ok(this.look(py)?.getattr(name)?.unbind());
        }
        let method = SocketMethod {
            socket: slf.clone().unbind(),
            name: name.clone().unbind(),
        };
        Ok(Py::new(py, method)?.into_any())
    }

    /// The address of the client.
    fn getpeername(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        if self.is_taken() {
            return Ok(self
                .take(py)?
                .call_method0(intern!(py, "getpeername"))?
                .unbind());
        }
        let peer = self
            .shared
            .with(|reply| reply.exchange().map(|exchange| exchange.peer().clone()))?;
        match peer {
            Some(Peer::Inet(address)) => name_of(py, address),
            Some(Peer::Unix) | None => Ok(PyString::new(py, "").into_any().unbind()),
        }
    }

    /// The address that the client connected to.
    fn getsockname(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        if self.is_taken() {
            return Ok(self
                .take(py)?
                .call_method0(intern!(py, "getsockname"))?
                .unbind());
        }
        let local = self
            .shared
            .with(|reply| reply.exchange().map(|exchange| exchange.local().clone()))?;
        match local {
            Some(Local::Inet(address)) => name_of(py, address),
            Some(Local::Unix(path)) => {
                Ok(path.into_os_string().into_pyobject(py)?.into_any().unbind())
            }
            None => Ok(PyString::new(py, "").into_any().unbind()),
        }
    }

    fn settimeout(&self, py: Python<'_>, value: &Bound<'_, PyAny>) -> PyResult<()> {
        if self.is_taken() {
            self.take(py)?
                .call_method1(intern!(py, "settimeout"), (value,))?;
            return Ok(());
        }
        // A socket without a connection checks the value and raises the usual errors.
        let scratch = py
            .import(intern!(py, "socket"))?
            .call_method0(intern!(py, "socket"))?;
        let set = scratch.call_method1(intern!(py, "settimeout"), (value,));
        let timeout = scratch.call_method0(intern!(py, "gettimeout"));
        scratch.call_method0(intern!(py, "close"))?;
        set?;
        self.timeout.set(timeout?.extract()?);
        Ok(())
    }

    fn setblocking(&self, py: Python<'_>, blocking: &Bound<'_, PyAny>) -> PyResult<()> {
        let timeout = (!blocking.is_truthy()?).then_some(0.0);
        self.settimeout(py, timeout.into_pyobject(py)?.as_any())
    }

    /// In seconds.
    fn gettimeout(&self, py: Python<'_>) -> PyResult<Option<f64>> {
        if self.is_taken() {
            return self
                .take(py)?
                .call_method0(intern!(py, "gettimeout"))?
                .extract();
        }
        Ok(self.timeout.seconds())
    }

    #[getter(timeout)]
    fn timeout_property(&self, py: Python<'_>) -> PyResult<Option<f64>> {
        self.gettimeout(py)
    }

    fn getblocking(&self, py: Python<'_>) -> PyResult<bool> {
        Ok(self.gettimeout(py)? != Some(0.0))
    }

    fn __enter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, py: Python<'_>, _exception: &Bound<'_, PyAny>) -> PyResult<()> {
        self.take(py)?.call_method0(intern!(py, "close"))?;
        Ok(())
    }

    fn __dir__(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let class = py
            .import(intern!(py, "socket"))?
            .getattr(intern!(py, "socket"))?;
        Ok(class.dir()?.into_any().unbind())
    }

    fn __repr__(&self) -> &'static str {
        if self.is_taken() {
            "<oxicorn client socket, taken>"
        } else {
            "<oxicorn client socket>"
        }
    }
}

impl ClientSocket {
    pub(super) fn new(shared: &Arc<SharedReply>) -> ClientSocket {
        ClientSocket {
            shared: Arc::clone(shared),
            socket: OnceLock::new(),
            taken: OnceLock::new(),
            timeout: Timeout::new(),
        }
    }

    /// Ends the request. `false` where the application has looked at the socket or taken it: the next request needs
    /// another.
    ///
    /// # Errors
    /// Python is out of memory.
    pub(super) fn end(&self, py: Python<'_>) -> PyResult<bool> {
        let Some(socket) = self.socket.get() else {
            return Ok(self.timeout.seconds().is_none());
        };
        if !self.is_taken() {
            // The descriptor would keep the connection open when the server closes its own.
            socket.call_method0(py, intern!(py, "close"))?;
        }
        Ok(false)
    }

    fn is_taken(&self) -> bool {
        self.taken.get().is_some()
    }

    /// A `socket.socket` through which the connection can be looked at.
    fn look<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        if let Some(socket) = self.socket.get()
            && self.shared.with(|_| ()).is_ok()
        {
            return Ok(socket.bind(py).clone());
        }
        let descriptor = self.shared.with(|reply| reply.look_at_socket())??;
        self.keep(py, descriptor)
    }

    /// The connection, in blocking mode as Gunicorn's sync worker gives it, or with the time-out that the application
    /// has set.
    fn take<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        if self.is_taken()
            && let Some(socket) = self.socket.get()
        {
            return Ok(socket.bind(py).clone());
        }
        let descriptor = self.shared.with(|reply| reply.hijack())??;
        let _ = self.taken.set(());
        // The number stays the one that the application may have seen and told a selector of.
        let socket = match self.socket.get() {
            Some(socket) => socket.bind(py).clone(),
            None => self.keep(py, descriptor)?,
        };
        let timeout = self.timeout.seconds();
        socket.call_method1(intern!(py, "settimeout"), (timeout,))?;
        // A process that the application has forked may hold the connection too, and would keep the client waiting.
        socket.setattr(intern!(py, "taken_by"), std::process::id())?;
        Ok(socket)
    }

    fn keep<'py>(&self, py: Python<'py>, descriptor: OwnedFd) -> PyResult<Bound<'py, PyAny>> {
        let arguments = PyDict::new(py);
        arguments.set_item(intern!(py, "fileno"), descriptor.as_raw_fd())?;
        let socket = py
            .import(intern!(py, "oxicorn.taken_socket"))?
            .getattr(intern!(py, "TakenSocket"))?
            .call((), Some(&arguments))?;
        // The Python object closes the descriptor from here on.
        let _ = descriptor.into_raw_fd();
        Ok(self.socket.get_or_init(|| socket.unbind()).bind(py).clone())
    }

    /// Calls a reading method whose flags have `MSG_PEEK`, as a socket with the application's time-out would.
    fn peek<'py>(
        &self,
        py: Python<'py>,
        flags: i32,
        call: impl Fn(&Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let socket = self.look(py)?;
        let set = self.timeout.seconds();
        // With a time-out Python waits by poll(2), also where the flags say not to wait; without one the call itself
        // waits, if they let it.
        let (timeout, endless) = match set {
            Some(timeout) => (timeout, false),
            None if flags & sys::send::DONT_WAIT != 0 => (0.0, false),
            None => (PEEK_S, true),
        };
        // Any time-out leaves the descriptor as it is: it does not block.
        socket.call_method1(intern!(py, "settimeout"), (timeout,))?;
        loop {
            match call(&socket) {
                Err(error) if endless && error.is_instance_of::<PyTimeoutError>(py) => {}
                outcome => return outcome,
            }
        }
    }
}

/// A method of the stand-in, which takes the connection when it is called.
#[derive(Debug)]
#[pyclass(frozen, module = "oxicorn._oxicorn")]
struct SocketMethod {
    socket: Py<ClientSocket>,
    name: Py<PyString>,
}

#[pymethods]
impl SocketMethod {
    #[pyo3(signature = (*arguments, **keywords))]
    fn __call__<'py>(
        &self,
        py: Python<'py>,
        arguments: &Bound<'py, PyTuple>,
        keywords: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let (socket, name) = (self.socket.get(), self.name.bind(py));
        if !socket.is_taken()
            && let Some(flags) = reading_flags(name, arguments, keywords)?
            && flags & sys::send::PEEK != 0
        {
            return socket.peek(py, flags, |socket| {
                socket.call_method(name, arguments, keywords)
            });
        }
        socket.take(py)?.call_method(name, arguments, keywords)
    }

    fn __repr__(&self) -> String {
        format!("<method {} of the oxicorn client socket>", self.name)
    }
}

/// The flags of a call of a method that reads; `None` where it has none, or is no such method.
fn reading_flags(
    name: &Bound<'_, PyString>,
    arguments: &Bound<'_, PyTuple>,
    keywords: Option<&Bound<'_, PyDict>>,
) -> PyResult<Option<i32>> {
    let name = name.to_string_lossy();
    let Some((_, position)) = READS.iter().find(|(read, _)| *read == name) else {
        return Ok(None);
    };
    let py = arguments.py();
    let named = keywords
        .map(|keywords| keywords.get_item(intern!(py, "flags")))
        .transpose()?
        .flatten();
    let flags = named.or_else(|| arguments.get_item(*position).ok());
    // The method itself complains of what is no number.
    Ok(flags.and_then(|flags| flags.extract().ok()))
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
