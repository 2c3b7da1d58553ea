//! The server of one worker, as its driver sees it: threads ask for the next exchange, and whoever finds none turns the
//! reactor.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use mio::{Poll, Waker};
use parking_lot::Mutex;
use settings::Config;

use crate::accept::Listener;
use crate::access_log::{AccessLog, Entry, Left};
use crate::attendance;
use crate::crew::{Crew, Leader, Parts};
use crate::exchange::Exchange;
use crate::handover::Handover;
use crate::inlet::Event;
use crate::options::{Options, Seat};
use crate::reactor::{Patience, Reactor, WAKER};
use crate::statsd::Statsd;

/// How to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Shutdown {
    /// Serve the clients that wait to be accepted and the requests that have begun, then end.
    Graceful = 1,
    /// Close everything now.
    Quick = 2,
}

/// What a watched descriptor means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Watched {
    /// Something for the driver to look at, such as the wake-up pipe of signals: [`Server::next`] returns
    /// [`Next::Interrupted`]. What is readable is discarded.
    Interruption,
    /// The end of the stream means that the arbiter is gone; the server then stops gracefully.
    Lifeline,
}

/// What a look brought.
#[derive(Debug, Default)]
pub struct Look {
    /// Requests to answer.
    pub exchanges: Vec<Exchange>,
    /// What exchanges waited for.
    pub events: Vec<Event>,
    /// There are watched descriptors, or signals, to look at.
    pub interrupted: bool,
    /// The server has come to its end.
    pub done: bool,
    /// Access lines wait for [`Server::flush_access_lines`], which is to be called when the exchanges have been begun.
    pub lines_held: bool,
}

/// What a thread is to do next.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "a box would cost the common case an allocation to make the rare ones small"
)]
pub enum Next {
    /// Answer this.
    Exchange(Exchange),
    /// Look what the watched descriptors, or signals, are about; then ask again.
    Interrupted,
    /// Nothing: the server has come to its end.
    Done,
}

/// The server of one worker.
pub struct Server {
    crew: Arc<Crew>,
    reactor: Mutex<Reactor>,
}

impl Server {
    /// Makes the server. It accepts nobody before [`Server::next`] is called.
    ///
    /// # Errors
    /// The poller cannot be made.
    pub fn new(listeners: Vec<Listener>, config: &Config, seat: Seat) -> io::Result<Arc<Server>> {
        let poll = Poll::new()?;
        let options = Options::new(config, &seat);
        let handover = seat
            .siblings
            .map(|siblings| Handover::new(siblings, seat.slot.clone(), options.places()));
        let parts = Parts {
            waker: Waker::new(poll.registry(), WAKER)?,
            registry: poll.registry().try_clone()?,
            options,
            access_log: AccessLog::open(config.accesslog.as_deref(), &config.access_log_format),
            slot: seat.slot,
            notifier: seat.notifier,
        };
        let crew = Arc::new(Crew::new(parts));
        let limit = config.worker_connections as usize;
        let reactor = Mutex::new(Reactor::new(
            poll,
            Arc::clone(&crew),
            listeners,
            handover,
            limit,
        ));
        Ok(Arc::new(Server { crew, reactor }))
    }

    /// Starts the thread that attends to the reactor while all others are inside the application. The caller sees to it
    /// that the thread is born with all signals blocked.
    ///
    /// # Errors
    /// The system has no thread left.
    pub fn start_watchdog(self: &Arc<Server>) -> io::Result<()> {
        attendance::start(self)
    }

    /// Has the reactor watch a descriptor. To be called before the first [`Server::next`].
    ///
    /// # Errors
    /// The descriptor cannot be polled.
    pub fn watch(&self, descriptor: OwnedFd, what: Watched) -> io::Result<()> {
        self.reactor.lock().watch(descriptor, what)
    }

