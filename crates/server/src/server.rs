//! The server of one worker, as its driver sees it: threads ask for the next exchange, and a thread that finds none
//! turns the reactor.

use std::fmt;
use std::io;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use mio::{Poll, Waker};
use parking_lot::Mutex;
use settings::{Config, Mount};
use sys::forks::Private;

use crate::accept::{Listen, Listener};
use crate::access_log::{AccessLog, Colours, Entry, Left};
use crate::call::Call;
use crate::descriptors::Descriptors;
use crate::dispatcher::{Dispatcher, Leader, Parts};
use crate::handover::Handover;
use crate::inlet::Event;
use crate::options::{Options, Seat, Service};
use crate::poller::WAKER;
use crate::reactor::{Patience, Reactor};
use crate::site::Site;
use crate::statsd::Statsd;
use crate::watchdog;

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
    pub calls: Vec<Call>,
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
pub enum Next {
    /// Answer this.
    Call(Call),
    /// Look what the watched descriptors, or signals, are about; then ask again.
    Interrupted,
    /// Nothing: the server has come to its end.
    Done,
}

/// The server of one worker.
pub struct Server {
    dispatcher: Arc<Dispatcher>,
    reactor: Mutex<Reactor>,
}

impl Server {
    /// Makes the server. It accepts no client before [`Server::next`] is called.
    ///
    /// # Errors
    /// The poller cannot be made, or a directory of files cannot be opened.
    pub fn new(listeners: Vec<Listener>, config: &Config, seat: Seat) -> io::Result<Arc<Server>> {
        let poll = Poll::new()?;
        let descriptors = Descriptors::share(config.worker_connections);
        if seat.slot.age() <= 1 {
            // The workers after the first have the same limit.
            descriptors.tell();
        }
        let options = Options::new(config, &seat);
        let handover = seat
            .siblings
            .map(|siblings| Handover::new(siblings, seat.slot.clone(), options.places()));
        let parts = Parts {
            waker: Waker::new(poll.registry(), WAKER)?,
            registry: poll.registry().try_clone()?,
            options,
            site: Site::open(config)?,
            access_log: AccessLog::open(
                config.accesslog.as_deref(),
                &config.access_log_format,
                match config.coloured_statuses {
                    true => Colours::On,
                    false => Colours::Off,
                },
                seat.access_file,
            ),
            slot: seat.slot,
            notifier: seat.notifier,
        };
        let dispatcher = Arc::new(Dispatcher::new(parts));
        let reactor = Mutex::new(Reactor::new(
            poll,
            Arc::clone(&dispatcher),
            Listen::new(listeners, descriptors),
            handover,
        ));
        Ok(Arc::new(Server {
            dispatcher,
            reactor,
        }))
    }

    /// Starts the thread that attends to the reactor while all others are inside the application. The caller sees to it
    /// that the thread is born with all signals blocked.
    ///
    /// # Errors
    /// The system has no thread left.
    pub fn start_watchdog(self: &Arc<Server>) -> io::Result<()> {
        watchdog::start(self)
    }

    /// Has the reactor watch a descriptor. To be called before the first [`Server::next`].
    ///
    /// # Errors
    /// The descriptor cannot be polled.
    pub fn watch(&self, descriptor: Private, what: Watched) -> io::Result<()> {
        self.reactor.lock().watch(descriptor, what)
    }

