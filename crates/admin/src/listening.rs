//! The sockets of the admin server and its turns.

use std::collections::VecDeque;
use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use arbiter::{Admin, Listener, Order, Status};
use settings::{Address, Config};
use socket2::SockRef;
use sys::poll::Interest;

use crate::client::{Client, Fate, Protocol};

/// The most clients at a time. A monitoring system opens one connection a scrape; beyond that the one that has been
/// there longest is closed, so that clients which send nothing keep no other client out.
const CLIENTS: usize = 32;
/// New clients of one turn.
const ACCEPTS: usize = 8;
/// The most answers within [`WINDOW`]; then the arbiter has its other work alone until the window is over. An answer
/// takes a millisecond at most, so a flood takes a fifth of the arbiter's time.
const ANSWERS: u32 = 20;
const WINDOW: Duration = Duration::from_millis(100);
/// How often an address that another master still has is tried again during an upgrade.
const TAKEOVER_PAUSE: Duration = Duration::from_secs(1);

/// The file mode of a Unix socket that `admin_bind` names: the metrics are the owner's and the group's.
const ADMIN_MODE: u32 = 0o660;

/// An address that the settings name.
#[derive(Clone, Debug)]
struct Place {
    address: Address,
    protocol: Protocol,
    mode: u32,
}

/// Listens where the settings say, and answers.
#[derive(Debug)]
pub struct AdminServer {
    listeners: Vec<(Listener, Protocol)>,
    /// What another master has, which is to end.
    missing: Vec<Place>,
    try_again: Option<Duration>,
    clients: VecDeque<Client>,
    window: Window,
}

/// Counts the answers of a span of time.
#[derive(Debug, Default)]
struct Window {
    ends: Duration,
    answers: u32,
}

impl Window {
    fn is_full(&self) -> bool {
        self.answers >= ANSWERS
    }

    fn look(&mut self, now: Duration) {
        if now >= self.ends {
            self.ends = now + WINDOW;
            self.answers = 0;
        }
    }
}

impl AdminServer {
    /// Opens what the settings name; `None` where that is nothing. `is_upgrade` says that another master may still have
    /// the addresses: they are then taken over when it has ended.
    ///
    /// # Errors
    ///
    /// A sentence on why an address cannot be listened on.
    pub fn open(config: &Config, is_upgrade: bool) -> Result<Option<AdminServer>, String> {
        let places = places(config);
        if places.is_empty() {
            return Ok(None);
        }
        let mut server = AdminServer {
            listeners: Vec::new(),
            missing: Vec::new(),
            try_again: None,
            clients: VecDeque::new(),
            window: Window::default(),
        };
        for place in places {
            match arbiter::listen_on(&place.address, place.mode, config) {
                Ok(listener) => server.listeners.push((listener, place.protocol)),
                Err(_) if is_upgrade => {
                    server.missing.push(place);
                    server.try_again = Some(Duration::ZERO);
                }
                Err(reason) => return Err(format!("{}: {reason}", place.protocol.setting())),
            }
        }
        Ok(Some(server))
    }

    /// Where it listens with the ports that the system has chosen, for the log.
    pub fn addresses(&self) -> impl Iterator<Item = String> + '_ {
        self.listeners
            .iter()
            .map(|(listener, protocol)| format!("{} ({})", listener.address(), protocol.purpose()))
    }

    fn take_over(&mut self, config: &Config, now: Duration) {
        if self.try_again.is_none_or(|due| now < due) {
            return;
        }
        self.missing.retain(
            |place| match arbiter::listen_on(&place.address, place.mode, config) {
                Ok(listener) => {
                    self.listeners.push((listener, place.protocol));
                    false
                }
                Err(_) => true,
            },
        );
        self.try_again = (!self.missing.is_empty()).then_some(now + TAKEOVER_PAUSE);
    }

    fn accept(&mut self, now: Duration) {
        for _ in 0..ACCEPTS {
            let accepted = self.listeners.iter().find_map(|(listener, protocol)| {
                let socket = SockRef::from(&listener.as_fd()).accept();
                Some((socket.ok()?.0, *protocol))
            });
            let Some((socket, protocol)) = accepted else {
                return;
            };
            if self.clients.len() >= CLIENTS {
                self.clients.pop_front();
            }
            if socket.set_nonblocking(true).is_ok() {
                self.clients.push_back(Client::new(socket, protocol, now));
            }
        }
    }
}

impl Admin for AdminServer {
    fn interests(&self) -> Vec<Interest<'_>> {
        if self.window.is_full() {
            return Vec::new();
        }
        let listeners = self.listeners.iter().map(|(listener, _)| Interest {
            source: listener.as_fd(),
            readable: true,
            writable: false,
        });
        listeners
            .chain(self.clients.iter().filter_map(Client::interest))
            .collect()
    }

    fn deadline(&self) -> Option<Duration> {
        if self.window.is_full() {
            return Some(self.window.ends);
        }
        let clients = self.clients.iter().map(Client::deadline);
        clients.chain(self.try_again).min()
    }

    fn turn(&mut self, status: &Status<'_>, now: Duration) -> Vec<Order> {
        self.take_over(status.config, now);
        self.window.look(now);
        self.accept(now);
        let mut orders = Vec::new();
        for _ in 0..self.clients.len() {
            let Some(mut client) = self.clients.pop_front() else {
                break;
            };
            let may_answer = !self.window.is_full();
            let fate = client.turn(status, may_answer, now);
            self.window.answers += client.take_answers();
            orders.extend(client.take_order());
            if fate == Fate::Open {
                self.clients.push_back(client);
            }
        }
        orders
    }
}

fn places(config: &Config) -> Vec<Place> {
    let admin = config.admin_bind.iter().map(|address| Place {
        address: address.clone(),
        protocol: Protocol::Http,
        mode: ADMIN_MODE,
    });
    let control = config
        .control_socket
        .as_ref()
        .filter(|_| !config.control_socket_disable);
    let control = control.map(|path| Place {
        address: Address::Unix(path.clone()),
        protocol: Protocol::Control,
        mode: config.control_socket_mode,
    });
    admin.chain(control).collect()
}

/// Whether nothing is there yet, which is no error of a socket that does not block.
pub(crate) fn is_not_yet(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    )
}
