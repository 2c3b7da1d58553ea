//! The reactor inside a foreign event loop: the loop watches the poller's descriptor and calls the server whenever it
//! is readable.

use std::collections::VecDeque;
use std::os::fd::AsRawFd as _;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use pyo3::exceptions::PySystemExit;
use pyo3::intern;
use pyo3::prelude::*;
use server::{Call, Server, Shutdown};

use super::{Readiness, start_watchdog};
use crate::forks;
use crate::gateway::{Gateway, Patience};
use crate::lock::{Lock, Slot};
use crate::logging;

/// How often the loop says that it is alive, in seconds.
const BEAT_S: f64 = 1.0;

/// How long the end of a lifespan may take where `graceful_timeout` is 0: requests are cancelled then, and the rest is
/// the lifespan's.
const LIFESPAN_ALONE: Duration = Duration::from_secs(4);

/// The least time for the end of a lifespan.
const SHORTEST_END: Duration = Duration::from_millis(100);

/// What the event loop calls.
#[pyclass(frozen, module = "oxicorn._oxicorn")]
pub(crate) struct Turner {
    server: Arc<Server>,
    gateway: Arc<dyn Gateway>,
    event_loop: Py<PyAny>,
    graceful_timeout: Duration,
    /// When the end was first asked for.
    ending: OnceLock<Instant>,
    /// What the application raised that the worker has to obey.
    exit: Slot<Option<PyErr>>,
    done: OnceLock<()>,
    /// What is called at the end of the server. In a worker it stops the loop.
    finished: Py<PyAny>,
    /// Requests on which the application has not been started. An application that runs the loop inside a handler
    /// (`nest_asyncio`) makes the next turn within this one, and that starts them.
    waiting: Lock<VecDeque<Call>>,
}

#[pymethods]
impl Turner {
    /// The poller is readable.
    fn turn(turner: &Bound<'_, Turner>) -> PyResult<()> {
        forks::leave_if_forked();
        let py = turner.py();
        let this = turner.get();
        if this.done.get().is_some() {
            return Ok(()); // The loop had this call in its queue already.
        }
        let look = py.detach(|| this.server.look());
        logging::deliver(py);
        for event in look.events {
            this.gateway.tell(py, event);
        }
        let together = this.begin(py, look.calls);
        logging::deliver(py);
        if look.lines_held || together {
            // Behind the tasks that have just been made, which answer most requests in their first step.
            let flush = turner.getattr(intern!(py, "flush"))?;
            this.event_loop
                .bind(py)
                .call_method1(intern!(py, "call_soon"), (flush,))?;
        }
        if this.server.stopping().is_some() && this.ending.set(Instant::now()).is_ok() {
            Turner::limit(turner)?;
        }
        if look.done {
            let _ = this.done.set(());
            this.finished.call0(py)?;
        }
        Ok(())
    }

    /// What has been answered since the turn leaves, and goes into the access log in one write.
    fn flush(&self, py: Python<'_>) {
        forks::leave_if_forked();
        self.server.send_answers();
        py.detach(|| self.server.flush_access_lines());
    }

    /// The loop is alive.
    fn beat(turner: &Bound<'_, Turner>) -> PyResult<()> {
        forks::leave_if_forked();
        let py = turner.py();
        let this = turner.get();
        if this.done.get().is_some() {
            return Ok(()); // A loop that is not the worker's goes on.
        }
        this.server.beat();
        let again = turner.getattr(intern!(py, "beat"))?;
        this.call_later(py, BEAT_S, again)
    }

    /// The requests have had their time.
    fn cancel_all(&self, py: Python<'_>) {
        self.gateway.cancel_all(py);
    }
}

