//! The format of access log lines: Gunicorn's `%(atom)s` notation, compiled to a list of segments.

use std::time::SystemTime;

use proto::Request;

use super::json;
use super::pieces::{Clock, escaped, number, print, remote_address, text};
use super::{Colours, Record};

/// The format that is no text with atoms.
const JSON: &str = "json";

/// A compiled format.
#[derive(Debug)]
pub(super) struct Format {
    segments: Vec<Segment>,
    /// The variables of the environ that it shows.
    variables: Vec<String>,
    /// Names in it that are not known.
    unknown: Vec<String>,
    colours: Colours,
}

/// A format that is not understood; says what and where.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct FormatError(String);

impl std::fmt::Display for FormatError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for FormatError {}

#[derive(Debug, PartialEq, Eq)]
enum Segment {
    Text(String),
    Atom(Atom),
    RequestField(String),
    ResponseField(String),
    /// A variable of the environ, by its place in [`Format::variables`].
    Variable(usize),
    /// A name that Gunicorn does not know either: shown as `-`.
    Unknown,
    /// The whole line as a JSON object.
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Atom {
    RemoteAddress,
    Identity,
    User,
    Time,
    RequestLine,
    Method,
    Path,
    Query,
    Protocol,
    Status,
    Bytes,
    BytesOrDash,
    Referer,
    UserAgent,
    Seconds,
    Milliseconds,
    Microseconds,
    DecimalSeconds,
    ProcessId,
}

const ATOMS: &[(&str, Atom)] = &[
    ("h", Atom::RemoteAddress),
    ("l", Atom::Identity),
    ("u", Atom::User),
    ("t", Atom::Time),
    ("r", Atom::RequestLine),
    ("m", Atom::Method),
    ("U", Atom::Path),
    ("q", Atom::Query),
    ("H", Atom::Protocol),
    ("s", Atom::Status),
    ("B", Atom::Bytes),
    ("b", Atom::BytesOrDash),
    ("f", Atom::Referer),
    ("a", Atom::UserAgent),
    ("T", Atom::Seconds),
    ("M", Atom::Milliseconds),
    ("D", Atom::Microseconds),
    ("L", Atom::DecimalSeconds),
    ("p", Atom::ProcessId),
];

impl Format {
    /// Compiles `%(h)s`-like text. `%%` is a per cent sign, and `json` alone is the line as a JSON object.
    ///
    /// # Errors
    /// A `%` that begins no atom, or an atom that is not closed by `)s`.
    pub(super) fn compile(text: &str) -> Result<Format, FormatError> {
        let mut format = Format {
            segments: Vec::new(),
            variables: Vec::new(),
            unknown: Vec::new(),
            colours: Colours::Off,
        };
        if text == JSON {
            format.segments.push(Segment::Json);
            return Ok(format);
        }
        let mut literal = String::new();
        let mut rest = text;
        while let Some(at) = rest.find('%') {
            literal.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix('%') {
                literal.push('%');
                rest = after;
                continue;
            }
            let (name, after) = atom_name(rest, text)?;
            if !literal.is_empty() {
                let text = std::mem::take(&mut literal);
                format.segments.push(Segment::Text(text));
            }
            let segment = format.segment(name);
            format.segments.push(segment);
            rest = after;
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            format.segments.push(Segment::Text(literal));
        }
        Ok(format)
    }

    /// The same, with statuses in colour or without.
    pub(super) fn coloured(mut self, colours: Colours) -> Format {
        self.colours = colours;
        self
    }

    /// The segment of an atom; what it needs besides is noted.
    fn segment(&mut self, name: &str) -> Segment {
        let braced = name
            .strip_prefix('{')
            .and_then(|inner| inner.rsplit_once('}'));
        match braced {
            Some((field, "i")) => return Segment::RequestField(field.to_ascii_lowercase()),
            Some((field, "o")) => return Segment::ResponseField(field.to_ascii_lowercase()),
            Some((variable, "e")) => {
                self.variables.push(variable.to_owned());
                return Segment::Variable(self.variables.len() - 1);
            }
            Some(_) | None => {}
        }
        if let Some((_, atom)) = ATOMS.iter().find(|(text, _)| *text == name) {
            return Segment::Atom(*atom);
        }
        self.unknown.push(name.to_owned());
        Segment::Unknown
    }

    /// The variables of the environ that lines show, as [`Record::variables`] has to have them.
    pub(super) fn variables(&self) -> &[String] {
        &self.variables
    }

    /// The atoms that do not exist.
    pub(super) fn unknown(&self) -> &[String] {
        &self.unknown
    }

    /// Whether any segment shows a field of the response.
    pub(super) fn wants_response_fields(&self) -> bool {
        self.segments
            .iter()
            .any(|segment| matches!(segment, Segment::ResponseField(_)))
    }

