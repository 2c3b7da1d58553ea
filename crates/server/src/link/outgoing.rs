//! The way of bytes to the client, behind the lock of its [`Link`](super::Link): what waits, whether the socket takes
//! more, and the state of TLS, because one object serves both directions there.
//!
//! What waits in the backlog is plaintext, also with TLS: it is encrypted when the socket has room for it, so a slow
//! client costs no second copy, and files are read when they are sent.

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd};

use sys::send::Follow;

use crate::backlog::{BUFFERS, Backlog, Front, Range};
use crate::sink::SinkError;
use crate::tls::TlsSession;

/// The most that is sent on in one go, so that one fast download does not hold up the other connections of a turn.
const FLUSH_BYTES: u64 = 1024 * 1024;

/// The most parts that one response hands over at once.
const PARTS: usize = 4;

/// The way to the client.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    pub(super) backlog: Backlog,
    /// The state of TLS; none where the connection is plain, or its client did not speak TLS.
    pub(super) tls: Option<Box<TlsSession>>,
    pub(super) broken: Option<SinkError>,
    /// The socket took nothing more and has not reported since: an attempt would cost a system call in vain.
    pub(super) blocked: bool,
    /// The reactor has been told that something waits here, and has not found the backlog empty since.
    pub(super) told: bool,
    /// What was sent must not look whole: the connection ends with a reset.
    pub(super) cut: bool,
    /// How often something was sent: tells whether anything was since an earlier look.
    pub(super) taken: u64,
    /// A stream that does not wait wants to be told when there is room.
    pub(super) awaits_room: bool,
    /// The thread that waits for room has something else to look at.
    pub(super) interrupted: bool,
}

/// What became of something that was to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// The socket took all of it.
    Done,
    /// Some of it waits for the client, and the reactor knows that something does.
    Waiting,
    /// Some of it waits for the client, and the reactor has to be told.
    Untold,
}

impl Delivery {
    /// What became of two things that were to be sent one behind the other.
    pub(crate) fn and(self, next: Delivery) -> Delivery {
        match (self, next) {
            (Delivery::Untold, _) | (_, Delivery::Untold) => Delivery::Untold,
            (Delivery::Waiting, _) | (_, Delivery::Waiting) => Delivery::Waiting,
            (Delivery::Done, Delivery::Done) => Delivery::Done,
        }
    }
}

/// How far a flush came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flushed {
    /// Nothing is left.
    Empty,
    /// The socket takes no more for now; it will report when it does.
    Blocked,
    /// The bound of one go was reached; the socket will not report, so it must be tried again.
    More,
    /// The connection is gone.
    Broken,
}

impl Outgoing {
    /// Whether nothing waits, neither for encryption nor for the socket.
    pub(super) fn is_empty(&self) -> bool {
        let is_sent = |tls: &TlsSession| !tls.wants_write();
        self.backlog.is_empty() && self.tls.as_deref().is_none_or(is_sent)
    }

    /// What the sender has to know where something waits.
    pub(super) fn waiting(&mut self) -> Delivery {
        match std::mem::replace(&mut self.told, true) {
            true => Delivery::Waiting,
            false => Delivery::Untold,
        }
    }

    pub(super) fn give_up(&mut self, error: SinkError) {
        self.broken.get_or_insert(error);
        self.backlog.clear();
    }

    pub(super) fn fail(&mut self, error: &io::Error) -> SinkError {
        log::debug!("a client went away: {error}");
        self.give_up(SinkError::Disconnected);
        SinkError::Disconnected
    }

    /// Sends the beginning of the parts while nothing waits in the backlog, and says how many of their bytes need not
    /// be kept: the socket has them, or TLS has encrypted them.
    pub(super) fn send_now(
        &mut self,
        socket: BorrowedFd<'_>,
        parts: &[&[u8]],
    ) -> io::Result<usize> {
        let mut slices = [IoSlice::new(&[]); PARTS];
        for (slice, part) in slices.iter_mut().zip(parts) {
            *slice = IoSlice::new(part);
        }
        let slices = &mut slices[..parts.len().min(PARTS)];
        match self.tls {
            None => full_is_zero(sys::send::send_vectored(socket, slices, Follow::Nothing)),
            Some(_) => self.encrypt_now(socket, slices),
        }
    }

