//! The way of one response to its client: what a protocol makes of a head, a piece of the body, a file and the end. It
//! decides nothing; [`crate::reply::Reply`] does.

use std::fs::File;
use std::sync::Arc;

use proto::Version;
use proto::h1::{self, Additions, Content, ResponseContext, ResponseFraming, ResponseHead};
use sys::beneath::FileFacts;

use crate::burst::Timing;
use crate::error_pages::CustomPage;
use crate::http2::{self, Fields, Last, ResponsePiece, StreamOutlet};
use crate::link::{Delivery, Link};
use crate::outlet::Outlet;

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
    pub file: Arc<File>,
    /// Where the range begins.
    pub offset: u64,
    /// Its length in bytes.
    pub length: u64,
    /// What the file is supposed to be. Once it is another, its rest is not sent and the connection is cut: what the
    /// client has got must not be mixed with what was written since.
    pub facts: Option<FileFacts>,
}

impl FilePart {
    /// A range of a file that the application answers for meanwhile.
    #[must_use]
    pub fn new(file: File, offset: u64, length: u64) -> FilePart {
        FilePart {
            file: Arc::new(file),
            offset,
            length,
            facts: None,
        }
    }
}

/// Where trailer fields stand that leave before all of them are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TrailerPosition {
    /// Behind the last piece of the body.
    First,
    Between,
    /// The response ends with them.
    Last,
}

/// The protocol of the connection, with what it needs to carry one response. A uwsgi connection will be a further
/// variant.
#[derive(Debug)]
pub(crate) enum Sink {
    /// HTTP/1: the whole connection belongs to the response.
    H1 {
        link: Arc<Link>,
        /// The body goes out in chunks. Decided with the head.
        chunked: bool,
    },
    /// HTTP/2: one stream does.
    H2 {
        stream: StreamOutlet,
        /// Trailer fields follow the body, which therefore does not end the stream. Decided with the head.
        trailing: bool,
    },
}

/// The head of a response, as its protocol has it.
#[derive(Debug)]
pub(crate) enum EncodedHead {
    /// It is out already.
    None,
    /// Lines of HTTP/1.
    Lines(Vec<u8>),
    /// Fields of HTTP/2.
    Fields(Box<Fields>),
}

impl EncodedHead {
    pub(crate) fn is_none(&self) -> bool {
        matches!(self, EncodedHead::None)
    }

    /// Its length in bytes, as far as it is known.
    pub(crate) fn len(&self) -> usize {
        match self {
            EncodedHead::Lines(lines) => lines.len(),
            EncodedHead::None | EncodedHead::Fields(_) => 0,
        }
    }

    fn into_lines(self) -> Vec<u8> {
        match self {
            EncodedHead::Lines(lines) => lines,
            EncodedHead::None | EncodedHead::Fields(_) => Vec::new(),
        }
    }

    fn into_fields(self) -> Option<Fields> {
        match self {
            EncodedHead::Fields(fields) => Some(*fields),
            EncodedHead::None | EncodedHead::Lines(_) => None,
        }
    }
}

/// A whole answer of the server's own, as its protocol has it.
#[derive(Debug)]
pub(crate) struct Page {
    head: EncodedHead,
    body: Vec<u8>,
}

impl Page {
    /// An answer of HTTP/1 whose last `length` bytes are the body.
    pub(crate) fn of_lines(mut lines: Vec<u8>, length: usize) -> Page {
        let body = lines.split_off(lines.len() - length);
        let head = EncodedHead::Lines(lines);
        Page { head, body }
    }

    /// Leaves the body off, as an answer to HEAD needs it.
    pub(crate) fn without_body(mut self) -> Page {
        self.body = Vec::new();
        self
    }

    /// The length of its body.
    pub(crate) fn length(&self) -> u64 {
        self.body.len() as u64
    }
}

impl Sink {
    /// The response that has the whole connection.
    pub(crate) fn h1(link: Arc<Link>) -> Sink {
        let chunked = false;
        Sink::H1 { link, chunked }
    }

