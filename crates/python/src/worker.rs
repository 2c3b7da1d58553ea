//! The life of a worker, in the forked child: become its user, import the application, serve, leave.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arbiter::WorkerSeat;
use pyo3::exceptions::{PyException, PyKeyboardInterrupt, PySystemExit};
use pyo3::prelude::*;
use server::{Seat, Server, Service, Siblings, Tls, Watched};
use settings::{Config, GarbageCollection, WorkerClass};
use sys::boot_report::BootReport;
use sys::users::Identity;

use crate::accounts::become_worker;
use crate::application::{self, Application, Interface, Loaded};
use crate::asgi::AsgiGateway;
use crate::composition::server_field;
use crate::controls::Controls;
use crate::django_files;
use crate::driver::{self, Booted, Driver, EventLoop, Hub, Readiness};
use crate::embedding::Embedder;
use crate::failure::{self, BOOT, Failure, traceback};
use crate::forks;
use crate::garbage;
use crate::gateway::{Gateway, RequestHooks};
use crate::greenlets;
use crate::hooks::Hooks;
use crate::imports;
use crate::logging::{self, Access};
use crate::metrics;
use crate::reload::{Reloader, Stamp, WorkerPlace};
use crate::signals::{self, Addressee};
use crate::stacks;
use crate::wsgi::{self, WsgiGateway};

mod own_class;

/// Exit code of a worker that fails after it has served, Gunicorn's `sys.exit(-1)`.
const CRASH: i32 = 255;

/// What a worker is made of.
pub(crate) struct Worker {
    pub(crate) config: Arc<Config>,
    pub(crate) hooks: Arc<Hooks>,
    /// The object that hooks see.
    pub(crate) object: Py<PyAny>,
    /// `server`, as hooks see it.
    pub(crate) arbiter: Py<PyAny>,
    /// The program that embeds the server and brings the application.
    pub(crate) embedder: Option<Embedder>,
    /// The application, where it was imported before the fork.
    pub(crate) preloaded: Option<Application>,
    /// What the settings were read from, and how it was then.
    pub(crate) conf_file: Option<(PathBuf, Stamp)>,
    /// Whose rights it takes on.
    pub(crate) identity: Identity,
    /// Where it reports how its boot goes.
    pub(crate) boot: BootReport,
    /// What encrypted connections are made of.
    pub(crate) tls: Option<Arc<Tls>>,
}

/// Why a worker ends early.
enum End {
    /// The user's code raised, or `SystemExit` came from a signal.
    Raised(PyErr),
    /// It cannot boot.
    Failed(Failure),
}

impl From<PyErr> for End {
    fn from(error: PyErr) -> Self {
        Self::Raised(error)
    }
}

impl From<std::io::Error> for End {
    fn from(error: std::io::Error) -> Self {
        Self::Failed(Failure {
            report: sys::files::sentence(&error),
            code: BOOT,
        })
    }
}

impl Worker {
    /// Lives, and returns the exit code.
    pub(crate) fn run(self, py: Python<'_>, seat: WorkerSeat) -> i32 {
        let worker = Arc::new(self);
        let code = match &worker.hooks.worker_class {
            Some(_) => own_class::live(py, &worker, seat),
            None => worker.live(py, seat),
        };
        forks::leave_if_forked();
        worker.leave(py);
        code
    }

    fn live(self: &Arc<Self>, py: Python<'_>, seat: WorkerSeat) -> i32 {
        match self.boot(py, seat) {
            Ok(booted) => {
                let served = driver::run(py, &booted);
                served.unwrap_or_else(|error| code_of(py, &End::Raised(error), CRASH))
            }
            Err(end) => self.cannot_boot(py, &end),
        }
    }

    /// Tells the arbiter and the log why this worker cannot boot, and returns the exit code. What another worker has
    /// told already is not told at length again; and what ends a worker on purpose is no failure.
    fn cannot_boot(&self, py: Python<'_>, end: &End) -> i32 {
        let (report, code) = match end {
            End::Failed(failure) => (failure.report.clone(), failure.code),
            End::Raised(error) if error.is_instance_of::<PyException>(py) => {
                let failure = Failure::raised(py, "while a worker booted", error, BOOT);
                (failure.report, BOOT)
            }
            End::Raised(_) => return code_of(py, end, BOOT),
        };
        if self.boot.note_failure(&failure::cause(&report)) {
            return code_of(py, end, BOOT);
        }
        log::error!("This worker cannot boot either, for the same reason");
        code
    }

