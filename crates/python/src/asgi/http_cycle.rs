//! One request's way through its application: the object behind `receive` and `send`, and what becomes of the response
//! when the task has ended.

use std::sync::Arc;
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
use crate::gateway::failure::ids;
use crate::gateway::{HookRequest, text};
use crate::lock::{Lock, Plain, Slot};

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
    /// Whether the application was told, by an exception out of `send`, that the client has gone.
    told: bool,
}

impl Plain for HttpCycleState {}

impl HttpCycleState {
    /// Whether the client takes nothing any more.
    fn is_lost(&mut self) -> bool {
        self.reply
            .exchange()
            .is_none_or(|exchange| exchange.is_lost())
    }

    /// What there is for `receive()`.
    fn take_next(&mut self) -> HttpEvent {
        let (body_over, gone) = (self.body_over, self.gone);
        let Some(exchange) = self.reply.exchange() else {
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
                self.body_over = !more;
                HttpEvent::Body(data, more)
            }
            Read::Pending => HttpEvent::Nothing,
            Read::Gone => {
                self.broken_off = true;
                HttpEvent::Disconnect
            }
            Read::Refused { status, rule } => {
                // The client's mistake is answered here; to the application it is as if the client had left.
                self.gone = Some(Instant::now());
                self.broken_off = true;
                self.reply.give_up(status, rule);
                HttpEvent::Disconnect
            }
        }
    }

    /// The application has returned: ends a response that is not complete. Returns what the application has left out.
    fn end_unfinished(&mut self) -> Option<&'static str> {
        let missing = match self.reply.stage() {
            ReplyStage::Complete | ReplyStage::Ended => return None,
            ReplyStage::Unstarted => "starting",
            ReplyStage::Headed | ReplyStage::Streaming | ReplyStage::Trailing => "completing",
        };
        if self.told || self.broken_off || self.gone.is_some() {
            self.reply.let_go();
            return None;
        }
        self.reply.give_up(500, RULE);
        Some(missing)
    }
}

