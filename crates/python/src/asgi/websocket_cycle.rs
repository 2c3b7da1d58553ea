//! One WebSocket's way through its application: the object behind `receive` and `send`, from the handshake to the end
//! of the task.

use std::sync::Arc;

use proto::ws::handshake::Handshake;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyString};
use server::{Call, ExchangeId, Room};

use super::app_runner::AppRunner;
use super::awaitable::Step;
use super::cycle::StepMark;
use super::failure::{self, Standing, Verdict};
use super::reply::Stuck;
use super::waiters::Waiters;
use super::websocket_message::{self, WebSocketMessage};
use super::websocket_state::{AppEnd, WebSocketEvent, WebSocketState};
use crate::gateway::failure::Ids;
use crate::gateway::text;
use crate::lock::{Lock, Plain};

/// What is known of one WebSocket.
#[derive(Debug)]
struct WebSocketCycleState {
    websocket: WebSocketState,
    /// The client has left.
    gone: bool,
    /// Whether the application was told, by an exception out of `send`, that the client has gone.
    told: bool,
}

impl Plain for WebSocketCycleState {}

/// One WebSocket.
#[derive(Debug)]
#[pyclass(frozen, module = "oxicorn._oxicorn")]
pub(crate) struct WebSocketCycle {
    pub(super) runner: Arc<AppRunner>,
    id: ExchangeId,
    target: Box<[u8]>,
    state: Lock<WebSocketCycleState>,
    pub(super) waiters: Waiters,
    pub(super) step: StepMark,
}

#[pymethods]
impl WebSocketCycle {
    /// The turn of the event loop in which the head of a denial came is over.
    fn flush_head(&self) {
        self.with(|state| state.websocket.flush_head());
    }

    /// The grace period after the client's departure is over. An application that has taken the news is left to its
    /// work.
    fn expire(&self, py: Python<'_>) -> PyResult<()> {
        match self.is_open() {
            true => self.runner.cancel(py, self.id),
            false => Ok(()),
        }
    }
}

impl WebSocketCycle {
    pub(super) fn new(runner: Arc<AppRunner>, call: Call, handshake: Handshake) -> WebSocketCycle {
        WebSocketCycle {
            runner,
            id: call.id(),
            target: call.request.target().into(),
            state: Lock::new(WebSocketCycleState {
                websocket: WebSocketState::new(call, handshake),
                gone: false,
                told: false,
            }),
            waiters: Waiters::default(),
            step: StepMark::default(),
        }
    }

    pub(super) fn id(&self) -> ExchangeId {
        self.id
    }

    /// Asks to be told when the client leaves; says whether it has left already.
    pub(super) fn watch_client(&self) -> bool {
        self.with(|state| state.websocket.watch_client())
    }

    /// Whether the application denies the handshake, and has given nothing of the body yet.
    pub(super) fn has_head_only(&self) -> bool {
        self.with(|state| state.websocket.has_head_only())
    }

    /// Whether the application still has something to say.
    pub(super) fn is_open(&self) -> bool {
        self.with(|state| state.websocket.is_open())
    }

    /// The client has left, or the server has closed the WebSocket.
    pub(super) fn note_gone(&self, py: Python<'_>) {
        self.with(|state| {
            state.gone = true;
            state.websocket.note_gone();
        });
        self.waiters.note_room(py);
    }

    /// A step of `receive()`.
    pub(super) fn next_message(&self, py: Python<'_>) -> PyResult<Step> {
        let received = self.with(|state| state.websocket.take_next());
        let message = PyDict::new(py);
        let kind = intern!(py, "type");
        match received {
            WebSocketEvent::Nothing => return self.waiters.wait(py, &self.runner),
            WebSocketEvent::Connect => message.set_item(kind, intern!(py, "websocket.connect"))?,
            WebSocketEvent::Text(text) => {
                message.set_item(kind, intern!(py, "websocket.receive"))?;
                message.set_item(intern!(py, "text"), PyString::new(py, &text))?;
            }
            WebSocketEvent::Binary(data) => {
                message.set_item(kind, intern!(py, "websocket.receive"))?;
                message.set_item(intern!(py, "bytes"), PyBytes::new(py, &data))?;
            }
            WebSocketEvent::Disconnect(code, reason) => {
                message.set_item(kind, intern!(py, "websocket.disconnect"))?;
                message.set_item(intern!(py, "code"), code)?;
                message.set_item(intern!(py, "reason"), reason)?;
            }
        }
        Ok(Step::Done(Some(message.unbind())))
    }

