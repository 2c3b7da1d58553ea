//! Handing an open file to another process, with the bytes that go with it (`SCM_RIGHTS`).

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

/// What arrived.
#[derive(Debug)]
pub struct Handed {
    /// How many bytes of the buffer were filled. Zero without a file means that the other end is closed.
    pub length: usize,
    /// The file, closed on exec.
    pub file: Option<OwnedFd>,
}

/// Sends `bytes`, of which there must be at least one, and a copy of `file` over a unix socket.
///
/// # Errors
///
/// What `sendmsg(2)` says: `WouldBlock` when nobody has taken the ones before, `InvalidInput` without bytes.
pub fn send(socket: BorrowedFd<'_>, bytes: &[u8], file: BorrowedFd<'_>) -> io::Result<usize> {
    if bytes.is_empty() {
        // unix(7): a stream socket drops a descriptor that no byte accompanies.
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let files = [file];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !ancillary.push(SendAncillaryMessage::ScmRights(&files)) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    Ok(sendmsg(
        socket,
        &[IoSlice::new(bytes)],
        &mut ancillary,
        SendFlags::NOSIGNAL,
    )?)
}

/// Receives what [`send`] sent. On a datagram or seqpacket socket one call is one message; the rest of a message that is
/// longer than the buffer is lost.
///
/// # Errors
///
/// What `recvmsg(2)` says: `WouldBlock` when there is nothing.
pub fn receive(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<Handed> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let received = recvmsg(
        socket,
        &mut [IoSliceMut::new(buffer)],
        &mut ancillary,
        RecvFlags::CMSG_CLOEXEC,
    )?;
    let mut file = None;
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(files) = message {
            // The space holds one; a sender that means harm cannot make us keep more.
            file = files.last();
        }
    }
    Ok(Handed {
        length: received.bytes,
        file,
    })
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::fd::AsFd;
    use std::os::unix::net::{UnixDatagram, UnixStream};

    use super::*;

    #[test]
    fn a_connection_and_its_unread_bytes_travel_together() {
        let (left, right) = UnixDatagram::pair().expect("socketpair");
        let (connection, mut client) = UnixStream::pair().expect("socketpair");
        assert_eq!(
            send(left.as_fd(), b"GET / HT", connection.as_fd()).expect("send"),
            8
        );
        drop(connection);

        let mut buffer = [0u8; 64];
        let handed = receive(right.as_fd(), &mut buffer).expect("receive");
        assert_eq!(&buffer[..handed.length], b"GET / HT");
        let mut connection = UnixStream::from(handed.file.expect("a file"));
        connection.write_all(b"answer").expect("write");
        drop(connection);
        let mut received = String::new();
        client.read_to_string(&mut received).expect("read");
        assert_eq!(received, "answer");
    }

    #[test]
    fn a_file_without_bytes_is_refused() {
        let (left, right) = UnixStream::pair().expect("socketpair");
        let error = send(left.as_fd(), b"", right.as_fd()).expect_err("refused");
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }

    #[test]
    fn the_end_of_the_stream_is_told() {
        let (left, right) = UnixStream::pair().expect("socketpair");
        drop(left);
        let handed = receive(right.as_fd(), &mut [0; 8]).expect("receive");
        assert_eq!(handed.length, 0);
        assert!(handed.file.is_none());
    }
}
