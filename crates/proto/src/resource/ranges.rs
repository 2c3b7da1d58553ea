//! Ranges of bytes (RFC 9110, section 14): which part of a representation a client wants, and how several parts make
//! one body.

use crate::fields::{list_elements, trim_blanks};

/// The most ranges that one answer has. A client that wants more gets the whole: many small ranges cost much more than
/// their bytes (RFC 9110, section 14.2, permits that).
const MOST_RANGES: usize = 32;

/// A range that lies within its representation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByteRange {
    /// Its first byte.
    pub first: u64,
    /// How many bytes it has; never 0.
    pub length: u64,
}

/// What a Range field selects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ByteRanges {
    /// Everything: the field says nothing that can be obeyed.
    Whole,
    /// 206 with one part.
    One(ByteRange),
    /// 206 with several parts, in the order in which they were asked for.
    Several(Vec<ByteRange>),
    /// 416: no range of the set begins within the representation.
    Unsatisfiable,
}

impl ByteRanges {
    /// Reads the value of a Range field for a representation of `length` bytes. A field that breaks the grammar counts
    /// as none, and so does a set whose parts are together longer than the whole.
    #[must_use]
    pub fn select(value: &[u8], length: u64) -> Self {
        let Some(set) = specifiers(value) else {
            return Self::Whole;
        };
        let mut ranges = Vec::new();
        let mut count = 0;
        for element in list_elements(set).filter(|element| !element.is_empty()) {
            count += 1;
            let Some(range) = read(element, length).filter(|_| count <= MOST_RANGES) else {
                return Self::Whole;
            };
            match range {
                Selected::Nothing => {}
                Selected::Everything => return Self::Whole,
                Selected::Part(range) => ranges.push(range),
            }
        }
        let total = ranges
            .iter()
            .fold(0_u64, |total, range| total.saturating_add(range.length));
        match ranges.as_slice() {
            [] if count == 0 => Self::Whole,
            [] => Self::Unsatisfiable,
            [only] => Self::One(*only),
            _ if total > length => Self::Whole,
            _ => Self::Several(ranges),
        }
    }
}

/// What stands behind `bytes=`.
fn specifiers(value: &[u8]) -> Option<&[u8]> {
    let value = trim_blanks(value);
    let equals = value.iter().position(|&byte| byte == b'=')?;
    let (unit, set) = value.split_at(equals);
    unit.eq_ignore_ascii_case(b"bytes").then_some(&set[1..])
}

enum Selected {
    /// It begins behind the last byte.
    Nothing,
    /// The last bytes of nothing are nothing, which 206 cannot say.
    Everything,
    Part(ByteRange),
}

/// One specifier; `None` where it breaks the grammar.
fn read(element: &[u8], length: u64) -> Option<Selected> {
    let dash = element.iter().position(|&byte| byte == b'-')?;
    let (first, last) = (
        trim_blanks(&element[..dash]),
        trim_blanks(&element[dash + 1..]),
    );
    if first.is_empty() {
        let wanted = number(last)?;
        return Some(match (wanted.min(length), length) {
            (0, 0) if wanted > 0 => Selected::Everything,
            (0, _) => Selected::Nothing,
            (wanted, _) => Selected::Part(ByteRange {
                first: length - wanted,
                length: wanted,
            }),
        });
    }
    let first = number(first)?;
    let last = match last {
        [] => u64::MAX,
        last => number(last)?,
    };
    if last < first {
        return None;
    }
    if first >= length {
        return Some(Selected::Nothing);
    }
    Some(Selected::Part(ByteRange {
        first,
        length: last.min(length - 1) - first + 1,
    }))
}

/// Digits alone. A number that no length reaches counts as the largest: it is in the grammar.
fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let add = |number: u64, digit: &u8| {
        number
            .saturating_mul(10)
            .saturating_add(u64::from(digit - b'0'))
    };
    Some(digits.iter().fold(0, add))
}

/// The value of Content-Range for a part of a representation of `length` bytes.
#[must_use]
pub fn content_range(range: ByteRange, length: u64) -> String {
    let last = range.first + range.length.saturating_sub(1);
    format!("bytes {}-{last}/{length}", range.first)
}

/// The value of Content-Range in a 416.
#[must_use]
pub fn unsatisfied_range(length: u64) -> String {
    format!("bytes */{length}")
}

/// A body of the type multipart/byteranges (RFC 9110, section 14.6).
#[derive(Debug, Clone)]
pub struct Multipart {
    /// What stands before each part, with its range.
    pub parts: Vec<(Vec<u8>, ByteRange)>,
    /// What stands behind the last one.
    pub end: Vec<u8>,
    /// The value of Content-Type.
    pub content_type: String,
}

impl Multipart {
    /// Lays the body out. `number` distinguishes its boundary from those of other answers.
    #[must_use]
    pub fn new(ranges: &[ByteRange], length: u64, content_type: &str, number: u64) -> Self {
        // Multiplied, lest the boundary of an answer can be told beforehand by counting requests.
        let boundary = format!("{:020}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let head = |range: &ByteRange| {
            let place = content_range(*range, length);
            let head = format!(
                "\r\n--{boundary}\r\nContent-Type: {content_type}\r\nContent-Range: {place}\r\n\r\n"
            );
            (head.into_bytes(), *range)
        };
        Self {
            parts: ranges.iter().map(head).collect(),
            end: format!("\r\n--{boundary}--\r\n").into_bytes(),
            content_type: format!("multipart/byteranges; boundary={boundary}"),
        }
    }

    /// The length of the whole body.
    #[must_use]
    pub fn length(&self) -> u64 {
        let part = |(head, range): &(Vec<u8>, ByteRange)| head.len() as u64 + range.length;
        self.parts.iter().map(part).sum::<u64>() + self.end.len() as u64
    }
}