    /// What comes last in every case.
    fn leave(&self, py: Python<'_>) {
        let left = self
            .hooks
            .call(py, "worker_exit", (&self.arbiter, &self.object));
        if let Err(error) = left {
            let traceback = traceback(py, &error);
            log::error!("Exception in the hook worker_exit:\n{traceback}");
        }
        if let Err(error) = signals::ignore_all(py) {
            log::error!("Signals cannot be ignored: {error}");
        }
        if let Err(error) = self.tell_of_threads(py) {
            log::error!("Threads that the worker waits for cannot be named: {error}");
        }
        logging::deliver(py);
    }

    /// The interpreter waits for threads of the application at its end. One that does not end keeps the worker until
    /// the arbiter kills it, so the log has to say which.
    fn tell_of_threads(&self, py: Python<'_>) -> PyResult<()> {
        let patience = (self.config.graceful_timeout / 4).min(Duration::from_secs(1));
        py.import("oxicorn.workers.threads")?
            .call_method1("tell_of_those_that_stay", (patience.as_secs_f64(),))
            .map(drop)
    }

    /// Everything up to the first request.
    fn boot(self: &Arc<Self>, py: Python<'_>, mut seat: WorkerSeat) -> Result<Booted, End> {
        forget_manager(py)?;
        self.hooks
            .call(py, "post_fork", (&self.arbiter, &self.object))?;
        // Everything that needs the rights of root has been done by the arbiter.
        become_worker(&self.identity).map_err(End::Failed)?;
        imports::release(py)?;
        // The hooks before may have set another number.
        seat.max_requests = self.object.getattr(py, "max_requests")?.extract(py)?;
        let log = self.log(py)?;
        logging::follow(py, &log)?;
        let (slot, notifier) = (seat.slot.clone(), seat.notifier.clone());
        let (board, ppid) = (seat.scoreboard.clone(), seat.ppid);
        logging::hold_lines();
        let server = self.server(seat)?;
        let controls = Controls::new(Arc::clone(&server), slot.clone(), notifier.clone());
        self.object.setattr(py, "_controls", controls)?;
        let addressee = Arc::new(Addressee {
            server: Arc::clone(&server),
            hooks: Arc::clone(&self.hooks),
            worker: self.object.clone_ref(py),
            booted: AtomicBool::new(false),
            leaving: AtomicBool::new(false),
        });
        signals::install(py, &addressee)?;
        stacks::install(py, &server)?;
        if self.config.control_socket.is_some() && !self.config.control_socket_disable {
            stacks::start_reporter(&slot, &server);
        }
        if self.hooks.worker_class.is_some() {
            own_class::hand_over_signals(py, &self.object)?;
        }
        forks::disarm_children(py)?;
        let reloader = self.reloader(py, || WorkerPlace {
            addressee: Arc::clone(&addressee),
            board,
            slot: slot.clone(),
            ppid,
            conf_file: self.conf_file.clone(),
        })?;
        if greenlets::are_wanted(&self.config) {
            greenlets::prepare_worker(py)?;
        }
        let application = match &self.hooks.worker_class {
            Some(_) => own_class::load_wsgi(py, self, &addressee)?,
            None => self.application(py, &addressee)?,
        };
        self.object.setattr(py, "wsgi", &application.callable)?;
        if self.config.static_root {
            django_files::serve(py, &server);
        }
        let access = logging::follow(py, &log)?;
        let app = self.object.getattr(py, "app")?;
        app.setattr(py, "callable", &application.callable)?;
        let (driver, gateway) = self.serving(py, application, &server, &addressee, access)?;
        if let Some(reloader) = reloader {
            reloader.start(py)?;
        }
        self.hooks.call(py, "post_worker_init", (&self.object,))?;
        self.object.setattr(py, "booted", true)?;
        self.note_late_server_field(py)?;
        logging::follow(py, &self.log(py)?)?;
        if self.config.gc == GarbageCollection::Tuned {
            garbage::tune(py)?;
        }
        addressee.booted.store(true, Ordering::Relaxed);
        let readiness = Readiness { slot, notifier };
        Ok(Booted {
            server,
            driver,
            gateway,
            readiness,
        })
    }

    /// Says so where the application has changed what the Server field is: that is read with the settings.
    fn note_late_server_field(&self, py: Python<'_>) -> PyResult<()> {
        let wanted = server_field(py)?;
        let has = |field: &(String, String)| {
            field.0.eq_ignore_ascii_case("server") && Some(&field.1) == wanted.as_ref()
        };
        let config = &self.config;
        let none = !config.server_header && wanted.as_deref() == Some("");
        if wanted.is_some() && !none && !config.response_headers.iter().any(has) {
            log::warn!(
                "Gunicorn's Server field was changed after the settings were read, which has no effect; \
                 server_header and response_headers do it"
            );
        }
        Ok(())
    }

