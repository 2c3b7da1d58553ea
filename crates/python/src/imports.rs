//! Where modules come from: the server's own imports never look into the project's directory (`oxicorn.imports`).

use pyo3::prelude::*;

/// The module in Python that does it.
const MODULE: &str = "oxicorn.imports";

/// Imports everything that the server needs. The project's directory is not on `sys.path` yet.
///
/// # Errors
///
/// The installation is not whole.
pub(crate) fn prepare(py: Python<'_>) -> PyResult<()> {
    py.import(MODULE)?.call_method0("prepare").map(drop)
}

/// Imports a module that the server needs only now.
///
/// # Errors
///
/// It cannot be imported.
pub(crate) fn load<'py>(py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyModule>> {
    let module = py.import(MODULE)?.call_method1("load", (name,))?;
    Ok(module.cast_into()?)
}

/// The package `setproctitle`, where it is installed.
///
/// # Errors
///
/// [`prepare`] was not called.
pub(crate) fn setproctitle(py: Python<'_>) -> PyResult<Option<Bound<'_, PyAny>>> {
    let module = py.import(MODULE)?.getattr("setproctitle")?;
    Ok((!module.is_none()).then_some(module))
}

/// This process has given up the rights of root, or keeps them for the application: from here on modules are found as
/// Python finds them.
///
/// # Errors
///
/// [`prepare`] was not called.
pub(crate) fn release(py: Python<'_>) -> PyResult<()> {
    py.import(MODULE)?.call_method0("release").map(drop)
}

/// Calls `import`, which runs the application's code in the arbiter because the operator wants that.
///
/// # Errors
///
/// [`prepare`] was not called.
pub(crate) fn trusting<T>(py: Python<'_>, import: impl FnOnce() -> T) -> PyResult<T> {
    let module = py.import(MODULE)?;
    module.call_method1("trust", (true,))?;
    let imported = import();
    module.call_method1("trust", (false,))?;
    Ok(imported)
}
