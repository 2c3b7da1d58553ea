//! The response that an application is giving to one request: its exchange, its head, and how far it has come. All transitions are
//! here; nothing here runs Python code, and nothing waits for a client.

use proto::Version;
use proto::h1::ResponseHead;
use proto::ws;
use server::{Exchange, Room, SinkError};

use crate::open_file::{Content, FilePart};
use crate::wsgi::{HookResponse, Sent};

/// How far a response has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
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
    Misuse(ws::Misuse),
}

impl From<SinkError> for Stuck {
    fn from(error: SinkError) -> Stuck {
        Stuck::Lost(error)
    }
}

/// The response to one request.
#[derive(Debug)]
pub(super) struct Reply {
    /// `None` once it has been given back to the server.
    exchange: Option<Exchange>,
    head: ResponseHead,
    stage: Stage,
    /// Trailer fields so far, as they go out.
    trailers: Vec<u8>,
    /// The length of the body was not known when it began.
    unmeasured: bool,
    /// What had been sent when the exchange was given back.
    sent: Sent,
}

const AFTER_THE_END: &str = "the response was already complete";

impl Reply {
    pub(super) fn new(exchange: Exchange) -> Reply {
        Reply {
            exchange: Some(exchange),
            head: ResponseHead::default(),
            stage: Stage::Unstarted,
            trailers: Vec::new(),
            unmeasured: false,
            sent: Sent::default(),
        }
    }

    pub(super) fn exchange(&mut self) -> Option<&mut Exchange> {
        self.exchange.as_mut()
    }

    pub(super) fn stage(&self) -> Stage {
        self.stage
    }

    /// Takes the head; it goes out with the first piece of the body.
    pub(super) fn start(&mut self, head: ResponseHead) -> Result<(), Stuck> {
        match self.stage {
            Stage::Unstarted => {
                self.head = head;
                self.stage = Stage::Headed;
                Ok(())
            }
            Stage::Headed | Stage::Streaming | Stage::Trailing => {
                Err(Stuck::Misplaced("the response has already been started"))
            }
            Stage::Complete => Err(Stuck::Misplaced(AFTER_THE_END)),
            Stage::Ended => Err(Stuck::Lost(SinkError::Disconnected)),
        }
    }

    /// One piece of the body; without `more` it is the last.
    pub(super) fn body(&mut self, piece: &[u8], more: bool) -> Result<Room, Stuck> {
        match (self.stage, more) {
            (Stage::Unstarted, _) => Err(Stuck::Misplaced("the response has not been started")),
            (Stage::Headed, false) if !self.has_trailers() => {
                self.stage = Stage::Complete;
                self.sink(|exchange, head| exchange.respond(head, piece))?;
                self.release();
                Ok(Room::Enough)
            }
            (Stage::Headed, more) => {
                self.unmeasured = true;
                self.stage = Stage::Streaming;
                self.sink(|exchange, head| exchange.begin(head, None))?;
                // An empty first piece is how frameworks ask for the head to go out before the body is there.
                let room = self.sink(|exchange, _| exchange.push(piece))?;
                self.go_on(more, room)
            }
            (Stage::Streaming, true) => self.sink(|exchange, _| exchange.push(piece)),
            (Stage::Streaming, false) => {
                if !piece.is_empty() {
                    self.sink(|exchange, _| exchange.push(piece))?;
                }
                self.go_on(false, Room::Enough)
            }
            (Stage::Complete | Stage::Trailing, _) => Err(Stuck::Misplaced(AFTER_THE_END)),
            (Stage::Ended, _) => Err(Stuck::Lost(SinkError::Disconnected)),
        }
    }

    /// A file for a whole body. The Content-Length of the application limits it; without one the file's length becomes it.
    pub(super) fn file(&mut self, content: Content) -> Result<(), Stuck> {
        match self.stage {
            Stage::Headed => {}
            Stage::Ended => return Err(Stuck::Lost(SinkError::Disconnected)),
            _ => {
                return Err(Stuck::Misplaced(
                    "http.response.pathsend has to follow http.response.start at once",
                ));
            }
        }
        let FilePart { file, length, .. } = match content {
            Content::Part(part) => part,
            Content::Bytes(bytes) => return self.body(&bytes, false).map(drop),
        };
        let stated = self.head.content_length();
        self.stage = Stage::Streaming;
        self.sink(|exchange, head| exchange.begin(head, stated.is_none().then_some(length)))?;
        if !self.is_bodiless() {
            let length = stated.map_or(length, |stated| stated.min(length));
            self.sink(|exchange, _| exchange.send_file(file, 0, length))?;
        }
        self.finish()
    }