    /// The logger.
    fn log<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.object.bind(py).getattr("log")
    }

    /// Threads that call the application.
    fn threads(&self) -> u32 {
        self.config.threads.max(1)
    }

    /// The driver and the gateway of a WSGI application.
    fn wsgi(
        &self,
        py: Python<'_>,
        application: Py<PyAny>,
        access: Access,
        server: &Server,
    ) -> PyResult<(Driver, Arc<dyn Gateway>)> {
        let config = &self.config;
        let (driver, wait) = match config.worker_class {
            WorkerClass::Gevent => {
                server.serve_by(Service::greenlets(config.worker_connections));
                let hub = Hub::new(py, config.graceful_timeout)?;
                let wait = hub.wait();
                (Driver::Hub(hub), Some(wait))
            }
            _ => (Driver::Threads(self.threads()), None),
        };
        self.boot.note_interface(Interface::Wsgi.number());
        wsgi::set_error_stream(logging::write_message);
        let multithread = matches!(
            config.effective_worker_class(),
            WorkerClass::Gthread | WorkerClass::Gevent
        );
        let multiprocess = config.workers > 1;
        let mut gateway =
            WsgiGateway::new(py, application, config, multithread, multiprocess, wait)?;
        let access = match access {
            Access::Logger => Some(self.log(py)?.getattr("access")?.unbind()),
            Access::Server | Access::Off => None,
        };
        gateway.show_variables(server.access_variables().to_vec());
        gateway.set_request_hooks(self.request_hooks(py, access)?);
        Ok((driver, Arc::new(gateway)))
    }

    /// The operator's `pre_request` and `post_request`, and the logger's `access` where it is to be told of every
    /// request.
    fn request_hooks(
        &self,
        py: Python<'_>,
        access: Option<Py<PyAny>>,
    ) -> PyResult<Option<RequestHooks>> {
        let hook = |name| self.hooks.get(name).map(|function| function.clone_ref(py));
        let (pre, post) = (hook("pre_request"), hook("post_request"));
        RequestHooks::new(py, pre, post, access, self.object.clone_ref(py))
    }

    /// The driver and the gateway that serve the application.
    fn serving(
        &self,
        py: Python<'_>,
        application: Application,
        server: &Server,
        addressee: &Addressee,
        access: Access,
    ) -> Result<(Driver, Arc<dyn Gateway>), End> {
        logging::leave_access_lines(server, access, application.interface);
        if application.interface == Interface::Wsgi {
            return Ok(self.wsgi(py, application.callable, access, server)?);
        }
        server.serve_by(Service::EVENT_LOOP);
        let opened = self.asgi(py, &application.callable);
        forks::leave_if_forked();
        match opened {
            Ok(serving) => Ok(serving),
            Err(error) if addressee.leaving.load(Ordering::Relaxed) => Err(End::Raised(error)),
            // Its lifespan failed, which the next change may mend.
            Err(error) if self.config.reload => {
                let failure = application::refusal(py, &error);
                log::error!("{failure}");
                let stand_in = application::stand_in(py, &self.config, "asgi", &failure)?;
                self.asgi(py, &stand_in.callable)
                    .map_err(|error| End::Failed(application::refusal(py, &error)))
            }
            Err(error) => Err(End::Failed(application::refusal(py, &error))),
        }
    }

    /// The event loop and the gateway of an ASGI application, which has started in it.
    fn asgi(
        &self,
        py: Python<'_>,
        application: &Py<PyAny>,
    ) -> PyResult<(Driver, Arc<dyn Gateway>)> {
        let is_news = self.boot.note_interface(Interface::Asgi.number());
        if is_news && self.config.worker_class != WorkerClass::Asgi && !logging::is_on_terminal() {
            log::info!("The application speaks ASGI: an asgi worker serves it");
        }
        // The logger is told by the server's access log.
        let hooks = self.request_hooks(py, None)?;
        let beat = self.object.bind(py).getattr("notify")?;
        let config = &self.config;
        let event_loop = EventLoop::new(py, config.asgi_loop.name(), config.graceful_timeout)?;
        let application = application.bind(py);
        let gateway = AsgiGateway::open(event_loop.object(py), application, config, hooks, &beat)?;
        Ok((Driver::EventLoop(event_loop), Arc::new(gateway)))
    }

    fn server(&self, seat: WorkerSeat) -> std::io::Result<Arc<Server>> {
        let listeners = seat.listeners.iter().map(|listener| {
            Ok(server::Listener {
                socket: listener.duplicate()?.into(),
                address: listener.address().clone(),
                ending: listener.ending().clone(),
            })
        });
        let listeners = listeners.collect::<std::io::Result<_>>()?;
        let place = Seat {
            slot: seat.slot,
            notifier: seat.notifier,
            max_requests: seat.max_requests,
            service: Service::threads(self.threads()),
            siblings: Some(Siblings {
                board: seat.scoreboard,
                queue: seat.handover,
            }),
            access_file: logging::access_log(),
            tls: self.tls.clone(),
            rates: Some(seat.rates),
        };
        let server = Server::new(listeners, &self.config, place)?;
        server.watch(seat.lifeline, Watched::Lifeline)?;
        if let Some(statsd) = metrics::statsd() {
            server.report_to(Arc::clone(statsd));
        }
        Ok(server)
    }

    /// The application. While files are watched, one that does not import is no reason to stop: the next change may
    /// mend it.
    fn application(&self, py: Python<'_>, addressee: &Addressee) -> Result<Application, End> {
        if let Some(application) = &self.preloaded {
            return Ok(application.clone_ref(py));
        }
        let failure = match application::load(py, &self.config, self.embedder.as_ref()) {
            Ok(Loaded::Application(application)) if self.embedder.is_some() => {
                return Ok(application);
            }
            Ok(Loaded::Application(application)) => {
                let app = self.object.bind(py).getattr("app")?;
                return Ok(application.passed_through(py, &app)?);
            }
            Ok(Loaded::Refused(failure)) => failure,
            Err(error) if addressee.leaving.load(Ordering::Relaxed) => {
                return Err(End::Raised(error));
            }
            Err(error) => application::raised(py, &error),
        };
        if !self.config.reload {
            return Err(End::Failed(failure));
        }
        log::error!("{failure}");
        let wanted = application::wanted(&self.config).unwrap_or("wsgi");
        Ok(application::stand_in(py, &self.config, wanted, &failure)?)
    }

    /// What is behind `reload`. An application that the arbiter has imported cannot be imported anew here.
    fn reloader(
        &self,
        py: Python<'_>,
        place: impl FnOnce() -> WorkerPlace,
    ) -> PyResult<Option<Reloader>> {
        match self.config.reload && self.preloaded.is_none() {
            true => Reloader::begin(py, &self.config, place()).map(Some),
            false => Ok(None),
        }
    }
}

