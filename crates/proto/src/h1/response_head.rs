//! The head of a response as the application states it: checked as it is stated, and kept in the form in which it goes
//! out.

use std::ops::Range;

use super::misuse::{Misuse, quote};
use crate::fields::{FieldSpan, Span, is_field_content, is_token, list_elements, trim_blanks};
use crate::framing::parse_length;

/// The memory for fields that is asked for at once, instead of piece by piece: that of the responses of most
/// applications.
const USUAL_FIELDS: usize = 8;
/// The same for their bytes.
const USUAL_BYTES: usize = 256;

/// Status and fields of a response. Made to be used again: [`ResponseHead::clear`] keeps the memory.
#[derive(Debug, Clone, Default)]
pub struct ResponseHead {
    /// "200 OK"
    status_line: Vec<u8>,
    status: u16,
    /// "Name: value\r\n", one after the other.
    encoded: Vec<u8>,
    fields: Vec<FieldSpan>,
    content_length: Option<ContentLength>,
    pub(super) close: bool,
    trailers: bool,
    has_date: bool,
    has_server: bool,
}

/// The one Content-Length and the place of its line, which some responses must not carry.
#[derive(Debug, Clone)]
struct ContentLength {
    value: u64,
    line: Range<usize>,
}

/// What [`ResponseHead::edit`] makes of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FieldEdit {
    /// It stays.
    Keep,
    /// It goes.
    Drop,
    /// It gets this value.
    Replace(Vec<u8>),
}

/// What happens to a field of the application.
enum FieldKind {
    Plain,
    ContentLength,
    Connection,
    Date,
    Server,
    /// Names the trailer fields, where there will be some.
    Trailer,
    /// Belongs to the connection, which is ours (RFC 9110, section 7.6.1).
    HopByHop,
}

impl ResponseHead {
    /// A head without status and fields.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets everything but the memory.
    pub fn clear(&mut self) {
        self.status_line.clear();
        self.status = 0;
        self.clear_fields();
    }

    fn clear_fields(&mut self) {
        self.encoded.clear();
        self.fields.clear();
        self.content_length = None;
        self.close = false;
        self.trailers = false;
        self.has_date = false;
        self.has_server = false;
    }

    /// States the status, as in `200 OK`. A reason is not required (RFC 9112, section 4).
    ///
    /// # Errors
    /// [`Misuse::Status`] when it is not a code from 100 to 999, with a space and a reason free of control characters.
    pub fn set_status(&mut self, status: &[u8]) -> Result<(), Misuse> {
        let refuse = || Misuse::Status {
            status: quote(status),
        };
        let (code, reason) = status.split_at_checked(3).ok_or_else(refuse)?;
        let code = parse_length(code)
            .and_then(|code| u16::try_from(code).ok())
            .ok_or_else(refuse)?;
        let reason = match reason {
            [] => b"",
            [b' ', reason @ ..] => reason,
            _ => return Err(refuse()),
        };
        if code < 100 || !is_field_content(reason) {
            return Err(refuse());
        }
        self.status = code;
        self.status_line.clear();
        self.status_line.extend_from_slice(status);
        // The space stands in the grammar also when the reason does not.
        if status.len() == 3 {
            self.status_line.push(b' ');
        }
        Ok(())
    }

    /// Adds a field. White space around the value is taken off. Fields of the connection are dropped, as Gunicorn drops
    /// them; of `Connection`, the option `close` is noted and obeyed.
    ///
    /// # Errors
    /// A [`Misuse`] when the name is no token, the value has control characters, or a Content-Length is no number or
    /// differs from one stated before.
    pub fn push(&mut self, name: &[u8], value: &[u8]) -> Result<(), Misuse> {
        if !is_token(name) {
            return Err(Misuse::FieldName { name: quote(name) });
        }
        if !is_field_content(value) {
            return Err(Misuse::FieldValue { name: quote(name) });
        }
        let value = trim_blanks(value);
        match kind(name) {
            FieldKind::Plain => self.append(name, value),
            FieldKind::ContentLength => return self.push_content_length(name, value),
            FieldKind::Connection => {
                self.close |=
                    list_elements(value).any(|option| option.eq_ignore_ascii_case(b"close"))
            }
            FieldKind::Date => {
                self.has_date = true;
                self.append(name, value);
            }
            FieldKind::Server => {
                self.has_server = true;
                self.append(name, value);
            }
            FieldKind::Trailer if self.trailers => self.append(name, value),
            FieldKind::Trailer | FieldKind::HopByHop => {}
        }
        Ok(())
    }

    fn push_content_length(&mut self, name: &[u8], text: &[u8]) -> Result<(), Misuse> {
        let value =
            parse_length(text).ok_or_else(|| Misuse::ContentLength { value: quote(text) })?;
        match &self.content_length {
            Some(first) if first.value == value => {}
            Some(first) => {
                return Err(Misuse::ContentLengthConflict {
                    first: first.value,
                    second: value,
                });
            }
            None => {
                let start = self.encoded.len();
                self.append(name, text);
                self.content_length = Some(ContentLength {
                    value,
                    line: start..self.encoded.len(),
                });
            }
        }
        Ok(())
    }

