//! `start_response` and the `write` that it returns (PEP 3333). Both are bound methods of native objects, which CPython
//! calls by vectorcall, and both serve one request after another: see `request_context.rs` for when they may.

use std::sync::Arc;

use proto::h1::ResponseHead;
use pyo3::exceptions::{PyAssertionError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use server::Stage;

use super::reply::Chunk;
use super::shared_reply::SharedReply;
use crate::gateway::arguments::{misused, string, wrong_type};
use crate::gateway::{pairs, text};

/// The object whose method is `start_response`.
#[derive(Debug)]
#[pyclass(frozen, module = "oxicorn._oxicorn")]
pub(super) struct StartResponse {
    shared: Arc<SharedReply>,
    write: Py<PyAny>,
}

#[pymethods]
impl StartResponse {
    #[pyo3(signature = (status, headers, exc_info=None))]
    fn start_response(
        &self,
        py: Python<'_>,
        status: &Bound<'_, PyAny>,
        headers: &Bound<'_, PyAny>,
        exc_info: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        // Like `if exc_info:` of the PEP's own server: an empty tuple counts as none.
        let exc_info = match exc_info {
            Some(exc_info) if exc_info.is_truthy()? => Some(exc_info),
            _ => None,
        };
        let mut head = self.draft(exc_info)?;
        fill(&mut head, status, headers)?;
        // Reading the headers may have run code of the application's, which may have started the response in the
        // meantime.
        self.shared
            .with(|reply| match reply.stage() {
                Stage::Unstarted => {
                    reply.install(head);
                    Ok(())
                }
                stage => Err(stage),
            })?
            .map_err(|stage| refused(stage, exc_info))?;
        Ok(self.write.clone_ref(py))
    }
}

impl StartResponse {
    /// The two callables: `start_response`, and the `write` that it returns.
    pub(super) fn callables(
        py: Python<'_>,
        shared: &Arc<SharedReply>,
    ) -> PyResult<(Py<PyAny>, Py<PyAny>)> {
        let write = Bound::new(
            py,
            Write {
                shared: Arc::clone(shared),
            },
        )?
        .getattr(intern!(py, "write"))?
        .unbind();
        let start = StartResponse {
            shared: Arc::clone(shared),
            write: write.clone_ref(py),
        };
        let start = Bound::new(py, start)?
            .getattr(intern!(py, "start_response"))?
            .unbind();
        Ok((start, write))
    }

    /// The head to fill, if the rules of PEP 3333 allow one now.
    fn draft(&self, exc_info: Option<&Bound<'_, PyAny>>) -> PyResult<ResponseHead> {
        let replaces = exc_info.is_some();
        let draft = self.shared.with(|reply| match reply.stage() {
            Stage::Unstarted => Ok(reply.draft()),
            Stage::Stated if replaces => Ok(reply.draft()),
            stage => Err(stage),
        })?;
        draft.map_err(|stage| refused(stage, exc_info))
    }
}

/// Why there is no head to be written at this stage.
fn refused(stage: Stage, exc_info: Option<&Bound<'_, PyAny>>) -> PyErr {
    match (stage, exc_info) {
        (Stage::Hijacked, _) => PyAssertionError::new_err(
            "the application has taken the socket: it cannot use start_response",
        ),
        (Stage::Unstarted | Stage::Stated, _) | (_, None) => {
            PyAssertionError::new_err("start_response was called a second time without exc_info")
        }
        (_, Some(exc_info)) => reraise(exc_info),
    }
}

/// The exception of an `exc_info` triple, with its traceback. The triple itself is not kept, so no reference cycle is
/// made.
fn reraise(exc_info: &Bound<'_, PyAny>) -> PyErr {
    let exception = || -> PyResult<PyErr> {
        let (_, value, traceback) =
            exc_info.extract::<(Bound<'_, PyAny>, Bound<'_, PyAny>, Bound<'_, PyAny>)>()?;
        Ok(PyErr::from_value(value.call_method1(
            intern!(value.py(), "with_traceback"),
            (traceback,),
        )?))
    };
    exception().unwrap_or_else(|error| error)
}

fn fill(
    head: &mut ResponseHead,
    status: &Bound<'_, PyAny>,
    headers: &Bound<'_, PyAny>,
) -> PyResult<()> {
    let status = string(status, "the status")?;
    head.set_status(&text::wire(status, "the status")?)
        .map_err(misused)?;
    if matches!(head.status(), 100..=199) {
        // RFC 9110, section 15.2: an interim response is never the answer.
        return Err(PyValueError::new_err(
            "a 1xx status does not answer a request; wsgi.early_hints sends 103",
        ));
    }
    pairs::visit(headers, |name, value| {
        let name = text::wire(string(name, "a header's name")?, "a header's name")?;
        let value = text::wire(string(value, "a header's value")?, "a header's value")?;
        head.push(&name, &value).map_err(misused)
    })
}

/// The object whose method is `write`.
#[derive(Debug)]
#[pyclass(frozen, module = "oxicorn._oxicorn")]
struct Write {
    shared: Arc<SharedReply>,
}

#[pymethods]
impl Write {
    fn write(&self, py: Python<'_>, data: &Bound<'_, PyAny>) -> PyResult<()> {
        let data = data
            .cast::<PyBytes>()
            .map_err(|_| wrong_type("what is given to write()", "bytes", data))?;
        let bytes = data.as_bytes();
        if bytes.is_empty() {
            return Ok(());
        }
        let written = self.shared.chunk(py, Chunk { bytes, only: false });
        written
            .map(drop)
            .map_err(super::failure::AnswerFailure::into_exception)
    }
}
