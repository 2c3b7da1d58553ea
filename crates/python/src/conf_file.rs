//! Conf files: Python, executed. It finds the file, runs it as the module `__config__`, and hands over what it defines;
//! what the values mean is the business of the settings.

use std::fs;
use std::path::{Path, PathBuf};

use pyo3::exceptions::{PyModuleNotFoundError, PySystemExit};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyModule, PyType};
use settings::{Value, os_text};

use crate::failure::{self, Failure};
use crate::forks;
use crate::hooks::Hooks;
use crate::{text, values};

/// The names under which a conf file is found by itself, in the directory where the server is started.
const DEFAULT_NAMES: [&str; 2] = ["oxicorn.conf.py", "gunicorn.conf.py"];

/// Where the configuration is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Location {
    /// A file; absolute, so that a reload after `--chdir` finds it again.
    File {
        /// As the operator wrote it, for messages.
        name: String,
        /// Where it is.
        path: PathBuf,
    },
    /// A module that Python finds.
    Module(String),
}

impl Location {
    /// Reads `-c`: `PATH`, `file:PATH` or `python:MODULE`. Without it, a file with a default name, if there is one.
    pub(crate) fn find(given: Option<&str>) -> Result<Option<Self>, Failure> {
        let Some(given) = given else {
            let found = DEFAULT_NAMES
                .into_iter()
                .find(|name| Path::new(name).is_file());
            return found.map(Self::file).transpose();
        };
        match given.strip_prefix("python:") {
            Some(module) => Ok(Some(Self::Module(module.to_owned()))),
            None => match given.strip_prefix("file:").unwrap_or(given) {
                // `-c ''` switches the default file off.
                "" => Ok(None),
                path => Self::file(path).map(Some),
            },
        }
    }

    fn file(name: &str) -> Result<Self, Failure> {
        let path = std::path::absolute(os_text::to_os(name))
            .map_err(|error| Failure::configuration(format!("{name}: cannot be read: {error}")))?;
        Ok(Self::File {
            name: name.to_owned(),
            path,
        })
    }

    /// The file that it was read from.
    pub(crate) fn path(&self, py: Python<'_>) -> Option<PathBuf> {
        match self {
            Self::File { path, .. } => Some(path.clone()),
            Self::Module(name) => py
                .import(name.as_str())
                .ok()?
                .filename()
                .ok()?
                .extract()
                .ok(),
        }
    }

    /// The whole path, or the module.
    pub(crate) fn spelled_out(&self) -> String {
        match self {
            Self::File { path, .. } => path.display().to_string(),
            Self::Module(name) => format!("python:{name}"),
        }
    }

    /// What messages call it.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::File { name, .. } => name,
            Self::Module(name) => name,
        }
    }
}

/// What a conf file defines.
pub(crate) struct ConfFile {
    /// Its names with their values, those of hooks included.
    pub(crate) values: Vec<(String, Value)>,
    /// Its hooks.
    pub(crate) hooks: Hooks,
    /// Names that look like a slip, one sentence each.
    pub(crate) slips: Vec<String>,
    /// Hooks that cannot be called.
    pub(crate) mistakes: Vec<Failure>,
}

/// Runs the conf file and collects what it defines.
///
/// # Errors
///
/// The file does not exist, cannot be read, or raises.
pub(crate) fn load(py: Python<'_>, location: &Location) -> Result<ConfFile, Failure> {
    let names = match location {
        Location::File { name, path } => run(py, name, path),
        Location::Module(module) => import(py, module),
    };
    // An application that asks whether uvicorn is there must be told the truth.
    let withdrawn = py
        .import("oxicorn.workers.uvicorn")
        .and_then(|module| module.call_method0("withdraw"));
    withdrawn.map_err(|error| raised(py, location.name(), &error))?;
    Ok(collect(&names?, location.name()))
}

/// Sorts what `source` defines into values, hooks and slips.
pub(crate) fn collect(names: &Bound<'_, PyDict>, source: &str) -> ConfFile {
    let (hooks, mistakes) = Hooks::from_conf(names, source);
    let mut file = ConfFile {
        values: Vec::new(),
        hooks,
        slips: Vec::new(),
        mistakes,
    };
    for (key, value) in names {
        let Ok(name) = key.extract::<String>() else {
            continue;
        };
        // No setting is a module: a file that says `import gc` means Python's.
        if name.starts_with("__") || value.is_instance_of::<PyModule>() {
            continue;
        }
        let value = match class_name(&name, &value) {
            Some(name) => Value::Str(name),
            None => values::from_python(&value),
        };
        if let (Some(setting), false) =
            (settings::near_miss(&name), matches!(value, Value::Other(_)))
        {
            file.slips.push(format!(
                "{source}: {name} is not a setting; did you mean {setting}?"
            ));
        }
        file.values.push((name, value));
    }
    file
}

