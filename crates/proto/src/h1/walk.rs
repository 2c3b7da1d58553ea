//! The walk over the lines of a head that is not complete yet, or not clean.
//!
//! It remembers how far it came, so a head that arrives byte by byte is read once, not once a byte; it holds the limits
//! also against the unfinished line; and it decides which rule counts when several are broken: that of the first line
//! that breaks one. The verdict is therefore the same however the bytes were cut.

use super::request_line::parse_request_line;
use super::tolerance::{continues, read_field, read_fold};
use crate::fields::is_token_byte;
use crate::limits::{EMPTY_LINES, HEAD_BYTES, Limits};
use crate::request::refuse_length;
use crate::violation::Violation;

/// How far a head was read.
#[derive(Debug, Default)]
pub(super) struct Walk {
    /// Where the line begins that is not complete yet.
    line_start: usize,
    /// No line ending stands between `line_start` and here.
    searched: usize,
    stage: Stage,
}

#[derive(Debug, Clone, Copy)]
enum Stage {
    BeforeRequestLine {
        empty_lines: usize,
    },
    Fields {
        head_start: usize,
        count: usize,
        /// Where the last field begins, if further lines may be folded to it.
        foldable: Option<usize>,
    },
}

impl Default for Stage {
    fn default() -> Self {
        Self::BeforeRequestLine { empty_lines: 0 }
    }
}

/// A head whose every line is well formed and within the limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CleanHead {
    /// Where the request line begins.
    pub(super) start: usize,
    /// One past the empty line.
    pub(super) end: usize,
    /// How many fields it has.
    pub(super) fields: usize,
}

impl Walk {
    /// Nothing was read yet.
    pub(super) fn is_fresh(&self) -> bool {
        self.searched == 0
    }

    /// Reads on. `input` begins where it began at the last call and is at least as long.
    pub(super) fn advance(
        &mut self,
        input: &[u8],
        limits: &Limits,
    ) -> Result<Option<CleanHead>, Violation> {
        loop {
            let from = self.searched.min(input.len());
            let Some(offset) = memchr::memchr(b'\n', &input[from..]) else {
                self.searched = input.len();
                self.judge_unfinished(&input[self.line_start..], limits)?;
                return Ok(None);
            };
            let end = from + offset;
            let line = Line::new(&input[self.line_start..end]);
            if let Some(head) = self.judge(line, end + 1, limits)? {
                return Ok(Some(head));
            }
            self.line_start = end + 1;
            self.searched = end + 1;
        }
    }

    fn judge(
        &mut self,
        line: Line<'_>,
        next: usize,
        limits: &Limits,
    ) -> Result<Option<CleanHead>, Violation> {
        match self.stage {
            Stage::BeforeRequestLine { empty_lines } if line.content.is_empty() => {
                line.check_ending()?;
                if empty_lines == EMPTY_LINES {
                    return Err(Violation::LeadingEmptyLines);
                }
                self.stage = Stage::BeforeRequestLine {
                    empty_lines: empty_lines + 1,
                };
                Ok(None)
            }
            Stage::BeforeRequestLine { .. } => {
                check_first_byte(line.content)?;
                self.check_request_line_length(line.content, limits)?;
                line.check_ending()?;
                parse_request_line(line.content, limits)?;
                self.stage = Stage::Fields {
                    head_start: self.line_start,
                    count: 0,
                    foldable: None,
                };
                Ok(None)
            }
            Stage::Fields {
                head_start, count, ..
            } if line.content.is_empty() => {
                line.check_ending()?;
                Ok(Some(CleanHead {
                    start: head_start,
                    end: next,
                    fields: count,
                }))
            }
            Stage::Fields {
                foldable: Some(field_start),
                ..
            } if continues(line.content) => {
                self.check_field_length(field_start, line.content, limits)?;
                line.check_ending()?;
                read_fold(line.content)?;
                Ok(None)
            }
            Stage::Fields {
                head_start, count, ..
            } => {
                check_count(count, limits)?;
                self.check_field_length(self.line_start, line.content, limits)?;
                line.check_ending()?;
                let field = read_field(line.content, limits)?;
                self.stage = Stage::Fields {
                    head_start,
                    count: count + 1,
                    foldable: field.may_be_folded.then_some(self.line_start),
                };
                Ok(None)
            }
        }
    }

    /// The same limits in the same order as for a finished line, so that a flood without line ends is refused at once.
    fn judge_unfinished(&self, rest: &[u8], limits: &Limits) -> Result<(), Violation> {
        let content = Line::new(rest).content;
        if content.is_empty() {
            return Ok(());
        }
        match self.stage {
            Stage::BeforeRequestLine { .. } => {
                check_first_byte(content)?;
                self.check_request_line_length(content, limits)
            }
            Stage::Fields {
                foldable: Some(field_start),
                ..
            } if continues(content) => self.check_field_length(field_start, content, limits),
            Stage::Fields { count, .. } => {
                check_count(count, limits)?;
                self.check_field_length(self.line_start, content, limits)
            }
        }
    }

    fn check_request_line_length(&self, content: &[u8], limits: &Limits) -> Result<(), Violation> {
        let longest = limits.request_line_content().min(self.room());
        if content.len() > longest {
            Err(refuse_length(content, longest))
        } else {
            Ok(())
        }
    }

    /// Holds the limits against the field that began at `start` and whose present line is `content`.
    fn check_field_length(
        &self,
        start: usize,
        content: &[u8],
        limits: &Limits,
    ) -> Result<(), Violation> {
        let length = self.line_start - start + content.len();
        let (longest, room) = (limits.field_content(), HEAD_BYTES.saturating_sub(start));
        if length <= longest.min(room) {
            Ok(())
        } else if longest <= room {
            Err(Violation::FieldTooLarge)
        } else {
            Err(Violation::HeadTooLarge)
        }
    }

    /// How long the line may be before the head breaks the bound of all heads.
    fn room(&self) -> usize {
        HEAD_BYTES.saturating_sub(self.line_start)
    }
}

/// A line without its LF, taken apart.
#[derive(Debug, Clone, Copy)]
struct Line<'a> {
    content: &'a [u8],
    has_cr: bool,
}

impl<'a> Line<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        match bytes {
            [content @ .., b'\r'] => Self {
                content,
                has_cr: true,
            },
            content => Self {
                content,
                has_cr: false,
            },
        }
    }

    fn check_ending(self) -> Result<(), Violation> {
        if self.has_cr {
            Ok(())
        } else {
            Err(Violation::BareLf)
        }
    }
}

/// A peer that speaks another protocol (TLS begins with 0x16) is refused at its first byte, not after a timeout.
fn check_first_byte(content: &[u8]) -> Result<(), Violation> {
    match content.first() {
        Some(b'\r') => Err(Violation::BareCr),
        Some(&byte) if !is_token_byte(byte) => Err(Violation::Method),
        _ => Ok(()),
    }
}

fn check_count(count: usize, limits: &Limits) -> Result<(), Violation> {
    if count >= limits.field_count() {
        Err(Violation::TooManyFields)
    } else {
        Ok(())
    }
}
