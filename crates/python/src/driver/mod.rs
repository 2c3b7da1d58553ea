//! Who turns the reactor: the threads that run the application, or the event loop that does. How the application is
//! called is the gateway's business.

mod event_loop;
mod hub;
mod threads;

use std::fmt::Display;
use std::sync::Arc;

use arbiter::EXIT_WORKER_MEANS;
use pyo3::exceptions::PySystemExit;
use pyo3::prelude::*;
use server::Server;
use sys::pipe::Notifier;
use sys::scoreboard::Slot;

use crate::gateway::Gateway;

pub(crate) use event_loop::{EventLoop, Turner};
pub(crate) use hub::Hub;
pub(crate) use threads::{end_despite_threads, left_threads, start_beside};

/// Who turns the reactor.
pub(crate) enum Driver {
    /// So many threads.
    Threads(u32),
    /// An event loop.
    EventLoop(EventLoop),
    /// gevent's hub.
    Hub(Hub),
}

/// A worker that has booted: its driver, and the gateway by which that calls the application. Neither knows more of the
/// other than the trait says.
pub(crate) struct Booted {
    pub(crate) server: Arc<Server>,
    pub(crate) driver: Driver,
    pub(crate) gateway: Arc<dyn Gateway>,
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
        gateway,
        readiness,
    } = booted;
    match driver {
        Driver::Threads(threads) => threads::run(py, server, gateway, *threads, readiness),
        Driver::EventLoop(event_loop) => event_loop.run(py, server, gateway, readiness),
        Driver::Hub(hub) => hub.run(py, server, gateway, readiness),
    }
}

/// Starts the thread that attends to the reactor while the driver is inside the application.
///
/// That thread never runs the application. A system call of a view ends early only in the thread that gets a signal, so
/// signals are for the others. Whichever of them gets one, Python's handler runs in the main thread, which the pipe of
/// `signals::install` wakes.
pub(crate) fn start_watchdog(server: &Arc<Server>) -> PyResult<()> {
    let blocked = sys::signals::block_all_but_faults();
    let watchdog = server.start_watchdog();
    drop(blocked);
    watchdog.map_err(|error| no_thread(&error))
}

/// How a worker ends that the system gives no thread.
fn no_thread(error: &dyn Display) -> PyErr {
    log::error!("No thread can be started: {error} (is there a limit on processes?)");
    PySystemExit::new_err((EXIT_WORKER_MEANS,))
}
