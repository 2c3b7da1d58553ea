//! The reactor inside gevent's hub: the hub watches the poller's descriptor, and each request has a greenlet.
//!
//! A greenlet that is suspended keeps its native frames, and greenlets leave them in any order or are killed inside
//! them. So no lock is held and nothing is borrowed where this module calls into Python, and no pointer to the stack is
//! kept.

mod pool;

use std::collections::VecDeque;
use std::os::fd::AsRawFd as _;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use pyo3::intern;
use pyo3::prelude::*;
use server::{Call, Event, ExchangeId, Server, Shutdown};

use self::pool::Pool;
use super::{Readiness, start_watchdog};
use crate::forks;
use crate::gateway::{Gateway, Wait};
use crate::lock::{Lock, Shelf, Slot};
use crate::logging;

/// How often the hub says that it is alive, in seconds.
const BEAT_S: f64 = 1.0;

/// How long greenlets that are killed may take to end.
const KILLED_WITHIN: Duration = Duration::from_secs(1);

/// What libev calls readable.
const READ: u32 = 1;

/// The hub of a worker.
pub(crate) struct Hub {
    hub: Py<PyAny>,
    rooms: Arc<Rooms>,
    graceful_timeout: Duration,
}

/// The greenlets that wait until their client has taken something, by their exchanges.
struct Rooms {
    hub: Py<PyAny>,
    waiting: Shelf<ExchangeId, Py<PyAny>>,
}

impl Rooms {
    /// Lets the greenlet of an exchange go on. To be called from the hub.
    fn tell(&self, py: Python<'_>, id: ExchangeId) {
        if let Some(greenlet) = self.waiting.remove(id) {
            switch(greenlet.bind(py));
        }
    }
}

impl Wait for Rooms {
    fn for_room(&self, py: Python<'_>, id: ExchangeId) -> PyResult<()> {
        let greenlet = current(py)?.unbind();
        drop(self.waiting.insert(id, greenlet));
        let mut waited = Ok(());
        while waited.is_ok() && self.waiting.contains(id) {
            waited = self.hub.call_method0(py, intern!(py, "switch")).map(drop);
        }
        // What interrupted the wait is the application's to handle.
        drop(self.waiting.remove(id));
        waited
    }
}

/// What the hub calls.
#[pyclass(frozen, module = "oxicorn._oxicorn")]
struct HubTurner {
    server: Arc<Server>,
    gateway: Arc<dyn Gateway>,
    rooms: Arc<Rooms>,
    hub: Py<PyAny>,
    /// The greenlet that waits for the end.
    main: Py<PyAny>,
    pool: Pool,
    /// Requests that no greenlet has taken.
    waiting: Lock<VecDeque<Call>>,
    graceful_timeout: Duration,
    /// The watcher that ends the requests' time, once the end was asked for.
    limit: OnceLock<Py<PyAny>>,
    /// What the application raised that the worker has to obey.
    exit: Slot<Option<PyErr>>,
    done: OnceLock<()>,
}

#[pymethods]
impl HubTurner {
    /// The poller is readable.
    fn turn(turner: &Bound<'_, HubTurner>) -> PyResult<()> {
        forks::leave_if_forked();
        let (py, this) = (turner.py(), turner.get());
        if this.done.get().is_some() {
            return Ok(());
        }
        let look = py.detach(|| this.server.look());
        for event in look.events {
            match event {
                Event::Room(id) => this.rooms.tell(py, id),
                Event::Overdue(id) => this.pool.end_call(py, id),
                Event::Body(_) | Event::Message(_) | Event::Gone(_) => {}
            }
        }
        this.begin(turner, look.calls);
        this.pool.sweep(py);
        if look.lines_held {
            py.detach(|| this.server.flush_access_lines());
        }
        if logging::has_waiting() {
            // A handler of the application's may wait, which the hub must not.
            this.pool
                .spawn_raw(&turner.getattr(intern!(py, "deliver"))?)?;
        }
        if let Err(error) = py.check_signals() {
            this.throw_to_main(py, &error)?;
        }
        if this.server.stopping().is_some() && this.limit.get().is_none() {
            this.limit(turner)?;
        }
        if look.done && this.done.set(()).is_ok() {
            this.wake_main(py)?;
        }
        Ok(())
    }

    /// The hub is alive.
    fn beat(&self, py: Python<'_>) {
        forks::leave_if_forked();
        self.server.beat();
        self.pool.sweep(py);
    }

