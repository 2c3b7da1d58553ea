//! What serving one request needs and the next one can use again: the objects that the application gets, and the
//! template of the environ. The gateway has as many contexts as requests were ever being served at once, whether by
//! threads or by greenlets.

use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::PyDict;
use pyo3::{ffi, intern};
use server::Body;

use super::early_hints::EarlyHints;
use super::environ::{EnvironConstants, EnvironTemplate};
use super::shared_reply::SharedReply;
use super::socket::ClientSocket;
use super::start_response::StartResponse;
use crate::gateway::Input;
use crate::references::{is_weakly_referenced, references};

/// The objects through which an application reaches its request and its response.
///
/// A request gets them from the one before only where no way leads to them: no reference, no weak reference, none to
/// the object that a method is bound to. So an application that keeps one (in a global, a thread, a traceback) keeps a
/// dead one, which raises, and cannot speak into the response to another client. That is looked at when the next
/// request takes them, not when the last one ends: in between an application may find them through the garbage
/// collector.
#[derive(Debug)]
pub(super) struct RequestObjects {
    pub(super) shared: Arc<SharedReply>,
    pub(super) start_response: Py<PyAny>,
    write: Py<PyAny>,
    early_hints: Py<PyAny>,
    socket: Py<ClientSocket>,
    /// `wsgi.input` of a request without a body.
    empty_input: Py<Input>,
}

impl RequestObjects {
    fn new(py: Python<'_>, constants: &EnvironConstants) -> PyResult<RequestObjects> {
        let shared = Arc::new(SharedReply::new(constants.wait.clone()));
        let (start_response, write) = StartResponse::callables(py, &shared)?;
        let early_hints = EarlyHints::callable(py, &shared)?;
        let socket = Py::new(py, ClientSocket::new(&shared))?;
        let empty_input = Py::new(py, Input::new(Body::Empty))?;
        Ok(RequestObjects {
            shared,
            start_response,
            write,
            early_hints,
            socket,
            empty_input,
        })
    }

    /// Puts the keys of this objects into an environ template.
    pub(super) fn enter(&self, template: &Bound<'_, PyDict>) -> PyResult<()> {
        let py = template.py();
        template.set_item(intern!(py, "wsgi.early_hints"), &self.early_hints)?;
        template.set_item(intern!(py, "gunicorn.socket"), &self.socket)?;
        template.set_item(intern!(py, "wsgi.input"), &self.empty_input)
    }

    /// Whether only the context leads to the objects: itself, the `StartResponse` to its `write`, and the template.
    fn is_unreachable(&self, py: Python<'_>) -> bool {
        is_unreachable_method(py, &self.start_response, 1)
            && is_unreachable_method(py, &self.write, 2)
            && is_unreachable_method(py, &self.early_hints, 2)
            && references(py, self.socket.as_ptr()) == 2
            && references(py, self.empty_input.as_ptr()) == 2
    }
}

/// Whether `known` references are all that leads to a method, and the method is all that leads to the object it is
/// bound to.
fn is_unreachable_method(py: Python<'_>, method: &Py<PyAny>, known: ffi::Py_ssize_t) -> bool {
    let method = method.as_ptr();
    // SAFETY: the pointer comes from a `Py` of the objects, which is alive, and we are attached.
    if unsafe { ffi::PyCFunction_CheckExact(method) } == 0 {
        return false;
    }
    // SAFETY: as above, and the object is a `PyCFunctionObject`. The reference that is returned is borrowed from it.
    let owner = unsafe { ffi::PyCFunction_GetSelf(method) };
    references(py, method) == known
        && !is_weakly_referenced(py, method)
        && references(py, owner) == 1
}

/// One context.
#[derive(Debug)]
pub(super) struct RequestContext {
    pub(super) objects: RequestObjects,
    pub(super) template: EnvironTemplate,
    /// The input of the request, where it has a body.
    input: Option<Py<Input>>,
}

impl RequestContext {
    pub(super) fn new(py: Python<'_>, constants: &EnvironConstants) -> PyResult<RequestContext> {
        let objects = RequestObjects::new(py, constants)?;
        let template = EnvironTemplate::new(py, constants, &objects)?;
        Ok(RequestContext {
            objects,
            template,
            input: None,
        })
    }

    /// Makes the context fit for a request: what an earlier one may still reach is replaced.
    ///
    /// # Errors
    /// Python is out of memory; the context is not fit then.
    pub(super) fn open(&mut self, py: Python<'_>, constants: &EnvironConstants) -> PyResult<()> {
        if !self.template.is_unreachable(py) {
            *self = RequestContext::new(py, constants)?;
        } else if !self.objects.is_unreachable(py) {
            self.renew_objects(py, constants)?;
        }
        self.objects.empty_input.borrow_mut(py).rewind();
        Ok(())
    }

    /// Notes the input of the request, which ends with it.
    pub(super) fn note_input(&mut self, input: Option<&Bound<'_, Input>>) {
        self.input = input.map(|input| input.clone().unbind());
    }

    /// Ends the request.
    ///
    /// # Errors
    /// Python is out of memory; the context must not be used again then.
    pub(super) fn clear(&mut self, py: Python<'_>, constants: &EnvironConstants) -> PyResult<()> {
        if let Some(input) = self.input.take() {
            Input::end(input.bind(py));
        }
        let closed = self.objects.shared.close(py);
        let unseen = self.objects.socket.get().end(py)?;
        if closed && unseen {
            return Ok(());
        }
        self.renew_objects(py, constants)
    }

    fn renew_objects(&mut self, py: Python<'_>, constants: &EnvironConstants) -> PyResult<()> {
        let objects = RequestObjects::new(py, constants)?;
        self.template.replace_objects(py, &objects)?;
        self.objects = objects;
        Ok(())
    }
}
