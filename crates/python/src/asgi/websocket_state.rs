//! A handshake and what the application makes of it: a WebSocket, or a refusal. All transitions are here; nothing here
//! touches Python, and nothing waits for a client.
//!
//! ```text
//!              accept                    close
//!   Asked ───────────────► Open ────────────────────► Closed
//!     │                      └── the client's end ──► Ended
//!     ├── http.response.start ──► Denying ── complete ──► Closed
//!     ├── close (403) ──────────────────────────────────► Closed
//!     └── the client has left ──────────────────────────► Ended
//! ```

use proto::h1::ResponseHead;
use proto::ws::Incoming;
use proto::ws::handshake::Handshake;
use server::{AcceptFailure, Call, Exchange, Room, SendFailure, SinkError, WebSocket};

use super::reply::{AsgiReply, ReplyStage, Stuck};

/// What the client reads where the application closes, or returns, before it has accepted.
const NOT_ACCEPTED: &str = "The application did not accept the WebSocket.";

/// What an application is told where there was no close frame (RFC 6455, section 7.4.1).
const ABNORMAL: u16 = 1006;

/// How the application ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AppEnd {
    /// It returned.
    Returned,
    /// It raised, or was cancelled.
    Failed,
}

/// What there is for `receive()`.
#[derive(Debug)]
pub(super) enum WebSocketEvent {
    /// The client asks for a WebSocket.
    Connect,
    /// A message of the client.
    Text(String),
    /// A message of the client.
    Binary(Vec<u8>),
    /// The end, with its code and reason.
    Disconnect(u16, String),
    /// Nothing yet.
    Nothing,
}

/// How far it has come.
#[derive(Debug)]
enum WebSocketStage {
    /// The application has not answered.
    Asked {
        call: Box<Call>,
        handshake: Box<Handshake>,
    },
    Open(Box<WebSocket>),
    /// The application answers with an HTTP response.
    Denying(Box<AsgiReply>),
    /// By the application, with this code and reason.
    Closed(u16, String),
    /// By the client or the server, with this code and reason.
    Ended(u16, String),
}

/// One handshake.
#[derive(Debug)]
pub(super) struct WebSocketState {
    stage: WebSocketStage,
    /// The code and the reason of a close that could not be sent. An application that ends behind it wanted to close,
    /// and did not fail.
    unsent_close: Option<(u16, String)>,
    /// `receive()` has told of the handshake, which comes first even where the application has sent something before it
    /// asks.
    told: bool,
}

impl From<SendFailure> for Stuck {
    fn from(failure: SendFailure) -> Stuck {
        match failure {
            SendFailure::Lost(error) => Stuck::Lost(error),
            SendFailure::Misuse(misuse) => Stuck::Misuse(misuse),
        }
    }
}

const NOT_OPEN: Stuck = Stuck::Misplaced("the WebSocket has not been accepted");
const ANSWERED: Stuck = Stuck::Misplaced("the handshake has been answered already");
const CLOSED: Stuck = Stuck::Misplaced("the application has closed the WebSocket already");
const LOST: Stuck = Stuck::Lost(SinkError::Disconnected);

impl WebSocketState {
    pub(super) fn new(call: Call, handshake: Handshake) -> WebSocketState {
        WebSocketState {
            stage: WebSocketStage::Asked {
                call: Box::new(call),
                handshake: Box::new(handshake),
            },
            unsent_close: None,
            told: false,
        }
    }

    /// Whether the application still has something to say.
    pub(super) fn is_open(&self) -> bool {
        !matches!(
            self.stage,
            WebSocketStage::Closed(..) | WebSocketStage::Ended(..)
        )
    }

    /// Asks to be told when a client that waits for the handshake leaves; says whether it has left already.
    pub(super) fn watch_client(&mut self) -> bool {
        match &mut self.stage {
            WebSocketStage::Asked { call, .. } => call.watch_gone(),
            WebSocketStage::Denying(reply) => reply.exchange().is_some_and(Exchange::watch_gone),
            WebSocketStage::Open(_) | WebSocketStage::Closed(..) | WebSocketStage::Ended(..) => {
                false
            }
        }
    }

