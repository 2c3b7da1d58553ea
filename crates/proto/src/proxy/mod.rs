//! The header of the PROXY protocol, versions 1 and 2, which a load balancer sends before the first byte of a
//! connection to tell whose connection it passes on. It is read as a whole or not at all: the caller looks at the bytes
//! that have arrived, and takes from the socket exactly those of the header, so that what follows (TLS, HTTP) finds its
//! own bytes untouched. Whether to believe the sender is the caller's decision.

mod binary;
mod checksum;
mod line;
mod tlv;
mod violation;

use std::net::SocketAddr;

pub use tlv::{ProxyCertificate, ProxyTls};
pub use violation::ProxyViolation;

/// The longest header that is read, of either version. Version 2 could be 64 KiB long; addresses and names take a few
/// hundred bytes, and the client's certificate, which is skipped, some thousands.
pub const PROXY_HEADER_BYTES: usize = 16 * 1024;

/// Which versions of the header are accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyVersions {
    /// The line of text.
    V1,
    /// The binary header.
    V2,
    /// Either.
    Both,
}

/// What the first bytes of a connection are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProxyOpening {
    /// They may become a header: more are needed.
    NeedMore,
    /// They are no header, and belong to what the connection speaks.
    Absent,
    /// They begin with a header.
    Header {
        /// What it says.
        header: Box<ProxyHeader>,
        /// Its length in bytes.
        length: usize,
    },
}

/// What a header says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxyHeader {
    /// Between which ends the connection is that the proxy passes on.
    pub route: ProxyRoute,
    /// The host that the client asked for, mostly by the name in its TLS handshake.
    pub authority: Option<String>,
    /// What is known of the TLS connection that the client has with the proxy; `None` where it has none.
    pub tls: Option<ProxyTls>,
}

/// Between which ends a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyRoute {
    /// The proxy speaks for itself (LOCAL): mostly to see whether the server is there.
    Local,
    /// The proxy does not know (UNKNOWN, AF_UNSPEC).
    Unknown,
    /// Between two addresses.
    Inet {
        /// How its bytes are carried.
        transport: ProxyTransport,
        /// The client.
        source: SocketAddr,
        /// What the client connected to.
        destination: SocketAddr,
    },
    /// Between two unix sockets, whose paths tell nothing of the client.
    Unix,
}

/// How the bytes of the client reach the proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyTransport {
    /// By TCP.
    Stream,
    /// By UDP, as QUIC does.
    Datagram,
}

impl ProxyHeader {
    /// A header that says nothing beyond the route.
    fn plain(route: ProxyRoute) -> Self {
        Self {
            route,
            authority: None,
            tls: None,
        }
    }

    /// The word of version 1 for the route, or its counterpart for what only version 2 can say.
    #[must_use]
    pub fn protocol(&self) -> &'static str {
        match self.route {
            ProxyRoute::Local => "LOCAL",
            ProxyRoute::Unknown => "UNKNOWN",
            ProxyRoute::Unix => "UNIX",
            ProxyRoute::Inet {
                transport, source, ..
            } => match (transport, source.is_ipv4()) {
                (ProxyTransport::Stream, true) => "TCP4",
                (ProxyTransport::Stream, false) => "TCP6",
                (ProxyTransport::Datagram, true) => "UDP4",
                (ProxyTransport::Datagram, false) => "UDP6",
            },
        }
    }

    /// What the client connected to, where that is an address.
    #[must_use]
    pub fn destination(&self) -> Option<SocketAddr> {
        match self.route {
            ProxyRoute::Inet { destination, .. } => Some(destination),
            _ => None,
        }
    }

    /// Appends the header in version 2; [`read_opening`] makes the same of it.
    pub fn write(&self, out: &mut Vec<u8>) {
        binary::write(self, out);
    }
}

/// Judges the first bytes of a connection.
///
/// # Errors
/// They are a header that breaks this rule. What follows cannot be found, so nothing of the connection can be read.
pub fn read_opening(input: &[u8], versions: ProxyVersions) -> Result<ProxyOpening, ProxyViolation> {
    let (starts, rest) = (
        [line::START, binary::SIGNATURE],
        &input[..input.len().min(binary::SIGNATURE.len())],
    );
    let [text, binary] = starts.map(|start| rest.starts_with(start));
    if text && versions == ProxyVersions::V2 || binary && versions == ProxyVersions::V1 {
        return Err(ProxyViolation::OtherVersion);
    }
    let found = match (text, binary) {
        (true, _) => line::read(input)?,
        (_, true) => binary::read(input)?,
        _ if starts.iter().any(|start| start.starts_with(rest)) => None,
        _ => return Ok(ProxyOpening::Absent),
    };
    Ok(match found {
        Some((header, length)) => ProxyOpening::Header {
            header: Box::new(header),
            length,
        },
        None => ProxyOpening::NeedMore,
    })
}

/// A header and its length, or `None` where more bytes are needed.
type Found = Option<(ProxyHeader, usize)>;
