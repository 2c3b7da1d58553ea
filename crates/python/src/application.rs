//! The application: imported from its string, or refused with what is wrong with it.

use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use pyo3::types::IntoPyDict as _;
use settings::{Config, WorkerClass};

use crate::embedding::Embedder;
use crate::failure::{BOOT, Failure};
use crate::forks;
use crate::lock::Plain;
use crate::text;

/// How an application is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Interface {
    /// PEP 3333.
    Wsgi,
    /// ASGI 3.0.
    Asgi,
}

impl Interface {
    /// The number under which a worker reports it; not zero.
    pub(crate) fn number(self) -> u32 {
        match self {
            Self::Wsgi => 1,
            Self::Asgi => 2,
        }
    }
}

impl Plain for Interface {}

/// An application.
#[derive(Debug)]
pub(crate) struct Application {
    pub(crate) callable: Py<PyAny>,
    pub(crate) interface: Interface,
}

/// What importing came to.
pub(crate) enum Loaded {
    /// The application.
    Application(Application),
    /// It cannot be served.
    Refused(Failure),
}

impl Application {
    /// Another reference to it.
    pub(crate) fn clone_ref(&self, py: Python<'_>) -> Application {
        Application {
            callable: self.callable.clone_ref(py),
            interface: self.interface,
        }
    }

    /// What the loader returns: the callable and the name of its interface.
    fn of(pair: &Bound<'_, PyAny>) -> PyResult<Application> {
        let (callable, interface) = pair.extract::<(Py<PyAny>, String)>()?;
        let interface = match interface.as_str() {
            "asgi" => Interface::Asgi,
            _ => Interface::Wsgi,
        };
        Ok(Application {
            callable,
            interface,
        })
    }
}

/// The interface that the worker class serves. Where no class was chosen, the application decides.
pub(crate) fn wanted(config: &Config) -> Option<&'static str> {
    match config.worker_class {
        WorkerClass::Asgi => Some("asgi"),
        _ if config.origins.is_given("worker_class") => Some("wsgi"),
        _ => None,
    }
}

/// What kind of workers there will be, before the application is imported.
pub(crate) fn worker_class(config: &Config) -> String {
    let class = config.effective_worker_class().name();
    match wanted(config) {
        Some(_) => class.to_owned(),
        None => format!("{class} (asgi for an ASGI application)"),
    }
}

/// The class of the workers that run, whose number of an interface is `interface`.
pub(crate) fn running_class(config: &Config, interface: u32) -> &'static str {
    match interface == Interface::Asgi.number() {
        true => WorkerClass::Asgi.name(),
        false => config.effective_worker_class().name(),
    }
}

/// Imports the application that the settings name, or has the embedding program load its own.
///
/// # Errors
///
/// `SystemExit` or `KeyboardInterrupt`, which came while it was imported: from a signal or from its own code.
pub(crate) fn load(
    py: Python<'_>,
    config: &Config,
    embedder: Option<&Embedder>,
) -> PyResult<Loaded> {
    let loader = py.import("oxicorn.app_loader")?;
    let loaded = match (embedder, &config.paste) {
        (Some(embedder), _) => {
            let program = embedder.object(py);
            let make = program.getattr("wsgi")?;
            loader.call_method1("load_by", (make, embedder.name(py), wanted(config)))
        }
        (None, Some(file)) => {
            let variables = config.raw_paste_global_conf.clone().into_py_dict(py)?;
            let file = text::to_python(py, file)?;
            py.import("oxicorn.app.pasterapp")?
                .call_method1("load", (file, variables, wanted(config)))
        }
        (None, None) => {
            let spec = text::to_python(py, config.app.as_deref().unwrap_or_default())?;
            let options = [("factory", config.app_factory)].into_py_dict(py)?;
            loader.call_method("load", (spec, wanted(config)), Some(&options))
        }
    };
    forks::leave_if_stray(py, &loaded);
    let loaded = loaded.and_then(|pair| Application::of(&pair));
    match loaded {
        Ok(application) => Ok(Loaded::Application(application)),
        Err(error) if error.is_instance_of::<PyException>(py) => {
            Ok(Loaded::Refused(refusal(py, &error)))
        }
        Err(error) => Err(error),
    }
}

impl Application {
    /// Has what `app.wsgi()` makes of it in its place: monitoring agents wrap that method of Gunicorn's.
    ///
    /// # Errors
    ///
    /// What an agent raises.
    pub(crate) fn passed_through(
        mut self,
        py: Python<'_>,
        app: &Bound<'_, PyAny>,
    ) -> PyResult<Self> {
        self.callable = py
            .import("oxicorn.compat")?
            .call_method1("application_of", (app, &self.callable))?
            .unbind();
        Ok(self)
    }
}

/// The application that answers with the reason in place of one that cannot be served, until a file changes
/// (`--reload`).
pub(crate) fn stand_in(
    py: Python<'_>,
    config: &Config,
    interface: &str,
    failure: &Failure,
) -> PyResult<Application> {
    let options = [("to_all", config.reload_show_errors)].into_py_dict(py)?;
    let pair = py.import("oxicorn.app_loader")?.call_method(
        "stand_in",
        (interface, &*settings::os_text::shown(&failure.report)),
        Some(&options),
    )?;
    Application::of(&pair)
}

/// Reads an `AppError`. Any other exception is a mistake of the loader and told like one of the application.
pub(crate) fn refusal(py: Python<'_>, error: &PyErr) -> Failure {
    let value = error.value(py);
    let known = || -> PyResult<Failure> {
        Ok(Failure {
            report: text::from_python(&value.str()?),
            code: value.getattr("exit_code")?.extract()?,
        })
    };
    known().unwrap_or_else(|_| raised(py, error))
}

/// What was raised while the application was imported.
pub(crate) fn raised(py: Python<'_>, error: &PyErr) -> Failure {
    Failure::raised(py, "while the application was imported", error, BOOT)
}