    /// The response that has what is named.
    pub(crate) fn new(outlet: Outlet) -> Sink {
        match outlet {
            Outlet::Link(link) => Sink::h1(link),
            Outlet::Stream(stream) => Sink::H2 {
                stream,
                trailing: false,
            },
        }
    }

    /// The connection that carries the response.
    pub(crate) fn link(&self) -> &Arc<Link> {
        match self {
            Sink::H1 { link, .. } => link,
            Sink::H2 { stream, .. } => stream.link(),
        }
    }

    /// Where what is sent waits.
    pub(crate) fn outlet(&self) -> Outlet {
        match self {
            Sink::H1 { link, .. } => Outlet::Link(Arc::clone(link)),
            Sink::H2 { stream, .. } => Outlet::Stream(stream.clone()),
        }
    }

    /// Whether a thread that streams may go on without waiting.
    pub(crate) fn has_room(&self) -> bool {
        match self {
            Sink::H1 { link, .. } => link.has_room(),
            Sink::H2 { stream, .. } => stream.has_room(),
        }
    }

    /// How often something was sent; `None` where nothing can be sent any more.
    pub(crate) fn taken(&self) -> Option<u64> {
        match self {
            Sink::H1 { link, .. } => link.taken(),
            Sink::H2 { stream, .. } => stream.taken(),
        }
    }

    /// Whether the client is known to be gone.
    pub(crate) fn is_lost(&self) -> bool {
        match self {
            Sink::H1 { link, .. } => link.is_broken(),
            Sink::H2 { stream, .. } => stream.is_gone(),
        }
    }

    /// The exchange waits for a thread.
    pub(crate) fn note_queued(&self) {
        if let Sink::H2 { stream, .. } = self {
            stream.note_queued();
        }
    }

    /// A thread has taken the exchange, or none will.
    pub(crate) fn note_taken(&self) {
        if let Sink::H2 { stream, .. } = self {
            stream.note_taken();
        }
    }

    /// Takes the note that the reactor has to look at this connection once it is answered. That of HTTP/2 is read
    /// meanwhile.
    pub(crate) fn take_attention(&self) -> bool {
        match self {
            Sink::H1 { link, .. } => link.take_attention(),
            Sink::H2 { .. } => false,
        }
    }

    /// Whether the response has a connection of its own, which can be given to the application or become another
    /// protocol's.
    pub(crate) fn has_connection(&self) -> bool {
        matches!(self, Sink::H1 { .. })
    }

    /// Whether the body goes out in chunks.
    pub(crate) fn is_chunked(&self) -> bool {
        matches!(self, Sink::H1 { chunked: true, .. })
    }

    /// Makes the head. Says what may follow it, and whether the connection lives on afterwards.
    pub(crate) fn head(
        &mut self,
        head: &ResponseHead,
        context: &ResponseContext,
        known_length: Option<u64>,
        added: Additions<'_>,
    ) -> (EncodedHead, ResponseFraming, bool) {
        match self {
            Sink::H1 { chunked, .. } => {
                let mut lines = Vec::new();
                let (framing, keep_alive) =
                    h1::encode_head(head, context, known_length, added, &mut lines);
                *chunked = framing == ResponseFraming::Chunked;
                (EncodedHead::Lines(lines), framing, keep_alive)
            }
            Sink::H2 { trailing, .. } => {
                let (fields, framing) = http2::response(head, context, known_length, added);
                *trailing = head.announces_trailers() && framing != ResponseFraming::NoBody;
                // The connection does not end with a stream.
                (EncodedHead::Fields(Box::new(fields)), framing, true)
            }
        }
    }

    /// Makes an error page, after which a connection of HTTP/1 ends.
    pub(crate) fn page(&self, status: u16, rule: &str, added: Additions<'_>) -> Page {
        match self {
            Sink::H1 { .. } => {
                let mut lines = Vec::with_capacity(512);
                let length = h1::encode_error(status, rule, added, &mut lines);
                Page::of_lines(lines, length)
            }
            Sink::H2 { .. } => {
                let (fields, body) = http2::page(status, rule, added);
                let head = EncodedHead::Fields(Box::new(fields));
                let body = body.into_bytes();
                Page { head, body }
            }
        }
    }

