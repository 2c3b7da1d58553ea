//! The composition root: puts the settings, the arbiter, the server and the application of the user together inside
//! the user's interpreter. The only crate that names pyo3.

mod accounts;
mod actors;
mod application;
mod asgi;
mod banner;
mod cautions;
mod check;
mod composition;
mod conf_file;
mod controls;
mod django_files;
mod driver;
mod embedding;
mod entry;
mod environment;
mod failure;
mod forks;
mod garbage;
mod gateway;
mod greenlets;
mod hooks;
mod host;
mod imports;
mod local;
mod lock;
mod logging;
mod metrics;
mod references;
mod reload;
mod signals;
mod stacks;
mod text;
mod title;
mod tls;
mod values;
mod worker;
mod worker_class;
mod wsgi;

use pyo3::pymodule;

// A build of CPython without the GIL gets it back: some of what is here is right because of it. A descriptor is
// duplicated before another thread can close it; an object is used again when nothing else refers to it.
/// Oxicorn's native half.
#[pymodule(gil_used = true)]
mod _oxicorn {
    use std::os::fd::{AsFd as _, IntoRawFd as _};
    use std::path::PathBuf;

    use pyo3::prelude::*;
    use pyo3::types::{PyDict, PyList, PyString, PyTuple};

    #[pymodule_export]
    use crate::controls::Controls;
    #[pymodule_export]
    use crate::gateway::{HookRequest, HookResponse, Input};
    #[pymodule_export]
    use crate::local::LocalServer;
    use crate::{embedding, entry, logging, metrics, text};

    /// Arguments, which may hold any bytes.
    fn arguments(argv: &[Bound<'_, PyString>]) -> Vec<String> {
        argv.iter().map(text::from_python).collect()
    }

    /// Runs the command line `argv` (without the program's name) and returns its exit status.
    #[pyfunction]
    fn main(py: Python<'_>, argv: Vec<Bound<'_, PyString>>) -> PyResult<i32> {
        entry::main(py, &arguments(&argv))
    }

    /// Runs the server that `application`, an `oxicorn.app.base.BaseApplication`, configures and brings the application
    /// for, and returns its exit status.
    #[pyfunction]
    fn serve(py: Python<'_>, application: Py<PyAny>) -> PyResult<i32> {
        entry::serve(py, application)
    }

    /// Every setting: name, section, flags, default; `hook` for hooks.
    #[pyfunction]
    fn settings<'py>(py: Python<'py>, hook: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyList>> {
        embedding::settings(py, hook)
    }

    /// The value that the setting `name` has when `value` is given to it.
    #[pyfunction]
    fn check_setting<'py>(
        py: Python<'py>,
        name: &str,
        value: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        embedding::check_setting(py, name, value)
    }

    /// The options of the command line `argv`, by setting, and the application that it names.
    #[pyfunction]
    fn parse_arguments<'py>(
        py: Python<'py>,
        argv: Vec<Bound<'py, PyString>>,
    ) -> PyResult<Bound<'py, PyTuple>> {
        embedding::parse_arguments(py, &arguments(&argv))
    }

    /// What keywords of uvicorn's `Config` are here: settings with values, and a sentence for each without effect.
    #[pyfunction]
    fn uvicorn_settings<'py>(keywords: &Bound<'py, PyDict>) -> PyResult<Bound<'py, PyTuple>> {
        embedding::uvicorn_settings(keywords)
    }

    /// Writes one formatted line to the error log; `level` is that of `logging` and chooses the colour.
    #[pyfunction]
    fn write_log(py: Python<'_>, level: u32, line: &Bound<'_, PyString>) {
        let line = text::from_python(line);
        py.detach(|| logging::write_line(level, &line));
    }

    /// Writes a message to the error log as a line of the server's own, past Python's `logging`.
    #[pyfunction]
    fn say(py: Python<'_>, level: u32, message: &Bound<'_, PyString>) {
        let message = text::from_python(message);
        py.detach(|| logging::tell(level, message));
    }

    /// Opens a file of the log with flags of `os.open`, and returns its descriptor: the `opener` of `open`. Root uses
    /// no rights of its own where others can change a directory.
    #[pyfunction]
    fn open_log(path: PathBuf, flags: i32) -> PyResult<i32> {
        Ok(logging::open_with(&path, flags)?.into_raw_fd())
    }

    /// Gives an open file of the log to the workers' user.
    #[pyfunction]
    fn give_away(file: &Bound<'_, PyAny>) -> PyResult<()> {
        let number = file.call_method0("fileno")?.extract()?;
        logging::give_away(sys::fds::duplicate_number(number)?.as_fd());
        Ok(())
    }

    /// Names the atoms of an access log format that do not exist; None for what the server does not understand.
    #[pyfunction]
    fn unknown_atoms(layout: &Bound<'_, PyString>) -> Option<Vec<String>> {
        server::unknown_atoms(&text::from_python(layout))
    }

    /// Sends a metric, written down without prefix and tags, where `statsd_host` is set.
    #[pyfunction]
    fn send_metric(py: Python<'_>, metric: &Bound<'_, PyString>) {
        let metric = text::from_python(metric);
        if let Some(statsd) = metrics::statsd() {
            py.detach(|| statsd.send_written(&::settings::os_text::shown(&metric)));
        }
    }

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
