//! One request and the sink for its response. It belongs to one thread at a time, needs no reactor to answer, and completes
//! when it is dropped: whatever the application did, the connection ends in a state that the client can understand.

mod end;
mod streaming;
mod websocket;

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::unix::SourceFd;
use proto::forwarded::Scheme;
use proto::h1::{
    self, Additions, Request, ResponseContext, ResponseFraming, ResponseHead, Version,
};

pub use streaming::{Presence, Room};
pub use websocket::{AcceptFailure, WebSocket};

use crate::body::Body;
use crate::crew::{Crew, Message, Outcome};
use crate::inlet::Inlet;
use crate::outlet::{Flushed, Outlet};
use crate::overdue::Call;
use crate::peer::{Ends, Local, Peer};

/// Why a response cannot go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SinkError {
    /// The client closed or reset the connection.
    Disconnected,
    /// The client took nothing for `send_timeout`.
    TimedOut,
}

impl std::fmt::Display for SinkError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            SinkError::Disconnected => "the client closed the connection",
            SinkError::TimedOut => "the client read nothing for send_timeout",
        })
    }
}

impl std::error::Error for SinkError {}

/// One request and its response-to-be.
#[derive(Debug)]
pub struct Exchange {
    /// The request head.
    pub request: Request,
    body: Body,
    inlet: Option<Arc<Inlet>>,
    /// The client waits for permission to send its body, which it gets once the application wants it.
    owes_continue: bool,
    scheme: Scheme,
    ends: Arc<Ends>,
    outlet: Arc<Outlet>,
    crew: Arc<Crew>,
    key: usize,
    serial: u64,
    number: u64,
    keep_alive: bool,
    arrived: Instant,
    departed: Option<Instant>,
    response: Response,
    status: u16,
    sent: u64,
    /// What of `sent` was sent before the client's side ended, and whether it was probed since; see [`Exchange::probe`].
    sent_before: u64,
    probed: bool,
    fields: Vec<u8>,
    variables: Vec<Option<Vec<u8>>>,
}

/// How far the response has come.
#[derive(Debug)]
enum Response {
    /// Nothing has been said.
    Unstarted,
    /// The head is written down and goes out with the first chunk.
    Staged {
        head: Vec<u8>,
        framing: ResponseFraming,
    },
    /// The head is out.
    Streaming(ResponseFraming),
    /// All is out.
    Complete,
    /// It broke off.
    Cut,
    /// The application has the socket.
    Hijacked,
    /// It has become a WebSocket.
    Upgraded,
}

/// Where an exchange comes from.
pub(crate) struct Origin {
    pub(crate) crew: Arc<Crew>,
    pub(crate) ends: Arc<Ends>,
    pub(crate) outlet: Arc<Outlet>,
    pub(crate) key: usize,
    pub(crate) serial: u64,
    pub(crate) number: u64,
    pub(crate) arrived: Instant,
    pub(crate) inlet: Option<Arc<Inlet>>,
}

impl Exchange {
    pub(crate) fn new(origin: Origin, request: Request, body: Body, scheme: Scheme) -> Exchange {
        Exchange {
            keep_alive: request.keep_alive(),
            owes_continue: request.expects_continue(),
            inlet: origin.inlet,
            request,
            body,
            scheme,
            ends: origin.ends,
            outlet: origin.outlet,
            crew: origin.crew,
            key: origin.key,
            serial: origin.serial,
            number: origin.number,
            arrived: origin.arrived,
            departed: None,
            response: Response::Unstarted,
            status: 0,
            sent: 0,
            sent_before: 0,
            probed: false,
            fields: Vec::new(),
            variables: Vec::new(),
        }
    }

    /// Marks the moment at which a thread took it.
    pub(crate) fn depart(&mut self) {
        self.departed = Some(Instant::now());
    }