    /// The poller, which becomes readable when there is something to do: any event loop can watch it.
    pub fn with_poller<T>(&self, with: impl FnOnce(BorrowedFd<'_>) -> T) -> T {
        with(self.reactor.lock().descriptor())
    }

    /// Does what there is to do without waiting, for an event loop that watches the poller. Deadlines make the poller
    /// readable too. From the first call on the loop is the only one to turn the reactor.
    pub fn look(&self) -> Look {
        let mut state = self.dispatcher.state();
        state.leader = Leader::Loop;
        state.looks += 1;
        let free = self.dispatcher.free(&state);
        self.dispatcher.looked(&mut state);
        drop(state);
        let events = self.turn(free, Patience::Look);
        let mut state = self.dispatcher.state();
        let mut calls = Vec::with_capacity(state.ready.len());
        while let Some(call) = self.dispatcher.depart(&mut state) {
            calls.push(call);
        }
        let lines_held = !calls.is_empty() && self.dispatcher.access_log.hold();
        Look {
            lines_held,
            calls,
            events,
            interrupted: std::mem::take(&mut state.interrupted),
            done: state.done,
        }
    }

    /// Changes how exchanges reach the application, where that was not known when the server was made. To be called
    /// before the first [`Server::next`] or [`Server::look`].
    pub fn serve_by(&self, service: Service) {
        self.dispatcher.options.serve_by(service);
    }

    /// The worker is given up: says in the log which requests are with the application, for how long and from whom, and
    /// answers 504 to those whose response has not begun. Any thread may call it.
    pub fn answer_overdue(&self) {
        self.dispatcher.answer_overdue();
    }

    /// Has `tell` say where threads and tasks stand, for the log. It may take some hundred milliseconds, and is called
    /// by threads that have no part in the application.
    pub fn tell_stacks_by(&self, tell: impl Fn() -> String + Send + Sync + 'static) {
        self.dispatcher.stacks.tell_by(Box::new(tell));
    }

    /// The handler of the arbiter's last signal runs. Says whether it is to tell where threads and tasks stand.
    pub fn note_abort(&self) -> bool {
        self.dispatcher.stacks.note_handler()
    }

    /// The requests that are with the application, as JSON.
    #[must_use]
    pub fn requests_in_flight(&self) -> Vec<u8> {
        self.dispatcher.requests_in_flight()
    }

    /// Tells `statsd` of every request from now on. To be called before the first [`Server::next`].
    pub fn report_to(&self, statsd: Arc<Statsd>) {
        // It is called once.
        let _ = self.dispatcher.statsd.set(statsd);
    }

    /// Serves the files of one more directory. To be called before the first [`Server::next`]. What the settings say of
    /// the same prefix stays.
    ///
    /// # Errors
    /// It cannot be opened.
    pub fn add_mount(&self, mount: &Mount) -> io::Result<()> {
        self.dispatcher.site.add(mount)
    }

    /// Whether the end was asked for, and how.
    #[must_use]
    pub fn stopping(&self) -> Option<Shutdown> {
        self.dispatcher.stopping()
    }

    /// Sets the number of requests, counted from the start, after which the worker asks for a successor; 0 for never.
    pub fn set_max_requests(&self, number: u64) {
        self.dispatcher.options.set_max_requests(number);
    }

    /// Says that the event loop is alive. To be called once a second while it is; the arbiter replaces a worker whose
    /// loop has not said so for `timeout`.
    pub fn beat(&self) {
        self.dispatcher.beat();
    }

    /// Waits for something to do. Any of the worker's threads may call it; none may hold the GIL meanwhile.
    pub fn next(&self) -> Next {
        loop {
            let mut state = self.dispatcher.state();
            loop {
                if let Some(call) = self.dispatcher.depart(&mut state) {
                    return Next::Call(call);
                }
                if !state.aside && std::mem::take(&mut state.interrupted) {
                    return Next::Interrupted;
                }
                if state.done {
                    return Next::Done;
                }
                match state.leader {
                    Leader::Nobody => break,
                    Leader::Thread | Leader::Loop => self.dispatcher.wait(&mut state),
                    Leader::Watchdog => {
                        state.wanted = true;
                        self.dispatcher.wake();
                        self.dispatcher.wait(&mut state);
                    }
                }
            }
            state.leader = Leader::Thread;
            let free = self.dispatcher.free(&state).max(1);
            self.dispatcher.looked(&mut state);
            let patience = if state.ready.is_empty() {
                Patience::Wait
            } else {
                Patience::Look
            };
            drop(state);
            self.turn(free, patience);
        }
    }

    /// Waits, for a thread that takes no exchanges, until there is something to look at or the server has come to its
    /// end. From the first call on it is this thread alone that learns of interruptions, so that none has to wait for a
    /// thread that is inside the application. The first call itself counts as one: another thread may have been told of
    /// an interruption before, and can do nothing about it.
    pub fn stand_aside(&self) -> Next {
        let mut state = self.dispatcher.state();
        if !std::mem::replace(&mut state.aside, true) {
            return Next::Interrupted;
        }
        loop {
            if std::mem::take(&mut state.interrupted) {
                return Next::Interrupted;
            }
            if state.done {
                return Next::Done;
            }
            self.dispatcher.wait_aside(&mut state);
        }
    }

    /// One turn by the thread that leads, and the end of that lead.
    fn turn(&self, free: u32, patience: Patience) -> Vec<Event> {
        let mut reactor = self.reactor.lock();
        // Not those beside a loop that is blocked: a task that sends without end would never be told to wait.
        self.dispatcher.turns.fetch_add(1, Ordering::Relaxed);
        reactor.turn(free, patience);
        let mut state = self.dispatcher.state();
        state.ready.extend(reactor.turn.ready.drain(..));
        state.interrupted |= reactor.take_interruption();
        if reactor.is_finished() && state.busy == 0 && state.ready.is_empty() {
            state.done = true;
            self.dispatcher.watchdog.wake();
            self.dispatcher.call_all();
        } else if reactor.is_finished() && state.has_only_stuck_calls() {
            self.dispatcher.publish_stuck();
        } else if state.interrupted {
            self.dispatcher.call_for_interruption(&state);
        }
        let looped = state.leader == Leader::Loop;
        if !looped {
            state.leader = Leader::Nobody;
        }
        drop(state);
        if looped {
            reactor.set_alarm();
        }
        reactor.take_events()
    }

    /// Turns the reactor while every thread is inside the application, until one wants it back.
    pub(crate) fn turn_as_watchdog(&self) {
        loop {
            self.turn(0, Patience::Wait);
            self.dispatcher.enforce_limits();
            self.dispatcher.stacks.tell_of_end(&self.dispatcher.slot);
            let mut state = self.dispatcher.state();
            if std::mem::take(&mut state.wanted) || state.idle > 0 || state.busy == 0 || state.done
            {
                drop(state);
                return self.dispatcher.call_one();
            }
            if state.leader != Leader::Nobody {
                return;
            }
            state.leader = Leader::Watchdog;
        }
    }

    /// Turns the reactor once, if there is something to do and the event loop has not looked since `looks`: the
    /// application blocks it. Does I/O only. What the loop has to be told waits for it, and the poller calls it for
    /// that. Says whether it was so.
    pub(crate) fn turn_beside_loop(&self, looks: u64) -> bool {
        let Some(mut reactor) = self.reactor.try_lock() else {
            return false; // The loop has it.
        };
        if self.dispatcher.state().looks != looks || !reactor.has_news() {
            return false;
        }
        reactor.turn(0, Patience::Look);
        let mut state = self.dispatcher.state();
        state.ready.extend(reactor.turn.ready.drain(..));
        state.interrupted |= reactor.take_interruption();
        let awaited =
            !state.ready.is_empty() || state.interrupted || !reactor.turn.events.is_empty();
        let finished = reactor.is_finished();
        if finished && state.has_only_stuck_calls() {
            self.dispatcher.publish_stuck();
        }
        drop(state);
        reactor.set_alarm_beside_loop();
        if awaited || finished {
            self.dispatcher.wake();
        }
        true
    }

    /// The event loop is going to begin several exchanges: what is answered until [`Server::send_answers`] leaves
    /// together, but for what is long or has waited for some milliseconds.
    pub fn hold_answers(&self) {
        self.dispatcher.held.open();
        self.dispatcher.watchdog.hurry();
    }

    /// Sends the answers that were held.
    pub fn send_answers(&self) {
        if self.dispatcher.held.is_open() {
            self.dispatcher.held.close();
            self.dispatcher.send_held();
        }
    }

    /// Asks the server to end. Any thread may, as often as it likes; a quick end overrides a graceful one.
    pub fn shut_down(&self, how: Shutdown) {
        self.dispatcher.shut_down(how);
    }

    /// The variables of the environ that access lines show, which [`crate::Exchange::note_variables`] takes.
    #[must_use]
    pub fn access_variables(&self) -> &[String] {
        self.dispatcher.access_log.variables()
    }

    /// Writes no access lines from now on: another writer does, which is told, perhaps with locks of the server's held,
    /// of the requests that are `left` to it. To be called before the first [`Server::next`].
    pub fn leave_access_lines(&self, left: Left, tell: impl Fn(Entry) + Send + Sync + 'static) {
        self.dispatcher.access_log.leave(left, Box::new(tell));
    }

    /// Writes the access lines that have come together, for an event loop: one write for all that it answers in a turn.
    pub fn flush_access_lines(&self) {
        self.dispatcher.access_log.flush();
    }

    /// Opens the access log anew, for log rotation.
    pub fn reopen_logs(&self) {
        self.dispatcher.access_log.reopen();
    }

    pub(crate) fn dispatcher(&self) -> &Arc<Dispatcher> {
        &self.dispatcher
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Server").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
