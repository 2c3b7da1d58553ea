//! One client's socket and what waits for it, shared by the reactor and the thread that answers. A thread inside the
//! application writes here without the reactor; what the client does not take at once waits and the reactor sends it
//! on.
//!
//! All bytes of a connection pass [`Link::receive`] and [`Outgoing`], so TLS belongs behind these two: its state inside
//! the lock of `out`, because one object serves both directions. A plain connection reads without a lock.

use std::fs::File;
use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::{Condvar, Mutex};
use socket2::Socket;
use sys::forks::Withheld;
use sys::send::Follow;

use crate::backlog::{
    BUFFERS, Backlog, Front, HIGH_WATER, LOOP_LOW_WATER, LOW_WATER, Range, Spool,
};
use crate::burst::Timing;
use crate::sink::{Room, SinkError};

/// The most that is sent on in one go, so that one fast download does not hold up the other connections of a turn.
const FLUSH_BYTES: u64 = 1024 * 1024;

/// A socket with what waits for its client.
#[derive(Debug)]
pub(crate) struct Link {
    /// Stands before the socket, to be dropped before it.
    _withheld: Withheld,
    socket: Socket,
    out: Mutex<Outgoing>,
    drained: Condvar,
    /// The reactor saw something on the connection while the application had it; see [`Link::call_attention`].
    attention: AtomicBool,
    /// A request was answered in place of its thread; see [`Link::answer_overdue`].
    overdue: AtomicBool,
}

/// The way to the client.
#[derive(Debug, Default)]
struct Outgoing {
    backlog: Backlog,
    broken: Option<SinkError>,
    /// The socket took nothing more and has not reported since: an attempt would cost a system call in vain.
    blocked: bool,
    /// The reactor has been told that something waits here, and has not found the backlog empty since.
    told: bool,
    /// What was sent must not look whole: the connection ends with a reset.
    cut: bool,
    /// How often something was sent: tells whether anything was since an earlier look.
    taken: u64,
    /// A stream that does not wait wants to be told when there is room.
    awaits_room: bool,
    /// The thread that waits for room has something else to look at.
    interrupted: bool,
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
    /// What the sender has to know where something waits.
    fn waiting(&mut self) -> Delivery {
        match std::mem::replace(&mut self.told, true) {
            true => Delivery::Waiting,
            false => Delivery::Untold,
        }
    }

    fn give_up(&mut self, error: SinkError) {
        self.broken.get_or_insert(error);
        self.backlog.clear();
    }

    fn fail(&mut self, error: &io::Error) -> SinkError {
        log::debug!("a client went away: {error}");
        self.give_up(SinkError::Disconnected);
        SinkError::Disconnected
    }
}

impl Link {
    pub(crate) fn new(socket: Socket) -> Link {
        Link {
            _withheld: Withheld::new(&socket),
            socket,
            out: Mutex::default(),
            drained: Condvar::new(),
            attention: AtomicBool::new(false),
            overdue: AtomicBool::new(false),
        }
    }

    pub(crate) fn socket(&self) -> &Socket {
        &self.socket
    }

