//! gevent in this process: that it is there, and that it has replaced what blocks in Python's library before anything
//! of the application is imported.

use pyo3::prelude::*;
use settings::{Config, WorkerClass};

use crate::application;
use crate::failure::Failure;

/// Whether workers of this configuration have greenlets.
pub(crate) fn are_wanted(config: &Config) -> bool {
    config.worker_class == WorkerClass::Gevent
}

/// Looks whether gevent is there, without importing it.
///
/// # Errors
/// It is not, or is one that cannot be used.
pub(crate) fn check(py: Python<'_>) -> Result<(), Failure> {
    let checked = py
        .import("oxicorn.workers.greenlets")
        .and_then(|module| module.call_method0("check"));
    checked
        .map(drop)
        .map_err(|error| application::refusal(py, &error))
}

/// Has gevent take the place of what blocks in the library.
///
/// # Errors
/// gevent cannot be imported.
pub(crate) fn patch(py: Python<'_>) -> PyResult<()> {
    py.import("oxicorn.workers.greenlets")?
        .call_method0("patch")
        .map(drop)
}

/// The same in a worker that is about to import its application. What gevent had in the arbiter is made fit for this
/// process.
///
/// # Errors
/// gevent cannot be imported.
pub(crate) fn prepare_worker(py: Python<'_>) -> PyResult<()> {
    patch(py)?;
    py.import("gevent")?.call_method0("reinit").map(drop)
}
