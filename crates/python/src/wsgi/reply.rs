//! The response that an application is giving, as WSGI sees it: a head that may be replaced until something has been
//! sent, bytes by `write()` and from what is returned, and what is left to be told when the exchange has been given
//! back. What goes out, and how, is [`server::Reply`]'s business. Nothing here touches Python, so everything may run
//! without the GIL.

use std::io;
use std::os::fd::OwnedFd;

use proto::h1::ResponseHead;
use server::{
    Call, Exchange, ExchangeId, FilePart, Offered, Progress, ReplyError, Room, Sent, Stage,
};

/// A chunk, and whether the application has said that it is the only one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chunk<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) only: bool,
}

/// The request that the response belongs to.
#[derive(Debug, Default)]
enum RequestState {
    /// There is no request.
    #[default]
    Closed,
    /// The application answers this.
    Open(Call),
    /// The response is out, and its exchange has been given back to the server.
    Released,
}

/// The response to one exchange after another. The memory of the head is reused.
#[derive(Debug, Default)]
pub(super) struct WsgiReply {
    state: RequestState,
    /// The head of a response that is out; its memory, where none has been written.
    head: ResponseHead,
    /// What the exchange had to tell when it was released.
    sent: Sent,
    /// The client had gone when the exchange was released.
    lost: bool,
    /// A hook of the operator runs after the response, and counts as part of the request.
    held: bool,
}

impl WsgiReply {
    /// A request begins.
    pub(super) fn open(&mut self, call: Call) {
        self.close();
        self.state = RequestState::Open(call);
    }

    /// The request has ended, and what it left is forgotten.
    pub(super) fn close(&mut self) {
        self.release();
        self.state = RequestState::Closed;
        self.head.clear();
        self.sent = Sent::default();
        self.lost = false;
        self.held = false;
    }

    /// Whether there is no request.
    pub(super) fn is_closed(&self) -> bool {
        matches!(self.state, RequestState::Closed)
    }

    pub(super) fn exchange(&self) -> Option<&Exchange> {
        match &self.state {
            RequestState::Open(call) => Some(call),
            RequestState::Closed | RequestState::Released => None,
        }
    }

    fn server_reply(&mut self) -> Option<&mut server::Reply> {
        match &mut self.state {
            RequestState::Open(call) => Some(&mut call.reply),
            RequestState::Closed | RequestState::Released => None,
        }
    }

    /// How far it has come. One that has been given back is complete.
    pub(super) fn stage(&self) -> Stage {
        self.exchange()
            .map_or(Stage::Complete, |exchange| exchange.reply.stage())
    }

    pub(super) fn head(&self) -> &ResponseHead {
        match &self.state {
            RequestState::Open(call) => call.reply.head(),
            RequestState::Closed | RequestState::Released => &self.head,
        }
    }

    /// What has gone out so far.
    pub(super) fn sent(&self) -> Sent {
        self.exchange()
            .map_or(self.sent, |exchange| exchange.reply.sent())
    }

    /// Whether the client went away while it was being answered.
    pub(super) fn is_lost(&self) -> bool {
        self.lost || self.stage() == Stage::Lost
    }

    /// Gives the head out to be written, for the first time or again.
    pub(super) fn draft(&mut self) -> ResponseHead {
        let mut head = match self.server_reply() {
            Some(reply) if reply.stage() == Stage::Stated => reply.take_head(),
            _ => std::mem::take(&mut self.head),
        };
        head.clear();
        head
    }

    /// Takes the finished head.
    pub(super) fn install(&mut self, head: ResponseHead) {
        if let Some(reply) = self.server_reply() {
            reply.start(head);
        }
    }

    /// Something that the server does with a response that has not been given back.
    fn act<R: Default>(
        &mut self,
        act: impl FnOnce(&mut server::Reply) -> Result<R, ReplyError>,
    ) -> Result<R, ReplyError> {
        self.server_reply().map_or(Ok(R::default()), act)
    }

    /// The whole body, at once, or all that is left of it.
    pub(super) fn whole(&mut self, body: &[u8]) -> Result<(), ReplyError> {
        self.act(|reply| reply.respond(body))
    }

    /// One chunk of a body whose end is not known yet.
    pub(super) fn chunk(&mut self, chunk: Chunk<'_>) -> Result<Progress, ReplyError> {
        let Some(reply) = self.server_reply() else {
            return Ok(Progress::Enough);
        };
        if chunk.only {
            reply.expect(chunk.bytes.len() as u64)?;
        }
        reply.write(chunk.bytes)
    }

