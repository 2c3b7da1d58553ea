//! A WebSocket from its handshake to its end: messages in both directions, pings and their answers, and who closes.
//!
//! ```text
//!            ┌── our close ──► Closing ── their close, time-out, end of stream ──┐
//!   Open ────┼── their close, violation ──► Parting ── our close frame ──────────┤
//!            └── silence, end of stream ──► Over ◄───────────────────────────────┘
//! ```

use std::time::Duration;

use super::decoder::{Decoder, Event};
use super::deflate::Deflate;
use super::encoder::Encoder;
use super::keepalive::{Due, Keepalive, Timing};
use super::misuse::{SendError, WebSocketMisuse};
use super::violation::FrameViolation;

/// The close code for a peer that has fallen silent: "an unexpected condition" (RFC 6455, section 7.4.1), which is also
/// what Python's `websockets` sends.
const SILENCE_CODE: u16 = 1011;

const SILENCE_REASON: &str = "ping timeout";

/// What an application is told when a close frame had no code (RFC 6455, section 7.4.1).
const NO_CODE: u16 = 1005;

/// What an application is told when there was no close frame (RFC 6455, section 7.4.1).
const ABNORMAL_CODE: u16 = 1006;

/// One WebSocket, without its socket and its clock. Times are those of the caller's clock, counted from any moment;
/// what has to be sent is appended to the `out` of each call.
///
/// The answers to a peer are never longer than what it sent, one close frame aside. A caller bounds what it holds for a
/// peer that does not read by not receiving from it, with [`WebSocketSession::pause`].
#[derive(Debug)]
pub struct WebSocketSession {
    decoder: Decoder,
    encoder: Encoder,
    timing: Timing,
    state: SessionState,
}

#[derive(Debug)]
enum SessionState {
    Open(Keepalive),
    /// Nothing more is received, and this frame is our last; the application may have something to say before it.
    Parting {
        close: Vec<u8>,
    },
    /// We have sent our close frame.
    Closing {
        code: u16,
        reason: String,
        deadline: Duration,
    },
    /// Nothing more is sent or received; the connection is to be closed. The application was told, and by this.
    Over(Ended),
}

/// Who ended it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    ByApplication,
    ByPeer,
}

/// How a WebSocket ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Closure {
    /// The application has closed it.
    ByApplication {
        /// The code that the application gave.
        code: u16,
        /// The reason that the application gave.
        reason: String,
    },
    /// The peer has closed it.
    ByPeer {
        /// The code of its close frame, where there was one.
        code: Option<u16>,
        /// The reason in its close frame.
        reason: String,
    },
    /// The peer has broken a rule.
    Violation(FrameViolation),
    /// The peer has not answered a ping in time.
    Silence,
    /// The connection ended without a close frame.
    Lost,
}

impl Closure {
    /// The code for the application: 1005 stands for none, 1006 for a connection that was lost.
    #[must_use]
    pub fn code(&self) -> u16 {
        match self {
            Self::ByApplication { code, .. } => *code,
            Self::ByPeer { code, .. } => code.unwrap_or(NO_CODE),
            Self::Violation(violation) => violation.code(),
            Self::Silence => SILENCE_CODE,
            Self::Lost => ABNORMAL_CODE,
        }
    }

    /// The reason for the application, possibly empty.
    #[must_use]
    pub fn reason(&self) -> &str {
        match self {
            Self::ByApplication { reason, .. } | Self::ByPeer { reason, .. } => reason,
            Self::Violation(violation) => violation.rule(),
            Self::Silence => SILENCE_REASON,
            Self::Lost => "",
        }
    }
}

/// What the application receives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Incoming {
    /// A text message.
    Text(String),
    /// A binary message.
    Binary(Vec<u8>),
    /// The end; nothing follows it.
    Closed(Closure),
}

/// What one call of [`WebSocketSession::receive`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// How many bytes of the input were taken. Less than all of them: call again with the rest.
    pub consumed: usize,
    /// What they brought, if anything.
    pub incoming: Option<Incoming>,
}

impl WebSocketSession {
    /// A WebSocket whose handshake is done, for messages of at most so many bytes, with the extension that was
    /// negotiated.
    #[must_use]
    pub fn new(
        message_bytes: usize,
        deflate: Option<Deflate>,
        timing: Timing,
        now: Duration,
    ) -> Self {
        Self {
            decoder: Decoder::new(message_bytes, deflate),
            encoder: Encoder::new(deflate),
            state: SessionState::Open(Keepalive::new(&timing, now)),
            timing,
        }
    }

