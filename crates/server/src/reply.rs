//! The response to one request, whichever gateway gives it: what may be sent when, how much of it, and what becomes of
//! the connection. It runs no code of the application. Its states are in `state.rs`, and `sending.rs` moves on from one
//! piece of the body to the next; `compressing.rs` has what compression makes of it, `named_file.rs`
//! the file that may go out instead.
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

use proto::h1::{Content, ResponseHead};
use proto::{Request, Version};

use crate::backlog::HIGH_WATER;
use crate::burst::{Burst, Timing};
use crate::dispatcher::{Dispatcher, Outcome};
use crate::exchange::ExchangeId;
use crate::http2::Last;
use crate::inlet::Inlet;
use crate::sink::{
    EncodedHead, FilePart, Page, Room, Sink, SinkError, TrailerPosition, Unfinished,
};

mod compressing;
mod named_file;
mod sending;
mod state;

use compressing::BodyCoding;
pub(crate) use state::{Asked, Mismatch};
pub use state::{Offered, Progress, ReplyError, Sent, Stage};
use state::{Remaining, State};

/// A longer piece is sent in parts of this many bytes: what the client does not take of one goes to disk before the
/// next is copied.
const PART: usize = 1024 * 1024;
/// Trailer fields that are kept until all of them are there: more than clients take in one block.
const TRAILERS: usize = 64 * 1024;

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
    /// Trailer fields that wait for the others.
    trailers: Vec<u8>,
    /// The fields as they went out, where the access log shows any.
    fields: Vec<u8>,
    /// The id of the request, where the client is to be told.
    request_id: Option<Vec<u8>>,
    coding: BodyCoding,
    /// The request, where the application may name files.
    asker: Option<Request>,
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
            trailers: Vec::new(),
            fields: Vec::new(),
            request_id: None,
            coding: BodyCoding::Plain,
            asker: None,
        }
    }

    /// The same, which tells the client the id of its request.
    pub(crate) fn with_request_id(self, request_id: Option<Vec<u8>>) -> Reply {
        Reply { request_id, ..self }
    }

    /// Where it stands.
    #[must_use]
    pub fn stage(&self) -> Stage {
        match self.state {
            State::Unstarted => Stage::Unstarted,
            State::Stated { .. } => Stage::Stated,
            State::Streaming(_) | State::Trailing => Stage::Streaming,
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
            if !self.sink.has_room() {
                // An interruption ended the wait, and the caller has to look at it before it waits again.
                return self.send(rest, Timing::AtOnce);
            }
        }
    }

    /// As [`Reply::write`], for a caller that cannot wait here: takes a part of the piece, and says whether the caller
    /// has to wait for an [`crate::Event::Room`] before it gives the rest, or the next piece.
    ///
    /// # Errors
    /// As [`Reply::write`].
    pub fn offer(&mut self, piece: &[u8]) -> Result<Offered, ReplyError> {
        let taken = piece.len().min(PART);
        let progress = self.send(&piece[..taken], Timing::AtOnce)?;
        let room = match self.has_room_on_disk() {
            true => Room::Enough,
            false => self.ask_for_room(HIGH_WATER)?,
        };
        Ok(Offered {
            taken,
            progress,
            room,
        })
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

    /// Trailer fields, as `h1::encode_trailer` writes them, with more to follow: the body ends with the first. They go
    /// out as pieces of a body do, and are left out where they have no place. Never waits: says whether there is room
    /// for more.
    ///
    /// # Errors
    /// As [`Reply::write`].
    pub fn push_trailers(&mut self, fields: &[u8]) -> Result<Room, ReplyError> {
        let position = match self.state {
            State::Unstarted => return Err(ReplyError::Headless),
            State::Stated { .. } => {
                self.send(&[], Timing::AtOnce)?;
                return self.push_trailers(fields);
            }
            State::Lost(error) => return Err(ReplyError::Lost(error)),
            State::Streaming(Remaining::Unknown) if self.sink.is_chunked() => {
                TrailerPosition::First
            }
            State::Trailing => TrailerPosition::Between,
            State::Streaming(_) | State::Complete { .. } => return self.keep_trailers(fields),
            _ => return self.room(),
        };
        let timing = self.timing();
        let sent = self.sink.trailers(fields, position, timing);
        self.note(sent)?;
        self.state = State::Trailing;
        self.room()
    }

    /// Trailer fields that leave in one block are kept until the last of them is there.
    fn keep_trailers(&mut self, fields: &[u8]) -> Result<Room, ReplyError> {
        if self.sink.has_one_block_of_trailers() {
            if self.trailers.len() + fields.len() > TRAILERS {
                return Err(ReplyError::TrailersTooLong);
            }
            self.trailers.extend_from_slice(fields);
        }
        self.room()
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
        let mut kept = std::mem::take(&mut self.trailers);
        let trailers = match kept.is_empty() {
            true => trailers,
            false => {
                kept.extend_from_slice(trailers);
                &kept
            }
        };
        match self.state {
            State::Unstarted => return Err(ReplyError::Headless),
            State::Stated { .. } => return self.respond(&[]),
            State::Streaming(Remaining::Unknown) if self.is_coded() => {
                // Trailer fields that were announced would have kept it from being coded.
                let end = self.encode_end()?;
                self.sent += end.len() as u64;
                let timing = self.with_others(Timing::AtOnce, end.len());
                let ended = self.sink.data(EncodedHead::None, &end, Last::Yes, timing);
                return Ok(self.note(ended)?);
            }
            State::Streaming(Remaining::Unknown) => {
                let timing = self.with_others(Timing::AtOnce, trailers.len());
                let ended = self.sink.finish(trailers, timing);
                self.note(ended)?;
            }
            State::Streaming(Remaining::Bytes(_)) => {
                self.mismatch = Some(Mismatch::Shorter);
                self.keep_alive = false;
                self.sink.break_off(match self.is_coded() {
                    true => Unfinished::Endless,
                    false => Unfinished::Known,
                });
            }
            State::Streaming(Remaining::Nothing) => {}
            State::Complete { .. } if self.sink.awaits_end() => {
                let ended = self.sink.finish(trailers, Timing::AtOnce);
                return Ok(self.note(ended)?);
            }
            State::Trailing => {
                let timing = self.with_others(Timing::AtOnce, trailers.len());
                let ended = self.sink.trailers(trailers, TrailerPosition::Last, timing);
                self.note(ended)?;
            }
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

    /// Whether the peer reads interim responses.
    pub(crate) fn takes_interim(&self) -> bool {
        self.asked.version != Version::Http10
    }

    fn send_interim(&mut self, head: &ResponseHead, timing: Timing) -> Result<(), SinkError> {
        if self.is_started() || !self.takes_interim() {
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
        let page = self.page(status, rule);
        self.answer_with(status, page);
    }

    /// Sends a whole answer of the server's own, and ends a connection of HTTP/1 with it.
    pub(crate) fn answer_with(&mut self, status: u16, page: Page) {
        let page = self.fit(page);
        self.status = status;
        self.sent = page.length();
        self.keep_alive = false;
        self.state = State::Refused;
        // A client that is gone needs no error page.
        let sent = self.sink.answer(page);
        let _ = self.note(sent);
    }

    /// Leaves the body off an answer to HEAD.
    fn fit(&self, page: Page) -> Page {
        match self.asked.content {
            Content::Left => page.without_body(),
            Content::Sent | Content::Tunnel => page,
        }
    }

    /// Answers with an error page in place of the thread that has the exchange, if nothing was sent since
    /// [`Sink::taken`] said `mark`; says whether that was so. Either way the thread finds the client gone.
    pub(crate) fn answer_in_place(&mut self, mark: u64, status: u16, rule: &str) -> bool {
        let page = self.fit(self.page(status, rule));
        let length = page.length();
        let answered = self.sink.answer_in_place(mark, page);
        self.state = State::Refused;
        self.keep_alive = false;
        if answered {
            self.status = status;
            self.sent = length;
        }
        answered
    }

    /// An error page.
    fn page(&self, status: u16, rule: &str) -> Page {
        let date = self.dispatcher.date.now();
        let options = &self.dispatcher.options;
        let added = options.additions(&date);
        match options.error_pages.find(status) {
            Some(page) => self.sink.custom_page(page, added),
            None => self.sink.page(status, rule, added),
        }
    }

    /// Breaks the response off, so that the client can tell.
    pub fn abort(&mut self) {
        let unfinished = match self.state {
            State::Streaming(Remaining::Unknown) => Unfinished::Endless,
            State::Streaming(_) if self.is_coded() => Unfinished::Endless,
            State::Unstarted | State::Stated { .. } | State::Streaming(_) | State::Trailing => {
                Unfinished::Known
            }
            State::Complete { .. } if self.sink.awaits_end() => {
                // A client that is gone needs no end.
                let _ = self.finish();
                return;
            }
            _ => return,
        };
        self.sink.break_off(unfinished);
        self.state = State::Cut;
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

    /// Tells a client that waits for it to send the body of its request.
    pub(crate) fn permit_body(&mut self) -> Result<(), SinkError> {
        let sent = self.sink.permit_body();
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
}

#[cfg(test)]
mod tests;
