//! A worker class of the user's own. One that extends a class of uvicorn's is an asgi worker with the settings that its
//! `CONFIG_KWARGS` name; its methods are never run. Every other is refused.

use pyo3::prelude::*;
use pyo3::types::PyDict;
use settings::{ClassSettings, Value, WorkerClass, class_settings};

use crate::failure::Failure;
use crate::values;

/// What runs in the place of a class of uvicorn's family.
pub(crate) const RUNS_AS: &str = "uvicorn.workers.UvicornWorker";

/// What the class says. Its module has to be importable already.
///
/// # Errors
///
/// It cannot be imported, or is no class that Oxicorn can stand in for.
pub(crate) fn look_up(py: Python<'_>, name: &str) -> Result<ClassSettings, Failure> {
    let (keywords, methods) = describe(py, name).map_err(|error| {
        Failure::configuration(format!("worker_class: {name} cannot be imported: {error}"))
    })?;
    let Some(keywords) = keywords else {
        return Err(Failure::configuration(format!(
            "worker_class: {name} is a class that Oxicorn cannot run\n  hint: expected {}, or a class that extends {RUNS_AS}",
            WorkerClass::ACCEPTED
        )));
    };
    let mut settings = class_settings(name, keywords);
    if !methods.is_empty() {
        let methods = methods.join(", ");
        settings.cautions.push(format!(
            "{methods} of {name} will not be called: an asgi worker of Oxicorn runs in its place"
        ));
    }
    Ok(settings)
}

type Description = (Option<Vec<(String, Value)>>, Vec<String>);

fn describe(py: Python<'_>, name: &str) -> PyResult<Description> {
    let (keywords, methods) = py
        .import("oxicorn.workers.uvicorn")?
        .call_method1("describe", (name,))?
        .extract::<(Option<Bound<'_, PyDict>>, Vec<String>)>()?;
    let pair = |(key, value): (Bound<'_, PyAny>, Bound<'_, PyAny>)| {
        Ok((key.extract::<String>()?, values::from_python(&value)))
    };
    let keywords = keywords.map(|keywords| keywords.iter().map(pair).collect::<PyResult<_>>());
    Ok((keywords.transpose()?, methods))
}
