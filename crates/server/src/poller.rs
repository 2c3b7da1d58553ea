//! The poller of a worker: what it watches, under which tokens, and the descriptors that the driver of the server has
//! watched.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::time::Duration;

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use sys::forks::{Private, Withheld};

use crate::alarm::Alarm;
use crate::server::Watched;
use crate::timers::Millis;

/// Events taken from the poller at once.
const EVENTS: usize = 256;

// Tokens below are keys of connections.
const QUEUES: usize = usize::MAX / 2;
const WATCHES: usize = QUEUES + QUEUES / 2;
/// The token of the waker.
pub(crate) const WAKER: Token = Token(usize::MAX);
const ALARM: Token = Token(usize::MAX - 1);

/// What the poller has to say of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// A thread has told something; it is in the inbox.
    Waker,
    /// A deadline has come.
    Alarm,
    /// A descriptor of the driver.
    Watch(usize),
    /// A queue of clients: the handover, or a listener.
    Queue,
    /// A connection.
    Connection(usize),
}

impl From<Token> for Source {
    fn from(token: Token) -> Source {
        match token {
            WAKER => Source::Waker,
            ALARM => Source::Alarm,
            Token(token) if token >= WATCHES => Source::Watch(token - WATCHES),
            Token(token) if token >= QUEUES => Source::Queue,
            Token(key) => Source::Connection(key),
        }
    }
}

/// The poller.
#[derive(Debug)]
pub(crate) struct Poller {
    _withheld: Withheld,
    poll: Poll,
    events: Option<Events>,
    watches: Vec<(Private, Watched)>,
    /// A descriptor of the driver was readable, or a signal came.
    interrupted: bool,
    /// Makes the poller readable at the next deadline, for event loops that know nothing of ours.
    alarm: Option<Alarm>,
}

impl Poller {
    pub(crate) fn new(poll: Poll) -> Poller {
        Poller {
            _withheld: Withheld::new(&poll),
            poll,
            events: Some(Events::with_capacity(EVENTS)),
            watches: Vec::new(),
            interrupted: false,
            alarm: None,
        }
    }

    /// The descriptor that is readable when there is something to do.
    pub(crate) fn descriptor(&self) -> BorrowedFd<'_> {
        self.poll.registry().as_fd()
    }

    /// Waits for something to happen, as long as `wait` says, and takes the events out. They are to be given back.
    pub(crate) fn poll(&mut self, wait: Option<Duration>) -> Option<Events> {
        let mut events = self.events.take()?;
        if let Err(error) = self.poll.poll(&mut events, wait) {
            // A signal, which the driver wants to know of.
            self.interrupted |= error.kind() == io::ErrorKind::Interrupted;
            events.clear();
        }
        Some(events)
    }

    /// Gives the events back, so that their memory is used again.
    pub(crate) fn give_back(&mut self, events: Events) {
        self.events = Some(events);
    }

    /// Whether the poller has something to report.
    pub(crate) fn has_news(&self) -> bool {
        let look = sys::poll::readable([self.descriptor()], Some(Duration::ZERO));
        matches!(look, Ok([true]))
    }

    /// Watches a connection. It reports changes, not states.
    pub(crate) fn register(&self, descriptor: RawFd, key: usize) -> io::Result<()> {
        let interest = Interest::READABLE | Interest::WRITABLE;
        let registry = self.poll.registry();
        registry.register(&mut SourceFd(&descriptor), Token(key), interest)
    }

    /// Watches a connection no more. An exchange, or another process, may still hold its socket, and must not
    /// make it report to a key that another connection will have.
    pub(crate) fn deregister(&self, descriptor: RawFd) {
        // The application may have taken the socket, and it is not watched any more.
        let _ = self.poll.registry().deregister(&mut SourceFd(&descriptor));
    }

    /// Watches a queue of clients, or watches it no more.
    pub(crate) fn watch_queue(
        &self,
        index: usize,
        source: BorrowedFd<'_>,
        wanted: bool,
    ) -> io::Result<()> {
        match wanted {
            true => sys::epoll::add_exclusive(self.descriptor(), source, (QUEUES + index) as u64),
            false => sys::epoll::delete(self.descriptor(), source),
        }
    }

    /// Watches a descriptor for the driver.
    pub(crate) fn watch(&mut self, descriptor: Private, what: Watched) -> io::Result<()> {
        let token = Token(WATCHES + self.watches.len());
        let registry = self.poll.registry();
        registry.register(
            &mut SourceFd(&descriptor.as_raw_fd()),
            token,
            Interest::READABLE,
        )?;
        self.watches.push((descriptor, what));
        Ok(())
    }

    /// Empties a descriptor of the driver that is readable. Says what it means, where it means something.
    pub(crate) fn read_watch(&mut self, index: usize) -> Option<Watched> {
        let mut bytes = [0u8; 64];
        let (descriptor, what) = self.watches.get(index)?;
        match what {
            Watched::Interruption => {
                while matches!(sys::pipe::read(descriptor.as_fd(), &mut bytes), Ok(1..)) {}
                self.interrupted = true;
                Some(Watched::Interruption)
            }
            Watched::Lifeline => matches!(sys::pipe::read(descriptor.as_fd(), &mut bytes), Ok(0))
                .then_some(Watched::Lifeline),
        }
    }

    /// Whether the driver should look what its descriptors say; asking resets it.
    pub(crate) fn take_interruption(&mut self) -> bool {
        std::mem::take(&mut self.interrupted)
    }

    /// The alarm went off.
    pub(crate) fn note_alarm(&mut self) {
        self.alarm.iter_mut().for_each(Alarm::rang);
    }

    /// Makes the poller readable at `next`, which is `span` from now.
    pub(crate) fn set_alarm(&mut self, next: Option<Millis>, span: Duration) {
        let set = match &mut self.alarm {
            Some(alarm) => alarm.set(next, span),
            None => Alarm::new(self.poll.registry(), ALARM).and_then(|mut alarm| {
                alarm.set(next, span)?;
                self.alarm = Some(alarm);
                Ok(())
            }),
        };
        if let Err(error) = set {
            log::error!("the timer of the event loop could not be set: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_names_its_source() {
        let check = |token, expected| assert_eq!(Source::from(Token(token)), expected, "{token}");
        check(0, Source::Connection(0));
        check(QUEUES - 1, Source::Connection(QUEUES - 1));
        check(QUEUES, Source::Queue);
        check(QUEUES + 1, Source::Queue);
        check(WATCHES, Source::Watch(0));
        check(WATCHES + 1, Source::Watch(1));
        assert_eq!(Source::from(WAKER), Source::Waker);
        assert_eq!(Source::from(ALARM), Source::Alarm);
    }

    #[test]
    fn a_connection_is_watched_until_it_is_watched_no_more() {
        use std::io::Write;
        let mut poller = Poller::new(Poll::new().unwrap());
        let (near, mut far) = std::os::unix::net::UnixStream::pair().unwrap();
        poller.register(near.as_raw_fd(), 7).unwrap();
        far.write_all(b"x").unwrap();
        let told = |poller: &mut Poller| {
            let events = poller.poll(Some(Duration::ZERO)).unwrap();
            let sources: Vec<Source> = events.iter().map(|event| event.token().into()).collect();
            poller.give_back(events);
            sources
        };
        assert!(poller.has_news());
        assert_eq!(told(&mut poller), [Source::Connection(7)]);
        assert_eq!(told(&mut poller), [], "changes are told, not states");
        far.write_all(b"y").unwrap();
        poller.deregister(near.as_raw_fd());
        assert_eq!(told(&mut poller), []);
    }
}
