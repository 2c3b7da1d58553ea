//! An access line as one JSON object: valid for any bytes, with numbers as numbers. A value that a request does not
//! have is left out.

use std::time::SystemTime;

use proto::Request;

use super::Record;
use super::format::user;
use super::pieces::{number, print, remote_address};

/// The length of a `traceparent` of version 00 (W3C Trace Context, section 3.2).
const TRACEPARENT: usize = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".len();

/// Writes the object, without the end of the line.
pub(super) fn write(record: &Record<'_>, now: SystemTime, line: &mut Vec<u8>) {
    line.extend_from_slice(b"{\"time\":\"");
    time(now, line);
    line.push(b'"');
    let mut client = Vec::new();
    remote_address(&record.ends.peer, &mut client);
    if !client.is_empty() {
        text("client", &client, line);
    }
    if let Some(request) = record.request {
        write_request(request, line);
    }
    text("scheme", record.scheme.as_str().as_bytes(), line);
    if record.status != 0 {
        name("status", line);
        number(u64::from(record.status), line);
    }
    name("bytes", line);
    number(record.sent, line);
    name("seconds", line);
    print(line, format_args!("{:.6}", record.took.as_secs_f64()));
    name("pid", line);
    number(u64::from(std::process::id()), line);
    line.push(b'}');
}

fn write_request(request: &Request, line: &mut Vec<u8>) {
    text("method", request.method(), line);
    text("path", request.path(), line);
    text("query", request.query(), line);
    text("protocol", request.version().as_str().as_bytes(), line);
    for (label, field) in [
        ("host", &b"host"[..]),
        ("referer", b"referer"),
        ("user_agent", b"user-agent"),
    ] {
        if let Some(value) = request.field(field) {
            text(label, value, line);
        }
    }
    if let Some(user) = user(request) {
        text("user", &user, line);
    }
    if let Some((trace, span)) = request.field(b"traceparent").and_then(trace_ids) {
        text("trace_id", trace, line);
        text("span_id", span, line);
    }
}

/// The ids of the trace and of the caller's span.
pub(crate) fn trace_ids(traceparent: &[u8]) -> Option<(&[u8], &[u8])> {
    let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let mut parts = traceparent.split(|byte| *byte == b'-');
    let (version, trace, span) = (parts.next()?, parts.next()?, parts.next()?);
    let fits =
        traceparent.len() == TRACEPARENT && (version.len(), trace.len(), span.len()) == (2, 32, 16);
    let is_valid = [trace, span]
        .iter()
        .all(|id| id.iter().all(is_digit) && id.iter().any(|digit| *digit != b'0'));
    (fits && is_valid).then_some((trace, span))
}

/// The time as RFC 3339 has it, to the millisecond, with the offset of the local time.
fn time(now: SystemTime, line: &mut Vec<u8>) {
    let local = sys::local_time::local_time(now);
    let millis = now
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| since.subsec_millis());
    let (sign, offset) = match local.offset_minutes < 0 {
        true => ('-', -local.offset_minutes),
        false => ('+', local.offset_minutes),
    };
    print(
        line,
        format_args!(
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{millis:03}{sign}{:02}:{:02}",
            local.year,
            local.month,
            local.day,
            local.hour,
            local.minute,
            local.second,
            offset / 60,
            offset % 60
        ),
    );
}

/// The name of another member of the object.
pub(crate) fn name(name: &str, line: &mut Vec<u8>) {
    print(line, format_args!(",\"{name}\":"));
}

/// A member with any bytes as its text.
pub(crate) fn text(label: &str, value: &[u8], line: &mut Vec<u8>) {
    name(label, line);
    line.push(b'"');
    for chunk in value.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '"' => line.extend_from_slice(b"\\\""),
                '\\' => line.extend_from_slice(b"\\\\"),
                character if proto::text::is_acted_on(character) => escape(character, line),
                character => match settings::os_text::surrogate(character) {
                    // No text may have half a surrogate pair, so its digits are shown.
                    Some(surrogate) => print(line, format_args!("\\\\u{surrogate:04x}")),
                    None => print(line, format_args!("{character}")),
                },
            }
        }
        for byte in chunk.invalid() {
            print(line, format_args!("\\\\x{byte:02x}"));
        }
    }
    line.push(b'"');
}

/// `\uNNNN`, a pair of them beyond the basic plane (RFC 8259, section 7).
fn escape(character: char, line: &mut Vec<u8>) {
    for unit in character.encode_utf16(&mut [0; 2]) {
        print(line, format_args!("\\u{unit:04x}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(value: &[u8], expected: &str) {
        let mut line = Vec::new();
        text("a", value, &mut line);
        assert_eq!(
            String::from_utf8(line).expect("UTF-8"),
            format!(",\"a\":\"{expected}\"")
        );
    }

    #[test]
    fn any_bytes_are_valid_text() {
        check(b"a b", "a b");
        check("\u{e9}".as_bytes(), "\u{e9}");
        check(b"\"\\\n\x00\x7f", "\\\"\\\\\\u000a\\u0000\\u007f");
        check(b"a\xff\xc3", "a\\\\xff\\\\xc3");
        check("\u{202e}\u{2028}".as_bytes(), "\\u202e\\u2028");
    }

    #[test]
    fn a_trace_is_shown_where_its_ids_are_valid() {
        let (trace, span) = ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331");
        let valid = format!("00-{trace}-{span}-01");
        assert_eq!(
            trace_ids(valid.as_bytes()),
            Some((trace.as_bytes(), span.as_bytes()))
        );
        for invalid in [
            String::new(),
            format!("00-{trace}-{span}"),
            format!("00-{trace}-{}-01", "0".repeat(16)),
            format!("00-{}-{span}-01", trace.to_uppercase()),
            format!("00-{span}-{trace}-01"),
        ] {
            assert_eq!(trace_ids(invalid.as_bytes()), None, "{invalid}");
        }
    }
}
