//! The write side of a connection, shared by the reactor and the thread that answers. A thread inside the application writes
//! here without the reactor; what the client does not take at once stays queued and the reactor sends it on.

use std::fs::File;
use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::{Condvar, Mutex, MutexGuard};
use socket2::Socket;
use sys::send::Follow;

use crate::backlog::{Backlog, HIGH_WATER, LOW_WATER, Piece, Spool};
use crate::sink::{Room, SinkError};

/// The most that is sent on in one go, so that one fast download does not hold up the other connections of a turn.
const FLUSH_BYTES: u64 = 1024 * 1024;

/// The write side.
#[derive(Debug)]
pub(crate) struct Link {
    socket: Socket,
    backlog: Mutex<Backlog>,
    drained: Condvar,
    /// The reactor saw something on the connection while the application had it; see [`Link::call_attention`].
    attention: AtomicBool,
    /// A request was answered in place of its thread; see [`Link::answer_overdue`].
    overdue: AtomicBool,
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

impl Link {
    pub(crate) fn new(socket: Socket) -> Link {
        Link {
            socket,
            backlog: Mutex::default(),
            drained: Condvar::new(),
            attention: AtomicBool::new(false),
            overdue: AtomicBool::new(false),
        }
    }

    pub(crate) fn socket(&self) -> &Socket {
        &self.socket
    }

    /// Sends the parts in order, at once as far as the socket takes them, and queues the rest.
    pub(crate) fn send(&self, parts: &[&[u8]]) -> Result<Flushed, SinkError> {
        let mut backlog = self.backlog.lock();
        if let Some(error) = backlog.broken {
            return Err(error);
        }
        backlog.taken += 1;
        let mut sent = 0;
        if backlog.pieces.is_empty() {
            sent = match self.send_now(parts) {
                Ok(sent) => sent,
                Err(error) => return Err(self.fail(&mut backlog, &error)),
            };
        }
        if sent == parts.iter().map(|part| part.len()).sum::<usize>() {
            return Ok(Flushed::Empty);
        }
        backlog.push_rest(parts, sent);
        Ok(Flushed::Blocked)
    }

    /// One `sendmsg`; a socket that is full has taken nothing.
    fn send_now(&self, parts: &[&[u8]]) -> io::Result<usize> {
        let mut slices = [IoSlice::new(&[]); 4];
        for (slice, part) in slices.iter_mut().zip(parts) {
            *slice = IoSlice::new(part);
        }
        let count = parts.len().min(slices.len());
        match sys::send::send_vectored(self.socket.as_fd(), &slices[..count], Follow::Nothing) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
            other => other,
        }
    }

    /// Queues a range of a file and sends what the socket takes of it.
    pub(crate) fn send_file(
        &self,
        file: File,
        offset: u64,
        left: u64,
    ) -> Result<Flushed, SinkError> {
        let mut backlog = self.backlog.lock();
        if let Some(error) = backlog.broken {
            return Err(error);
        }
        backlog.taken += 1;
        backlog.pieces.push_back(Piece::File {
            file,
            offset,
            left,
            grows: false,
        });
        match self.flush_backlog(&mut backlog) {
            Flushed::Broken => Err(backlog.broken.unwrap_or(SinkError::Disconnected)),
            flushed => Ok(flushed),
        }
    }

    /// Sends on what is queued. `moved` of the result says whether the client took anything.
    pub(crate) fn flush(&self) -> (Flushed, bool) {
        let mut backlog = self.backlog.lock();
        if backlog.broken.is_some() {
            return (Flushed::Broken, false);
        }
        let before = backlog.left();
        let flushed = self.flush_backlog(&mut backlog);
        let moved = backlog.left() < before;
        if backlog.bytes <= LOW_WATER || flushed == Flushed::Broken {
            self.drained.notify_all();
        }
        (flushed, moved)
    }

