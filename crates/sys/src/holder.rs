//! Who listens on an address that we wanted.
//!
//! The kernel's tables name a socket by its inode; the process that has it open is found by looking through the open
//! files of every process that we are allowed to see. It is slow and only done to explain a failure.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

/// A process that holds a listening socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its pid; of several processes that share the socket the lowest, which is mostly the one that made it.
    pub pid: i32,
    /// What it calls itself, at most 15 bytes.
    pub name: String,
}

/// The process that keeps `wanted` from being bound, where that can be known.
#[must_use]
pub fn of_tcp(wanted: SocketAddr) -> Option<Holder> {
    ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .find_map(|table| {
            let table = fs::read_to_string(table).ok()?;
            listeners(&table)
                .filter(|(local, _)| collide(*local, wanted))
                .find_map(|(_, inode)| of_inode(inode))
        })
}

/// The process that listens on the unix socket at `path`, where that can be known.
#[must_use]
pub fn of_unix(path: &Path) -> Option<Holder> {
    let table = fs::read_to_string("/proc/net/unix").ok()?;
    let mut inodes = unix_listeners(&table).filter(|(name, _)| Path::new(name) == path);
    inodes.find_map(|(_, inode)| of_inode(inode))
}

/// The names and inodes of the unix sockets that listen.
fn unix_listeners(table: &str) -> impl Iterator<Item = (&str, u64)> {
    /// `__SO_ACCEPTCON` of the kernel, as the table prints it. Accepted connections have their listener's name too.
    const ACCEPTS: &str = "00010000";
    table.lines().skip(1).filter_map(|line| {
        // Num RefCount Protocol Flags Type St Inode Path; the columns are padded, and the path may hold blanks.
        let mut rest = line;
        let mut columns = [""; 7];
        for column in &mut columns {
            (*column, rest) = rest.trim_start().split_once(' ')?;
        }
        let [.., flags, _, _, inode] = columns;
        (flags == ACCEPTS).then_some((rest, inode.parse().ok()?))
    })
}

/// The local addresses and inodes of the sockets in state LISTEN.
fn listeners(table: &str) -> impl Iterator<Item = (SocketAddr, u64)> {
    /// `TCP_LISTEN` of the kernel, as the table prints it.
    const LISTEN: &str = "0A";
    table.lines().skip(1).filter_map(|line| {
        // sl local_address rem_address st tx_queue:rx_queue tr:tm->when retrnsmt uid timeout inode
        let columns: Vec<&str> = line.split_ascii_whitespace().collect();
        if *columns.get(3)? != LISTEN {
            return None;
        }
        Some((address(columns.get(1)?)?, columns.get(9)?.parse().ok()?))
    })
}

/// `0100007F:1F90` is 127.0.0.1:8080: words of the address in the machine's byte order, the port as a number.
fn address(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let words: Vec<[u8; 4]> = ip
        .as_bytes()
        .chunks(8)
        .map(|word| {
            u32::from_str_radix(std::str::from_utf8(word).ok()?, 16)
                .ok()
                .map(u32::to_ne_bytes)
        })
        .collect::<Option<_>>()?;
    let ip = match words.as_slice() {
        [word] => IpAddr::V4(Ipv4Addr::from(*word)),
        words => IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(words.concat()).ok()?)),
    };
    Some(SocketAddr::new(ip.to_canonical(), port))
}

/// Whether a listener on `held` keeps `wanted` from being bound: same port, and the same address or one of them all
/// addresses.
fn collide(held: SocketAddr, wanted: SocketAddr) -> bool {
    let wanted_ip = wanted.ip().to_canonical();
    held.port() == wanted.port()
        && (held.ip() == wanted_ip || held.ip().is_unspecified() || wanted_ip.is_unspecified())
}

