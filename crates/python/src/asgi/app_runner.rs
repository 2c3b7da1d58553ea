//! What all requests of a worker share: the event loop's functions, the requests that are under way, and the way to
//! start one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use proto::ws::handshake::Handshake;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use server::{Call, Event, Exchange, ExchangeId};

use super::app_coroutine::AppCoroutine;
use super::cycle::Cycle;
use super::functions;
use super::http_cycle::HttpCycle;
use super::scope::{Scope, ScopeConstants, ScopeTemplate};
use super::websocket_cycle::WebSocketCycle;
use crate::gateway::{HookRequest, RequestHooks, Unserved};
use crate::lock::{Share, Shelf, Slot};

/// A request or a WebSocket that is under way.
#[derive(Debug)]
struct RunningTask {
    cycle: Cycle,
    /// The event loop itself holds its tasks only weakly.
    task: Py<PyAny>,
}

impl Share for RunningTask {
    fn share(&self, py: Python<'_>) -> RunningTask {
        RunningTask {
            cycle: self.cycle.clone_ref(py),
            task: self.task.clone_ref(py),
        }
    }
}

/// How tasks are made.
#[derive(Debug)]
struct Tasks {
    class: Py<PyAny>,
    /// `loop=…`, and `eager_start=True` where this Python has it.
    options: Py<PyDict>,
    is_eager: bool,
}

/// How the application is called.
#[derive(Debug)]
pub(super) struct AsgiApplication {
    pub(super) callable: Py<PyAny>,
    /// A call runs nothing of it yet, because it is an `async def`.
    pub(super) is_coroutine_function: bool,
    /// Makes a coroutine of any other awaitable, and runs calls in a context of their own.
    pub(super) call_apart: Py<PyAny>,
}

/// The runner of a worker.
#[derive(Debug)]
pub(crate) struct AppRunner {
    application: AsgiApplication,
    event_loop: Py<PyAny>,
    create_future: Py<PyAny>,
    tasks: Tasks,
    /// What messages with the last piece of a body are copied from.
    last_message: Py<PyDict>,
    /// How long a task may run on after its client has left.
    pub(super) grace: Duration,
    /// What is called before and after each request.
    pub(super) hooks: Option<RequestHooks>,
    constants: ScopeConstants,
    /// Not there while a scope is made of it.
    template: Slot<Option<Box<ScopeTemplate>>>,
    /// By the numbers of their exchanges, which ascend.
    calls: Shelf<ExchangeId, RunningTask>,
    /// What was under way has been cancelled, because the worker has to go.
    out_of_time: AtomicBool,
}

impl AppRunner {
    pub(super) fn new(
        py: Python<'_>,
        application: AsgiApplication,
        event_loop: &Bound<'_, PyAny>,
        constants: ScopeConstants,
    ) -> PyResult<AppRunner> {
        Ok(AppRunner {
            application,
            create_future: event_loop.getattr("create_future")?.unbind(),
            tasks: Tasks::new(py, event_loop)?,
            event_loop: event_loop.clone().unbind(),
            last_message: last_message(py)?.unbind(),
            grace: Duration::ZERO,
            hooks: None,
            template: Slot::new(Some(Box::new(ScopeTemplate::new(py, &constants)?))),
            constants,
            calls: Shelf::new(),
            out_of_time: AtomicBool::new(false),
        })
    }

    /// Starts the application on a request. Returns the exception that the worker must obey.
    pub(super) fn start(self: &Arc<AppRunner>, py: Python<'_>, exchange: Call) -> Option<PyErr> {
        let (cycle, scope) = match self.receive(py, exchange) {
            Ok(Some(cycle_and_scope)) => cycle_and_scope,
            Ok(None) => return None,
            Err(error) => {
                log::error!("A request could not be served: {error}");
                return None;
            }
        };
        match scope {
            Ok(scope) => match cycle.begin(py) {
                Ok(()) => self.call(py, &cycle, &scope),
                Err(error) => cycle.fail(py, error),
            },
            Err(Unserved::Refused(status, rule)) => {
                cycle.refuse(status, rule);
                None
            }
            Err(Unserved::Raised(error)) => cycle.fail(py, error),
        }
    }