    /// Hands over the lines of the log that pass through Python.
    fn deliver(&self, py: Python<'_>) {
        logging::deliver(py);
    }

    /// The requests have had their time.
    fn end_all(&self, py: Python<'_>) -> PyResult<()> {
        let running = self.pool.running();
        if running > 0 {
            log::warn!("Requests cut off that have outlasted graceful_timeout: {running}");
        }
        self.pool.kill_all(py, Duration::ZERO)
    }

    /// What a greenlet of the pool runs: one request after another.
    fn serve(turner: &Bound<'_, HubTurner>) -> PyResult<()> {
        let (py, this) = (turner.py(), turner.get());
        let greenlet = current(py)?;
        loop {
            this.pool.park(&greenlet);
            let switched = this.hub.bind(py).call_method0(intern!(py, "switch"));
            if switched.is_err() || !this.pool.is_running(&greenlet) {
                // It was killed while it waited, or is not wanted any more.
                this.pool.forget(&greenlet);
                return Ok(());
            }
            let call = this.waiting.with(VecDeque::pop_front);
            this.pool
                .note_call(&greenlet, call.as_ref().map(|call| call.id()));
            if let Some(call) = call
                && let Err(exit) = this.gateway.answer(py, call)
            {
                this.leave(py, exit)?;
            }
            if !this.pool.may_return(&greenlet)? {
                this.pool.forget(&greenlet);
                return Ok(());
            }
        }
    }
}

impl HubTurner {
    /// Gives requests to greenlets. To be called from the hub.
    fn begin(&self, turner: &Bound<'_, HubTurner>, calls: Vec<Call>) {
        let py = turner.py();
        let together = calls.len() > 1;
        self.waiting.with(|waiting| waiting.extend(calls));
        if together {
            self.server.hold_answers();
        }
        loop {
            let left = self.waiting.with(|waiting| waiting.len());
            if left == 0 {
                break;
            }
            if let Err(error) = self.pool.run(turner) {
                log::error!("A request has no greenlet: {error}");
            }
            // Nothing has taken it, and the next attempt would fail as well.
            let refused = self
                .waiting
                .with(|waiting| (waiting.len() >= left).then(|| waiting.pop_front()));
            py.detach(|| drop(refused));
        }
        if together {
            py.detach(|| self.server.send_answers());
        }
    }

    /// Sees to it that the requests that are under way end before the arbiter's patience does.
    fn limit(&self, turner: &Bound<'_, HubTurner>) -> PyResult<()> {
        let after = self.graceful_timeout.saturating_sub(self.reserve());
        let timer = timer(self.hub.bind(turner.py()), after.as_secs_f64(), 0.0)?;
        timer.call_method1("start", (turner.getattr("end_all")?,))?;
        let _ = self.limit.set(timer.unbind());
        Ok(())
    }

    /// The part of the graceful timeout that is kept for killed greenlets.
    fn reserve(&self) -> Duration {
        (self.graceful_timeout / 4).min(KILLED_WITHIN)
    }

    /// The application wants the worker to end: the other requests are finished first.
    fn leave(&self, py: Python<'_>, exit: PyErr) -> PyResult<()> {
        drop(self.exit.fill(exit));
        self.server.shut_down(Shutdown::Graceful);
        match self.server.stopping() {
            Some(Shutdown::Quick) => self.wake_main(py),
            _ => Ok(()),
        }
    }

    /// Has the main greenlet go on when the hub comes to it.
    fn wake_main(&self, py: Python<'_>) -> PyResult<()> {
        let switch = self.main.getattr(py, intern!(py, "switch"))?;
        event_loop(self.hub.bind(py))?
            .call_method1(intern!(py, "run_callback"), (switch,))
            .map(drop)
    }

    /// Has the main greenlet raise what a signal handler has raised. A callback of the hub must not: libev would call
    /// it no more.
    fn throw_to_main(&self, py: Python<'_>, error: &PyErr) -> PyResult<()> {
        let throw = self.main.getattr(py, intern!(py, "throw"))?;
        let arguments = (
            throw,
            error.get_type(py),
            error.value(py),
            error.traceback(py),
        );
        event_loop(self.hub.bind(py))?
            .call_method1(intern!(py, "run_callback"), arguments)
            .map(drop)
    }