    /// The same with what the operator has written.
    pub(crate) fn custom_page(&self, page: &CustomPage, added: Additions<'_>) -> Page {
        let context = ResponseContext {
            version: Version::Http11,
            content: Content::Sent,
            keep_alive: false,
        };
        let (stated, length) = (page.head(), Some(page.body.len() as u64));
        let head = match self {
            Sink::H1 { .. } => {
                let mut lines = Vec::new();
                h1::encode_head(&stated, &context, length, added, &mut lines);
                EncodedHead::Lines(lines)
            }
            Sink::H2 { .. } => {
                let (fields, _) = http2::response(&stated, &context, length, added);
                EncodedHead::Fields(Box::new(fields))
            }
        };
        let body = page.body.clone();
        Page { head, body }
    }

    /// Sends a whole answer.
    pub(crate) fn answer(&self, page: Page) -> Result<Delivery, SinkError> {
        match self {
            Sink::H1 { link, .. } => link.send(&[&page.head.into_lines(), &page.body]),
            Sink::H2 { stream, .. } => {
                let (head, body) = (page.head.into_fields(), ResponsePiece::Bytes(&page.body));
                stream.send(head, body, Last::Yes, Timing::AtOnce)
            }
        }
    }

    /// Sends an interim response.
    pub(crate) fn interim(
        &self,
        head: &ResponseHead,
        timing: Timing,
    ) -> Result<Delivery, SinkError> {
        let context = ResponseContext {
            version: Version::Http11,
            content: Content::Sent,
            keep_alive: true,
        };
        let added = Additions::usual(&[]);
        match self {
            Sink::H1 { link, .. } => {
                let mut bytes = Vec::with_capacity(256);
                h1::encode_head(head, &context, None, added, &mut bytes);
                link.deliver(&[&bytes], timing)
            }
            Sink::H2 { stream, .. } => {
                let (fields, _) = http2::response(head, &context, None, added);
                stream.interim(fields, timing)
            }
        }
    }

    /// Tells a client that waits for it to send the body of its request.
    pub(crate) fn permit_body(&self) -> Result<Delivery, SinkError> {
        match self {
            Sink::H1 { link, .. } => link.send_aside(&[h1::CONTINUE]),
            Sink::H2 { stream, .. } => stream.permit_body(),
        }
    }

    /// Sends the head, if it is not out, and behind it a piece of the body.
    pub(crate) fn data(
        &self,
        head: EncodedHead,
        piece: &[u8],
        last: Last,
        timing: Timing,
    ) -> Result<Delivery, SinkError> {
        match self {
            Sink::H1 { link, chunked } => {
                let mut head = head.into_lines();
                if !*chunked {
                    return link.deliver(&[&head, piece], timing);
                }
                let end = match last {
                    Last::Yes => h1::LAST_CHUNK,
                    Last::No => b"",
                };
                if piece.is_empty() {
                    return link.deliver(&[&head, end], timing);
                }
                h1::encode_chunk_size(piece.len() as u64, &mut head);
                link.deliver(&[&head, piece, b"\r\n", end], timing)
            }
            Sink::H2 { stream, trailing } => {
                let last = unless(*trailing, last);
                stream.send(
                    head.into_fields(),
                    ResponsePiece::Bytes(piece),
                    last,
                    timing,
                )
            }
        }
    }

    /// As [`Sink::data`], with a range of a file that is not empty.
    pub(crate) fn file(
        &self,
        head: EncodedHead,
        part: FilePart,
        last: Last,
    ) -> Result<Delivery, SinkError> {
        let (link, chunked) = match self {
            Sink::H1 { link, chunked } => (link, *chunked),
            Sink::H2 { stream, trailing } => {
                let last = unless(*trailing, last);
                let piece = ResponsePiece::File(part);
                return stream.send(head.into_fields(), piece, last, Timing::AtOnce);
            }
        };
        let mut head = head.into_lines();
        if chunked {
            h1::encode_chunk_size(part.length, &mut head);
        }
        let mut delivery = Delivery::Done;
        if !head.is_empty() {
            delivery = link.send(&[&head])?;
        }
        let sent = link.send_file(part)?;
        delivery = delivery.and(sent);
        if chunked {
            delivery = delivery.and(link.send(&[b"\r\n"])?);
        }
        Ok(delivery)
    }

