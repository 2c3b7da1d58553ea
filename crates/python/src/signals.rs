//! Signals in a worker. Python's `signal` module runs the handlers, because they call hooks and raise `SystemExit` in
//! the middle of the application; a pipe wakes the reactor, because Python alone would not notice while it waits.

use std::os::fd::AsRawFd as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use pyo3::exceptions::PySystemExit;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyCFunction, PyDict, PyTuple};
use server::{Server, Shutdown, Watched};
use sys::signals::Signal;

use crate::failure::traceback;
use crate::hooks::Hooks;
use crate::logging;

/// What the handlers act on.
pub(crate) struct Addressee {
    pub(crate) server: Arc<Server>,
    pub(crate) hooks: Arc<Hooks>,
    pub(crate) worker: Py<PyAny>,
    /// Whether the application has been imported.
    pub(crate) booted: AtomicBool,
    /// Whether the worker was told to go: an end is then no failure, even where the application is still imported.
    pub(crate) leaving: AtomicBool,
}

/// Whether a handler has raised `SystemExit`, anywhere in the application.
static LEAVING: AtomicBool = AtomicBool::new(false);

/// Whether the worker ends at once, so that a `SystemExit` is ours.
pub(crate) fn is_leaving() -> bool {
    LEAVING.load(Ordering::Relaxed)
}

