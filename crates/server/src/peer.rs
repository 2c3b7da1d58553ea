//! The two ends of a connection, as the application is told of them.

use std::net::SocketAddr;
use std::path::PathBuf;

use proto::forwarded::{self, Scheme};
use proto::{Request, Violation};
use settings::AddressSet;

use crate::options::Options;

/// Who connected, or whom a trusted proxy names as its client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Peer {
    /// A TCP client.
    Inet(SocketAddr),
    /// A client of a Unix socket, which has no address of its own.
    Unix,
}

/// Where it connected to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Local {
    /// The address of the listening side as this connection sees it.
    Inet(SocketAddr),
    /// The path of the listening Unix socket.
    Unix(PathBuf),
}

/// What stays the same for all requests of one connection, if no proxy is believed to pass on those of several clients.
#[derive(Debug)]
pub(crate) struct Ends {
    pub(crate) peer: Peer,
    pub(crate) local: Local,
    /// Whether the peer may say which scheme its own client used (`forwarded_allow_ips`).
    pub(crate) trusted: bool,
}

impl Ends {
    /// The same connection, whose peer has passed on what another client sent.
    pub(crate) fn on_behalf_of(&self, client: SocketAddr) -> Ends {
        Ends {
            peer: Peer::Inet(client),
            local: self.local.clone(),
            trusted: self.trusted,
        }
    }

    /// The scheme that the client used, as far as it can be known.
    ///
    /// # Errors
    /// What a trusted peer says of it contradicts itself.
    pub(crate) fn scheme(&self, request: &Request, options: &Options) -> Result<Scheme, Violation> {
        match self.trusted {
            true => forwarded::scheme(request.fields(), &options.secure_scheme_headers),
            false => Ok(Scheme::Http),
        }
    }

    /// The ends of an accepted socket; only a unix socket has a peer without address.
    pub(crate) fn of(peer: Option<SocketAddr>, local: Local, trusted: &AddressSet) -> Ends {
        match peer {
            Some(address) => Ends {
                trusted: trusted.contains(&canonical(address).ip()),
                peer: Peer::Inet(canonical(address)),
                local,
            },
            None => Ends {
                peer: Peer::Unix,
                local,
                trusted: trusted.contains_unix(),
            },
        }
    }
}

/// An IPv4 connection to a dual-stack socket is shown and trusted as the IPv4 connection that it is.
pub(crate) fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}
