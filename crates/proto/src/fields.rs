//! Field lines: the characters they may consist of, and the verdict over a line that httparse does not accept.

use crate::violation::Violation;

/// A part of a buffer. Numbers of 32 bits, because spans are many and heads are small.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Span {
    start: u32,
    length: u32,
}

impl Span {
    /// What peers send is bounded by `HEAD_BYTES`, so the casts lose nothing. An application that states 4 GiB of
    /// fields would read other ones back; what goes out does not depend on spans.
    pub(crate) fn new(start: usize, length: usize) -> Self {
        Self {
            start: start as u32,
            length: length as u32,
        }
    }

    /// The span of `part`, which is a part of `whole`.
    pub(crate) fn within(whole: &[u8], part: &[u8]) -> Self {
        Self::new(offset(whole, part), part.len())
    }

    pub(crate) fn of(self, buffer: &[u8]) -> &[u8] {
        let start = self.start as usize;
        buffer
            .get(start..start + self.length as usize)
            .unwrap_or_default()
    }
}

/// Where `part`, which is a part of `whole`, begins in it.
pub(crate) fn offset(whole: &[u8], part: &[u8]) -> usize {
    part.as_ptr().addr().wrapping_sub(whole.as_ptr().addr())
}

/// Where a field stands in its buffer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FieldSpan {
    pub(crate) name: Span,
    pub(crate) value: Span,
}

impl FieldSpan {
    /// The name in the peer's spelling, and the value without the white space around it.
    pub(crate) fn of(self, buffer: &[u8]) -> (&[u8], &[u8]) {
        (self.name.of(buffer), self.value.of(buffer))
    }
}

const fn token_table() -> [bool; 256] {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 128 {
        table[byte] = matches!(
            byte as u8,
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z'
            | b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~'
        );
        byte += 1;
    }
    table
}

static TOKEN: [bool; 256] = token_table();

/// A character of a token (RFC 9110, section 5.6.2).
pub(crate) fn is_token_byte(byte: u8) -> bool {
    TOKEN[byte as usize]
}

/// A token: one or more token characters.
pub(crate) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|&byte| is_token_byte(byte))
}

/// Whether any byte is one of those. Looks at all of them without early exit, in the type of the bytes themselves: that
/// is the form which the compiler turns into vector instructions.
pub(crate) fn any_byte(bytes: &[u8], is_one: impl Fn(u8) -> bool) -> bool {
    bytes
        .iter()
        .fold(0, |found, &byte| found | u8::from(is_one(byte)))
        != 0
}

/// Free of control characters but HTAB, as a field value has to be (RFC 9110, section 5.5).
pub(crate) fn is_field_content(bytes: &[u8]) -> bool {
    !any_byte(bytes, |byte| (byte < b' ' && byte != b'\t') || byte == 0x7f)
}

/// Without the spaces and tabs at both ends ("optional white space", RFC 9110, section 5.6.3).
pub(crate) fn trim_blanks(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = bytes {
        bytes = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

/// The elements of a comma-separated list, without their white space; empty ones included.
pub(crate) fn list_elements(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&byte| byte == b',').map(trim_blanks)
}

/// Splits the content of a field line (without its CRLF) into name and value, or says which rule it breaks.
pub(crate) fn split_field(line: &[u8]) -> Result<(&[u8], &[u8]), Violation> {
    if let [b' ' | b'\t', ..] = line {
        return Err(Violation::ObsoleteFolding);
    }
    let colon = memchr::memchr(b':', line).ok_or_else(|| without_colon(line))?;
    let (name, value) = (&line[..colon], &line[colon + 1..]);
    if !is_token(name) {
        return Err(refuse_name(name));
    }
    check_value(value)?;
    Ok((name, trim_blanks(value)))
}

/// Refuses control characters in a field value.
pub(crate) fn check_value(value: &[u8]) -> Result<(), Violation> {
    if is_field_content(value) {
        Ok(())
    } else if value.contains(&b'\r') {
        Err(Violation::BareCr)
    } else {
        Err(Violation::FieldValue)
    }
}

fn without_colon(line: &[u8]) -> Violation {
    if line.contains(&b'\r') {
        Violation::BareCr
    } else {
        Violation::MissingColon
    }
}

/// The rule that a field name breaks which is no token.
pub(crate) fn refuse_name(name: &[u8]) -> Violation {
    match name {
        [rest @ .., b' ' | b'\t'] if is_token(trim_blanks(rest)) => Violation::SpaceBeforeColon,
        _ if name.contains(&b'\r') => Violation::BareCr,
        _ => Violation::FieldName,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &[u8], expected: Result<(&[u8], &[u8]), Violation>) {
        assert_eq!(split_field(line), expected, "{}", line.escape_ascii());
    }

    #[test]
    fn a_field_line_is_split_or_its_broken_rule_named() {
        check(b"Host: a", Ok((b"Host", b"a")));
        check(b"Host:", Ok((b"Host", b"")));
        check(b"Host: \t a b\t ", Ok((b"Host", b"a b")));
        check(b"X: \xff\t\x80", Ok((b"X", b"\xff\t\x80")));
        check(b" folded", Err(Violation::ObsoleteFolding));
        check(b"\tfolded: x", Err(Violation::ObsoleteFolding));
        check(b"Host", Err(Violation::MissingColon));
        check(b"Host : a", Err(Violation::SpaceBeforeColon));
        check(b"Host\t: a", Err(Violation::SpaceBeforeColon));
        check(b": a", Err(Violation::FieldName));
        check(b"Ho st: a", Err(Violation::FieldName));
        check(b"Ho\0st: a", Err(Violation::FieldName));
        check(b"X: a\x00b", Err(Violation::FieldValue));
        check(b"X: a\x7fb", Err(Violation::FieldValue));
        check(b"X: a\rb", Err(Violation::BareCr));
        check(b"X\rY: b", Err(Violation::BareCr));
    }
}
