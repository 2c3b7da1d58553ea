//! The Python objects that hooks receive: the settings, the log, the arbiter, the workers.

use std::collections::BTreeMap;
use std::os::fd::AsRawFd as _;

use arbiter::Listener;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString};
use settings::{Config, Source};

use crate::accounts::Accounts;
use crate::embedding::Embedder;
use crate::hooks::Hooks;
use crate::{application, imports, logging, text, values};

/// The objects of one process, shared by all hooks.
pub(crate) struct Actors {
    server: Py<PyAny>,
    log: Py<PyAny>,
    /// Workers that are alive, by pid, as `server.WORKERS` has them.
    workers: BTreeMap<i32, Py<PyAny>>,
    /// The worker that is about to be forked.
    next: Option<Py<PyAny>>,
}

/// Sets Python's `logging` up as the settings say, for `--check-config`.
///
/// # Errors
///
/// A setting that cannot work, or what a logger class raises.
pub(crate) fn check_logging(py: Python<'_>, config: &Config, hooks: &Hooks) -> PyResult<()> {
    let cfg = settings_object(py, config, hooks)?;
    py.import("oxicorn.glogging")?
        .call_method1("make", (cfg,))
        .map(drop)
}

impl Actors {
    /// Makes the objects for the arbiter of this process, and sets the Python loggers up.
    pub(crate) fn new(
        py: Python<'_>,
        config: &Config,
        hooks: &Hooks,
        embedder: Option<&Embedder>,
    ) -> PyResult<Self> {
        if application::wanted(config) != Some("wsgi") {
            // Where the application decides, it has imported modules of its own before it is known.
            imports::load(py, "oxicorn.asgi")?;
        }
        let cfg = settings_object(py, config, hooks)?;
        let log = py
            .import("oxicorn.glogging")?
            .call_method1("make", (&cfg,))?;
        logging::follow(py, &log)?;
        let app = match embedder {
            Some(embedder) => embedder.object(py).clone(),
            None => py
                .import("oxicorn.app.wsgiapp")?
                .getattr("WSGIApplication")?
                .call_method1("over", (&cfg, app_string(py, config)?))?,
        };
        let server = py
            .import("oxicorn.arbiter")?
            .getattr("Arbiter")?
            .call1((app,))?;
        server.setattr("cfg", &cfg)?;
        server.setattr("log", &log)?;
        Ok(Self {
            server: server.unbind(),
            log: log.unbind(),
            workers: BTreeMap::new(),
            next: None,
        })
    }

    /// Takes over settings that were read again.
    pub(crate) fn reload(&self, py: Python<'_>, config: &Config, hooks: &Hooks) -> PyResult<()> {
        let cfg = settings_object(py, config, hooks)?;
        self.log.bind(py).call_method1("setup", (&cfg,))?;
        logging::follow(py, self.log.bind(py))?;
        let server = self.server.bind(py);
        server.setattr("_num_workers", config.workers)?;
        server.setattr("cfg", &cfg)?;
        server.getattr("app")?.setattr("cfg", cfg)
    }

