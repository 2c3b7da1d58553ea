//! What the arbiter asks of the user's side: settings, hooks, forks through Python, workers.

use std::collections::HashSet;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arbiter::{Admin, Boot, EXIT_APP_LOAD, Fork, Host, Listener, Metric, Moment, WorkerSeat};
use pyo3::exceptions::PySystemExit;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use server::request_metrics;
use settings::{Config, WorkerClass};
use sys::files::reason;

use crate::accounts::identity;
use crate::application::{self, Application, Interface, Loaded};
use crate::composition::{Composition, InForce, Resolved};
use crate::embedding::Embedder;
use crate::failure::{Failure, traceback};
use crate::logging::{self, Banner};
use crate::worker::Worker;
use crate::{banner, failure, garbage, greenlets, imports, metrics, text, title, tls};

impl Host for Composition {
    fn load_config(&mut self) -> Result<Config, String> {
        Python::attach(|py| self.reload(py)).map_err(|failure| failure.report)
    }

    fn abandon_config(&mut self) {
        let Some(before) = self.previous.pop() else {
            return;
        };
        let resolved = Python::attach(|py| self.put_in_force(py, before));
        if let Err(failure) = resolved {
            log::error!("The settings before the reload could not be brought back: {failure}");
        }
    }

    fn settle_config(&mut self) {
        self.previous.clear();
    }

    fn listening(&mut self, listeners: &[Listener]) {
        if logging::is_banner_standing() {
            let python = Python::version_str();
            logging::write_plain(&banner::opening(&self.config, listeners, python));
        }
        Python::attach(|py| {
            if let Err(error) = self.actors.listening(py, &self.config, listeners) {
                log::error!("server.LISTENERS:\n{}", traceback(py, &error));
            }
        });
    }

    fn staying(&mut self, pids: &[i32]) {
        Python::attach(|py| {
            if let Err(error) = self.actors.staying(py, pids) {
                log::error!("server.WORKERS:\n{}", traceback(py, &error));
            }
        });
    }

    fn workers(&self, config: &Config) -> String {
        let asgi = self
            .preloaded
            .as_ref()
            .is_some_and(|application| application.interface == Interface::Asgi);
        match asgi {
            true => WorkerClass::Asgi.name().to_owned(),
            false if self.preloaded.is_some() => config.effective_worker_class().name().to_owned(),
            false => application::worker_class(config),
        }
    }

    fn preload(&mut self) -> Result<(), Boot> {
        Python::attach(|py| {
            let embedder = self.sources.embedder();
            let application = imports::trusting(py, || import_for_all(py, &self.config, embedder))
                .map_err(|error| Boot::Raised(error.to_string()))??;
            let application = match embedder {
                Some(_) => Ok(application),
                None => self
                    .actors
                    .server(py)
                    .getattr("app")
                    .and_then(|app| application.passed_through(py, &app)),
            };
            let application = application
                .map_err(|error| Boot::Raised(application::raised(py, &error).report))?;
            self.preloaded = Some(application);
            garbage::freeze(py).map_err(|error| Boot::Raised(error.to_string()))
        })
    }

    fn fork(&mut self) -> io::Result<Fork> {
        Python::attach(|py| self.fork_python(py))
            .map_err(|error| io::Error::other(error.to_string()))
    }

    fn work(&mut self, seat: WorkerSeat) -> i32 {
        self.admin = None;
        logging::banner_stands_in(Banner::Done);
        Python::attach(|py| match self.worker(py, &seat) {
            Ok(worker) => worker.run(py, seat),
            Err(failure) => {
                self.boot.note_failure(&failure::cause(&failure.report));
                log::error!("{failure}");
                failure.code
            }
        })
    }

    fn hook(&mut self, moment: Moment) -> Result<(), String> {
        Python::attach(|py| {
            let result = self
                .at(py, moment)
                // The hook may have changed how `logging` is configured.
                .and_then(|()| logging::follow(py, self.actors.log(py)));
            result.map(drop).map_err(|error| {
                let hook = hook_name(moment);
                match error.is_instance_of::<PySystemExit>(py) {
                    // What a hook gives `sys.exit` is meant for the operator.
                    true => format!("The hook {hook} called sys.exit: {}", error.value(py)),
                    false => format!("Exception in the hook {hook}:\n{}", traceback(py, &error)),
                }
            })
        })
    }

    fn exec(&mut self, environment: Vec<(String, String)>) -> io::Error {
        Python::attach(|py| match self.start_again(py, environment) {
            Ok(()) => io::Error::other("execve returned"),
            Err(error) => io::Error::other(error.to_string()),
        })
    }

    fn measured(&mut self, metric: Metric) {
        metrics::send(metric);
    }

    fn counters(&self) -> usize {
        let config = &self.config;
        let is_controlled = config.control_socket.is_some() && !config.control_socket_disable;
        match is_controlled || !config.admin_bind.is_empty() {
            true => request_metrics::COUNTERS,
            false => 0,
        }
    }

