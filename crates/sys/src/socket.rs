//! Sockets of clients: taking them off a listener, reading them, and the way in which they end.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::net::{RecvFlags, Shutdown, SocketFlags, sockopt};

/// Takes the next connection off a listener: closed on exec, and non-blocking. The address is the peer's where it has
/// one of the internet's families.
///
/// # Errors
///
/// What `accept4(2)` says: `WouldBlock` where none waits, `ConnectionAborted` where the next one has left,
/// `Interrupted`.
pub fn accept(listener: BorrowedFd<'_>) -> io::Result<(OwnedFd, Option<SocketAddr>)> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let (socket, address) = rustix::net::acceptfrom_with(listener, flags)?;
    let address = address.and_then(|address| SocketAddr::try_from(address).ok());
    Ok((socket, address))
}

/// Reads the available bytes, as many as fit; 0 is the end of the stream.
///
/// # Errors
///
/// What `recv(2)` says: `WouldBlock` where nothing is there, `ConnectionReset` where the peer has reset the connection.
pub fn receive(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match rustix::net::recv(socket, &mut *buffer, RecvFlags::empty()) {
            Ok((_, count)) => return Ok(count),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Copies the available bytes, as many as fit, and leaves them where they are; 0 is the end of the stream.
///
/// # Errors
///
/// As [`receive`].
pub fn peek(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match rustix::net::recv(socket, &mut *buffer, RecvFlags::PEEK) {
            Ok((_, count)) => return Ok(count),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Whether the peer has reset the connection, or a Unix socket's has closed it. One that has only ended its own side
/// still takes what is sent.
#[must_use]
pub fn is_gone(socket: BorrowedFd<'_>) -> bool {
    let mut polled = [PollFd::from_borrowed_fd(socket, PollFlags::IN)];
    let at_once = Timespec::default();
    let found = rustix::event::poll(&mut polled, Some(&at_once));
    matches!(found, Ok(1))
        && polled[0]
            .revents()
            .intersects(PollFlags::ERR | PollFlags::HUP)
}

/// Has the last close of the socket reset the connection and drop what the kernel still holds for the peer (`SO_LINGER`
/// of zero seconds). A peer of a Unix socket, which knows no reset, finds its end.
///
/// # Errors
///
/// When `socket` is no socket.
pub fn reset_at_close(socket: impl AsFd) -> io::Result<()> {
    Ok(sockopt::set_socket_linger(socket, Some(Duration::ZERO))?)
}

/// Ends both directions of the connection, also where other processes hold the socket.
///
/// # Errors
///
/// When the connection is gone already.
pub fn shut_down(socket: impl AsFd) -> io::Result<()> {
    Ok(rustix::net::shutdown(socket, Shutdown::Both)?)
}

/// Ends the connection with a reset at once, also where other processes hold the socket, by dissolving its association
/// (`connect(2)` with `AF_UNSPEC`), and drops what the kernel holds for the peer. A Unix socket is shut down.
///
/// # Errors
///
/// When `socket` is no socket.
pub fn reset(socket: impl AsFd) -> io::Result<()> {
    let socket = socket.as_fd();
    match rustix::net::connect_unspec(socket) {
        Ok(()) => Ok(()),
        Err(_) => shut_down(socket),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{ErrorKind, Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::os::unix::net::UnixStream;

    use super::*;

    fn pair() -> (TcpStream, OwnedFd) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
        let client = TcpStream::connect(listener.local_addr().expect("address")).expect("connect");
        let (socket, address) = accept(listener.as_fd()).expect("accept");
        assert_eq!(address, client.local_addr().ok());
        (client, socket)
    }

    #[test]
    fn a_listener_without_clients_would_block() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
        listener.set_nonblocking(true).expect("nonblocking");
        let error = accept(listener.as_fd()).expect_err("no client has connected");
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
    }

    #[test]
    fn an_accepted_socket_is_read_without_waiting() {
        let (mut client, socket) = pair();
        let mut buffer = [0; 8];
        let error = receive(socket.as_fd(), &mut buffer).expect_err("nothing is there");
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        client.write_all(b"abc").expect("write");
        crate::poll::readable([socket.as_fd()], None).expect("poll");
        assert_eq!(receive(socket.as_fd(), &mut buffer).expect("read"), 3);
    }

    #[test]
    fn a_peer_that_reset_is_gone_and_one_that_ended_its_side_is_not() {
        let (client, socket) = pair();
        assert!(!is_gone(socket.as_fd()));
        client.shutdown(std::net::Shutdown::Write).expect("shut");
        crate::poll::readable([socket.as_fd()], None).expect("poll");
        assert!(!is_gone(socket.as_fd()));
        reset_at_close(&client).expect("set");
        drop(client);
        assert!(is_gone(socket.as_fd()));
    }

    #[test]
    fn a_socket_that_resets_at_its_close_does_not_look_whole() {
        let (mut client, socket) = pair();
        reset_at_close(&socket).expect("set");
        drop(socket);
        let error = client.read(&mut [0; 8]).expect_err("a reset");
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    }

    #[test]
    fn a_socket_is_reset_and_shut_down_although_others_hold_it() {
        let (mut client, socket) = pair();
        let copy = socket.try_clone().expect("copy");
        reset(&socket).expect("reset");
        let error = client.read(&mut [0; 8]).expect_err("a reset");
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        drop(copy);
        let (mut client, socket) = pair();
        let copy = socket.try_clone().expect("copy");
        shut_down(&socket).expect("shut");
        assert_eq!(client.read(&mut [0; 8]).expect("the end"), 0);
        drop(copy);
    }

    #[test]
    fn a_unix_socket_that_is_reset_is_at_its_end() {
        let (near, mut far) = UnixStream::pair().expect("pair");
        let copy = near.try_clone().expect("copy");
        reset(&near).expect("reset");
        assert!(!matches!(far.read(&mut [0; 8]), Ok(1..)));
        drop(copy);
    }
}
