//! What the gateways of WSGI and ASGI share: what a template holds of the last request, the memory of field names, what
//! an application gives, the request hooks, and why an application does not get to see a request. It knows neither of
//! the two, nor who turns the reactor.

pub(crate) mod arguments;
pub(crate) mod failure;
mod input;
pub(crate) mod last_request;
pub(crate) mod name_cache;
pub(crate) mod open_file;
pub(crate) mod pairs;
pub(crate) mod proxied;
mod request_hooks;
pub(crate) mod text;
mod unserved;
pub(crate) mod unsupported;

use std::time::Duration;

use pyo3::prelude::*;
use server::{Call, Event, ExchangeId};

pub(crate) use input::Input;
pub(crate) use last_request::{LastRequest, TemplateKeys};
pub(crate) use name_cache::NameCache;
pub(crate) use request_hooks::{HookRequest, HookResponse, RequestHooks, note_access};
pub(crate) use unserved::Unserved;

/// The way from an exchange to an application, as the driver sees it. What only one kind of driver asks for has an
/// answer here that suits a gateway that answers each call before it returns.
pub(crate) trait Gateway: Send + Sync {
    /// Calls the application, and returns when it has answered, or has begun to where it runs in a task of its own.
    ///
    /// # Errors
    /// `SystemExit` or `KeyboardInterrupt` out of the application, which the worker must obey. All other errors have
    /// been logged.
    fn answer(&self, py: Python<'_>, call: Call) -> PyResult<()>;

    /// Tells the request that an event is about. Only a server whose bodies are streamed has events.
    fn tell(&self, _py: Python<'_>, _event: Event) {}

    /// Whether [`Gateway::answer`] has run the application when it returns, as far as that runs without waiting.
    fn answers_at_once(&self) -> bool {
        true
    }

    /// Cancels every request that is under way.
    fn cancel_all(&self, _py: Python<'_>) {}

    /// Ends what the application has going beside its calls.
    ///
    /// # Errors
    /// `SystemExit` from a signal.
    fn finish(&self, _py: Python<'_>, _patience: Patience) -> PyResult<()> {
        Ok(())
    }
}

/// How long the end of a worker may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// For the requests that are still under way.
    pub(crate) requests: Duration,
    /// For the application itself, behind them.
    pub(crate) application: Duration,
}

/// How the caller of an application waits for a client that does not take what it is sent, where it must not wait as a
/// thread does.
pub(crate) trait Wait: Send + Sync {
    /// Waits for the [`Event::Room`] of an exchange.
    ///
    /// # Errors
    /// What ended the wait: an exception that was thrown into the waiting greenlet.
    fn for_room(&self, py: Python<'_>, id: ExchangeId) -> PyResult<()>;
}
