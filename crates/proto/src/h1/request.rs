//! A request head: the bytes as they came, and where its parts stand in them.

use super::fields::{FieldSpan, Span, list_elements};
use super::framing::{Conclusion, Facts, Framing};
use super::limits::{EMPTY_LINES, HEAD_BYTES, Limits};
use super::request_line::{RequestLine, parse_request_line};
use super::target::TargetForm;
use super::tolerance::straighten;
use super::violation::Violation;
use super::walk::{CleanHead, Walk};

/// The versions that are told apart. A higher minor version counts as 1.1 (RFC 9110, section 2.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1
    Http11,
}

/// A request head that broke no rule. It owns its bytes: one copy, and one list of where the fields stand.
#[derive(Debug, Clone)]
pub struct Request {
    /// From the request line to the empty line.
    head: Vec<u8>,
    fields: Vec<FieldSpan>,
    line_length: usize,
    line: RequestLine,
    host: Span,
    conclusion: Conclusion,
}

/// Reads a request head at the beginning of `input`.
///
/// `Ok(None)` asks for more bytes; otherwise the request comes with the number of bytes that it took. This starts anew at
/// every call, which suits a caller that mostly holds whole heads; one that holds a part keeps a [`HeadParser`].
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
    /// Reads a request head at the beginning of `input`, which has to begin where it began at the last call that returned
    /// `Ok(None)`, with more bytes at its end. After any other result the parser is ready for the next request.
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

    /// As [`HeadParser::parse`], but uses the memory of a request that is no longer needed. What `request` holds is
    /// meaningful only after `Ok(Some(consumed))`.
    ///
    /// # Errors
    /// The first rule that the head breaks, however little of it has arrived.
    pub fn parse_into(
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

/// Fields that are parsed without asking for memory. Browsers send 10 to 20; whoever sends more pays one allocation.
const INLINE_FIELDS: usize = 32;

/// The short way, for a head that arrived whole and breaks no rule of its lines. `None` says that this is not such a head,
/// never why: the walk finds that out, in the order of the lines.
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

/// Where `part`, which is a part of `whole`, begins in it.
fn offset(whole: &[u8], part: &[u8]) -> usize {
    part.as_ptr().addr().wrapping_sub(whole.as_ptr().addr())
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
        // No line is known that the walk accepts and httparse does not: the fuzzer asserts it. Should there be one, it is
        // refused.
        _ => Err(Violation::FieldName),
    }
}

impl Request {
    /// A request that holds nothing yet, for [`HeadParser::parse_into`].
    #[must_use]
    pub fn empty() -> Self {
        Self {
            head: Vec::new(),
            fields: Vec::new(),
            line_length: 0,
            line: RequestLine::empty(),
            host: Span::default(),
            conclusion: Conclusion::empty(),
        }
    }

