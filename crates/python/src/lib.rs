//! The composition root: puts the settings, the arbiter, the server and the application of the user together inside
//! the user's interpreter. The only crate that names pyo3.

mod actors;
mod application;
mod asgi;
mod banner;
mod composition;
mod conf_file;
mod driver;
mod entry;
mod environment;
mod failure;
mod hooks;
mod host;
mod logging;
mod signals;
mod title;
mod values;
mod worker;
mod worker_class;
mod wsgi;

use pyo3::pymodule;

/// Oxicorn's native half.
#[pymodule]
mod _oxicorn {
    use pyo3::prelude::*;

    use crate::{entry, logging};

    /// Runs the command line `argv` (without the program's name) and returns its exit status.
    #[pyfunction]
    fn main(py: Python<'_>, argv: Vec<String>) -> PyResult<i32> {
        entry::main(py, &argv)
    }

    /// Writes one formatted line to the error log; `level` is that of `logging` and chooses the colour.
    #[pyfunction]
    fn write_log(py: Python<'_>, level: u32, line: &str) {
        py.detach(|| logging::write_line(level, line));
    }

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
