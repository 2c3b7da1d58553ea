//! Who turns the reactor: the threads that run the application, or the event loop that does.

mod event_loop;
mod threads;

use std::sync::Arc;
use std::time::Duration;

use pyo3::prelude::*;
use server::Server;

use crate::asgi::AsgiGateway;
use crate::wsgi::Gateway;

pub(crate) use threads::{end_despite_threads, left_threads};

/// What is served, and by whom.
pub(crate) enum Crew {
    /// A WSGI application, by so many threads.
    Threads(Arc<Gateway>, u32),
    /// An ASGI application, by its event loop. Requests have this long when the worker has to go.
    EventLoop(Arc<AsgiGateway>, Duration),
}

/// Serves until the server has come to its end, and returns the worker's exit code.
///
/// # Errors
/// No thread can be started, or a signal handler raised.
pub(crate) fn run(py: Python<'_>, server: &Arc<Server>, crew: &Crew) -> PyResult<i32> {
    match crew {
        Crew::Threads(gateway, threads) => threads::run(py, server, gateway, *threads),
        Crew::EventLoop(gateway, patience) => event_loop::run(py, server, gateway, *patience),
    }
}
