//! The two licences over field lines, folding and blanks before the colon, and how a head that used them is put
//! straight before anybody reads it. Neither holds for a field that frames or routes the message: a reader that does
//! not know the licence would see another request there, which is how requests are smuggled.

use std::borrow::Cow;

use crate::fields::{check_value, split_field, trim_blanks};
use crate::limits::Limits;
use crate::violation::Violation;

/// The fields that decide where a message ends and whom it is for.
const EXACT_FIELDS: [&[u8]; 3] = [b"Content-Length", b"Transfer-Encoding", b"Host"];

/// What the walk has to remember of a field line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FieldLine {
    /// Whether the next line may continue it.
    pub(super) may_be_folded: bool,
}

/// Judges the content of a field line (without its CRLF) that begins a field.
pub(super) fn read_field(line: &[u8], limits: &Limits) -> Result<FieldLine, Violation> {
    let name = match split_field(line) {
        Ok((name, _)) => name,
        Err(Violation::SpaceBeforeColon) if limits.space_before_colon => split_spaced(line)?,
        Err(violation) => return Err(violation),
    };
    Ok(FieldLine {
        may_be_folded: limits.obsolete_folding && !is_exact(name),
    })
}

/// The name of a field with blanks before its colon.
fn split_spaced(line: &[u8]) -> Result<&[u8], Violation> {
    let colon = memchr::memchr(b':', line).ok_or(Violation::MissingColon)?;
    let name = trim_blanks(&line[..colon]);
    if is_exact(name) {
        return Err(Violation::SpaceBeforeColon);
    }
    check_value(&line[colon + 1..])?;
    Ok(name)
}

fn is_exact(name: &[u8]) -> bool {
    EXACT_FIELDS
        .iter()
        .any(|exact| name.eq_ignore_ascii_case(exact))
}

/// Whether a line that is not empty continues the field before it.
pub(super) fn continues(line: &[u8]) -> bool {
    matches!(line, [b' ' | b'\t', ..])
}

/// Judges a line that continues a field: all of it is value.
pub(super) fn read_fold(line: &[u8]) -> Result<(), Violation> {
    check_value(line)
}

/// The head with every field on one line and no blank before a colon. "A server [...] MUST either reject the message
/// [...] or replace each received obs-fold with one or more SP octets prior to interpreting the field value" (RFC 9112,
/// section 5.2). Every line of `head` has been judged.
pub(super) fn straighten<'a>(head: &'a [u8], limits: &Limits) -> Cow<'a, [u8]> {
    if !limits.obsolete_folding && !limits.space_before_colon {
        return Cow::Borrowed(head);
    }
    let mut lines = head.split_inclusive(|&byte| byte == b'\n');
    let mut straight = Vec::with_capacity(head.len());
    straight.extend_from_slice(lines.next().unwrap_or_default());
    for line in lines {
        if continues(line) {
            let so_far = straight.strip_suffix(b"\r\n").unwrap_or(&straight);
            let kept = so_far.len() - trailing_blanks(so_far);
            straight.truncate(kept);
            straight.push(b' ');
            straight.extend_from_slice(&line[leading_blanks(line)..]);
        } else {
            let colon = memchr::memchr(b':', line).unwrap_or_default();
            let (name, rest) = line.split_at(colon);
            straight.extend_from_slice(trim_blanks(name));
            straight.extend_from_slice(rest);
        }
    }
    Cow::Owned(straight)
}

fn is_blank(byte: &u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

fn leading_blanks(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|byte| is_blank(byte)).count()
}

fn trailing_blanks(bytes: &[u8]) -> usize {
    bytes.iter().rev().take_while(|byte| is_blank(byte)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_put_straight() {
        let tolerant = Limits {
            obsolete_folding: true,
            space_before_colon: true,
            ..Limits::default()
        };
        let check = |fields: &str, expected: &str| {
            let head = format!("GET / HTTP/1.1\r\n{fields}\r\n");
            let straight = straighten(head.as_bytes(), &tolerant).into_owned();
            let expected = format!("GET / HTTP/1.1\r\n{expected}\r\n");
            assert_eq!(
                straight.escape_ascii().to_string(),
                expected.as_bytes().escape_ascii().to_string()
            );
        };
        check("", "");
        check("X: 1\r\n", "X: 1\r\n");
        check("X \t: 1\r\nY\t:2\r\n", "X: 1\r\nY:2\r\n");
        check("X: 1 \r\n\t 2\r\n", "X: 1 2\r\n");
        check(
            "X:\r\n \r\n 2 \r\nY: a: b\r\n  c : d\r\n",
            "X: 2 \r\nY: a: b c : d\r\n",
        );
    }
}
