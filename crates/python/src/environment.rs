//! What the application finds round it: the directory, `sys.path`, environment variables. Set before the application
//! is imported, in the arbiter, so that all workers inherit it.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;
use settings::{Config, os_text};
use sys::beneath::Directory;

use crate::accounts::read_for_workers;
use crate::failure::Failure;
use crate::text;

/// What the environment held before the settings changed it, so that a reload starts from the same.
#[derive(Debug, Default)]
pub(crate) struct Environment {
    before: Vec<(Py<PyAny>, Option<Py<PyAny>>)>,
}

/// A variable that settings are read from; `PWD` only where it really is the current directory.
pub(crate) fn variable(name: &str) -> Option<String> {
    match name {
        "PWD" => working_directory().map(|path| os_text::from_os(path.as_os_str())),
        name => std::env::var_os(name).map(|value| os_text::from_os(&value)),
    }
}

/// The directory in which the server was started: `PWD`, which keeps the symbolic links that the operator went
/// through, where it really is that directory.
pub(crate) fn working_directory() -> Option<PathBuf> {
    let actual = std::env::current_dir().ok();
    let named = std::env::var_os("PWD").map(PathBuf::from);
    match (named, actual) {
        (Some(named), Some(actual)) if is_same(&named, &actual) => Some(named),
        (_, actual) => actual,
    }
}

fn is_same(one: &Path, other: &Path) -> bool {
    match (one.metadata(), other.metadata()) {
        (Ok(one), Ok(other)) => (one.dev(), one.ino()) == (other.dev(), other.ino()),
        _ => false,
    }
}

/// Has modules of a directory found, before all others unless `sys.path` has it already: PYTHONPATH may name
/// directories that come first, as with Gunicorn.
pub(crate) fn import_from(py: Python<'_>, directory: &Path) -> PyResult<()> {
    let path = py.import("sys")?.getattr("path")?;
    let is_known = path
        .call_method1("__contains__", (text::path(py, directory)?,))?
        .is_truthy()?;
    if !is_known {
        path.call_method1("insert", (0, text::path(py, directory)?))?;
    }
    Ok(())
}

/// The directories of files that the server serves have to be there.
fn directories(config: &Config) -> Result<(), Failure> {
    for (name, mounts) in [
        ("static", &config.static_files),
        ("spa", &config.spa),
        ("sendfile_root", &config.sendfile_root),
    ] {
        for mount in mounts {
            let place = &mount.directory;
            if let Err(error) = Directory::open(place) {
                let reason = format!("{}: {}", place.display(), sys::files::reason(place, &error));
                return Err(Failure::from(config.unusable(name, reason)));
            }
        }
    }
    Ok(())
}

impl Environment {
    /// Changes to the directory and sets paths and variables as the settings say.
    ///
    /// # Errors
    ///
    /// The directory cannot be entered, or a variable cannot be set.
    pub(crate) fn prepare(&mut self, py: Python<'_>, config: &Config) -> Result<(), Failure> {
        let os = py.import("os").map_err(|error| unforeseen(&error))?;
        text::path(py, &config.chdir)
            .and_then(|directory| os.call_method1("chdir", (directory,)))
            .map_err(|error| {
                let reason = match config.chdir.exists() {
                    true => reason(py, &error),
                    false => "no such directory".to_owned(),
                };
                Failure::from(config.unusable("chdir", reason))
            })?;
        directories(config)?;
        self.paths(py, config).map_err(|error| unforeseen(&error))?;
        self.restore(py, &os).map_err(|error| unforeseen(&error))?;
        let filed = self.filed(&os, config)?;
        self.variables(py, &os, &filed, config)
    }

    fn paths(&self, py: Python<'_>, config: &Config) -> PyResult<()> {
        import_from(py, &config.chdir)?;
        for entry in &config.pythonpath {
            import_from(py, &config.chdir.join(os_text::to_os(entry)))?;
        }
        Ok(())
    }

