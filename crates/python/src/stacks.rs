//! Where the threads, tasks and greenlets of a worker stand, asked from a thread that has no part in Python.
//!
//! With the GIL, Python tells it: threads by name, tasks by what they await. Where the GIL is not to be had, its
//! holder is stuck in C, and `faulthandler` writes the stacks of the threads without it. It is registered on a
//! real-time signal that the asking thread raises at itself, so no system call of the application is interrupted.
//! Without the first way stacks would be read while they change.

use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::os::fd::AsRawFd as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, mpsc};
use std::thread;
use std::time::Duration;

use pyo3::prelude::*;
use pyo3::types::PyDict;
use server::Server;
use sys::reports::{Question, REPORT_BYTES, Ticket};
use sys::scoreboard::Slot;
use sys::signals::Signal;

use crate::lock::Lock;

/// How long the GIL is waited for. Threads that run Python hand it on after 5 ms.
const GIL_PATIENCE: Duration = Duration::from_millis(200);
/// How long Python may take to tell, once the GIL was to be had: the application's threads want it, too. A watchdog
/// that asks leaves the reactor alone meanwhile.
const TEXT_PATIENCE: Duration = Duration::from_millis(800);

/// What it takes to tell them.
struct Teller {
    /// `oxicorn.stacks.text`, imported while nothing was stuck.
    text: Py<PyAny>,
    /// What `faulthandler` writes to, and its signal; absent where something else has the signal.
    fallback: Option<(File, Signal)>,
    /// One at a time.
    turn: Lock<()>,
}

static TELLER: OnceLock<Teller> = OnceLock::new();

/// Prepares this worker for being asked.
///
/// # Errors
/// Python's library is broken.
pub(crate) fn install(py: Python<'_>, server: &Arc<Server>) -> PyResult<()> {
    let text = py.import("oxicorn.stacks")?.getattr("text")?.unbind();
    let fallback = match register(py) {
        Ok(fallback) => fallback,
        Err(error) => {
            log::debug!("stacks of threads that are stuck in C cannot be told: {error}");
            None
        }
    };
    let turn = Lock::default();
    let _ = TELLER.set(Teller {
        text,
        fallback,
        turn,
    });
    server.tell_stacks_by(text_of_all);
    Ok(())
}

fn register(py: Python<'_>) -> PyResult<Option<(File, Signal)>> {
    let signal = sys::signals::last_realtime();
    let module = py.import("signal")?;
    let taken = module.call_method1("getsignal", (signal.number(),))?;
    if !taken.eq(module.getattr("SIG_DFL")?)? {
        return Ok(None);
    }
    let file = sys::files::memory_file("oxicorn-stacks")?;
    let options = PyDict::new(py);
    options.set_item("file", file.as_raw_fd())?;
    options.set_item("all_threads", true)?;
    options.set_item("chain", false)?;
    py.import("faulthandler")?
        .call_method("register", (signal.number(),), Some(&options))?;
    Ok(Some((file, signal)))
}

/// The stacks of all threads, tasks and greenlets. Never to be called with the GIL held, nor by a thread that runs the
/// application.
pub(crate) fn text_of_all() -> String {
    let Some(teller) = TELLER.get() else {
        return "(the worker has just begun to boot)\n".to_owned();
    };
    // Python may run meanwhile, in another thread; nothing that it can call asks for this lock.
    teller
        .turn
        .with(|()| by_python().unwrap_or_else(|| by_signal(teller)))
}

/// What Python tells; `None` where the GIL is not to be had in time.
fn by_python() -> Option<String> {
    let (tell, told) = mpsc::channel();
    // Set first by the thread with the GIL, which tells then, or by this one, which waits no longer.
    let decided = Arc::new(AtomicBool::new(false));
    let is_decided = Arc::clone(&decided);
    let ask = move || {
        Python::attach(|py| {
            let Some(teller) = TELLER.get() else { return };
            if is_decided.swap(true, Ordering::SeqCst) {
                return;
            }
            let text = teller.text.call0(py);
            let text = text.and_then(|text| text.extract::<String>(py));
            // The thread that asked may wait no longer.
            let _ = tell.send(text.map_err(|error| error.to_string()));
        });
    };
    let started = thread::Builder::new()
        .name("oxicorn-stacks".to_owned())
        .spawn(ask);
    if let Err(error) = started {
        return Some(format!(
            "(no thread could be started to tell them: {error})\n"
        ));
    }
    let mut text = told.recv_timeout(GIL_PATIENCE);
    if text.is_err() {
        if !decided.swap(true, Ordering::SeqCst) {
            return None;
        }
        // The other thread has had the GIL: stacks that are read without it would change meanwhile.
        text = told.recv_timeout(TEXT_PATIENCE);
    }
    Some(match text {
        Ok(Ok(text)) => text,
        Ok(Err(error)) => format!("(Python could not tell them: {error})\n"),
        Err(_) => "(Python runs, and could not tell them in time)\n".to_owned(),
    })
}

/// What `faulthandler` writes without the GIL.
fn by_signal(teller: &Teller) -> String {
    const NONE: &str = "(the GIL is held, and no stack can be told)\n";
    let Some((file, signal)) = &teller.fallback else {
        return NONE.to_owned();
    };
    let mut text = String::from("A thread holds the GIL and does not let go of it:\n");
    let mut file = file;
    if file.set_len(0).is_err() || file.rewind().is_err() {
        return NONE.to_owned();
    }
    sys::signals::raise_here(*signal);
    let mut written = Vec::new();
    // What cannot be read is not told.
    let _ = file.rewind();
    let _ = file.take(REPORT_BYTES as u64).read_to_end(&mut written);
    text.push_str(&String::from_utf8_lossy(&written));
    text
}

/// Starts the thread that answers what the arbiter asks of this worker.
pub(crate) fn start_reporter(slot: &Slot, server: &Arc<Server>) {
    let (slot, server) = (slot.clone(), Arc::clone(server));
    let blocked = sys::signals::block_all_but_faults();
    let started = thread::Builder::new()
        .name("oxicorn-report".to_owned())
        .spawn(move || report(&slot, &server));
    drop(blocked);
    if let Err(error) = started {
        log::warn!("The control socket will not show stacks and requests of this worker: {error}");
    }
}

fn report(slot: &Slot, server: &Server) {
    let mut last = Ticket::default();
    loop {
        last = slot.next_question(last);
        let answer = match last.question() {
            Some(Question::Stacks) => text_of_all().into_bytes(),
            Some(Question::Requests) => server.requests_in_flight(),
            None => Vec::new(),
        };
        slot.tell(last, &answer);
    }
}
