//! What the reactor and the application share of one WebSocket: the session, and the messages that the application has
//! not taken yet. Each side does under one short lock what it has to do; neither waits for the other.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use proto::ws::{Closure, Incoming, SendError, WebSocketSession};

use crate::burst::{Burst, Timing};
use crate::link::{Delivery, Link};
use crate::sink::SinkError;

/// Messages that are read ahead of the application, in bytes; TCP's own window holds the client beyond it. One message
/// is always taken, however long, so it is this and the longest message that a connection can hold.
const WINDOW: usize = 64 * 1024;

/// What a message counts beside its bytes: a stream of empty ones takes memory too.
const MESSAGE_COST: usize = 64;

/// How long our close frame may wait for the application to answer the messages that came before the client's: one that
/// has taken a message and never asks for the next would let the client wait for ever.
const LAST_WORD: Duration = Duration::from_secs(1);

/// Messages that leave at once in a turn.
const FIRST_MESSAGES: u32 = 1;

/// A longer frame leaves at once: it fills packets of its own.
const JOINED: usize = 16 * 1024;

/// The code that stands for a close frame without one (RFC 6455, section 7.4.1).
const NO_CODE: u16 = 1005;

/// One WebSocket.
#[derive(Debug)]
pub(crate) struct SharedWebSocket {
    state: Mutex<SharedState>,
    link: Arc<Link>,
    /// Where the session's clock begins.
    born: Instant,
}

#[derive(Debug)]
struct SharedState {
    session: WebSocketSession,
    /// What the application has sent in this turn of the reactor.
    burst: Burst,
    /// What the application has not taken.
    incoming: VecDeque<Incoming>,
    /// What that weighs.
    weight: usize,
    /// The application waits for a message.
    awaited: bool,
    /// The application has taken a message and not asked for the next, so it may be about to answer.
    answering: bool,
    /// Nothing is read until there is room.
    paused: bool,
    /// When the close frame that is owed to the client is sent at the latest.
    part_by: Option<Duration>,
    /// How it ended, as the application is told behind the messages.
    closure: Option<Closure>,
}

/// What became of bytes that were read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Taken {
    /// Less than all: the application has to catch up before the rest can be taken.
    pub(crate) consumed: usize,
    /// A task waits for what they brought.
    pub(crate) awaited: bool,
    /// They brought the end.
    pub(crate) ended: bool,
}

/// Why a message cannot be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SendFailure {
    /// The client is gone, or has closed the WebSocket.
    Lost(SinkError),
    /// The application's fault.
    Misuse(proto::ws::WebSocketMisuse),
}

impl From<SinkError> for SendFailure {
    fn from(error: SinkError) -> SendFailure {
        SendFailure::Lost(error)
    }
}

impl From<SendError> for SendFailure {
    fn from(error: SendError) -> SendFailure {
        match error {
            SendError::Disconnected => SendFailure::Lost(SinkError::Disconnected),
            SendError::Misuse(misuse) => SendFailure::Misuse(misuse),
        }
    }
}

impl SharedState {
    fn has_room(&self) -> bool {
        self.weight < WINDOW
    }

    /// The first end counts.
    fn end(&mut self, closure: Closure) -> bool {
        let first = self.closure.is_none();
        self.closure.get_or_insert(closure);
        first
    }

    fn queue(&mut self, message: Incoming) {
        self.weight += weight(&message);
        self.incoming.push_back(message);
    }
}

fn weight(message: &Incoming) -> usize {
    let length = match message {
        Incoming::Text(text) => text.len(),
        Incoming::Binary(data) => data.len(),
        Incoming::Closed(_) => 0,
    };
    length + MESSAGE_COST
}

impl SharedWebSocket {
    pub(crate) fn new(
        link: Arc<Link>,
        session: impl FnOnce(Duration) -> WebSocketSession,
        born: Instant,
    ) -> SharedWebSocket {
        SharedWebSocket {
            state: Mutex::new(SharedState {
                session: session(born.elapsed()),
                burst: Burst::default(),
                incoming: VecDeque::new(),
                weight: 0,
                awaited: false,
                answering: false,
                paused: false,
                part_by: None,
                closure: None,
            }),
            link,
            born,
        }
    }

    fn now(&self) -> Duration {
        self.born.elapsed()
    }

    /// Frames go out in the order in which the session made them, so this is done while the session is locked.
    fn send(&self, frames: &[u8]) -> Result<Delivery, SinkError> {
        match frames {
            [] => Ok(Delivery::Done),
            frames => self.link.send(&[frames]),
        }
    }
}

/// The reactor's side. What the session has to send itself is sent, or queued, before these return; that a client is
/// gone is seen by its link.
impl SharedWebSocket {
    /// Whether the client may be read from. If not, the application, or the client, has to take something first.
    pub(crate) fn may_read(&self) -> bool {
        let mut state = self.state.lock();
        // Once the session is closing, what comes is passed over, up to the client's close frame.
        let room = !state.session.is_open() || (state.has_room() && self.link.has_room());
        match (room, state.paused) {
            (true, true) => state.session.resume(self.now()),
            (false, false) => state.session.pause(),
            _ => {}
        }
        state.paused = !room;
        room
    }

    /// Takes bytes that were read.
    pub(crate) fn take(&self, input: &[u8]) -> Taken {
        let mut state = self.state.lock();
        let mut frames = Vec::new();
        let (mut consumed, mut news, mut ended) = (0, false, false);
        while consumed < input.len() && (state.has_room() || !state.session.is_open()) {
            let received = state.session.hear(&input[consumed..], &mut frames);
            consumed += received.consumed;
            match received.incoming {
                Some(Incoming::Closed(closure)) => ended |= state.end(closure),
                Some(message) => {
                    state.queue(message);
                    news = true;
                }
                None => {}
            }
        }
        let awaited = news && std::mem::take(&mut state.awaited);
        if ended && state.session.is_parting() {
            match state.answering || !state.incoming.is_empty() {
                true => state.part_by = Some(self.now() + LAST_WORD),
                false => state.session.part(&mut frames),
            }
        }
        let _ = self.send(&frames);
        Taken {
            consumed,
            awaited,
            ended,
        }
    }