    /// The poller, which becomes readable when there is something to do: any event loop can watch it.
    pub fn with_poller<T>(&self, with: impl FnOnce(BorrowedFd<'_>) -> T) -> T {
        with(self.reactor.lock().poll.registry().as_fd())
    }

    /// Does what there is to do without waiting, for an event loop that watches the poller. Deadlines make the poller
    /// readable too. From the first call on the loop is the only one to turn the reactor.
    pub fn look(&self) -> Look {
        let mut roll = self.crew.roll();
        roll.leader = Leader::Loop;
        roll.looks += 1;
        let free = self.crew.free(&roll);
        self.crew.looked(&mut roll);
        drop(roll);
        let events = self.turn(free, Patience::Look);
        let mut roll = self.crew.roll();
        let mut exchanges = Vec::with_capacity(roll.ready.len());
        while let Some(exchange) = self.crew.depart(&mut roll) {
            exchanges.push(exchange);
        }
        let lines_held = !exchanges.is_empty() && self.crew.access_log.hold();
        Look {
            lines_held,
            exchanges,
            events,
            interrupted: std::mem::take(&mut roll.interrupted),
            done: roll.done,
        }
    }

    /// Has bodies streamed, and any number of requests answered at once, from now on: an event loop is going to turn the
    /// server, which was not known when it was made. To be called before the first look.
    pub fn stream_bodies(&self) {
        self.crew.options.stream_bodies();
    }

    /// The worker is given up: says in the log which requests are with the application, for how long and from whom, and
    /// answers 504 to those whose response has not begun. Any thread may call it.
    pub fn answer_overdue(&self) {
        self.crew.answer_overdue();
    }

    /// Tells `statsd` of every request from now on. To be called before the first [`Server::next`].
    pub fn report_to(&self, statsd: Arc<Statsd>) {
        // Nobody calls it twice.
        let _ = self.crew.statsd.set(statsd);
    }

    /// Whether the end was asked for, and how.
    #[must_use]
    pub fn stopping(&self) -> Option<Shutdown> {
        self.crew.stopping()
    }

    /// Sets the number of requests, counted from the start, after which the worker asks for a successor; 0 for never.
    pub fn set_max_requests(&self, number: u64) {
        self.crew.options.set_max_requests(number);
    }

    /// Says that the event loop is alive. To be called once a second while it is; the arbiter replaces a worker whose loop
    /// has not said so for `timeout`.
    pub fn beat(&self) {
        self.crew.beat();
    }

    /// Waits for something to do. Any of the worker's threads may call it; none may hold the GIL meanwhile.
    pub fn next(&self) -> Next {
        loop {
            let mut roll = self.crew.roll();
            loop {
                if let Some(exchange) = self.crew.depart(&mut roll) {
                    return Next::Exchange(exchange);
                }
                if !roll.aside && std::mem::take(&mut roll.interrupted) {
                    return Next::Interrupted;
                }
                if roll.done {
                    return Next::Done;
                }
                match roll.leader {
                    Leader::Nobody => break,
                    Leader::Thread | Leader::Loop => self.crew.wait(&mut roll),
                    Leader::Watchdog => {
                        roll.wanted = true;
                        self.crew.wake();
                        self.crew.wait(&mut roll);
                    }
                }
            }
            roll.leader = Leader::Thread;
            let free = self.crew.free(&roll).max(1);
            self.crew.looked(&mut roll);
            let patience = if roll.ready.is_empty() {
                Patience::Wait
            } else {
                Patience::Look
            };
            drop(roll);
            self.turn(free, patience);
        }
    }

    /// Waits, for a thread that takes no exchanges, until there is something to look at or the server has come to its
    /// end. From the first call on it is this thread alone that learns of interruptions, so that none has to wait for a
    /// thread that is inside the application. The first call itself counts as one: another thread may have been told of
    /// an interruption before, and can do nothing about it.
    pub fn stand_aside(&self) -> Next {
        let mut roll = self.crew.roll();
        if !std::mem::replace(&mut roll.aside, true) {
            return Next::Interrupted;
        }
        loop {
            if std::mem::take(&mut roll.interrupted) {
                return Next::Interrupted;
            }
            if roll.done {
                return Next::Done;
            }
            self.crew.wait_aside(&mut roll);
        }
    }

    /// One turn by whoever leads, and the end of that lead.
    fn turn(&self, free: u32, patience: Patience) -> Vec<Event> {
        let mut reactor = self.reactor.lock();
        reactor.turn(free, patience);
        let mut roll = self.crew.roll();
        roll.ready.extend(reactor.ready.drain(..));
        roll.interrupted |= reactor.take_interruption();
        if reactor.is_finished() && roll.busy == 0 && roll.ready.is_empty() {
            roll.done = true;
            self.crew.watchdog.wake();
            self.crew.call_all();
        } else if roll.interrupted {
            self.crew.call_for_interruption(&roll);
        }
        let looped = roll.leader == Leader::Loop;
        if !looped {
            roll.leader = Leader::Nobody;
        }
        drop(roll);
        if looped {
            reactor.set_alarm();
        }
        std::mem::take(&mut reactor.reports)
    }

    /// Turns the reactor while every thread is inside the application, until one wants it back.
    pub(crate) fn turn_for_the_absent(&self) {
        loop {
            self.turn(0, Patience::Wait);
            let mut roll = self.crew.roll();
            if std::mem::take(&mut roll.wanted) || roll.idle > 0 || roll.busy == 0 || roll.done {
                drop(roll);
                return self.crew.call_one();
            }
            if roll.leader != Leader::Nobody {
                return;
            }
            roll.leader = Leader::Watchdog;
        }
    }

    /// Turns the reactor once, if there is something to do and the event loop has not looked since `looks`: the application blocks it.
    /// Does I/O only. What the loop has to be told waits for it, and the poller calls it for that. Says whether it was so.
    pub(crate) fn turn_beside_the_loop(&self, looks: u64) -> bool {
        let Some(mut reactor) = self.reactor.try_lock() else {
            return false; // The loop has it.
        };
        if self.crew.roll().looks != looks || !reactor.has_news() {
            return false;
        }
        reactor.turn(0, Patience::Look);
        let mut roll = self.crew.roll();
        roll.ready.extend(reactor.ready.drain(..));
        roll.interrupted |= reactor.take_interruption();
        let awaited = !roll.ready.is_empty() || roll.interrupted || !reactor.reports.is_empty();
        let finished = reactor.is_finished();
        drop(roll);
        reactor.set_alarm();
        if awaited || finished {
            self.crew.wake();
        }
        true
    }

    /// Asks the server to end. Any thread may, as often as it likes; a quick end overrides a graceful one.
    pub fn shut_down(&self, how: Shutdown) {
        self.crew.shut_down(how);
    }

    /// The variables of the environ that access lines show, which [`Exchange::note_variables`] takes.
    #[must_use]
    pub fn access_variables(&self) -> &[String] {
        self.crew.access_log.variables()
    }

    /// Writes no access lines from now on: somebody else does, who is told, perhaps with locks of the server's held, of the
    /// requests that are `left` to it. To be called before the first [`Server::next`].
    pub fn leave_access_lines(&self, left: Left, tell: impl Fn(Entry) + Send + Sync + 'static) {
        self.crew.access_log.leave(left, Box::new(tell));
    }

    /// Writes the access lines that have come together, for an event loop: one write for all that it answers in a turn.
    pub fn flush_access_lines(&self) {
        self.crew.access_log.flush();
    }

    /// Opens the access log anew, for log rotation.
    pub fn reopen_logs(&self) {
        self.crew.access_log.reopen();
    }

    pub(crate) fn crew(&self) -> &Crew {
        &self.crew
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Server").finish_non_exhaustive()
    }
}
