//! Listening sockets: bound by us, or inherited; and the names of unix sockets, which outlive their sockets unless
//! they are removed.

use std::fmt::Display;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use settings::{Address, Config};
use socket2::{Domain, SockAddr, Socket, Type};
use sys::forks::Private;
use sys::rights::with_rights_at;
use sys::shared_flag::SharedFlag;

use crate::failure::Failure;
use crate::owner;
use crate::upgrade::Inherited;

mod lone;
mod name;
mod sharing;
mod tcp;

pub use lone::listen_on;
use name::{Name, Owner};
use sharing::{bind_beside, covers, widen};
use tcp::{PortUse, bind_tcp, resolve, try_tcp};

/// How often a port that is taken is tried again while a master takes over from another, and at which interval: the old
/// one may just be closing it. Gunicorn tries as often, at every start.
const TAKEOVER_ATTEMPTS: u32 = 5;
const TAKEOVER_PAUSE: Duration = Duration::from_secs(1);

/// A socket that connections are accepted from. Copies share the socket; it closes with the last.
#[derive(Clone, Debug)]
pub struct Listener {
    socket: Arc<Private>,
    /// As the settings have it, by which a reload recognises it.
    configured: Address,
    /// As the system has it.
    address: Address,
    origin: Origin,
    ending: SharedFlag,
}

#[derive(Clone, Debug)]
enum Origin {
    /// Bound by this server, with a name in the file system when it is a unix socket.
    Server(Option<Arc<Name>>),
    /// A service manager's, which is used as it is; `bind` is ignored.
    Manager,
    /// Named by the operator as `fd://N`.
    Given,
}

impl Listener {
    /// Where it listens, with the port that the system has chosen where it was asked to.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// The socket, which does not block.
    #[must_use]
    pub fn socket(&self) -> &Arc<Private> {
        &self.socket
    }

    /// Raised when the workers that leave are the last processes to accept from it.
    #[must_use]
    pub fn ending(&self) -> &SharedFlag {
        &self.ending
    }

    /// No worker is going to serve it any more: the last ones close it, so that clients are refused. One that is not
    /// this server's alone stays open.
    pub(crate) fn end(&self) {
        if matches!(self.origin, Origin::Server(_)) {
            self.ending.raise();
        }
    }

    /// Whether both are the same socket.
    pub(crate) fn is(&self, other: &Listener) -> bool {
        Arc::ptr_eq(&self.socket, &other.socket)
    }

    /// Another descriptor for the same socket.
    ///
    /// # Errors
    ///
    /// When the process has no descriptor left.
    pub fn duplicate(&self) -> io::Result<OwnedFd> {
        sys::fds::duplicate(self.as_fd())
    }

    /// Whether it belongs to a service manager, which keeps it and its name.
    pub(crate) fn is_managed(&self) -> bool {
        matches!(self.origin, Origin::Manager)
    }

    /// From now on another master removes the name of a unix socket.
    pub(crate) fn leave_name(&self) {
        if let Origin::Server(Some(name)) = &self.origin {
            name.belongs_to(Owner::AnotherMaster);
        }
    }

