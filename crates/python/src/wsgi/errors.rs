//! `wsgi.errors`: the text stream on which applications leave messages for the operator.

use std::io::Write;
use std::sync::OnceLock;

use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::arguments::wrong_type;

/// The stream. It has no state: all requests share one.
#[derive(Debug)]
#[pyclass(frozen, module = "oxicorn._oxicorn")]
pub(super) struct ErrorStream;

#[pymethods]
impl ErrorStream {
    /// Writes at once, so that the line stands in the log before whatever the application does next.
    fn write(&self, py: Python<'_>, text: &Bound<'_, PyAny>) -> PyResult<usize> {
        let text = text
            .cast::<PyString>()
            .map_err(|_| wrong_type("what is written to wsgi.errors", "a str", text))?;
        // Lone surrogates are replaced: a message that cannot be encoded is still better than an exception in an error handler.
        let message = text.to_string_lossy();
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