/// A name for a worker class that is given as itself, under which it is found again.
fn class_name(name: &str, value: &Bound<'_, PyAny>) -> Option<String> {
    if name != "worker_class" || !value.is_instance_of::<PyType>() {
        return None;
    }
    let named = value
        .py()
        .import("oxicorn.workers.uvicorn")
        .and_then(|module| module.call_method1("name_class", (value,))?.extract());
    named.ok()
}

fn run<'py>(py: Python<'py>, name: &str, path: &Path) -> Result<Bound<'py, PyDict>, Failure> {
    let source = fs::read(path).map_err(|error| unreadable(name, &error))?;
    let executed = || -> PyResult<Bound<'py, PyDict>> {
        let module = PyModule::new(py, "__config__")?;
        module.setattr("__file__", text::path(py, path)?)?;
        py.import("sys")?
            .getattr("modules")?
            .set_item("__config__", &module)?;
        let builtins = py.import("builtins")?;
        // Bytes, so that Python honours the file's own declaration of its encoding.
        let code = builtins.call_method1(
            "compile",
            (PyBytes::new(py, &source), text::path(py, path)?, "exec"),
        )?;
        builtins.call_method1("exec", (code, module.dict()))?;
        Ok(module.dict())
    };
    let executed = executed();
    forks::leave_if_stray(py, &executed);
    executed.map_err(|error| raised(py, name, &error))
}

fn import<'py>(py: Python<'py>, name: &str) -> Result<Bound<'py, PyDict>, Failure> {
    let imported = || -> PyResult<Bound<'py, PyDict>> {
        let importlib = py.import("importlib")?;
        let known = py
            .import("sys")?
            .getattr("modules")?
            .call_method1("get", (name,))?;
        // A reload of the server reads the module again.
        let module = match known.is_none() {
            true => importlib.call_method1("import_module", (name,))?,
            false => importlib.call_method1("reload", (known,))?,
        };
        Ok(module.cast_into::<PyModule>()?.dict())
    };
    let imported = imported();
    forks::leave_if_stray(py, &imported);
    imported.map_err(|error| match is_missing(py, name, &error) {
        true => Failure::configuration(format!(
            "the conf file python:{name} does not exist: there is no module of this name"
        )),
        false => raised(py, name, &error),
    })
}

fn raised(py: Python<'_>, name: &str, error: &PyErr) -> Failure {
    if error.is_instance_of::<PySystemExit>(py) {
        return left(py, name, error);
    }
    let what = format!("while the conf file {name} was read");
    Failure::raised(py, &what, error, failure::CONFIGURATION)
}

/// The conf file has called `sys.exit`: with a sentence for the operator, or with an exit code, which both are heard.
fn left(py: Python<'_>, name: &str, exit: &PyErr) -> Failure {
    let reason = exit
        .value(py)
        .getattr("code")
        .unwrap_or_else(|_| py.None().into_bound(py));
    let code = if reason.is_none() {
        Some(0)
    } else {
        reason.extract().ok()
    };
    let report = match code {
        Some(code) => format!("the conf file {name} has ended the start by sys.exit({code})"),
        None => text::of(&reason),
    };
    let code = code.unwrap_or(failure::CONFIGURATION);
    Failure { report, code }
}

/// Whether `error` says that the module itself is not there, or a package that it would be in.
fn is_missing(py: Python<'_>, module: &str, error: &PyErr) -> bool {
    let missing = || error.value(py).getattr("name")?.extract::<String>();
    error.is_instance_of::<PyModuleNotFoundError>(py)
        && missing().is_ok_and(|missing| {
            let rest = module.strip_prefix(&missing);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        })
}

fn unreadable(name: &str, error: &std::io::Error) -> Failure {
    match error.kind() {
        std::io::ErrorKind::NotFound => {
            Failure::configuration(format!("the conf file {name} does not exist"))
        }
        _ => {
            let reason = sys::files::sentence(error);
            Failure::configuration(format!("the conf file {name} cannot be read: {reason}"))
        }
    }
}
