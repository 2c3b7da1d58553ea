//! Writing to sockets: several buffers at once, and files without a copy.
//!
//! A peer that is gone is an error value here and never a SIGPIPE.

use std::fs::File;
use std::io::{self, IoSlice};
use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::net::{SendAncillaryBuffer, SendFlags, sendmsg};

/// `UIO_MAXIOV` of Linux: `sendmsg(2)` refuses more buffers than this with `EMSGSIZE`.
const BUFFERS_MAX: usize = 1024;

/// `MAX_RW_COUNT` of Linux: no call transfers more than this.
const TRANSFER_MAX: usize = 0x7fff_f000;

/// The flag of `recv(2)` that leaves what is read where it is.
pub const PEEK: i32 = libc::MSG_PEEK;

/// The flag of `recv(2)` for a call that does not wait.
pub const DONT_WAIT: i32 = libc::MSG_DONTWAIT;

/// Whether more bytes follow at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Follow {
    /// Nothing follows: the kernel may send the segment.
    Nothing,
    /// More follows at once (`MSG_MORE`): the kernel may wait for it to fill the segment.
    More,
}

/// Sends the buffers in one call and returns the number of bytes that the kernel took, which may be fewer than there
/// are.
///
/// # Errors
///
/// What `sendmsg(2)` says: `WouldBlock` when the socket's buffer is full, `BrokenPipe` or `ConnectionReset` when the
/// peer is gone.
pub fn send_vectored(
    socket: BorrowedFd<'_>,
    buffers: &[IoSlice<'_>],
    follow: Follow,
) -> io::Result<usize> {
    let buffers = buffers.get(..BUFFERS_MAX).unwrap_or(buffers);
    let flags = match follow {
        Follow::Nothing => SendFlags::NOSIGNAL,
        Follow::More => SendFlags::NOSIGNAL | SendFlags::MORE,
    };
    loop {
        match sendmsg(socket, buffers, &mut SendAncillaryBuffer::default(), flags) {
            Err(rustix::io::Errno::INTR) => {}
            result => return Ok(result?),
        }
    }
}

/// Sends up to `length` bytes of `file` from `offset`, moves `offset` and returns how many went. Zero means that the
/// file has no more.
///
/// `sendfile(2)` knows no `MSG_NOSIGNAL`: the process must ignore SIGPIPE, as CPython does from its start.
///
/// # Errors
///
/// What `sendfile(2)` says: `WouldBlock` when the socket's buffer is full, `InvalidInput` for a file that cannot be
/// mapped, `BrokenPipe` or `ConnectionReset` when the peer is gone.
pub fn send_file(
    socket: BorrowedFd<'_>,
    file: BorrowedFd<'_>,
    offset: &mut u64,
    length: u64,
) -> io::Result<usize> {
    let length = usize::try_from(length)
        .unwrap_or(TRANSFER_MAX)
        .min(TRANSFER_MAX);
    loop {
        match rustix::fs::sendfile(socket, file, Some(offset), length) {
            Err(rustix::io::Errno::INTR) => {}
            result => return Ok(result?),
        }
    }
}

/// How many bytes the kernel holds for the peer: sent and not acknowledged, or not sent yet.
///
/// # Errors
///
/// When `socket` is no socket.
pub fn unsent(socket: BorrowedFd<'_>) -> io::Result<usize> {
    let mut count: libc::c_int = 0;
    // SAFETY: the descriptor is open for as long as it is borrowed, and TIOCOUTQ (tcp(7) calls it SIOCOUTQ) writes one
    // int to the pointer, which is to a live int.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::TIOCOUTQ, &raw mut count) };
    if result == -1 {
        return Err(io::Error::last_os_error());
    }
    Ok(usize::try_from(count).unwrap_or(0))
}

/// The number of bytes of `file` that lie at or behind `offset`.
///
/// # Errors
///
/// When the file cannot be asked for its size.
pub fn remaining(file: &File, offset: u64) -> io::Result<u64> {
    Ok(file.metadata()?.len().saturating_sub(offset))
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn buffers_arrive_in_order() {
        let (left, mut right) = UnixStream::pair().expect("socketpair");
        let buffers = [IoSlice::new(b"HTTP/1.1 "), IoSlice::new(b"200 OK")];
        assert_eq!(
            send_vectored(left.as_fd(), &buffers, Follow::Nothing).expect("send"),
            15
        );
        drop(left);
        let mut received = String::new();
        right.read_to_string(&mut received).expect("read");
        assert_eq!(received, "HTTP/1.1 200 OK");
    }

    #[test]
    fn more_buffers_than_the_kernel_takes_are_sent_in_part() {
        let (left, _right) = UnixStream::pair().expect("socketpair");
        let buffers: Vec<_> = (0..BUFFERS_MAX + 10).map(|_| IoSlice::new(b"x")).collect();
        assert_eq!(
            send_vectored(left.as_fd(), &buffers, Follow::More).expect("send"),
            BUFFERS_MAX
        );
    }

    #[test]
    fn a_full_socket_would_block() {
        let (left, _right) = UnixStream::pair().expect("socketpair");
        left.set_nonblocking(true).expect("nonblocking");
        let block = vec![0u8; 1 << 16];
        let error = loop {
            match send_vectored(left.as_fd(), &[IoSlice::new(&block)], Follow::Nothing) {
                Ok(_) => {}
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn a_peer_that_is_gone_is_an_error_and_no_signal() {
        let (left, right) = UnixStream::pair().expect("socketpair");
        drop(right);
        let error = send_vectored(left.as_fd(), &[IoSlice::new(b"x")], Follow::Nothing)
            .expect_err("peer is gone");
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }

    #[test]
    fn a_part_of_a_file_is_sent_and_the_offset_moves() {
        let path = std::env::temp_dir().join(format!("oxicorn-send-{}", std::process::id()));
        File::create(&path)
            .and_then(|mut file| file.write_all(b"0123456789"))
            .expect("write");
        let file = File::open(&path).expect("open");
        std::fs::remove_file(&path).expect("unlink");
        let (left, mut right) = UnixStream::pair().expect("socketpair");
        let mut offset = 3;
        assert_eq!(remaining(&file, offset).expect("size"), 7);
        assert_eq!(
            send_file(left.as_fd(), file.as_fd(), &mut offset, 4).expect("send"),
            4
        );
        assert_eq!(offset, 7);
        drop(left);
        let mut received = String::new();
        right.read_to_string(&mut received).expect("read");
        assert_eq!(received, "3456");
    }
}
