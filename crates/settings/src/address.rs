//! Where the server listens: the spellings of `bind` and what they mean. It resolves and opens nothing.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::path::PathBuf;

use crate::os_text;

/// The port of an address that names none, Gunicorn's.
const DEFAULT_PORT: u16 = 8000;

/// Room for the path of a Unix socket and a final zero, from unix(7).
const SUN_PATH_BYTES: usize = 108;

/// One listening address, read from a spelling that Gunicorn takes: `HOST`, `HOST:PORT`, `:PORT`, `[V6]:PORT`,
/// `tcp://HOST:PORT`, `unix:PATH`, `unix://PATH`, `fd://N`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// A name or an IP address (without brackets) and a port; port 0 lets the system choose.
    Tcp {
        /// Host name or address, lower case.
        host: String,
        /// TCP port.
        port: u16,
    },
    /// The path of a unix socket.
    Unix(PathBuf),
    /// A listening socket that is already open under this descriptor.
    Fd(i32),
}

impl Address {
    /// What [`Address::parse`] reads, as an error message says it.
    pub const ACCEPTED: &str = "HOST:PORT, [IPV6]:PORT, unix:PATH or fd://N";

    /// Reads one address; the error is a sentence about what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        if let Some(correction) = correction(text) {
            return Err(correction);
        }
        if let Some(path) = text.strip_prefix("unix:") {
            return unix(path.strip_prefix("//").unwrap_or(path));
        }
        if let Some(number) = text.strip_prefix("fd://") {
            return descriptor(number);
        }
        tcp(text.strip_prefix("tcp://").unwrap_or(text))
    }

    /// Whether other machines may reach it. What a name that is not `localhost` stands for is not known here.
    pub fn is_public(&self) -> bool {
        match self {
            Self::Tcp { host, .. } => match host.parse::<IpAddr>() {
                Ok(address) => !address.to_canonical().is_loopback(),
                Err(_) => host != "localhost",
            },
            Self::Unix(_) | Self::Fd(_) => false,
        }
    }

    /// The spelling that [`Address::parse`] reads back, which `bind` is printed with.
    pub fn spelling(&self) -> String {
        match self {
            Self::Tcp { host, port } if host.contains(':') => format!("[{host}]:{port}"),
            Self::Tcp { host, port } => format!("{host}:{port}"),
            Self::Unix(path) => format!("unix:{}", os_text::from_os(path.as_os_str())),
            Self::Fd(number) => format!("fd://{number}"),
        }
    }
}

impl fmt::Display for Address {
    /// As Gunicorn's `Listening at:` shows it.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { .. } => write!(out, "http://{}", self.spelling()),
            Self::Unix(_) | Self::Fd(_) => out.write_str(&self.spelling()),
        }
    }
}

/// The hint for a spelling that another program takes, or that people write by mistake. None of them is an address that
/// Gunicorn could listen on.
fn correction(text: &str) -> Option<String> {
    let meant = |spelling: &str| Some(format!("did you mean {spelling}?"));
    if let Some((scheme, rest)) = text.split_once("://") {
        let authority = rest.split('/').next().unwrap_or(rest);
        return match scheme.to_ascii_lowercase().as_str() {
            "http" | "ws" => meant(authority),
            "https" | "wss" => Some(format!(
                "--bind names no protocol: {authority} is the address, and TLS is a matter of --certfile and --keyfile"
            )),
            "tcp" | "unix" | "fd" => None,
            other => Some(format!("'{other}://' is not known here")),
        };
    }
    if text.starts_with("unix:") {
        return None;
    }
    if let Some(number) = text.strip_prefix("fd:").or(text.strip_prefix("fd=")) {
        return meant(&format!("fd://{number}"));
    }
    if is_path(text) {
        return meant(&format!("unix:{text}"));
    }
    if let Some((address, _path)) = text.split_once('/')
        && let Some((_, digits)) = address.rsplit_once(':')
        && port(digits).is_ok()
    {
        return meant(address);
    }
    if text.contains([',', ' ']) {
        return Some(
            "one address each: the option can be repeated, and a conf file takes a list".to_owned(),
        );
    }
    if let Some(rest) = text.strip_prefix("*:") {
        return meant(&format!("0.0.0.0:{rest}"));
    }
    let is_a_port =
        text != "0" && text.bytes().all(|byte| byte.is_ascii_digit()) && port(text).is_ok();
    is_a_port
        .then(|| format!("did you mean 127.0.0.1:{text}, or 0.0.0.0:{text} for every interface?"))
}

/// Whether the text looks like the path of a Unix socket.
fn is_path(text: &str) -> bool {
    text.starts_with(['/', '.', '~']) || text.ends_with(".sock") || text.ends_with(".socket")
}

fn unix(path: &str) -> Result<Address, String> {
    if path.is_empty() {
        return Err("the path of the unix socket is missing".to_owned());
    }
    let length = path.len() + 1;
    if length > SUN_PATH_BYTES {
        return Err(format!(
            "path too long ({SUN_PATH_BYTES} bytes): this one takes {length} with its final zero"
        ));
    }
    Ok(Address::Unix(os_text::to_os(path).into()))
}

fn descriptor(number: &str) -> Result<Address, String> {
    match number.parse() {
        Ok(fd) if fd >= 0 => Ok(Address::Fd(fd)),
        _ => Err(format!("'{number}' is not the number of a file descriptor")),
    }
}