    /// A range of a file as a piece of the body; without `more` it is the last.
    pub(super) fn part(&mut self, part: FilePart, more: bool) -> Result<Room, Stuck> {
        match self.stage {
            Stage::Headed => {
                let known = (!more && !self.has_trailers()).then_some(part.length);
                self.unmeasured = known.is_none();
                self.stage = Stage::Streaming;
                self.sink(|exchange, head| exchange.begin(head, known))?;
            }
            Stage::Streaming => {}
            Stage::Unstarted => {
                return Err(Stuck::Misplaced("the response has not been started"));
            }
            Stage::Complete | Stage::Trailing => return Err(Stuck::Misplaced(AFTER_THE_END)),
            Stage::Ended => return Err(Stuck::Lost(SinkError::Disconnected)),
        }
        let FilePart {
            file,
            offset,
            length,
        } = part;
        let room = self.sink(|exchange, _| exchange.push_file(file, offset, length))?;
        self.go_on(more, room)
    }

    /// Trailer fields; without `more` they are the last. Where nobody takes them they are left out.
    pub(super) fn trailers(&mut self, fields: &[u8], more: bool) -> Result<(), Stuck> {
        match self.stage {
            Stage::Trailing => {
                self.trailers.extend_from_slice(fields);
                match more {
                    true => Ok(()),
                    false => self.finish(),
                }
            }
            Stage::Complete => Ok(()),
            Stage::Unstarted | Stage::Headed | Stage::Streaming => Err(Stuck::Misplaced(
                "http.response.trailers has to follow the end of the body",
            )),
            Stage::Ended => Err(Stuck::Lost(SinkError::Disconnected)),
        }
    }

    /// Whether trailer fields will follow, for a client that takes them.
    fn has_trailers(&self) -> bool {
        let takes = |exchange: &Exchange| exchange.request.takes_trailers();
        self.head.announces_trailers() && self.exchange.as_ref().is_some_and(takes)
    }

    /// After a piece of the body has gone out.
    fn go_on(&mut self, more: bool, room: Room) -> Result<Room, Stuck> {
        match more {
            true => Ok(room),
            false if self.has_trailers() => {
                self.stage = Stage::Trailing;
                Ok(Room::Enough)
            }
            false => self.finish().map(|()| Room::Enough),
        }
    }

    /// An interim response (103). It comes too late once the real one is on its way.
    pub(super) fn interim(&mut self, head: &ResponseHead) -> Result<(), Stuck> {
        match self.stage {
            Stage::Unstarted | Stage::Headed => self.sink(|exchange, _| exchange.interim(head)),
            Stage::Streaming | Stage::Trailing | Stage::Complete | Stage::Ended => Ok(()),
        }
    }

    /// Gives the answer up: an error page if nothing has been sent, else the connection is cut, so that the client can tell.
    pub(super) fn give_up(&mut self, status: u16, rule: &str) {
        let stage = std::mem::replace(&mut self.stage, Stage::Ended);
        match (stage, &mut self.exchange) {
            (Stage::Unstarted | Stage::Headed, Some(exchange)) => exchange.refuse(status, rule),
            (Stage::Streaming | Stage::Trailing, Some(exchange)) => exchange.abort(),
            _ => self.stage = stage,
        }
        self.release();
    }

    /// Gives the answer up because there is nobody who takes it.
    pub(super) fn let_go(&mut self) {
        if let Some(exchange) = &mut self.exchange {
            self.stage = Stage::Ended;
            exchange.forsake();
        }
        self.release();
    }

    fn finish(&mut self) -> Result<(), Stuck> {
        self.stage = Stage::Complete;
        let trailers = std::mem::take(&mut self.trailers);
        self.sink(|exchange, _| exchange.finish_with(&trailers))?;
        self.release();
        Ok(())
    }

    /// Gives the exchange back to the server, which may then read the connection's next request.
    fn release(&mut self) {
        if let Some(exchange) = self.exchange.take() {
            self.sent = Sent {
                status: exchange.status(),
                bytes: exchange.sent(),
                chunked: self.unmeasured
                    && self.head.content_length().is_none()
                    && exchange.request.version() == Version::Http11,
            };
        }
    }

    /// What became of it, for the operator's hooks.
    pub(super) fn outcome(&self) -> HookResponse {
        HookResponse::answered(&self.head, self.sent)
    }

    fn sink<R>(
        &mut self,
        act: impl FnOnce(&mut Exchange, &ResponseHead) -> Result<R, SinkError>,
    ) -> Result<R, Stuck> {
        let lost = Stuck::Lost(SinkError::Disconnected);
        let exchange = self.exchange.as_mut().ok_or(lost)?;
        act(exchange, &self.head).map_err(|error| {
            self.stage = Stage::Ended;
            self.release();
            Stuck::Lost(error)
        })
    }

    /// RFC 9110, section 6.4.1: these responses have no content, whatever the application gives.
    fn is_bodiless(&self) -> bool {
        let head_request = |exchange: &Exchange| exchange.request.is_head();
        self.exchange.as_ref().is_some_and(head_request)
            || matches!(self.head.status(), 100..=199 | 204 | 304)
    }
}