impl Turner {
    /// What turns `server` for `event_loop`, once the loop watches it. It calls `finished` at the end.
    pub(crate) fn new(
        server: &Arc<Server>,
        gateway: Arc<dyn Gateway>,
        event_loop: &Bound<'_, PyAny>,
        graceful_timeout: Duration,
        finished: Py<PyAny>,
    ) -> Turner {
        Turner {
            server: Arc::clone(server),
            gateway,
            event_loop: event_loop.clone().unbind(),
            graceful_timeout,
            ending: OnceLock::new(),
            exit: Slot::empty(),
            done: OnceLock::new(),
            finished,
            waiting: Lock::default(),
        }
    }

    /// Has the event loop turn the server from now on.
    ///
    /// # Errors
    /// The loop cannot watch descriptors.
    pub(crate) fn watch(turner: &Bound<'_, Turner>) -> PyResult<()> {
        let (py, this) = (turner.py(), turner.get());
        let turn = turner.getattr("turn")?;
        py.import("oxicorn.asgi")?
            .call_method1("watch", (&this.event_loop, this.poller(), turn))?;
        Turner::beat(turner)
    }

    /// Has the event loop leave the server alone. After a quick end nothing turns the reactor any more: it closes its
    /// connections now, WebSockets with a close frame.
    ///
    /// # Errors
    /// The loop is closed.
    pub(crate) fn unwatch(&self, py: Python<'_>) -> PyResult<()> {
        self.event_loop
            .call_method1(py, "remove_reader", (self.poller(),))?;
        if self.server.stopping() == Some(Shutdown::Quick) {
            for event in py.detach(|| self.server.look()).events {
                self.gateway.tell(py, event);
            }
        }
        logging::deliver(py);
        Ok(())
    }

    fn poller(&self) -> i32 {
        self.server.with_poller(|poller| poller.as_raw_fd())
    }

    /// How long the end may take.
    pub(crate) fn patience(&self) -> Patience {
        let reserve = self.reserve();
        let requests = match self.server.stopping() {
            Some(Shutdown::Quick) => Duration::ZERO,
            _ => self.time_left().saturating_sub(reserve),
        };
        Patience {
            requests,
            application: reserve.max(SHORTEST_END),
        }
    }

    /// Sees to it that the requests that are under way end before the arbiter's patience does.
    fn limit(turner: &Bound<'_, Turner>) -> PyResult<()> {
        let this = turner.get();
        let cancel = turner.getattr("cancel_all")?;
        let after = this.graceful_timeout.saturating_sub(this.reserve());
        this.call_later(turner.py(), after.as_secs_f64(), cancel)
    }

    /// The part of the graceful timeout that is kept for what follows the requests.
    fn reserve(&self) -> Duration {
        match self.graceful_timeout.is_zero() {
            true => LIFESPAN_ALONE,
            false => (self.graceful_timeout / 4).min(Duration::from_secs(2)),
        }
    }

    /// What is left of the graceful timeout.
    fn time_left(&self) -> Duration {
        let since = self.ending.get().map_or(Duration::ZERO, Instant::elapsed);
        self.graceful_timeout.saturating_sub(since)
    }

    fn call_later(&self, py: Python<'_>, seconds: f64, what: Bound<'_, PyAny>) -> PyResult<()> {
        self.event_loop
            .bind(py)
            .call_method1(intern!(py, "call_later"), (seconds, what))
            .map(drop)
    }

    /// The application wants the worker to end: the other requests are finished first.
    fn leave(&self, exit: PyErr) {
        drop(self.exit.fill(exit));
        self.server.shut_down(Shutdown::Graceful);
    }

    /// Starts the application on requests. Says whether some of their answers are held and have to be sent.
    fn begin(&self, py: Python<'_>, calls: Vec<Call>) -> bool {
        let together = self.waiting.with(|waiting| {
            waiting.extend(calls);
            waiting.len() > 1
        });
        if together {
            self.server.hold_answers();
        }
        while let Some(call) = self.waiting.with(VecDeque::pop_front) {
            if let Err(exit) = self.gateway.answer(py, call) {
                self.leave(exit);
            }
        }
        if together && self.gateway.answers_at_once() {
            self.server.send_answers();
            return false;
        }
        together
    }