    /// As far as the socket takes what becomes of it.
    fn encrypt_now(
        &mut self,
        socket: BorrowedFd<'_>,
        mut slices: &mut [IoSlice<'_>],
    ) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else {
            return Ok(0);
        };
        let mut taken = 0;
        let mut left: usize = slices.iter().map(|slice| slice.len()).sum();
        while !self.blocked && left > 0 {
            let count = tls.encrypt(slices)?;
            IoSlice::advance_slices(&mut slices, count);
            taken += count;
            left -= count;
            self.blocked = !tls.transmit(socket)?;
        }
        Ok(taken)
    }

    /// Adds a range of a file.
    pub(super) fn push_file(&mut self, range: Range) {
        self.backlog.push_file(range);
    }

    /// Sends on what waits, and says also whether the socket took anything.
    pub(super) fn flush(&mut self, socket: BorrowedFd<'_>) -> (Flushed, bool) {
        let mut budget = FLUSH_BYTES;
        while !self.is_empty() {
            let moved = budget < FLUSH_BYTES;
            if self.blocked {
                return (Flushed::Blocked, moved);
            }
            if budget == 0 {
                return (Flushed::More, moved);
            }
            let sent = match self.tls {
                None => self.send_front(socket, budget),
                Some(_) => self.encrypt_front(socket, budget),
            };
            match sent {
                Ok(0) => self.blocked = true,
                Ok(sent) => budget = budget.saturating_sub(sent),
                Err(error) => {
                    self.fail(&error);
                    return (Flushed::Broken, moved);
                }
            }
        }
        self.told = false;
        (Flushed::Empty, budget < FLUSH_BYTES)
    }

    /// Sends what comes first in the backlog, of a file at most `budget` bytes; 0 means that the socket is full.
    fn send_front(&mut self, socket: BorrowedFd<'_>, budget: u64) -> io::Result<u64> {
        let mut buffers = [IoSlice::new(&[]); BUFFERS];
        let sent = match self.backlog.front(&mut buffers) {
            None => Ok(0),
            Some(Front::Bytes(count)) => {
                sys::send::send_vectored(socket, &buffers[..count], Follow::Nothing)
            }
            Some(Front::File(range)) if range.has_changed() => {
                Err(io::ErrorKind::InvalidData.into())
            }
            Some(Front::File(range)) => {
                let (file, mut offset) = (range.file.as_fd(), range.offset);
                let count = range.left.min(budget);
                match sys::send::send_file(socket, file, &mut offset, count) {
                    // The file is shorter than was promised: the framing is lost, so the connection goes.
                    Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
                    other => other,
                }
            }
        };
        let sent = full_is_zero(sent)? as u64;
        self.backlog.advance(sent);
        Ok(sent)
    }

    /// Encrypts what comes first in the backlog, unless the socket has not taken what was encrypted before, and sends
    /// that. Says how many encrypted bytes the socket took.
    fn encrypt_front(&mut self, socket: BorrowedFd<'_>, budget: u64) -> io::Result<u64> {
        let Some(tls) = &mut self.tls else {
            return Ok(0);
        };
        if !tls.wants_write() {
            let mut buffers = [IoSlice::new(&[]); BUFFERS];
            let count = match self.backlog.front(&mut buffers) {
                None => 0,
                Some(Front::Bytes(count)) => tls.encrypt(&buffers[..count])? as u64,
                Some(Front::File(range)) if range.has_changed() => {
                    return Err(io::ErrorKind::InvalidData.into());
                }
                Some(Front::File(range)) => tls.encrypt_file(range, budget)?,
            };
            self.backlog.advance(count);
        }
        full_is_zero(tls.write_to(socket)).map(|count| count as u64)
    }

    /// Tells a client of TLS that nothing more comes, so that it knows the end of an answer from a connection that was
    /// cut (RFC 8446, section 6.1). Where something still waits, or a fault has ended the answer, it is not told.
    pub(super) fn say_goodbye(&mut self, socket: BorrowedFd<'_>) {
        let is_whole = self.broken.is_none() && !self.cut && self.backlog.is_empty();
        if let Some(tls) = &mut self.tls
            && is_whole
            && !tls.is_handshaking()
        {
            tls.close();
            // The connection is over either way.
            let _ = tls.transmit(socket);
        }
    }
}

/// A socket that is full has taken nothing.
pub(super) fn full_is_zero(sent: io::Result<usize>) -> io::Result<usize> {
    match sent {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
        other => other,
    }
}