/// One request.
#[derive(Debug)]
#[pyclass(frozen, module = "oxicorn._oxicorn")]
pub(crate) struct HttpCycle {
    pub(super) runner: Arc<AppRunner>,
    id: ExchangeId,
    target: Box<[u8]>,
    state: Lock<HttpCycleState>,
    /// The request as the operator's hooks see it, until they have been told of its end.
    observed: Slot<Option<Py<HookRequest>>>,
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
        self.with(|state| state.reply.flush_head());
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
            state: Lock::new(HttpCycleState {
                reply: AsgiReply::new(call),
                body_over: false,
                gone: None,
                broken_off: false,
                cancelled: false,
                told: false,
            }),
            observed: Slot::new(observed),
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
        match (&self.runner.hooks, self.observed.share(py)) {
            (Some(hooks), Some(observed)) => hooks.before(py, &observed),
            _ => Ok(()),
        }
    }

    /// Calls the hook `post_request`: the application has returned, and its response is as complete as it will be.
    fn end(&self, py: Python<'_>) {
        let (Some(observed), Some(hooks)) = (self.observed.take(), &self.runner.hooks) else {
            return;
        };
        let response = self.with(|state| state.reply.outcome());
        let environ = observed.borrow(py).environ(py);
        hooks.answered(py, || response, &observed, environ.ok().as_ref());
    }

    /// Asks to be told when the client leaves; says whether it has left already.
    pub(super) fn watch_client(&self) -> bool {
        self.with(|state| match state.reply.exchange() {
            Some(exchange) => exchange.watch_gone(),
            None => false,
        })
    }

    /// Whether the application has given the head of its response, and nothing of the body.
    pub(super) fn has_head_only(&self) -> bool {
        self.with(|state| state.reply.stage() == ReplyStage::Headed)
    }

    /// Whether an answer is still owed.
    pub(super) fn is_open(&self) -> bool {
        self.with(|state| state.reply.exchange().is_some())
    }

    /// The client's side has ended, or it is known to be gone. Returns how long that has been so.
    pub(super) fn note_gone(&self, py: Python<'_>) -> Duration {
        let (since, is_lost) = self.with(|state| {
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
            (since, state.is_lost())
        });
        if is_lost {
            self.waiters.set_room(Room::Enough);
        }
        self.waiters.wake(py);
        since
    }

    /// The client was answered in place of the application. Says whether its task is to be cancelled: it must not be
    /// again while it cleans up.
    pub(super) fn note_overdue(&self, py: Python<'_>) -> bool {
        if self.with(|state| state.reply.stage() == ReplyStage::Complete) {
            return false; // The answer was in time after all; what still runs is the application's own business.
        }
        self.note_gone(py);
        !self.with(|state| std::mem::replace(&mut state.cancelled, true))
    }

    /// Whether the client has left for good. Says so once: the task is cancelled then, and must not be again while it
    /// cleans up.
    fn probe(&self) -> Presence {
        self.with(|state| {
            let presence = match state.reply.exchange() {
                Some(exchange) => exchange.probe(),
                None => Presence::Here,
            };
            match presence {
                Presence::Lost if std::mem::replace(&mut state.cancelled, true) => Presence::Here,
                presence => presence,
            }
        })
    }

    /// A step of `receive()`.
    pub(super) fn next_message(&self, py: Python<'_>) -> PyResult<Step> {
        let message = match self.with(HttpCycleState::take_next) {
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

    /// A message of the application.
    pub(super) fn perform(&self, py: Python<'_>, message: &Bound<'_, PyAny>) -> PyResult<Room> {
        // No message makes us wait: what the client does not take stays with the reactor. So the GIL is kept, which
        // costs less than to compete for it with the threads of an executor after every write.
        let done = match message::read(message)? {
            HttpMessage::Start(head) => self.act(|reply| reply.start(head).map(|()| Room::Enough)),
            HttpMessage::Body(piece, more) => {
                let bytes = piece.as_bytes();
                self.act(|reply| reply.body(bytes, more))
            }
            HttpMessage::File(content) => {
                self.act(|reply| reply.file(content).map(|()| Room::Enough))
            }
            HttpMessage::EarlyHint(head) => self.act(|reply| reply.interim(&head)),
            HttpMessage::ZeroCopy(part, more) => self.act(|reply| reply.part(part, more)),
            HttpMessage::Trailers(fields, more) => self.act(|reply| reply.trailers(&fields, more)),
            HttpMessage::Debug => self.act(|_| Ok(Room::Enough)),
        };
        match done {
            Ok((room, is_complete)) => {
                self.waiters.set_room(room);
                if is_complete && !self.waiters.is_empty() {
                    // A task that waits for the client to leave learns that the response is complete.
                    self.waiters.wake(py);
                }
                Ok(room)
            }
            Err(stuck) => Err(failure::exception(py, stuck)),
        }
    }

    /// Does what a message says. Returns whether there is room for more, and whether the response is complete.
    fn act(
        &self,
        act: impl FnOnce(&mut AsgiReply) -> Result<Room, Stuck> + Send,
    ) -> Result<(Room, bool), Stuck> {
        self.with(|state| {
            let room = act(&mut state.reply);
            state.told |= matches!(room, Err(Stuck::Lost(_)));
            Ok((room?, state.reply.stage() == ReplyStage::Complete))
        })
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
        let out_of_time = self.runner.is_out_of_time();
        let standing = self.with(|state| Standing {
            told: state.told,
            broken_off: state.broken_off,
            out_of_time,
            released: state.gone.is_some() || state.reply.exchange().is_none(),
        });
        let ids = self.with(|state| state.reply.exchange().map(|exchange| ids(exchange)));
        let exit = match failure::judge(py, &self.target, &ids.unwrap_or_default(), error, standing)
        {
            Verdict::OfTheClient => {
                self.with(|state| state.reply.let_go());
                None
            }
            Verdict::OfTheApplication(exit) => {
                self.with(|state| state.reply.give_up(500, RULE));
                exit
            }
        };
        self.waiters.wake(py);
        self.end(py);
        exit
    }

    /// The application has returned: is there an answer?
    fn check_complete(&self) {
        if let Some(missing) = self.with(HttpCycleState::end_unfinished) {
            let target = text::printable(&self.target);
            log::error!("The application returned without {missing} its response to {target}");
        }
    }

    /// Answers a request that the application does not get to see.
    pub(super) fn refuse(&self, status: u16, rule: &str) {
        // No hook was told of it.
        drop(self.observed.take());
        self.with(|state| state.reply.give_up(status, rule));
    }

    fn with<R>(&self, act: impl FnOnce(&mut HttpCycleState) -> R + Send) -> R {
        // The client of a process that the application has forked is its parent's.
        crate::forks::leave_if_forked();
        self.state.with(act)
    }
}