    /// Does what is due by the session's clock; says whether that was its end.
    pub(crate) fn handle_timeout(&self) -> bool {
        let mut state = self.state.lock();
        let mut frames = Vec::new();
        let now = self.now();
        if state.part_by.is_some_and(|part_by| part_by <= now) {
            state.session.part(&mut frames);
        }
        let closure = state.session.handle_timeout(now, &mut frames);
        let _ = self.send(&frames);
        closure.is_some_and(|closure| state.end(closure))
    }

    /// How long until [`SharedWebSocket::handle_timeout`] has to be called, if ever.
    pub(crate) fn timeout(&self) -> Option<Duration> {
        let state = self.state.lock();
        let part_by = state.part_by.filter(|_| state.session.is_parting());
        let at = part_by.or_else(|| state.session.poll_timeout())?;
        Some(at.saturating_sub(self.now()))
    }

    /// Whether the client has ended it and the application may still answer what came before.
    pub(crate) fn is_parting(&self) -> bool {
        self.state.lock().session.is_parting()
    }

    /// Whether nothing more is to be sent or received.
    pub(crate) fn is_over(&self) -> bool {
        self.state.lock().session.is_over()
    }

    /// The connection is gone; says whether that is news to the application.
    pub(crate) fn lose(&self) -> bool {
        let mut state = self.state.lock();
        let closure = state.session.disconnected();
        closure.is_some_and(|closure| state.end(closure))
    }

    /// The server closes the WebSocket; says whether that is news to the application, which need not wait for the
    /// client's answer: it can neither send nor receive any more.
    pub(crate) fn close_by_server(&self, code: u16, reason: &'static str) -> bool {
        let mut state = self.state.lock();
        let mut frames = Vec::new();
        let closed = state
            .session
            .close(code, reason, self.now(), &mut frames)
            .is_ok();
        let _ = self.send(&frames);
        let reason = reason.to_owned();
        closed && state.end(Closure::ByApplication { code, reason })
    }
}

/// The application's side.
impl SharedWebSocket {
    /// Takes the next message, or the end; `None` where there is neither yet. The second value says that the reactor
    /// has to be told: it can read on, or come to the end.
    pub(crate) fn receive(&self) -> (Option<Incoming>, bool) {
        let mut state = self.state.lock();
        state.answering = !state.incoming.is_empty();
        if let Some(message) = state.incoming.pop_front() {
            state.weight = state.weight.saturating_sub(weight(&message));
            if state.incoming.is_empty() {
                state.incoming = VecDeque::new(); // An idle connection holds no buffer.
            }
            let resume = state.paused && state.weight <= WINDOW / 2;
            if resume {
                state.session.resume(self.now());
                state.paused = false;
            }
            return (Some(message), resume);
        }
        let parting = state.session.is_parting();
        if parting {
            let mut frames = Vec::new();
            state.session.part(&mut frames);
            let _ = self.send(&frames);
        }
        let closure = state.closure.clone();
        state.awaited = closure.is_none();
        (closure.map(Incoming::Closed), parting)
    }

    /// Has the session make a frame of a message, and sends it: the first in a turn of the reactor at once, what
    /// follows it together, in the next turn. A broadcast of many messages to many clients then needs two system calls
    /// for each client and turn, and a single answer is not delayed. Says also how much memory may be held before the
    /// task waits.
    pub(crate) fn say(
        &self,
        turn: u64,
        make: impl FnOnce(&mut WebSocketSession, &mut Vec<u8>) -> Result<(), SendError>,
    ) -> Result<(Delivery, usize), SendFailure> {
        let mut state = self.state.lock();
        self.check_open(&state)?;
        let mut frames = Vec::new();
        make(&mut state.session, &mut frames)?;
        let timing = match state.burst.next(turn, FIRST_MESSAGES) {
            Timing::EndOfTurn if frames.len() <= JOINED => Timing::EndOfTurn,
            _ => Timing::AtOnce,
        };
        let delivery = self.link.deliver(&[&frames], timing)?;
        Ok((delivery, state.burst.limit()))
    }

    fn check_open(&self, state: &SharedState) -> Result<(), SinkError> {
        if state.closure.is_none() || state.session.is_parting() {
            return Ok(());
        }
        Err(self.link.failure().unwrap_or(SinkError::Disconnected))
    }

    /// Closes it. Nothing that was not taken is kept.
    pub(crate) fn close(&self, code: u16, reason: &str) -> Result<(), SendFailure> {
        self.close_with(Some(code), reason)
    }

    /// As [`SharedWebSocket::close`], without a code with a frame that says nothing.
    pub(crate) fn close_with(&self, code: Option<u16>, reason: &str) -> Result<(), SendFailure> {
        let mut state = self.state.lock();
        self.check_open(&state)?;
        let mut frames = Vec::new();
        let now = self.now();
        match code {
            Some(code) => state.session.close(code, reason, now, &mut frames)?,
            None => state.session.close_without_code(now, &mut frames)?,
        }
        self.send(&frames)?;
        let code = code.unwrap_or(NO_CODE);
        let reason = reason.to_owned();
        state.end(Closure::ByApplication { code, reason });
        state.incoming = VecDeque::new();
        state.weight = 0;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