    /// Finds out what the client wants. `None` says that it was answered.
    ///
    /// # Errors
    /// There is no memory for the objects. The exchange is dropped, which answers it.
    fn receive<'py>(
        self: &Arc<AppRunner>,
        py: Python<'py>,
        mut exchange: Call,
    ) -> PyResult<Option<(Cycle, Scope<'py>)>> {
        let handshake = match exchange.handshake() {
            Ok(handshake) => handshake,
            Err(refusal) => {
                log::debug!("A handshake was refused: {refusal}");
                exchange.refuse_handshake(refusal);
                return Ok(None);
            }
        };
        let scope = self.scope(py, &exchange, handshake.as_ref())?;
        let runner = Arc::clone(self);
        let cycle = match handshake {
            Some(handshake) => {
                let cycle = WebSocketCycle::new(runner, exchange, handshake);
                Cycle::WebSocket(Py::new(py, cycle)?)
            }
            None => {
                let observed = match &self.hooks {
                    Some(_) => {
                        let names = &self.constants.names;
                        Some(HookRequest::without_body(py, &exchange, names)?)
                    }
                    None => None,
                };
                let cycle = HttpCycle::new(runner, exchange, observed);
                Cycle::Http(Py::new(py, cycle)?)
            }
        };
        Ok(Some((cycle, scope)))
    }

    /// The template is taken away for as long as its scope is made, because new objects may set the garbage collector
    /// off, and with it destructors of the application. Should one of them get as far as another request, that has a
    /// template of its own.
    ///
    /// # Errors
    /// There is no memory for a template.
    fn scope<'py>(
        &self,
        py: Python<'py>,
        exchange: &Exchange,
        handshake: Option<&Handshake>,
    ) -> PyResult<Scope<'py>> {
        let ready = self.template.take();
        let mut template = match ready {
            Some(template) => template,
            None => Box::new(ScopeTemplate::new(py, &self.constants)?),
        };
        let scope = match handshake {
            Some(handshake) => template.websocket_scope(py, exchange, handshake.protocols()),
            None => template.scope(py, exchange),
        };
        drop(self.template.replace(Some(template)));
        Ok(scope)
    }

    fn call(&self, py: Python<'_>, cycle: &Cycle, scope: &Bound<'_, PyDict>) -> Option<PyErr> {
        let wrapper = self.coroutine(py, cycle, scope).and_then(|coroutine| {
            Bound::new(py, AppCoroutine::new(cycle.clone_ref(py), coroutine))
        });
        let wrapper = match wrapper {
            Ok(wrapper) => wrapper,
            Err(error) => return cycle.fail(py, error),
        };
        match self.tasks.start(py, &self.event_loop, wrapper.as_any()) {
            // It ended in its first step, and what it leaves has been seen to.
            task if wrapper.get().is_over() => task.err(),
            Ok(task) => {
                self.keep(py, cycle, task);
                None
            }
            Err(error) => cycle.fail(py, error),
        }
    }

    fn coroutine<'py>(
        &self,
        py: Python<'py>,
        cycle: &Cycle,
        scope: &Bound<'py, PyDict>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let (receive, send) = functions::of_cycle(py, cycle)?;
        let application = &self.application;
        let callable = application.callable.bind(py);
        match application.is_coroutine_function {
            true => callable.call1((scope, receive, send)),
            false => application
                .call_apart
                .bind(py)
                .call1((callable, scope, receive, send)),
        }
    }

    /// Whether the application makes its first step when it is started, if it has installed no task factory.
    pub(super) fn starts_eagerly(&self) -> bool {
        self.tasks.is_eager
    }

    /// Keeps a task until it has ended.
    fn keep(&self, py: Python<'_>, cycle: &Cycle, task: Bound<'_, PyAny>) {
        let running = RunningTask {
            cycle: cycle.clone_ref(py),
            task: task.unbind(),
        };
        drop(self.calls.insert(cycle.id(), running));
        if cycle.watch_client() {
            self.client_left(py, cycle.id());
        }
    }

    /// Tells the request of an event.
    pub(super) fn tell(&self, py: Python<'_>, event: Event) {
        let (Event::Body(id)
        | Event::Message(id)
        | Event::Room(id)
        | Event::Gone(id)
        | Event::Overdue(id)) = event;
        match (event, self.find(py, id)) {
            (_, None) => {}
            (Event::Body(_) | Event::Message(_), Some(cycle)) => cycle.waiters().wake(py),
            (Event::Room(_), Some(cycle)) => cycle.waiters().note_room(py),
            (Event::Gone(_), Some(_)) => self.client_left(py, id),
            (Event::Overdue(_), Some(cycle)) => self.end_overdue(py, &cycle),
        }
    }

    fn find(&self, py: Python<'_>, id: ExchangeId) -> Option<Cycle> {
        self.calls.share(py, id).map(|call| call.cycle)
    }

    /// The client left: the application is told, and has the grace period to end.
    fn client_left(&self, py: Python<'_>, id: ExchangeId) {
        let Some(cycle) = self.find(py, id) else {
            return;
        };
        if !cycle.is_open() {
            return; // It has its answer; what still runs is the application's own business.
        }
        let known_for = cycle.note_gone(py);
        let grace = self.grace.saturating_sub(known_for);
        if let Err(error) = self.expire_later(cycle.object(py), grace) {
            log::error!("A task that nobody waits for cannot be cancelled: {error}");
        }
    }

    /// The client was answered in place of the application, whose task is cancelled.
    fn end_overdue(&self, py: Python<'_>, cycle: &Cycle) {
        if cycle.note_overdue(py)
            && let Err(error) = self.cancel(py, cycle.id())
        {
            log::error!("A task that is overdue cannot be cancelled: {error}");
        }
    }

    /// Calls `expire` of a request's object after `span`.
    ///
    /// # Errors
    /// The event loop says so.
    pub(super) fn expire_later(&self, object: &Bound<'_, PyAny>, span: Duration) -> PyResult<()> {
        let py = object.py();
        let expire = object.getattr(intern!(py, "expire"))?;
        let event_loop = self.event_loop.bind(py);
        event_loop
            .call_method1(intern!(py, "call_later"), (span.as_secs_f64(), expire))
            .map(drop)
    }

    /// Calls `flush_head` of a request's object behind what the event loop has to call in this turn.
    ///
    /// # Errors
    /// The event loop says so.
    pub(super) fn flush_soon(&self, object: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = object.py();
        let flush = object.getattr(intern!(py, "flush_head"))?;
        self.event_loop
            .bind(py)
            .call_method1(intern!(py, "call_soon"), (flush,))
            .map(drop)
    }

    /// Cancels the task of a request, if it has not ended.
    ///
    /// # Errors
    /// The task says so.
    pub(super) fn cancel(&self, py: Python<'_>, id: ExchangeId) -> PyResult<()> {
        match self.calls.share(py, id) {
            Some(call) => call.task.call_method0(py, intern!(py, "cancel")).map(drop),
            None => Ok(()),
        }
    }

    /// Cancels every task that has not ended.
    pub(super) fn cancel_all(&self, py: Python<'_>) {
        self.out_of_time.store(true, Ordering::Relaxed);
        for task in self.unfinished(py) {
            if let Err(error) = task.call_method0(py, intern!(py, "cancel")) {
                log::error!("A task cannot be cancelled: {error}");
            }
        }
    }

    /// Whether every task was cancelled.
    pub(super) fn is_out_of_time(&self) -> bool {
        self.out_of_time.load(Ordering::Relaxed)
    }

    /// The tasks that have not ended.
    pub(super) fn unfinished(&self, py: Python<'_>) -> Vec<Py<PyAny>> {
        let calls = self.calls.share_all(py);
        calls.into_iter().map(|call| call.task).collect()
    }

    /// A request has ended.
    pub(super) fn forget(&self, id: ExchangeId) {
        drop(self.calls.remove(id));
    }

    /// The message with the last piece of a body, without the piece: to be copied.
    pub(super) fn last_message<'py>(&self, py: Python<'py>) -> &Bound<'py, PyDict> {
        self.last_message.bind(py)
    }

    /// A future of the event loop.
    pub(super) fn future<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.create_future.bind(py).call0()
    }
}