    /// Writes one line.
    pub(super) fn write(&self, record: &Record<'_>, clock: &mut Clock, line: &mut Vec<u8>) {
        for segment in &self.segments {
            match segment {
                Segment::Text(text) => line.extend_from_slice(text.as_bytes()),
                Segment::Atom(Atom::Time) => clock.write(line),
                Segment::Atom(Atom::Status) if self.colours == Colours::On => {
                    print(line, format_args!("\x1b[{}m", colour(record.status)));
                    Atom::Status.write(record, line);
                    line.extend_from_slice(b"\x1b[0m");
                }
                Segment::Atom(atom) => atom.write(record, line),
                Segment::RequestField(name) => {
                    escaped(
                        record
                            .request
                            .and_then(|request| request.field(name.as_bytes())),
                        line,
                    );
                }
                Segment::ResponseField(name) => {
                    escaped(response_field(record.response_fields, name), line)
                }
                Segment::Variable(place) => match record.variables.get(*place) {
                    Some(value) => escaped(value.as_deref(), line),
                    None => variable(&self.variables[*place], record, line),
                },
                Segment::Unknown => line.push(b'-'),
                Segment::Json => json::write(record, SystemTime::now(), line),
            }
        }
        line.push(b'\n');
    }
}

/// The number of a status's colour on a terminal.
fn colour(status: u16) -> u8 {
    match status {
        500.. => 31,
        400.. => 33,
        300.. => 36,
        _ => 32,
    }
}

/// Splits `(name)s…` into the name and what follows.
fn atom_name<'a>(rest: &'a str, whole: &str) -> Result<(&'a str, &'a str), FormatError> {
    rest.strip_prefix('(')
        .and_then(|inner| inner.split_once(')'))
        .and_then(|(name, after)| Some((name, after.strip_prefix('s')?)))
        .ok_or_else(|| {
            FormatError(format!(
                "access_log_format {whole:?}: every % must begin %(name)s or be written %%"
            ))
        })
}

/// A variable of a request that has no environ: an ASGI application's, or one that its application did not get to see.
fn variable(name: &str, record: &Record<'_>, line: &mut Vec<u8>) {
    let name = name.to_ascii_uppercase();
    let request = record.request;
    let field = |name: &str| {
        let name = name.to_ascii_lowercase().replace('_', "-");
        request.and_then(|request| request.field(name.as_bytes()))
    };
    let value = match name.as_str() {
        "REMOTE_ADDR" => return remote_address(&record.ends.peer, line),
        "REQUEST_METHOD" => request.map(Request::method),
        "RAW_URI" => request.map(Request::target),
        "PATH_INFO" => request.map(Request::path),
        "QUERY_STRING" => request.map(Request::query),
        "SERVER_PROTOCOL" => request.map(protocol),
        "CONTENT_TYPE" | "CONTENT_LENGTH" => field(&name),
        other => other.strip_prefix("HTTP_").and_then(field),
    };
    escaped(value, line);
}

impl Atom {
    fn write(self, record: &Record<'_>, line: &mut Vec<u8>) {
        let request = record.request;
        match self {
            Atom::RemoteAddress => remote_address(&record.ends.peer, line),
            Atom::Identity => line.push(b'-'),
            Atom::User => escaped(request.and_then(user).as_deref(), line),
            Atom::Time => Clock::default().write(line),
            Atom::RequestLine => request_line(request, line),
            Atom::Method => escaped(request.map(Request::method), line),
            Atom::Path => escaped(request.map(Request::path), line),
            Atom::Query => text(request.map_or(&[], Request::query), line),
            Atom::Protocol => escaped(request.map(protocol), line),
            Atom::Referer => escaped(request.and_then(|request| request.field(b"referer")), line),
            Atom::UserAgent => escaped(
                request.and_then(|request| request.field(b"user-agent")),
                line,
            ),
            Atom::Status | Atom::Bytes | Atom::BytesOrDash => number(self.count(record), line),
            Atom::Seconds => number(record.took.as_secs(), line),
            Atom::Milliseconds => number(within(record.took.as_millis()), line),
            Atom::Microseconds => number(within(record.took.as_micros()), line),
            Atom::DecimalSeconds => print(line, format_args!("{:.6}", record.took.as_secs_f64())),
            Atom::ProcessId => print(line, format_args!("<{}>", std::process::id())),
        }
    }

    fn count(self, record: &Record<'_>) -> u64 {
        if self == Atom::Status {
            u64::from(record.status)
        } else {
            record.sent
        }
    }
}

/// A request of more than half a million years is not told apart from a longer one.
fn within(count: u128) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

fn request_line(request: Option<&Request>, line: &mut Vec<u8>) {
    let Some(request) = request else {
        return line.push(b'-');
    };
    text(request.method(), line);
    line.push(b' ');
    text(request.target(), line);
    line.push(b' ');
    line.extend_from_slice(protocol(request));
}

fn protocol(request: &Request) -> &'static [u8] {
    request.version().as_str().as_bytes()
}

