//! What becomes of a process that the application has forked. `sys::forks` takes the server's descriptors and its
//! shared memory away from it; what is Python's is given back here, and a process that comes back into the server's
//! code leaves at once, without writing, flushing or ending anything of the server's.

use std::collections::BTreeSet;
use std::sync::Arc;

use pyo3::exceptions::PySystemExit;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyCFunction, PyDict, PyTuple};

use sys::process::End;

use crate::lock::Lock;
use crate::logging::URGENT_TARGET;
use crate::signals;

/// Ends this process if the application has forked it. `outcome` is what the application's code came to.
#[inline]
pub(crate) fn leave_if_stray<T>(py: Python<'_>, outcome: &PyResult<T>) {
    if sys::forks::is_stray() {
        leave(py, outcome.as_ref().err());
    }
}

/// Ends this process if the application has forked it: where the application calls the server, or its code has
/// returned.
#[inline]
pub(crate) fn leave_if_forked() {
    if sys::forks::is_stray() {
        Python::attach(|py| leave(py, None));
    }
}

/// Ends this process as an interpreter would that has nothing else to do: 0 where the code has returned, what
/// `sys.exit` was given, and 1 with a traceback for any other exception. Exit functions belong to the server's process.
#[cold]
fn leave(py: Python<'_>, error: Option<&PyErr>) -> ! {
    let code = error.map_or(0, |error| code_of(py, error));
    log::debug!(
        "A process that the application forked (pid:{}) came back to the server and leaves with code {code}",
        std::process::id()
    );
    for stream in [intern!(py, "stdout"), intern!(py, "stderr")] {
        let flushed = py
            .import(intern!(py, "sys"))
            .and_then(|sys| sys.getattr(stream)?.call_method0(intern!(py, "flush")));
        // A stream that is closed has nothing left to write.
        drop(flushed);
    }
    sys::process::exit_at_once(code)
}

/// As CPython ends a script: `sys.exit()` is 0, `sys.exit(3)` is 3, and `sys.exit("text")` prints the text and is 1.
fn code_of(py: Python<'_>, error: &PyErr) -> i32 {
    if !error.is_instance_of::<PySystemExit>(py) {
        error.clone_ref(py).display(py);
        return 1;
    }
    match error.value(py).getattr(intern!(py, "code")) {
        Ok(code) if code.is_none() => 0,
        Ok(code) => code.extract().unwrap_or_else(|_| {
            let told = py.import(intern!(py, "sys")).and_then(|sys| {
                let stream = sys.getattr(intern!(py, "stderr"))?;
                stream.call_method1(intern!(py, "write"), (format!("{code}\n"),))
            });
            // A stream that is closed shows nothing.
            drop(told);
            1
        }),
        Err(_) => 1,
    }
}

/// Has every process that the application forks from here on find Python's part of the server gone: its signal handlers
/// and, beside an event loop, what the loop was about to do.
///
/// # Errors
///
/// Python's library is broken.
pub(crate) fn disarm_children(py: Python<'_>) -> PyResult<()> {
    let handlers = Arc::new(signals::installed(py)?);
    let known = Arc::clone(&handlers);
    let before =
        move |arguments: &Bound<'_, PyTuple>, _: Option<&Bound<'_, PyDict>>| -> PyResult<()> {
            let ours = known
                .iter()
                .map(|handler| handler.signal_if_ours(arguments.py()))
                .collect::<PyResult<Vec<_>>>()?;
            sys::forks::give_back(&ours.into_iter().flatten().collect::<Vec<_>>());
            Ok(())
        };
    let function = PyCFunction::new_closure(py, None, None, before)?;
    at_fork(py, "before", &function)?;
    let after = |arguments: &Bound<'_, PyTuple>, _: Option<&Bound<'_, PyDict>>| -> PyResult<()> {
        tell_of_children(arguments.py());
        Ok(())
    };
    let function = PyCFunction::new_closure(py, None, None, after)?;
    at_fork(py, "after_in_parent", &function)?;
    in_every_child(py, move |py| signals::give_back(py, &handlers))
}