fn of_inode(inode: u64) -> Option<Holder> {
    let wanted = format!("socket:[{inode}]");
    let mut pids: Vec<i32> = fs::read_dir("/proc")
        .ok()?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    pids.sort_unstable();
    pids.into_iter()
        .find(|pid| has_open(*pid, &wanted))
        .map(|pid| Holder {
            pid,
            name: name_of(pid),
        })
}

fn has_open(pid: i32, wanted: &str) -> bool {
    // Another user's process cannot be looked into, and one may end meanwhile: neither is the holder then.
    let Ok(files) = fs::read_dir(format!("/proc/{pid}/fd")) else {
        return false;
    };
    files
        .flatten()
        .any(|file| fs::read_link(file.path()).is_ok_and(|target| target.as_os_str() == wanted))
}

/// What a process calls itself, or an empty string.
#[must_use]
pub fn name_of(pid: i32) -> String {
    fs::read_to_string(format!("/proc/{pid}/comm"))
        .map(|name| name.trim_end().to_owned())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::os::unix::net::UnixListener;

    use super::*;

    fn ourselves() -> Holder {
        let pid = crate::process::pid();
        Holder {
            pid,
            name: name_of(pid),
        }
    }

    #[test]
    fn the_holder_of_a_port_is_found() {
        for bind in ["127.0.0.1:0", "0.0.0.0:0"] {
            let listener = TcpListener::bind(bind).expect("bind");
            let port = listener.local_addr().expect("address").port();
            let wanted = SocketAddr::from(([127, 0, 0, 1], port));
            assert_eq!(of_tcp(wanted), Some(ourselves()), "{bind}");
            drop(listener);
            assert_eq!(of_tcp(wanted), None, "{bind}");
        }
    }

    #[test]
    fn the_holder_of_a_unix_socket_is_found() {
        let path = std::env::temp_dir().join(format!("oxicorn-holder-{}.sock", std::process::id()));
        let listener = UnixListener::bind(&path).expect("bind");
        assert_eq!(of_unix(&path), Some(ourselves()));
        drop(listener);
        assert_eq!(of_unix(&path), None);
        fs::remove_file(&path).expect("unlink");
    }

    #[test]
    fn only_listening_unix_sockets_with_a_name_are_listed() {
        let table = "Num       RefCount Protocol Flags    Type St Inode Path\n\
                     0000: 00000002 00000000 00010000 0001 01   123 /run/a b.sock\n\
                     0000: 00000003 00000000 00000000 0001 03 456789 /run/a b.sock\n\
                     0000: 00000002 00000000 00010000 0001 01 777\n";
        assert_eq!(
            unix_listeners(table).collect::<Vec<_>>(),
            [("/run/a b.sock", 123)]
        );
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn addresses_are_read_as_the_kernel_prints_them() {
        let check = |text: &str, expected: Option<&str>| {
            assert_eq!(
                address(text),
                expected.map(|text| text.parse().expect("address")),
                "{text}"
            );
        };
        check("0100007F:1F90", Some("127.0.0.1:8080"));
        check("00000000000000000000000001000000:0050", Some("[::1]:80"));
        check(
            "0000000000000000FFFF00000100007F:1F90",
            Some("127.0.0.1:8080"),
        );
        check("0100007F", None);
        check("01:1F90:2", None);
        check("0000000000000000:1F90", None);
    }

    #[test]
    fn addresses_collide_when_the_kernel_says_so() {
        let check = |held: &str, wanted: &str, expected: bool| {
            let parse = |text: &str| text.parse::<SocketAddr>().expect("address");
            assert_eq!(
                collide(parse(held), parse(wanted)),
                expected,
                "{held} {wanted}"
            );
        };
        check("127.0.0.1:80", "127.0.0.1:80", true);
        check("0.0.0.0:80", "127.0.0.1:80", true);
        check("127.0.0.1:80", "0.0.0.0:80", true);
        check("127.0.0.1:80", "127.0.0.2:80", false);
        check("127.0.0.1:80", "127.0.0.1:81", false);
    }
}
