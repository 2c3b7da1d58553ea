//! The request line: a method, a target and a version (RFC 9112, section 3).

use crate::limits::Limits;
use crate::request::{RequestLine, Version, check_method};
use crate::target::parse_target;
use crate::violation::Violation;

/// Judges the content of a request line, without its CRLF.
///
/// The version comes first: what a line of another protocol contains cannot be judged by our grammar, and the preface
/// of HTTP/2 deserves its 505.
pub(crate) fn parse_request_line(line: &[u8], limits: &Limits) -> Result<RequestLine, Violation> {
    let first = line
        .iter()
        .position(|&byte| byte == b' ')
        .ok_or_else(|| malformed(line))?;
    let (method, rest) = (&line[..first], &line[first + 1..]);
    let second = memchr::memchr(b' ', rest).ok_or_else(|| malformed(line))?;
    let (target, version) = (&rest[..second], &rest[second + 1..]);
    if target.is_empty() || version.contains(&b' ') {
        return Err(malformed(line));
    }
    let version = parse_version(version, limits)?;
    check_method(method, limits)?;
    let target = parse_target(method, target, first + 1)?;
    Ok(RequestLine {
        method_length: first,
        target,
        version,
    })
}

#[cold]
fn malformed(line: &[u8]) -> Violation {
    if line.contains(&b'\r') {
        Violation::BareCr
    } else {
        Violation::RequestLineSyntax
    }
}

fn parse_version(text: &[u8], limits: &Limits) -> Result<Version, Violation> {
    match text {
        b"HTTP/1.1" => Ok(Version::Http11),
        b"HTTP/1.0" => Ok(Version::Http10),
        // A higher minor version is answered as the highest that we speak (RFC 9110, section 2.5).
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'2'..=b'9'] => Ok(Version::Http11),
        [
            b'H',
            b'T',
            b'T',
            b'P',
            b'/',
            major @ b'0'..=b'9',
            b'.',
            b'0'..=b'9',
        ] => match (limits.unconventional_version, major) {
            (false, _) => Err(Violation::VersionUnsupported),
            (true, b'0') => Ok(Version::Http10),
            (true, _) => Ok(Version::Http11),
        },
        _ if text.contains(&b'\r') => Err(Violation::BareCr),
        _ => Err(Violation::Version),
    }
}