type Handler = fn(Python<'_>, &Addressee) -> PyResult<()>;

/// The signals of a worker. What is missing keeps the system's meaning.
const HANDLERS: &[(&str, Handler)] = &[
    ("SIGTERM", finish),
    ("SIGINT", leave),
    ("SIGQUIT", leave),
    ("SIGABRT", abort),
    ("SIGUSR1", reopen_logs),
    // A handler that does nothing rather than SIG_IGN, which programs started by the application would inherit.
    // `pkill -HUP` reaches workers too, and must not cost a request.
    ("SIGHUP", ignore),
    ("SIGUSR2", ignore),
    ("SIGWINCH", ignore),
    ("SIGTTIN", ignore),
    ("SIGTTOU", ignore),
];

/// Installs the handlers and the pipe that wakes the server's reactor.
///
/// # Errors
///
/// The pipe cannot be made, or this is not the main thread.
pub(crate) fn install(py: Python<'_>, addressee: &Arc<Addressee>) -> PyResult<()> {
    let signal = py.import("signal")?;
    for (name, handler) in HANDLERS {
        let addressee = Arc::clone(addressee);
        let function = PyCFunction::new_closure(
            py,
            None,
            None,
            move |arguments: &Bound<'_, PyTuple>, _: Option<&Bound<'_, PyDict>>| {
                // A process that the application has forked is not the one that the signal means.
                match sys::forks::is_stray() {
                    true => Ok(()),
                    false => handler(arguments.py(), &addressee),
                }
            },
        )?;
        signal.call_method1("signal", (signal.getattr(*name)?, function))?;
    }
    let pipe = sys::pipe::pipe()?;
    // Python writes to it from the system's handler: also while no code of Python runs.
    addressee.server.watch(pipe.read, Watched::Interruption)?;
    let options = PyDict::new(py);
    // A full pipe has woken the reactor already.
    options.set_item("warn_on_full_buffer", false)?;
    signal.call_method("set_wakeup_fd", (pipe.write.as_raw_fd(),), Some(&options))?;
    logging::ring_on(pipe.write);
    Ok(())
}

/// A signal that ends a process by default, and the handler that the server has for it.
pub(crate) struct Installed {
    name: &'static str,
    signal: Signal,
    handler: Py<PyAny>,
}

impl Installed {
    /// The signal, unless the application has a handler of its own for it by now.
    ///
    /// # Errors
    ///
    /// Python's library is broken.
    pub(crate) fn signal_if_ours(&self, py: Python<'_>) -> PyResult<Option<Signal>> {
        let current = py
            .import(intern!(py, "signal"))?
            .call_method1(intern!(py, "getsignal"), (self.signal.number(),))?;
        Ok(current.eq(&self.handler)?.then_some(self.signal))
    }
}

/// The signals that end a process by default.
///
/// # Errors
///
/// Python's library is broken.
pub(crate) fn installed(py: Python<'_>) -> PyResult<Vec<Installed>> {
    const ENDING: [(&str, Signal); 4] = [
        ("SIGTERM", Signal::TERM),
        ("SIGINT", Signal::INT),
        ("SIGQUIT", Signal::QUIT),
        ("SIGABRT", Signal::ABRT),
    ];
    let module = py.import("signal")?;
    let look = |(name, signal): (&'static str, Signal)| {
        let handler = module
            .call_method1("getsignal", (signal.number(),))?
            .unbind();
        Ok(Installed {
            name,
            signal,
            handler,
        })
    };
    ENDING.into_iter().map(look).collect()
}

/// In a process that the application has forked: has Python know that the signals whose handlers are still the server's
/// are at their defaults, and takes the pipe away that wakes the reactor.
///
/// # Errors
///
/// None that an unimpaired `signal` module has.
pub(crate) fn give_back(py: Python<'_>, handlers: &[Installed]) -> PyResult<()> {
    let module = py.import("signal")?;
    for installed in handlers {
        let Some(signal) = installed.signal_if_ours(py)? else {
            continue;
        };
        let default = match signal {
            Signal::INT => "default_int_handler",
            _ => "SIG_DFL",
        };
        module.call_method1(
            "signal",
            (module.getattr(installed.name)?, module.getattr(default)?),
        )?;
    }
    module.call_method1("set_wakeup_fd", (-1,)).map(drop)
}

/// Ignores what is handled otherwise, for a worker that only has to leave. Python gives signals with a handler back
/// their default while it shuts down, and the terminal's second Ctrl+C, or the arbiter's signal after it, would then
/// turn a clean end into a death.
pub(crate) fn ignore_all(py: Python<'_>) -> PyResult<()> {
    let signal = py.import("signal")?;
    let ignored = signal.getattr("SIG_IGN")?;
    for (name, _) in HANDLERS {
        let number = signal.getattr(*name)?;
        let ignore = || signal.call_method1("signal", (&number, &ignored));
        // The handler of a signal that came just before runs within the call, and what it raises has no meaning any
        // more.
        ignore().or_else(|_| ignore())?;
    }
    Ok(())
}

fn finish(py: Python<'_>, addressee: &Addressee) -> PyResult<()> {
    log::debug!("Worker was told to finish (pid: {})", std::process::id());
    addressee.leaving.store(true, Ordering::Relaxed);
    addressee.worker.setattr(py, "_alive", false)?;
    addressee.server.shut_down(Shutdown::Graceful);
    match addressee.booted.load(Ordering::Relaxed) {
        true => Ok(()),
        // No request has begun, so there is nothing that an import could be waited for.
        false => Err(PySystemExit::new_err((0,))),
    }
}

fn leave(py: Python<'_>, addressee: &Addressee) -> PyResult<()> {
    addressee.leaving.store(true, Ordering::Relaxed);
    addressee.worker.setattr(py, "_alive", false)?;
    call_hook(py, addressee, "worker_int");
    addressee.server.shut_down(Shutdown::Quick);
    LEAVING.store(true, Ordering::Relaxed);
    Err(PySystemExit::new_err((0,)))
}

/// The arbiter's word that this worker made no progress. Where it stands goes to the log first: the hook may not
/// return.
fn abort(py: Python<'_>, addressee: &Addressee) -> PyResult<()> {
    addressee.leaving.store(true, Ordering::Relaxed);
    addressee.worker.setattr(py, "_alive", false)?;
    addressee.server.answer_overdue();
    log::error!(
        "Worker was aborted (pid: {}); its threads stand at:",
        std::process::id()
    );
    logging::deliver(py);
    if addressee.server.note_abort()
        && let Err(error) = tell_stacks(py)
    {
        log::error!(target: logging::URGENT_TARGET, "The stacks could not be told: {error}");
    }
    call_hook(py, addressee, "worker_abort");
    addressee.server.shut_down(Shutdown::Quick);
    LEAVING.store(true, Ordering::Relaxed);
    Err(PySystemExit::new_err((1,)))
}

/// Writes down where the threads of the worker stand, and the tasks and greenlets that wait.
fn tell_stacks(py: Python<'_>) -> PyResult<()> {
    let module = py.import("oxicorn.stacks")?;
    if logging::is_json() {
        let text: String = module.call_method1("text", (py.None(),))?.extract()?;
        logging::write_message(&text);
        return Ok(());
    }
    let options = PyDict::new(py);
    let log = logging::descriptor();
    // Where no descriptor is left it goes to standard error.
    if let Ok(log) = &log {
        options.set_item("file", log.as_raw_fd())?;
    }
    options.set_item("all_threads", true)?;
    py.import("faulthandler")?
        .call_method("dump_traceback", (), Some(&options))?;
    let waiting: String = module.call_method0("waiting")?.extract()?;
    if !waiting.is_empty() {
        logging::write_text(&waiting);
    }
    Ok(())
}

fn reopen_logs(py: Python<'_>, addressee: &Addressee) -> PyResult<()> {
    addressee.server.reopen_logs();
    logging::reopen(py);
    Ok(())
}

fn ignore(_: Python<'_>, _: &Addressee) -> PyResult<()> {
    Ok(())
}

/// Calls a hook whose failure must not change what the signal does.
pub(crate) fn call_hook(py: Python<'_>, addressee: &Addressee, name: &str) {
    if let Err(error) = addressee.hooks.call(py, name, (&addressee.worker,)) {
        log::error!("Exception in the hook {name}:\n{}", traceback(py, &error));
    }
}
