//! A worker whose class is the operator's own: its methods stand round what a worker does, as they do in Gunicorn's
//! classes. What they call when they call ours is handed to the object as functions.

use std::sync::Arc;

use arbiter::WorkerSeat;
use pyo3::exceptions::{PyRuntimeError, PySystemExit};
use pyo3::prelude::*;
use pyo3::types::{PyCFunction, PyDict, PyTuple};

use super::{CRASH, End, Worker, code_of};
use crate::application::{Application, Interface};
use crate::driver::{self, Booted};
use crate::lock::{Lock, Slot};
use crate::signals::Addressee;

/// The signals that methods handle.
const METHODS: [(&str, &str); 5] = [
    ("SIGTERM", "handle_exit"),
    ("SIGINT", "handle_quit"),
    ("SIGQUIT", "handle_quit"),
    ("SIGABRT", "handle_abort"),
    ("SIGUSR1", "handle_usr1"),
];

/// What there is of the worker so far.
enum LifeStage {
    Seated(WorkerSeat),
    Booted(Booted),
    /// It serves, or has served, and this is its exit code.
    Serving(i32),
}

/// Lives as the object's `init_process` has it, and returns the exit code.
pub(super) fn live(py: Python<'_>, worker: &Arc<Worker>, seat: WorkerSeat) -> i32 {
    let stage = Arc::new(Slot::new(Some(LifeStage::Seated(seat))));
    let lived = hand_over_life(py, worker, &stage)
        .and_then(|()| worker.object.call_method0(py, "init_process"));
    let stage = stage.take();
    match (lived, stage) {
        (Ok(_), Some(LifeStage::Serving(code))) => code,
        (Ok(_), _) => 0,
        (Err(error), Some(LifeStage::Serving(_))) => code_of(py, &End::Raised(error), CRASH),
        (Err(error), _) => worker.cannot_boot(py, &End::Raised(error)),
    }
}

/// Gives the object what `init_process`, `load_wsgi` and `run` of ours do.
fn hand_over_life(
    py: Python<'_>,
    worker: &Arc<Worker>,
    stage: &Arc<Slot<Option<LifeStage>>>,
) -> PyResult<()> {
    let natives = PyDict::new(py);
    let (booting, at) = (Arc::clone(worker), Arc::clone(stage));
    let init = move |py: Python<'_>| boot(py, &booting, &at);
    natives.set_item("init_process", function(py, init)?)?;
    let at = Arc::clone(stage);
    natives.set_item("run", function(py, move |py| serve(py, &at))?)?;
    worker.object.setattr(py, "_natives", natives)
}

fn boot(py: Python<'_>, worker: &Arc<Worker>, stage: &Slot<Option<LifeStage>>) -> PyResult<()> {
    let Some(LifeStage::Seated(seat)) = stage.take() else {
        return Err(PyRuntimeError::new_err("init_process has run already"));
    };
    let booted = worker
        .boot(py, seat)
        .map_err(|end| raised(py, worker, end))?;
    drop(stage.replace(Some(LifeStage::Booted(booted))));
    worker.object.call_method0(py, "run").map(drop)
}

fn serve(py: Python<'_>, stage: &Slot<Option<LifeStage>>) -> PyResult<()> {
    let Some(LifeStage::Booted(booted)) = stage.replace(Some(LifeStage::Serving(0))) else {
        return Err(PyRuntimeError::new_err(
            "run is called by init_process, once",
        ));
    };
    let code = driver::run(py, &booted)?;
    drop(stage.replace(Some(LifeStage::Serving(code))));
    Ok(())
}

/// Has the object's methods handle signals; what they call of ours is what handled them before.
pub(super) fn hand_over_signals(py: Python<'_>, object: &Py<PyAny>) -> PyResult<()> {
    let signal = py.import("signal")?;
    let natives = object.getattr(py, "_natives")?.into_bound(py);
    for (name, method) in METHODS {
        let number = signal.getattr(name)?;
        natives.set_item(name, signal.call_method1("getsignal", (&number,))?)?;
        signal.call_method1("signal", (number, object.getattr(py, method)?))?;
    }
    Ok(())
}

/// Calls the object's `load_wsgi` and returns the application that it leaves as `wsgi`.
pub(super) fn load_wsgi(
    py: Python<'_>,
    worker: &Arc<Worker>,
    addressee: &Arc<Addressee>,
) -> PyResult<Application> {
    let interface = Arc::new(Lock::new(Interface::Wsgi));
    let (loading, found, addressee) = (
        Arc::clone(worker),
        Arc::clone(&interface),
        Arc::clone(addressee),
    );
    let load = move |py: Python<'_>| {
        let loaded = loading.application(py, &addressee);
        let application = loaded.map_err(|end| raised(py, &loading, end))?;
        let interface = application.interface;
        found.with(|found| *found = interface);
        loading.object.setattr(py, "wsgi", application.callable)
    };
    let object = &worker.object;
    let natives = object.getattr(py, "_natives")?;
    natives
        .bind(py)
        .set_item("load_wsgi", function(py, load)?)?;
    object.call_method0(py, "load_wsgi")?;
    let interface = interface.with(|interface| *interface);
    Ok(Application {
        callable: object.getattr(py, "wsgi")?,
        interface,
    })
}

/// An end as the exception that passes through the operator's code.
fn raised(py: Python<'_>, worker: &Worker, end: End) -> PyErr {
    match end {
        End::Raised(error) => error,
        End::Failed(_) => PySystemExit::new_err((worker.cannot_boot(py, &end),)),
    }
}

fn function<'py>(
    py: Python<'py>,
    call: impl Fn(Python<'_>) -> PyResult<()> + Send + Sync + 'static,
) -> PyResult<Bound<'py, PyCFunction>> {
    let closure =
        move |arguments: &Bound<'_, PyTuple>, _: Option<&Bound<'_, PyDict>>| call(arguments.py());
    PyCFunction::new_closure(py, None, None, closure)
}
