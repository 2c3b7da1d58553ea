//! The threads of a worker: the loop of every one that runs the application, and how many there are of it.
//!
//! A sync worker has one, the main thread, which is also where Python runs signal handlers. A gthread worker has as many as
//! `threads` says, and its main thread waits for signals alone, so that a view that blocks never delays them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::thread;

use pyo3::exceptions::PySystemExit;
use pyo3::prelude::*;
use server::{Next, Server, Shutdown};

use crate::logging;
use crate::wsgi::Gateway;

/// Serves until the server has come to its end, and returns the worker's exit code.
///
/// # Errors
/// No thread can be started, or a signal handler raised.
pub(super) fn run(
    py: Python<'_>,
    server: &Arc<Server>,
    gateway: &Arc<Gateway>,
    threads: u32,
) -> PyResult<i32> {
    // The kernel hands a signal to any thread that lets it in. Only the main thread can run Python's handlers, and a
    // system call of the application ends early only in the thread that got the signal; so no other lets any in.
    let blocked = sys::signals::block_all();
    server.start_watchdog()?;
    if threads == 1 {
        drop(blocked);
        return serve_here(py, server, gateway);
    }
    let exit_code = Arc::new(AtomicI32::new(0));
    let crew = (0..threads).map(|number| {
        let (server, gateway, exit_code) = (
            Arc::clone(server),
            Arc::clone(gateway),
            Arc::clone(&exit_code),
        );
        let name = format!("oxicorn-{number}");
        thread::Builder::new()
            .name(name)
            .spawn(move || server::or_abort(|| serve_there(&server, &gateway, &exit_code)))
    });
    let crew = crew.collect::<std::io::Result<Vec<_>>>()?;
    drop(blocked);
    while let Next::Interrupted = py.detach(|| server.stand_aside()) {
        logging::deliver(py);
        if let Err(error) = py.check_signals() {
            THREADS_LEFT.store(true, Ordering::Relaxed);
            return Err(error);
        }
    }
    py.detach(|| crew.into_iter().for_each(|thread| drop(thread.join())));
    Ok(exit_code.load(Ordering::Relaxed))
}

/// Whether this worker ends while its threads may still be inside the application.
static THREADS_LEFT: AtomicBool = AtomicBool::new(false);

/// Whether an orderly end of the interpreter is impossible; see [`end_despite_threads`].
pub(crate) fn left_threads() -> bool {
    THREADS_LEFT.load(Ordering::Relaxed)
}

/// Ends the process while threads of the worker are inside the application. CPython before 3.14 ends such a thread, when it
/// wants the GIL back from a finalizing interpreter, by unwinding its stack, and there are frames of Rust on it: the
/// process would abort. So what `sys.exit` would have run is run here, and the rest is left to the kernel.
pub(crate) fn end_despite_threads(py: Python<'_>, code: i32) -> ! {
    let run = |module: &str, function: &str| py.import(module)?.call_method0(function).map(drop);
    if let Err(error) = run("atexit", "_run_exitfuncs") {
        log::error!("Exception in an exit function: {error}");
    }
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
fn serve_here(py: Python<'_>, server: &Arc<Server>, gateway: &Arc<Gateway>) -> PyResult<i32> {
    loop {
        match py.detach(|| server.next()) {
            Next::Exchange(exchange) => gateway.call(py, exchange)?,
            Next::Interrupted => {}
            Next::Done => return Ok(0),
        }
        logging::deliver(py);
        // Handlers also have to run when requests leave no time for an interruption to be noticed.
        py.check_signals()?;
    }
}

/// The loop of one thread of a gthread worker.
fn serve_there(server: &Arc<Server>, gateway: &Arc<Gateway>, exit_code: &AtomicI32) {
    Python::attach(|py| {
        if let Err(error) = trace_as_wished(py) {
            log::error!("A thread cannot be traced: {error}");
        }
        // A request must find the thread as it would find one of Python's own: with a thread state that lasts, and so with
        // thread-locals and context variables that last.
        loop {
            match py.detach(|| server.next()) {
                Next::Exchange(exchange) => {
                    if let Err(error) = gateway.call(py, exchange) {
                        exit_code.store(requested_exit(py, &error), Ordering::Relaxed);
                        server.shut_down(Shutdown::Graceful);
                    }
                }
                Next::Interrupted => {}
                Next::Done => return,
            }
        }
    });
}

/// Lets debuggers, and `spew`, see what this thread executes, as they see threads that Python starts.
fn trace_as_wished(py: Python<'_>) -> PyResult<()> {
    let threading = py.import("threading")?;
    for (wish, set) in [("gettrace", "settrace"), ("getprofile", "setprofile")] {
        let wished = threading.call_method0(wish)?;
        if !wished.is_none() {
            py.import("sys")?.call_method1(set, (wished,))?;
        }
    }
    Ok(())
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
