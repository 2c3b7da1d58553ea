//! The head of a frame (RFC 6455, section 5.2), read and written.
//!
//! ```text
//!  FIN RSV1-3 opcode | MASK length(7) | length(16 or 64), where length(7) is 126 or 127 | masking key(32), where MASK
//!   1    3      4    |   1     7      |
//! ```

use super::mask::Mask;
use super::violation::FrameViolation;

/// Longest head in bytes: two, eight of length, four of mask.
pub(super) const HEAD_BYTES: usize = 14;

/// Longest payload of a control frame in bytes.
pub(super) const CONTROL_BYTES: usize = 125;

const FIN: u8 = 0x80;
const RSV1: u8 = 0x40;
const RSV2_AND_RSV3: u8 = 0x30;
const MASKED: u8 = 0x80;

/// What kind of data a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Binary,
}

/// The kinds of control frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Control {
    Close,
    Ping,
    Pong,
}

/// The opcodes that have a meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Opcode {
    Continuation,
    Data(Kind),
    Control(Control),
}

impl Opcode {
    fn parse(bits: u8) -> Result<Self, FrameViolation> {
        match bits {
            0x0 => Ok(Self::Continuation),
            0x1 => Ok(Self::Data(Kind::Text)),
            0x2 => Ok(Self::Data(Kind::Binary)),
            0x8 => Ok(Self::Control(Control::Close)),
            0x9 => Ok(Self::Control(Control::Ping)),
            0xa => Ok(Self::Control(Control::Pong)),
            _ => Err(FrameViolation::Opcode),
        }
    }
}

/// What a connection allows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    /// Longest message in bytes.
    pub(super) message_bytes: usize,
    /// Whether messages may be compressed.
    pub(super) deflate: bool,
}

/// Where in the sequence of frames a head stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    BetweenMessages,
    /// After the first frame of a message and before its last.
    WithinMessage {
        compressed: bool,
        length: usize,
    },
}

/// A head that broke no rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) purpose: Purpose,
    pub(super) length: u64,
    pub(super) mask: Mask,
}

/// What a frame is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    Begin {
        kind: Kind,
        compressed: bool,
        last: bool,
    },
    Continue {
        last: bool,
    },
    Control(Control),
}

/// Reads a head at the beginning of `bytes`, and says how long it is. `None` asks for more bytes.
///
/// Every byte is judged as soon as it is there: a frame that will be refused is not waited for.
pub(super) fn parse(
    bytes: &[u8],
    rules: Rules,
    place: Place,
) -> Result<Option<(Head, usize)>, FrameViolation> {
    let Some(&first) = bytes.first() else {
        return Ok(None);
    };
    let purpose = judge_first(first, rules, place)?;
    let Some(&second) = bytes.get(1) else {
        return Ok(None);
    };
    if second & MASKED == 0 {
        return Err(FrameViolation::Unmasked);
    }
    let short = second & !MASKED;
    if matches!(purpose, Purpose::Control(_)) && usize::from(short) > CONTROL_BYTES {
        return Err(FrameViolation::ControlTooLong);
    }
    let Some((length, key_start)) = parse_length(short, bytes)? else {
        return Ok(None);
    };
    judge_length(length, purpose, rules, place)?;
    let Some(&key) = bytes[key_start..].first_chunk::<4>() else {
        return Ok(None);
    };
    let head = Head {
        purpose,
        length,
        mask: Mask::new(key),
    };
    Ok(Some((head, key_start + key.len())))
}