fn tcp(text: &str) -> Result<Address, String> {
    if text.is_empty() {
        return Ok(Address::Tcp {
            host: "0.0.0.0".to_owned(),
            port: DEFAULT_PORT,
        });
    }
    if let Some(rest) = text.strip_prefix('[') {
        return bracketed(rest);
    }
    if text.matches(':').count() > 1 {
        return Err("an IPv6 address stands in brackets, as in [::1]:8000".to_owned());
    }
    let (host, port) = match text.split_once(':') {
        Some((host, digits)) => (host, port(digits)?),
        None => (text, DEFAULT_PORT),
    };
    if host.contains(['/', ' ']) {
        return Err(format!("'{host}' is not a host"));
    }
    // An empty host is every IPv4 interface, as it is for Python's socket.bind.
    let host = if host.is_empty() { "0.0.0.0" } else { host };
    Ok(Address::Tcp {
        host: host.to_lowercase(),
        port,
    })
}

fn bracketed(rest: &str) -> Result<Address, String> {
    let Some((host, after)) = rest.split_once(']') else {
        return Err("the closing bracket of the IPv6 address is missing".to_owned());
    };
    // A zone (fe80::1%eth0) is the system's business.
    let (bare, _zone) = host.split_once('%').unwrap_or((host, ""));
    if bare.parse::<Ipv6Addr>().is_err() {
        return Err(format!("'{host}' is not an IPv6 address"));
    }
    let port = match after.strip_prefix(':') {
        Some(digits) => port(digits)?,
        None if after.is_empty() => DEFAULT_PORT,
        None => return Err(format!("'{after}' after the closing bracket means nothing")),
    };
    Ok(Address::Tcp {
        host: host.to_lowercase(),
        port,
    })
}

fn port(digits: &str) -> Result<u16, String> {
    digits
        .parse()
        .map_err(|_| format!("'{digits}' is not a port (0 to 65535)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp(host: &str, port: u16) -> Address {
        Address::Tcp {
            host: host.to_owned(),
            port,
        }
    }

    #[test]
    fn every_spelling_of_gunicorn_is_read() {
        let check = |text: &str, expected: Address| {
            assert_eq!(Address::parse(text), Ok(expected), "{text}")
        };
        check("127.0.0.1:9000", tcp("127.0.0.1", 9000));
        check("Example.ORG", tcp("example.org", 8000));
        check(":80", tcp("0.0.0.0", 80));
        check("", tcp("0.0.0.0", 8000));
        check("tcp://h:1", tcp("h", 1));
        check("[::1]:81", tcp("::1", 81));
        check("[::]", tcp("::", 8000));
        check("[fe80::1%eth0]:81", tcp("fe80::1%eth0", 81));
        check("unix:/run/a.sock", Address::Unix("/run/a.sock".into()));
        check("unix:///run/a.sock", Address::Unix("/run/a.sock".into()));
        check("unix:a.sock", Address::Unix("a.sock".into()));
        check("fd://3", Address::Fd(3));
    }

    #[test]
    fn what_is_no_address_is_refused_with_a_reason() {
        let check = |text: &str, reason: &str| {
            let error = Address::parse(text).expect_err(text);
            assert!(error.contains(reason), "{text}: {error}");
        };
        check("foo:bar", "'bar' is not a port");
        check("h:65536", "'65536' is not a port");
        check("::1", "brackets");
        check("[::1", "closing bracket");
        check("[::1]x", "'x'");
        check("[nope]:1", "'nope' is not an IPv6 address");
        check("a/b:80", "'a/b' is not a host");
        check("unix:", "path");
        check("fd://x", "'x'");
        check("fd://-1", "'-1'");
    }

    #[test]
    fn what_was_probably_meant_is_said() {
        let check = |text: &str, reason: &str| {
            let error = Address::parse(text).expect_err(text);
            assert!(error.contains(reason), "{text}: {error}");
        };
        check("http://127.0.0.1:80", "did you mean 127.0.0.1:80?");
        check("HTTP://h:80/", "did you mean h:80?");
        check("https://h:443", "h:443 is the address");
        check("file:///run/s", "'file://' is not known");
        check("8000", "did you mean 127.0.0.1:8000");
        check("/run/x.sock", "did you mean unix:/run/x.sock?");
        check("./x", "did you mean unix:./x?");
        check("x.sock", "did you mean unix:x.sock?");
        check("fd:3", "did you mean fd://3?");
        check("127.0.0.1:80/", "did you mean 127.0.0.1:80?");
        check("*:80", "did you mean 0.0.0.0:80?");
        check("a:1,b:2", "one address each");
    }

    #[test]
    fn an_address_is_public_unless_it_is_of_this_machine() {
        let check = |text: &str, public: bool| {
            let address = Address::parse(text).expect(text);
            assert_eq!(address.is_public(), public, "{text}");
        };
        for text in [
            "0.0.0.0:80",
            ":80",
            "[::]:80",
            "10.0.0.1:80",
            "shop.example",
        ] {
            check(text, true);
        }
        for text in [
            "127.0.0.1",
            "127.1.2.3:80",
            "[::1]:80",
            "[::ffff:127.0.0.1]:80",
            "localhost",
            "unix:/s",
            "fd://3",
        ] {
            check(text, false);
        }
    }

    #[test]
    fn the_path_of_a_unix_socket_has_to_fit() {
        let path = |length: usize| format!("unix:/{}", "x".repeat(length - 1));
        assert!(Address::parse(&path(107)).is_ok());
        let error = Address::parse(&path(108)).expect_err("108");
        assert!(error.starts_with("path too long (108 bytes)"), "{error}");
    }

    #[test]
    fn an_address_is_shown_as_gunicorn_shows_it() {
        let check = |text: &str, shown: &str| {
            let address = Address::parse(text).expect(text);
            assert_eq!(address.to_string(), shown);
            assert_eq!(Address::parse(&address.spelling()), Ok(address));
        };
        check("127.0.0.1", "http://127.0.0.1:8000");
        check("[::1]:9", "http://[::1]:9");
        check("unix:/run/a", "unix:/run/a");
        check("fd://4", "fd://4");
    }
}
