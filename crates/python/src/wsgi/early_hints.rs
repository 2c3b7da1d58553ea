//! `wsgi.early_hints`: a callable that takes `[(name, value), …]` and sends them ahead as `103 Early Hints` (RFC 8297).

use std::sync::Arc;

use proto::h1::ResponseHead;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};

use super::failure::AnswerFailure;
use super::shared_reply::SharedReply;
use crate::gateway::arguments::{misused, wrong_type};
use crate::gateway::{pairs, text};

/// The object whose method is the callable.
#[derive(Debug)]
#[pyclass(frozen, module = "oxicorn._oxicorn")]
pub(super) struct EarlyHints {
    shared: Arc<SharedReply>,
}

#[pymethods]
impl EarlyHints {
    /// As with Gunicorn, nothing is sent to an HTTP/1.0 client or once the response has begun.
    fn early_hints(&self, py: Python<'_>, headers: &Bound<'_, PyAny>) -> PyResult<()> {
        if !self.shared.with(|reply| {
            reply
                .exchange()
                .is_some_and(|exchange| exchange.request.version().is_current())
        })? {
            return Ok(());
        }
        let mut head = ResponseHead::default();
        head.set_status(b"103 Early Hints").map_err(misused)?;
        pairs::visit(headers, |name, value| {
            head.push(&octets(name)?, &octets(value)?).map_err(misused)
        })?;
        self.shared
            .interim(py, &head)
            .map_err(AnswerFailure::into_exception)
    }
}

impl EarlyHints {
    pub(super) fn callable(py: Python<'_>, shared: &Arc<SharedReply>) -> PyResult<Py<PyAny>> {
        let hints = EarlyHints {
            shared: Arc::clone(shared),
        };
        Ok(Bound::new(py, hints)?
            .getattr(intern!(py, "early_hints"))?
            .unbind())
    }
}

/// Gunicorn takes both `str` and `bytes` here.
fn octets(part: &Bound<'_, PyAny>) -> PyResult<Vec<u8>> {
    if let Ok(bytes) = part.cast::<PyBytes>() {
        return Ok(bytes.as_bytes().to_vec());
    }
    let what = "a part of an early hint";
    let part = part
        .cast::<PyString>()
        .map_err(|_| wrong_type(what, "a str or bytes", part))?;
    Ok(text::wire(part, what)?.into_owned())
}
