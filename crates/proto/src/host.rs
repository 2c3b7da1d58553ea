//! The grammar of a host with an optional port (RFC 3986, section 3.2). Names are checked, never resolved.

use std::net::Ipv6Addr;

/// A part of the authority that a request names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Authority<'a> {
    /// A registered name, an IPv4 address, or an IPv6 address in brackets.
    pub(crate) host: &'a [u8],
    /// Absent when there is no colon, or no digit after it.
    pub(crate) port: Option<u16>,
}

/// Reads `host [":" port]`. Refuses user information, empty hosts and ports above 65535.
///
/// `IPvFuture` literals and zone identifiers are refused too: nothing that reaches this server can be named by them.
pub(crate) fn parse_authority(bytes: &[u8]) -> Option<Authority<'_>> {
    let (host, rest) = split_host(bytes)?;
    let port = match rest {
        [] | [b':'] => None,
        [b':', digits @ ..] => Some(parse_port(digits)?),
        _ => return None,
    };
    Some(Authority { host, port })
}

fn split_host(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    if let [b'[', inner @ ..] = bytes {
        let close = memchr::memchr(b']', inner)?;
        let address = std::str::from_utf8(&inner[..close]).ok()?;
        address.parse::<Ipv6Addr>().ok()?;
        return Some(bytes.split_at(close + 2));
    }
    let end = memchr::memchr(b':', bytes).unwrap_or(bytes.len());
    let (host, rest) = bytes.split_at(end);
    is_reg_name(host).then_some((host, rest))
}

fn parse_port(digits: &[u8]) -> Option<u16> {
    // More than five digits can only be leading zeros or too much; no client sends either in good faith.
    if digits.len() > 5 {
        return None;
    }
    let value = digits.iter().try_fold(0_u32, |value, &digit| {
        digit
            .is_ascii_digit()
            .then(|| value * 10 + u32::from(digit - b'0'))
    })?;
    u16::try_from(value).ok()
}

/// A registered name, which is never empty for http and https (RFC 9110, section 4.2.1).
fn is_reg_name(name: &[u8]) -> bool {
    if name.iter().all(|&byte| NAME[byte as usize]) {
        return !name.is_empty();
    }
    has_only_valid_escapes(name)
}

#[cold]
fn has_only_valid_escapes(name: &[u8]) -> bool {
    let mut rest = name;
    while let [byte, tail @ ..] = rest {
        rest = match (byte, tail) {
            (b'%', [high, low, tail @ ..])
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                tail
            }
            (byte, tail) if NAME[*byte as usize] => tail,
            _ => return false,
        };
    }
    !name.is_empty()
}

const fn name_table() -> [bool; 256] {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 128 {
        table[byte] = matches!(
            byte as u8,
            // unreserved
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'-' | b'.' | b'_' | b'~'
            // sub-delims
            | b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'='
        );
        byte += 1;
    }
    table
}

/// The characters of a registered name (RFC 3986, section 3.2.2) that are not escapes.
static NAME: [bool; 256] = name_table();

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<(&str, Option<u16>)>) {
        let expected = expected.map(|(host, port)| Authority {
            host: host.as_bytes(),
            port,
        });
        assert_eq!(parse_authority(text.as_bytes()), expected, "{text:?}");
    }

    #[test]
    fn hosts_with_and_without_ports_are_read() {
        check("example.org", Some(("example.org", None)));
        check("example.org:", Some(("example.org", None)));
        check("example.org:0", Some(("example.org", Some(0))));
        check("example.org:65535", Some(("example.org", Some(65535))));
        check("127.0.0.1:8000", Some(("127.0.0.1", Some(8000))));
        check("[::1]", Some(("[::1]", None)));
        check("[2001:db8::1]:8000", Some(("[2001:db8::1]", Some(8000))));
        check("a_b%41c~", Some(("a_b%41c~", None)));
    }

    #[test]
    fn what_is_not_a_host_is_refused() {
        for text in [
            "",
            ":80",
            "a b",
            "user@h",
            "user:pw@h",
            "h:65536",
            "h:99999",
            "h:000080",
            "h:+1",
            "h:8a",
            "h:80:80",
            "[::1",
            "[]",
            "[::1]x",
            "[127.0.0.1]",
            "[v1.a]",
            "[fe80::1%25eth0]",
            "a/b",
            "a?b",
            "a#b",
            "a\\b",
            "%4",
            "%zz",
            "a%",
            "h\u{e9}",
            "::1",
            "[::1]:99999",
            "<h>",
        ] {
            check(text, None);
        }
    }
}
