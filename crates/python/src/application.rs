//! The application: imported from its string, or refused with what is wrong with it.

use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use settings::Config;

use crate::failure::{BOOT, Failure};

/// What importing came to.
pub(crate) enum Loaded {
    /// The WSGI application.
    Application(Py<PyAny>),
    /// It cannot be served.
    Refused(Failure),
}

/// Imports the application that the settings name.
///
/// # Errors
///
/// `SystemExit` or `KeyboardInterrupt`, which came while it was imported: from a signal or from its own code.
pub(crate) fn load(py: Python<'_>, config: &Config) -> PyResult<Loaded> {
    let loader = py.import("oxicorn.app_loader")?;
    let spec = config.app.as_deref().unwrap_or_default();
    match loader.call_method1("load", (spec,)) {
        Ok(application) => Ok(Loaded::Application(application.unbind())),
        Err(error) if error.is_instance_of::<PyException>(py) => {
            Ok(Loaded::Refused(refusal(py, &error)))
        }
        Err(error) => Err(error),
    }
}

/// The application that answers in place of one that does not import, until a file changes (`--reload`).
pub(crate) fn stand_in(py: Python<'_>) -> PyResult<Py<PyAny>> {
    Ok(py
        .import("oxicorn.app_loader")?
        .call_method0("stand_in")?
        .unbind())
}

/// Reads an `AppError`. Any other exception is a mistake of the loader and told like one of the application.
fn refusal(py: Python<'_>, error: &PyErr) -> Failure {
    let value = error.value(py);
    let known = || -> PyResult<Failure> {
        Ok(Failure {
            report: value.str()?.extract()?,
            code: value.getattr("exit_code")?.extract()?,
        })
    };
    known().unwrap_or_else(|_| raised(py, error))
}

/// What was raised while the application was imported.
pub(crate) fn raised(py: Python<'_>, error: &PyErr) -> Failure {
    Failure::raised(py, "while the application was imported", error, BOOT)
}
