//! The socket on which a service manager hears how a service is: sd_notify(3).

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// How long a manager that does not read may delay the process that sends to it. It reads at once unless the whole
/// machine stands still.
const PATIENCE: Duration = Duration::from_secs(1);

/// Where a service manager listens.
#[derive(Debug)]
pub struct NotifySocket {
    socket: UnixDatagram,
    address: SocketAddr,
}

impl NotifySocket {
    /// For the address in `NOTIFY_SOCKET`: an absolute path, or `@` and a name in the abstract namespace.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for anything else, and when the process has no descriptor left.
    pub fn new(address: &OsStr) -> io::Result<Self> {
        let address = match address.as_bytes() {
            [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
            [b'/', ..] => SocketAddr::from_pathname(address)?,
            _ => {
                let rule = "it is neither a path nor @ and a name";
                return Err(io::Error::new(io::ErrorKind::InvalidInput, rule));
            }
        };
        let socket = UnixDatagram::unbound()?;
        socket.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { socket, address })
    }

    /// Sends one message, lines of `NAME=value`. The socket is not connected, so a manager that has opened its own anew
    /// gets it too.
    ///
    /// # Errors
    ///
    /// No manager listens there, or it does not read.
    pub fn send(&self, message: &str) -> io::Result<()> {
        self.socket
            .send_to_addr(message.as_bytes(), &self.address)
            .map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hears(listener: &UnixDatagram, address: &OsStr) {
        let socket = NotifySocket::new(address).expect("socket");
        socket.send("READY=1\nSTATUS=well").expect("send");
        let mut message = [0; 64];
        let length = listener.recv(&mut message).expect("recv");
        assert_eq!(&message[..length], b"READY=1\nSTATUS=well");
    }

    #[test]
    fn a_path_and_an_abstract_name_are_addresses() {
        let path = std::env::temp_dir().join(format!("oxicorn-notify-{}", std::process::id()));
        let listener = UnixDatagram::bind(&path).expect("bind");
        hears(&listener, path.as_os_str());
        std::fs::remove_file(&path).expect("unlink");
        let name = format!("oxicorn-notify-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).expect("address");
        let listener = UnixDatagram::bind_addr(&address).expect("bind");
        hears(&listener, OsStr::new(&format!("@{name}")));
    }

    #[test]
    fn what_is_no_address_or_leads_nowhere_is_an_error() {
        let error = NotifySocket::new(OsStr::new("vsock:2:1234")).expect_err("no address");
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        let socket = NotifySocket::new(OsStr::new("/nowhere/notify")).expect("socket");
        assert!(socket.send("READY=1").is_err());
    }
}
