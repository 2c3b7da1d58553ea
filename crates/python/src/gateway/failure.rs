//! What the log says of an exception that left an application or a hook.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use server::Exchange;

use crate::metrics;

/// Logs the traceback in Gunicorn's words, through the logger and so through `gunicorn.error` of Python's `logging`:
/// that is where error trackers hang their handlers.
pub(crate) fn report(py: Python<'_>, request: &str, ids: &[(&str, String)], error: &PyErr) {
    let told = || -> PyResult<()> {
        let options = PyDict::new(py);
        let exception = (error.get_type(py), error.value(py), error.traceback(py));
        options.set_item(intern!(py, "exc_info"), exception)?;
        if !ids.is_empty() {
            let extra = PyDict::new(py);
            for (name, id) in ids {
                extra.set_item(name, id)?;
            }
            options.set_item(intern!(py, "extra"), extra)?;
        }
        let arguments = ("Error handling request %s", request);
        match crate::logging::logger(py) {
            Some(logger) => logger.call_method(intern!(py, "exception"), arguments, Some(&options)),
            None => py
                .import(intern!(py, "logging"))?
                .call_method1(intern!(py, "getLogger"), ("gunicorn.error",))?
                .call_method(intern!(py, "error"), arguments, Some(&options)),
        }
        .map(drop)
    };
    if told().is_err() {
        let traceback = traceback(py, error);
        log::error!(target: metrics::EXCEPTION, "Error handling request {request}\n{traceback}");
    }
}

/// The ids that a request carries, under the names that records of the log have for them.
pub(crate) fn ids(exchange: &Exchange) -> Ids {
    let text = |id: &[u8]| String::from_utf8_lossy(id).into_owned();
    let mut ids = Vec::new();
    if let Some(id) = exchange.request_id() {
        ids.push(("request_id", text(id)));
    }
    if let Some((trace, span)) = exchange.trace_ids() {
        ids.push(("trace_id", text(trace)));
        ids.push(("span_id", text(span)));
    }
    ids
}

/// Names and ids.
pub(crate) type Ids = Vec<(&'static str, String)>;

/// Whether an exception is what ends a greenlet that is killed. It is no failure of the application.
pub(crate) fn is_greenlet_exit(py: Python<'_>, error: &PyErr) -> bool {
    // Where nothing has imported the library there is no such exception.
    let class = || -> PyResult<Option<Bound<'_, PyAny>>> {
        let modules = py.import(intern!(py, "sys"))?.getattr("modules")?;
        match modules.cast::<PyDict>()?.get_item("greenlet")? {
            Some(module) => module.getattr("GreenletExit").map(Some),
            None => Ok(None),
        }
    };
    matches!(class(), Ok(Some(class)) if error.value(py).is_instance(&class).unwrap_or(false))
}

/// A traceback as Python prints it, without the last line end.
pub(crate) fn traceback(py: Python<'_>, error: &PyErr) -> String {
    match format(py, error) {
        Ok(mut text) => {
            text.truncate(text.trim_end().len());
            text
        }
        // The exception's own `__str__` may raise, or memory may be out: its type is better than nothing.
        Err(_) => error.to_string(),
    }
}

fn format(py: Python<'_>, error: &PyErr) -> PyResult<String> {
    let value = error.value(py);
    let arguments = (value.get_type(), value, error.traceback(py));
    let lines = py
        .import(intern!(py, "traceback"))?
        .call_method1(intern!(py, "format_exception"), arguments)?;
    let text = PyString::new(py, "").call_method1(intern!(py, "join"), (lines,))?;
    Ok(text.cast::<PyString>()?.to_string_lossy().into_owned())
}
