//! The pieces of an access line, as bytes. They are written for every request, so what occurs in the usual line does
//! without the formatting machinery of the standard library.

use std::io::Write as _;
use std::net::IpAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::peer::Peer;

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// The time in the common log format, made once a second.
#[derive(Debug, Default)]
pub(super) struct Clock {
    second: u64,
    text: Vec<u8>,
}

impl Clock {
    /// Writes the present time.
    pub(super) fn write(&mut self, line: &mut Vec<u8>) {
        let now = SystemTime::now();
        let second = now
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs());
        if self.second != second || self.text.is_empty() {
            self.second = second;
            self.text.clear();
            time(now, &mut self.text);
        }
        line.extend_from_slice(&self.text);
    }
}

fn time(now: SystemTime, line: &mut Vec<u8>) {
    let local = sys::local_time::local_time(now);
    let month = MONTHS[usize::from(local.month.clamp(1, 12)) - 1];
    let (sign, offset) = if local.offset_minutes < 0 {
        ('-', -local.offset_minutes)
    } else {
        ('+', local.offset_minutes)
    };
    let (hours, minutes) = (offset / 60, offset % 60);
    print(
        line,
        format_args!(
            "[{:02}/{month}/{:04}:{:02}:{:02}:{:02} {sign}{hours:02}{minutes:02}]",
            local.day, local.year, local.hour, local.minute, local.second
        ),
    );
}

/// The address of a client; a Unix socket has none.
pub(super) fn remote_address(peer: &Peer, line: &mut Vec<u8>) {
    let Peer::Inet(address) = peer else { return };
    match address.ip() {
        IpAddr::V4(ip) => {
            let [first, rest @ ..] = ip.octets();
            number(u64::from(first), line);
            for octet in rest {
                line.push(b'.');
                number(u64::from(octet), line);
            }
        }
        IpAddr::V6(ip) => print(line, format_args!("{ip}")),
    }
}

/// A value, or `-` where there is none.
pub(super) fn escaped(value: Option<&[u8]>, line: &mut Vec<u8>) {
    match value {
        Some(value) => text(value, line),
        None => line.push(b'-'),
    }
}

/// Quotes and backslashes are escaped, and the bytes of what a terminal or an editor would act on are written as
/// `\xNN`, so that no client can forge a line, break out of a quoted value or have it shown in another order: control
/// characters (those of C1 too), marks of direction, separators of lines, and what is not UTF-8. (Gunicorn escapes the
/// quote alone.)
pub(super) fn text(value: &[u8], line: &mut Vec<u8>) {
    // Without an early exit, so that the compiler can look at many bytes at once.
    if value
        .iter()
        .fold(true, |plain, byte| plain & is_plain(*byte))
    {
        return line.extend_from_slice(value);
    }
    for chunk in value.utf8_chunks() {
        for character in chunk.valid().chars() {
            let mut bytes = [0; 4];
            let bytes = character.encode_utf8(&mut bytes).as_bytes();
            match character {
                '"' => line.extend_from_slice(b"\\\""),
                '\\' => line.extend_from_slice(b"\\\\"),
                character if proto::text::is_acted_on(character) => hexadecimal(bytes, line),
                character => match settings::os_text::surrogate(character) {
                    Some(surrogate) => print(line, format_args!("\\u{surrogate:04x}")),
                    None => line.extend_from_slice(bytes),
                },
            }
        }
        hexadecimal(chunk.invalid(), line);
    }
}

fn hexadecimal(bytes: &[u8], line: &mut Vec<u8>) {
    for byte in bytes {
        print(line, format_args!("\\x{byte:02x}"));
    }
}

/// What needs no look at its neighbours.
fn is_plain(byte: u8) -> bool {
    (b' '..0x7f).contains(&byte) && byte != b'"' && byte != b'\\'
}

/// A number in decimal.
pub(crate) fn number(mut value: u64, line: &mut Vec<u8>) {
    let mut digits = [0; 20];
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    line.extend_from_slice(&digits[start..]);
}

/// Writing to memory cannot fail.
pub(crate) fn print(line: &mut Vec<u8>, arguments: std::fmt::Arguments<'_>) {
    let _ = line.write_fmt(arguments);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(write: impl FnOnce(&mut Vec<u8>), expected: &[u8]) {
        let mut line = Vec::new();
        write(&mut line);
        assert_eq!(line, expected, "{}", line.escape_ascii());
    }

    #[test]
    fn numbers_have_all_their_digits() {
        for value in [0, 7, 10, 99, 1_000_003, u64::MAX] {
            check(|line| number(value, line), value.to_string().as_bytes());
        }
    }

    #[test]
    fn addresses_are_as_they_are_always_written() {
        for address in ["192.0.2.1:80", "10.255.0.9:1", "[2001:db8::1]:80"] {
            let address: std::net::SocketAddr = address.parse().unwrap();
            let peer = Peer::Inet(address);
            check(
                |line| remote_address(&peer, line),
                address.ip().to_string().as_bytes(),
            );
        }
        check(|line| remote_address(&Peer::Unix, line), b"");
    }

    #[test]
    fn every_byte_is_plain_or_escaped() {
        check(
            |line| text("a b/\u{e9}~".as_bytes(), line),
            "a b/\u{e9}~".as_bytes(),
        );
        check(|line| text(b"a\xe9\x9bb\xff", line), b"a\\xe9\\x9bb\\xff");
        check(
            |line| text("\u{9b}2J\u{202e}\u{2028}".as_bytes(), line),
            b"\\xc2\\x9b2J\\xe2\\x80\\xae\\xe2\\x80\\xa8",
        );
        check(
            |line| text(b"\"\\\n\x7f\x00 ", line),
            b"\\\"\\\\\\x0a\\x7f\\x00 ",
        );
    }

    #[test]
    fn the_clock_goes_on() {
        let mut clock = Clock::default();
        let (mut first, mut again) = (Vec::new(), Vec::new());
        clock.write(&mut first);
        assert_eq!(first.len(), "[22/Nov/2026:10:17:00 +0000]".len());
        clock.second = 0;
        clock.text = b"stale".to_vec();
        clock.write(&mut again);
        assert_eq!(again[..13], first[..13]);
    }
}
