//! A request head that broke no rule: its bytes, and where its parts stand in them. HTTP/1 finds the parts in what the
//! peer sent; a protocol that states them one by one has the head assembled. The rules are the same for both.

use std::sync::Arc;

use crate::fields::{
    FieldSpan, Span, check_value, is_token, list_elements, refuse_name, trim_blanks,
};
use crate::framing::{Conclusion, Facts, Framing};
use crate::limits::{HEAD_BYTES, Limits};
use crate::target::{Target, TargetForm, parse_target};
use crate::uwsgi::UwsgiVariables;
use crate::violation::Violation;

/// The versions that are told apart. A higher minor version counts as 1.1 (RFC 9110, section 2.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1
    Http11,
    /// HTTP/2
    Http2,
}

impl Version {
    /// The version as a request line or a log spells it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http10 => "HTTP/1.0",
            Self::Http11 => "HTTP/1.1",
            Self::Http2 => "HTTP/2.0",
        }
    }

    /// Whether a body in this version can be of unknown length, followed by trailer fields, and preceded by interim
    /// responses; only HTTP/1.0 knows none of that.
    #[must_use]
    pub fn is_current(self) -> bool {
        self != Self::Http10
    }
}

/// A request head that broke no rule: one copy of its bytes, and one list of where the fields stand. Clones share both,
/// so that a thread that has to know of a request that another thread answers can keep it.
#[derive(Debug, Clone)]
pub struct Request {
    /// From the request line to the empty line.
    head: Arc<[u8]>,
    fields: Arc<[FieldSpan]>,
    line_length: usize,
    line: RequestLine,
    host: Span,
    conclusion: Conclusion,
    variables: Option<UwsgiVariables>,
}

/// What a request line says. Spans count from its first byte.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RequestLine {
    pub(crate) method_length: usize,
    pub(crate) target: Target,
    pub(crate) version: Version,
}

impl RequestLine {
    /// The line of a request that was not read yet.
    fn empty() -> Self {
        Self {
            method_length: 0,
            target: Target::empty(),
            version: Version::Http11,
        }
    }
}

/// What a protocol without a request line states instead of one.
#[derive(Debug, Clone, Copy)]
pub struct Stated<'a> {
    /// The method.
    pub method: &'a [u8],
    /// The request target, in one of the four forms of RFC 9112, section 3.2.
    pub target: &'a [u8],
    /// The version that the peer speaks.
    pub version: Version,
}

/// A head that is being assembled.
#[derive(Debug, Default)]
struct Draft {
    head: Vec<u8>,
    fields: Vec<FieldSpan>,
}

impl Draft {
    fn write_line(
        &mut self,
        stated: Stated<'_>,
        limits: &Limits,
    ) -> Result<(RequestLine, usize), Violation> {
        let Stated {
            method,
            target,
            version,
        } = stated;
        let parts = [method, b" ", target, b" ", version.as_str().as_bytes()];
        let line_length = parts.iter().map(|part| part.len()).sum();
        let longest = limits.request_line_content().min(HEAD_BYTES);
        if method.len() > longest {
            return Err(Violation::MethodTooLong);
        }
        if line_length > longest {
            return Err(Violation::RequestLineTooLong);
        }
        check_method(method, limits)?;
        let line = RequestLine {
            method_length: method.len(),
            target: parse_target(method, target, method.len() + 1)?,
            version,
        };
        parts
            .iter()
            .for_each(|part| self.head.extend_from_slice(part));
        self.head.extend_from_slice(b"\r\n");
        fold_method(&mut self.head, &line, limits);
        Ok((line, line_length))
    }

    fn write_field(&mut self, name: &[u8], value: &[u8], limits: &Limits) -> Result<(), Violation> {
        if self.fields.len() >= limits.field_count() {
            return Err(Violation::TooManyFields);
        }
        let length = name.len() + b":".len() + value.len();
        if length > limits.field_content() {
            return Err(Violation::FieldTooLarge);
        }
        if self.head.len() + length + b" \r\n\r\n".len() > HEAD_BYTES {
            return Err(Violation::HeadTooLarge);
        }
        if !is_token(name) {
            return Err(refuse_name(name));
        }
        check_value(value)?;
        let value = trim_blanks(value);
        let start = self.head.len();
        for part in [name, b": ", value, b"\r\n"] {
            self.head.extend_from_slice(part);
        }
        self.fields.push(FieldSpan {
            name: Span::new(start, name.len()),
            value: Span::new(start + name.len() + b": ".len(), value.len()),
        });
        Ok(())
    }
}

