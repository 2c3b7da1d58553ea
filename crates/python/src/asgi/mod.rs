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
mod waiters;
mod websocket_cycle;
mod websocket_message;
mod websocket_state;

use std::sync::Arc;
use std::time::Duration;

use pyo3::prelude::*;
use pyo3::types::PyDict;
use server::{Call, Event};
use settings::Config;

use crate::gateway::RequestHooks;
use app_runner::{AppRunner, Application};
use scope::Constants;
use server::name_policy::NamePolicy;

/// An application with its event loop and its lifespan.
#[derive(Debug)]
pub(crate) struct AsgiGateway {
    event_loop: Py<PyAny>,
    lifespan: Py<PyAny>,
    runner: Arc<AppRunner>,
}

impl AsgiGateway {
    /// Makes the event loop, and lets the application start in it. While the loop turns it calls `beat`.
    ///
    /// # Errors
    /// `oxicorn.errors.AppError` where there is no such loop or the application does not start; `SystemExit` from a
    /// signal.
    pub(crate) fn open(
        py: Python<'_>,
        application: &Bound<'_, PyAny>,
        config: &Config,
        hooks: Option<RequestHooks>,
        beat: &Bound<'_, PyAny>,
    ) -> PyResult<AsgiGateway> {
        let module = py.import("oxicorn.asgi")?;
        functions::mark(&module)?;
        let event_loop = module.call_method1("new_loop", (config.asgi_loop.name(),))?;
        crate::forks::empty_in_children(&event_loop)?;
        let application = module.call_method1("single_callable", (application,))?;
        let lifespan = module
            .getattr("Lifespan")?
            .call1((&application, config.asgi_lifespan.name()))?;
        lifespan.call_method1("start", (&event_loop, beat))?;
        let state = lifespan.getattr("state")?.cast_into::<PyDict>()?.unbind();
        let constants = Constants {
            root_path: config.root_path.clone(),
            names: NamePolicy::of(config),
            state,
            pathsend: config.asgi_pathsend,
        };
        let application = Application {
            is_coroutine_function: py
                .import("oxicorn.dialect")?
                .call_method1("is_coroutine_function", (&application,))?
                .is_truthy()?,
            callable: application.unbind(),
            call_apart: module.getattr("call_apart")?.unbind(),
        };
        let mut runner = AppRunner::new(py, application, &event_loop, constants)?;
        runner.grace = Duration::from_secs(config.asgi_disconnect_grace_period.into());
        runner.hooks = hooks;
        Ok(AsgiGateway {
            event_loop: event_loop.unbind(),
            lifespan: lifespan.unbind(),
            runner: Arc::new(runner),
        })
    }

    /// The event loop.
    pub(crate) fn event_loop<'py>(&self, py: Python<'py>) -> &Bound<'py, PyAny> {
        self.event_loop.bind(py)
    }

    /// Whether the application makes its first step when it is started, and not when the event loop comes to it.
    pub(crate) fn starts_eagerly(&self) -> bool {
        self.runner.starts_eagerly()
    }

    /// Starts the application on a request.
    ///
    /// # Errors
    /// `SystemExit` or `KeyboardInterrupt` out of the application, which the worker must obey. All other errors have
    /// been logged.
    pub(crate) fn answer(&self, py: Python<'_>, call: Call) -> PyResult<()> {
        self.runner.start(py, call).map_or(Ok(()), Err)
    }

    /// Tells the request that an event is about.
    pub(crate) fn tell(&self, py: Python<'_>, event: Event) {
        self.runner.tell(py, event);
    }

    /// Cancels every request that is under way.
    pub(crate) fn cancel_all(&self, py: Python<'_>) {
        self.runner.cancel_all(py);
    }

    /// Ends everything: what still runs of the requests, the lifespan, the loop. Each has `patience` at most.
    ///
    /// # Errors
    /// What the loop raises, `SystemExit` from a signal first of all.
    pub(crate) fn close(&self, py: Python<'_>, patience: [Duration; 2]) -> PyResult<()> {
        let module = py.import("oxicorn.asgi")?;
        let event_loop = self.event_loop.bind(py);
        let [tasks, lifespan] = patience;
        module.call_method1(
            "finish",
            (event_loop, self.runner.unfinished(py), tasks.as_secs_f64()),
        )?;
        self.lifespan
            .bind(py)
            .call_method1("stop", (event_loop, lifespan.as_secs_f64()))?;
        module.call_method1("close", (event_loop,)).map(drop)
    }
}
