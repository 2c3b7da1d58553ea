//! One request's way through its application: the object behind `receive` and `send`, and what becomes of the response
//! when the task has ended.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use server::{Call, ExchangeId, Presence, Read, Room};

use super::app_runner::AppRunner;
use super::awaitable::Step;
use super::cycle::StepMark;
use super::failure::{self, Standing, Verdict};
use super::message::{self, HttpMessage};
use super::reply::{AsgiReply, ReplyStage, Stuck};
use super::waiters::Waiters;
use crate::gateway::{HookRequest, text};

/// What the client reads on the error page. The reason is for the operator, in the log.
pub(super) const RULE: &str = "The application failed to answer this request.";

/// How long a reset may take that answers a probe: much longer than any network.
const AGAIN: Duration = Duration::from_secs(3);

/// What is known of one request.
#[derive(Debug)]
struct HttpCycleState {
    reply: AsgiReply,
    /// The application has read the body to its end.
    body_over: bool,
    /// Since when the client's side has ended: it has left, or may have.
    gone: Option<Instant>,
    /// It left before the request was complete, and the application was told.
    broken_off: bool,
    /// The task was told to end.
    cancelled: bool,
    /// The request as the operator's hooks see it, until they have been told of its end.
    observed: Option<Py<HookRequest>>,
    /// Whether the application was told, by an exception out of `send`, that the client has gone.
    told: bool,
}

impl HttpCycleState {
    /// Whether the client takes nothing any more.
    fn is_lost(&mut self) -> bool {
        self.reply
            .exchange()
            .is_none_or(|exchange| exchange.is_lost())
    }
}

/// One request.
#[derive(Debug)]
#[pyclass(frozen, module = "oxicorn._oxicorn")]
pub(crate) struct HttpCycle {
    pub(super) runner: Arc<AppRunner>,
    id: ExchangeId,
    target: Box<[u8]>,
    state: Mutex<HttpCycleState>,
    pub(super) waiters: Waiters,
    pub(super) step: StepMark,
}

/// What `receive()` has found.
enum HttpEvent {
    Body(Vec<u8>, bool),
    Disconnect,
    Nothing,
}

#[pymethods]
impl HttpCycle {
    /// The turn of the event loop in which the head came is over.
    fn flush_head(&self) {
        self.lock().reply.flush_head();
    }

    /// The grace period after the client's departure is over. A client that still takes what is sent has its answer to
    /// get.
    fn expire(cycle: &Bound<'_, HttpCycle>) -> PyResult<()> {
        let py = cycle.py();
        let this = cycle.get();
        match this.probe() {
            Presence::Lost => this.runner.cancel(py, this.id),
            Presence::Doubtful => this.runner.expire_later(cycle.as_any(), AGAIN),
            Presence::Here => Ok(()),
        }
    }
}

impl HttpCycle {
    pub(super) fn new(
        runner: Arc<AppRunner>,
        call: Call,
        observed: Option<Py<HookRequest>>,
    ) -> HttpCycle {
        HttpCycle {
            runner,
            id: call.id(),
            target: call.request.target().into(),
            state: Mutex::new(HttpCycleState {
                reply: AsgiReply::new(call),
                body_over: false,
                gone: None,
                broken_off: false,
                cancelled: false,
                observed,
                told: false,
            }),
            waiters: Waiters::default(),
            step: StepMark::default(),
        }
    }

    pub(super) fn id(&self) -> ExchangeId {
        self.id
    }

    /// Calls the hook `pre_request`.
    ///
    /// # Errors
    /// What it raises, which fails the request.
    pub(super) fn begin(&self, py: Python<'_>) -> PyResult<()> {
        let observed = match &self.lock().observed {
            Some(observed) => observed.clone_ref(py),
            None => return Ok(()),
        };
        match &self.runner.hooks {
            Some(hooks) => hooks.before(py, &observed),
            None => Ok(()),
        }
    }

