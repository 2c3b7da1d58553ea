//! The settings as Python programs handle them: what there is, what a value becomes, what a command line says. And the
//! program that configures the server itself, whose settings are read like those of a conf file.

use pyo3::exceptions::{PySystemExit, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};
use settings::{CommandLine, Layers, Parsed, Value};

use crate::failure::{CONFIGURATION, Failure};
use crate::values;
use crate::{environment, logging};

/// A program with settings and an application of its own: an instance of `oxicorn.app.base.BaseApplication`.
#[derive(Debug)]
pub(crate) struct Embedder(Py<PyAny>);

impl Embedder {
    pub(crate) fn new(application: Py<PyAny>) -> Self {
        Self(application)
    }

    /// The object.
    pub(crate) fn object<'py>(&self, py: Python<'py>) -> &Bound<'py, PyAny> {
        self.0.bind(py)
    }

    /// Another reference to it.
    pub(crate) fn clone_ref(&self, py: Python<'_>) -> Self {
        Self(self.0.clone_ref(py))
    }

    /// What messages call it.
    pub(crate) fn name(&self, py: Python<'_>) -> String {
        values::type_name(self.object(py))
    }

    /// The settings that it gives, hooks included.
    ///
    /// # Errors
    ///
    /// It is no `BaseApplication`.
    pub(crate) fn given<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let given = self.object(py).getattr("cfg")?.getattr("given")?;
        Ok(given.cast_into()?)
    }

    /// Has it read its settings again.
    ///
    /// # Errors
    ///
    /// What it raises.
    pub(crate) fn reload(&self, py: Python<'_>) -> PyResult<()> {
        self.object(py).call_method0("reload").map(drop)
    }
}

/// Every setting: name, section, flags, default. `hook` stands for hooks, which are not set.
///
/// # Errors
///
/// A variable of the environment has a value that its setting does not take.
pub(crate) fn settings<'py>(
    py: Python<'py>,
    hook: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyList>> {
    let config = Layers::new()
        .environment(&environment::variable)
        .resolve()
        .map_err(|error| PyValueError::new_err(error.to_string()))?;
    let rows = PyList::empty(py);
    for setting in settings::table() {
        let default = match config.value(setting.name) {
            Some(value) => values::to_python(py, &value)?,
            None => hook.clone(),
        };
        rows.append((
            setting.name,
            setting.section.title(),
            setting.flags.to_vec(),
            default,
        ))?;
    }
    Ok(rows)
}

/// The value that a setting has when `value` is given to it. Functions and classes are taken as they are: what they are
/// good for shows where they are used.
///
/// # Errors
///
/// `ValueError`: the setting does not take it.
pub(crate) fn check_setting<'py>(
    py: Python<'py>,
    name: &str,
    value: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let given = values::from_python(value);
    if value.is_callable() || matches!(given, Value::Other(_)) {
        return Ok(value.clone());
    }
    let config = Layers::new()
        .conf(vec![(name.to_owned(), given)])
        .resolve()
        .map_err(|error| PyValueError::new_err(error.to_string()))?;
    match config.value(name) {
        Some(value) => values::to_python(py, &value),
        // The name of a hook's function.
        None => Ok(value.clone()),
    }
}

/// What keywords of uvicorn's `Config` are here: settings with their values, and what has no effect, a sentence each.
///
/// # Errors
///
/// There is no memory for the objects.
pub(crate) fn uvicorn_settings<'py>(
    keywords: &Bound<'py, PyDict>,
) -> PyResult<Bound<'py, PyTuple>> {
    let py = keywords.py();
    let pairs = keywords.iter().filter_map(|(key, value)| {
        Some((key.extract::<String>().ok()?, values::from_python(&value)))
    });
    let found = settings::class_settings("uvicorn", pairs.collect());
    let translated = PyDict::new(py);
    for (name, value) in &found.values {
        translated.set_item(name, values::to_python(py, value)?)?;
    }
    (translated, found.notices).into_pyobject(py)
}

/// A command line: the options that were given, by setting, and the positional arguments.
///
/// # Errors
///
/// `SystemExit`, after the help, the version or what is wrong has been written.
pub(crate) fn parse_arguments<'py>(
    py: Python<'py>,
    arguments: &[String],
) -> PyResult<Bound<'py, PyTuple>> {
    let parsed = answered(settings::parse_arguments(arguments));
    let command_line = parsed.map_err(|code| PySystemExit::new_err((code,)))?;
    let options = PyDict::new(py);
    for (name, value) in command_line.given() {
        options.set_item(name, values::to_python(py, value)?)?;
    }
    let positionals: Vec<_> = command_line.app.iter().chain(&command_line.extra).collect();
    (options, positionals).into_pyobject(py)
}

/// Reads a command line that asks for the server; any other is answered, and the error is the exit code.
pub(crate) fn parse(arguments: &[String]) -> Result<CommandLine, i32> {
    answered(settings::parse_command_line(arguments))
}

fn answered(parsed: Parsed) -> Result<CommandLine, i32> {
    /// Columns of a text that is not for a terminal.
    const COLUMNS: usize = 100;
    /// Exit code of arguments that cannot be understood, argparse's.
    const USAGE: i32 = 2;
    match parsed {
        Parsed::Run(command_line) => Ok(command_line),
        Parsed::Help(which) => {
            let text = settings::render::help(which, sys::fds::columns().unwrap_or(COLUMNS));
            Err(logging::say(&text))
        }
        Parsed::Version => Err(logging::say(&format!(
            "oxicorn (version {})\n",
            env!("CARGO_PKG_VERSION")
        ))),
        Parsed::Usage(report) => {
            logging::write_plain(&format!("{report}\n"));
            Err(USAGE)
        }
    }
}

/// What an embedding program raised while it read its settings.
pub(crate) fn unreadable(py: Python<'_>, embedder: &Embedder, error: &PyErr) -> Failure {
    let what = format!("while {} read its settings", embedder.name(py));
    Failure::raised(py, &what, error, CONFIGURATION)
}
