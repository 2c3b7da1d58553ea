//! What a front server has told with the uwsgi protocol, as `environ` has it: its variables, under their own names.

use proto::uwsgi::UwsgiVariables;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::gateway::text;

/// Enters it.
///
/// # Errors
/// Memory.
pub(super) fn enter(environ: &Bound<'_, PyDict>, told: &UwsgiVariables) -> PyResult<()> {
    let py = environ.py();
    for (name, value) in told.further() {
        environ.set_item(text::native(py, name)?, text::native(py, value)?)?;
    }
    if let Some(info) = told.path_info() {
        let script_name = told.script_name();
        environ.set_item(intern!(py, "SCRIPT_NAME"), text::native(py, script_name)?)?;
        environ.set_item(intern!(py, "PATH_INFO"), text::native(py, info)?)?;
    }
    Ok(())
}
