//! Responses to bytes: the head with the fields that are the server's to set, and the frames of a chunked body.

use super::response_head::ResponseHead;
use crate::request::{Request, Version};

/// The interim answer to `Expect: 100-continue`.
pub const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// What ends a chunked body without trailers.
pub const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// What the `Server` field says where the application says nothing. No version: it helps only scanners.
const SERVER: &[u8] = b"oxicorn";

/// What the server adds to a response that does not state it: nothing to interim ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Additions<'a> {
    /// `Server`.
    pub server: bool,
    /// `Date`, as `Sun, 06 Nov 1994 08:49:37 GMT`.
    pub date: Option<&'a [u8]>,
    /// Further fields: names and values.
    pub fields: &'a [(String, String)],
}

impl<'a> Additions<'a> {
    /// `Server` and `Date`, and nothing else.
    #[must_use]
    pub fn usual(date: &'a [u8]) -> Self {
        Self {
            server: true,
            date: Some(date),
            fields: &[],
        }
    }

    /// Appends those that the response does not state.
    pub(super) fn append(&self, states: impl Fn(&str) -> bool, out: &mut Vec<u8>) {
        self.each(states, |name, value| append_field(name, value, out));
    }

    /// Hands those to `add` that the response does not state.
    pub(crate) fn each(&self, states: impl Fn(&str) -> bool, mut add: impl FnMut(&[u8], &[u8])) {
        if self.server && !states("server") {
            add(b"Server", SERVER);
        }
        if let Some(date) = self.date.filter(|_| !states("date")) {
            add(b"Date", date);
        }
        for (name, value) in self.fields.iter().filter(|(name, _)| !states(name)) {
            add(name.as_bytes(), value.as_bytes());
        }
    }
}

fn append_field(name: &[u8], value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// How the body of a response is delimited (RFC 9112, section 6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResponseFraming {
    /// No byte may follow the head, even where the application gives some.
    NoBody,
    /// Exactly so many bytes follow.
    Length(u64),
    /// Chunks follow, then [`LAST_CHUNK`].
    Chunked,
    /// The end of the connection ends the body.
    UntilClose,
}

/// What the method of a request leaves of the content of its response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// Most methods: all of it.
    Sent,
    /// HEAD: none, though the head tells of it (RFC 9110, section 9.3.2).
    Left,
    /// CONNECT: none in an answer that grants the tunnel, nor its length (RFC 9110, section 9.3.6).
    Tunnel,
}

impl Content {
    /// By the method of `request`.
    #[must_use]
    pub fn of(request: &Request) -> Self {
        match request.method() {
            b"HEAD" => Self::Left,
            b"CONNECT" => Self::Tunnel,
            _ => Self::Sent,
        }
    }
}

/// What the request and the connection say about the response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResponseContext {
    /// The version of the request.
    pub version: Version,
    /// What the method of the request leaves of a body.
    pub content: Content,
    /// The peer wants the connection to stay open, and we do not mind.
    pub keep_alive: bool,
}

/// Appends the head of a response to `out`, and says how the body has to be sent and whether the connection stays open.
///
/// `known_length` is the length of the body where it is known beforehand. Interim responses (1xx) get no fields but the
/// application's, and leave the connection as it is.
pub fn encode_head(
    head: &ResponseHead,
    context: &ResponseContext,
    known_length: Option<u64>,
    added: Additions<'_>,
    out: &mut Vec<u8>,
) -> (ResponseFraming, bool) {
    // The fields that we add take less than 160 bytes together.
    out.reserve(160 + head.encoded_fields().len() + head.status_line().len());
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(head.status_line());
    out.extend_from_slice(b"\r\n");
    if matches!(head.status(), 100..=199) {
        append_fields(head, Length::Omitted, out);
        return (ResponseFraming::NoBody, context.keep_alive);
    }
    let (framing, length) = delimit(head, context, known_length);
    // A client whose tunnel was granted sends what is no HTTP.
    let tunnel = context.content == Content::Tunnel && matches!(head.status(), 200..=299);
    let keep_alive = context.keep_alive
        && !tunnel
        && !head.close()
        && framing != ResponseFraming::UntilClose
        && !falls_short(head, context, known_length);
    added.append(|name| head.states(name), out);
    append_connection(context.version, keep_alive, out);
    if framing == ResponseFraming::Chunked {
        out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
    }
    append_fields(head, length, out);
    (framing, keep_alive)
}

