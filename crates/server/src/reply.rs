//! The response to one request, whichever gateway gives it: what may be sent when, how much of it, and what becomes of
//! the connection. All transitions are here. It runs no code of the application.
//!
//! ```text
//!                 start           first piece           last piece, finish
//!   Unstarted ───────────► Stated ───────────► Streaming ────────────────► Complete
//!       ▲                    │ │                   │
//!       └──── withdraw ──────┘ │ error page        │ abort
//!                              ▼                   ▼
//!                           Refused               Cut          (Lost: the client has gone)
//! ```

use std::sync::Arc;
use std::sync::atomic::Ordering;

use proto::Version;
use proto::h1::{Content, ResponseContext, ResponseFraming, ResponseHead};

use crate::burst::{Burst, Timing};
use crate::dispatcher::{Dispatcher, Outcome};
use crate::exchange::ExchangeId;
use crate::inlet::Inlet;
use crate::link::Delivery;
use crate::sink::{FilePart, Room, Sink, SinkError};

/// Pieces of a response that an event loop sends at once in a turn: more than most responses have.
const FIRST_PARTS: u32 = 8;
/// A longer piece is sent in parts of this many bytes: what the client does not take of one goes to disk before the
/// next is copied.
const PART: usize = 1024 * 1024;

/// Where a response stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Nothing has been said.
    Unstarted,
    /// The head is known; nothing has been sent, so it may still be replaced.
    Stated,
    /// The head is out, and pieces of the body follow.
    Streaming,
    /// Everything that the client may get has been sent or queued.
    Complete,
    /// The server has answered with an error page instead.
    Refused,
    /// It was broken off, which the client can tell.
    Cut,
    /// The client has gone.
    Lost,
    /// The application has the socket.
    Hijacked,
    /// The connection has become a WebSocket.
    Upgraded,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Unstarted,
    Stated {
        /// The length of the body, where the application has told it beside the head.
        known_length: Option<u64>,
    },
    Streaming(Remaining),
    Complete {
        /// The body has reached its Content-Length: what comes beyond it is counted, for the log.
        full: bool,
    },
    Refused,
    Cut,
    Lost(SinkError),
    Hijacked,
    Upgraded,
}

/// What of the body may still be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Remaining {
    /// The response has none: what the application gives is dropped.
    Nothing,
    /// So many bytes.
    Bytes(u64),
    /// All that comes.
    Unknown,
}

impl From<ResponseFraming> for Remaining {
    fn from(framing: ResponseFraming) -> Remaining {
        match framing {
            ResponseFraming::NoBody => Remaining::Nothing,
            ResponseFraming::Length(length) => Remaining::Bytes(length),
            ResponseFraming::Chunked | ResponseFraming::UntilClose => Remaining::Unknown,
        }
    }
}

/// What the application may do after a piece of the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// It may give the next one.
    More,
    /// No further byte can be sent: the body has its length, or the response has none.
    Enough,
}

/// Why a response could not go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplyError {
    /// No head has been stated.
    Headless,
    /// The client.
    Lost(SinkError),
}

impl From<SinkError> for ReplyError {
    fn from(error: SinkError) -> ReplyError {
        ReplyError::Lost(error)
    }
}

impl std::fmt::Display for ReplyError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ReplyError::Headless => formatter.write_str("the response has no head yet"),
            ReplyError::Lost(error) => error.fmt(formatter),
        }
    }
}

impl std::error::Error for ReplyError {}

/// How the length of a body differed from its Content-Length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mismatch {
    Shorter,
    /// By so many bytes, which were not sent.
    Longer(u64),
}

/// What has been sent of a response.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sent {
    /// The status, which is another than the application's where the server has refused to send it; 0 for none.
    pub status: u16,
    /// Bytes of the body, without what delimits it.
    pub bytes: u64,
    /// The body went out in chunks.
    pub chunked: bool,
}

/// What the request asks of its response.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked {
    pub(crate) version: Version,
    pub(crate) content: Content,
    pub(crate) keep_alive: bool,
}

/// The response to one request.
#[derive(Debug)]
pub struct Reply {
    dispatcher: Arc<Dispatcher>,
    id: ExchangeId,
    sink: Sink,
    /// What an event loop has sent in this turn.
    burst: Burst,
    asked: Asked,
    /// The body of the request, where it is read while it arrives.
    upload: Option<Arc<Inlet>>,
    state: State,
    head: ResponseHead,
    keep_alive: bool,
    status: u16,
    sent: u64,
    mismatch: Option<Mismatch>,
    /// The fields as they went out, where the access log shows any.
    fields: Vec<u8>,
}

