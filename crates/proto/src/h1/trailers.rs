//! Trailer fields: collected after the last chunk, judged like fields, and refused where they would change what was
//! said before.

use super::misuse::{Misuse, quote};
use crate::fields::{FieldSpan, Span, is_field_content, is_token, split_field, trim_blanks};
use crate::limits::{HEAD_BYTES, Limits};
use crate::violation::Violation;

/// The trailer fields of one body.
#[derive(Debug, Default)]
pub(super) struct Trailers {
    /// Names and values, one after the other.
    bytes: Vec<u8>,
    fields: Vec<FieldSpan>,
    /// The line that is not complete yet.
    line: Vec<u8>,
}

/// Whether more trailer bytes are to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Section {
    Open,
    Ended,
}

/// Fields that decide, before the body is read, where a message ends, whom it is for, who sends it or what its body
/// means. One reader would act on them in a trailer and another would not, so a peer that sends them there is refused.
const REFUSED: &[&str] = &[
    // framing, and whose the bytes behind the message are
    "connection",
    "content-length",
    "proxy-connection",
    "transfer-encoding",
    "upgrade",
    // routing
    "forwarded",
    "host",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
    "x-forwarded-protocol",
    "x-forwarded-ssl",
    "x-real-ip",
    // authentication
    "authorization",
    "cookie",
    "proxy-authenticate",
    "proxy-authorization",
    "set-cookie",
    "www-authenticate",
    // how the body is to be read
    "content-encoding",
    "content-range",
    "content-type",
];

/// Further fields that a sender must not put into a trailer (RFC 9110, section 6.5.1). From a peer they are accepted:
/// they say nothing there, and the application does not see trailers.
const UNSENT: &[&str] = &[
    "keep-alive",
    "te",
    "trailer",
    "via",
    // request modifiers
    "cache-control",
    "expect",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "max-forwards",
    "pragma",
    "range",
];

fn is_one_of(names: &[&str], name: &[u8]) -> bool {
    names
        .iter()
        .any(|one| name.eq_ignore_ascii_case(one.as_bytes()))
}

/// Appends a trailer field of a response to `out`.
///
/// # Errors
/// A [`Misuse`] when the name is no token or has to stand in the head, or the value has control characters.
pub fn encode_trailer(name: &[u8], value: &[u8], out: &mut Vec<u8>) -> Result<(), Misuse> {
    if !is_token(name) || is_one_of(REFUSED, name) || is_one_of(UNSENT, name) {
        return Err(Misuse::FieldName { name: quote(name) });
    }
    if !is_field_content(value) {
        return Err(Misuse::FieldValue { name: quote(name) });
    }
    for part in [name, b": ", trim_blanks(value), b"\r\n"] {
        out.extend_from_slice(part);
    }
    Ok(())
}

impl Trailers {
    /// Takes one byte of the trailer section, which the empty line ends.
    pub(super) fn push(&mut self, byte: u8, limits: &Limits) -> Result<Section, Violation> {
        if byte == b'\n' {
            return self.end_line(limits);
        }
        // The CR of the line ending is not counted, so the line may hold one byte more while we wait for its LF.
        let longest = limits.field_content().min(HEAD_BYTES);
        if self.line.len() > longest || (self.line.len() == longest && byte != b'\r') {
            return Err(Violation::FieldTooLarge);
        }
        self.line.push(byte);
        Ok(Section::Open)
    }

    fn end_line(&mut self, limits: &Limits) -> Result<Section, Violation> {
        let line = std::mem::take(&mut self.line);
        let content = line.strip_suffix(b"\r").ok_or(Violation::BareLf)?;
        if content.is_empty() {
            return Ok(Section::Ended);
        }
        self.push_line(content, limits)?;
        self.line = line;
        self.line.clear();
        Ok(Section::Open)
    }

    fn push_line(&mut self, line: &[u8], limits: &Limits) -> Result<(), Violation> {
        if self.fields.len() >= limits.field_count() {
            return Err(Violation::TooManyFields);
        }
        if self.bytes.len() + line.len() > HEAD_BYTES {
            return Err(Violation::HeadTooLarge);
        }
        let (name, value) = split_field(line)?;
        if is_one_of(REFUSED, name) {
            return Err(Violation::TrailerForbidden);
        }
        let (name, value) = (self.keep(name), self.keep(value));
        self.fields.push(FieldSpan { name, value });
        Ok(())
    }

    fn keep(&mut self, part: &[u8]) -> Span {
        let span = Span::new(self.bytes.len(), part.len());
        self.bytes.extend_from_slice(part);
        span
    }

    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = (&[u8], &[u8])> {
        self.fields.iter().map(|field| field.of(&self.bytes))
    }
}