    /// Calls the hook `post_request`: the application has returned, and its response is as complete as it will be.
    fn end(&self, py: Python<'_>) {
        let mut state = self.lock();
        let (Some(observed), Some(hooks)) = (state.observed.take(), &self.runner.hooks) else {
            return;
        };
        let response = state.reply.outcome();
        drop(state);
        let environ = observed.borrow(py).environ(py);
        hooks.answered(py, || response, &observed, environ.ok().as_ref());
    }

    /// Asks to be told when the client leaves; says whether it has left already.
    pub(super) fn watch_client(&self) -> bool {
        let mut state = self.lock();
        match state.reply.exchange() {
            Some(exchange) => exchange.watch_gone(),
            None => false,
        }
    }

    /// Whether the application has given the head of its response, and nothing of the body.
    pub(super) fn has_head_only(&self) -> bool {
        self.lock().reply.stage() == ReplyStage::Headed
    }

    /// Whether an answer is still owed.
    pub(super) fn is_open(&self) -> bool {
        self.lock().reply.exchange().is_some()
    }

    /// The client's side has ended, or it is known to be gone. Returns how long that has been so.
    pub(super) fn note_gone(&self, py: Python<'_>) -> Duration {
        let mut state = self.lock();
        let since = match state.gone {
            Some(since) => since.elapsed(),
            None => {
                state.gone = Some(Instant::now());
                if let Some(exchange) = state.reply.exchange() {
                    exchange.note_departure();
                }
                Duration::ZERO
            }
        };
        if state.is_lost() {
            self.waiters.set_room(Room::Enough);
        }
        drop(state);
        self.waiters.wake(py);
        since
    }

    /// The client was answered in place of the application. Says whether its task is to be cancelled: it must not be
    /// again while it cleans up.
    pub(super) fn note_overdue(&self, py: Python<'_>) -> bool {
        self.note_gone(py);
        !std::mem::replace(&mut self.lock().cancelled, true)
    }

    /// Whether the client has left for good. Says so once: the task is cancelled then, and must not be again while it
    /// cleans up.
    fn probe(&self) -> Presence {
        let mut state = self.lock();
        let presence = match state.reply.exchange() {
            Some(exchange) => exchange.probe(),
            None => Presence::Here,
        };
        match presence {
            Presence::Lost if std::mem::replace(&mut state.cancelled, true) => Presence::Here,
            presence => presence,
        }
    }

    /// A step of `receive()`.
    pub(super) fn next_message(&self, py: Python<'_>) -> PyResult<Step> {
        let message = match self.take_next() {
            HttpEvent::Nothing => return self.waiters.wait(py, &self.runner),
            HttpEvent::Disconnect => {
                let message = PyDict::new(py);
                message.set_item(intern!(py, "type"), intern!(py, "http.disconnect"))?;
                message
            }
            HttpEvent::Body(data, more) => {
                let message = self.runner.last_message(py).copy()?;
                message.set_item(intern!(py, "body"), PyBytes::new(py, &data))?;
                if more {
                    message.set_item(intern!(py, "more_body"), true)?;
                }
                message
            }
        };
        Ok(Step::Done(Some(message.unbind())))
    }

    fn take_next(&self) -> HttpEvent {
        let mut state = self.lock();
        let (body_over, gone) = (state.body_over, state.gone);
        let Some(exchange) = state.reply.exchange() else {
            return HttpEvent::Disconnect;
        };
        if body_over {
            return match gone.is_some() || exchange.watch_gone() {
                true => HttpEvent::Disconnect,
                false => HttpEvent::Nothing,
            };
        }
        match exchange.read_body() {
            Read::Chunk { data, more } => {
                state.body_over = !more;
                HttpEvent::Body(data, more)
            }
            Read::Pending => HttpEvent::Nothing,
            Read::Gone => {
                state.broken_off = true;
                HttpEvent::Disconnect
            }
            Read::Refused { status, rule } => {
                // The client's mistake is answered here; to the application it is as if the client had left.
                state.gone = Some(Instant::now());
                state.broken_off = true;
                state.reply.give_up(status, rule);
                HttpEvent::Disconnect
            }
        }
    }

