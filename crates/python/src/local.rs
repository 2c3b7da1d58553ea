//! A server in a process that is the program's own: no arbiter, no fork, and signals are the program's business.
//! Threads beside those of the program call a WSGI application, or the program's event loop calls an ASGI application.

use std::sync::atomic::AtomicI32;
use std::sync::{Arc, OnceLock};

use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use server::{Listener, Seat, Server, Service, Shutdown};
use settings::{Address, Config, Layers, WorkerClass};
use sys::pipe::Notifier;
use sys::scoreboard::{Scoreboard, Slot, State};
use sys::shared_flag::SharedFlag;

use crate::actors::Actors;
use crate::application::Interface;
use crate::asgi::AsgiGateway;
use crate::driver::{self, Turner};
use crate::gateway::{Gateway, RequestHooks};
use crate::hooks::Hooks;
use crate::logging::{self, Access};
use crate::wsgi::{self, WsgiGateway};
use crate::{conf_file, environment, imports, metrics, text, values};

/// Hooks that are called where there is no arbiter.
const HOOKS: [&str; 2] = ["pre_request", "post_request"];

/// A server without an arbiter.
#[pyclass(frozen, module = "oxicorn._oxicorn")]
pub(crate) struct LocalServer {
    config: Config,
    hooks: Hooks,
    server: Arc<Server>,
    slot: Slot,
    access: Access,
    log: Py<PyAny>,
    /// What hooks get.
    worker: Py<PyAny>,
    /// What `sys.exit` in a view was given.
    exit_code: Arc<AtomicI32>,
    /// An ASGI application with its event loop.
    looped: OnceLock<(Arc<AsgiGateway>, Py<Turner>)>,
}

#[pymethods]
impl LocalServer {
    /// `settings` are named as in a conf file; `sockets` are descriptors that listen and do not block, with their
    /// addresses as `bind` has them.
    #[new]
    fn new(
        py: Python<'_>,
        settings: &Bound<'_, PyDict>,
        sockets: Vec<(i32, String)>,
    ) -> PyResult<Self> {
        sys::forks::claim()?;
        text::note_encoding(py)?;
        imports::prepare(py)?;
        // The program that starts a server here runs already.
        imports::release(py)?;
        let (config, hooks) = resolve(settings)?;
        logging::set_up(&config)?;
        metrics::set_up(&config);
        let mut actors = Actors::new(py, &config, &hooks, None)?;
        let max_requests = config.max_requests;
        let worker = actors.adopt_worker(py, 1, max_requests, &hooks)?;
        let access = logging::follow(py, actors.log(py))?;
        let board = Scoreboard::new(1)?;
        let slot = board.slot(0);
        slot.claim(std::process::id().cast_signed(), 1);
        let seat = Seat {
            rates: None,
            slot: slot.clone(),
            notifier: Notifier::new()?,
            max_requests,
            service: Service::threads(config.threads.max(1)),
            siblings: None,
            access_file: logging::access_log(),
            tls: crate::tls::Tickets::default()
                .load(&config)
                .map_err(|failure| PyValueError::new_err(failure.report))?,
        };
        let listeners = sockets.into_iter().map(listener);
        logging::hold_lines();
        let server = Server::new(listeners.collect::<PyResult<_>>()?, &config, seat)?;
        if let Some(statsd) = metrics::statsd() {
            server.report_to(Arc::clone(statsd));
        }
        for sentence in &config.notices {
            log::info!("{sentence}");
        }
        logging::deliver(py);
        Ok(Self {
            log: actors.log(py).clone().unbind(),
            config,
            hooks,
            server,
            slot,
            access,
            worker,
            exit_code: Arc::default(),
            looped: OnceLock::new(),
        })
    }

