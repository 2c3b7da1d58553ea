//! What an application gives us: of the right type, or an error that says what was expected. It is raised in the
//! application, where its author finds it.

use proto::h1::Misuse;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyString;

/// A string; `what` names it in the error.
///
/// # Errors
/// It is something else.
pub(crate) fn string<'a, 'py>(
    object: &'a Bound<'py, PyAny>,
    what: &str,
) -> PyResult<&'a Bound<'py, PyString>> {
    object
        .cast::<PyString>()
        .map_err(|_| wrong_type(what, "a str", object))
}

/// "the status must be a str, not bytes".
pub(crate) fn wrong_type(what: &str, expected: &str, found: &Bound<'_, PyAny>) -> PyErr {
    let found = found
        .get_type()
        .name()
        .map_or_else(|_| "something else".to_owned(), |name| name.to_string());
    PyTypeError::new_err(format!("{what} must be {expected}, not {found}"))
}

/// A response head that cannot be sent as it is.
pub(crate) fn misused(misuse: Misuse) -> PyErr {
    PyValueError::new_err(misuse.to_string())
}
