//! The way of one response to its client: what a protocol makes of a head, a piece of the body, a file and the end. It
//! decides nothing; [`crate::reply::Reply`] does.

use std::fs::File;
use std::sync::Arc;

use proto::Version;
use proto::h1::{self, Additions, Content, ResponseContext, ResponseFraming, ResponseHead};

use crate::burst::Timing;
use crate::link::{Delivery, Link};

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

/// Whether a response may go on at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// It may.
    Enough,
    /// Too much is queued for the client; an [`crate::Event::Room`] tells when it has taken some.
    Full,
}

/// A range of an open file.
#[derive(Debug)]
pub struct FilePart {
    /// The file.
    pub file: File,
    /// Where the range begins.
    pub offset: u64,
    /// Its length in bytes.
    pub length: u64,
}

/// The protocol of the connection, with what it needs to carry one response. A stream of an HTTP/2 connection and a
/// uwsgi connection will be further variants.
#[derive(Debug)]
pub(crate) enum Sink {
    /// HTTP/1: the whole connection belongs to the response.
    H1 {
        link: Arc<Link>,
        /// The body goes out in chunks. Decided with the head.
        chunked: bool,
    },
}

impl Sink {
    /// The response that has the whole connection.
    pub(crate) fn h1(link: Arc<Link>) -> Sink {
        let chunked = false;
        Sink::H1 { link, chunked }
    }

    /// The connection that carries the response.
    pub(crate) fn link(&self) -> &Arc<Link> {
        let Sink::H1 { link, .. } = self;
        link
    }

    /// Whether the body goes out in chunks.
    pub(crate) fn is_chunked(&self) -> bool {
        let Sink::H1 { chunked, .. } = self;
        *chunked
    }

    /// Appends the head to `out`. Says what may follow it, and whether the connection lives on afterwards.
    pub(crate) fn head(
        &mut self,
        head: &ResponseHead,
        context: &ResponseContext,
        known_length: Option<u64>,
        added: Additions<'_>,
        out: &mut Vec<u8>,
    ) -> (ResponseFraming, bool) {
        let Sink::H1 { chunked, .. } = self;
        let (framing, keep_alive) = h1::encode_head(head, context, known_length, added, out);
        *chunked = framing == ResponseFraming::Chunked;
        (framing, keep_alive)
    }

    /// Appends an error page, after which the connection ends. Returns the length of its body, which comes last.
    pub(crate) fn page(
        &self,
        status: u16,
        rule: &str,
        added: Additions<'_>,
        out: &mut Vec<u8>,
    ) -> usize {
        let Sink::H1 { .. } = self;
        h1::encode_error(status, rule, added, out)
    }

    /// Sends an interim response.
    pub(crate) fn interim(
        &self,
        head: &ResponseHead,
        timing: Timing,
    ) -> Result<Delivery, SinkError> {
        let mut bytes = Vec::with_capacity(256);
        let context = ResponseContext {
            version: Version::Http11,
            content: Content::Sent,
            keep_alive: true,
        };
        h1::encode_head(head, &context, None, Additions::usual(&[]), &mut bytes);
        self.link().deliver(&[&bytes], timing)
    }

    /// Sends `head`, which may be empty, and behind it a piece of the body.
    pub(crate) fn data(
        &self,
        mut head: Vec<u8>,
        piece: &[u8],
        timing: Timing,
    ) -> Result<Delivery, SinkError> {
        if self.is_chunked() && !piece.is_empty() {
            h1::encode_chunk_size(piece.len() as u64, &mut head);
            let parts: [&[u8]; 3] = [&head, piece, b"\r\n"];
            return self.link().deliver(&parts, timing);
        }
        self.link().deliver(&[&head, piece], timing)
    }

    /// As [`Sink::data`], with a range of a file that is not empty.
    pub(crate) fn file(&self, mut head: Vec<u8>, part: FilePart) -> Result<Delivery, SinkError> {
        let chunked = self.is_chunked();
        if chunked {
            h1::encode_chunk_size(part.length, &mut head);
        }
        let mut delivery = Delivery::Done;
        if !head.is_empty() {
            delivery = self.send(&[&head])?;
        }
        let sent = self.link().send_file(part.file, part.offset, part.length)?;
        delivery = delivery.and(sent);
        if chunked {
            delivery = delivery.and(self.send(&[b"\r\n"])?);
        }
        Ok(delivery)
    }

    /// Ends the body. Only chunks have a place for trailer fields, which are left out elsewhere.
    pub(crate) fn finish(&self, trailers: &[u8], timing: Timing) -> Result<Delivery, SinkError> {
        match self.is_chunked() {
            true => {
                let (last_chunk, end) = h1::LAST_CHUNK.split_at(h1::LAST_CHUNK.len() - 2);
                self.link().deliver(&[last_chunk, trailers, end], timing)
            }
            false => Ok(Delivery::Done),
        }
    }

    /// Sends an answer in place of the thread that has the exchange, if nothing was sent since [`Link::taken`] said
    /// `mark`; says whether that was so. Nothing else can be sent afterwards.
    pub(crate) fn answer_in_place(&self, mark: u64, answer: &[u8]) -> bool {
        match self {
            // The answer says that it is the last on the connection, which carries no other.
            Sink::H1 { link, .. } => link.answer_overdue(mark, answer),
        }
    }

    /// Whether [`Sink::answer_in_place`] has answered.
    pub(crate) fn was_answered_in_place(&self) -> bool {
        self.link().is_overdue()
    }

    /// Sends bytes as they are.
    pub(crate) fn send(&self, parts: &[&[u8]]) -> Result<Delivery, SinkError> {
        self.link().send(parts)
    }
}
