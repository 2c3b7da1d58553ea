//! From HTTP/1.1 to HTTP/2 by `Upgrade: h2c` (RFC 7540, section 3.2, which RFC 9113 deprecates): what such a request
//! says, and the frames that a client of HTTP/2 would have sent instead of it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::fields::list_elements;
use crate::framing::Framing;
use crate::request::{Request, Version};
use crate::target::TargetForm;

/// The answer that turns the connection into one of HTTP/2.
pub const SWITCHING: &[u8] =
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n";

/// The longest payload of a frame that every peer takes (RFC 9113, section 4.2).
const FRAME: usize = 16 * 1024;

/// One setting in a SETTINGS frame.
const SETTING: usize = 6;

const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// Fields that speak of the connection, or that pseudo-fields stand for.
const LEFT_OUT: &[&str] = &[
    "connection",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-connection",
    "te",
    "transfer-encoding",
    "upgrade",
];

/// The settings of the client, as a SETTINGS frame carries them, where a request without a body asks for HTTP/2 and
/// says so as it has to. Any other request is answered as what it is.
#[must_use]
pub fn upgrade_settings(request: &Request) -> Option<Vec<u8>> {
    let is_fit = request.version() == Version::Http11
        && request.form() == TargetForm::Origin
        && matches!(request.framing(), Framing::None | Framing::Length(0));
    let named = |field: &[u8], option: &[u8]| {
        let values = request.fields();
        values
            .filter(|(name, _)| name.eq_ignore_ascii_case(field))
            .flat_map(|(_, value)| list_elements(value))
            .any(|element| element.eq_ignore_ascii_case(option))
    };
    let is_asked = named(b"upgrade", b"h2c")
        && named(b"connection", b"upgrade")
        && named(b"connection", b"http2-settings");
    if !is_fit || !is_asked {
        return None;
    }
    let is_settings = |(name, _): &(&[u8], &[u8])| name.eq_ignore_ascii_case(b"http2-settings");
    let mut settings = request.fields().filter(is_settings);
    // A second one would be ambiguous.
    let (Some((_, value)), None) = (settings.next(), settings.next()) else {
        return None;
    };
    let payload = URL_SAFE_NO_PAD.decode(value.trim_ascii()).ok()?;
    let (pairs, rest) = payload.as_chunks::<SETTING>();
    let is_valid = rest.is_empty() && payload.len() <= FRAME && pairs.iter().all(is_valid);
    is_valid.then_some(payload)
}

/// RFC 9113, section 6.5.2.
fn is_valid(&[high, low, value @ ..]: &[u8; SETTING]) -> bool {
    let value = u32::from_be_bytes(value);
    match u16::from_be_bytes([high, low]) {
        2 => value <= 1,
        4 => i32::try_from(value).is_ok(),
        5 => (16_384..=16_777_215).contains(&value),
        _ => true,
    }
}

/// A SETTINGS frame.
#[must_use]
pub fn settings_frame(payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(9 + payload.len());
    push_frame(SETTINGS, 0, 0, payload, &mut frame);
    frame
}

/// The request as the first stream of the client. No field enters the table of HPACK, which stays as the client knows
/// it.
#[must_use]
pub fn first_stream(request: &Request) -> Vec<u8> {
    let mut block = Vec::with_capacity(512);
    let pseudo: [(&[u8], &[u8]); 4] = [
        (b":method", request.method()),
        (b":scheme", b"http"),
        (b":authority", request.host()),
        (b":path", request.target()),
    ];
    for (name, value) in pseudo {
        push_field(name, value, &mut block);
    }
    for (name, value) in request.fields() {
        let name = name.to_ascii_lowercase();
        if !LEFT_OUT.iter().any(|left_out| left_out.as_bytes() == name) {
            push_field(&name, value, &mut block);
        }
    }
    let mut frames = Vec::with_capacity(block.len() + 9);
    let count = block.chunks(FRAME).count();
    for (index, piece) in block.chunks(FRAME).enumerate() {
        let (kind, ends_stream) = match index {
            0 => (HEADERS, END_STREAM),
            _ => (CONTINUATION, 0),
        };
        let ends_headers = if index + 1 == count { END_HEADERS } else { 0 };
        push_frame(kind, ends_stream | ends_headers, 1, piece, &mut frames);
    }
    frames
}

fn push_frame(kind: u8, flags: u8, stream: u32, payload: &[u8], out: &mut Vec<u8>) {
    // Payloads are at most FRAME bytes long.
    out.extend_from_slice(&(payload.len() as u32).to_be_bytes()[1..]);
    out.extend_from_slice(&[kind, flags]);
    out.extend_from_slice(&stream.to_be_bytes());
    out.extend_from_slice(payload);
}

/// A literal that is never indexed, with a new name (RFC 7541, section 6.2.3).
fn push_field(name: &[u8], value: &[u8], out: &mut Vec<u8>) {
    out.push(0x10);
    for text in [name, value] {
        push_length(text.len(), out);
        out.extend_from_slice(text);
    }
}

/// An integer with a prefix of seven bits (RFC 7541, section 5.1).
fn push_length(mut length: usize, out: &mut Vec<u8>) {
    if length < 0x7f {
        out.push(length as u8);
        return;
    }
    out.push(0x7f);
    length -= 0x7f;
    while length >= 0x80 {
        out.push(length as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::h1::parse_request;
    use crate::limits::Limits;

    fn request(fields: &str) -> Request {
        let head = format!("GET /a?b HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        parse_request(head.as_bytes(), &Limits::default())
            .unwrap()
            .unwrap()
            .0
    }

    fn check(fields: &str, expected: Option<&[u8]>) {
        assert_eq!(
            upgrade_settings(&request(fields)).as_deref(),
            expected,
            "{fields}"
        );
    }

    const ASKS: &str = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n";

    #[test]
    fn settings_are_read_where_the_request_says_all_that_it_has_to() {
        let whole = format!("{ASKS}HTTP2-Settings: AAMAAABkAAQAAP__\r\n");
        let payload = [0, 3, 0, 0, 0, 100, 0, 4, 0, 0, 255, 255];
        check(&whole, Some(&payload));
        check(&format!("{ASKS}HTTP2-Settings:\r\n"), Some(&[]));
        check(ASKS, None);
        check(
            &format!("{whole}HTTP2-Settings: AAMAAABkAAQAAP__\r\n"),
            None,
        );
        check(&format!("{ASKS}HTTP2-Settings: AAM\r\n"), None);
        check(&format!("{ASKS}HTTP2-Settings: AAT_____\r\n"), None);
        check(&format!("{whole}Content-Length: 3\r\n"), None);
        check(&whole.replace(", HTTP2-Settings", ""), None);
        check(&whole.replace("h2c", "websocket"), None);
    }

    #[test]
    fn the_request_is_a_stream_without_what_speaks_of_the_connection() {
        let long = "x".repeat(300);
        let frame = first_stream(&request(&format!("{ASKS}X-Long: {long}\r\n")));
        assert_eq!(
            &frame[3..9],
            [HEADERS, END_STREAM | END_HEADERS, 0, 0, 0, 1]
        );
        assert_eq!(&frame[9..21], b"\x10\x07:method\x03GE");
        assert!(!frame.windows(7).any(|window| window == b"upgrade"));
        // 300 = 127 + 45 + 1 × 128
        let field = [b"\x10\x06x-long\x7f\xad\x01".as_slice(), long.as_bytes()].concat();
        assert!(frame.ends_with(&field));
    }
}