    fn flush_backlog(&self, backlog: &mut MutexGuard<'_, Backlog>) -> Flushed {
        let mut budget = FLUSH_BYTES;
        while let Some(piece) = backlog.pieces.front_mut() {
            if budget == 0 {
                return Flushed::More;
            }
            match self.send_piece(piece, budget) {
                Ok(0) => return Flushed::Blocked,
                Ok(sent) => {
                    budget = budget.saturating_sub(sent);
                    backlog.account(sent);
                }
                Err(error) => {
                    self.fail(backlog, &error);
                    return Flushed::Broken;
                }
            }
        }
        Flushed::Empty
    }

    /// Sends at most `budget` bytes of one piece; 0 means that the socket is full.
    fn send_piece(&self, piece: &mut Piece, budget: u64) -> io::Result<u64> {
        let result = match piece {
            Piece::Bytes { data, sent } => self.send_now(&[&data[*sent..]]).map(|count| {
                *sent += count;
                count as u64
            }),
            Piece::File {
                file, offset, left, ..
            } => {
                let count = (*left).min(budget);
                match sys::send::send_file(self.socket.as_fd(), file.as_fd(), offset, count) {
                    // The file is shorter than was promised: the framing is lost, so the connection goes.
                    Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
                    Ok(count) => {
                        *left -= count as u64;
                        Ok(count as u64)
                    }
                    Err(error) => Err(error),
                }
            }
        };
        match result {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
            other => other,
        }
    }

    /// Makes room in memory for a stream whose client is slow.
    pub(crate) fn spill(&self, spool: Spool<'_>) {
        self.backlog.lock().spill(spool);
    }

    /// Whether a thread that streams may go on without waiting.
    pub(crate) fn has_room(&self) -> bool {
        let backlog = self.backlog.lock();
        backlog.broken.is_none() && backlog.bytes <= HIGH_WATER
    }

    /// Holds the calling thread while too much is queued. The reactor must be attended meanwhile.
    /// Says also whether [`Link::interrupt`] ended the wait.
    pub(crate) fn wait_for_room(&self) -> (Result<(), SinkError>, bool) {
        let mut backlog = self.backlog.lock();
        if backlog.bytes > HIGH_WATER {
            self.drained.wait_while(&mut backlog, |backlog| {
                backlog.broken.is_none() && backlog.bytes > LOW_WATER && !backlog.interrupted
            });
        }
        let interrupted = std::mem::take(&mut backlog.interrupted);
        (backlog.broken.map_or(Ok(()), Err), interrupted)
    }

    /// Ends the wait of the thread that waits for room.
    pub(crate) fn interrupt(&self) {
        self.backlog.lock().interrupted = true;
        self.drained.notify_all();
    }

    /// Whether a stream may go on. If not, the reactor is asked to tell when it may; see [`Link::take_room`].
    pub(crate) fn ask_for_room(&self) -> Result<Room, SinkError> {
        let mut backlog = self.backlog.lock();
        if let Some(error) = backlog.broken {
            return Err(error);
        }
        backlog.awaits_room = backlog.bytes > HIGH_WATER;
        Ok(if backlog.awaits_room {
            Room::Full
        } else {
            Room::Enough
        })
    }

    /// Whether somebody who asked for room can be told that there is some, or that there will never be.
    pub(crate) fn take_room(&self) -> bool {
        let mut backlog = self.backlog.lock();
        let told = backlog.awaits_room && (backlog.bytes <= LOW_WATER || backlog.broken.is_some());
        backlog.awaits_room &= !told;
        told
    }

    /// Whether anything waits for the client.
    pub(crate) fn has_pending(&self) -> bool {
        !self.backlog.lock().pieces.is_empty()
    }

    /// How many bytes the kernel holds for the client.
    pub(crate) fn unsent(&self) -> usize {
        // A socket that cannot say holds nothing that could shrink.
        sys::send::unsent(self.socket.as_fd()).unwrap_or(0)
    }

    /// Whether the connection was given up.
    pub(crate) fn is_broken(&self) -> bool {
        self.failure().is_some()
    }

