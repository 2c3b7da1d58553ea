//! A desk: everything that serving one request needs and the next one can use again. The gateway has as many as requests were ever being
//! served at once, whether by threads or by greenlets.

use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::PyDict;
use pyo3::{ffi, intern};

use super::counter::Counter;
use super::early_hints::EarlyHints;
use super::environ::{Constants, Template};
use super::socket::ClientSocket;
use super::start_response::StartResponse;

/// The objects through which an application reaches its response.
///
/// They are used again only while nobody else refers to them: an application that keeps one (in a global, a thread, a traceback) keeps a
/// dead one, which raises, and cannot speak into somebody else's response.
#[derive(Debug)]
pub(super) struct Kit {
    pub(super) counter: Arc<Counter>,
    pub(super) start_response: Py<PyAny>,
    write: Py<PyAny>,
    early_hints: Py<PyAny>,
    socket: Py<ClientSocket>,
}

impl Kit {
    fn new(py: Python<'_>) -> PyResult<Kit> {
        let counter = Arc::new(Counter::new());
        let (start_response, write) = StartResponse::callables(py, &counter)?;
        let early_hints = EarlyHints::callable(py, &counter)?;
        let socket = Py::new(py, ClientSocket::new(&counter))?;
        Ok(Kit {
            counter,
            start_response,
            write,
            early_hints,
            socket,
        })
    }

    /// Puts the keys of this kit into an environ template.
    pub(super) fn enter(&self, template: &Bound<'_, PyDict>) -> PyResult<()> {
        let py = template.py();
        template.set_item(intern!(py, "wsgi.early_hints"), &self.early_hints)?;
        template.set_item(intern!(py, "gunicorn.socket"), &self.socket)
    }

    /// Whether only the desk refers to the kit: the kit itself, the `StartResponse` to its `write`, and the template.
    fn is_ours_alone(&self, py: Python<'_>) -> bool {
        references(py, self.start_response.as_ptr()) == 1
            && references(py, self.write.as_ptr()) == 2
            && references(py, self.early_hints.as_ptr()) == 2
            && references(py, self.socket.as_ptr()) == 2
            && !self.socket.get().is_taken()
    }
}

/// How many references there are to an object that the kit holds.
fn references(_attached: Python<'_>, object: *mut ffi::PyObject) -> ffi::Py_ssize_t {
    // SAFETY: the pointer comes from a `Py` of the kit, which is alive, and we are attached.
    unsafe { ffi::Py_REFCNT(object) }
}

/// One desk.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) kit: Kit,
    pub(super) template: Template,
}

impl Desk {
    pub(super) fn new(py: Python<'_>, constants: &Constants) -> PyResult<Desk> {
        let kit = Kit::new(py)?;
        let template = Template::new(py, constants, &kit)?;
        Ok(Desk { kit, template })
    }

    /// Ends the request and makes the desk fit for the next one.
    ///
    /// # Errors
    /// Python is out of memory; the desk is not fit then.
    pub(super) fn clear(&mut self, py: Python<'_>) -> PyResult<()> {
        let closed = self.kit.counter.close(py);
        if closed && self.kit.is_ours_alone(py) {
            return Ok(());
        }
        let kit = Kit::new(py)?;
        self.template.replace_kit(py, &kit)?;
        self.kit = kit;
        Ok(())
    }
}