    /// What the application raised to end the server.
    pub(crate) fn take_exit(&self) -> Option<PyErr> {
        self.exit.take()
    }

    /// Runs the loop until the server has come to its end.
    fn run(&self, py: Python<'_>) -> Option<PyErr> {
        let event_loop = self.event_loop.bind(py);
        loop {
            let left = event_loop.call_method0("run_forever");
            // An exception may have left the loop in the middle of a turn.
            self.server.send_answers();
            leave_the_loop(py, &left);
            match left {
                _ if self.server.stopping() == Some(Shutdown::Quick) => return left.err(),
                Ok(_) if self.done.get().is_some() => return self.take_exit(),
                // The application stopped the loop, which is not its own, or left by SystemExit.
                Ok(_) => self.server.shut_down(Shutdown::Graceful),
                Err(exit) => self.leave(exit),
            }
        }
    }
}

/// Ends a process that the application has forked and that falls out of the loop. Only what the application raises to
/// end a process says something: the loop itself stumbles over what `forks::empty_in_children` has left of it.
fn leave_the_loop(py: Python<'_>, left: &PyResult<Bound<'_, PyAny>>) {
    match left {
        Err(exit) if exit.is_instance_of::<PySystemExit>(py) => forks::leave_if_stray(py, left),
        _ => forks::leave_if_forked(),
    }
}

/// The event loop of a worker.
pub(crate) struct EventLoop {
    event_loop: Py<PyAny>,
    graceful_timeout: Duration,
}

impl EventLoop {
    /// Makes the loop that `kind` names. Requests have `graceful_timeout` when the worker has to go.
    ///
    /// # Errors
    /// `oxicorn.errors.AppError` where there is no such loop.
    pub(crate) fn new(
        py: Python<'_>,
        kind: &str,
        graceful_timeout: Duration,
    ) -> PyResult<EventLoop> {
        let event_loop = py
            .import("oxicorn.asgi")?
            .call_method1("new_loop", (kind,))?;
        forks::empty_in_children(&event_loop)?;
        Ok(EventLoop {
            event_loop: event_loop.unbind(),
            graceful_timeout,
        })
    }

    /// The loop itself.
    pub(crate) fn object<'py>(&self, py: Python<'py>) -> &Bound<'py, PyAny> {
        self.event_loop.bind(py)
    }

    /// Serves until the server has come to its end.
    ///
    /// # Errors
    /// What ended it: `SystemExit` from a signal handler or from the application, or a failure of the loop.
    pub(super) fn run(
        &self,
        py: Python<'_>,
        server: &Arc<Server>,
        gateway: &Arc<dyn Gateway>,
        ready: &Readiness,
    ) -> PyResult<i32> {
        let event_loop = self.event_loop.bind(py);
        let finished = event_loop.getattr("stop")?.unbind();
        let gateway = Arc::clone(gateway);
        let turner = Turner::new(
            server,
            Arc::clone(&gateway),
            event_loop,
            self.graceful_timeout,
            finished,
        );
        let turner = Bound::new(py, turner)?;
        start_watchdog(server)?;
        ready.notify();
        Turner::watch(&turner)?;
        let this = turner.get();
        let left = this.run(py);
        this.unwatch(py)?;
        let closed = gateway
            .finish(py, this.patience())
            .and_then(|()| close(event_loop));
        forks::leave_if_forked();
        match left {
            Some(exit) => Err(exit),
            None => closed.map(|()| 0),
        }
    }
}

/// Ends what the application has left in the loop, and the loop.
fn close(event_loop: &Bound<'_, PyAny>) -> PyResult<()> {
    event_loop
        .py()
        .import("oxicorn.asgi")?
        .call_method1("close", (event_loop,))
        .map(drop)
}
