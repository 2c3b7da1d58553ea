//! How many connections wait to be accepted.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// The length of a listener's accept queue; `None` where the kernel does not tell it, as for unix sockets.
#[must_use]
pub fn queued(listener: BorrowedFd<'_>) -> Option<u32> {
    info(listener).ok().map(|info| info.tcpi_unacked)
}

/// Of a socket that listens, the kernel fills in its queue where others count what is not acknowledged.
fn info(socket: BorrowedFd<'_>) -> io::Result<libc::tcp_info> {
    // SAFETY: all-zero bytes are a valid value of this structure of integers.
    let mut info: libc::tcp_info = unsafe { std::mem::zeroed() };
    let mut length = libc::socklen_t::try_from(size_of::<libc::tcp_info>()).unwrap_or(0);
    // SAFETY: the kernel writes at most `length` bytes, which is the structure's size, and the descriptor is open.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            (&raw mut info).cast(),
            &raw mut length,
        )
    };
    match result {
        0 => Ok(info),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn those_who_wait_are_counted() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
        assert_eq!(queued(listener.as_fd()), Some(0));
        let address = listener.local_addr().expect("address");
        let _clients = [TcpStream::connect(address), TcpStream::connect(address)]
            .map(|client| client.expect("connect"));
        assert_eq!(queued(listener.as_fd()), Some(2));
        listener.accept().expect("accept");
        assert_eq!(queued(listener.as_fd()), Some(1));
    }

    #[test]
    fn a_unix_socket_does_not_tell() {
        let path = std::env::temp_dir().join(format!("oxicorn-backlog-{}", std::process::id()));
        let listener = UnixListener::bind(&path).expect("bind");
        assert_eq!(queued(listener.as_fd()), None);
        std::fs::remove_file(&path).expect("unlink");
    }
}
