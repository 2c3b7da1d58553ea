//! The body of a request: so many bytes, or chunks (RFC 9112, section 7.1). Chunks are read by an automaton, byte by
//! byte but for their data, which is never copied.
//!
//! ```text
//! chunked-body = *( chunk-size [ chunk-ext ] CRLF chunk-data CRLF ) 1*"0" [ chunk-ext ] CRLF trailer-section CRLF
//! chunk-ext    = *( BWS ";" BWS name [ BWS "=" BWS ( token / quoted-string ) ] )
//! ```

use super::trailers::{Section, Trailers};
use crate::fields::is_token_byte;
use crate::framing::Framing;
use crate::limits::Limits;
use crate::violation::Violation;

/// Reads one body. Feed it what comes after the head until it is done.
#[derive(Debug)]
pub struct BodyDecoder {
    state: BodyState,
    /// Bytes of chunk extensions so far, in the whole body.
    extension_bytes: usize,
    trailers: Trailers,
    limits: Limits,
}

/// What one call of [`BodyDecoder::decode`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decoded<'a> {
    /// How many bytes of the input were taken. Less than all of them: call again with the rest, or the body is done.
    pub consumed: usize,
    /// A piece of the body, which is a part of the input; possibly empty.
    pub data: &'a [u8],
    /// The body is complete; the next byte belongs to the next request.
    pub done: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BodyState {
    /// The data of a body with Content-Length.
    Fixed { remaining: u64 },
    /// In a chunk size, after so many digits.
    Size { size: u64, digits: u8 },
    /// In the extensions of a chunk of that size.
    Extension { size: u64, part: ExtensionPart },
    /// After the CR that ends the line of a chunk size.
    SizeLf { size: u64 },
    /// In the data of a chunk.
    Data { remaining: u64 },
    /// After the data of a chunk.
    DataCr,
    /// After the CR that follows the data of a chunk.
    DataLf,
    /// After the last chunk.
    Trailers,
    /// After the body.
    Done,
    /// A rule was broken; nothing that follows can be trusted.
    Refused(Violation),
}

/// Where in the chunk extensions the automaton stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ExtensionPart {
    /// In white space that only a semicolon may end.
    Semicolon,
    /// After a semicolon.
    NameStart,
    Name,
    /// In white space after a name, which `=` or a semicolon ends.
    NameEnd,
    /// After `=`.
    ValueStart,
    Token,
    Quoted,
    /// After a backslash within quotes.
    Escaped,
    /// After the closing quote.
    Closed,
    /// After the CR.
    End,
}

/// A chunk size has at most so many digits, which fit into 64 bits.
const SIZE_DIGITS: u8 = 16;

/// Extensions of one body together. No client uses them; without a bound for the sum, a byte of data could be made to
/// cost thousands of bytes of reading (CVE-2023-39326).
const EXTENSION_BYTES: usize = 16 << 10;

impl BodyDecoder {
    /// A decoder for a body that is delimited in that way. The limits hold for trailer fields as they do for fields.
    #[must_use]
    pub fn new(framing: Framing, limits: &Limits) -> Self {
        let state = match framing {
            Framing::None | Framing::Length(0) => BodyState::Done,
            Framing::Length(remaining) => BodyState::Fixed { remaining },
            Framing::Chunked => BodyState::START,
        };
        Self {
            state,
            extension_bytes: 0,
            trailers: Trailers::default(),
            limits: *limits,
        }
    }

