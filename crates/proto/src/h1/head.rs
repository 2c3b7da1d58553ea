//! Reads request heads of HTTP/1: finds the parts of a head in the bytes, and which rule a head breaks that is not
//! clean.

use super::request_line::parse_request_line;
use super::tolerance::straighten;
use super::walk::{CleanHead, Walk};
use crate::fields::offset;
use crate::limits::{EMPTY_LINES, HEAD_BYTES, Limits};
use crate::request::Request;
use crate::violation::Violation;

/// Reads a request head at the beginning of `input`.
///
/// `Ok(None)` asks for more bytes; otherwise the request comes with the number of bytes that it took. This starts anew
/// at every call, which suits a caller that mostly holds whole heads; one that holds a part keeps a [`HeadParser`].
///
/// # Errors
/// The first rule that the head breaks, however little of it has arrived.
pub fn parse_request(input: &[u8], limits: &Limits) -> Result<Option<(Request, usize)>, Violation> {
    HeadParser::default().parse(input, limits)
}

/// Reads request heads that arrive in pieces, without reading any byte of them twice while they are incomplete.
#[derive(Debug, Default)]
pub struct HeadParser {
    walk: Walk,
}

impl HeadParser {
    /// Reads a request head at the beginning of `input`, which has to begin where it began at the last call that
    /// returned `Ok(None)`, with more bytes at its end. After any other result the parser is ready for the next
    /// request.
    ///
    /// # Errors
    /// The first rule that the head breaks, however little of it has arrived.
    pub fn parse(
        &mut self,
        input: &[u8],
        limits: &Limits,
    ) -> Result<Option<(Request, usize)>, Violation> {
        let mut request = Request::empty();
        let consumed = self.parse_into(input, limits, &mut request)?;
        Ok(consumed.map(|consumed| (request, consumed)))
    }

    fn parse_into(
        &mut self,
        input: &[u8],
        limits: &Limits,
        request: &mut Request,
    ) -> Result<Option<usize>, Violation> {
        if self.walk.is_fresh()
            && let Some(outcome) = parse_at_once(input, limits, request)
        {
            return outcome.map(Some);
        }
        let outcome = self.parse_by_line(input, limits, request);
        if !matches!(outcome, Ok(None)) {
            self.walk = Walk::default();
        }
        outcome
    }

    fn parse_by_line(
        &mut self,
        input: &[u8],
        limits: &Limits,
        request: &mut Request,
    ) -> Result<Option<usize>, Violation> {
        let Some(head) = self.walk.advance(input, limits)? else {
            return Ok(None);
        };
        assemble(input, head, limits, request)?;
        Ok(Some(head.end))
    }
}

/// Fields that are parsed without asking for memory. Browsers send 10 to 20; a request with more costs one allocation.
const INLINE_FIELDS: usize = 32;

/// The short way, for a head that arrived whole and breaks no rule of its lines. `None` says that this is not such a
/// head, never why: the walk finds that out, in the order of the lines.
fn parse_at_once(
    input: &[u8],
    limits: &Limits,
    request: &mut Request,
) -> Option<Result<usize, Violation>> {
    let start = skip_empty_lines(input);
    let head = &input[start..];
    let line_end = memchr::memchr(b'\n', head)? + 1;
    let line = head[..line_end].strip_suffix(b"\r\n")?;
    if line.len() > limits.request_line_content() {
        return None;
    }
    let request_line = parse_request_line(line, limits).ok()?;
    let mut headers = [httparse::EMPTY_HEADER; INLINE_FIELDS];
    let (length, headers) = match httparse::parse_headers(&head[line_end..], &mut headers) {
        Ok(httparse::Status::Complete(complete)) => complete,
        _ => return None,
    };
    let end = line_end + length;
    if headers.len() > limits.field_count() || start + end > HEAD_BYTES {
        return None;
    }
    let head = &head[..end];
    if !lines_are_clean(head, headers, limits) {
        return None;
    }
    Some(
        request
            .fill(head, request_line, line.len(), headers, limits)
            .map(|()| start + end),
    )
}

fn skip_empty_lines(input: &[u8]) -> usize {
    let lines = input
        .chunks_exact(2)
        .take(EMPTY_LINES)
        .take_while(|line| line == b"\r\n");
    2 * lines.count()
}

/// httparse accepts LF alone as a line ending. It skips nothing between a line and the next, so the byte before the LF
/// stands two before the next name, and is CR or part of a value.
fn lines_are_clean(head: &[u8], headers: &[httparse::Header<'_>], limits: &Limits) -> bool {
    let longest = limits.field_content();
    let starts = headers
        .iter()
        .map(|header| offset(head, header.name.as_bytes()));
    let next_starts = starts.clone().skip(1).chain([head.len() - 2]);
    head.ends_with(b"\r\n")
        && starts.zip(next_starts).all(|(start, next)| {
            head.get(next.wrapping_sub(2)) == Some(&b'\r') && next - 2 - start <= longest
        })
}

/// The long way's end: every line was judged, so httparse has only to say where the parts stand.
fn assemble(
    input: &[u8],
    clean: CleanHead,
    limits: &Limits,
    request: &mut Request,
) -> Result<(), Violation> {
    let head = &straighten(&input[clean.start..clean.end], limits);
    let line_end = memchr::memchr(b'\n', head).map_or(head.len(), |end| end + 1);
    let line = head[..line_end].strip_suffix(b"\r\n").unwrap_or_default();
    let request_line = parse_request_line(line, limits)?;
    let mut headers = vec![httparse::EMPTY_HEADER; clean.fields];
    match httparse::parse_headers(&head[line_end..], &mut headers) {
        Ok(httparse::Status::Complete((_, headers))) => {
            request.fill(head, request_line, line.len(), headers, limits)
        }
        // No line is known that the walk accepts and httparse does not: the fuzzer asserts it. Should there be one, it
        // is refused.
        _ => Err(Violation::FieldName),
    }
}