impl Reply {
    pub(crate) fn new(
        dispatcher: Arc<Dispatcher>,
        id: ExchangeId,
        sink: Sink,
        asked: Asked,
        upload: Option<Arc<Inlet>>,
    ) -> Reply {
        Reply {
            upload,
            dispatcher,
            id,
            sink,
            burst: Burst::default(),
            keep_alive: asked.keep_alive,
            asked,
            state: State::Unstarted,
            head: ResponseHead::default(),
            status: 0,
            sent: 0,
            mismatch: None,
            fields: Vec::new(),
        }
    }

    /// Where it stands.
    #[must_use]
    pub fn stage(&self) -> Stage {
        match self.state {
            State::Unstarted => Stage::Unstarted,
            State::Stated { .. } => Stage::Stated,
            State::Streaming(_) => Stage::Streaming,
            State::Complete { .. } => Stage::Complete,
            State::Refused => Stage::Refused,
            State::Cut => Stage::Cut,
            State::Lost(_) => Stage::Lost,
            State::Hijacked => Stage::Hijacked,
            State::Upgraded => Stage::Upgraded,
        }
    }

    /// Whether something of it is on its way, so that no other answer can be given.
    #[must_use]
    pub fn is_started(&self) -> bool {
        !matches!(self.state, State::Unstarted | State::Stated { .. })
    }

    /// What has been sent.
    #[must_use]
    pub fn sent(&self) -> Sent {
        Sent {
            status: self.status,
            bytes: self.sent,
            chunked: self.sink.is_chunked(),
        }
    }

    /// The head that was stated last.
    #[must_use]
    pub fn head(&self) -> &ResponseHead {
        &self.head
    }

    /// Takes the head, for its memory or for what it says. One that was not sent has to be stated anew.
    pub fn take_head(&mut self) -> ResponseHead {
        if matches!(self.state, State::Stated { .. }) {
            self.state = State::Unstarted;
        }
        std::mem::take(&mut self.head)
    }

    /// States the head. It goes out with the first piece of the body; until then it may be replaced, and afterwards
    /// this does nothing.
    pub fn start(&mut self, head: ResponseHead) {
        if !self.is_started() {
            self.head = head;
            self.state = State::Stated { known_length: None };
        }
    }

