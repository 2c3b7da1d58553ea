//! The response that an application is giving to one request, as ASGI sees it: which message may come after which. What
//! goes out, and how, is [`server::Reply`]'s business. Nothing here runs Python code, and nothing waits for a client.

use proto::h1::ResponseHead;
use proto::ws;
use server::{Call, Exchange, FilePart, ReplyError, Room, Sent, SinkError};

use crate::gateway::HookResponse;
use crate::gateway::open_file::Content;

/// How far a response has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReplyStage {
    /// Nothing has been said.
    Unstarted,
    /// `http.response.start` has come; nothing has been sent.
    Headed,
    /// The head is out and body bytes follow.
    Streaming,
    /// The body is whole, and the trailer fields that were announced follow.
    Trailing,
    /// Everything has been given to the server.
    Complete,
    /// The client has gone, or the answer was given up.
    Ended,
}

/// Why a message could not be obeyed.
#[derive(Debug)]
pub(super) enum Stuck {
    /// It must not come now; the sentence says why.
    Misplaced(&'static str),
    /// The client.
    Lost(SinkError),
    /// What was asked of a WebSocket.
    Misuse(ws::WebSocketMisuse),
}

impl From<SinkError> for Stuck {
    fn from(error: SinkError) -> Stuck {
        Stuck::Lost(error)
    }
}

impl From<ReplyError> for Stuck {
    fn from(error: ReplyError) -> Stuck {
        match error {
            ReplyError::Headless => UNSTARTED,
            ReplyError::TrailersTooLong => {
                Stuck::Misplaced("the trailer fields are longer than 64 KiB")
            }
            ReplyError::Lost(error) => Stuck::Lost(error),
        }
    }
}

/// The response to one request.
#[derive(Debug)]
pub(super) struct AsgiReply {
    /// `None` once its exchange has been given back to the server.
    call: Option<Call>,
    stage: ReplyStage,
    /// The head, and what had been sent, when the exchange was given back.
    head: ResponseHead,
    sent: Sent,
}

const UNSTARTED: Stuck = Stuck::Misplaced("the response has not been started");
const AFTER_THE_END: Stuck = Stuck::Misplaced("the response was already complete");
const LOST: Stuck = Stuck::Lost(SinkError::Disconnected);

impl AsgiReply {
    pub(super) fn new(call: Call) -> AsgiReply {
        AsgiReply {
            call: Some(call),
            stage: ReplyStage::Unstarted,
            head: ResponseHead::default(),
            sent: Sent::default(),
        }
    }

    pub(super) fn exchange(&mut self) -> Option<&mut Exchange> {
        self.call.as_deref_mut()
    }

    pub(super) fn stage(&self) -> ReplyStage {
        self.stage
    }

    /// Takes the head; it goes out with the first piece of the body.
    pub(super) fn start(&mut self, head: ResponseHead) -> Result<(), Stuck> {
        match self.stage {
            ReplyStage::Unstarted => {
                self.stage = ReplyStage::Headed;
                self.act(|reply| {
                    reply.start(head);
                    Ok(())
                })
            }
            ReplyStage::Headed | ReplyStage::Streaming | ReplyStage::Trailing => {
                Err(Stuck::Misplaced("the response has already been started"))
            }
            ReplyStage::Complete => Err(AFTER_THE_END),
            ReplyStage::Ended => Err(LOST),
        }
    }

    /// One piece of the body; without `more` it is the last.
    pub(super) fn body(&mut self, piece: &[u8], more: bool) -> Result<Room, Stuck> {
        match (self.stage, more) {
            (ReplyStage::Unstarted, _) => Err(UNSTARTED),
            (ReplyStage::Headed, false) if !self.has_trailers() => {
                self.end(|reply| reply.respond(piece))?;
                Ok(Room::Enough)
            }
            (ReplyStage::Headed | ReplyStage::Streaming, _) => {
                // An empty first piece is how frameworks ask for the head to go out before the body is there.
                self.stage = ReplyStage::Streaming;
                let room = self.act(|reply| reply.push(piece))?;
                self.go_on(more, room)
            }
            (ReplyStage::Complete | ReplyStage::Trailing, _) => Err(AFTER_THE_END),
            (ReplyStage::Ended, _) => Err(LOST),
        }
    }

    /// Sends the head if no body has followed it yet: a client may wait for it, as that of an event stream does.
    /// Without a client the application learns so from its next message.
    pub(super) fn flush_head(&mut self) {
        if self.stage == ReplyStage::Headed {
            let _ = self.body(b"", true);
        }
    }

    /// A file for a whole body. The Content-Length of the application limits it; without one the file's length becomes
    /// it.
    pub(super) fn file(&mut self, content: Content) -> Result<(), Stuck> {
        let is_next = match self.stage {
            ReplyStage::Headed => true,
            // The head has gone ahead of a body that was long in coming.
            ReplyStage::Streaming => self
                .call
                .as_ref()
                .is_some_and(|exchange| exchange.reply.sent().bytes == 0),
            ReplyStage::Ended => return Err(LOST),
            _ => false,
        };
        if !is_next {
            return Err(Stuck::Misplaced(
                "http.response.pathsend has to follow http.response.start at once",
            ));
        }
        match content {
            Content::Part(part) => self.part(part, false).map(drop),
            Content::Bytes(bytes) => self.body(&bytes, false).map(drop),
        }
    }