/// The exit code, after the reason has been logged; `otherwise` where an exception does not have one.
fn code_of(py: Python<'_>, end: &End, otherwise: i32) -> i32 {
    match end {
        End::Failed(failure) => {
            log::error!("{failure}");
            failure.code
        }
        End::Raised(error) if error.is_instance_of::<PySystemExit>(py) => exit_code(py, error),
        End::Raised(error) if error.is_instance_of::<PyKeyboardInterrupt>(py) => 0,
        End::Raised(error) => {
            log::error!(target: metrics::EXCEPTION, "Exception in worker process\n{}", traceback(py, error));
            otherwise
        }
    }
}

/// Takes out of the environment what only the arbiter may act on: an application that starts a server of its own must
/// not take our sockets for its own, nor speak to the service manager in our name.
fn forget_manager(py: Python<'_>) -> PyResult<()> {
    const NAMES: [&str; 10] = [
        "GUNICORN_PID",
        "GUNICORN_FD",
        "OXICORN_FD_MANAGED",
        crate::tls::TICKETS,
        "LISTEN_PID",
        "LISTEN_FDS",
        "LISTEN_FDNAMES",
        "NOTIFY_SOCKET",
        "WATCHDOG_PID",
        "WATCHDOG_USEC",
    ];
    let environment = py.import("os")?.getattr("environ")?;
    for name in NAMES {
        environment.call_method1("pop", (name, py.None()))?;
    }
    Ok(())
}

/// What `sys.exit` meant: nothing is 0, a number is itself, anything else is an error to show.
fn exit_code(py: Python<'_>, error: &PyErr) -> i32 {
    let code = error.value(py).getattr("code").ok();
    match code {
        None => 0,
        Some(code) if code.is_none() => 0,
        Some(code) => code.extract().unwrap_or_else(|_| {
            log::error!("{code}");
            1
        }),
    }
}
