//! `wsgi.errors`: the text stream on which applications leave messages for the operator.

use std::io::Write;
use std::sync::OnceLock;

use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::gateway::arguments::wrong_type;
use crate::gateway::text;
use crate::gateway::unsupported::unsupported;

/// The stream. It has no state: all requests share one.
#[derive(Debug)]
#[pyclass(frozen, module = "oxicorn._oxicorn")]
pub(super) struct ErrorStream;

#[pymethods]
impl ErrorStream {
    /// Writes at once, so that the line stands in the log before the application does anything else.
    fn write(&self, py: Python<'_>, text: &Bound<'_, PyAny>) -> PyResult<usize> {
        let text = text
            .cast::<PyString>()
            .map_err(|_| wrong_type("what is written to wsgi.errors", "a str", text))?;
        let message = text::escaped(text);
        py.detach(|| emit(&message));
        text.len()
    }

    fn writelines(&self, py: Python<'_>, lines: &Bound<'_, PyAny>) -> PyResult<()> {
        for line in lines.try_iter()? {
            self.write(py, &line?)?;
        }
        Ok(())
    }

    /// Nothing is buffered.
    fn flush(&self) {}

    /// The log is the server's, so it stays open.
    fn close(&self) {}

    #[getter]
    fn closed(&self) -> bool {
        false
    }

    fn __enter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, _exception: &Bound<'_, PyAny>) {}

    fn writable(&self) -> bool {
        true
    }

    fn readable(&self) -> bool {
        false
    }

    fn seekable(&self) -> bool {
        false
    }

    /// The text becomes lines of the error log.
    fn isatty(&self) -> bool {
        false
    }

    #[getter]
    fn name(&self) -> &'static str {
        "<wsgi.errors>"
    }

    #[getter]
    fn mode(&self) -> &'static str {
        "w"
    }

    #[getter]
    fn encoding(&self) -> &'static str {
        "utf-8"
    }

    #[getter]
    fn errors(&self) -> &'static str {
        "backslashreplace"
    }

    #[getter]
    fn newlines(&self) -> Option<&'static str> {
        None
    }

    #[getter]
    fn line_buffering(&self) -> bool {
        true
    }

    /// The descriptor of the log is the server's.
    fn fileno(&self, py: Python<'_>) -> PyResult<()> {
        unsupported(py, "fileno")
    }

    fn detach(&self, py: Python<'_>) -> PyResult<()> {
        unsupported(py, "detach")
    }

    #[pyo3(signature = (*_arguments))]
    fn read(&self, py: Python<'_>, _arguments: &Bound<'_, PyAny>) -> PyResult<()> {
        unsupported(py, "read")
    }

    #[pyo3(signature = (*_arguments))]
    fn readline(&self, py: Python<'_>, _arguments: &Bound<'_, PyAny>) -> PyResult<()> {
        unsupported(py, "readline")
    }

    #[pyo3(signature = (*_arguments))]
    fn readlines(&self, py: Python<'_>, _arguments: &Bound<'_, PyAny>) -> PyResult<()> {
        unsupported(py, "readlines")
    }

    fn __iter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<()>> {
        unsupported(py, "readline")
    }

    #[pyo3(signature = (*_arguments))]
    fn seek(&self, py: Python<'_>, _arguments: &Bound<'_, PyAny>) -> PyResult<()> {
        unsupported(py, "seek")
    }

    fn tell(&self, py: Python<'_>) -> PyResult<()> {
        unsupported(py, "tell")
    }

    #[pyo3(signature = (*_arguments))]
    fn truncate(&self, py: Python<'_>, _arguments: &Bound<'_, PyAny>) -> PyResult<()> {
        unsupported(py, "truncate")
    }
}

/// Where the text goes.
static STREAM: OnceLock<fn(&str)> = OnceLock::new();

/// Says where the error log is; until then, and without it, the text goes to standard error.
pub(crate) fn set_error_stream(write: fn(&str)) {
    // Set once when the worker starts; a second worker in this process would mean the same log.
    let _ = STREAM.set(write);
}

fn emit(message: &str) {
    match STREAM.get() {
        Some(write) => write(message),
        // A closed stderr must not hurt the application that reports something.
        None => drop(std::io::stderr().write_all(message.as_bytes())),
    }
}