    /// Changes fields, in their order. A new value that no field can have leaves the field out.
    pub fn edit(&mut self, mut edit: impl FnMut(&[u8], &[u8]) -> FieldEdit) {
        let before = std::mem::take(self);
        self.status = before.status;
        self.close = before.close;
        self.trailers = before.trailers;
        for (name, value) in before.fields() {
            let _ = match edit(name, value) {
                FieldEdit::Keep => self.push(name, value),
                FieldEdit::Drop => Ok(()),
                FieldEdit::Replace(value) => self.push(name, &value),
            };
        }
        self.status_line = before.status_line;
    }

    fn append(&mut self, name: &[u8], value: &[u8]) {
        if self.fields.is_empty() {
            self.encoded.reserve(USUAL_BYTES);
            self.fields.reserve(USUAL_FIELDS);
        }
        let start = self.encoded.len();
        self.encoded
            .reserve(name.len() + value.len() + b": \r\n".len());
        self.encoded.extend_from_slice(name);
        self.encoded.extend_from_slice(b": ");
        self.encoded.extend_from_slice(value);
        self.encoded.extend_from_slice(b"\r\n");
        self.fields.push(FieldSpan {
            name: Span::new(start, name.len()),
            value: Span::new(start + name.len() + b": ".len(), value.len()),
        });
    }

    /// Says, before any field, that trailer fields will follow the body.
    pub fn announce_trailers(&mut self) {
        self.trailers = true;
    }

    /// Whether trailer fields will follow the body.
    #[must_use]
    pub fn announces_trailers(&self) -> bool {
        self.trailers
    }

    /// The status code; 0 as long as none was stated.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The status as it goes out: code, space, reason.
    #[must_use]
    pub fn status_line(&self) -> &[u8] {
        &self.status_line
    }

    /// The reason phrase, possibly empty.
    #[must_use]
    pub fn reason(&self) -> &[u8] {
        self.status_line.get(4..).unwrap_or_default()
    }

    /// What the application stated as Content-Length.
    #[must_use]
    pub fn content_length(&self) -> Option<u64> {
        self.content_length.as_ref().map(|length| length.value)
    }

    /// Whether the application asked for `Connection: close`.
    #[must_use]
    pub fn close(&self) -> bool {
        self.close
    }

    /// Whether a field of that name goes out. The two that the server always asks for are remembered.
    pub(crate) fn states(&self, name: &str) -> bool {
        match name {
            "server" => self.has_server,
            "date" => self.has_date,
            name => self
                .fields()
                .any(|(stated, _)| stated.eq_ignore_ascii_case(name.as_bytes())),
        }
    }

    /// Names and values of the fields that go out, in their order.
    pub fn fields(&self) -> impl ExactSizeIterator<Item = (&[u8], &[u8])> {
        self.fields.iter().map(|field| field.of(&self.encoded))
    }

    /// All fields as they go out, each as `Name: value` with its line ending.
    #[must_use]
    pub fn encoded_fields(&self) -> &[u8] {
        &self.encoded
    }

    /// As [`ResponseHead::encoded_fields`], in the two parts that stand before and after Content-Length.
    pub(super) fn encoded_without_length(&self) -> (&[u8], &[u8]) {
        match &self.content_length {
            Some(length) => (
                &self.encoded[..length.line.start],
                &self.encoded[length.line.end..],
            ),
            None => (&self.encoded, &[]),
        }
    }
}

/// Names are told apart by length and first letter before any comparison.
fn kind(name: &[u8]) -> FieldKind {
    let is = |text: &str| name.eq_ignore_ascii_case(text.as_bytes());
    match (name.len(), name.first().map_or(0, |first| first | 0x20)) {
        (2, b't') if is("te") => FieldKind::HopByHop,
        (4, b'd') if is("date") => FieldKind::Date,
        (6, b's') if is("server") => FieldKind::Server,
        (7, b't') if is("trailer") => FieldKind::Trailer,
        (7, b'u') if is("upgrade") => FieldKind::HopByHop,
        (8, b't') if is("trailers") => FieldKind::HopByHop,
        (10, b'c') if is("connection") => FieldKind::Connection,
        (10, b'k') if is("keep-alive") => FieldKind::HopByHop,
        (14, b'c') if is("content-length") => FieldKind::ContentLength,
        (17, b't') if is("transfer-encoding") => FieldKind::HopByHop,
        (18, b'p') if is("proxy-authenticate") => FieldKind::HopByHop,
        (19, b'p') if is("proxy-authorization") => FieldKind::HopByHop,
        _ => FieldKind::Plain,
    }
}