    /// Takes bytes of the peer, up to the end of the first thing among them that concerns the application. The caller
    /// goes on with `input[consumed..]` until nothing is left. When the session is over, everything is taken and
    /// ignored.
    pub fn receive(&mut self, input: &[u8], out: &mut Vec<u8>) -> Received {
        let received = self.hear(input, out);
        self.part(out);
        received
    }

    /// As [`WebSocketSession::receive`], but where the peer has ended it our close frame is left to
    /// [`WebSocketSession::part`]: until then the application can answer the messages that came before ("an endpoint
    /// MAY delay sending a Close frame until its current message is sent", RFC 6455, section 5.5.1).
    pub fn hear(&mut self, input: &[u8], out: &mut Vec<u8>) -> Received {
        if let SessionState::Open(keepalive) = &mut self.state
            && !input.is_empty()
        {
            keepalive.heard();
        }
        let mut consumed = 0;
        while consumed < input.len() && self.receives() {
            let incoming = match self.decoder.decode(&input[consumed..]) {
                Ok((taken, event)) => {
                    consumed += taken;
                    event.and_then(|event| self.handle(event, out))
                }
                Err(violation) => {
                    consumed = input.len();
                    Some(Incoming::Closed(self.fail(violation)))
                }
            };
            if incoming.is_some() {
                return Received { consumed, incoming };
            }
        }
        Received {
            consumed: input.len(),
            incoming: None,
        }
    }

    /// Data and pings that cross our close frame are passed over: the application has said that it is done, and nothing
    /// may be sent any more.
    fn handle(&mut self, event: Event, out: &mut Vec<u8>) -> Option<Incoming> {
        let is_open = matches!(self.state, SessionState::Open(_));
        match event {
            Event::Text(text) if is_open => Some(Incoming::Text(text)),
            Event::Binary(data) if is_open => Some(Incoming::Binary(data)),
            Event::Ping(payload) if is_open => {
                // The payload of a ping fits into a pong.
                self.encoder.pong(&payload, out).ok();
                None
            }
            Event::Close { code, reason } => {
                Some(Incoming::Closed(self.answer_close(code, reason)))
            }
            Event::Text(_) | Event::Binary(_) | Event::Ping(_) | Event::Pong(_) => None,
        }
    }

    /// "When sending a Close frame in response, the endpoint typically echos the status code it received" (RFC 6455,
    /// section 5.5.1).
    fn answer_close(&mut self, code: Option<u16>, reason: String) -> Closure {
        match self.end(Ended::ByPeer) {
            Some(closure) => closure,
            None => {
                self.prepare_to_part(code, "");
                Closure::ByPeer { code, reason }
            }
        }
    }

    fn fail(&mut self, violation: FrameViolation) -> Closure {
        match self.end(Ended::ByPeer) {
            Some(closure) => closure,
            None => {
                // Every code and rule of the table fits: a test says so.
                self.prepare_to_part(Some(violation.code()), violation.rule());
                Closure::Violation(violation)
            }
        }
    }

    fn prepare_to_part(&mut self, code: Option<u16>, reason: &str) {
        let mut close = Vec::new();
        self.encoder.close(code, reason, &mut close).ok();
        self.state = SessionState::Parting { close };
    }

    /// Sends the close frame that is owed to the peer, if one is.
    pub fn part(&mut self, out: &mut Vec<u8>) {
        if let SessionState::Parting { close } = &mut self.state {
            out.append(close);
            self.state = SessionState::Over(Ended::ByPeer);
        }
    }

    /// Makes it over. What the application has closed itself was closed by it; what came after changes nothing.
    fn end(&mut self, by: Ended) -> Option<Closure> {
        match std::mem::replace(&mut self.state, SessionState::Over(by)) {
            SessionState::Closing { code, reason, .. } => {
                self.state = SessionState::Over(Ended::ByApplication);
                Some(Closure::ByApplication { code, reason })
            }
            SessionState::Over(before) => {
                self.state = SessionState::Over(before);
                None
            }
            SessionState::Open(_) | SessionState::Parting { .. } => None,
        }
    }

    /// Whether what comes from the peer is still looked at.
    fn receives(&self) -> bool {
        matches!(
            self.state,
            SessionState::Open(_) | SessionState::Closing { .. }
        )
    }

    /// Sends a text message.
    ///
    /// # Errors
    /// [`SendError::Disconnected`] when the peer has ended it, [`WebSocketMisuse::AfterClose`] when the application
    /// has.
    pub fn send_text(&mut self, text: &str, out: &mut Vec<u8>) -> Result<(), SendError> {
        self.check_open()?;
        self.encoder.text(text, out);
        Ok(())
    }

    /// Sends a binary message.
    ///
    /// # Errors
    /// [`SendError::Disconnected`] when the peer has ended it, [`WebSocketMisuse::AfterClose`] when the application
    /// has.
    pub fn send_binary(&mut self, data: &[u8], out: &mut Vec<u8>) -> Result<(), SendError> {
        self.check_open()?;
        self.encoder.binary(data, out);
        Ok(())
    }

