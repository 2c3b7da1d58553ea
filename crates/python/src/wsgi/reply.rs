//! The response that an application is giving: its exchange, its head, and how far it has come. All transitions are here; nothing here
//! touches Python, so everything may run without the GIL.

use std::os::fd::OwnedFd;

use proto::Version;
use proto::h1::ResponseHead;
use server::{Exchange, SinkError};

use crate::open_file::FilePart;

/// How far a response has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Stage {
    /// There is no request.
    #[default]
    Closed,
    /// `start_response` has not been called.
    Unstarted,
    /// `start_response` has been called; nothing has been sent, so the head may still be replaced.
    Headed,
    /// The head is out and body bytes follow.
    Streaming,
    /// Everything that the client may get has been given to the server.
    Complete,
    /// The client has gone, or the answer was given up.
    Ended,
    /// The application has taken the socket and speaks for itself.
    Hijacked,
}

/// What the application may do after a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// It may be asked for the next chunk.
    More,
    /// No further byte can be sent: the body has its length, or the response has none.
    Enough,
}

/// Why a response could not go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stuck {
    /// `start_response` has not been called.
    Headless,
    /// The client.
    Sink(SinkError),
}

impl From<SinkError> for Stuck {
    fn from(error: SinkError) -> Stuck {
        Stuck::Sink(error)
    }
}

/// A chunk, and whether the application has said that it is the only one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chunk<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) only: bool,
}

/// What went out.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Record {
    /// The status, which is another than the application's where it was refused; 0 for none.
    pub(super) status: u16,
    /// Body bytes.
    pub(super) sent: u64,
}

impl Record {
    fn of(exchange: &Exchange) -> Record {
        Record {
            status: exchange.status(),
            sent: exchange.sent(),
        }
    }
}

/// The response to one exchange, and to one after another: the memory of the head is used again.
#[derive(Debug, Default)]
pub(super) struct Reply {
    /// `None` once it has been released to the server.
    exchange: Option<Exchange>,
    head: ResponseHead,
    stage: Stage,
    /// Body bytes until the Content-Length is reached, where one is known.
    remaining: Option<u64>,
    /// What the exchange had to tell when it was released.
    record: Record,
    /// Whether the body went out without a known length.
    unmeasured: bool,
    lost: bool,
    /// Something of the operator's still runs after the response, and counts as part of the request.
    held: bool,
}

impl Reply {
    /// A request begins.
    pub(super) fn open(&mut self, exchange: Exchange) {
        self.close();
        self.exchange = Some(exchange);
        self.stage = Stage::Unstarted;
    }

    /// The request has ended, and what it left is forgotten.
    pub(super) fn close(&mut self) {
        self.exchange = None;
        self.head.clear();
        self.stage = Stage::Closed;
        self.remaining = None;
        self.record = Record::default();
        self.unmeasured = false;
        self.lost = false;
        self.held = false;
    }

    pub(super) fn exchange(&self) -> Option<&Exchange> {
        self.exchange.as_ref()
    }

    pub(super) fn stage(&self) -> Stage {
        self.stage
    }

    pub(super) fn head(&self) -> &ResponseHead {
        &self.head
    }

    /// What has gone out so far.
    pub(super) fn record(&self) -> Record {
        self.exchange.as_ref().map_or(self.record, Record::of)
    }

    /// Whether the body goes out in chunks.
    pub(super) fn is_chunked(&self) -> bool {
        self.unmeasured
            && self
                .exchange
                .as_ref()
                .is_some_and(|exchange| exchange.request.version() == Version::Http11)
    }

    /// Whether the client went away while it was being answered.
    pub(super) fn lost(&self) -> bool {
        self.lost
    }

    /// Gives the head out to be written, for the first time or again.
    pub(super) fn draft(&mut self) -> ResponseHead {
        self.stage = Stage::Unstarted;
        let mut head = std::mem::take(&mut self.head);
        head.clear();
        head
    }

