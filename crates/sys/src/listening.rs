//! The end of a listening socket, for every process that has it: first it lets no further client in, and once those in
//! its queue have been accepted it is closed. Closing alone would reset a client that got in meanwhile.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::io::Errno;
use rustix::net::{AddressFamily, Shutdown, sockopt};

/// A program of classic BPF that passes every segment but one that opens a connection: of the flags in byte 13 of the
/// header, which is where the kernel lets a filter of TCP begin, SYN without ACK. Handshakes that have begun end.
const NO_OPENING: [libc::sock_filter; 5] = [
    instruction(libc::BPF_LD | libc::BPF_B | libc::BPF_ABS, 0, 0, 13),
    instruction(libc::BPF_ALU | libc::BPF_AND | libc::BPF_K, 0, 0, SYN | ACK),
    instruction(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 1, SYN),
    instruction(libc::BPF_RET | libc::BPF_K, 0, 0, 0),
    instruction(libc::BPF_RET | libc::BPF_K, 0, 0, u32::MAX),
];
const SYN: u32 = 0x02;
const ACK: u32 = 0x10;

const fn instruction(code: u32, jt: u8, jf: u8, k: u32) -> libc::sock_filter {
    // The kernel's codes have sixteen bits.
    let code = code as u16;
    libc::sock_filter { code, jt, jf, k }
}

/// Lets no further client into the queue. One that tries is refused by a Unix socket; over TCP it gets no answer and
/// tries again, a second later, when the socket is closed. Clients in the queue can still be accepted.
///
/// # Errors
///
/// When `listener` is no socket, or the system has no filters.
pub fn stop_admitting(listener: BorrowedFd<'_>) -> io::Result<()> {
    if sockopt::socket_domain(listener)? == AddressFamily::UNIX {
        return Ok(rustix::net::shutdown(listener, Shutdown::Read)?);
    }
    let mut instructions = NO_OPENING;
    let program = libc::sock_fprog {
        len: instructions.len() as u16,
        filter: instructions.as_mut_ptr(),
    };
    // SAFETY: the kernel copies the program, whose length is that of the array, and the descriptor is open.
    let result = unsafe {
        libc::setsockopt(
            listener.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_FILTER,
            (&raw const program).cast(),
            size_of::<libc::sock_fprog>() as libc::socklen_t,
        )
    };
    match result {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Ends it in all processes at once: every client that connects is refused. Those still in the queue are reset.
///
/// # Errors
///
/// When `listener` is no socket.
pub fn close(listener: BorrowedFd<'_>) -> io::Result<()> {
    Ok(rustix::net::shutdown(listener, Shutdown::Read)?)
}

/// Whether an attempt to accept failed because the socket listens no more.
#[must_use]
pub fn is_over(error: &io::Error) -> bool {
    error.raw_os_error() == Some(Errno::INVAL.raw_os_error())
}

#[cfg(test)]
mod tests {
    use std::io::{ErrorKind, Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsFd;
    use std::os::unix::net::{UnixListener, UnixStream};
    use std::time::Duration;

    use super::*;
    use crate::socket::accept;

    #[test]
    fn a_client_in_the_queue_is_accepted_and_the_next_one_refused() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let listener = TcpListener::bind(address).expect("bind");
            listener.set_nonblocking(true).expect("fcntl");
            let address = listener.local_addr().expect("address");
            let mut early = TcpStream::connect(address).expect("connect");
            stop_admitting(listener.as_fd()).expect("filter");
            let late = TcpStream::connect_timeout(&address, Duration::from_millis(50));
            assert_eq!(late.expect_err("no answer").kind(), ErrorKind::TimedOut);
            let (socket, _) = accept(listener.as_fd()).expect("the early client");
            early.write_all(b"hello").expect("send");
            let mut read = [0; 5];
            let mut accepted = TcpStream::from(socket);
            accepted.set_nonblocking(false).expect("fcntl");
            accepted.read_exact(&mut read).expect("its bytes");
            let empty = accept(listener.as_fd()).expect_err("no other client");
            assert_eq!(empty.kind(), ErrorKind::WouldBlock);
            close(listener.as_fd()).expect("shutdown");
            assert!(is_over(
                &accept(listener.as_fd()).expect_err("it is closed")
            ));
            let refused = TcpStream::connect(address).expect_err("refused");
            assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        }
    }

    #[test]
    fn a_unix_socket_refuses_at_once_and_keeps_its_queue() {
        let path = std::env::temp_dir().join(format!("oxicorn-ending-{}", std::process::id()));
        let listener = UnixListener::bind(&path).expect("bind");
        listener.set_nonblocking(true).expect("fcntl");
        let _early = UnixStream::connect(&path).expect("connect");
        stop_admitting(listener.as_fd()).expect("shutdown");
        let refused = UnixStream::connect(&path).expect_err("refused");
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        accept(listener.as_fd()).expect("the early client");
        close(listener.as_fd()).expect("shutdown");
        std::fs::remove_file(&path).expect("unlink");
    }
}