impl Tasks {
    fn new(py: Python<'_>, event_loop: &Bound<'_, PyAny>) -> PyResult<Tasks> {
        let options = PyDict::new(py);
        options.set_item("loop", event_loop)?;
        let is_eager = py.version_info() >= (3, 12);
        if is_eager {
            options.set_item("eager_start", true)?;
        }
        Ok(Tasks {
            is_eager,
            class: py.import("asyncio")?.getattr("Task")?.unbind(),
            options: options.unbind(),
        })
    }

    /// A task that has run to its first wait where it can be, and else one that begins with the next turn of the loop.
    /// It is made as the loop's `create_task` makes it, without the way there; but an application that has installed a
    /// task factory wants all tasks to come from it.
    fn start<'py>(
        &self,
        py: Python<'py>,
        event_loop: &Py<PyAny>,
        coroutine: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let event_loop = event_loop.bind(py);
        let factory = event_loop.call_method0(intern!(py, "get_task_factory"))?;
        match factory.is_none() {
            true => self
                .class
                .bind(py)
                .call((coroutine,), Some(self.options.bind(py))),
            false => event_loop.call_method1(intern!(py, "create_task"), (coroutine,)),
        }
    }
}

fn last_message(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    let message = PyDict::new(py);
    message.set_item(intern!(py, "type"), intern!(py, "http.request"))?;
    message.set_item(intern!(py, "body"), py.None())?;
    message.set_item(intern!(py, "more_body"), false)?;
    Ok(message)
}