    /// Takes the finished head.
    pub(super) fn install(&mut self, head: ResponseHead) {
        self.head = head;
        self.stage = Stage::Headed;
    }

    /// The whole body, at once.
    pub(super) fn whole(&mut self, body: &[u8]) -> Result<(), Stuck> {
        match self.stage {
            Stage::Unstarted => return Err(Stuck::Headless),
            // An empty answer to HEAD tells nothing of the length that GET would have; `Content-Length: 0` would be a lie.
            Stage::Headed if body.is_empty() && self.is_head() => self.begin(None)?,
            Stage::Headed => return self.respond(body),
            Stage::Streaming if !body.is_empty() => {
                self.write(body)?;
            }
            Stage::Streaming | Stage::Complete | Stage::Ended | Stage::Hijacked | Stage::Closed => {
            }
        }
        self.finish()
    }

    /// One chunk of a body whose end is not known yet.
    pub(super) fn chunk(&mut self, chunk: Chunk<'_>) -> Result<Progress, Stuck> {
        match self.stage {
            Stage::Unstarted => Err(Stuck::Headless),
            Stage::Headed => self.first_chunk(chunk),
            Stage::Streaming => self.write(chunk.bytes),
            Stage::Complete | Stage::Ended | Stage::Hijacked | Stage::Closed => {
                Ok(Progress::Enough)
            }
        }
    }

    /// A file for a whole body. The Content-Length of the application limits it; without one the file's length becomes it.
    pub(super) fn file(&mut self, part: FilePart) -> Result<(), Stuck> {
        if self.stage != Stage::Headed || part.length == 0 {
            return self.whole(b"");
        }
        let length = self
            .head
            .content_length()
            .map_or(part.length, |announced| announced.min(part.length));
        self.begin(self.head.content_length().is_none().then_some(length))?;
        if !self.is_bodiless() {
            self.sink(|exchange, _| exchange.send_file(part.file, part.offset, length))?;
        }
        self.finish()
    }

    /// Tells the length of a body that comes in several chunks, before the first of them.
    pub(super) fn expect(&mut self, length: u64) -> Result<(), Stuck> {
        match self.stage {
            Stage::Unstarted => Err(Stuck::Headless),
            Stage::Headed if self.head.content_length().is_none() => self.begin(Some(length)),
            _ => Ok(()),
        }
    }

    /// The end of the body.
    pub(super) fn finish(&mut self) -> Result<(), Stuck> {
        match self.stage {
            Stage::Unstarted => Err(Stuck::Headless),
            Stage::Headed => self.whole(b""),
            Stage::Streaming => {
                self.stage = Stage::Complete;
                self.sink(|exchange, _| exchange.finish())
            }
            Stage::Complete | Stage::Ended | Stage::Hijacked | Stage::Closed => Ok(()),
        }
    }

    /// An interim response (103). Nothing happens once the real one has begun.
    pub(super) fn interim(&mut self, head: &ResponseHead) -> Result<(), Stuck> {
        match self.stage {
            Stage::Unstarted | Stage::Headed => self.sink(|exchange, _| exchange.interim(head)),
            Stage::Streaming | Stage::Complete | Stage::Ended | Stage::Hijacked | Stage::Closed => {
                Ok(())
            }
        }
    }

    /// Gives the answer up: an error page if nothing has been sent, else the connection is cut, so that the client can tell.
    ///
    /// # Errors
    /// None: that the client cannot be told changes nothing.
    pub(super) fn give_up(&mut self, status: u16, rule: &str) -> Result<(), Stuck> {
        let stage = std::mem::replace(&mut self.stage, Stage::Ended);
        match (stage, &mut self.exchange) {
            (Stage::Unstarted | Stage::Headed, Some(exchange)) => {
                exchange.refuse(status, rule);
            }
            (Stage::Streaming, Some(exchange)) => exchange.abort(),
            _ => self.stage = stage,
        }
        Ok(())
    }

