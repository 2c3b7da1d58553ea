//! Handing an open file to another process, with the bytes that go with it (`SCM_RIGHTS`), and the queue of such files
//! that several processes share.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, Shutdown, SocketFlags, SocketType, recvmsg, sendmsg, shutdown,
    socketpair,
};

use crate::forks::Private;

/// What arrived.
#[derive(Debug)]
pub struct Handed {
    /// How many bytes of the buffer were filled. Zero without a file means that the other end is closed.
    pub length: usize,
    /// The file, closed on exec.
    pub file: Option<OwnedFd>,
}

/// A queue of files that processes give to each other: every process that holds it may give, and a free worker takes.
/// Copies share one kernel object, also after a fork, so what is in it outlives the process that gave it.
#[derive(Clone, Debug)]
pub struct Queue {
    give: Arc<Private>,
    take: Arc<Private>,
}

impl Queue {
    /// An empty queue, closed on exec. It keeps messages apart and never blocks.
    ///
    /// # Errors
    ///
    /// When the process or the machine has no file descriptor left.
    pub fn new() -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let (give, take) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        Ok(Self {
            give: Arc::new(give.into()),
            take: Arc::new(take.into()),
        })
    }

    /// Puts a copy of `file` into the queue, with `bytes`, of which there must be at least one.
    ///
    /// # Errors
    ///
    /// `WouldBlock` when the queue is full, `BrokenPipe` when it was closed, `InvalidInput` without bytes.
    pub fn give(&self, bytes: &[u8], file: BorrowedFd<'_>) -> io::Result<usize> {
        send(self.give.as_fd(), bytes, file)
    }

    /// Takes the next file out of the queue. Nothing at all means that the queue is closed and empty.
    ///
    /// # Errors
    ///
    /// `WouldBlock` when there is none.
    pub fn take(&self, buffer: &mut [u8]) -> io::Result<Handed> {
        receive(self.take.as_fd(), buffer)
    }

    /// Closes the queue for all who share it: nothing more can be given, and what is in it can still be taken.
    pub fn close(&self) {
        // The only failure is that it is not connected, which a pair always is.
        let _ = shutdown(&*self.give, Shutdown::Both);
    }
}

/// The descriptor that a process polls to learn that it can take a file.
impl AsFd for Queue {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.take.as_fd()
    }
}

/// Sends `bytes`, of which there must be at least one, and a copy of `file` over a unix socket.
///
/// # Errors
///
/// What `sendmsg(2)` says: `WouldBlock` when the queue is full of files that no process has taken, `InvalidInput`
/// without bytes.
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

/// Receives what [`send`] sent. On a datagram or seqpacket socket one call is one message; the rest of a message that
/// is longer than the buffer is lost.
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
    fn a_closed_queue_is_emptied_before_it_ends() {
        let queue = Queue::new().expect("socketpair");
        let (file, _) = UnixStream::pair().expect("socketpair");
        let mut buffer = [0u8; 8];
        let nothing = queue.take(&mut buffer).expect_err("empty");
        assert_eq!(nothing.kind(), io::ErrorKind::WouldBlock);
        queue.give(b"x", file.as_fd()).expect("give");
        queue.clone().close();
        let error = queue.give(b"x", file.as_fd()).expect_err("closed");
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
        assert!(queue.take(&mut buffer).expect("take").file.is_some());
        let end = queue.take(&mut buffer).expect("take");
        assert!(end.length == 0 && end.file.is_none());
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
