//! `io.UnsupportedOperation`: what a file raises for an operation that other files have.

use pyo3::intern;
use pyo3::prelude::*;

/// The exception for an operation of this name. It is an `OSError` and a `ValueError`, and libraries that probe a file
/// catch it.
///
/// # Errors
/// Always.
pub(crate) fn unsupported<T>(py: Python<'_>, operation: &str) -> PyResult<T> {
    let exception = py
        .import(intern!(py, "io"))?
        .getattr(intern!(py, "UnsupportedOperation"))?
        .call1((operation,))?;
    Err(PyErr::from_value(exception))
}