    /// Brings back what the last reading of the settings changed.
    fn restore(&mut self, py: Python<'_>, os: &Bound<'_, PyModule>) -> PyResult<()> {
        let environ = os.getattr("environ")?;
        for (name, value) in self.before.drain(..).rev() {
            match value {
                Some(value) => environ.set_item(name, value)?,
                None => drop(environ.call_method1("pop", (name, py.None()))?),
            }
        }
        Ok(())
    }

    /// The variables of `env_file` that the environment does not have.
    fn filed(
        &self,
        os: &Bound<'_, PyModule>,
        config: &Config,
    ) -> Result<Vec<(String, String)>, Failure> {
        let Some(path) = &config.env_file else {
            return Ok(Vec::new());
        };
        let shown = path.display();
        let text = read_for_workers(config, &config.chdir.join(path)).map_err(|error| {
            let reason = sys::files::reason(path, &error);
            Failure::configuration(format!("env_file: {shown} cannot be read: {reason}"))
        })?;
        let known = |name: &str| {
            let name = text::to_python(os.py(), name).ok()?;
            text::extract(&os.call_method1("getenv", (name,)).ok()?).ok()
        };
        let found = settings::parse_env_file(&text, &known).map_err(|line| {
            Failure::configuration(format!(
                "env_file: line {line} of {shown} is not NAME=VALUE"
            ))
        })?;
        let unknown = found.into_iter().filter(|(name, _)| known(name).is_none());
        Ok(unknown.collect())
    }

    /// Through `os.environ`, so that Python's copy and the process agree.
    fn variables(
        &mut self,
        py: Python<'_>,
        os: &Bound<'_, PyModule>,
        filed: &[(String, String)],
        config: &Config,
    ) -> Result<(), Failure> {
        software(py)
            .and_then(|software| self.set(os, "SERVER_SOFTWARE", software))
            .map_err(|error| unforeseen(&error))?;
        for (setting, variables) in [("env_file", filed), ("raw_env", &config.raw_env)] {
            for (name, value) in variables {
                let given = text::to_python(py, value);
                let set = given.and_then(|value| self.set(os, name, value));
                set.map_err(|error| {
                    let reason = reason(py, &error);
                    Failure::configuration(format!("{setting}: {name} cannot be set: {reason}"))
                })?;
            }
        }
        Ok(())
    }

    fn set<'py>(
        &mut self,
        os: &Bound<'py, PyModule>,
        name: &str,
        value: impl IntoPyObject<'py>,
    ) -> PyResult<()> {
        let environ = os.getattr("environ")?;
        let name = text::to_python(os.py(), name)?;
        let before = environ.call_method1("get", (&name,))?;
        let before = (!before.is_none()).then(|| before.unbind());
        self.before.push((name.clone().into_any().unbind(), before));
        environ.set_item(name, value)
    }
}

/// What the environ and the environment call the server: its name and version, or what the user's code has put in the
/// place of `gunicorn.SERVER_SOFTWARE`.
pub(crate) fn software(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    let renamed = py
        .import("oxicorn.compat")?
        .call_method1("renamed", ("SERVER_SOFTWARE",))?;
    match renamed.is_none() {
        true => py.import("oxicorn")?.getattr("SERVER_SOFTWARE"),
        false => Ok(renamed),
    }
}

/// What the system says, without Python's way of saying it.
fn reason(py: Python<'_>, error: &PyErr) -> String {
    let text = match error.is_instance_of::<PyOSError>(py) {
        true => error
            .value(py)
            .getattr("strerror")
            .and_then(|reason| text::extract(&reason)),
        false => Ok(text::of(error.value(py))),
    };
    text.unwrap_or_else(|_| error.to_string())
}

fn unforeseen(error: &PyErr) -> Failure {
    Failure::configuration(format!("Python cannot be set up: {error}"))
}