/// The user of Basic authentication (RFC 7617), as Gunicorn shows it.
pub(super) fn user(request: &Request) -> Option<Vec<u8>> {
    let credentials = request.field(b"authorization")?;
    let (scheme, encoded) = credentials.split_at_checked(6)?;
    let is_basic = scheme.eq_ignore_ascii_case(b"basic ");
    let name = is_basic.then(|| decode_user(encoded))?;
    name.filter(|name| !name.is_empty())
}

/// Decodes base64 up to the colon.
fn decode_user(encoded: &[u8]) -> Option<Vec<u8>> {
    let mut decoded = Vec::new();
    let (mut bits, mut count) = (0u32, 0);
    for byte in encoded
        .trim_ascii()
        .iter()
        .take_while(|byte| **byte != b'=')
    {
        let digit = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = (bits << 6) | u32::from(digit);
        count += 6;
        if count >= 8 {
            count -= 8;
            decoded.push((bits >> count) as u8);
        }
    }
    let end = decoded.iter().position(|byte| *byte == b':')?;
    decoded.truncate(end);
    Some(decoded)
}

fn response_field<'a>(fields: &'a [u8], name: &str) -> Option<&'a [u8]> {
    fields.split(|byte| *byte == b'\n').find_map(|field| {
        let (found, value) = field.split_at_checked(name.len())?;
        let value = value.strip_prefix(b":")?;
        found
            .eq_ignore_ascii_case(name.as_bytes())
            .then(|| value.trim_ascii())
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::peer::{Ends, Local, Peer};
    use proto::forwarded::Scheme;

    fn check(format: &str, expected: &str) {
        check_with(&[], format, expected);
    }

    fn check_with(variables: &[Option<Vec<u8>>], format: &str, expected: &str) {
        let head = b"GET /a?b=1 HTTP/1.1\r\nHost: x\r\nReferer: \"r\\\"\r\nAuthorization: Basic dXNlcjpwYXNz\r\n\r\n";
        let limits = proto::Limits::default();
        let (request, _) = proto::h1::parse_request(head, &limits).unwrap().unwrap();
        let address = "192.0.2.1:5000".parse().unwrap();
        let ends = Ends {
            peer: Peer::Inet(address),
            local: Local::Inet(address),
            trusted: false,
            scheme: proto::forwarded::Scheme::Http,
            proxied: None,
            tls: None,
        };
        let record = Record {
            request: Some(&request),
            ends: &ends,
            status: 200,
            sent: 13,
            took: Duration::from_micros(1_234_567),
            response_fields: b"Content-Type: text/plain\r\nX-A: 1\r\n",
            scheme: Scheme::Http,
            variables,
        };
        let mut line = Vec::new();
        Format::compile(format)
            .unwrap()
            .write(&record, &mut Clock::default(), &mut line);
        assert_eq!(String::from_utf8(line).unwrap(), format!("{expected}\n"));
    }

    #[test]
    fn atoms_show_what_gunicorn_shows() {
        check("%(h)s %(l)s %(u)s", "192.0.2.1 - user");
        check("\"%(r)s\" %(s)s %(b)s", "\"GET /a?b=1 HTTP/1.1\" 200 13");
        check("%(m)s %(U)s %(q)s %(H)s", "GET /a b=1 HTTP/1.1");
        check("%(T)s %(M)s %(D)s %(L)s", "1 1234 1234567 1.234567");
        check(
            "%({Host}i)s %({x-a}o)s %({none}i)s %(nonsense)s 100%%",
            "x 1 - - 100%",
        );
    }

    #[test]
    fn a_status_has_the_colour_of_its_class() {
        let colours = [101, 200, 304, 404, 500, 0].map(colour);
        assert_eq!(colours, [32, 32, 36, 33, 31, 32]);
    }

    #[test]
    fn a_variable_is_the_applications_or_else_the_requests() {
        let format = "%({app.user}e)s %({HTTP_HOST}e)s";
        let left = [Some(b"ada\n".to_vec()), None];
        check_with(&left, format, "ada\\x0a -");
        check(format, "- x");
        check(
            "%({remote_addr}e)s %({request_method}e)s %({raw_uri}e)s %({content_type}e)s",
            "192.0.2.1 GET /a?b=1 -",
        );
    }

    #[test]
    fn what_nobody_knows_is_named() {
        let format = Format::compile("%(h)s %(nonsense)s %({a}x)s %({a}e)s").unwrap();
        assert_eq!(format.unknown(), ["nonsense", "{a}x"]);
        assert_eq!(format.variables(), ["a"]);
    }

    #[test]
    fn a_value_cannot_break_out_of_its_quotes() {
        check("\"%(f)s\"", "\"\\\"r\\\\\\\"\"");
    }

    #[test]
    fn a_format_that_is_not_understood_is_refused() {
        for format in ["%", "%h", "%(h", "%(h)d"] {
            assert!(Format::compile(format).is_err(), "{format}");
        }
    }
}