    /// As [`WsgiReply::chunk`], without waiting; with the exchange for whose room to wait.
    pub(super) fn offer(
        &mut self,
        chunk: Chunk<'_>,
    ) -> Result<(Offered, Option<ExchangeId>), ReplyError> {
        let id = self.exchange().map(Exchange::id);
        let Some(reply) = self.server_reply() else {
            let offered = Offered {
                taken: chunk.bytes.len(),
                progress: Progress::Enough,
                room: Room::Enough,
            };
            return Ok((offered, None));
        };
        if chunk.only {
            reply.expect(chunk.bytes.len() as u64)?;
        }
        Ok((reply.offer(chunk.bytes)?, id))
    }

    /// A file for a whole body. The Content-Length of the application limits it; without one the file's length becomes
    /// it.
    pub(super) fn file(&mut self, part: FilePart) -> Result<(), ReplyError> {
        self.act(|reply| reply.respond_file(part))
    }

    /// Tells the length of a body that comes in several chunks, before the first of them.
    pub(super) fn expect(&mut self, length: u64) -> Result<(), ReplyError> {
        self.act(|reply| reply.expect(length))
    }

    /// The end of the body.
    pub(super) fn finish(&mut self) -> Result<(), ReplyError> {
        self.act(server::Reply::finish)
    }

    /// An interim response (103). Nothing happens once the real one has begun.
    pub(super) fn interim(&mut self, head: &ResponseHead) -> Result<(), ReplyError> {
        self.act(|reply| reply.interim(head))
    }

    /// As [`WsgiReply::interim`], without waiting; with the exchange for whose room to wait.
    pub(super) fn offer_interim(
        &mut self,
        head: &ResponseHead,
    ) -> Result<(Room, Option<ExchangeId>), ReplyError> {
        let id = self.exchange().map(Exchange::id);
        match self.server_reply() {
            Some(reply) => Ok((reply.push_interim(head)?, id)),
            None => Ok((Room::Enough, None)),
        }
    }

    /// Gives the answer up: an error page if nothing has been sent, else the connection is cut, so that the client can
    /// tell.
    ///
    /// # Errors
    /// None: that the client cannot be told changes nothing.
    pub(super) fn give_up(&mut self, status: u16, rule: &str) -> Result<(), ReplyError> {
        if let Some(reply) = self.server_reply() {
            reply.refuse(status, rule);
        }
        Ok(())
    }

    /// Ends the connection without a word.
    ///
    /// # Errors
    /// None, as in [`WsgiReply::give_up`].
    pub(super) fn cut(&mut self) -> Result<(), ReplyError> {
        if let Some(reply) = self.server_reply() {
            reply.abort();
        }
        Ok(())
    }

    /// A descriptor of the socket, which stays the server's.
    pub(super) fn look_at_socket(&self) -> io::Result<OwnedFd> {
        self.exchange()
            .ok_or_else(released)
            .and_then(Exchange::look_at_socket)
    }

    /// Hands the socket to the application.
    pub(super) fn hijack(&mut self) -> io::Result<OwnedFd> {
        match &mut self.state {
            RequestState::Open(call) => call.hijack(),
            RequestState::Closed | RequestState::Released => Err(released()),
        }
    }

    /// Takes what the access line shows of the environ.
    pub(super) fn note_variables(&mut self, values: Vec<Option<Vec<u8>>>) {
        if let RequestState::Open(call) = &mut self.state {
            call.note_variables(values);
        }
    }

    /// Keeps the exchange until the request is over in every respect.
    pub(super) fn hold(&mut self) {
        self.held = true;
    }

    /// As [`WsgiReply::release`], once the response is out, unless something still has to run.
    pub(super) fn release_early(&mut self) {
        if !self.held {
            self.release();
        }
    }

    /// Gives the exchange back to the server, which may then read the connection's next request.
    pub(super) fn release(&mut self) {
        self.lost = self.is_lost();
        self.sent = self.sent();
        if let RequestState::Open(mut call) =
            std::mem::replace(&mut self.state, RequestState::Released)
        {
            self.head = call.reply.take_head();
        }
    }
}

/// The exchange has been given back to the server, and the connection with it.
fn released() -> io::Error {
    io::Error::new(io::ErrorKind::NotConnected, "the response is over")
}
