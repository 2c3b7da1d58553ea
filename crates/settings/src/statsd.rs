//! Where metrics go: the spellings of `statsd_host`. It resolves and opens nothing.

use std::path::PathBuf;

use crate::address::Address;

/// The port of an address that names none.
const DEFAULT_PORT: u16 = 8125;

/// Where statsd listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StatsdAddress {
    /// A host and its UDP port.
    Udp {
        /// Name or address.
        host: String,
        /// Port.
        port: u16,
    },
    /// A unix datagram socket.
    Unix(PathBuf),
}

impl StatsdAddress {
    /// What [`StatsdAddress::parse`] reads, as an error message says it.
    pub const ACCEPTED: &str = "HOST:PORT or unix://PATH";

    /// Reads an address; the error is a sentence about what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        // A host of this name; Gunicorn takes it so.
        if let Some(port) = text
            .strip_prefix("unix:")
            .and_then(|port| port.parse().ok())
        {
            return Ok(Self::Udp {
                host: "unix".to_owned(),
                port,
            });
        }
        let names_port = text
            .rsplit_once(':')
            .is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        match Address::parse(text)? {
            Address::Tcp { host, port } if names_port => Ok(Self::Udp { host, port }),
            Address::Tcp { host, .. } => Ok(Self::Udp {
                host,
                port: DEFAULT_PORT,
            }),
            Address::Unix(path) => Ok(Self::Unix(path)),
            Address::Fd(_) => {
                Err("metrics are sent to an address, not to an open descriptor".to_owned())
            }
        }
    }

    /// The spelling that [`StatsdAddress::parse`] reads back.
    pub fn spelling(&self) -> String {
        match self {
            Self::Udp { host, port } if host.contains(':') => format!("[{host}]:{port}"),
            Self::Udp { host, port } => format!("{host}:{port}"),
            Self::Unix(path) => format!("unix://{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spellings_of_gunicorn_are_read() {
        let check = |text: &str, spelling: &str| {
            let address = StatsdAddress::parse(text).expect(text);
            assert_eq!(address.spelling(), spelling, "{text}");
            assert_eq!(StatsdAddress::parse(spelling), Ok(address), "{text}");
        };
        check("localhost:8126", "localhost:8126");
        check("Localhost", "localhost:8125");
        check("[::1]:81", "[::1]:81");
        check("[::1]", "[::1]:8125");
        check("unix:///run/statsd", "unix:///run/statsd");
        check("unix:/run/statsd", "unix:///run/statsd");
        check("unix:8125", "unix:8125");
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in ["h:port", "h:99999", "fd://3", "unix:"] {
            assert!(StatsdAddress::parse(text).is_err(), "{text}");
        }
    }
}