    /// A message of the application.
    pub(super) fn perform(&self, py: Python<'_>, message: &Bound<'_, PyAny>) -> PyResult<Room> {
        let message = websocket_message::read(message)?;
        let is_news = !matches!(
            message,
            WebSocketMessage::Text(_) | WebSocketMessage::Binary(_)
        );
        // Nothing waits here, so the GIL is kept; see `HttpCycle::perform`.
        let room = match message {
            WebSocketMessage::Accept(protocol, fields) => {
                self.act(|websocket| websocket.accept(protocol.as_deref(), &fields))
            }
            WebSocketMessage::Text(text) => self.act(|websocket| websocket.send_text(&text)),
            WebSocketMessage::Binary(piece) => {
                let bytes = piece.as_bytes();
                self.act(|websocket| websocket.send_binary(bytes))
            }
            WebSocketMessage::Close(code, reason) => {
                self.act(|websocket| websocket.close(code, &reason))
            }
            WebSocketMessage::DenialStart(head) => self.act(|websocket| websocket.deny(head)),
            WebSocketMessage::DenialBody(piece, more) => {
                let bytes = piece.as_bytes();
                self.act(|websocket| websocket.deny_with(bytes, more))
            }
        };
        let left = room.as_ref().copied().unwrap_or(Room::Enough);
        self.waiters.set_room(left);
        if is_news && !self.waiters.is_empty() {
            // A task that waits for the next message waits for another thing now, or learns that there will be none.
            self.waiters.wake(py);
        }
        room.map_err(|stuck| failure::exception(py, stuck))
    }

    /// Does what a message says. Returns whether there is room for more.
    fn act(
        &self,
        act: impl FnOnce(&mut WebSocketState) -> Result<Room, Stuck> + Send,
    ) -> Result<Room, Stuck> {
        self.with(|state| {
            let room = act(&mut state.websocket);
            state.told |= matches!(room, Err(Stuck::Lost(_)));
            room
        })
    }

    /// Sees to what an application leaves that has returned or raised. Returns the exception that the worker must obey:
    /// `SystemExit` and `KeyboardInterrupt`.
    pub(super) fn settle(&self, py: Python<'_>, outcome: PyResult<()>) -> Option<PyErr> {
        self.runner.forget(self.id);
        match outcome {
            Ok(()) => {
                self.end();
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
            broken_off: false,
            out_of_time,
            released: state.gone || !state.websocket.is_open(),
        });
        let exit = match failure::judge(py, &self.target, &Ids::new(), error, standing) {
            Verdict::OfTheClient => None,
            Verdict::OfTheApplication(exit) => exit,
        };
        let _ = self.with(|state| state.websocket.end(AppEnd::Failed));
        self.waiters.wake(py);
        exit
    }

    /// The application has returned.
    fn end(&self) {
        let (told, end) = self.with(|state| {
            let told = state.told || state.gone;
            (told, state.websocket.end(AppEnd::Returned))
        });
        if let Err(missing) = end
            && !told
        {
            let target = text::printable(&self.target);
            log::error!("The application returned without {missing} its response to {target}");
        }
    }

    /// Answers a handshake that the application does not get to see.
    pub(super) fn refuse(&self, status: u16, rule: &str) {
        self.with(|state| state.websocket.refuse(status, rule));
    }

    fn with<R>(&self, act: impl FnOnce(&mut WebSocketCycleState) -> R + Send) -> R {
        // The client of a process that the application has forked is its parent's.
        crate::forks::leave_if_forked();
        self.state.with(act)
    }
}