    /// The client has left. A WebSocket that was open says itself how it ended, behind the messages that came before.
    pub(super) fn note_gone(&mut self) {
        if let WebSocketStage::Asked { call, .. } = &mut self.stage {
            call.forsake();
            self.stage = WebSocketStage::Ended(ABNORMAL, String::new());
        }
    }

    pub(super) fn take_next(&mut self) -> WebSocketEvent {
        if !std::mem::replace(&mut self.told, true) {
            return WebSocketEvent::Connect;
        }
        match &mut self.stage {
            WebSocketStage::Asked { call, .. } => match call.watch_gone() {
                true => WebSocketEvent::Disconnect(ABNORMAL, String::new()),
                false => WebSocketEvent::Nothing,
            },
            WebSocketStage::Denying(reply) => {
                match reply.exchange().is_none_or(Exchange::watch_gone) {
                    true => WebSocketEvent::Disconnect(ABNORMAL, String::new()),
                    false => WebSocketEvent::Nothing,
                }
            }
            WebSocketStage::Open(websocket) => match websocket.receive() {
                None => WebSocketEvent::Nothing,
                Some(Incoming::Text(text)) => WebSocketEvent::Text(text),
                Some(Incoming::Binary(data)) => WebSocketEvent::Binary(data),
                Some(Incoming::Closed(closure)) => {
                    let (code, reason) = (closure.code(), closure.reason().to_owned());
                    // The server writes its access line now, however long the application goes on.
                    self.stage = WebSocketStage::Ended(code, reason.clone());
                    WebSocketEvent::Disconnect(code, reason)
                }
            },
            WebSocketStage::Closed(code, reason) | WebSocketStage::Ended(code, reason) => {
                WebSocketEvent::Disconnect(*code, reason.clone())
            }
        }
    }

    /// `websocket.accept`
    pub(super) fn accept(
        &mut self,
        protocol: Option<&str>,
        fields: &ResponseHead,
    ) -> Result<Room, Stuck> {
        match std::mem::replace(
            &mut self.stage,
            WebSocketStage::Ended(ABNORMAL, String::new()),
        ) {
            WebSocketStage::Asked { call, handshake } => {
                match call.accept(&handshake, protocol, fields) {
                    Ok(websocket) => {
                        self.stage = WebSocketStage::Open(Box::new(websocket));
                        Ok(Room::Enough)
                    }
                    Err(AcceptFailure::Lost(error)) => Err(Stuck::Lost(error)),
                    Err(AcceptFailure::Misuse(call, misuse)) => {
                        self.stage = WebSocketStage::Asked { call, handshake };
                        Err(Stuck::Misuse(misuse))
                    }
                }
            }
            stage => {
                self.stage = stage;
                Err(self.misplaced(ANSWERED))
            }
        }
    }

    /// `websocket.send` with text.
    pub(super) fn send_text(&mut self, text: &str) -> Result<Room, Stuck> {
        match &mut self.stage {
            WebSocketStage::Open(websocket) => Ok(websocket.send_text(text)?),
            _ => Err(self.misplaced(NOT_OPEN)),
        }
    }

    /// `websocket.send` with bytes.
    pub(super) fn send_binary(&mut self, data: &[u8]) -> Result<Room, Stuck> {
        match &mut self.stage {
            WebSocketStage::Open(websocket) => Ok(websocket.send_binary(data)?),
            _ => Err(self.misplaced(NOT_OPEN)),
        }
    }

    /// `websocket.close`. One that the client has closed is closed, as the application wants it.
    pub(super) fn close(&mut self, code: u16, reason: &str) -> Result<Room, Stuck> {
        match &mut self.stage {
            WebSocketStage::Asked { call, .. } => {
                call.reply.refuse(403, NOT_ACCEPTED);
                self.stage = WebSocketStage::Closed(ABNORMAL, String::new());
            }
            WebSocketStage::Open(websocket) => match websocket.close(code, reason) {
                Ok(()) => self.stage = WebSocketStage::Closed(code, reason.to_owned()),
                Err(SendFailure::Lost(_)) => {}
                Err(failure @ SendFailure::Misuse(_)) => {
                    self.unsent_close = Some((code, reason.to_owned()));
                    return Err(failure.into());
                }
            },
            WebSocketStage::Ended(..) => {}
            WebSocketStage::Denying(_) => return Err(ANSWERED),
            WebSocketStage::Closed(..) => return Err(CLOSED),
        }
        Ok(Room::Enough)
    }