/// Has every process that the application forks from here on forget what `event_loop` was about to do: the callbacks of
/// other requests are the worker's.
///
/// # Errors
///
/// Python's library is broken.
pub(crate) fn empty_in_children(event_loop: &Bound<'_, PyAny>) -> PyResult<()> {
    let (py, event_loop) = (event_loop.py(), event_loop.clone().unbind());
    in_every_child(py, move |py| {
        let event_loop = event_loop.bind(py);
        // asyncio's own names. uvloop has none of them, and there the first call of the server ends the process.
        for queue in ["_ready", "_scheduled"] {
            if let Some(queue) = event_loop.getattr_opt(queue)? {
                queue.call_method0("clear")?;
            }
        }
        // Where the fork was in a callback of the loop, the loop ends with it.
        event_loop.call_method0("stop").map(drop)
    })
}

/// Has every process that the application forks from here on stop these watchers of a gevent hub: what they watch is
/// the worker's.
///
/// # Errors
///
/// Python's library is broken.
pub(crate) fn stop_in_children(watchers: &[&Bound<'_, PyAny>]) -> PyResult<()> {
    for watcher in watchers {
        let (py, watcher) = (watcher.py(), (*watcher).clone().unbind());
        in_every_child(py, move |py| watcher.call_method0(py, "stop").map(drop))?;
    }
    Ok(())
}

/// The children of the application whose end will be told.
static WATCHED: Lock<BTreeSet<i32>> = Lock::new(BTreeSet::new());

/// Tells how the children of this thread end, at the level `debug`. They stay their parent's to collect.
fn tell_of_children(py: Python<'_>) {
    if !log::log_enabled!(log::Level::Debug) || sys::forks::is_stray() {
        return;
    }
    py.detach(|| {
        for pid in sys::children::of_this_thread() {
            if !WATCHED.with(|watched| watched.insert(pid)) {
                continue;
            }
            if let Err(error) = watch(pid) {
                WATCHED.with(|watched| watched.remove(&pid));
                log::debug!("The child {pid} of the application cannot be watched: {error}");
            }
        }
    });
}

fn watch(pid: i32) -> std::io::Result<()> {
    let child = sys::children::Child::watch(pid)?;
    let _blocked = sys::signals::block_all_but_faults();
    let tell = move || {
        let end = child.end();
        WATCHED.with(|watched| watched.remove(&pid));
        let how = match end {
            Ok(Some(End::Exited(code))) => format!("exited with code {code}"),
            Ok(Some(end @ End::Signalled { .. })) => format!("was sent {end}"),
            Ok(None) => "has ended, and its parent has collected it".to_owned(),
            Err(error) => format!("cannot be watched any more: {error}"),
        };
        // Not through Python, which may be ending.
        log::debug!(target: URGENT_TARGET, "A child of the application (pid:{pid}) {how}");
    };
    std::thread::Builder::new()
        .name("oxicorn-child".to_owned())
        .spawn(move || server::or_abort(tell))
        .map(drop)
}

fn in_every_child(
    py: Python<'_>,
    act: impl Fn(Python<'_>) -> PyResult<()> + Send + Sync + 'static,
) -> PyResult<()> {
    let in_child = move |arguments: &Bound<'_, PyTuple>, _: Option<&Bound<'_, PyDict>>| {
        match sys::forks::is_stray() {
            true => act(arguments.py()),
            false => Ok(()),
        }
    };
    let function = PyCFunction::new_closure(py, None, None, in_child)?;
    at_fork(py, "after_in_child", &function)
}

fn at_fork(py: Python<'_>, moment: &str, function: &Bound<'_, PyCFunction>) -> PyResult<()> {
    let options = PyDict::new(py);
    options.set_item(moment, function)?;
    py.import("os")?
        .call_method("register_at_fork", (), Some(&options))
        .map(drop)
}