    fn upkeep_due(&self) -> Option<Duration> {
        self.tls.as_ref().map(|tls| tls.upkeep_due())
    }

    fn upkeep(&mut self, now: Duration) {
        if let Some(tls) = &self.tls {
            tls.upkeep(now);
        }
    }

    fn admin(&mut self) -> Option<&mut dyn Admin> {
        self.admin.as_mut().map(|admin| admin as &mut dyn Admin)
    }

    fn reopen_logs(&mut self) {
        Python::attach(logging::reopen);
    }
}

impl Composition {
    fn reload(&mut self, py: Python<'_>) -> Result<Config, Failure> {
        self.awaited_since = Instant::now();
        self.boot.forget_failure();
        let mut resolved = self.sources.read_again(py)?;
        resolved.prepare(py, &mut self.environment)?;
        let Resolved {
            config,
            hooks,
            mut slips,
            ..
        } = resolved;
        slips.extend(self.sources.cautions(py, &config));
        logging::belong_to(&identity(&config)?);
        let next = InForce {
            tls: self.tickets.load(&config)?,
            config: Arc::new(config),
            hooks: Arc::new(hooks),
        };
        let before = InForce {
            config: Arc::clone(&self.config),
            hooks: Arc::clone(&self.hooks),
            tls: self.tls.clone(),
        };
        if let Err(failure) = self.put_in_force(py, next) {
            // A part of it may be in force already.
            self.put_in_force(py, before)?;
            return Err(failure);
        }
        self.previous.push(before);
        warn_anew(&self.config, &slips, &self.told);
        self.told = Told::of(&self.config, &slips);
        Ok((*self.config).clone())
    }

    fn put_in_force(&mut self, py: Python<'_>, next: InForce) -> Result<(), Failure> {
        let InForce { config, hooks, tls } = next;
        self.environment.prepare(py, &config)?;
        logging::set_up(&config).map_err(|error| unwritable(&config, &error))?;
        let shown =
            logging::capture_output(py).and_then(|()| self.actors.reload(py, &config, &hooks));
        shown.map_err(|error| Failure::of_logging(py, &error))?;
        spew(py, &config)?;
        self.config = config;
        self.hooks = hooks;
        self.tls = tls;
        title::set(py, "master", &self.config);
        Ok(())
    }

    fn fork_python(&mut self, py: Python<'_>) -> PyResult<Fork> {
        // What is buffered would be written by both processes.
        let sys = py.import("sys")?;
        for stream in ["stdout", "stderr"] {
            let _ = sys.getattr(stream)?.call_method0("flush");
        }
        // Not `os.fork`, in whose place gevent's may stand: that would take SIGCHLD from the arbiter.
        let posix = py.import("posix")?;
        let expected = sys::forks::expect();
        let forked = posix.call_method0("fork");
        drop(expected);
        match forked?.extract()? {
            0 => Ok(Fork::Child),
            pid => {
                // The child exists even where the objects for hooks fail: the arbiter has to know it.
                if let Err(error) = self.actors.worker_started(py, pid) {
                    log::error!("The worker object of {pid}:\n{}", traceback(py, &error));
                }
                Ok(Fork::Parent(pid))
            }
        }
    }

    /// The worker that this process has just become.
    fn worker(&mut self, py: Python<'_>, seat: &WorkerSeat) -> Result<Worker, Failure> {
        let config = Arc::clone(&seat.config);
        title::set(py, "worker", &config);
        let object = self
            .actors
            .adopt_worker(py, seat.age, seat.max_requests, &self.hooks);
        Ok(Worker {
            identity: identity(&config)?,
            conf_file: self.sources.conf_file(py),
            hooks: Arc::clone(&self.hooks),
            object: object.map_err(|error| {
                Failure::raised(py, "in a forked worker", &error, failure::BOOT)
            })?,
            arbiter: self.actors.server(py).clone().unbind(),
            embedder: self
                .sources
                .embedder()
                .map(|embedder| embedder.clone_ref(py)),
            preloaded: self
                .preloaded
                .as_ref()
                .map(|application| application.clone_ref(py)),
            config,
            boot: self.boot.clone(),
            tls: self.tls.clone(),
        })
    }

    /// What happens here at a moment, and the hook of its name.
    fn at(&mut self, py: Python<'_>, moment: Moment) -> PyResult<()> {
        let server = self.actors.server(py).clone();
        match moment {
            Moment::OnStarting => {
                title::set(py, "master", &self.config);
                // A daemon has another pid than the process that set the objects up.
                server.setattr("pid", std::process::id())?;
                self.hooks.call(py, "on_starting", (server,))
            }
            Moment::WhenReady => self.hooks.call(py, "when_ready", (server,)),
            Moment::Serving { workers } => {
                self.tell_ready(workers);
                Ok(())
            }
            Moment::OnReload => self.hooks.call(py, "on_reload", (server,)),
            Moment::NworkersChanged { new, old } => {
                server.setattr("_num_workers", new)?;
                self.hooks.call(py, "nworkers_changed", (server, new, old))
            }
            Moment::PreFork { age } => {
                let worker = self.actors.prepare_worker(py, age, &self.hooks)?;
                self.hooks.call(py, "pre_fork", (server, worker))
            }
            Moment::ChildExit { pid, .. } => match self.actors.worker_ended(py, pid)? {
                Some(worker) => self.hooks.call(py, "child_exit", (server, worker)),
                None => Ok(()),
            },
            Moment::PreExec => self.hooks.call(py, "pre_exec", (server,)),
            Moment::OnExit => self.hooks.call(py, "on_exit", (server,)),
        }
    }

