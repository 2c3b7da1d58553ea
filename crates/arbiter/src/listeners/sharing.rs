//! Ports that several sockets of this server have: one for each worker where the settings say `reuse_port`, and, while
//! a reload goes from one address of a port to another that overlaps with it, the old one and the new one.

use std::net::IpAddr;

use settings::{Address, Config};
use socket2::SockRef;

use super::tcp::{PortUse, bind_tcp};
use super::{BindRefusal, Listener, Origin};

/// Adds sockets to the first of a new address until there is one for each worker. All of them are the arbiter's, for
/// life, and every worker accepts from all of them: a client that the kernel has put in a queue is served by the next
/// free worker. A reload with another number of workers changes nothing: a queue that only workers know which have not
/// booted yet would hold clients that are never served if these workers fail.
pub(super) fn widen(group: &mut Vec<Listener>, config: &Config) -> Result<(), BindRefusal> {
    let Some(first) = group.first().cloned() else {
        return Ok(());
    };
    let Address::Tcp { host, port } = &first.address else {
        return Ok(());
    };
    let is_ours = matches!(first.origin, Origin::Server(_));
    let can_share = is_ours && SockRef::from(&first).reuse_port().unwrap_or(false);
    if !config.reuse_port || !can_share {
        return Ok(());
    }
    while group.len() < config.workers as usize {
        let listener = bind_tcp(&first.address, host, *port, config, PortUse::Shared)?;
        group.push(listener.configured_as(&first.configured));
    }
    Ok(())
}

/// Binds an address whose port this server has under another one: `0.0.0.0:8000` while `127.0.0.1:8000` still serves.
///
/// The kernel lets sockets of one user share a port if both of them say so at that moment. They say so for this call
/// only: from then on no other socket can join.
pub(super) fn bind_beside(
    neighbours: &[&Listener],
    address: &Address,
    config: &Config,
) -> Result<Listener, BindRefusal> {
    let Address::Tcp { host, port } = address else {
        return Err(super::cannot_listen(address, "it is in use").into());
    };
    let share = |listener: &Listener, wanted: bool| {
        // Where the kernel does not know the option, the bind below fails and says why.
        let _ = SockRef::from(listener).set_reuse_port(wanted);
    };
    for neighbour in neighbours {
        share(neighbour, true);
    }
    let result = bind_tcp(address, host, *port, config, PortUse::Shared);
    let sharing = neighbours.iter().copied().chain(result.as_ref().ok());
    if !config.reuse_port {
        sharing.for_each(|listener| share(listener, false));
    }
    result
}

/// Whether every client of `narrow` may be served by `wide`: it listens on the same port of all addresses. The kernel
/// prefers the narrower socket as long as that is open, and resets those in its queue when it closes; so it stays, as a
/// second queue for the same clients.
pub(super) fn covers(wide: &Listener, narrow: &Listener) -> bool {
    let (Some((wide_ip, port)), Some((ip, same))) = (inet(wide), inet(narrow)) else {
        return false;
    };
    let takes_family = wide_ip.is_ipv4() == ip.is_ipv4()
        || wide_ip.is_ipv6() && !SockRef::from(wide).only_v6().unwrap_or(true);
    wide_ip.is_unspecified() && port == same && takes_family
}

fn inet(listener: &Listener) -> Option<(IpAddr, u16)> {
    match &listener.address {
        Address::Tcp { host, port } => Some((host.parse().ok()?, *port)),
        Address::Unix(_) | Address::Fd(_) => None,
    }
}