    /// A range of a file as a piece of the body; without `more` it is the last.
    pub(super) fn part(&mut self, part: FilePart, more: bool) -> Result<Room, Stuck> {
        match (self.stage, more) {
            (ReplyStage::Headed, false) if !self.has_trailers() => {
                self.end(|reply| reply.respond_file(part))?;
                Ok(Room::Enough)
            }
            (ReplyStage::Headed | ReplyStage::Streaming, _) => {
                self.stage = ReplyStage::Streaming;
                let room = self.act(|reply| reply.push_file(part))?;
                self.go_on(more, room)
            }
            (ReplyStage::Unstarted, _) => Err(UNSTARTED),
            (ReplyStage::Complete | ReplyStage::Trailing, _) => Err(AFTER_THE_END),
            (ReplyStage::Ended, _) => Err(LOST),
        }
    }

    /// Trailer fields; without `more` they are the last. Where the client does not take them they are left out.
    pub(super) fn trailers(&mut self, fields: &[u8], more: bool) -> Result<Room, Stuck> {
        match (self.stage, more) {
            (ReplyStage::Trailing, true) => self.act(|reply| reply.push_trailers(fields)),
            (ReplyStage::Trailing, false) => {
                self.end(|reply| reply.finish_with(fields))?;
                Ok(Room::Enough)
            }
            (ReplyStage::Complete, _) => Ok(Room::Enough),
            (ReplyStage::Unstarted | ReplyStage::Headed | ReplyStage::Streaming, _) => Err(
                Stuck::Misplaced("http.response.trailers has to follow the end of the body"),
            ),
            (ReplyStage::Ended, _) => Err(LOST),
        }
    }

    /// Whether trailer fields will follow, for a client that takes them.
    fn has_trailers(&self) -> bool {
        self.call.as_deref().is_some_and(|exchange| {
            exchange.reply.head().announces_trailers() && exchange.request.takes_trailers()
        })
    }

    /// After a piece of the body has gone out.
    fn go_on(&mut self, more: bool, room: Room) -> Result<Room, Stuck> {
        match more {
            true => Ok(room),
            false if self.has_trailers() => {
                self.stage = ReplyStage::Trailing;
                Ok(Room::Enough)
            }
            false => self.finish().map(|()| Room::Enough),
        }
    }

    /// An interim response (103). It comes too late once the real one is on its way.
    pub(super) fn interim(&mut self, head: &ResponseHead) -> Result<Room, Stuck> {
        match self.stage {
            ReplyStage::Unstarted | ReplyStage::Headed => {
                self.act(|reply| reply.push_interim(head))
            }
            ReplyStage::Streaming
            | ReplyStage::Trailing
            | ReplyStage::Complete
            | ReplyStage::Ended => Ok(Room::Enough),
        }
    }

    /// Gives the answer up: an error page if nothing has been sent, else the connection is cut, so that the client can
    /// tell.
    pub(super) fn give_up(&mut self, status: u16, rule: &str) {
        if let Some(exchange) = &mut self.call {
            self.stage = ReplyStage::Ended;
            exchange.reply.refuse(status, rule);
        }
        self.release();
    }

    /// Gives the answer up because no client takes it.
    pub(super) fn let_go(&mut self) {
        if let Some(exchange) = &mut self.call {
            self.stage = ReplyStage::Ended;
            exchange.forsake();
        }
        self.release();
    }

    fn finish(&mut self) -> Result<(), Stuck> {
        self.end(server::Reply::finish)
    }

    /// Something that completes the response.
    fn end(
        &mut self,
        act: impl FnOnce(&mut server::Reply) -> Result<(), ReplyError>,
    ) -> Result<(), Stuck> {
        self.act(act)?;
        self.stage = ReplyStage::Complete;
        self.release();
        Ok(())
    }

    /// Gives the exchange back to the server, which may then read the connection's next request.
    fn release(&mut self) {
        if let Some(mut call) = self.call.take() {
            self.sent = call.reply.sent();
            self.head = call.reply.take_head();
        }
    }

    /// What became of it, for the operator's hooks.
    pub(super) fn outcome(&self) -> HookResponse {
        match &self.call {
            Some(exchange) => HookResponse::answered(exchange.reply.head(), exchange.reply.sent()),
            None => HookResponse::answered(&self.head, self.sent),
        }
    }

    fn act<R>(
        &mut self,
        act: impl FnOnce(&mut server::Reply) -> Result<R, ReplyError>,
    ) -> Result<R, Stuck> {
        let exchange = self.call.as_mut().ok_or(LOST)?;
        act(&mut exchange.reply).map_err(|error| {
            self.stage = ReplyStage::Ended;
            self.release();
            error.into()
        })
    }
}
