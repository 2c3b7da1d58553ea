//! Who turns the reactor: the threads that run the application, or the event loop that does.

mod event_loop;
mod threads;

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use arbiter::EXIT_WORKER_MEANS;
use pyo3::exceptions::PySystemExit;
use pyo3::prelude::*;
use server::Server;
use sys::pipe::Notifier;
use sys::scoreboard::Slot;

use crate::asgi::AsgiGateway;
use crate::wsgi::WsgiGateway;

pub(crate) use threads::{end_despite_threads, left_threads};

/// Who turns the reactor, and the gateway that it calls the application by.
pub(crate) enum Driver {
    /// A WSGI application, by so many threads.
    Threads(Arc<WsgiGateway>, u32),
    /// An ASGI application, by its event loop. Requests have this long when the worker has to go.
    EventLoop(Arc<AsgiGateway>, Duration),
}

/// A worker that has booted.
pub(crate) struct Booted {
    pub(crate) server: Arc<Server>,
    pub(crate) driver: Driver,
    pub(crate) readiness: Readiness,
}

/// How the arbiter learns that a worker serves: when nothing can be missing any more, its threads among it.
pub(crate) struct Readiness {
    pub(crate) slot: Slot,
    pub(crate) notifier: Notifier,
}

impl Readiness {
    fn notify(&self) {
        // The slot counts as busy from the fork on, so that a boot that hangs is seen; from here on it is not.
        self.slot.set_busy_since_ms(0);
        self.slot.become_ready();
        self.notifier.notify();
    }
}

/// Serves until the server has come to its end, and returns the worker's exit code.
///
/// # Errors
/// No thread can be started, or a signal handler raised.
pub(crate) fn run(py: Python<'_>, booted: &Booted) -> PyResult<i32> {
    let Booted {
        server,
        driver,
        readiness,
    } = booted;
    match driver {
        Driver::Threads(gateway, threads) => threads::run(py, server, gateway, *threads, readiness),
        Driver::EventLoop(gateway, patience) => {
            event_loop::run(py, server, gateway, *patience, readiness)
        }
    }
}

/// How a worker ends that the system gives no thread.
fn no_thread(error: &dyn Display) -> PyErr {
    log::error!("No thread can be started: {error} (is there a limit on processes?)");
    PySystemExit::new_err((EXIT_WORKER_MEANS,))
}