fn judge_first(byte: u8, rules: Rules, place: Place) -> Result<Purpose, FrameViolation> {
    let compressed = byte & RSV1 != 0;
    if byte & RSV2_AND_RSV3 != 0 || (compressed && !rules.deflate) {
        return Err(FrameViolation::ReservedBit);
    }
    let last = byte & FIN != 0;
    match (Opcode::parse(byte & 0x0f)?, place) {
        // RSV1 belongs to messages and stands on their first frame only (RFC 7692, section 6).
        (Opcode::Continuation | Opcode::Control(_), _) if compressed => {
            Err(FrameViolation::ReservedBit)
        }
        (Opcode::Control(_), _) if !last => Err(FrameViolation::ControlFragmented),
        (Opcode::Control(control), _) => Ok(Purpose::Control(control)),
        (Opcode::Continuation, Place::WithinMessage { .. }) => Ok(Purpose::Continue { last }),
        (Opcode::Continuation, Place::BetweenMessages) => {
            Err(FrameViolation::ContinuationWithoutMessage)
        }
        (Opcode::Data(_), Place::WithinMessage { .. }) => Err(FrameViolation::MessageInterrupted),
        (Opcode::Data(kind), Place::BetweenMessages) => Ok(Purpose::Begin {
            kind,
            compressed,
            last,
        }),
    }
}

/// The length of the payload, and where the bytes that say it end.
fn parse_length(short: u8, bytes: &[u8]) -> Result<Option<(u64, usize)>, FrameViolation> {
    let (length, end, least) = match short {
        126 => match bytes[2..].first_chunk::<2>() {
            Some(&length) => (u64::from(u16::from_be_bytes(length)), 4, 126),
            None => return Ok(None),
        },
        127 => match bytes[2..].first_chunk::<8>() {
            Some(&length) => (u64::from_be_bytes(length), 10, 1 << 16),
            None => return Ok(None),
        },
        short => (u64::from(short), 2, 0),
    };
    // "the minimal number of bytes MUST be used", "the most significant bit MUST be 0".
    if length < least || length >> 63 != 0 {
        return Err(FrameViolation::LengthEncoding);
    }
    Ok(Some((length, end)))
}

/// A message that will be too big is refused by what its frames announce. Compressed ones show their size later.
fn judge_length(
    length: u64,
    purpose: Purpose,
    rules: Rules,
    place: Place,
) -> Result<(), FrameViolation> {
    let before = match (purpose, place) {
        (
            Purpose::Begin {
                compressed: false, ..
            },
            _,
        ) => 0,
        (
            Purpose::Continue { .. },
            Place::WithinMessage {
                compressed: false,
                length,
            },
        ) => length,
        _ => return Ok(()),
    };
    match length.checked_add(before as u64) {
        Some(whole) if whole <= rules.message_bytes as u64 => Ok(()),
        _ => Err(FrameViolation::MessageTooBig),
    }
}

/// The heads that this side writes: whole frames, never masked.
#[derive(Debug, Clone, Copy)]
pub(super) enum Outgoing {
    Data { kind: Kind, compressed: bool },
    Control(Control),
}

impl Outgoing {
    fn first_byte(self) -> u8 {
        FIN | match self {
            Self::Data { kind, compressed } => {
                let opcode = match kind {
                    Kind::Text => 0x1,
                    Kind::Binary => 0x2,
                };
                if compressed { opcode | RSV1 } else { opcode }
            }
            Self::Control(Control::Close) => 0x8,
            Self::Control(Control::Ping) => 0x9,
            Self::Control(Control::Pong) => 0xa,
        }
    }

    /// The head of a frame with so many bytes of payload.
    pub(super) fn head(self, length: usize) -> OutgoingHead {
        let mut head = OutgoingHead {
            bytes: [0; 10],
            length: 0,
        };
        head.push(&[self.first_byte()]);
        match length {
            0..=125 => head.push(&[length as u8]),
            126..=0xffff => {
                head.push(&[126]);
                head.push(&(length as u16).to_be_bytes());
            }
            _ => {
                head.push(&[127]);
                head.push(&(length as u64).to_be_bytes());
            }
        }
        head
    }
}

/// The bytes of a head; at most ten without a mask.
#[derive(Debug, Clone, Copy)]
pub(super) struct OutgoingHead {
    bytes: [u8; 10],
    length: usize,
}

impl OutgoingHead {
    fn push(&mut self, bytes: &[u8]) {
        self.bytes[self.length..self.length + bytes.len()].copy_from_slice(bytes);
        self.length += bytes.len();
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}