    /// Tells the length of a body that comes in several pieces, before the first of them. It becomes the
    /// Content-Length, if the head states none.
    ///
    /// # Errors
    /// [`ReplyError::Headless`]
    pub fn expect(&mut self, length: u64) -> Result<(), ReplyError> {
        match &mut self.state {
            State::Unstarted => Err(ReplyError::Headless),
            State::Stated { known_length } => {
                *known_length = Some(length);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Sends the whole body, or the rest of it, and ends the response. What the client does not take at once stays with
    /// the reactor: this never waits.
    ///
    /// # Errors
    /// No head was stated, or the client is gone.
    pub fn respond(&mut self, body: &[u8]) -> Result<(), ReplyError> {
        self.expect(body.len() as u64)?;
        self.send(body, Timing::AtOnce)?;
        self.finish()
    }

    /// As [`Reply::respond`], with a range of a file. A stated Content-Length limits it.
    ///
    /// # Errors
    /// As [`Reply::respond`].
    pub fn respond_file(&mut self, part: FilePart) -> Result<(), ReplyError> {
        self.expect(part.length)?;
        self.send_file(part)?;
        self.finish()
    }

    /// Sends one piece of the body, unless it is empty and the head is out. It is on the wire, or with the reactor,
    /// when this returns. Bytes beyond the Content-Length are cut off. What a slow client does not take waits in
    /// memory, then on disk; beyond `limit_response_spool` the caller waits, if no interruption comes that it has to
    /// look at.
    ///
    /// # Errors
    /// As [`Reply::respond`]; or the client took nothing for `send_timeout`.
    pub fn write(&mut self, piece: &[u8]) -> Result<Progress, ReplyError> {
        let mut rest = piece;
        loop {
            let (part, behind) = rest.split_at(rest.len().min(PART));
            let progress = self.send(part, Timing::AtOnce)?;
            self.make_room()?;
            if behind.is_empty() || progress == Progress::Enough {
                return Ok(progress);
            }
            rest = behind;
            if !self.sink.link().has_room() {
                // An interruption ended the wait, and the caller has to look at it before it waits again.
                return self.send(rest, Timing::AtOnce);
            }
        }
    }

    /// Waits where too much waits for the client, if it may not go to disk.
    fn make_room(&mut self) -> Result<(), SinkError> {
        let link = self.sink.link();
        if !link.has_room() {
            link.spill(self.dispatcher.options.response_spool());
            if !link.has_room() {
                let room = self.dispatcher.wait_for_room(link);
                self.note(room.map(|()| Delivery::Done))?;
            }
        }
        Ok(())
    }

    /// As [`Reply::write`], but never waits: says whether there is room for more.
    ///
    /// # Errors
    /// As [`Reply::write`].
    pub fn push(&mut self, piece: &[u8]) -> Result<Room, ReplyError> {
        let timing = self.timing();
        self.send(piece, timing)?;
        self.room()
    }

    /// As [`Reply::push`], with a range of a file, which has to be there in full.
    ///
    /// # Errors
    /// As [`Reply::write`].
    pub fn push_file(&mut self, part: FilePart) -> Result<Room, ReplyError> {
        self.send_file(part)?;
        self.room()
    }

    /// When the next part of those that an event loop sends is to leave.
    fn timing(&mut self) -> Timing {
        let turn = self.dispatcher.turns.load(Ordering::Relaxed);
        self.burst.next(turn, FIRST_PARTS)
    }

    /// Leaves a part to the end of the turn where the other answers of the turn leave then.
    fn with_others(&self, timing: Timing, length: usize) -> Timing {
        match self.dispatcher.held.admits(length) {
            true => Timing::EndOfTurn,
            false => timing,
        }
    }

    fn room(&mut self) -> Result<Room, ReplyError> {
        let room = self.sink.link().ask_for_room(self.burst.limit());
        if let Err(error) = room {
            self.state = State::Lost(error);
        }
        Ok(room?)
    }

    /// Ends the response. A body that is shorter than its Content-Length closes the connection, because nothing else
    /// tells the client that it is not whole.
    ///
    /// # Errors
    /// As [`Reply::respond`].
    pub fn finish(&mut self) -> Result<(), ReplyError> {
        self.finish_with(&[])
    }

    /// As [`Reply::finish`], with trailer fields as `h1::encode_trailer` writes them; left out where they have no
    /// place.
    ///
    /// # Errors
    /// As [`Reply::respond`].
    pub fn finish_with(&mut self, trailers: &[u8]) -> Result<(), ReplyError> {
        match self.state {
            State::Unstarted => return Err(ReplyError::Headless),
            State::Stated { .. } => return self.respond(&[]),
            State::Streaming(Remaining::Unknown) => {
                let timing = self.with_others(Timing::AtOnce, trailers.len());
                let ended = self.sink.finish(trailers, timing);
                self.note(ended)?;
            }
            State::Streaming(Remaining::Bytes(_)) => {
                self.mismatch = Some(Mismatch::Shorter);
                self.keep_alive = false;
            }
            State::Streaming(Remaining::Nothing) => {}
            _ => return Ok(()),
        }
        self.state = State::Complete { full: false };
        Ok(())
    }

    /// Sends an interim response such as 103 Early Hints (RFC 8297). Left out for HTTP/1.0, which does not know them,
    /// and once the response has begun. Waits as [`Reply::write`] does.
    ///
    /// # Errors
    /// The client is gone.
    pub fn interim(&mut self, head: &ResponseHead) -> Result<(), ReplyError> {
        self.send_interim(head, Timing::AtOnce)?;
        Ok(self.make_room()?)
    }

    /// As [`Reply::interim`], but never waits: says whether there is room for more.
    ///
    /// # Errors
    /// As [`Reply::interim`].
    pub fn push_interim(&mut self, head: &ResponseHead) -> Result<Room, ReplyError> {
        let timing = self.timing();
        self.send_interim(head, timing)?;
        self.room()
    }

    fn send_interim(&mut self, head: &ResponseHead, timing: Timing) -> Result<(), SinkError> {
        if self.is_started() || self.asked.version == Version::Http10 {
            return Ok(());
        }
        let sent = self.sink.interim(head, timing);
        self.note(sent)
    }

    /// Gives the answer up: an error page where nothing has been sent, else what has begun is broken off. A response
    /// that is complete stays so.
    pub fn refuse(&mut self, status: u16, rule: &str) {
        if self.is_started() {
            return self.abort();
        }
        let (page, length) = self.page(status, rule);
        self.answer_with(status, page, length);
    }

    /// Sends a whole answer of the server's own, whose last `length` bytes are the body, and ends the connection with
    /// it.
    pub(crate) fn answer_with(&mut self, status: u16, mut page: Vec<u8>, length: usize) {
        let length = self.fit(&mut page, length);
        self.status = status;
        self.sent = length;
        self.keep_alive = false;
        self.state = State::Refused;
        // A client that is gone needs no error page.
        let sent = self.sink.send(&[&page]);
        let _ = self.note(sent);
    }

    /// Cuts the body, which is the last `length` bytes, off an answer to HEAD. Returns what is left of the length.
    fn fit(&self, page: &mut Vec<u8>, length: usize) -> u64 {
        if self.asked.content != Content::Left {
            return length as u64;
        }
        page.truncate(page.len() - length);
        0
    }

    /// Answers with an error page in place of the thread that has the exchange, if nothing was sent since
    /// [`Link::taken`] said `mark`; says whether that was so. Either way the thread finds the client gone.
    ///
    /// [`Link::taken`]: crate::link::Link::taken
    pub(crate) fn answer_in_place(&mut self, mark: u64, status: u16, rule: &str) -> bool {
        let (mut page, length) = self.page(status, rule);
        let length = self.fit(&mut page, length);
        let answered = self.sink.answer_in_place(mark, &page);
        self.state = State::Refused;
        self.keep_alive = false;
        if answered {
            self.status = status;
            self.sent = length;
        }
        answered
    }

    /// An error page, and the length of its body.
    fn page(&self, status: u16, rule: &str) -> (Vec<u8>, usize) {
        let mut page = Vec::with_capacity(512);
        let date = self.dispatcher.date.now();
        let added = self.dispatcher.options.additions(&date);
        let length = self.sink.page(status, rule, added, &mut page);
        (page, length)
    }

    /// Breaks the response off, so that the client can tell.
    pub fn abort(&mut self) {
        if self.state == State::Streaming(Remaining::Unknown) && !self.sink.is_chunked() {
            self.sink.link().cut(SinkError::Disconnected);
        }
        if matches!(
            self.state,
            State::Unstarted | State::Stated { .. } | State::Streaming(_)
        ) {
            self.state = State::Cut;
        }
    }

    /// Gives up on a client that has left: nothing more is sent to it. `status` is what the access log says where no
    /// response has begun.
    pub(crate) fn forsake(&mut self, status: u16) {
        if !self.is_started() {
            self.status = status;
        }
        self.abort();
    }

    /// The application has taken the socket.
    pub(crate) fn note_hijacked(&mut self) {
        self.state = State::Hijacked;
    }

    /// Sends the head that turns the connection into a WebSocket; `fields` is what the application has stated of it.
    pub(crate) fn upgrade(&mut self, head: &[u8], fields: &ResponseHead) -> Result<(), SinkError> {
        self.status = 101;
        if self.dispatcher.access_log.wants_response_fields() {
            self.fields = fields.encoded_fields().to_vec();
        }
        let sent = self.sink.send(&[head]);
        self.note(sent)?;
        self.state = State::Upgraded;
        Ok(())
    }

    /// Sends what is no part of the response, such as `100 Continue`.
    pub(crate) fn send_aside(&mut self, bytes: &[u8]) -> Result<(), SinkError> {
        let sent = self.sink.send(&[bytes]);
        self.note(sent)
    }

    /// Counts bytes that went out by other means than this.
    pub(crate) fn count(&mut self, bytes: u64) {
        self.sent += bytes;
    }

    pub(crate) fn dispatcher(&self) -> &Arc<Dispatcher> {
        &self.dispatcher
    }

    pub(crate) fn id(&self) -> ExchangeId {
        self.id
    }

    pub(crate) fn sink(&self) -> &Sink {
        &self.sink
    }

    /// The fields as they went out, where the access log shows any.
    pub(crate) fn fields(&self) -> &[u8] {
        &self.fields
    }

    /// How the body differed from what its head said.
    pub(crate) fn mismatch(&self) -> Option<Mismatch> {
        self.mismatch
    }

    /// What becomes of the connection.
    pub(crate) fn outcome(&self) -> Outcome {
        match self.state {
            State::Hijacked => Outcome::Hijacked,
            State::Upgraded => Outcome::Upgraded,
            State::Complete { .. } if self.keep_alive => Outcome::KeepAlive,
            _ => Outcome::Close,
        }
    }

    /// Makes the head and decides with it what may follow.
    fn begin(&mut self, known_length: Option<u64>) -> (Vec<u8>, Remaining) {
        let dispatcher = &self.dispatcher;
        let context = ResponseContext {
            version: self.asked.version,
            content: self.asked.content,
            keep_alive: self.keep_alive
                && self
                    .upload
                    .as_ref()
                    .is_none_or(|upload| upload.allows_next())
                && dispatcher.stopping().is_none()
                && dispatcher.options.session.keep_alive > 0,
        };
        let date = dispatcher.date.now();
        let added = dispatcher.options.additions(&date);
        let mut bytes = Vec::new();
        let head = &self.head;
        let (framing, keep_alive) = self
            .sink
            .head(head, &context, known_length, added, &mut bytes);
        // A client takes 1xx for a promise of the real answer (RFC 9110, section 15.2), and would find it in the next
        // one.
        self.keep_alive = keep_alive && !matches!(head.status(), 100..=199);
        self.status = head.status();
        if dispatcher.access_log.wants_response_fields() {
            self.fields = head.encoded_fields().to_vec();
        }
        (bytes, framing.into())
    }

    /// What has to go out before the next piece, and what may follow; `None` where nothing may.
    fn next(&mut self) -> Result<Option<(Vec<u8>, Remaining)>, ReplyError> {
        match self.state {
            State::Unstarted => Err(ReplyError::Headless),
            State::Stated { known_length } => Ok(Some(self.begin(known_length))),
            State::Streaming(remaining) => Ok(Some((Vec::new(), remaining))),
            State::Lost(error) => Err(ReplyError::Lost(error)),
            State::Complete { .. }
            | State::Refused
            | State::Cut
            | State::Hijacked
            | State::Upgraded => Ok(None),
        }
    }

    fn send(&mut self, piece: &[u8], timing: Timing) -> Result<Progress, ReplyError> {
        let length = piece.len() as u64;
        let allowed = match self.next()? {
            Some((head, remaining)) => {
                let allowed = self.admit(remaining, length);
                if !head.is_empty() || allowed > 0 {
                    let timing = self.with_others(timing, head.len() + allowed as usize);
                    let sent = self.sink.data(head, &piece[..allowed as usize], timing);
                    self.note(sent)?;
                }
                allowed
            }
            None => 0,
        };
        Ok(self.exceed(length - allowed))
    }

    /// A file is cut to the Content-Length without a word: what asks for a part of one may state the length of the
    /// part.
    fn send_file(&mut self, part: FilePart) -> Result<(), ReplyError> {
        let Some((head, remaining)) = self.next()? else {
            return Ok(());
        };
        let length = self.admit(remaining, part.length);
        let sent = match length {
            0 => self.sink.data(head, &[], Timing::AtOnce),
            length => self.sink.file(head, FilePart { length, ..part }),
        };
        Ok(self.note(sent)?)
    }

    /// Counts a piece before it is sent: says how much of it may go out.
    fn admit(&mut self, remaining: Remaining, length: u64) -> u64 {
        let (allowed, state) = match remaining {
            Remaining::Nothing => (0, State::Complete { full: false }),
            Remaining::Bytes(left) if length >= left => (left, State::Complete { full: true }),
            Remaining::Bytes(left) => (length, State::Streaming(Remaining::Bytes(left - length))),
            Remaining::Unknown => (length, State::Streaming(Remaining::Unknown)),
        };
        self.state = state;
        self.sent += allowed;
        allowed
    }

    /// Notes bytes that could not be sent.
    fn exceed(&mut self, excess: u64) -> Progress {
        match (self.state, self.mismatch) {
            _ if excess == 0 => return Progress::More,
            (State::Complete { full: true }, Some(Mismatch::Longer(before))) => {
                self.mismatch = Some(Mismatch::Longer(before + excess));
            }
            (State::Complete { full: true }, _) => self.mismatch = Some(Mismatch::Longer(excess)),
            _ => {}
        }
        Progress::Enough
    }

    /// What became of an attempt to send: the reactor sends on what waits, and a client that is gone ends the response.
    fn note(&mut self, sent: Result<Delivery, SinkError>) -> Result<(), SinkError> {
        match sent {
            Ok(Delivery::Done | Delivery::Waiting) => Ok(()),
            Ok(Delivery::Untold) => {
                self.dispatcher.note_waiting(self.sink.link(), self.id);
                Ok(())
            }
            Err(error) => {
                self.state = State::Lost(error);
                Err(error)
            }
        }
    }
}

#[cfg(test)]
mod tests;