    /// The value of a setting that is in force.
    fn setting<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
        match self.config.value(name) {
            Some(value) => values::to_python(py, &value),
            None => Ok(py.None().into_bound(py)),
        }
    }

    /// The interface on which the settings insist: "wsgi", "asgi", or None.
    fn wanted(&self) -> Option<&'static str> {
        crate::application::wanted(&self.config)
    }

    /// Starts the threads that serve a WSGI application, and returns them.
    fn start_threads<'py>(
        &self,
        py: Python<'py>,
        application: Py<PyAny>,
    ) -> PyResult<Vec<Bound<'py, PyAny>>> {
        logging::leave_access_lines(&self.server, self.access, Interface::Wsgi);
        wsgi::set_error_stream(logging::write_message);
        let threads = self.config.threads.max(1);
        let mut gateway =
            WsgiGateway::new(py, application, &self.config, threads > 1, false, None)?;
        let access = match self.access {
            Access::Logger => Some(self.log.getattr(py, "access")?),
            Access::Server | Access::Off => None,
        };
        gateway.show_variables(self.server.access_variables().to_vec());
        gateway.set_request_hooks(self.request_hooks(py, access)?);
        driver::start_watchdog(&self.server)?;
        self.slot.become_ready();
        let gateway: Arc<dyn Gateway> = Arc::new(gateway);
        driver::start_beside(py, &self.server, &gateway, threads, &self.exit_code)
    }

    /// Has an event loop call an ASGI application that has started; `lifespan` is its `oxicorn.asgi.Lifespan`. The loop
    /// calls `finished` when the server has come to its end.
    fn join_loop(
        &self,
        py: Python<'_>,
        application: &Bound<'_, PyAny>,
        event_loop: &Bound<'_, PyAny>,
        lifespan: &Bound<'_, PyAny>,
        finished: Py<PyAny>,
    ) -> PyResult<()> {
        logging::leave_access_lines(&self.server, self.access, Interface::Asgi);
        self.server.serve_by(Service::EVENT_LOOP);
        let hooks = self.request_hooks(py, None)?;
        let gateway = AsgiGateway::started(event_loop, application, lifespan, &self.config, hooks)?;
        let gateway = Arc::new(gateway);
        let patience = self.config.graceful_timeout;
        let shared = Arc::clone(&gateway);
        let turner = Turner::new(&self.server, shared, event_loop, patience, finished);
        let turner = Bound::new(py, turner)?;
        if self.looped.set((gateway, turner.clone().unbind())).is_err() {
            return Err(PyRuntimeError::new_err("this server serves already"));
        }
        driver::start_watchdog(&self.server)?;
        self.slot.become_ready();
        Turner::watch(&turner)
    }

    /// Has the event loop leave the server alone. Returns the tasks that are under way, how long they and how long the
    /// lifespan may take, in seconds, and what the application raised to end the server.
    fn leave_loop<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let Some((gateway, turner)) = self.looped.get() else {
            return Err(PyRuntimeError::new_err("no event loop serves"));
        };
        let turner = turner.get();
        turner.unwatch(py)?;
        let patience = turner.patience();
        let (tasks, lifespan) = (
            patience.requests.as_secs_f64(),
            patience.application.as_secs_f64(),
        );
        let exit = turner.take_exit().map(|error| error.into_value(py));
        (gateway.unfinished(py)?, tasks, lifespan, exit).into_pyobject(py)
    }

    /// Ends the server when the requests that have begun are answered. Any thread may call it.
    fn stop(&self) {
        self.slot.set_state(State::Stopping);
        self.server.shut_down(Shutdown::Graceful);
    }

    /// Ends the server now: connections are closed.
    fn stop_now(&self) {
        self.slot.set_state(State::Stopping);
        self.server.shut_down(Shutdown::Quick);
    }

    /// Whether as many requests have come as `max_requests` says.
    fn is_used_up(&self) -> bool {
        self.slot.state() == State::Recycling
    }

    /// How many requests have come.
    fn requests(&self) -> u64 {
        self.slot.requests()
    }

    /// What a view gave `sys.exit`, 0 by default.
    fn exit_code(&self) -> i32 {
        self.exit_code.load(std::sync::atomic::Ordering::Relaxed)
    }
}

impl LocalServer {
    fn request_hooks(
        &self,
        py: Python<'_>,
        access: Option<Py<PyAny>>,
    ) -> PyResult<Option<RequestHooks>> {
        let [pre, post] = HOOKS.map(|name| self.hooks.get(name).map(|hook| hook.clone_ref(py)));
        RequestHooks::new(py, pre, post, access, self.worker.clone_ref(py))
    }
}

/// The configuration that the program's settings make, over the defaults that the environment gives.
fn resolve(settings: &Bound<'_, PyDict>) -> PyResult<(Config, Hooks)> {
    let unusable = |reason: String| PyValueError::new_err(reason);
    let file = conf_file::collect(settings, "the program");
    if let Some(mistake) = file.mistakes.into_iter().next() {
        return Err(unusable(mistake.report));
    }
    if let Some((name, _)) = file.hooks.iter().find(|(name, _)| !HOOKS.contains(name)) {
        let reason =
            format!("{name} is not called where a server runs in the program's own process");
        return Err(unusable(reason));
    }
    let layers = Layers::new()
        .environment(&environment::variable)
        .conf_name("the program")
        .conf(file.values);
    let config = layers
        .resolve()
        .map_err(|error| unusable(error.to_string()))?;
    let name = match &config.worker_class {
        WorkerClass::Sync | WorkerClass::Gthread | WorkerClass::Asgi => None,
        WorkerClass::Custom => Some(config.worker_class_name.as_str()),
        class @ (WorkerClass::Gevent | WorkerClass::Eventlet | WorkerClass::Tornado) => {
            Some(class.name())
        }
    };
    if let Some(name) = name {
        let reason = format!("worker_class: {name} cannot run in the program's own process");
        return Err(unusable(reason));
    }
    Ok((config, file.hooks))
}

fn listener((number, spelling): (i32, String)) -> PyResult<Listener> {
    Ok(Listener {
        socket: sys::fds::duplicate_number(number)?.into(),
        address: Address::parse(&spelling).map_err(PyValueError::new_err)?,
        // The program has the socket too, and ends it when it likes.
        ending: SharedFlag::new()?,
    })
}
