//! The certificates and keys of TLS, read before the rights of root are given up, and the keys of session tickets,
//! which outlive reloads and upgrades.

use std::io;
use std::os::fd::{AsFd, IntoRawFd};
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;

use server::{TicketKeys, Tls};
use settings::Config;
use sys::fds::OnExec;

use crate::failure::Failure;

/// The environment variable with the number of the socket in which the keys of a master wait for its successor (USR2).
pub(crate) const TICKETS: &str = "OXICORN_FD_TICKETS";
/// More than the keys have.
const LONGEST: usize = 4096;

/// The keys of session tickets. They are made when TLS is asked for first.
#[derive(Default)]
pub(crate) struct Tickets {
    keys: Option<Arc<TicketKeys>>,
    /// Keys of the master before this one.
    inherited: Vec<u8>,
}

impl Tickets {
    /// Takes over what another master has passed on.
    pub(crate) fn inherited() -> Tickets {
        let read = || {
            let number = std::env::var(TICKETS).ok()?.parse().ok()?;
            let socket = UnixDatagram::from(sys::fds::adopt_socket(number).ok()?);
            socket.set_nonblocking(true).ok()?;
            let mut secrets = vec![0; LONGEST];
            let length = socket.recv(&mut secrets).ok()?;
            secrets.truncate(length);
            Some(secrets)
        };
        // Without them clients shake hands anew, which is no reason not to start.
        let inherited = arbiter::is_upgrade().then(read).flatten();
        Tickets {
            keys: None,
            inherited: inherited.unwrap_or_default(),
        }
    }

    /// What encrypted connections are made of; `None` where the settings ask for no TLS.
    ///
    /// # Errors
    ///
    /// A file cannot be read, or its content does not fit the rest.
    pub(crate) fn load(&mut self, config: &Config) -> Result<Option<Arc<Tls>>, Failure> {
        if !config.is_secure() {
            return Ok(None);
        }
        let keys = self.keys().map_err(|error| {
            Failure::configuration(format!("session tickets have no keys: {error}"))
        })?;
        match Tls::load(config, keys) {
            Ok(tls) => Ok(Some(Arc::new(tls))),
            Err(misuse) => Err(Failure::from(
                config.unusable(misuse.setting, misuse.reason),
            )),
        }
    }

    fn keys(&mut self) -> io::Result<Arc<TicketKeys>> {
        if let Some(keys) = &self.keys {
            return Ok(Arc::clone(keys));
        }
        let keys = Arc::new(TicketKeys::new(&self.inherited)?);
        self.inherited.clear();
        self.keys = Some(Arc::clone(&keys));
        Ok(keys)
    }

    /// Leaves the keys in a socket that the program which is started next inherits. Returns what its environment has to
    /// say of it.
    pub(crate) fn pass_on(&self) -> Option<(String, String)> {
        let keys = self.keys.as_ref()?;
        let leave = || {
            let (left, found) = UnixDatagram::pair()?;
            left.send(&keys.secrets())?;
            sys::fds::set_on_exec(found.as_fd(), OnExec::Keep)?;
            io::Result::Ok(found.into_raw_fd())
        };
        match leave() {
            Ok(number) => Some((TICKETS.to_owned(), number.to_string())),
            Err(error) => {
                log::warn!("TLS sessions will not be resumed by the new master: {error}");
                None
            }
        }
    }
}