    /// The log.
    pub(crate) fn log<'py>(&self, py: Python<'py>) -> &Bound<'py, PyAny> {
        self.log.bind(py)
    }

    /// The arbiter.
    pub(crate) fn server<'py>(&self, py: Python<'py>) -> &Bound<'py, PyAny> {
        self.server.bind(py)
    }

    /// Makes the object of the worker that is about to be forked.
    pub(crate) fn prepare_worker(
        &mut self,
        py: Python<'_>,
        age: u64,
        hooks: &Hooks,
    ) -> PyResult<Py<PyAny>> {
        let server = self.server.bind(py);
        let cfg = server.getattr("cfg")?;
        let arguments = (
            age,
            server.getattr("pid")?,
            server.getattr("LISTENERS")?,
            server.getattr("app")?,
            // Half of it, as Gunicorn's workers have it: that is how often theirs give a sign of life.
            cfg.getattr("timeout")?.div(2)?,
            cfg,
            &self.log,
        );
        let class = match &hooks.worker_class {
            Some(class) => class.bind(py).clone(),
            None => py.import("oxicorn.workers.base")?.getattr("Worker")?,
        };
        let worker = class.call1(arguments)?.unbind();
        server.setattr("worker_age", age)?;
        self.next = Some(worker.clone_ref(py));
        Ok(worker)
    }

    /// Takes the prepared worker, in the process that is it.
    pub(crate) fn adopt_worker(
        &mut self,
        py: Python<'_>,
        age: u64,
        max_requests: u64,
        hooks: &Hooks,
    ) -> PyResult<Py<PyAny>> {
        let worker = match self.next.take() {
            Some(worker) => worker,
            None => self.prepare_worker(py, age, hooks)?,
        };
        worker.call_method1(py, "_adopt", (max_requests,))?;
        Ok(worker)
    }

    /// Notes that the prepared worker is alive, in the arbiter.
    pub(crate) fn worker_started(&mut self, py: Python<'_>, pid: i32) -> PyResult<()> {
        if let Some(worker) = self.next.take() {
            worker.setattr(py, "pid", pid)?;
            self.workers.insert(pid, worker);
        }
        self.publish(py)
    }

    /// Forgets a worker that has ended and returns its object.
    pub(crate) fn worker_ended(&mut self, py: Python<'_>, pid: i32) -> PyResult<Option<Py<PyAny>>> {
        let worker = self.workers.remove(&pid);
        self.publish(py)?;
        Ok(worker)
    }

    /// Shows which workers are to stay.
    pub(crate) fn staying(&self, py: Python<'_>, pids: &[i32]) -> PyResult<()> {
        for (pid, worker) in &self.workers {
            worker.setattr(py, "_alive", pids.contains(pid))?;
        }
        Ok(())
    }

    /// Shows what is listened on.
    pub(crate) fn listening(
        &self,
        py: Python<'_>,
        config: &Config,
        listeners: &[Listener],
    ) -> PyResult<()> {
        let class = py.import("oxicorn.sock")?.getattr("Listener")?;
        let shown = PyList::empty(py);
        for listener in listeners {
            let address = listener.address();
            let number = listener.socket().as_raw_fd();
            shown.append(class.call1((number, address.spelling(), config.shown(address)))?)?;
        }
        self.server.bind(py).setattr("LISTENERS", shown)
    }

    fn publish(&self, py: Python<'_>) -> PyResult<()> {
        let known = PyDict::new(py);
        for (pid, worker) in &self.workers {
            known.set_item(pid, worker)?;
        }
        self.server.bind(py).setattr("WORKERS", known)
    }
}

/// The application string, where there is one.
fn app_string<'py>(py: Python<'py>, config: &Config) -> PyResult<Option<Bound<'py, PyString>>> {
    let app = config.app.as_deref();
    app.map(|app| text::to_python(py, app)).transpose()
}

/// `server.cfg`: every setting under its name, hooks included.
fn settings_object<'py>(
    py: Python<'py>,
    config: &Config,
    hooks: &Hooks,
) -> PyResult<Bound<'py, PyAny>> {
    let attributes = PyDict::new(py);
    for setting in settings::table() {
        if let Some(value) = config.value(setting.name) {
            attributes.set_item(setting.name, values::to_python(py, &value)?)?;
        }
    }
    for (name, function) in hooks.iter() {
        attributes.set_item(name, function)?;
    }
    if let Ok(accounts) = Accounts::of(config) {
        // Always numbers: classes made for Gunicorn hand them to `os.chown`.
        attributes.set_item("user", accounts.uid())?;
        attributes.set_item("group", accounts.gid())?;
    }
    for (name, object) in hooks.objects() {
        // A name on the command line is stronger than an object in the conf file.
        if matches!(config.origins.of(name), Source::ConfFile(_)) {
            attributes.set_item(name, object)?;
        }
    }
    if let Some(app) = &config.app {
        // As Gunicorn has it: what stands in for `proc_name` is what is served.
        attributes.set_item("default_proc_name", text::to_python(py, app)?)?;
    }
    py.import("oxicorn.config")?
        .getattr("Config")?
        .call_method1("of", (attributes,))
}
