//! The variables of a packet: what the front server says of the request and of itself.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::packet::Packet;
use super::target;
use crate::violation::Violation;

/// Most variables of one packet; Gunicorn's bound. 65,535 bytes could hold sixteen thousand.
const VARIABLES: usize = 1000;

/// Those that `environ` has from the request already.
const OF_THE_REQUEST: [&[u8]; 9] = [
    b"CONTENT_LENGTH",
    b"CONTENT_TYPE",
    b"PATH_INFO",
    b"QUERY_STRING",
    b"REMOTE_ADDR",
    b"REMOTE_PORT",
    b"REQUEST_METHOD",
    b"SCRIPT_NAME",
    b"SERVER_PROTOCOL",
];

/// Name and value.
type Pair = (Box<[u8]>, Box<[u8]>);

/// The variables of a packet, in their order. Clones share them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UwsgiVariables {
    pairs: Arc<[Pair]>,
}

impl UwsgiVariables {
    pub(super) fn read(packet: Packet<'_>) -> Result<Self, Violation> {
        let mut pairs: Vec<Pair> = Vec::new();
        for pair in packet {
            let (name, value) = pair?;
            if pairs.len() == VARIABLES {
                return Err(Violation::UwsgiVariables);
            }
            if name.is_empty() || !name.iter().all(u8::is_ascii_graphic) {
                return Err(Violation::UwsgiName);
            }
            pairs.push((name.into(), value.into()));
        }
        Ok(Self {
            pairs: pairs.into(),
        })
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.pairs.iter().map(|(name, value)| (&**name, &**value))
    }

    /// The value of the first of that name.
    #[must_use]
    pub fn value(&self, name: &[u8]) -> Option<&[u8]> {
        let mut pairs = self.iter();
        pairs.find(|pair| pair.0 == name).map(|(_, value)| value)
    }

    /// Those that a front server has of its own: what is no field of the request, and no part of its line.
    pub fn further(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let is_name = |byte: &u8| matches!(byte, b'A'..=b'Z' | b'0'..=b'9' | b'_');
        self.iter().filter(move |(name, _)| {
            name.iter().all(is_name)
                && !name.starts_with(b"HTTP_")
                && !OF_THE_REQUEST.contains(name)
        })
    }

    /// The client of the front server; the port is 0 where none is told.
    #[must_use]
    pub fn client(&self) -> Option<SocketAddr> {
        let text = |name| str::from_utf8(self.value(name)?).ok();
        let ip: IpAddr = text(b"REMOTE_ADDR")?.parse().ok()?;
        let port = text(b"REMOTE_PORT").and_then(|port| port.parse().ok());
        Some(SocketAddr::new(ip, port.unwrap_or(0)))
    }

    /// Whether the client has spoken TLS to the front server.
    #[must_use]
    pub fn is_https(&self) -> bool {
        let https = self.value(b"HTTPS").unwrap_or_default();
        let scheme = [&b"REQUEST_SCHEME"[..], b"UWSGI_SCHEME"].map(|name| self.value(name));
        https.eq_ignore_ascii_case(b"on") || https == b"1" || scheme.contains(&Some(&b"https"[..]))
    }

    /// The path below [`UwsgiVariables::script_name`], decoded; `None` where the front server tells none.
    #[must_use]
    pub fn path_info(&self) -> Option<&[u8]> {
        let info = self.value(b"PATH_INFO")?;
        let sent = self.value(b"REQUEST_URI").unwrap_or_default();
        Some(target::below(self.script_name(), info, sent))
    }

    /// Where the front server has mounted the application; empty at its root.
    #[must_use]
    pub fn script_name(&self) -> &[u8] {
        let name = self.value(b"SCRIPT_NAME").unwrap_or_default();
        name.strip_suffix(b"/").unwrap_or(name)
    }
}
