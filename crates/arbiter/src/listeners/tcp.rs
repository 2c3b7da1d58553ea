//! Listening on an address of TCP, and why that is refused.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};

use settings::{Address, Config};
use socket2::{Domain, Socket, Type};

use super::{BindRefusal, Listener, Origin, address_of, cannot_listen, listen};
use crate::failure::Failure;

/// Ports from here on need no rights.
const LOW_PORTS: u16 = 1024;

/// Whether other sockets that say the same may have the port as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PortUse {
    Exclusive,
    Shared,
}

/// A name may have several addresses, of which this machine perhaps has only some.
pub(super) fn bind_tcp(
    address: &Address,
    host: &str,
    port: u16,
    config: &Config,
    port_use: PortUse,
) -> Result<Listener, BindRefusal> {
    let unknown = |error: io::Error| cannot_listen(address, sys::files::sentence(&error));
    let candidates = candidates(host, port).map_err(unknown)?;
    let mut first_refusal = None;
    for wanted in candidates {
        match make_tcp(wanted, config, port_use) {
            Ok(socket) => {
                let bound = address_of(&socket).unwrap_or_else(|| address.clone());
                let origin = Origin::Server(None);
                return Ok(Listener::new(socket, address.clone(), bound, origin).map_err(unknown)?);
            }
            Err(error) => {
                let is_elsewhere = is_no_address_here(&error);
                let refusal = refusal_of_tcp(address, wanted, &error);
                first_refusal.get_or_insert(refusal);
                if !is_elsewhere {
                    break;
                }
            }
        }
    }
    let none = || cannot_listen(address, "the name has no address").into();
    Err(first_refusal.unwrap_or_else(none))
}

fn make_tcp(wanted: SocketAddr, config: &Config, port_use: PortUse) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(wanted), Type::STREAM, None)?;
    // Without it a restart within the minute that closed connections linger in TIME_WAIT would fail.
    socket.set_reuse_address(true)?;
    if port_use == PortUse::Shared {
        socket.set_reuse_port(true)?;
    }
    // Accepted connections inherit it.
    socket.set_tcp_nodelay(true)?;
    socket.bind(&wanted.into())?;
    listen(&socket, config)?;
    Ok(socket)
}

/// Whether the machine lacks the address, or its whole family (`EAFNOSUPPORT`).
fn is_no_address_here(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::AddrNotAvailable | io::ErrorKind::Unsupported
    ) || sys::files::is_no_such_family(error)
}

/// The address to bind: for a name with several, the IPv4 one, as Python's `socket.bind` has it.
pub(super) fn resolve(host: &str, port: u16) -> io::Result<SocketAddr> {
    let first = candidates(host, port)?.into_iter().next();
    first.ok_or_else(|| io::Error::other("the name has no address"))
}

/// All addresses of a name, those of IPv4 first. `localhost` is both loopback addresses, independent of /etc/hosts (RFC
/// 6761).
fn candidates(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let mut found: Vec<_> = (host, port).to_socket_addrs()?.collect();
    let loopback = SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, port));
    if host == "localhost" && !found.contains(&loopback) {
        found.push(loopback);
    }
    found.sort_by_key(|address| !address.is_ipv4());
    Ok(found)
}

pub(super) fn refusal_of_tcp(
    address: &Address,
    wanted: SocketAddr,
    error: &io::Error,
) -> BindRefusal {
    let shown = address.spelling();
    match error.kind() {
        io::ErrorKind::AddrInUse => BindRefusal {
            failure: taken(&shown, wanted),
            is_taken: true,
        },
        _ if is_no_address_here(error) => {
            let ip = wanted.ip().to_string();
            let reason = match shown.contains(&ip) {
                true => "this machine has no such address".to_owned(),
                false => format!("it is {ip}, and this machine has no such address"),
            };
            cannot_listen(address, reason).into()
        }
        io::ErrorKind::PermissionDenied => {
            if wanted.port() >= LOW_PORTS {
                let policy = "the system does not permit this port";
                return cannot_listen(address, policy)
                    .with_hint("a policy of security says so (SELinux, AppArmor, seccomp, a control group's filter)")
                    .into();
            }
            let low = format!(
                "port {} needs rights that this user does not have",
                wanted.port()
            );
            cannot_listen(address, low)
                .with_hint("use a port from 1024 on, or give the server CAP_NET_BIND_SERVICE")
                .into()
        }
        _ => cannot_listen(address, sys::files::sentence(error)).into(),
    }
}

fn taken(shown: &str, wanted: SocketAddr) -> Failure {
    let other = SocketAddr::new(wanted.ip(), wanted.port().checked_add(1).unwrap_or(8000));
    let hint = format!("stop it, or use --bind {other}");
    match sys::holder::of_tcp(wanted) {
        Some(holder) if holder.pid == sys::process::pid() => {
            let failure = Failure::new(format!("{shown} is already in use by this server"));
            match wanted.ip().is_unspecified() {
                // In either order: one socket of IPv6 takes clients of both families.
                true => failure.with_hint(format!(
                    "[::] serves IPv4 as well: --bind '[::]:{}' alone is enough",
                    wanted.port()
                )),
                false => failure,
            }
        }
        Some(holder) => {
            let (pid, name) = (holder.pid, holder.name);
            Failure::new(format!("{shown} is already in use by pid {pid} ({name})")).with_hint(hint)
        }
        None => Failure::new(format!("{shown} is already in use")).with_hint(hint),
    }
}

/// Binds without listening, so that no client is accepted.
pub(super) fn try_tcp(address: &Address, host: &str, port: u16) -> Result<(), BindRefusal> {
    let wanted = resolve(host, port)
        .map_err(|error| cannot_listen(address, sys::files::sentence(&error)))?;
    let bound = || -> io::Result<()> {
        let socket = Socket::new(Domain::for_address(wanted), Type::STREAM, None)?;
        socket.set_reuse_address(true)?;
        socket.bind(&wanted.into())
    };
    bound().map_err(|error| refusal_of_tcp(address, wanted, &error))
}
