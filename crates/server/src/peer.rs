//! The two ends of a connection, as the application is told of them.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use proto::forwarded::{self, Scheme};
use proto::proxy::{ProxyHeader, ProxyRoute};
use proto::uwsgi::UwsgiVariables;
use proto::{Request, Violation};
use settings::AddressSet;

use crate::options::Options;
use crate::tls::TlsInfo;

/// Who connected, or whom a trusted proxy names as its client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Peer {
    /// A TCP client.
    Inet(SocketAddr),
    /// A client of a Unix socket, which has no address of its own.
    Unix,
}

impl Peer {
    /// Whether it is one of these.
    pub(crate) fn is_in(&self, set: &AddressSet) -> bool {
        match self {
            Peer::Inet(address) => set.contains(&address.ip()),
            Peer::Unix => set.contains_unix(),
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Peer::Inet(address) => address.fmt(out),
            Peer::Unix => out.write_str("a unix socket"),
        }
    }
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
    /// How the client speaks to the outermost proxy that is known, or to this server, where no field tells.
    pub(crate) scheme: Scheme,
    /// What a PROXY header has told of the connection.
    pub(crate) proxied: Option<Arc<Proxied>>,
    /// What was agreed on in the TLS handshake, if there was one.
    pub(crate) tls: Option<Arc<TlsInfo>>,
}

/// What a load balancer has told of a connection with the PROXY protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proxied {
    /// The header.
    pub header: ProxyHeader,
    /// Who sent it.
    pub proxy: Peer,
}

impl Ends {
    /// The same connection, whose peer has passed on what another client sent.
    pub(crate) fn on_behalf_of(&self, client: SocketAddr) -> Ends {
        Ends {
            peer: Peer::Inet(client),
            local: self.local.clone(),
            trusted: self.trusted,
            scheme: self.scheme,
            proxied: self.proxied.clone(),
            tls: self.tls.clone(),
        }
    }

    /// The same connection after its TLS handshake.
    pub(crate) fn over_tls(&self, info: TlsInfo) -> Ends {
        Ends {
            peer: self.peer.clone(),
            local: self.local.clone(),
            trusted: self.trusted,
            scheme: Scheme::Https,
            proxied: self.proxied.clone(),
            tls: Some(Arc::new(info)),
        }
    }

    /// The same connection, of which its peer has told whose it is. What the client that it names says of others is
    /// believed if that client is trusted: the peer has passed on its bytes unread.
    pub(crate) fn behind(&self, header: ProxyHeader, trusted: &AddressSet) -> Ends {
        let peer = match header.route {
            ProxyRoute::Inet { source, .. } => Some(Some(source)),
            ProxyRoute::Unix => Some(None),
            ProxyRoute::Local | ProxyRoute::Unknown => None,
        };
        let scheme = match header.tls {
            Some(_) => Scheme::Https,
            None => self.scheme,
        };
        let (peer, trusted) = match peer {
            Some(address) => {
                let ends = Ends::of(address, self.local.clone(), trusted);
                (ends.peer, ends.trusted)
            }
            None => (self.peer.clone(), self.trusted),
        };
        let proxied = Proxied {
            header,
            proxy: self.peer.clone(),
        };
        Ends {
            peer,
            local: self.local.clone(),
            trusted,
            scheme,
            proxied: Some(Arc::new(proxied)),
            tls: self.tls.clone(),
        }
    }

    /// The scheme that the client used, as far as it can be known.
    ///
    /// # Errors
    /// What a trusted peer says of it contradicts itself.
    pub(crate) fn scheme(&self, request: &Request, options: &Options) -> Result<Scheme, Violation> {
        let told = match self.trusted {
            true => forwarded::scheme(request.fields(), &options.secure_scheme_headers)?,
            false => None,
        };
        Ok(told.unwrap_or(self.scheme))
    }

    /// The same connection, whose peer has passed on the request of a client of its own. The fields are those of that
    /// client, so they are believed if it is trusted.
    pub(crate) fn fronted(&self, told: &UwsgiVariables, trusted: &AddressSet) -> Ends {
        let (peer, trusted) = match told.client() {
            Some(address) => {
                let ends = Ends::of(Some(address), self.local.clone(), trusted);
                (ends.peer, ends.trusted)
            }
            None => (self.peer.clone(), self.trusted),
        };
        Ends {
            peer,
            trusted,
            local: self.local.clone(),
            scheme: match told.is_https() {
                true => Scheme::Https,
                false => self.scheme,
            },
            proxied: self.proxied.clone(),
            tls: self.tls.clone(),
        }
    }

    /// The ends of an accepted socket; only a unix socket has a peer without address.
    pub(crate) fn of(peer: Option<SocketAddr>, local: Local, trusted: &AddressSet) -> Ends {
        let (peer, trusted) = match peer.map(canonical) {
            Some(address) => (Peer::Inet(address), trusted.contains(&address.ip())),
            None => (Peer::Unix, trusted.contains_unix()),
        };
        Ends {
            peer,
            local,
            trusted,
            scheme: Scheme::Http,
            proxied: None,
            tls: None,
        }
    }
}

/// An IPv4 connection to a dual-stack socket is shown and trusted as the IPv4 connection that it is.
pub(crate) fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}