    /// Says that all workers serve: the end of the banner, or a line.
    fn tell_ready(&self, workers: u32) {
        let class = application::running_class(&self.config, self.boot.interface());
        let since = self.awaited_since;
        if logging::is_banner_standing() {
            logging::write_plain(&banner::ready(&self.config, workers, class, since));
            logging::banner_stands_in(Banner::Done);
        } else {
            log::info!("{}", banner::ready_line(workers, class, since));
        }
    }

    /// `execve` of the interpreter with the original command line, where and in what the server was started.
    fn start_again(&self, py: Python<'_>, environment: Vec<(String, String)>) -> PyResult<()> {
        let os = py.import("os")?;
        if let Some(directory) = &self.launch.directory {
            os.call_method1("chdir", (text::path(py, directory)?,))?;
        }
        let environ = self.launch.environ.bind(py).cast::<PyDict>()?.copy()?;
        // One that has been read already means another descriptor by now.
        let _ = environ.del_item(tls::TICKETS);
        for (name, value) in environment.into_iter().chain(self.tickets.pass_on()) {
            environ.set_item(name, value)?;
        }
        os.call_method1(
            "execve",
            (&self.launch.executable, &self.launch.arguments, environ),
        )
        .map(drop)
    }
}

/// Imports the application in the arbiter. `SystemExit` out of it is its failure as well.
fn import_for_all(
    py: Python<'_>,
    config: &Config,
    embedder: Option<&Embedder>,
) -> Result<Application, Boot> {
    if greenlets::are_wanted(config) {
        greenlets::patch(py)
            .map_err(|error| Boot::Raised(application::raised(py, &error).report))?;
    }
    match application::load(py, config, embedder) {
        Ok(Loaded::Application(application)) => Ok(application),
        Ok(Loaded::Refused(failure)) => Err(match failure.code {
            EXIT_APP_LOAD => Boot::NotFound(failure.report),
            _ => Boot::Raised(failure.report),
        }),
        Err(error) => Err(Boot::Raised(application::raised(py, &error).report)),
    }
}

/// What the operator should know about the settings, once the log is there.
pub(crate) fn warn(config: &Config, slips: &[String]) {
    warn_anew(config, slips, &Told::default());
}

/// The same after a reload: what was told already is not told again.
fn warn_anew(config: &Config, slips: &[String], told: &Told) {
    let is_new = |sentence: &&String| !told.0.contains(*sentence);
    for sentence in config.notices.iter().filter(is_new) {
        log::info!("{sentence}");
    }
    let all = config.cautions.iter().chain(slips);
    for sentence in all.filter(is_new) {
        log::warn!("{sentence}");
    }
}

/// Sentences about the settings that the log has.
#[derive(Debug, Default)]
pub(crate) struct Told(HashSet<String>);

impl Told {
    pub(crate) fn of(config: &Config, slips: &[String]) -> Self {
        let all = config.notices.iter().chain(&config.cautions).chain(slips);
        Self(all.cloned().collect())
    }
}

/// Begins to print every line of Python, where the settings ask for it; workers are forked with it. A reload begins it,
/// but does not end it.
pub(crate) fn spew(py: Python<'_>, config: &Config) -> Result<(), Failure> {
    if !config.spew {
        return Ok(());
    }
    py.import("oxicorn.debug")
        .and_then(|debug| debug.call_method0("spew"))
        .map(drop)
        .map_err(|error| Failure::raised(py, "while the trace began", &error, failure::BOOT))
}

/// The error log cannot be opened.
pub(crate) fn unwritable(config: &Config, error: &io::Error) -> Failure {
    Failure::from(config.unusable("errorlog", reason(Path::new(&config.errorlog), error)))
}

/// The hook that is called at this moment.
fn hook_name(moment: Moment) -> &'static str {
    match moment {
        Moment::OnStarting => "on_starting",
        Moment::WhenReady => "when_ready",
        // No hook of the conf file: the banner is completed then.
        Moment::Serving { .. } => "(serving)",
        Moment::OnReload => "on_reload",
        Moment::NworkersChanged { .. } => "nworkers_changed",
        Moment::PreFork { .. } => "pre_fork",
        Moment::ChildExit { .. } => "child_exit",
        Moment::PreExec => "pre_exec",
        Moment::OnExit => "on_exit",
    }
}
