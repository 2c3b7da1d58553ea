//! A worker class of the user's own. One that extends a class of uvicorn's is an asgi worker with the settings that its
//! `CONFIG_KWARGS` name; its methods are never run. One that extends `SyncWorker` or `ThreadWorker` is run, where it
//! overrides nothing that the server would not call. Every other is refused.

use pyo3::prelude::*;
use pyo3::types::PyDict;
use settings::{ClassSettings, class_settings};

use crate::failure::Failure;
use crate::values;

/// What a class turned out to be.
pub(crate) struct Found {
    /// The class that runs in its place, or that it extends, by the name that `worker_class` knows.
    pub(crate) runs_as: String,
    /// What it says of the settings.
    pub(crate) settings: ClassSettings,
    /// The class itself, where its methods are called.
    pub(crate) class: Option<Py<PyAny>>,
}

/// Looks at the class `name`. Its module has to be importable already.
///
/// # Errors
///
/// It cannot be imported, or is no class that Oxicorn can run or stand in for.
pub(crate) fn look_up(py: Python<'_>, name: &str) -> Result<Found, Failure> {
    let described = describe(py, name).map_err(|error| {
        let what = format!("worker_class: {name} cannot be imported: {error}");
        Failure::configuration(format!(
            "{what}\n  hint: sync, gthread and asgi are there; classes that bring a loop of their own cannot run"
        ))
    })?;
    let (class, keywords, methods) = described;
    let Some(keywords) = keywords else {
        return extended(py, name, class);
    };
    let pairs = keywords.iter().filter_map(|(key, value)| {
        Some((key.extract::<String>().ok()?, values::from_python(&value)))
    });
    let mut settings = class_settings(name, pairs.collect());
    if !methods.is_empty() {
        let methods = methods.join(", ");
        settings.cautions.push(format!(
            "{methods} of {name} will not be called: an asgi worker of Oxicorn runs in its place"
        ));
    }
    Ok(Found {
        runs_as: "uvicorn.workers.UvicornWorker".to_owned(),
        settings,
        class: None,
    })
}

type Description<'py> = (Bound<'py, PyAny>, Option<Bound<'py, PyDict>>, Vec<String>);

fn describe<'py>(py: Python<'py>, name: &str) -> PyResult<Description<'py>> {
    py.import("oxicorn.workers.uvicorn")?
        .call_method1("describe", (name,))?
        .extract()
}

/// A class that extends one of ours.
fn extended(py: Python<'_>, name: &str, class: Bound<'_, PyAny>) -> Result<Found, Failure> {
    let runs_as = py
        .import("oxicorn.workers.own")
        .and_then(|own| own.call_method1("runs_as", (&class, name))?.extract());
    let refused =
        |error: PyErr| Failure::configuration(format!("worker_class: {}", error.value(py)));
    Ok(Found {
        runs_as: runs_as.map_err(refused)?,
        settings: ClassSettings::default(),
        class: Some(class.unbind()),
    })
}