    /// Sends a close frame, and waits for the peer's, unless that has come: the peer's code is then the one that
    /// counts.
    ///
    /// # Errors
    /// [`SendError::Disconnected`] when the peer has ended it, a [`WebSocketMisuse`] when the application has, or when
    /// the code or the reason cannot be sent.
    pub fn close(
        &mut self,
        code: u16,
        reason: &str,
        now: Duration,
        out: &mut Vec<u8>,
    ) -> Result<(), SendError> {
        self.close_with(Some(code), reason, now, out)
    }

    /// As [`Session::close`], with a frame that says nothing.
    ///
    /// # Errors
    /// As [`Session::close`].
    pub fn close_without_code(
        &mut self,
        now: Duration,
        out: &mut Vec<u8>,
    ) -> Result<(), SendError> {
        self.close_with(None, "", now, out)
    }

    fn close_with(
        &mut self,
        code: Option<u16>,
        reason: &str,
        now: Duration,
        out: &mut Vec<u8>,
    ) -> Result<(), SendError> {
        self.check_open()?;
        if self.is_parting() {
            self.part(out);
            return Ok(());
        }
        self.encoder.close(code, reason, out)?;
        self.state = SessionState::Closing {
            code: code.unwrap_or(NO_CODE),
            reason: reason.to_owned(),
            deadline: now.saturating_add(self.timing.close_timeout),
        };
        Ok(())
    }

    fn check_open(&self) -> Result<(), SendError> {
        match self.state {
            SessionState::Open(_) | SessionState::Parting { .. } => Ok(()),
            SessionState::Closing { .. } | SessionState::Over(Ended::ByApplication) => {
                Err(WebSocketMisuse::AfterClose.into())
            }
            SessionState::Over(Ended::ByPeer) => Err(SendError::Disconnected),
        }
    }

    /// The connection is gone. Says how the WebSocket ended, unless that was said before.
    pub fn disconnected(&mut self) -> Option<Closure> {
        let was_open = matches!(self.state, SessionState::Open(_));
        self.end(Ended::ByPeer)
            .or(was_open.then_some(Closure::Lost))
    }

    /// Nothing is read from the peer from now on, so it is not expected to answer: no pings are sent. A close frame of
    /// ours keeps its time-out.
    pub fn pause(&mut self) {
        if let SessionState::Open(keepalive) = &mut self.state {
            keepalive.pause();
        }
    }

    /// The peer is read from again.
    pub fn resume(&mut self, now: Duration) {
        if let SessionState::Open(keepalive) = &mut self.state {
            keepalive.resume(&self.timing, now);
        }
    }

    /// When [`WebSocketSession::handle_timeout`] has to be called.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Duration> {
        match &self.state {
            SessionState::Open(keepalive) => keepalive.timeout(),
            SessionState::Closing { deadline, .. } => Some(*deadline),
            SessionState::Parting { .. } | SessionState::Over(_) => None,
        }
    }

    /// Does what is due: sends a ping, or gives up. Called too early it does nothing. Says how the WebSocket ended, if
    /// it did.
    pub fn handle_timeout(&mut self, now: Duration, out: &mut Vec<u8>) -> Option<Closure> {
        let due = match &mut self.state {
            SessionState::Open(keepalive) => keepalive.handle_timeout(&self.timing, now),
            SessionState::Closing { deadline, .. } if *deadline <= now => {
                return self.end(Ended::ByApplication);
            }
            SessionState::Parting { .. } | SessionState::Closing { .. } | SessionState::Over(_) => {
                Due::Nothing
            }
        };
        match due {
            Due::Nothing => None,
            Due::Ping => {
                // An empty payload is never too long.
                self.encoder.ping(b"", out).ok();
                None
            }
            Due::GiveUp => {
                self.end(Ended::ByPeer);
                self.encoder
                    .close(Some(SILENCE_CODE), SILENCE_REASON, out)
                    .ok();
                Some(Closure::Silence)
            }
        }
    }

    /// Whether the connection is to be closed, after what was appended has been sent.
    #[must_use]
    pub fn is_over(&self) -> bool {
        matches!(self.state, SessionState::Over(_))
    }

    /// Whether neither side has ended it.
    #[must_use]
    pub fn is_open(&self) -> bool {
        matches!(self.state, SessionState::Open(_))
    }

    /// Whether the peer has ended it and our close frame waits for [`WebSocketSession::part`]. Messages can still be
    /// sent.
    #[must_use]
    pub fn is_parting(&self) -> bool {
        matches!(self.state, SessionState::Parting { .. })
    }
}