    /// Why the connection was given up, if it was.
    pub(crate) fn failure(&self) -> Option<SinkError> {
        self.backlog.lock().broken
    }

    /// How often something was sent; `None` where the connection was given up.
    pub(crate) fn taken(&self) -> Option<u64> {
        let backlog = self.backlog.lock();
        backlog.broken.is_none().then_some(backlog.taken)
    }

    /// Answers in place of a thread that does not, if nothing was sent since [`Link::taken`] said `taken`, and tells
    /// whether that was so. Either way the thread finds the connection gone.
    pub(crate) fn answer_overdue(&self, taken: u64, answer: &[u8]) -> bool {
        let mut backlog = self.backlog.lock();
        let silent =
            backlog.broken.is_none() && backlog.taken == taken && backlog.pieces.is_empty();
        // An error page fits into the buffer of a socket that has nothing else to send; one that is gone needs none.
        let answered = silent && self.send_now(&[answer]).is_ok();
        // Before the thread can find the connection gone, lest it writes a second line into the access log.
        self.overdue.store(answered, Ordering::SeqCst);
        backlog.give_up(SinkError::TimedOut);
        drop(backlog);
        self.drained.notify_all();
        self.shut_write();
        answered
    }

    /// Whether somebody has answered in place of the thread.
    pub(crate) fn is_overdue(&self) -> bool {
        self.overdue.load(Ordering::SeqCst)
    }

    /// Gives the connection up: nothing more is sent, and whoever waits for room is told.
    pub(crate) fn give_up(&self, error: SinkError) {
        let mut backlog = self.backlog.lock();
        backlog.give_up(error);
        drop(backlog);
        self.drained.notify_all();
    }

    fn fail(&self, backlog: &mut MutexGuard<'_, Backlog>, error: &io::Error) -> SinkError {
        log::debug!("a client went away: {error}");
        backlog.give_up(SinkError::Disconnected);
        SinkError::Disconnected
    }

    /// The client is told that nothing more will come. Errors do not matter: the connection is over either way.
    pub(crate) fn shut_write(&self) {
        let _ = self.socket.shutdown(Shutdown::Write);
    }

    /// Notes for the thread inside the application that the reactor has to look at this connection once it is answered.
    pub(crate) fn call_attention(&self) {
        self.attention.store(true, Ordering::SeqCst);
    }

    /// Takes the note of [`Link::call_attention`].
    pub(crate) fn take_attention(&self) -> bool {
        self.attention.load(Ordering::SeqCst) && self.attention.swap(false, Ordering::SeqCst)
    }
}

impl AsRawFd for Link {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use socket2::{Domain, Type};

    use super::*;

    fn pair() -> (Link, Socket) {
        let (near, far) = Socket::pair(Domain::UNIX, Type::STREAM, None).unwrap();
        near.set_nonblocking(true).unwrap();
        (Link::new(near), far)
    }

    #[test]
    fn what_the_client_does_not_take_is_queued_and_arrives_in_order() {
        let (link, mut far) = pair();
        let body: Vec<u8> = (0..4_000_000u32).map(|index| index as u8).collect();
        assert_eq!(link.send(&[b"head", &body]), Ok(Flushed::Blocked));
        let reader = std::thread::spawn(move || {
            let mut read = Vec::new();
            far.read_to_end(&mut read).unwrap();
            read
        });
        while link.has_pending() {
            link.flush();
        }
        link.shut_write();
        let read = reader.join().unwrap();
        assert_eq!(read.len(), 4 + body.len());
        assert!(read[4..] == body[..]);
    }

    #[test]
    fn a_thread_that_waits_for_room_is_told_when_the_client_is_gone() {
        let (link, far) = pair();
        link.send(&[&vec![0; 8 * HIGH_WATER]]).unwrap();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| link.wait_for_room().0);
            drop(far);
            while link.flush().0 != Flushed::Broken {}
            assert_eq!(waiting.join().unwrap(), Err(SinkError::Disconnected));
        });
    }
}