    /// From now on this master removes the name of a unix socket.
    pub(crate) fn take_name(&self) {
        if let Origin::Server(Some(name)) = &self.origin {
            name.belongs_to(Owner::ThisProcess);
        }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Opens everything that the configuration names, or takes what was inherited.
pub(crate) fn open(config: &Config, inherited: &Inherited) -> Result<Vec<Listener>, Failure> {
    match inherited {
        Inherited::Nothing => bind_missing(config, Vec::new(), 1),
        Inherited::FromManager(numbers) => numbers
            .iter()
            .map(|number| adopt(*number, config, Origin::Manager))
            .collect(),
        Inherited::FromMaster(numbers) => {
            let names = || Origin::Server(None);
            let rights = owner::with_fewer_rights(config)?;
            let adopt = |number: &i32| {
                adopt(*number, config, names()).map(|listener| with_anothers_name(listener, rights))
            };
            let inherited = numbers.iter().map(adopt).collect::<Result<Vec<_>, _>>()?;
            // What the new configuration does not name any more is closed here, and by the old master when it ends.
            bind_missing(config, inherited, TAKEOVER_ATTEMPTS)
        }
    }
}

/// Whether a start could listen on the address: an error is a sentence on why it could not. An address that is taken is
/// only a doubt, because the server whose settings are checked may be what has it. Nothing is left behind.
///
/// # Errors
///
/// No server could listen there.
pub fn check_address(address: &Address) -> Result<Option<String>, String> {
    let refused = match address {
        Address::Tcp { host, port } => try_tcp(address, host, *port).err(),
        Address::Unix(path) => return name::check(path),
        Address::Fd(number) => sys::fds::adopt_socket(*number)
            .map(drop)
            .map_err(|error| cannot_listen(address, sys::files::sentence(&error)).into())
            .err(),
    };
    match refused {
        None => Ok(None),
        Some(refusal) if refusal.is_taken => Ok(Some(refusal.failure.sentence().to_owned())),
        Some(refusal) => Err(refusal.failure.sentence().to_owned()),
    }
}

/// Opens what the configuration names and is not there yet, and keeps the rest.
pub(crate) fn reopen(config: &Config, existing: &[Listener]) -> Result<Vec<Listener>, Failure> {
    if existing.iter().any(Listener::is_managed) {
        return Ok(existing.to_vec());
    }
    bind_missing(config, existing.to_vec(), 1)
}

/// In the order of the configuration.
fn bind_missing(
    config: &Config,
    existing: Vec<Listener>,
    attempts: u32,
) -> Result<Vec<Listener>, Failure> {
    let mut listeners: Vec<Listener> = Vec::with_capacity(config.bind.len());
    let mut unclaimed = existing.clone();
    for address in &config.bind {
        let (known, others) = unclaimed
            .into_iter()
            .partition(|listener| listener.serves(address));
        unclaimed = others;
        let mut group: Vec<Listener> = known;
        for listener in &mut group {
            *listener = listener.clone().configured_as(address);
        }
        if group.is_empty() {
            let is_new = !listeners.iter().any(|listener| listener.serves(address));
            let neighbours = existing.iter().filter(|_| is_new);
            let neighbours: Vec<_> = neighbours.filter(|one| one.has_port_of(address)).collect();
            group.push(bind_patiently(address, config, attempts, &neighbours)?);
            widen(&mut group, config).map_err(|refusal| refusal.failure)?;
        }
        listeners.append(&mut group);
    }
    unclaimed.retain(|old| listeners.iter().any(|new| covers(new, old)));
    listeners.append(&mut unclaimed);
    Ok(listeners)
}

impl Listener {
    /// The same listener, named as the present configuration has it.
    fn configured_as(self, address: &Address) -> Self {
        let origin = match address {
            // The process that opened it removes its name.
            Address::Fd(_) => Origin::Given,
            Address::Tcp { .. } | Address::Unix(_) => self.origin,
        };
        Self {
            configured: address.clone(),
            origin,
            ..self
        }
    }

    /// Whether it listens on the port that `address` names, on any address.
    fn has_port_of(&self, address: &Address) -> bool {
        match (address, &self.address) {
            (Address::Tcp { port, .. }, Address::Tcp { port: actual, .. }) => port == actual,
            _ => false,
        }
    }

    /// Whether this is the listener that `address` asks for.
    fn serves(&self, address: &Address) -> bool {
        if self.configured == *address {
            return true;
        }
        match (address, &self.address) {
            (Address::Unix(wanted), Address::Unix(path)) => {
                std::path::absolute(wanted).ok() == std::path::absolute(path).ok()
            }
            (
                Address::Tcp { host, port },
                Address::Tcp {
                    host: ip,
                    port: actual,
                },
            ) => {
                let same_port = port == actual || *port == 0;
                let ip = ip.parse().ok();
                same_port && resolve(host, *port).is_ok_and(|wanted| Some(wanted.ip()) == ip)
            }
            _ => false,
        }
    }
}

/// `neighbours` have the same port, are this server's, and may be the reason why it is taken.
fn bind_patiently(
    address: &Address,
    config: &Config,
    attempts: u32,
    neighbours: &[&Listener],
) -> Result<Listener, Failure> {
    let attempt = || match bind(address, config) {
        Err(refusal) if refusal.is_taken && !neighbours.is_empty() => {
            bind_beside(neighbours, address, config)
        }
        result => result,
    };
    for _ in 1..attempts {
        match attempt() {
            Err(refusal) if refusal.is_taken => {
                log::error!("Connection in use: {}", address.spelling());
                std::thread::sleep(TAKEOVER_PAUSE);
            }
            result => return result.map_err(|refusal| refusal.failure),
        }
    }
    attempt().map_err(|refusal| refusal.failure)
}

/// Why an address could not be listened on.
struct BindRefusal {
    failure: Failure,
    /// Whether another socket has it, which may pass.
    is_taken: bool,
}

impl From<Failure> for BindRefusal {
    fn from(failure: Failure) -> Self {
        Self {
            failure,
            is_taken: false,
        }
    }
}

fn bind(address: &Address, config: &Config) -> Result<Listener, BindRefusal> {
    match address {
        Address::Tcp { host, port } => {
            let port_use = match config.reuse_port {
                true => PortUse::Shared,
                false => PortUse::Exclusive,
            };
            bind_tcp(address, host, *port, config, port_use)
        }
        Address::Unix(path) => bind_unix(address, path, config),
        Address::Fd(number) => Ok(adopt(*number, config, Origin::Given)?),
    }
}

fn cannot_listen(address: &Address, why: impl Display) -> Failure {
    Failure::new(format!("cannot listen on {}: {why}", address.spelling()))
}

fn bind_unix(address: &Address, path: &Path, config: &Config) -> Result<Listener, BindRefusal> {
    let new_owner = owner::of_sockets(config)?;
    let rights = owner::with_fewer_rights(config)?;
    let bind = || -> io::Result<(Socket, Name)> {
        name::remove_stale(path)?;
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        let name = SockAddr::unix(path)?;
        let umask = config
            .socket_mode
            .map_or(config.umask, |mode| !mode & 0o777);
        let before = sys::process::set_umask(umask);
        let bound = socket.bind(&name);
        sys::process::set_umask(before);
        bound?;
        // From here on the name is removed again if a step fails.
        let name = Name::of(path, Owner::ThisProcess, rights)?;
        Ok((socket, name))
    };
    let make = || -> io::Result<(Socket, Name)> {
        let (socket, name) = with_rights_at(path, rights, bind)?;
        if let Some(new_owner) = new_owner {
            sys::users::give_socket(path, new_owner.uid, new_owner.gid)?;
        }
        listen(&socket, config)?;
        Ok((socket, name))
    };
    let (socket, name) =
        make().map_err(|error| cannot_listen(address, sys::files::reason(path, &error)))?;
    let origin = Origin::Server(Some(Arc::new(name)));
    let listener = Listener::new(socket, address.clone(), address.clone(), origin);
    Ok(listener.map_err(|error| cannot_listen(address, sys::files::sentence(&error)))?)
}

fn listen(socket: &Socket, config: &Config) -> io::Result<()> {
    socket.set_nonblocking(true)?;
    socket.listen(i32::try_from(config.backlog).unwrap_or(i32::MAX))
}

impl Listener {
    fn new(
        socket: Socket,
        configured: Address,
        address: Address,
        origin: Origin,
    ) -> io::Result<Self> {
        Ok(Self {
            socket: Arc::new(OwnedFd::from(socket).into()),
            configured,
            address,
            origin,
            ending: SharedFlag::new()?,
        })
    }
}

/// Takes a socket that was open before this process began.
fn adopt(number: i32, config: &Config, origin: Origin) -> Result<Listener, Failure> {
    let shown = Address::Fd(number);
    let socket: Socket = sys::fds::adopt_socket(number)
        .map_err(|error| cannot_listen(&shown, sys::files::sentence(&error)))?
        .into();
    // Listening again on a socket that listens may be forbidden (SELinux).
    let is_listening = socket.is_listener().unwrap_or(false);
    let ready = if is_listening {
        socket.set_nonblocking(true)
    } else {
        listen(&socket, config)
    };
    ready.map_err(|error| cannot_listen(&shown, sys::files::sentence(&error)))?;
    let address = address_of(&socket).unwrap_or_else(|| shown.clone());
    Listener::new(socket, shown.clone(), address, origin)
        .map_err(|error| cannot_listen(&shown, sys::files::sentence(&error)))
}

/// The name of an inherited unix socket is the other master's until that ends.
fn with_anothers_name(listener: Listener, rights: Option<sys::rights::Owner>) -> Listener {
    let Address::Unix(path) = &listener.address else {
        return listener;
    };
    let name = Name::of(path, Owner::AnotherMaster, rights)
        .ok()
        .map(Arc::new);
    Listener {
        origin: Origin::Server(name),
        ..listener
    }
}

/// Where the socket listens, as the system says it.
fn address_of(socket: &Socket) -> Option<Address> {
    let address = socket.local_addr().ok()?;
    if let Some(inet) = address.as_socket() {
        return Some(Address::Tcp {
            host: inet.ip().to_string(),
            port: inet.port(),
        });
    }
    address
        .as_pathname()
        .map(|path| Address::Unix(PathBuf::from(path)))
}

#[cfg(test)]
mod tests;