    /// A message of the application.
    pub(super) fn perform(&self, py: Python<'_>, message: &Bound<'_, PyAny>) -> PyResult<Room> {
        let message = message::read(message)?;
        let mut state = self.lock();
        let reply = &mut state.reply;
        // No message makes us wait: what the client does not take stays with the reactor. So the GIL is kept, which
        // costs less than to compete for it with the threads of an executor after every write.
        let room = match message {
            HttpMessage::Start(head) => reply.start(head).map(|()| Room::Enough),
            HttpMessage::Body(piece, more) => reply.body(piece.as_bytes(), more),
            HttpMessage::File(content) => reply.file(content).map(|()| Room::Enough),
            HttpMessage::EarlyHint(head) => reply.interim(&head),
            HttpMessage::ZeroCopy(part, more) => reply.part(part, more),
            HttpMessage::Trailers(fields, more) => reply.trailers(&fields, more),
            HttpMessage::Debug => Ok(Room::Enough),
        };
        match room {
            Ok(room) => {
                self.waiters.set_room(room);
                let over = state.reply.stage() == ReplyStage::Complete && !self.waiters.is_empty();
                drop(state);
                if over {
                    // A task that waits for the client to leave learns that the response is complete.
                    self.waiters.wake(py);
                }
                Ok(room)
            }
            Err(stuck) => {
                state.told |= matches!(stuck, Stuck::Lost(_));
                drop(state);
                Err(failure::exception(py, stuck))
            }
        }
    }

    /// Sees to what an application leaves that has returned or raised. Returns the exception that the worker must obey:
    /// `SystemExit` and `KeyboardInterrupt`.
    pub(super) fn settle(&self, py: Python<'_>, outcome: PyResult<()>) -> Option<PyErr> {
        self.runner.forget(self.id);
        match outcome {
            Ok(()) => {
                self.check_complete();
                self.end(py);
                None
            }
            Err(error) => self.fail(py, error),
        }
    }

    /// The application raised.
    pub(super) fn fail(&self, py: Python<'_>, error: PyErr) -> Option<PyErr> {
        let state = self.lock();
        let (told, broken_off, gone) = (state.told, state.broken_off, state.gone.is_some());
        drop(state);
        let standing = Standing {
            told,
            broken_off,
            out_of_time: self.runner.is_out_of_time(),
            released: gone || !self.is_open(),
        };
        let exit = match failure::judge(py, &self.target, error, standing) {
            Verdict::OfTheClient => {
                self.lock().reply.let_go();
                None
            }
            Verdict::OfTheApplication(exit) => {
                self.lock().reply.give_up(500, RULE);
                exit
            }
        };
        self.waiters.wake(py);
        self.end(py);
        exit
    }

    /// The application has returned: is there an answer?
    fn check_complete(&self) {
        let mut state = self.lock();
        let missing = match state.reply.stage() {
            ReplyStage::Complete | ReplyStage::Ended => return,
            ReplyStage::Unstarted => "starting",
            ReplyStage::Headed | ReplyStage::Streaming | ReplyStage::Trailing => "completing",
        };
        if state.told || state.broken_off || state.gone.is_some() {
            return state.reply.let_go();
        }
        state.reply.give_up(500, RULE);
        drop(state);
        let target = text::printable(&self.target);
        log::error!("The application returned without {missing} its response to {target}");
    }

    /// Answers a request that the application does not get to see.
    pub(super) fn refuse(&self, status: u16, rule: &str) {
        let mut state = self.lock();
        // No hook was told of it.
        let observed = state.observed.take();
        state.reply.give_up(status, rule);
        drop(state);
        drop(observed);
    }

    /// The lock is never held while Python code can run.
    fn lock(&self) -> MutexGuard<'_, HttpCycleState> {
        // The client of a process that the application has forked is its parent's.
        crate::forks::leave_if_forked();
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
