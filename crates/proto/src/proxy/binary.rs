//! Version 2: a binary header with vectors (TLVs) behind its addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::{
    Found, PROXY_HEADER_BYTES, ProxyHeader, ProxyRoute, ProxyTransport, ProxyViolation, tlv,
};

/// What the header begins with: nothing that begins a request, nor a TLS handshake.
pub(super) const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// The signature, version and command, family and transport, the length of what follows.
const FIXED: usize = SIGNATURE.len() + 4;

const VERSION: u8 = 0x20;
const LOCAL: u8 = 0;
const PROXY: u8 = 1;

const UNSPECIFIED: u8 = 0x00;
const INET: u8 = 0x10;
const INET6: u8 = 0x20;
const UNIX: u8 = 0x30;
const STREAM: u8 = 1;
const DATAGRAM: u8 = 2;

/// Two paths of 108 bytes.
const UNIX_BYTES: usize = 216;

/// Reads a header that begins with [`SIGNATURE`].
pub(super) fn read(input: &[u8]) -> Result<Found, ProxyViolation> {
    let fixed = &input[SIGNATURE.len()..input.len().min(FIXED)];
    // The version and the command are judged before the rest is there: another version may have another length.
    let command = match fixed.first() {
        None => return Ok(None),
        Some(byte) if byte & 0xf0 != VERSION => return Err(ProxyViolation::Version),
        Some(byte) => byte & 0x0f,
    };
    if command > PROXY {
        return Err(ProxyViolation::Command);
    }
    let &[_, kind, high, low] = fixed else {
        return Ok(None);
    };
    let length = FIXED + usize::from(u16::from_be_bytes([high, low]));
    if length > PROXY_HEADER_BYTES {
        return Err(ProxyViolation::HeaderTooLong);
    }
    let Some(whole) = input.get(..length) else {
        return Ok(None);
    };
    if command == LOCAL {
        // "The receiver must accept this connection as valid and must use the real connection endpoints and discard
        // the protocol block including the family which is ignored."
        return Ok(Some((ProxyHeader::plain(ProxyRoute::Local), length)));
    }
    let (route, vectors) = route(kind, &whole[FIXED..])?;
    let mut header = ProxyHeader::plain(route);
    if route != ProxyRoute::Unknown {
        tlv::read(&mut header, whole, length - vectors.len())?;
    }
    Ok(Some((header, length)))
}

/// The ends, and what stands behind their addresses.
fn route(kind: u8, block: &[u8]) -> Result<(ProxyRoute, &[u8]), ProxyViolation> {
    if kind == UNSPECIFIED {
        return Ok((ProxyRoute::Unknown, block));
    }
    let transport = match kind & 0x0f {
        STREAM => ProxyTransport::Stream,
        DATAGRAM => ProxyTransport::Datagram,
        _ => return Err(ProxyViolation::Transport),
    };
    let inet = |source, destination, ports: &[u8; 4]| {
        let &[a, b, c, d] = ports;
        ProxyRoute::Inet {
            transport,
            source: SocketAddr::new(source, u16::from_be_bytes([a, b])),
            destination: SocketAddr::new(destination, u16::from_be_bytes([c, d])),
        }
    };
    let found = match kind & 0xf0 {
        INET => ends::<4>(block).map(|(source, destination, ports, rest)| {
            let [source, destination] =
                [source, destination].map(|ip| IpAddr::from(Ipv4Addr::from(*ip)));
            (inet(source, destination, ports), rest)
        }),
        INET6 => ends::<16>(block).map(|(source, destination, ports, rest)| {
            let [source, destination] =
                [source, destination].map(|ip| IpAddr::from(Ipv6Addr::from(*ip)));
            (inet(source, destination, ports), rest)
        }),
        UNIX => block
            .split_at_checked(UNIX_BYTES)
            .map(|(_, rest)| (ProxyRoute::Unix, rest)),
        _ => return Err(ProxyViolation::Transport),
    };
    found.ok_or(ProxyViolation::AddressesTooShort)
}

/// Two addresses of `N` bytes, their two ports, and the rest.
type Ends<'a, const N: usize> = (&'a [u8; N], &'a [u8; N], &'a [u8; 4], &'a [u8]);

fn ends<const N: usize>(block: &[u8]) -> Option<Ends<'_, N>> {
    let (source, rest) = block.split_first_chunk()?;
    let (destination, rest) = rest.split_first_chunk()?;
    let (ports, rest) = rest.split_first_chunk()?;
    Some((source, destination, ports, rest))
}

/// Appends a header.
pub(super) fn write(header: &ProxyHeader, out: &mut Vec<u8>) {
    let (command, kind) = match header.route {
        ProxyRoute::Local => (LOCAL, UNSPECIFIED),
        ProxyRoute::Unknown => (PROXY, UNSPECIFIED),
        ProxyRoute::Unix => (PROXY, UNIX | STREAM),
        ProxyRoute::Inet {
            transport, source, ..
        } => {
            let family = if source.is_ipv4() { INET } else { INET6 };
            let carried = match transport {
                ProxyTransport::Stream => STREAM,
                ProxyTransport::Datagram => DATAGRAM,
            };
            (PROXY, family | carried)
        }
    };
    out.extend_from_slice(SIGNATURE);
    out.extend_from_slice(&[VERSION | command, kind, 0, 0]);
    let start = out.len();
    match header.route {
        ProxyRoute::Local | ProxyRoute::Unknown => {}
        ProxyRoute::Unix => out.resize(start + UNIX_BYTES, 0),
        ProxyRoute::Inet {
            source,
            destination,
            ..
        } => {
            for end in [source, destination] {
                match end.ip() {
                    IpAddr::V4(ip) => out.extend_from_slice(&ip.octets()),
                    IpAddr::V6(ip) => out.extend_from_slice(&ip.octets()),
                }
            }
            out.extend_from_slice(&source.port().to_be_bytes());
            out.extend_from_slice(&destination.port().to_be_bytes());
        }
    }
    tlv::write(header, out);
    // What was read fits into PROXY_HEADER_BYTES, and not more is written.
    let length = u16::try_from(out.len() - start).unwrap_or(u16::MAX);
    out[start - 2..start].copy_from_slice(&length.to_be_bytes());
}