    /// Ends the connection without a word.
    ///
    /// # Errors
    /// None, as in [`Reply::give_up`].
    pub(super) fn cut(&mut self) -> Result<(), Stuck> {
        if matches!(
            self.stage,
            Stage::Unstarted | Stage::Headed | Stage::Streaming
        ) {
            self.stage = Stage::Ended;
            if let Some(exchange) = &mut self.exchange {
                exchange.abort();
            }
        }
        Ok(())
    }

    /// Hands the socket to the application.
    pub(super) fn hijack(&mut self) -> std::io::Result<OwnedFd> {
        let gone = || std::io::Error::new(std::io::ErrorKind::NotConnected, "the response is over");
        let exchange = self.exchange.as_mut().ok_or_else(gone)?;
        let socket = exchange.hijack()?;
        self.stage = Stage::Hijacked;
        Ok(socket)
    }

    /// Takes what the access line shows of the environ.
    pub(super) fn note_variables(&mut self, values: Vec<Option<Vec<u8>>>) {
        if let Some(exchange) = &mut self.exchange {
            exchange.note_variables(values);
        }
    }

    /// Keeps the exchange until the request is over in every respect.
    pub(super) fn hold(&mut self) {
        self.held = true;
    }

    /// As [`Reply::release`], once the response is out, unless something still has to run.
    pub(super) fn release_early(&mut self) {
        if !self.held {
            self.release();
        }
    }

    /// Gives the exchange back to the server, which may then read the connection's next request.
    pub(super) fn release(&mut self) {
        self.record = self.record();
        self.exchange = None;
    }

    fn respond(&mut self, body: &[u8]) -> Result<(), Stuck> {
        self.stage = Stage::Complete;
        self.sink(|exchange, head| exchange.respond(head, body))
    }

    fn first_chunk(&mut self, chunk: Chunk<'_>) -> Result<Progress, Stuck> {
        let length = chunk.bytes.len() as u64;
        let announced = self.head.content_length();
        if announced.or(chunk.only.then_some(length)) == Some(length) {
            // The body is known to end here: one system call for head and body, and no chunked framing.
            self.respond(chunk.bytes)?;
            return Ok(Progress::More);
        }
        self.begin(None)?;
        if self.is_bodiless() {
            self.finish()?;
            return Ok(Progress::Enough);
        }
        self.write(chunk.bytes)
    }

    fn begin(&mut self, length: Option<u64>) -> Result<(), Stuck> {
        self.stage = Stage::Streaming;
        self.remaining = length.or(self.head.content_length());
        self.unmeasured = self.remaining.is_none();
        self.sink(|exchange, head| exchange.begin(head, length))
    }

    fn write(&mut self, bytes: &[u8]) -> Result<Progress, Stuck> {
        self.sink(|exchange, _| exchange.write(bytes))?;
        let length = bytes.len() as u64;
        let Some(remaining) = &mut self.remaining else {
            return Ok(Progress::More);
        };
        let excess = length > *remaining;
        *remaining = remaining.saturating_sub(length);
        if *remaining == 0 {
            // Complete for the client; the application may still have code to run behind its last chunk.
            self.finish()?;
        }
        Ok(if excess {
            Progress::Enough
        } else {
            Progress::More
        })
    }

    fn sink(
        &mut self,
        act: impl FnOnce(&mut Exchange, &ResponseHead) -> Result<(), SinkError>,
    ) -> Result<(), Stuck> {
        let Some(exchange) = &mut self.exchange else {
            return Ok(());
        };
        act(exchange, &self.head).map_err(|error| {
            self.stage = Stage::Ended;
            self.lost = true;
            Stuck::Sink(error)
        })
    }

    fn is_head(&self) -> bool {
        self.exchange
            .as_ref()
            .is_some_and(|exchange| exchange.request.is_head())
    }

    /// RFC 9110, section 6.4.1: these responses have no content, whatever the application gives.
    fn is_bodiless(&self) -> bool {
        self.is_head() || matches!(self.head.status(), 100..=199 | 204 | 304)
    }
}