    /// What is to be known of it while it is with the application.
    pub(crate) fn call(&self, mut head: Vec<u8>) -> Option<Call> {
        let taken = self.outlet.taken()?;
        head.extend_from_slice(self.request.head());
        Some(Call {
            key: self.key,
            serial: self.serial,
            arrived: self.arrived,
            scheme: self.scheme,
            ends: Arc::clone(&self.ends),
            outlet: Arc::clone(&self.outlet),
            taken,
            head,
        })
    }

    /// What the reactor has to be told where the client left before a thread took the exchange.
    pub(crate) fn withdraw(&self) -> Option<Message> {
        let left = self.outlet.taken().is_none();
        left.then_some(Message::Finished {
            key: self.key,
            serial: self.serial,
            outcome: Outcome::Close,
        })
    }

    /// The buffered body, once.
    pub fn take_body(&mut self) -> Body {
        std::mem::take(&mut self.body)
    }

    /// Tells this exchange from all others of the server's life.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.number
    }

    /// Who sent the request.
    #[must_use]
    pub fn peer(&self) -> &Peer {
        &self.ends.peer
    }

    /// Where it was received.
    #[must_use]
    pub fn local(&self) -> &Local {
        &self.ends.local
    }

    /// Whether the peer is one of `forwarded_allow_ips` (or came over a Unix socket).
    #[must_use]
    pub fn trusted(&self) -> bool {
        self.ends.trusted
    }

    /// The scheme that the client used, as far as it can be known.
    #[must_use]
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Whether the head of the response is on its way, so that no other answer can be given.
    #[must_use]
    pub fn started(&self) -> bool {
        !matches!(self.response, Response::Unstarted | Response::Staged { .. })
    }

    /// The status that was answered; 0 before there is one.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// How long ago the first byte of the request was read.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.arrived.elapsed()
    }

    /// Takes the values of the variables that access lines show ([`crate::Server::access_variables`]), in their order.
    pub fn note_variables(&mut self, values: Vec<Option<Vec<u8>>>) {
        self.variables = values;
    }

    /// Body bytes sent, framing not counted.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.sent
    }

    /// Answers with a whole response. `Content-Length` is added where the application gave none. What the client does not
    /// take at once stays with the reactor: this never waits.
    ///
    /// # Errors
    /// The client is gone.
    pub fn respond(&mut self, head: &ResponseHead, body: &[u8]) -> Result<(), SinkError> {
        let (bytes, mut framing) = self.encode(head, Some(body.len() as u64));
        let body = admit(&mut framing, body);
        self.sent = body.len() as u64;
        self.response = Response::Streaming(framing);
        self.send(&[&bytes, body])?;
        self.end(framing)
    }

    /// Begins a streamed response; the head goes out with the first chunk. `known_length` is the length of the body where
    /// it is known and the application gave no `Content-Length`.
    ///
    /// # Errors
    /// None yet: the client is not written to.
    pub fn begin(
        &mut self,
        head: &ResponseHead,
        known_length: Option<u64>,
    ) -> Result<(), SinkError> {
        let (head, framing) = self.encode(head, known_length);
        self.response = Response::Staged { head, framing };
        Ok(())
    }

    /// Sends one chunk. It is on the wire, or with the reactor, when this returns. Bytes beyond the `Content-Length` are
    /// cut. What a slow client does not take waits in memory, then on disk; beyond `limit_response_spool` the caller waits,
    /// if no interruption comes that it has to look at.
    ///
    /// # Errors
    /// The client is gone, or took nothing for `send_timeout`.
    pub fn write(&mut self, chunk: &[u8]) -> Result<(), SinkError> {
        self.send_chunk(chunk)?;
        if self.outlet.has_room() {
            return Ok(());
        }
        self.outlet.spill(self.crew.options.response_spool());
        if self.outlet.has_room() {
            return Ok(());
        }
        self.crew.wait_for_room(&self.outlet)
    }

    fn send_chunk(&mut self, chunk: &[u8]) -> Result<(), SinkError> {
        let (mut bytes, mut framing) = self.take_staged();
        let chunk = admit(&mut framing, chunk);
        self.response = Response::Streaming(framing);
        self.sent += chunk.len() as u64;
        if framing == ResponseFraming::Chunked && !chunk.is_empty() {
            h1::encode_chunk_size(chunk.len() as u64, &mut bytes);
            self.send(&[&bytes, chunk, b"\r\n"])?;
        } else {
            self.send(&[&bytes, chunk])?;
        }
        Ok(())
    }

    /// Sends a range of a file. Never waits: the reactor sends on what the client does not take at once.
    ///
    /// # Errors
    /// The client is gone.
    pub fn send_file(&mut self, file: File, offset: u64, length: u64) -> Result<(), SinkError> {
        let (bytes, mut framing) = self.take_staged();
        let length = match &mut framing {
            ResponseFraming::NoBody => 0,
            ResponseFraming::Length(left) => {
                let length = length.min(*left);
                *left -= length;
                length
            }
            // A file's length is known, so its response is never chunked; the application may still have asked for it by
            // beginning without a length, and then the end of the connection is the end of the body.
            ResponseFraming::Chunked | ResponseFraming::UntilClose => length,
        };
        self.sent += length;
        self.response = Response::Streaming(framing);
        self.send(&[&bytes])?;
        if length > 0 {
            let flushed = self.outlet.send_file(file, offset, length)?;
            self.note_pending(flushed);
        }
        Ok(())
    }

    /// Ends a streamed response. A body that is shorter than its `Content-Length` closes the connection, because nothing
    /// else tells the client that it is not whole.
    ///
    /// # Errors
    /// The client is gone.
    pub fn finish(&mut self) -> Result<(), SinkError> {
        self.finish_with(&[])
    }

    /// As [`Exchange::finish`], with trailer fields as `h1::encode_trailer` writes them. Only chunks have a place for them.
    ///
    /// # Errors
    /// The client is gone.
    pub fn finish_with(&mut self, trailers: &[u8]) -> Result<(), SinkError> {
        match &self.response {
            Response::Staged { .. } | Response::Streaming(_) => {}
            _ => return Ok(()),
        }
        let (mut bytes, framing) = self.take_staged();
        self.response = Response::Streaming(framing);
        if framing == ResponseFraming::Chunked {
            let (last_chunk, end) = h1::LAST_CHUNK.split_at(h1::LAST_CHUNK.len() - 2);
            for part in [last_chunk, trailers, end] {
                bytes.extend_from_slice(part);
            }
        }
        if !bytes.is_empty() {
            self.send(&[&bytes])?;
        }
        self.end(framing)
    }

    /// Answers with an error page where nothing has been sent; cuts the connection otherwise.
    pub fn refuse(&mut self, status: u16, rule: &str) {
        if self.started() {
            return self.abort();
        }
        let mut page = Vec::with_capacity(512);
        let date = self.crew.date.now();
        let added = self.crew.options.additions(&date);
        let length = h1::encode_error(status, rule, added, &mut page);
        if self.request.is_head() {
            page.truncate(page.len() - length);
        } else {
            self.sent = length as u64;
        }
        self.answer_with(status, &page);
    }

    /// Sends a whole answer, after which the connection is closed.
    fn answer_with(&mut self, status: u16, page: &[u8]) {
        self.status = status;
        self.keep_alive = false;
        self.response = Response::Complete;
        // A client that is gone needs no error page.
        let _ = self.send(&[page]);
    }

    /// Breaks the response off, so that the client can tell.
    pub fn abort(&mut self) {
        self.response = Response::Cut;
        self.keep_alive = false;
    }

    /// Sends an interim response such as 103 Early Hints (RFC 8297). Left out for HTTP/1.0, which does not know them, and
    /// once the response has begun.
    ///
    /// # Errors
    /// The client is gone.
    pub fn interim(&mut self, head: &ResponseHead) -> Result<(), SinkError> {
        if self.started() || self.request.version() == Version::Http10 {
            return Ok(());
        }
        let mut bytes = Vec::with_capacity(256);
        let context = ResponseContext {
            version: Version::Http11,
            head_request: false,
            keep_alive: true,
        };
        h1::encode_head(head, &context, None, Additions::usual(&[]), &mut bytes);
        self.send(&[&bytes])
    }

    /// Gives the socket to the application, which answers by itself. The server forgets the connection.
    ///
    /// # Errors
    /// The descriptor could not be duplicated, or something still waits to be sent.
    pub fn hijack(&mut self) -> io::Result<OwnedFd> {
        if self.outlet.has_pending() {
            // The socket is about to block, and nobody but the reactor could send what waits.
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let copy = self.outlet.socket().try_clone()?;
        self.crew
            .registry
            .deregister(&mut SourceFd(&std::os::fd::AsRawFd::as_raw_fd(
                &*self.outlet,
            )))?;
        copy.set_nonblocking(false)?;
        // What goes over the socket from here on is no HTTP.
        self.crew.roll().under_way.end(self.key, self.serial);
        self.response = Response::Hijacked;
        self.keep_alive = false;
        Ok(copy.into())
    }

    fn encode(
        &mut self,
        head: &ResponseHead,
        known_length: Option<u64>,
    ) -> (Vec<u8>, ResponseFraming) {
        let context = ResponseContext {
            version: self.request.version(),
            head_request: self.request.is_head(),
            keep_alive: self.keep_alive
                && self.crew.stopping().is_none()
                && self.crew.options.keep_alive > 0,
        };
        let mut bytes = Vec::with_capacity(head.encoded_fields().len() + 160);
        let date = self.crew.date.now();
        let added = self.crew.options.additions(&date);
        let (framing, keep_alive) =
            h1::encode_head(head, &context, known_length, added, &mut bytes);
        // A client takes 1xx for a promise of the real answer (RFC 9110, section 15.2), and would find it in the next one.
        self.keep_alive = keep_alive && !matches!(head.status(), 100..=199);
        self.status = head.status();
        if self.crew.access_log.wants_response_fields() {
            self.fields = head.encoded_fields().to_vec();
        }
        (bytes, framing)
    }

    /// The head that still has to go out, and the framing of what follows.
    fn take_staged(&mut self) -> (Vec<u8>, ResponseFraming) {
        match std::mem::replace(&mut self.response, Response::Cut) {
            Response::Staged { head, framing } => (head, framing),
            Response::Streaming(framing) => (Vec::new(), framing),
            other => {
                self.response = other;
                (Vec::new(), ResponseFraming::NoBody)
            }
        }
    }

    fn send(&mut self, parts: &[&[u8]]) -> Result<(), SinkError> {
        match self.outlet.send(parts) {
            Ok(flushed) => {
                self.note_pending(flushed);
                Ok(())
            }
            Err(error) => {
                self.abort();
                Err(error)
            }
        }
    }

    fn note_pending(&self, flushed: Flushed) {
        if flushed != Flushed::Empty {
            self.crew.tell(self.pending());
        }
    }

    /// There is something to do for this connection that the poller will not report.
    fn pending(&self) -> Message {
        Message::Pending {
            key: self.key,
            serial: self.serial,
        }
    }

    fn end(&mut self, framing: ResponseFraming) -> Result<(), SinkError> {
        let short = matches!(framing, ResponseFraming::Length(left) if left > 0);
        if short {
            log::warn!(
                "The response body was shorter than its Content-Length; the connection is closed."
            );
        }
        if short || framing == ResponseFraming::UntilClose {
            self.keep_alive = false;
        }
        self.response = Response::Complete;
        Ok(())
    }
}

/// Cuts a chunk to what the framing still allows, and counts it.
fn admit<'a>(framing: &mut ResponseFraming, chunk: &'a [u8]) -> &'a [u8] {
    match framing {
        ResponseFraming::NoBody => &[],
        ResponseFraming::Length(left) => {
            let allowed = (*left).min(chunk.len() as u64);
            *left -= allowed;
            &chunk[..allowed as usize]
        }
        ResponseFraming::Chunked | ResponseFraming::UntilClose => chunk,
    }
}