/// What becomes of Content-Length in the head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Length {
    /// None goes out, also if the application states one.
    Omitted,
    /// The application's goes out if it states one.
    AsStated,
    /// Ours goes out; the application states none.
    Added(u64),
}

/// RFC 9112, section 6.3, from the sender's side.
pub(crate) fn delimit(
    head: &ResponseHead,
    context: &ResponseContext,
    known_length: Option<u64>,
) -> (ResponseFraming, Length) {
    let chunks = match context.version {
        // HTTP/2 delimits bodies by frames, which bear any length just as well.
        Version::Http11 | Version::Http2 => ResponseFraming::Chunked,
        Version::Http10 => ResponseFraming::UntilClose,
    };
    match (head.status(), head.content_length(), known_length) {
        (204, _, _) => (ResponseFraming::NoBody, Length::Omitted),
        (200..=299, _, _) if context.content == Content::Tunnel => {
            (ResponseFraming::NoBody, Length::Omitted)
        }
        (304, _, _) => (ResponseFraming::NoBody, Length::AsStated),
        // An application that leaves the body out of its answer to HEAD has not said that GET would have none.
        (_, None, Some(length @ 1..)) if context.content == Content::Left => {
            (ResponseFraming::NoBody, Length::Added(length))
        }
        _ if context.content == Content::Left => (ResponseFraming::NoBody, Length::AsStated),
        (_, Some(length), _) => (ResponseFraming::Length(length), Length::AsStated),
        (_, None, Some(length)) => (ResponseFraming::Length(length), Length::Added(length)),
        (_, None, None) => (chunks, Length::AsStated),
    }
}

/// The body is known to be shorter than what the application stated. Only the end of the connection can tell the peer.
fn falls_short(head: &ResponseHead, context: &ResponseContext, known_length: Option<u64>) -> bool {
    let bodiless = context.content == Content::Left || matches!(head.status(), 204 | 304);
    match (head.content_length(), known_length) {
        (Some(stated), Some(known)) => !bodiless && known < stated,
        _ => false,
    }
}

/// Says only what the version does not imply (RFC 9112, section 9.3).
fn append_connection(version: Version, keep_alive: bool, out: &mut Vec<u8>) {
    match (version, keep_alive) {
        (Version::Http11 | Version::Http2, true) => {}
        (Version::Http10, true) => out.extend_from_slice(b"Connection: keep-alive\r\n"),
        (_, false) => out.extend_from_slice(b"Connection: close\r\n"),
    }
}

/// The application's fields and the empty line.
fn append_fields(head: &ResponseHead, length: Length, out: &mut Vec<u8>) {
    match length {
        Length::AsStated => out.extend_from_slice(head.encoded_fields()),
        Length::Added(length) => {
            append_content_length(length, out);
            out.extend_from_slice(head.encoded_fields());
        }
        Length::Omitted => {
            let (before, after) = head.encoded_without_length();
            out.extend_from_slice(before);
            out.extend_from_slice(after);
        }
    }
    out.extend_from_slice(b"\r\n");
}

pub(super) fn append_content_length(length: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(b"Content-Length: ");
    out.extend_from_slice(itoa::Buffer::new().format(length).as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// Appends one chunk. Nothing for no data, since an empty chunk would end the body.
pub fn encode_chunk(data: &[u8], out: &mut Vec<u8>) {
    if data.is_empty() {
        return;
    }
    out.reserve(data.len() + 20);
    encode_chunk_size(data.len() as u64, out);
    out.extend_from_slice(data);
    out.extend_from_slice(b"\r\n");
}

/// Appends the line that begins a chunk of so many bytes, which are sent by other means (`writev`, `sendfile`) and
/// followed by CRLF. Must not be called with 0, which would end the body.
pub fn encode_chunk_size(size: u64, out: &mut Vec<u8>) {
    let digits = (u64::BITS - size.leading_zeros()).div_ceil(4).max(1);
    for place in (0..digits).rev() {
        let digit = (size >> (place * 4)) as usize & 0xf;
        out.push(b"0123456789abcdef"[digit]);
    }
    out.extend_from_slice(b"\r\n");
}
