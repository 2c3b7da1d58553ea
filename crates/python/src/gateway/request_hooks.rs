//! The hooks `pre_request(worker, req)` and `post_request(worker, req[, environ[, resp]])`, the logger's `access(resp,
//! req, environ, request_time)`. Where none of them is set, nothing of this exists.

mod request;
mod response;

use std::time::Duration;

use proto::Request;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use server::Entry;

use super::failure;
use crate::forks;
pub(crate) use request::HookRequest;
pub(crate) use response::HookResponse;

/// The operator's hooks.
#[derive(Debug)]
pub(crate) struct RequestHooks {
    pre: Option<Py<PyAny>>,
    post: Option<PostRequest>,
    /// The logger's `access`, where it is not the server that writes the access log.
    access: Option<Py<PyAny>>,
    worker: Py<PyAny>,
}

/// `post_request` and how many of its four arguments it takes.
#[derive(Debug)]
struct PostRequest {
    function: Py<PyAny>,
    arguments: usize,
}

impl RequestHooks {
    /// `None` where there is nothing to call.
    ///
    /// # Errors
    /// Python is out of memory.
    pub(crate) fn new(
        py: Python<'_>,
        pre: Option<Py<PyAny>>,
        post: Option<Py<PyAny>>,
        access: Option<Py<PyAny>>,
        worker: Py<PyAny>,
    ) -> PyResult<Option<RequestHooks>> {
        if pre.is_none() && post.is_none() && access.is_none() {
            return Ok(None);
        }
        let post = post
            .map(|function| PostRequest::new(py, function))
            .transpose()?;
        Ok(Some(RequestHooks {
            pre,
            post,
            access,
            worker,
        }))
    }

    /// Calls `pre_request`.
    ///
    /// # Errors
    /// What the hook raises, which fails the request.
    pub(crate) fn before(&self, py: Python<'_>, request: &Py<HookRequest>) -> PyResult<()> {
        match &self.pre {
            Some(pre) => {
                let returned = pre.call1(py, (&self.worker, request));
                forks::leave_if_stray(py, &returned);
                returned.map(drop)
            }
            None => Ok(()),
        }
    }

    /// Calls `post_request`. Its exceptions are logged, because the request has been answered.
    pub(crate) fn answered(
        &self,
        py: Python<'_>,
        response: impl FnOnce() -> HookResponse,
        request: &Py<HookRequest>,
        environ: Option<&Bound<'_, PyDict>>,
    ) {
        let Some(post) = &self.post else { return };
        let call = || -> PyResult<()> {
            let response = response().into_pyobject(py)?.into_any();
            let environ = environ
                .map_or_else(|| PyDict::new(py), Clone::clone)
                .into_any();
            let all = [
                self.worker.bind(py).clone(),
                request.bind(py).clone().into_any(),
                environ,
                response,
            ];
            let arguments = PyTuple::new(py, &all[..post.arguments])?;
            post.function.bind(py).call1(arguments).map(drop)
        };
        let returned = call();
        forks::leave_if_stray(py, &returned);
        if let Err(error) = returned {
            log::error!(
                "Exception in post_request hook\n{}",
                failure::traceback(py, &error)
            );
        }
    }

    /// Calls the logger's `access` with what `answer` knows of the response, and how long the request took. Its
    /// exceptions are logged.
    pub(crate) fn log_access(
        &self,
        py: Python<'_>,
        answer: impl FnOnce() -> PyResult<(HookResponse, Duration)>,
        request: &Py<HookRequest>,
        environ: Option<&Bound<'_, PyDict>>,
    ) {
        let Some(access) = &self.access else { return };
        let call = || -> PyResult<()> {
            let (response, took) = answer()?;
            let environ = match environ {
                Some(environ) => environ.clone(),
                None => request.borrow(py).environ(py)?,
            };
            access
                .call1(py, (response, request, environ, took))
                .map(drop)
        };
        let returned = call();
        forks::leave_if_stray(py, &returned);
        if let Err(error) = returned {
            let traceback = failure::traceback(py, &error);
            log::error!("Exception in the logger's access()\n{traceback}");
        }
    }
}

impl PostRequest {
    /// Gunicorn takes functions of two, three or four parameters. One whose signature cannot be read gets all four.
    fn new(py: Python<'_>, function: Py<PyAny>) -> PyResult<PostRequest> {
        let signature = py
            .import(intern!(py, "inspect"))?
            .call_method1(intern!(py, "signature"), (&function,));
        let parameters = signature
            .and_then(|signature| signature.getattr(intern!(py, "parameters"))?.len())
            .unwrap_or(4);
        Ok(PostRequest {
            function,
            arguments: parameters.clamp(2, 4),
        })
    }
}

/// Calls the logger's `access` for a request that had no environ.
///
/// # Errors
/// What `access` raises.
pub(crate) fn note_access(
    logger: &Bound<'_, PyAny>,
    request: &Request,
    entry: &Entry,
) -> PyResult<()> {
    let py = logger.py();
    let request = HookRequest::of(py, request, (&entry.peer, entry.scheme), None, |_| true)?;
    let environ = request.borrow(py).environ(py)?;
    let arguments = (HookResponse::sent_as(entry), request, environ, entry.took);
    logger
        .call_method1(intern!(py, "access"), arguments)
        .map(drop)
}