    /// `websocket.http.response.start`
    pub(super) fn deny(&mut self, head: ResponseHead) -> Result<Room, Stuck> {
        match std::mem::replace(
            &mut self.stage,
            WebSocketStage::Ended(ABNORMAL, String::new()),
        ) {
            WebSocketStage::Asked { call, .. } => {
                let mut reply = AsgiReply::new(*call);
                let started = reply.start(head);
                self.stage = WebSocketStage::Denying(Box::new(reply));
                started.map(|()| Room::Enough)
            }
            stage => {
                self.stage = stage;
                Err(self.misplaced(ANSWERED))
            }
        }
    }

    /// Whether the application denies the handshake, and has given nothing of the body yet.
    pub(super) fn has_head_only(&self) -> bool {
        matches!(&self.stage, WebSocketStage::Denying(reply) if reply.stage() == ReplyStage::Headed)
    }

    /// See [`AsgiReply::flush_head`].
    pub(super) fn flush_head(&mut self) {
        if let WebSocketStage::Denying(reply) = &mut self.stage {
            reply.flush_head();
        }
    }

    /// `websocket.http.response.body`
    pub(super) fn deny_with(&mut self, piece: &[u8], more: bool) -> Result<Room, Stuck> {
        let WebSocketStage::Denying(reply) = &mut self.stage else {
            return Err(self.misplaced(Stuck::Misplaced(
                "websocket.http.response.start has to come first",
            )));
        };
        let room = reply.body(piece, more)?;
        if reply.stage() == ReplyStage::Complete {
            self.stage = WebSocketStage::Closed(ABNORMAL, String::new());
        }
        Ok(room)
    }

    /// The application has ended: what it left open is closed. Says whether it was to be expected to do that
    /// itself.
    pub(super) fn end(&mut self, app_end: AppEnd) -> Result<(), &'static str> {
        if let (WebSocketStage::Open(websocket), Some((code, reason))) =
            (&mut self.stage, self.unsent_close.take())
        {
            let _ = websocket.close_as_far_as_possible(code, &reason);
            self.stage = WebSocketStage::Ended(ABNORMAL, String::new());
            return Ok(());
        }
        match (&mut self.stage, app_end) {
            (WebSocketStage::Asked { call, .. }, AppEnd::Returned) => {
                call.reply.refuse(403, NOT_ACCEPTED);
            }
            (WebSocketStage::Asked { call, .. }, AppEnd::Failed) => {
                call.reply.refuse(500, super::http_cycle::RULE);
            }
            // Fails where the client has gone.
            (WebSocketStage::Open(websocket), AppEnd::Returned) => drop(websocket.close(1000, "")),
            (WebSocketStage::Open(websocket), AppEnd::Failed) => drop(websocket.close(1011, "")),
            (WebSocketStage::Denying(reply), _) => {
                reply.give_up(500, super::http_cycle::RULE);
                self.stage = WebSocketStage::Ended(ABNORMAL, String::new());
                return Err("completing");
            }
            (WebSocketStage::Closed(..) | WebSocketStage::Ended(..), _) => return Ok(()),
        }
        self.stage = WebSocketStage::Ended(ABNORMAL, String::new());
        Ok(())
    }

    /// Refuses a handshake that the application does not get to see.
    pub(super) fn refuse(&mut self, status: u16, rule: &str) {
        if let WebSocketStage::Asked { call, .. } = &mut self.stage {
            call.reply.refuse(status, rule);
        }
        self.stage = WebSocketStage::Ended(ABNORMAL, String::new());
    }

    /// Why a message that does not fit cannot be sent.
    fn misplaced(&self, otherwise: Stuck) -> Stuck {
        match self.stage {
            WebSocketStage::Ended(..) => LOST,
            WebSocketStage::Closed(..) => CLOSED,
            _ => otherwise,
        }
    }
}
