//! Metrics in the notation of statsd, one to a datagram, as Gunicorn names and writes them. Sending never waits: what
//! the kernel does not take at once is lost, and that is said once.

use std::fmt::Display;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs as _, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use settings::{Config, StatsdAddress};

/// Where metrics go, and what all of them carry.
#[derive(Debug)]
pub struct Statsd {
    socket: Socket,
    address: String,
    /// Empty, or with a dot at its end.
    prefix: String,
    /// Empty, or the tags of dogstatsd with what divides them from the value.
    tags: String,
    reported: AtomicBool,
}

#[derive(Debug)]
enum Socket {
    Udp(UdpSocket),
    /// Not connected: an agent that is started anew opens another socket under the same name.
    Unix(UnixDatagram, PathBuf),
}

impl Statsd {
    /// What the settings ask for; `None` where they name no host.
    ///
    /// # Errors
    /// The host has no address, or there is no way to it.
    pub fn open(config: &Config) -> io::Result<Option<Statsd>> {
        let Some(address) = &config.statsd_host else {
            return Ok(None);
        };
        let socket = match address {
            StatsdAddress::Udp { host, port } => Socket::Udp(udp(host, *port)?),
            StatsdAddress::Unix(path) => {
                let socket = UnixDatagram::unbound()?;
                socket.set_nonblocking(true)?;
                Socket::Unix(socket, path.clone())
            }
        };
        let prefix = config.statsd_prefix.trim_end_matches('.');
        let tags = &config.dogstatsd_tags;
        Ok(Some(Statsd {
            socket,
            address: address.spelling(),
            prefix: if prefix.is_empty() {
                String::new()
            } else {
                format!("{prefix}.")
            },
            tags: if tags.is_empty() {
                String::new()
            } else {
                format!("|#{tags}")
            },
            reported: AtomicBool::new(false),
        }))
    }

    /// Counts one more of `name`.
    pub fn count(&self, name: &str) {
        self.send(name, 1, "c|@1.0");
    }

    /// Tells the present value of `name`.
    pub fn gauge(&self, name: &str, value: u64) {
        self.send(name, value, "g");
    }

    /// Tells one of the values that `name` takes.
    pub fn histogram(&self, name: &str, value: u64) {
        self.send(name, value, "h");
    }

    /// Sends a metric whose name, value and type are written down: all but prefix and tags.
    pub fn send_written(&self, metric: &str) {
        self.send_packet(&format!("{}{metric}{}", self.prefix, self.tags));
    }

    /// A request is over.
    pub(crate) fn note_request(&self, status: u16, took: Duration) {
        self.send("gunicorn.request.duration", Milliseconds(took), "ms");
        self.count("gunicorn.requests");
        self.count(&format!("gunicorn.request.status.{status}"));
    }

    fn send(&self, name: &str, value: impl Display, kind: &str) {
        self.send_packet(&format!(
            "{}{name}:{value}|{kind}{}",
            self.prefix, self.tags
        ));
    }

    fn send_packet(&self, packet: &str) {
        let sent = match &self.socket {
            Socket::Udp(socket) => socket.send(packet.as_bytes()),
            Socket::Unix(socket, path) => socket.send_to(packet.as_bytes(), path),
        };
        if let Err(error) = sent
            && !self.reported.swap(true, Ordering::Relaxed)
        {
            log::warn!(
                "statsd at {} does not take metrics: {error}; some are lost",
                self.address
            );
        }
    }
}

/// With Python's decimals: as few as tell the microseconds, but at least one.
struct Milliseconds(Duration);

impl Display for Milliseconds {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Exact far beyond any request's duration.
        write!(out, "{:?}", self.0.as_micros() as f64 / 1000.0)
    }
}

fn udp(host: &str, port: u16) -> io::Result<UdpSocket> {
    let addresses: Vec<SocketAddr> = (host, port).to_socket_addrs()?.collect();
    // As Python's connect has it: the IPv4 address of a name with several.
    let address = addresses
        .iter()
        .find(|address| address.is_ipv4())
        .or(addresses.first());
    let address = address.ok_or_else(|| io::Error::other("the name has no address"))?;
    let socket = match address {
        SocketAddr::V4(_) => UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?,
        SocketAddr::V6(_) => UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0))?,
    };
    socket.connect(address)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A listener, and what sends to it with these settings.
    fn pair(prefix: &str, tags: &str) -> (UdpSocket, Statsd) {
        let listener = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("bind");
        listener
            .set_read_timeout(Some(Duration::from_secs(5)))
            .expect("timeout");
        let port = listener.local_addr().expect("address").port();
        let config = Config {
            statsd_host: Some(StatsdAddress::Udp {
                host: "127.0.0.1".to_owned(),
                port,
            }),
            statsd_prefix: prefix.to_owned(),
            dogstatsd_tags: tags.to_owned(),
            ..Config::default()
        };
        let statsd = Statsd::open(&config).expect("open").expect("a host");
        (listener, statsd)
    }

    fn next(listener: &UdpSocket) -> String {
        let mut packet = [0; 512];
        let length = listener.recv(&mut packet).expect("a packet");
        String::from_utf8(packet[..length].to_vec()).expect("text")
    }

    #[test]
    fn a_request_is_three_packets() {
        let (listener, statsd) = pair("shop", "");
        statsd.note_request(404, Duration::from_nanos(2_881_900));
        assert_eq!(next(&listener), "shop.gunicorn.request.duration:2.881|ms");
        assert_eq!(next(&listener), "shop.gunicorn.requests:1|c|@1.0");
        assert_eq!(next(&listener), "shop.gunicorn.request.status.404:1|c|@1.0");
    }

    #[test]
    fn prefix_and_tags_are_as_gunicorn_writes_them() {
        let check = |prefix: &str, tags: &str, expected: &str| {
            let (listener, statsd) = pair(prefix, tags);
            statsd.gauge("gunicorn.workers", 2);
            assert_eq!(next(&listener), expected);
        };
        check("", "", "gunicorn.workers:2|g");
        check("shop.web", "", "shop.web.gunicorn.workers:2|g");
        check("shop.", "", "shop.gunicorn.workers:2|g");
        check("s", "a:b,c:d", "s.gunicorn.workers:2|g|#a:b,c:d");
    }

    #[test]
    fn durations_are_written_as_python_writes_them() {
        for (microseconds, expected) in [
            (0, "0.0"),
            (1, "0.001"),
            (500, "0.5"),
            (3000, "3.0"),
            (1_234_567, "1234.567"),
        ] {
            let took = Duration::from_micros(microseconds);
            assert_eq!(Milliseconds(took).to_string(), expected);
        }
    }

    #[test]
    fn an_agent_that_comes_later_gets_what_is_sent_then() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("statsd");
        let config = Config {
            statsd_host: Some(StatsdAddress::Unix(path.clone())),
            ..Config::default()
        };
        let statsd = Statsd::open(&config).expect("open").expect("a host");
        statsd.count("lost");
        let agent = UnixDatagram::bind(&path).expect("bind");
        statsd.count("gunicorn.requests");
        let mut packet = [0; 64];
        let length = agent.recv(&mut packet).expect("a packet");
        assert_eq!(&packet[..length], b"gunicorn.requests:1|c|@1.0");
    }
}