    /// Whether the body is complete.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.state == BodyState::Done
    }

    /// How many bytes are still to come, framing included; `None` where only the end of the body tells.
    #[must_use]
    pub fn remaining(&self) -> Option<u64> {
        match self.state {
            BodyState::Done => Some(0),
            BodyState::Fixed { remaining } => Some(remaining),
            _ => None,
        }
    }

    /// The trailer fields, once the body is complete.
    pub fn trailers(&self) -> impl ExactSizeIterator<Item = (&[u8], &[u8])> {
        self.trailers.iter()
    }

    /// Takes bytes that follow the head, and gives the first piece of data among them. The caller goes on with
    /// `input[consumed..]` until nothing is left or the body is done.
    ///
    /// # Errors
    /// The rule that the body breaks; the same again at every later call.
    pub fn decode<'a>(&mut self, input: &'a [u8]) -> Result<Decoded<'a>, Violation> {
        let mut data: &[u8] = &[];
        let mut consumed = 0;
        while let Some(&byte) = input.get(consumed) {
            match self.state {
                BodyState::Done => break,
                BodyState::Refused(violation) => return Err(violation),
                BodyState::Fixed { .. } | BodyState::Data { .. } if !data.is_empty() => break,
                BodyState::Fixed { remaining } => {
                    data = take(&input[consumed..], remaining);
                    consumed += data.len();
                    self.state = BodyState::after_fixed(remaining - data.len() as u64);
                }
                BodyState::Data { remaining } => {
                    data = take(&input[consumed..], remaining);
                    consumed += data.len();
                    self.state = BodyState::after_data(remaining - data.len() as u64);
                }
                state => {
                    self.state = self.step(state, byte).unwrap_or_else(BodyState::Refused);
                    consumed += 1;
                }
            }
        }
        match self.state {
            BodyState::Refused(violation) => Err(violation),
            state => Ok(Decoded {
                consumed,
                data,
                done: state == BodyState::Done,
            }),
        }
    }

    /// The state after one byte of framing.
    fn step(&mut self, state: BodyState, byte: u8) -> Result<BodyState, Violation> {
        match state {
            BodyState::Size { size, digits } => after_size_byte(size, digits, byte),
            BodyState::Extension { size, part } => self.after_extension_byte(size, part, byte),
            BodyState::SizeLf { size } => after_size_line(size, byte),
            BodyState::DataCr if byte == b'\r' => Ok(BodyState::DataLf),
            BodyState::DataLf if byte == b'\n' => Ok(BodyState::START),
            BodyState::DataCr | BodyState::DataLf => Err(Violation::ChunkDataEnd),
            BodyState::Trailers => Ok(match self.trailers.push(byte, &self.limits)? {
                Section::Open => BodyState::Trailers,
                Section::Ended => BodyState::Done,
            }),
            // These take no single bytes.
            BodyState::Fixed { .. }
            | BodyState::Data { .. }
            | BodyState::Done
            | BodyState::Refused(_) => Ok(state),
        }
    }

    fn after_extension_byte(
        &mut self,
        size: u64,
        part: ExtensionPart,
        byte: u8,
    ) -> Result<BodyState, Violation> {
        self.extension_bytes += 1;
        if self.extension_bytes > EXTENSION_BYTES {
            return Err(Violation::ChunkExtensionsTooLarge);
        }
        Ok(match part.after(byte)? {
            ExtensionPart::End => BodyState::SizeLf { size },
            part => BodyState::Extension { size, part },
        })
    }
}

fn take(input: &[u8], remaining: u64) -> &[u8] {
    let length = usize::try_from(remaining)
        .unwrap_or(usize::MAX)
        .min(input.len());
    &input[..length]
}

impl BodyState {
    /// Before a chunk.
    const START: Self = Self::Size { size: 0, digits: 0 };

    fn after_fixed(remaining: u64) -> Self {
        if remaining == 0 {
            Self::Done
        } else {
            Self::Fixed { remaining }
        }
    }

    fn after_data(remaining: u64) -> Self {
        if remaining == 0 {
            Self::DataCr
        } else {
            Self::Data { remaining }
        }
    }
}

fn after_size_byte(size: u64, digits: u8, byte: u8) -> Result<BodyState, Violation> {
    if let Some(digit) = char::from(byte).to_digit(16) {
        if digits == SIZE_DIGITS {
            return Err(Violation::ChunkSize);
        }
        return Ok(BodyState::Size {
            size: size << 4 | u64::from(digit),
            digits: digits + 1,
        });
    }
    match byte {
        _ if digits == 0 => Err(Violation::ChunkSize),
        b'\r' => Ok(BodyState::SizeLf { size }),
        b'\n' => Err(Violation::BareLf),
        b';' => Ok(BodyState::Extension {
            size,
            part: ExtensionPart::NameStart,
        }),
        b' ' | b'\t' => Ok(BodyState::Extension {
            size,
            part: ExtensionPart::Semicolon,
        }),
        _ => Err(Violation::ChunkSize),
    }
}

fn after_size_line(size: u64, byte: u8) -> Result<BodyState, Violation> {
    match (byte, size) {
        (b'\n', 0) => Ok(BodyState::Trailers),
        (b'\n', remaining) => Ok(BodyState::Data { remaining }),
        _ => Err(Violation::BareCr),
    }
}

impl ExtensionPart {
    fn after(self, byte: u8) -> Result<Self, Violation> {
        let blank = matches!(byte, b' ' | b'\t');
        Ok(match self {
            Self::Semicolon | Self::NameStart | Self::NameEnd | Self::ValueStart if blank => self,
            Self::Name if blank => Self::NameEnd,
            Self::Token | Self::Closed if blank => Self::Semicolon,

            Self::NameStart | Self::Name if is_token_byte(byte) => Self::Name,
            Self::ValueStart | Self::Token if is_token_byte(byte) => Self::Token,
            Self::ValueStart if byte == b'"' => Self::Quoted,
            Self::Name | Self::NameEnd if byte == b'=' => Self::ValueStart,

            Self::Quoted if byte == b'"' => Self::Closed,
            Self::Quoted if byte == b'\\' => Self::Escaped,
            Self::Quoted | Self::Escaped if is_quotable(byte) => Self::Quoted,

            Self::Semicolon | Self::Name | Self::NameEnd | Self::Token | Self::Closed
                if byte == b';' =>
            {
                Self::NameStart
            }
            Self::Name | Self::Token | Self::Closed if byte == b'\r' => Self::End,
            _ if byte == b'\n' => return Err(Violation::BareLf),
            _ => return Err(Violation::ChunkExtension),
        })
    }
}

/// What may stand in a quoted string (RFC 9110, section 5.6.4): everything but control characters.
fn is_quotable(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
}
