//! The ASGI gateway (ASGI 3.0): an exchange → a task of the application → its response. It speaks no HTTP of its own:
//! bytes are the `server` crate's, and nothing here waits for a client.

mod app_coroutine;
mod app_runner;
mod awaitable;
mod cycle;
mod failure;
mod functions;
mod http_cycle;
mod message;
mod names;
mod reply;
mod scope;
mod secured;
mod vectorcall;
mod waiters;
mod websocket_cycle;
mod websocket_message;
mod websocket_state;

use std::sync::Arc;
use std::time::Duration;

use pyo3::IntoPyObjectExt as _;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use server::{Call, Event};
use settings::Config;

use crate::gateway::{Gateway, Patience, RequestHooks};
use app_runner::{AppRunner, AsgiApplication};
use scope::ScopeConstants;
use server::name_policy::NamePolicy;

/// An application with its lifespan, in an event loop that is its driver's.
#[derive(Debug)]
pub(crate) struct AsgiGateway {
    event_loop: Py<PyAny>,
    lifespan: Py<PyAny>,
    runner: Arc<AppRunner>,
}

impl AsgiGateway {
    /// Lets the application start in the event loop. While that turns it calls `beat`.
    ///
    /// # Errors
    /// `oxicorn.errors.AppError` where the application does not start; `SystemExit` from a signal.
    pub(crate) fn open(
        event_loop: &Bound<'_, PyAny>,
        application: &Bound<'_, PyAny>,
        config: &Config,
        hooks: Option<RequestHooks>,
        beat: &Bound<'_, PyAny>,
    ) -> PyResult<AsgiGateway> {
        let py = event_loop.py();
        let module = py.import("oxicorn.asgi")?;
        let application = module.call_method1("single_callable", (application,))?;
        let lifespan = module
            .getattr("Lifespan")?
            .call1((&application, config.asgi_lifespan.name()))?;
        lifespan.call_method1("start", (event_loop, beat))?;
        Self::started(event_loop, &application, &lifespan, config, hooks)
    }

    /// The same for an application that has started: `lifespan` is its `oxicorn.asgi.Lifespan`.
    ///
    /// # Errors
    /// Python's library is broken.
    pub(crate) fn started(
        event_loop: &Bound<'_, PyAny>,
        application: &Bound<'_, PyAny>,
        lifespan: &Bound<'_, PyAny>,
        config: &Config,
        hooks: Option<RequestHooks>,
    ) -> PyResult<AsgiGateway> {
        let py = event_loop.py();
        let module = py.import("oxicorn.asgi")?;
        functions::mark(&module)?;
        let state = lifespan.getattr("state")?.cast_into::<PyDict>()?.unbind();
        let constants = ScopeConstants {
            root_path: config.root_path.clone(),
            names: NamePolicy::of(config),
            state,
            pathsend: config.asgi_pathsend,
        };
        let application = AsgiApplication {
            is_coroutine_function: py
                .import("oxicorn.dialect")?
                .call_method1("is_coroutine_function", (application,))?
                .is_truthy()?,
            callable: application.clone().unbind(),
            call_apart: module.getattr("call_apart")?.unbind(),
        };
        let mut runner = AppRunner::new(py, application, event_loop, constants)?;
        runner.grace = Duration::from_secs(config.asgi_disconnect_grace_period.into());
        runner.hooks = hooks;
        Ok(AsgiGateway {
            event_loop: event_loop.clone().unbind(),
            lifespan: lifespan.clone().unbind(),
            runner: Arc::new(runner),
        })
    }

    /// The tasks of requests that are under way.
    ///
    /// # Errors
    /// There is no memory for the list.
    pub(crate) fn unfinished<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.runner.unfinished(py).into_bound_py_any(py)
    }
}

impl Gateway for AsgiGateway {
    /// Starts the application on a request.
    fn answer(&self, py: Python<'_>, call: Call) -> PyResult<()> {
        self.runner.start(py, call).map_or(Ok(()), Err)
    }

    fn tell(&self, py: Python<'_>, event: Event) {
        self.runner.tell(py, event);
    }

    fn answers_at_once(&self) -> bool {
        self.runner.starts_eagerly()
    }

    fn cancel_all(&self, py: Python<'_>) {
        self.runner.cancel_all(py);
    }

    /// Ends what still runs of the requests, then the lifespan.
    fn finish(&self, py: Python<'_>, patience: Patience) -> PyResult<()> {
        let event_loop = self.event_loop.bind(py);
        let requests = patience.requests.as_secs_f64();
        py.import("oxicorn.asgi")?
            .call_method1("finish", (event_loop, self.runner.unfinished(py), requests))?;
        self.lifespan
            .bind(py)
            .call_method1("stop", (event_loop, patience.application.as_secs_f64()))
            .map(drop)
    }
}