    /// Reads what the client has sent; 0 is the end of the stream.
    pub(crate) fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        sys::socket::receive(self.socket.as_fd(), buffer)
    }

    /// Sends the parts in order, at once as far as the socket takes them; the rest waits.
    pub(crate) fn send(&self, parts: &[&[u8]]) -> Result<Delivery, SinkError> {
        self.deliver(parts, Timing::AtOnce)
    }

    /// As [`Link::send`], or leaves it to the reactor.
    pub(crate) fn deliver(&self, parts: &[&[u8]], timing: Timing) -> Result<Delivery, SinkError> {
        let mut out = self.out.lock();
        if let Some(error) = out.broken {
            return Err(error);
        }
        out.taken += 1;
        if timing == Timing::AtOnce && out.backlog.is_empty() {
            let sent = match self.send_now(parts) {
                Ok(sent) => sent,
                Err(error) => return Err(out.fail(&error)),
            };
            out.backlog.push(parts, sent);
            out.blocked = sent == 0 && !out.backlog.is_empty();
        } else {
            out.backlog.push(parts, 0);
            if timing == Timing::AtOnce && self.flush_out(&mut out) == Flushed::Broken {
                return Err(out.broken.unwrap_or(SinkError::Disconnected));
            }
        }
        match out.backlog.is_empty() {
            true => Ok(Delivery::Done),
            false => Ok(out.waiting()),
        }
    }

    /// One `sendmsg`; a socket that is full has taken nothing.
    fn send_now(&self, parts: &[&[u8]]) -> io::Result<usize> {
        let mut slices = [IoSlice::new(&[]); 4];
        for (slice, part) in slices.iter_mut().zip(parts) {
            *slice = IoSlice::new(part);
        }
        let count = parts.len().min(slices.len());
        full_is_zero(sys::send::send_vectored(
            self.socket.as_fd(),
            &slices[..count],
            Follow::Nothing,
        ))
    }

    /// Sends a range of a file, at once as far as the socket takes it; the rest waits.
    pub(crate) fn send_file(
        &self,
        file: File,
        offset: u64,
        left: u64,
    ) -> Result<Delivery, SinkError> {
        let mut out = self.out.lock();
        if let Some(error) = out.broken {
            return Err(error);
        }
        out.taken += 1;
        out.backlog.push_file(Range::new(file, offset, left));
        match self.flush_out(&mut out) {
            Flushed::Broken => Err(out.broken.unwrap_or(SinkError::Disconnected)),
            Flushed::Empty => Ok(Delivery::Done),
            Flushed::Blocked | Flushed::More => Ok(out.waiting()),
        }
    }

    /// Notes that the socket reports room; says whether anything waits for it.
    pub(crate) fn unblock(&self) -> bool {
        let mut out = self.out.lock();
        out.blocked = false;
        !out.backlog.is_empty()
    }

    /// Sends on what waits. `moved` of the result says whether the client took anything.
    pub(crate) fn flush(&self) -> (Flushed, bool) {
        let mut out = self.out.lock();
        if out.broken.is_some() {
            return (Flushed::Broken, false);
        }
        let before = out.backlog.left();
        let flushed = self.flush_out(&mut out);
        let moved = out.backlog.left() < before;
        if out.backlog.memory() <= LOW_WATER || flushed == Flushed::Broken {
            self.drained.notify_all();
        }
        (flushed, moved)
    }

    /// Sends what was held for the end of a turn. Says whether the reactor has something to do for it: to send on what
    /// is left, or to tell a stream that there is room.
    pub(crate) fn send_held(&self) -> bool {
        let (flushed, _) = self.flush();
        flushed != Flushed::Empty || self.out.lock().awaits_room
    }

    fn flush_out(&self, out: &mut Outgoing) -> Flushed {
        let mut budget = FLUSH_BYTES;
        while !out.backlog.is_empty() {
            if out.blocked {
                return Flushed::Blocked;
            }
            if budget == 0 {
                return Flushed::More;
            }
            match self.send_front(&out.backlog, budget) {
                Ok(0) => out.blocked = true,
                Ok(sent) => {
                    budget = budget.saturating_sub(sent);
                    out.backlog.advance(sent);
                }
                Err(error) => {
                    out.fail(&error);
                    return Flushed::Broken;
                }
            }
        }
        out.told = false;
        Flushed::Empty
    }

    /// Sends what comes first in the backlog, of a file at most `budget` bytes; 0 means that the socket is full.
    fn send_front(&self, backlog: &Backlog, budget: u64) -> io::Result<u64> {
        let mut buffers = [IoSlice::new(&[]); BUFFERS];
        let sent = match backlog.front(&mut buffers) {
            None => Ok(0),
            Some(Front::Bytes(count)) => {
                let buffers = &buffers[..count];
                sys::send::send_vectored(self.socket.as_fd(), buffers, Follow::Nothing)
            }
            Some(Front::File(range)) => {
                let (file, mut offset) = (range.file.as_fd(), range.offset);
                let count = range.left.min(budget);
                match sys::send::send_file(self.socket.as_fd(), file, &mut offset, count) {
                    // The file is shorter than was promised: the framing is lost, so the connection goes.
                    Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
                    other => other,
                }
            }
        };
        full_is_zero(sent).map(|count| count as u64)
    }

    /// Makes room in memory for a stream whose client is slow.
    pub(crate) fn spill(&self, spool: Spool<'_>) {
        self.out.lock().backlog.spill(spool, HIGH_WATER);
    }

    /// Whether a thread that streams may go on without waiting.
    pub(crate) fn has_room(&self) -> bool {
        let out = self.out.lock();
        out.broken.is_none() && out.backlog.memory() <= HIGH_WATER
    }

    /// Holds the calling thread while too much waits. The reactor must be attended meanwhile.
    /// Says also whether [`Link::interrupt`] ended the wait.
    pub(crate) fn wait_for_room(&self) -> (Result<(), SinkError>, bool) {
        let mut out = self.out.lock();
        if out.backlog.memory() > HIGH_WATER {
            self.drained.wait_while(&mut out, |out| {
                out.broken.is_none() && out.backlog.memory() > LOW_WATER && !out.interrupted
            });
        }
        let interrupted = std::mem::take(&mut out.interrupted);
        (out.broken.map_or(Ok(()), Err), interrupted)
    }

    /// Ends the wait of the thread that waits for room.
    pub(crate) fn interrupt(&self) {
        self.out.lock().interrupted = true;
        self.drained.notify_all();
    }

    /// Whether a stream may go on that waits where more than `limit` bytes of memory are held. If not, the reactor is
    /// asked to tell when it may; see [`Link::take_room`].
    pub(crate) fn ask_for_room(&self, limit: usize) -> Result<Room, SinkError> {
        let mut out = self.out.lock();
        if let Some(error) = out.broken {
            return Err(error);
        }
        out.awaits_room = out.backlog.memory() > limit;
        Ok(if out.awaits_room {
            Room::Full
        } else {
            Room::Enough
        })
    }

    /// Whether a stream that asked for room can be told that there is some, or that there will never be.
    pub(crate) fn take_room(&self) -> bool {
        let mut out = self.out.lock();
        let has_room = out.backlog.memory() <= LOOP_LOW_WATER || out.broken.is_some();
        let told = out.awaits_room && has_room;
        out.awaits_room &= !told;
        told
    }

    /// Whether anything waits for the client.
    pub(crate) fn has_pending(&self) -> bool {
        !self.out.lock().backlog.is_empty()
    }

    /// Whether a flush has something to do: to send, or to tell a stream that there is room since its parts have been
    /// sent otherwise.
    pub(crate) fn wants_flush(&self) -> bool {
        let out = self.out.lock();
        !out.backlog.is_empty() || out.awaits_room
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
        self.out.lock().broken
    }

    /// How often something was sent; `None` where the connection was given up.
    pub(crate) fn taken(&self) -> Option<u64> {
        let out = self.out.lock();
        out.broken.is_none().then_some(out.taken)
    }

    /// Answers in place of a thread that does not, if nothing was sent since [`Link::taken`] said `taken`, and tells
    /// whether that was so. Either way the thread finds the connection gone.
    pub(crate) fn answer_overdue(&self, taken: u64, answer: &[u8]) -> bool {
        let mut out = self.out.lock();
        let silent = out.broken.is_none() && out.taken == taken && out.backlog.is_empty();
        // An error page fits into the buffer of a socket that has nothing else to send; one that is gone needs none.
        let answered = silent && self.send_now(&[answer]).is_ok();
        // Before the thread can find the connection gone, lest it writes a second line into the access log.
        self.overdue.store(answered, Ordering::SeqCst);
        out.give_up(SinkError::TimedOut);
        drop(out);
        self.drained.notify_all();
        self.shut_write();
        answered
    }

    /// Whether the request was answered in place of its thread.
    pub(crate) fn is_overdue(&self) -> bool {
        self.overdue.load(Ordering::SeqCst)
    }

    /// Gives the connection up: nothing more is sent, and a thread that waits for room is told.
    pub(crate) fn give_up(&self, error: SinkError) {
        self.out.lock().give_up(error);
        self.drained.notify_all();
    }

    /// Ends both directions at once, also where another process holds the connection. Errors do not matter: the
    /// connection is over either way.
    pub(crate) fn shut(&self) {
        let _ = self.socket.shutdown(Shutdown::Both);
    }

    /// Gives the connection up, and has it end with a reset: a clean end would make an answer look whole that is
    /// delimited by it (RFC 9112, section 8), and leave the bytes to the kernel that the client does not take.
    pub(crate) fn cut(&self, error: SinkError) {
        let mut out = self.out.lock();
        out.cut = true;
        out.give_up(error);
        drop(out);
        self.drained.notify_all();
    }

    /// Whether the connection is to end with a reset.
    pub(crate) fn is_cut(&self) -> bool {
        self.out.lock().cut
    }

    /// Gives the connection up and ends it, also where another process holds the socket. Errors do not matter: it is
    /// over.
    pub(crate) fn end(&self) {
        self.give_up(SinkError::Disconnected);
        let _ = match self.is_cut() {
            true => sys::socket::reset(self.socket.as_fd()),
            false => sys::socket::shut_down(self.socket.as_fd()),
        };
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

/// A socket that is full has taken nothing.
fn full_is_zero(sent: io::Result<usize>) -> io::Result<usize> {
    match sent {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
        other => other,
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
        assert_eq!(link.send(&[b"head", &body]), Ok(Delivery::Untold));
        let reader = std::thread::spawn(move || {
            let mut read = Vec::new();
            far.read_to_end(&mut read).unwrap();
            read
        });
        while link.has_pending() {
            link.unblock();
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
            while link.flush().0 != Flushed::Broken {
                link.unblock();
            }
            assert_eq!(waiting.join().unwrap(), Err(SinkError::Disconnected));
        });
    }

    #[test]
    fn the_reactor_is_told_once_of_many_small_pieces() {
        let (link, mut far) = pair();
        let mut untold = 0;
        for _ in 0..100_000 {
            untold += u32::from(link.send(&[b"3\r\n", b"abc", b"\r\n"]) == Ok(Delivery::Untold));
        }
        assert_eq!(untold, 1);
        assert_eq!(link.flush(), (Flushed::Blocked, false));
        link.unblock();
        let mut block = vec![0; 1 << 20];
        while link.has_pending() {
            let _ = far.read(&mut block).unwrap();
            link.unblock();
            link.flush();
        }
        let whole = vec![0; 8 * HIGH_WATER];
        assert_eq!(
            link.send(&[&whole]),
            Ok(Delivery::Untold),
            "it has drained since"
        );
    }

    #[test]
    fn a_socket_that_is_full_is_not_tried_before_it_reports() {
        let (link, mut far) = pair();
        while link.send(&[b"x"]) == Ok(Delivery::Done) {}
        far.read_exact(&mut [0; 100]).unwrap();
        assert_eq!(link.flush(), (Flushed::Blocked, false));
        link.unblock();
        assert_eq!(link.flush(), (Flushed::Empty, true));
    }
}
