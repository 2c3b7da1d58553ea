//! Version 1: one line of text, `PROXY TCP4 192.0.2.1 198.51.100.1 56324 443`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::{Found, ProxyHeader, ProxyRoute, ProxyTransport, ProxyViolation};

/// What the line begins with.
pub(super) const START: &[u8] = b"PROXY ";

/// The longest line with its CRLF: "a 108-byte buffer is always enough to store all the line and a trailing zero".
const LONGEST: usize = 107;

/// Reads a line that begins with [`START`].
pub(super) fn read(input: &[u8]) -> Result<Found, ProxyViolation> {
    let window = &input[..input.len().min(LONGEST)];
    let Some(end) = window.iter().position(|&byte| byte == b'\n') else {
        return match window.len() < LONGEST {
            true => Ok(None),
            false => Err(ProxyViolation::LineTooLong),
        };
    };
    let line = window[START.len()..end].strip_suffix(b"\r");
    let line = line.ok_or(ProxyViolation::Line)?;
    let route = route(str::from_utf8(line).map_err(|_| ProxyViolation::Line)?)?;
    Ok(Some((ProxyHeader::plain(route), end + 1)))
}

fn route(line: &str) -> Result<ProxyRoute, ProxyViolation> {
    let (family, rest) = line.split_once(' ').unwrap_or((line, ""));
    if family == "UNKNOWN" {
        // "the receiver must ignore anything presented before the CRLF"
        return Ok(ProxyRoute::Unknown);
    }
    let address: fn(&str) -> Option<IpAddr> = match family {
        "TCP4" => |text| text.parse::<Ipv4Addr>().ok().map(IpAddr::from),
        "TCP6" => |text| text.parse::<Ipv6Addr>().ok().map(IpAddr::from),
        _ => return Err(ProxyViolation::Family),
    };
    let mut words = rest.split(' ');
    let mut next = || words.next().ok_or(ProxyViolation::Line);
    let (source, destination, source_port, destination_port) = (next()?, next()?, next()?, next()?);
    if words.next().is_some() {
        return Err(ProxyViolation::Line);
    }
    let end = |text, digits| {
        let ip = address(text).ok_or(ProxyViolation::Address)?;
        Ok(SocketAddr::new(ip, port(digits)?))
    };
    Ok(ProxyRoute::Inet {
        transport: ProxyTransport::Stream,
        source: end(source, source_port)?,
        destination: end(destination, destination_port)?,
    })
}

/// "Heading zeroes are not permitted", and Rust's parser takes a sign.
fn port(digits: &str) -> Result<u16, ProxyViolation> {
    let is_plain = digits == "0" || digits.starts_with(|digit: char| ('1'..='9').contains(&digit));
    let port = digits.parse().ok().filter(|_| is_plain);
    port.ok_or(ProxyViolation::Port)
}