    /// Whether the end of the response is still to be sent when the body has its length.
    pub(crate) fn awaits_end(&self) -> bool {
        matches!(self, Sink::H2 { trailing: true, .. })
    }

    /// Ends the body. In HTTP/1 only chunks have a place for trailer fields, which are left out elsewhere.
    pub(crate) fn finish(
        &mut self,
        trailers: &[u8],
        timing: Timing,
    ) -> Result<Delivery, SinkError> {
        match self {
            Sink::H1 {
                link,
                chunked: true,
            } => {
                let (last_chunk, end) = h1::LAST_CHUNK.split_at(h1::LAST_CHUNK.len() - 2);
                link.deliver(&[last_chunk, trailers, end], timing)
            }
            Sink::H1 { .. } => Ok(Delivery::Done),
            Sink::H2 { stream, trailing } => {
                *trailing = false;
                stream.finish(trailers, timing)
            }
        }
    }

    /// Sends trailer fields of which more may follow, behind chunks.
    pub(crate) fn trailers(
        &self,
        fields: &[u8],
        position: TrailerPosition,
        timing: Timing,
    ) -> Result<Delivery, SinkError> {
        let (last_chunk, end) = h1::LAST_CHUNK.split_at(h1::LAST_CHUNK.len() - 2);
        let parts: [&[u8]; 2] = match position {
            TrailerPosition::First => [last_chunk, fields],
            TrailerPosition::Between => [&[], fields],
            TrailerPosition::Last => [fields, end],
        };
        match self {
            Sink::H1 { link, .. } => link.deliver(&parts, timing),
            Sink::H2 { .. } => Ok(Delivery::Done),
        }
    }

    /// Whether trailer fields leave in one block, so that all of them have to be there.
    pub(crate) fn has_one_block_of_trailers(&self) -> bool {
        matches!(self, Sink::H2 { .. })
    }

    /// The response ends before its end, and the client has to be able to tell. One of HTTP/1 that has a length or
    /// chunks tells it by the end of the connection.
    pub(crate) fn break_off(&self, framing: Unfinished) {
        match (self, framing) {
            (Sink::H1 { link, chunked }, Unfinished::Endless) if !chunked => {
                link.cut(SinkError::Disconnected);
            }
            (Sink::H1 { .. }, _) => {}
            (Sink::H2 { stream, .. }, _) => stream.break_off(),
        }
    }

    /// Sends an answer in place of the thread that has the exchange, if nothing was sent since [`Sink::taken`] said
    /// `mark`; says whether that was so. Nothing else can be sent afterwards.
    pub(crate) fn answer_in_place(&self, mark: u64, page: Page) -> bool {
        match self {
            // The answer says that it is the last on the connection, which carries no other.
            Sink::H1 { link, .. } => {
                let answer = [page.head.into_lines(), page.body].concat();
                link.answer_overdue(mark, &answer)
            }
            Sink::H2 { stream, .. } => match page.head.into_fields() {
                Some(fields) => stream.answer_in_place(mark, fields, &page.body),
                None => false,
            },
        }
    }

    /// Whether [`Sink::answer_in_place`] has answered.
    pub(crate) fn was_answered_in_place(&self) -> bool {
        match self {
            Sink::H1 { link, .. } => link.is_overdue(),
            Sink::H2 { stream, .. } => stream.is_overdue(),
        }
    }

    /// Sends bytes as they are, on a connection that belongs to the response.
    pub(crate) fn send(&self, parts: &[&[u8]]) -> Result<Delivery, SinkError> {
        self.link().send(parts)
    }
}

/// What a response still lacked when it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unfinished {
    /// Its head, or the rest of a known length.
    Known,
    /// An unknown part of the body.
    Endless,
}

/// Trailer fields that follow are what comes last.
fn unless(trailing: bool, last: Last) -> Last {
    match trailing {
        true => Last::No,
        false => last,
    }
}