fn fold_method(head: &mut [u8], line: &RequestLine, limits: &Limits) {
    if limits.casefold_method {
        head[..line.method_length].make_ascii_uppercase();
    }
}

impl Request {
    /// What is known of a request whose head could not be read.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            head: Arc::default(),
            fields: Arc::default(),
            line_length: 0,
            line: RequestLine::empty(),
            host: Span::default(),
            conclusion: Conclusion::empty(),
            variables: None,
        }
    }

    /// The same request, of which a front server has said this.
    pub(crate) fn with_variables(self, variables: UwsgiVariables) -> Self {
        Self {
            variables: Some(variables),
            ..self
        }
    }

    /// The same request, with this field in place of all that have its name. The field must be a valid one that frames
    /// and routes nothing; it stands last.
    #[must_use]
    pub fn with_field(&self, name: &[u8], value: &[u8]) -> Self {
        let start = self.line_length + b"\r\n".len();
        let mut head = self.head.get(..start).unwrap_or_default().to_vec();
        let mut fields = Vec::with_capacity(self.fields.len() + 1);
        let mut host = self.host;
        let kept = self.fields.iter().filter(|field| {
            let (known, _) = field.of(&self.head);
            !known.eq_ignore_ascii_case(name)
        });
        let mut write = |name: &[u8], value: &[u8]| {
            let start = head.len();
            for part in [name, b": ", value, b"\r\n"] {
                head.extend_from_slice(part);
            }
            let field = FieldSpan {
                name: Span::new(start, name.len()),
                value: Span::new(start + name.len() + b": ".len(), value.len()),
            };
            fields.push(field);
            field.value
        };
        for field in kept {
            let (known, known_value) = field.of(&self.head);
            let span = write(known, known_value);
            if field.value == self.host {
                host = span;
            }
        }
        write(name, value);
        head.extend_from_slice(b"\r\n");
        Self {
            head: head.into(),
            fields: fields.into(),
            host,
            ..self.clone()
        }
    }

    /// What a front server that speaks the uwsgi protocol has said of the request; `None` for one that came by HTTP.
    #[must_use]
    pub fn variables(&self) -> Option<&UwsgiVariables> {
        self.variables.as_ref()
    }

    /// Makes a request of what another protocol than HTTP/1 states. It is judged by the same rules, in the same order,
    /// as if the peer had written it down as HTTP/1.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn assemble<'a>(
        stated: Stated<'_>,
        fields: impl IntoIterator<Item = (&'a [u8], &'a [u8])>,
        limits: &Limits,
    ) -> Result<Self, Violation> {
        let mut draft = Draft::default();
        let (line, line_length) = draft.write_line(stated, limits)?;
        for (name, value) in fields {
            draft.write_field(name, value, limits)?;
        }
        draft.head.extend_from_slice(b"\r\n");
        let mut facts = Facts::default();
        for (index, field) in draft.fields.iter().enumerate() {
            let (name, value) = field.of(&draft.head);
            facts.note(index, name, value)?;
        }
        let mut request = Self {
            head: draft.head.into(),
            fields: draft.fields.into(),
            line_length,
            ..Self::empty()
        };
        request.conclude(line, facts)?;
        Ok(request)
    }

    /// Takes over a head of HTTP/1 whose lines were judged; `headers` are parts of it.
    pub(crate) fn fill(
        &mut self,
        head: &[u8],
        line: RequestLine,
        line_length: usize,
        headers: &[httparse::Header<'_>],
        limits: &Limits,
    ) -> Result<(), Violation> {
        self.head = head.into();
        if let Some(head) = Arc::get_mut(&mut self.head) {
            fold_method(head, &line, limits);
        }
        self.line_length = line_length;
        let facts = self.read_fields(head, headers)?;
        self.conclude(line, facts)
    }

    fn read_fields(
        &mut self,
        head: &[u8],
        headers: &[httparse::Header<'_>],
    ) -> Result<Facts, Violation> {
        let span = |header: &httparse::Header<'_>| FieldSpan {
            name: Span::within(head, header.name.as_bytes()),
            value: Span::within(head, header.value),
        };
        self.fields = headers.iter().map(span).collect();
        let mut facts = Facts::default();
        for (index, header) in headers.iter().enumerate() {
            facts.note(index, header.name.as_bytes(), header.value)?;
        }
        Ok(facts)
    }

    fn conclude(&mut self, line: RequestLine, facts: Facts) -> Result<(), Violation> {
        self.line = line;
        self.conclusion = facts.conclude(line.version)?;
        self.host = match (line.target.authority, facts.host) {
            // "the host and optional port of the request-target" replace the Host field (RFC 9112, section 3.2.2).
            (Some(authority), _) => authority,
            (None, Some(index)) => self.fields[index].value,
            (None, None) => Span::default(),
        };
        Ok(())
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

    /// The host and optional port that the request addresses: the target's if it names them, else the Host field's.
    /// Empty only in HTTP/1.0.
    #[must_use]
    pub fn host(&self) -> &[u8] {
        self.host.of(&self.head)
    }

    /// The field lines with their line endings, as they were sent, up to the empty line. Equal blocks have equal
    /// fields.
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

    /// The value of the first field of that name, in any case of its letters.
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
        self.version().is_current() && self.fields().any(said)
    }

    /// What the request states as the length of its body.
    #[must_use]
    pub fn content_length(&self) -> Option<u64> {
        match self.framing() {
            Framing::Length(length) => Some(length),
            Framing::None | Framing::Chunked => None,
        }
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

    /// Whether the peer waits for 100 (Continue) before it sends its body.
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

/// Gunicorn's rule: a token of 3 to 20 characters, without lower-case letters and `#`.
///
/// Methods are case-sensitive; a lower-case `get` is a method that no specification defines, and accepting it as GET is
/// how filters are passed by. The operator can lift the rule, but never the token.
pub(crate) fn check_method(method: &[u8], limits: &Limits) -> Result<(), Violation> {
    if matches!(method, b"GET" | b"POST") {
        return Ok(());
    }
    let conventional = (3..=20).contains(&method.len())
        && !method
            .iter()
            .any(|byte| byte.is_ascii_lowercase() || *byte == b'#');
    if is_token(method) && (conventional || limits.unconventional_method) {
        Ok(())
    } else {
        Err(Violation::Method)
    }
}

/// The rule that a request line breaks which is longer than `longest`, and so are the bytes of it that are known. A
/// method that is longer by itself is one that this server does not implement (RFC 9112, section 3).
pub(crate) fn refuse_length(line: &[u8], longest: usize) -> Violation {
    match line
        .iter()
        .take(longest.saturating_add(1))
        .any(|&byte| byte == b' ')
    {
        true => Violation::RequestLineTooLong,
        false => Violation::MethodTooLong,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_takes_the_place_of_all_that_have_its_name() {
        let stated = Stated {
            method: b"GET",
            target: b"/a?b",
            version: Version::Http11,
        };
        let fields: [(&[u8], &[u8]); 4] = [
            (b"X-Id", b"forged"),
            (b"Host", b"shop.example"),
            (b"x-id", b"again"),
            (b"Accept", b"*/*"),
        ];
        let request = Request::assemble(stated, fields, &Limits::default());
        let request = request.expect("it is valid").with_field(b"X-Id", b"1");
        let found: Vec<_> = request.fields().collect();
        let expected: [(&[u8], &[u8]); 3] = [
            (b"Host", b"shop.example"),
            (b"Accept", b"*/*"),
            (b"X-Id", b"1"),
        ];
        assert_eq!(found, expected);
        assert_eq!(
            (request.host(), request.target()),
            (&b"shop.example"[..], &b"/a?b"[..])
        );
        assert!(request.head().ends_with(b"X-Id: 1\r\n\r\n"));
        assert_eq!(request.line(), b"GET /a?b HTTP/1.1");
    }
}
