//! The threads of a worker: the loop of every one that runs the application, and how many there are of it.
//!
//! A sync worker has one, the main thread, which is also where Python runs signal handlers. A gthread worker has as
//! many as `threads` says, and its main thread waits for signals alone, so that a view that blocks never delays them.
//!
//! The threads are Python's own (`threading.Thread`), because the application sees them: their names in its log,
//! whether threads that it starts are daemons, which it inherits, the room for its recursion.

use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Arc, OnceLock};

use pyo3::exceptions::PySystemExit;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyCFunction, PyDict, PyTuple};
use server::{Next, Server, Shutdown};

use super::{Readiness, no_thread, start_watchdog};
use crate::gateway::Gateway;
use crate::logging;

/// The stack of a thread where the main thread's has no limit.
const AMPLE_STACK: u64 = 64 * 1024 * 1024;

/// Serves until the server has come to its end, and returns the worker's exit code.
///
/// # Errors
/// No thread can be started, or a signal handler raised.
pub(super) fn run(
    py: Python<'_>,
    server: &Arc<Server>,
    gateway: &Arc<dyn Gateway>,
    threads: u32,
    ready: &Readiness,
) -> PyResult<i32> {
    start_watchdog(server)?;
    if threads == 1 {
        ready.notify();
        return serve_here(py, server, gateway);
    }
    let exit_code = Arc::new(AtomicI32::new(0));
    let gate = Gate::default();
    let team = Team {
        server,
        gateway,
        exit_code: &exit_code,
        gate: &gate,
        at_exit: AtExit::Left,
    };
    let serving = match team.start(py, threads) {
        Ok(serving) => serving,
        Err(error) => {
            THREADS_LEFT.store(true, Ordering::Relaxed);
            return Err(no_thread(&error));
        }
    };
    ready.notify();
    gate.open();
    let ended = attend(py, server).and_then(|()| {
        serving
            .iter()
            .try_for_each(|thread| thread.call_method0(intern!(py, "join")).map(drop))
    });
    if ended.is_err() {
        THREADS_LEFT.store(true, Ordering::Relaxed);
    }
    ended.map(|()| exit_code.load(Ordering::Relaxed))
}

/// Holds threads back until the worker is ready: a request that is served before would find a worker that still boots,
/// and could not ask for its successor.
#[derive(Clone, Default)]
struct Gate(Arc<OnceLock<()>>);

impl Gate {
    fn open(&self) {
        self.0.get_or_init(|| ());
    }

    fn wait(&self, py: Python<'_>) {
        py.detach(|| self.0.wait());
    }
}

/// Waits for the end of the server, and runs signal handlers meanwhile.
fn attend(py: Python<'_>, server: &Arc<Server>) -> PyResult<()> {
    while let Next::Interrupted = py.detach(|| server.stand_aside()) {
        logging::deliver(py);
        py.check_signals()?;
    }
    Ok(())
}

/// Starts the threads of a server that has no worker process of its own, and returns them.
///
/// # Errors
/// No thread can be started.
pub(crate) fn start_beside<'py>(
    py: Python<'py>,
    server: &Arc<Server>,
    gateway: &Arc<dyn Gateway>,
    threads: u32,
    exit_code: &Arc<AtomicI32>,
) -> PyResult<Vec<Bound<'py, PyAny>>> {
    let gate = Gate::default();
    let team = Team {
        server,
        gateway,
        exit_code,
        gate: &gate,
        at_exit: AtExit::Awaited,
    };
    let serving = team.start(py, threads)?;
    gate.open();
    Ok(serving)
}

/// What becomes of the threads at the interpreter's end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum AtExit {
    /// It does not wait for them: where a worker leaves at once, they are inside the application.
    Left,
    /// It waits for them.
    Awaited,
}

/// What the threads of a server share.
struct Team<'a> {
    server: &'a Arc<Server>,
    gateway: &'a Arc<dyn Gateway>,
    exit_code: &'a Arc<AtomicI32>,
    gate: &'a Gate,
    at_exit: AtExit,
}

