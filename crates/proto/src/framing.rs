//! What the fields of a request say together: how long its body is, whether the connection lives on, whom it addresses.
//!
//! All of it is noted in one pass. The rules are those of RFC 9112, section 6, in their strict reading: a request whose
//! length two readers could see differently is refused.

use crate::fields::{is_token, list_elements};
use crate::host::parse_authority;
use crate::request::Version;
use crate::violation::Violation;

/// How the body of a request is delimited (RFC 9112, section 6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// Neither Content-Length nor Transfer-Encoding: there is no body.
    None,
    /// So many bytes follow the head.
    Length(u64),
    /// Chunks follow the head.
    Chunked,
}

/// What the fields read so far amount to.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    content_length: Option<u64>,
    transfer: Transfer,
    has_host: bool,
    host_is_empty: bool,
    /// The index of the Host field.
    pub(crate) host: Option<usize>,
    has_content_type: bool,
    close: bool,
    keep_alive: bool,
    continues: bool,
}

/// The transfer codings read so far, over all Transfer-Encoding fields.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Transfer {
    #[default]
    Absent,
    /// The last coding is chunked, and the only one.
    Chunked,
    /// The last coding is chunked; others stand before it.
    CodedThenChunked,
    /// The last coding is one that we do not know.
    Unknown,
}

/// The conclusions that a request carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Conclusion {
    pub(crate) framing: Framing,
    pub(crate) keep_alive: bool,
    pub(crate) expects_continue: bool,
}

impl Conclusion {
    /// What is known of a request that was not read yet.
    pub(crate) fn empty() -> Self {
        Self {
            framing: Framing::None,
            keep_alive: false,
            expects_continue: false,
        }
    }
}

impl Facts {
    /// Notes one field. Names are told apart by length and first letter before any comparison.
    pub(crate) fn note(
        &mut self,
        index: usize,
        name: &[u8],
        value: &[u8],
    ) -> Result<(), Violation> {
        let Some(first) = name.first() else {
            return Ok(());
        };
        match (name.len(), first | 0x20) {
            (4, b'h') if name.eq_ignore_ascii_case(b"host") => self.note_host(index, value),
            (6, b'e') if name.eq_ignore_ascii_case(b"expect") => self.note_expect(value),
            (10, b'c') if name.eq_ignore_ascii_case(b"connection") => {
                self.note_connection(value);
                Ok(())
            }
            (12, b'c') if name.eq_ignore_ascii_case(b"content-type") => self.note_content_type(),
            (14, b'c') if name.eq_ignore_ascii_case(b"content-length") => {
                self.note_content_length(value)
            }
            (17, b't') if name.eq_ignore_ascii_case(b"transfer-encoding") => {
                self.note_transfer_encoding(value)
            }
            _ => Ok(()),
        }
    }

    fn note_host(&mut self, index: usize, value: &[u8]) -> Result<(), Violation> {
        if std::mem::replace(&mut self.has_host, true) {
            return Err(Violation::HostDuplicate);
        }
        self.host = Some(index);
        self.host_is_empty = value.is_empty();
        if self.host_is_empty || parse_authority(value).is_some() {
            Ok(())
        } else {
            Err(Violation::Host)
        }
    }

    /// The field is a list, so every element has to be the one expectation that exists.
    fn note_expect(&mut self, value: &[u8]) -> Result<(), Violation> {
        self.continues = true;
        let known = |element: &[u8]| element.eq_ignore_ascii_case(b"100-continue");
        if list_elements(value).all(known) {
            Ok(())
        } else {
            Err(Violation::Expectation)
        }
    }

    fn note_connection(&mut self, value: &[u8]) {
        for option in list_elements(value) {
            self.close |= option.eq_ignore_ascii_case(b"close");
            self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
        }
    }

    /// RFC 9110 leaves it open which of two counts, so a filter and an application could choose differently.
    fn note_content_type(&mut self) -> Result<(), Violation> {
        if std::mem::replace(&mut self.has_content_type, true) {
            return Err(Violation::ContentTypeDuplicate);
        }
        Ok(())
    }

    fn note_content_length(&mut self, value: &[u8]) -> Result<(), Violation> {
        let length = parse_length(value).ok_or(Violation::ContentLength)?;
        match self.content_length.replace(length) {
            // Also two equal ones: no client that means well sends them.
            Some(_) => Err(Violation::ContentLengthDuplicate),
            None => Ok(()),
        }
    }

    fn note_transfer_encoding(&mut self, value: &[u8]) -> Result<(), Violation> {
        for coding in list_elements(value) {
            self.transfer = self.transfer.then(coding)?;
        }
        Ok(())
    }

    /// Judges the request as a whole.
    pub(crate) fn conclude(&self, version: Version) -> Result<Conclusion, Violation> {
        if version.is_current() {
            match (self.has_host, self.host_is_empty) {
                (false, _) => return Err(Violation::HostMissing),
                (true, true) => return Err(Violation::Host),
                (true, false) => {}
            }
        }
        let framing = self.framing(version)?;
        let has_body = !matches!(framing, Framing::None | Framing::Length(0));
        Ok(Conclusion {
            framing,
            keep_alive: !self.close && (version.is_current() || self.keep_alive),
            // "A server that receives a 100-continue expectation in an HTTP/1.0 request MUST ignore that expectation"
            // (RFC 9110, section 10.1.1); without a body there is nothing to wait for.
            expects_continue: self.continues && has_body && version.is_current(),
        })
    }

    fn framing(&self, version: Version) -> Result<Framing, Violation> {
        if self.transfer == Transfer::Absent {
            return Ok(self.content_length.map_or(Framing::None, Framing::Length));
        }
        if version != Version::Http11 {
            return Err(Violation::TransferEncodingVersion);
        }
        if self.content_length.is_some() {
            return Err(Violation::TransferEncodingWithLength);
        }
        match self.transfer {
            Transfer::Chunked => Ok(Framing::Chunked),
            Transfer::CodedThenChunked => Err(Violation::TransferCodingUnknown),
            Transfer::Unknown | Transfer::Absent => Err(Violation::TransferEncodingNotChunked),
        }
    }
}

impl Transfer {
    /// The state after one more coding. Parameters are refused with the rest of what is not a token: chunked has none,
    /// and we know no other coding.
    fn then(self, coding: &[u8]) -> Result<Self, Violation> {
        if !is_token(coding) {
            return Err(Violation::TransferEncoding);
        }
        let chunked = coding.eq_ignore_ascii_case(b"chunked");
        match self {
            Self::Absent if chunked => Ok(Self::Chunked),
            Self::Unknown if chunked => Ok(Self::CodedThenChunked),
            Self::Chunked | Self::CodedThenChunked if chunked => Err(Violation::ChunkedTwice),
            Self::Chunked | Self::CodedThenChunked => Err(Violation::TransferEncodingNotChunked),
            Self::Absent | Self::Unknown => Ok(Self::Unknown),
        }
    }
}

/// Longest Content-Length in digits: what always fits into 64 bits. Lengths that need more do not exist.
const LENGTH_DIGITS: usize = 19;

/// Reads `1*DIGIT`: no sign, no list, no white space, no overflow.
pub(crate) fn parse_length(value: &[u8]) -> Option<u64> {
    if value.is_empty() || value.len() > LENGTH_DIGITS {
        return None;
    }
    value.iter().try_fold(0_u64, |length, &digit| {
        digit
            .is_ascii_digit()
            .then(|| length * 10 + u64::from(digit - b'0'))
    })
}