    fn fill(
        &mut self,
        head: &[u8],
        line: RequestLine,
        line_length: usize,
        headers: &[httparse::Header<'_>],
        limits: &Limits,
    ) -> Result<(), Violation> {
        self.head.clear();
        self.head.extend_from_slice(head);
        if limits.casefold_method {
            self.head[..line.method_length].make_ascii_uppercase();
        }
        self.line = line;
        self.line_length = line_length;
        let facts = self.read_fields(head, headers)?;
        self.conclusion = facts.conclude(line.version)?;
        self.host = match (line.target.authority, facts.host) {
            // "the host and optional port of the request-target" replace the Host field (RFC 9112, section 3.2.2).
            (Some(authority), _) => authority,
            (None, Some(index)) => self.fields[index].value,
            (None, None) => Span::default(),
        };
        Ok(())
    }

    fn read_fields(
        &mut self,
        head: &[u8],
        headers: &[httparse::Header<'_>],
    ) -> Result<Facts, Violation> {
        let mut facts = Facts::default();
        self.fields.clear();
        self.fields.reserve(headers.len());
        for (index, header) in headers.iter().enumerate() {
            let name = header.name.as_bytes();
            let span = FieldSpan {
                name: Span::new(offset(head, name), name.len()),
                value: Span::new(offset(head, header.value), header.value.len()),
            };
            self.fields.push(span);
            facts.note(index, name, header.value)?;
        }
        Ok(facts)
    }

    /// The method, in upper case if the limits ask for that.
    #[must_use]
    pub fn method(&self) -> &[u8] {
        &self.head[..self.line.method_length]
    }

    /// The request target as it was sent.
    #[must_use]
    pub fn target(&self) -> &[u8] {
        self.line.target.whole.of(&self.head)
    }

    /// The path of the target, as it was sent: not decoded, without query and fragment. `/` where an absolute-form has
    /// none, `*` for asterisk-form, empty for authority-form.
    #[must_use]
    pub fn path(&self) -> &[u8] {
        match self.line.target.path.of(&self.head) {
            b"" if self.form() == TargetForm::Absolute => b"/",
            path => path,
        }
    }

    /// The query of the target without its `?` and without fragment, or nothing.
    #[must_use]
    pub fn query(&self) -> &[u8] {
        self.line.target.query.of(&self.head)
    }

    /// The form of the target.
    #[must_use]
    pub fn form(&self) -> TargetForm {
        self.line.target.form
    }

    /// The version, with 1.2 to 1.9 counted as 1.1.
    #[must_use]
    pub fn version(&self) -> Version {
        self.line.version
    }

    /// The head as it came, from the request line to the empty line.
    #[must_use]
    pub fn head(&self) -> &[u8] {
        &self.head
    }

    /// The request line without its line ending, for logs.
    #[must_use]
    pub fn line(&self) -> &[u8] {
        &self.head[..self.line_length]
    }

    /// The host and optional port that the request addresses: the target's if it names them, else the Host field's. Empty
    /// only in HTTP/1.0.
    #[must_use]
    pub fn host(&self) -> &[u8] {
        self.host.of(&self.head)
    }

    /// The field lines with their line endings, as they were sent, up to the empty line. Equal blocks have equal fields.
    #[must_use]
    pub fn field_block(&self) -> &[u8] {
        let end = self.head.len().saturating_sub(b"\r\n".len());
        self.head
            .get(self.line_length + b"\r\n".len()..end)
            .unwrap_or_default()
    }

    /// Names (in the peer's spelling) and values of the fields, in their order.
    pub fn fields(&self) -> impl ExactSizeIterator<Item = (&[u8], &[u8])> + Clone {
        self.fields.iter().map(|field| field.of(&self.head))
    }

    /// The value of the first field of that name, whatever the case of its letters.
    #[must_use]
    pub fn field(&self, name: &[u8]) -> Option<&[u8]> {
        self.fields()
            .find(|(candidate, _)| candidate.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    /// Whether the peer takes trailer fields (RFC 9110, section 10.1.4), and the version has a place for them.
    #[must_use]
    pub fn takes_trailers(&self) -> bool {
        let said = |(name, value): (&[u8], &[u8])| {
            name.eq_ignore_ascii_case(b"te")
                && list_elements(value).any(|coding| coding.eq_ignore_ascii_case(b"trailers"))
        };
        self.version() == Version::Http11 && self.fields().any(said)
    }

    /// How the body is delimited.
    #[must_use]
    pub fn framing(&self) -> Framing {
        self.conclusion.framing
    }

    /// Whether the peer wants the connection to stay open after this exchange.
    #[must_use]
    pub fn keep_alive(&self) -> bool {
        self.conclusion.keep_alive
    }

    /// Whether the peer waits for [`super::CONTINUE`] before it sends its body.
    #[must_use]
    pub fn expects_continue(&self) -> bool {
        self.conclusion.expects_continue
    }

    /// Whether the response has to come without its body (RFC 9110, section 9.3.2).
    #[must_use]
    pub fn is_head(&self) -> bool {
        self.method() == b"HEAD"
    }
}

impl Default for Request {
    fn default() -> Self {
        Self::empty()
    }
}