    /// Waits in the main greenlet until the server has come to its end.
    fn wait(&self, turner: &Bound<'_, HubTurner>, watcher: &Bound<'_, PyAny>) -> Option<PyErr> {
        let py = turner.py();
        loop {
            let left = self.hub.call_method0(py, "switch");
            forks::leave_if_forked();
            match left {
                left if self.server.stopping() == Some(Shutdown::Quick) => {
                    return left.err().or_else(|| self.exit.take());
                }
                Ok(_) if self.done.get().is_some() => return self.exit.take(),
                Ok(_) => {}
                Err(exit) => {
                    if let Err(error) = self.leave(py, exit) {
                        return Some(error);
                    }
                }
            }
            // libev stops a watcher whose callback was left by an exception.
            if let Err(error) = turner
                .getattr("turn")
                .and_then(|turn| watcher.call_method1("start", (turn,)))
            {
                return Some(error);
            }
        }
    }
}

impl Hub {
    /// The hub of this thread. Requests have `graceful_timeout` when the worker has to go.
    ///
    /// # Errors
    /// gevent cannot be imported.
    pub(crate) fn new(py: Python<'_>, graceful_timeout: Duration) -> PyResult<Hub> {
        let hub = py.import("gevent")?.call_method0("get_hub")?.unbind();
        let rooms = Rooms {
            hub: hub.clone_ref(py),
            waiting: Shelf::new(),
        };
        Ok(Hub {
            hub,
            rooms: Arc::new(rooms),
            graceful_timeout,
        })
    }

    /// How the greenlets of requests wait for their clients.
    pub(crate) fn wait(&self) -> Arc<dyn Wait> {
        Arc::clone(&self.rooms) as Arc<dyn Wait>
    }

    /// Serves until the server has come to its end.
    ///
    /// # Errors
    /// What ended it: `SystemExit` from a signal handler or from the application, or a failure of the hub.
    pub(super) fn run(
        &self,
        py: Python<'_>,
        server: &Arc<Server>,
        gateway: &Arc<dyn Gateway>,
        ready: &Readiness,
    ) -> PyResult<i32> {
        let hub = self.hub.bind(py);
        let turner = HubTurner {
            server: Arc::clone(server),
            gateway: Arc::clone(gateway),
            rooms: Arc::clone(&self.rooms),
            hub: hub.clone().unbind(),
            main: current(py)?.unbind(),
            pool: Pool::new(py)?,
            waiting: Lock::default(),
            graceful_timeout: self.graceful_timeout,
            limit: OnceLock::new(),
            exit: Slot::empty(),
            done: OnceLock::new(),
        };
        let turner = Bound::new(py, turner)?;
        start_watchdog(server)?;
        ready.notify();
        let poller = server.with_poller(|poller| poller.as_raw_fd());
        let turn = turner.getattr("turn")?;
        let event_loop = event_loop(hub)?;
        let watcher = event_loop.call_method1("io", (poller, READ))?;
        watcher.call_method1("start", (&turn,))?;
        // The first look is what has the server accept clients.
        event_loop.call_method1("run_callback", (&turn,))?;
        let beats = timer(hub, BEAT_S, BEAT_S)?;
        beats.call_method1("start", (turner.getattr("beat")?,))?;
        server.beat();
        forks::stop_in_children(&[&watcher, &beats])?;
        let this = turner.get();
        let left = this.wait(&turner, &watcher);
        for watcher in [&watcher, &beats] {
            watcher.call_method0("stop")?;
        }
        if server.stopping() == Some(Shutdown::Quick) {
            // Nothing turns the reactor any more: it closes its connections now.
            drop(py.detach(|| server.look()));
        }
        let killed = this.pool.kill_all(py, KILLED_WITHIN);
        forks::leave_if_forked();
        match left {
            Some(exit) => Err(exit),
            None => killed.map(|()| 0),
        }
    }
}

/// The loop of the hub.
fn event_loop<'py>(hub: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    hub.getattr(intern!(hub.py(), "loop"))
}

/// A timer of the hub.
fn timer<'py>(hub: &Bound<'py, PyAny>, after_s: f64, again_s: f64) -> PyResult<Bound<'py, PyAny>> {
    event_loop(hub)?.call_method1("timer", (after_s, again_s))
}

/// The greenlet that runs.
fn current(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    py.import(intern!(py, "greenlet"))?
        .call_method0(intern!(py, "getcurrent"))
}

/// Lets a greenlet run until it waits. To be called from the hub, which a greenlet's failure must not leave by.
fn switch(greenlet: &Bound<'_, PyAny>) {
    let py = greenlet.py();
    if let Err(error) = greenlet.call_method0(intern!(py, "switch")) {
        log::error!("A greenlet ended with {error}");
    }
}
