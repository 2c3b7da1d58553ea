//! One client's socket and what waits for it, shared by the reactor and the thread that answers. A thread inside the
//! application writes here without the reactor; what the client does not take at once waits and the reactor sends it
//! on.
//!
//! All bytes of a connection pass [`Link::receive`] and [`Outgoing`], and TLS is behind these two: its state is inside
//! the lock of `out`, because one object serves both directions. A plain connection reads without a lock.

mod outgoing;
mod secured;

use std::io;
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::{Condvar, Mutex};
use socket2::Socket;
use sys::forks::Withheld;

use crate::backlog::{HIGH_WATER, LOOP_LOW_WATER, LOW_WATER, Range, Spool};
use crate::burst::Timing;
use crate::sink::{FilePart, Room, SinkError};

use outgoing::Outgoing;
pub(crate) use outgoing::{Delivery, Flushed};
pub(crate) use secured::Greeting;

/// A socket with what waits for its client.
#[derive(Debug)]
pub(crate) struct Link {
    /// Stands before the socket, to be dropped before it.
    _withheld: Withheld,
    socket: Socket,
    /// The connection is, or was meant to be, encrypted. Reading needs the lock of `out` then.
    is_secure: bool,
    out: Mutex<Outgoing>,
    drained: Condvar,
    /// The reactor saw something on the connection while the application had it; see [`Link::call_attention`].
    attention: AtomicBool,
    /// A request was answered in place of its thread; see [`Link::answer_overdue`].
    overdue: AtomicBool,
}

/// What a look at the socket brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Received {
    /// Bytes of the client; 0 is the end of the stream.
    pub(crate) count: usize,
    /// The socket may have more. A read that does not fill the buffer has emptied it (epoll(7)), so no second one is
    /// needed to learn that.
    pub(crate) has_more: bool,
}

impl Link {
    /// A connection without TLS.
    pub(crate) fn new(socket: Socket) -> Link {
        Link::with(socket, false, Outgoing::default())
    }

    fn with(socket: Socket, is_secure: bool, out: Outgoing) -> Link {
        Link {
            _withheld: Withheld::new(&socket),
            socket,
            is_secure,
            out: Mutex::new(out),
            drained: Condvar::new(),
            attention: AtomicBool::new(false),
            overdue: AtomicBool::new(false),
        }
    }

    pub(crate) fn socket(&self) -> &Socket {
        &self.socket
    }

    /// Reads what the client has sent.
    pub(crate) fn receive(&self, buffer: &mut [u8]) -> io::Result<Received> {
        if self.is_secure {
            return self.receive_secured(buffer);
        }
        self.receive_plain(buffer)
    }

    fn receive_plain(&self, buffer: &mut [u8]) -> io::Result<Received> {
        let count = sys::socket::receive(self.socket.as_fd(), buffer)?;
        let has_more = count == buffer.len();
        Ok(Received { count, has_more })
    }

    /// Looks at what the client has sent, and leaves it there.
    pub(crate) fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        sys::socket::peek(self.socket.as_fd(), buffer)
    }

    /// Sends the parts in order, at once as far as the socket takes them; the rest waits.
    pub(crate) fn send(&self, parts: &[&[u8]]) -> Result<Delivery, SinkError> {
        self.deliver(parts, Timing::AtOnce)
    }

    /// As [`Link::send`], or leaves it to the reactor.
    pub(crate) fn deliver(&self, parts: &[&[u8]], timing: Timing) -> Result<Delivery, SinkError> {
        self.put(parts, timing, 1)
    }

    /// As [`Link::send`], for what is no part of a response: [`Link::taken`] does not count it.
    pub(crate) fn send_aside(&self, parts: &[&[u8]]) -> Result<Delivery, SinkError> {
        self.put(parts, Timing::AtOnce, 0)
    }

    fn put(&self, parts: &[&[u8]], timing: Timing, counts: u64) -> Result<Delivery, SinkError> {
        let mut out = self.out.lock();
        if let Some(error) = out.broken {
            return Err(error);
        }
        out.taken += counts;
        if timing == Timing::AtOnce && out.backlog.is_empty() {
            let sent = match out.send_now(self.socket.as_fd(), parts) {
                Ok(sent) => sent,
                Err(error) => return Err(out.fail(&error)),
            };
            out.backlog.push(parts, sent);
            out.blocked |= sent == 0 && !out.backlog.is_empty();
        } else {
            out.backlog.push(parts, 0);
            if timing == Timing::AtOnce && self.flush_out(&mut out) == Flushed::Broken {
                return Err(out.broken.unwrap_or(SinkError::Disconnected));
            }
        }
        match out.is_empty() {
            true => Ok(Delivery::Done),
            false => Ok(out.waiting()),
        }
    }

    /// Sends a range of a file, at once as far as the socket takes it; the rest waits.
    pub(crate) fn send_file(&self, part: FilePart) -> Result<Delivery, SinkError> {
        let mut out = self.out.lock();
        if let Some(error) = out.broken {
            return Err(error);
        }
        out.taken += 1;
        out.push_file(Range::of(part));
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
        !out.is_empty()
    }

    /// Sends on what waits. `moved` of the result says whether the client took anything.
    pub(crate) fn flush(&self) -> (Flushed, bool) {
        let mut out = self.out.lock();
        if out.broken.is_some() {
            return (Flushed::Broken, false);
        }
        let (flushed, moved) = out.flush(self.socket.as_fd());
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
        out.flush(self.socket.as_fd()).0
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
        !self.out.lock().is_empty()
    }

    /// Whether a flush has something to do: to send, or to tell a stream that there is room since its parts have been
    /// sent otherwise.
    pub(crate) fn wants_flush(&self) -> bool {
        let out = self.out.lock();
        !out.is_empty() || out.awaits_room
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
        let socket = self.socket.as_fd();
        let answered = silent && out.send_now(socket, &[answer]).is_ok();
        out.say_goodbye(socket);
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
        self.say_goodbye();
        self.give_up(SinkError::Disconnected);
        let _ = match self.is_cut() {
            true => sys::socket::reset(self.socket.as_fd()),
            false => sys::socket::shut_down(self.socket.as_fd()),
        };
    }

    /// The client is told that nothing more will come. Errors do not matter: the connection is over either way.
    pub(crate) fn shut_write(&self) {
        self.say_goodbye();
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
mod tests;