impl Team<'_> {
    /// Starts the threads that run the application, with stacks as large as the main thread's unless the application
    /// has set another size.
    fn start<'py>(&self, py: Python<'py>, threads: u32) -> PyResult<Vec<Bound<'py, PyAny>>> {
        let threading = py.import("threading")?;
        // Asking for the size sets it to the default, zero.
        let wished = threading.call_method0("stack_size")?.extract::<u64>()?;
        let size = match wished {
            0 => sys::process::stack_limit().unwrap_or(AMPLE_STACK),
            wished => wished,
        };
        // A size that Python does not take leaves the system's default, which is nearly the same.
        drop(threading.call_method1("stack_size", (size,)));
        let serving = (0..threads)
            .map(|number| self.start_one(&threading, number))
            .collect();
        threading.call_method1("stack_size", (wished,))?;
        serving
    }

    fn start_one<'py>(
        &self,
        threading: &Bound<'py, PyModule>,
        number: u32,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = threading.py();
        let (server, gateway, exit_code) = (
            Arc::clone(self.server),
            Arc::clone(self.gateway),
            Arc::clone(self.exit_code),
        );
        let gate = self.gate.clone();
        let name = format!("oxicorn-{number}");
        let system_name = name.clone();
        let body = move |arguments: &Bound<'_, PyTuple>, _: Option<&Bound<'_, PyDict>>| {
            sys::process::set_name(&system_name);
            let py = arguments.py();
            if let Err(error) = note_thread(py) {
                log::error!("Threads of the application will be daemons: {error}");
            }
            gate.wait(py);
            server::or_abort(|| serve_there(py, &server, &gateway, &exit_code));
        };
        let options = PyDict::new(py);
        options.set_item("name", name)?;
        options.set_item("target", PyCFunction::new_closure(py, None, None, body)?)?;
        options.set_item("daemon", self.at_exit == AtExit::Left)?;
        let thread = threading.getattr("Thread")?.call((), Some(&options))?;
        thread.call_method0("start")?;
        Ok(thread)
    }
}

/// Has the calling thread be no daemon to the application, whose own threads inherit that from it.
fn note_thread(py: Python<'_>) -> PyResult<()> {
    py.import(intern!(py, "oxicorn.workers.threads"))?
        .call_method0(intern!(py, "serve_here"))
        .map(drop)
}

/// Whether this worker ends while its threads may still be inside the application.
static THREADS_LEFT: AtomicBool = AtomicBool::new(false);

/// Whether an orderly end of the interpreter is impossible; see [`end_despite_threads`].
pub(crate) fn left_threads() -> bool {
    THREADS_LEFT.load(Ordering::Relaxed)
}

/// Ends the process while threads of the worker are inside the application. CPython before 3.14 ends such a thread,
/// when it wants the GIL back from a finalizing interpreter, by unwinding its stack, and there are frames of Rust on
/// it: the process would abort. So what `sys.exit` would have run is run here, and the rest is left to the kernel.
/// Threads and executors that the application has started are waited for, as by any interpreter.
pub(crate) fn end_despite_threads(py: Python<'_>, code: i32) -> ! {
    let run = |module: &str, function: &str| py.import(module)?.call_method0(function).map(drop);
    if let Err(error) = run("threading", "_shutdown") {
        log::error!("Exception while threads were waited for: {error}");
    }
    if let Err(error) = run("atexit", "_run_exitfuncs") {
        log::error!("Exception in an exit function: {error}");
    }
    logging::deliver(py);
    for stream in ["stdout", "stderr"] {
        let flushed = py
            .import("sys")
            .and_then(|sys| sys.getattr(stream)?.call_method0("flush"));
        // A stream that is closed has nothing left to write.
        drop(flushed);
    }
    sys::process::exit_at_once(code)
}

/// The loop of a sync worker's only thread.
fn serve_here(py: Python<'_>, server: &Arc<Server>, gateway: &Arc<dyn Gateway>) -> PyResult<i32> {
    loop {
        match py.detach(|| server.next()) {
            Next::Call(call) => gateway.answer(py, call)?,
            Next::Interrupted => {}
            Next::Done => return Ok(0),
        }
        logging::deliver(py);
        // Handlers also have to run when requests leave no time for an interruption to be noticed.
        py.check_signals()?;
    }
}

/// The loop of one thread of a gthread worker.
fn serve_there(
    py: Python<'_>,
    server: &Arc<Server>,
    gateway: &Arc<dyn Gateway>,
    exit_code: &AtomicI32,
) {
    loop {
        match py.detach(|| server.next()) {
            Next::Call(call) => {
                if let Err(error) = gateway.answer(py, call) {
                    exit_code.store(requested_exit(py, &error), Ordering::Relaxed);
                    server.shut_down(Shutdown::Graceful);
                }
            }
            Next::Interrupted => {}
            Next::Done => return logging::deliver(py),
        }
        logging::deliver(py);
    }
}

/// The status that `sys.exit()` in the application asks for.
fn requested_exit(py: Python<'_>, error: &PyErr) -> i32 {
    if !error.is_instance_of::<PySystemExit>(py) {
        return 1;
    }
    let code = error.value(py).getattr("code");
    match code {
        Ok(code) if code.is_none() => 0,
        Ok(code) => code.extract().unwrap_or(1),
        Err(_) => 1,
    }
}
