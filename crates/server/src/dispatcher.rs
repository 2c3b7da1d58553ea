//! What the threads of a worker share: which exchanges wait for a thread, which thread leads (turns the reactor), and
//! what the threads that answered have to tell the reactor. One short lock guards it; no thread holds it while it waits
//! in the poller or is inside the application.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use mio::{Registry, Waker};
use parking_lot::{Condvar, Mutex, MutexGuard};
use sys::forks::Withheld;
use sys::pipe::Notifier;
use sys::scoreboard::{Slot, State};

use crate::access_log::AccessLog;
use crate::call::{Call, Finished};
use crate::date::DateText;
use crate::exchange::{Exchange, ExchangeId};
use crate::held_answers::HeldAnswers;
use crate::options::Options;
use crate::outlet::Outlet;
use crate::overdue::Calls;
use crate::request_metrics::{self, Ended};
use crate::server::Shutdown;
use crate::shared_websocket::SharedWebSocket;
use crate::sink::SinkError;
use crate::site::Site;
use crate::stacks::Stacks;
use crate::statsd::Statsd;
use crate::watchdog::Watchdog;

/// A call of the application that lasts longer than this counts as one that usually blocks: the reactor is then handed
/// on at once, without waiting for the watchdog. It is the time after which the watchdog would step in anyway.
const USUALLY_LASTS: Duration = Duration::from_millis(1);

/// After this many exchanges that were taken from the queue without a look at the listeners, a thread looks: requests
/// of kept-alive connections must not starve the clients that wait to be accepted. nginx re-adds its listener as often.
const LOOK_AFTER: u32 = 16;

/// Messages that the reactor takes from its inbox at once: those that come while it works wait for the next turn, lest
/// threads that tell faster than it follows keep it from its poller.
const MESSAGES: usize = 1024;

/// Who turns the reactor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leader {
    /// None: the thread that had the lead is inside the application.
    Nobody,
    /// A thread that may run the application.
    Thread,
    /// The watchdog, which does I/O only.
    Watchdog,
    /// A foreign event loop, for good: it looks whenever the poller is readable.
    Loop,
}

/// How an exchange left its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The response is complete; the next request may follow.
    KeepAlive,
    /// The response is complete (or as complete as it will be); the connection ends with it.
    Close,
    /// The application took the socket.
    Hijacked,
    /// The connection became a WebSocket, whose own state says what is to be done.
    Upgraded,
}

/// What a thread tells the reactor.
#[derive(Debug)]
pub(crate) enum Message {
    /// An exchange is over.
    Finished(ExchangeId, Outcome),
    /// An exchange was answered in place of its thread or task, which has it still.
    Overdue(ExchangeId),
    /// The client left before a thread took its exchange.
    Abandoned(Box<Exchange>),
    /// Bytes wait for this client, or for the application: go on, and watch the time.
    Pending(ExchangeId),
    /// An exchange has become a WebSocket.
    Upgraded(ExchangeId, Arc<SharedWebSocket>),
}

/// The part of the [`Dispatcher`] that the lock guards.
#[derive(Debug)]
pub(crate) struct DispatchState {
    pub(crate) ready: VecDeque<Box<Exchange>>,
    /// What threads have told the reactor; a connection has at most a few messages in it.
    inbox: VecDeque<Message>,
    /// The reactor has been woken for what is in the inbox.
    pub(crate) rung: bool,
    /// What the application is about.
    pub(crate) calls: Calls,
    pub(crate) leader: Leader,
    /// Threads that wait for something to do.
    pub(crate) idle: u32,
    /// Exchanges that are with the application.
    pub(crate) busy: u32,
    /// The clients of those whose thread waits until its client has taken something.
    held_up: Vec<Outlet>,
    /// A thread wants the reactor back from the watchdog.
    pub(crate) wanted: bool,
    /// A watched descriptor became readable and no thread has been told yet.
    pub(crate) interrupted: bool,
    /// A thread stands aside for interruptions; no other is told of them.
    pub(crate) aside: bool,
    /// The server has come to its end.
    pub(crate) done: bool,
    /// Counts departures into the application, so that the watchdog can tell one long call from many short ones.
    pub(crate) departures: u64,
    /// Counts the looks of an event loop, so that the watchdog can tell one that is blocked.
    pub(crate) looks: u64,
    /// Exchanges taken since the listeners were last looked at.
    unlooked: u32,
    /// A running mean of how long the application takes.
    usual: Duration,
}

/// What all of a worker's threads share.
#[derive(Debug)]
pub(crate) struct Dispatcher {
    state: Mutex<DispatchState>,
    bell: Condvar,
    aside_bell: Condvar,
    waker: Waker,
    _withheld: Withheld,
    pub(crate) registry: Registry,
    pub(crate) options: Options,
    /// Files that are served without the application.
    pub(crate) site: Site,
    pub(crate) date: DateText,
    pub(crate) access_log: AccessLog,
    /// Where metrics go, if anywhere.
    pub(crate) statsd: OnceLock<Arc<Statsd>>,
    pub(crate) watchdog: Watchdog,
    /// Where threads and tasks stand.
    pub(crate) stacks: Stacks,
    /// Answers that leave together at the end of a turn of the event loop.
    pub(crate) held: HeldAnswers,
    stopping: AtomicU8,
    /// Counts the turns of the reactor, but for those that the watchdog makes beside an event loop.
    pub(crate) turns: AtomicU64,
    pub(crate) slot: Slot,
    notifier: Notifier,
}

/// The shared things that a [`Dispatcher`] is made of.
pub(crate) struct Parts {
    pub(crate) waker: Waker,
    pub(crate) registry: Registry,
    pub(crate) options: Options,
    pub(crate) site: Site,
    pub(crate) access_log: AccessLog,
    pub(crate) slot: Slot,
    pub(crate) notifier: Notifier,
}

impl DispatchState {
    /// Whether a thread turns the reactor that has to be woken for what has come into the inbox.
    fn ring(&mut self) -> bool {
        self.leader != Leader::Nobody && !std::mem::replace(&mut self.rung, true)
    }

    /// Whether every call that is under way holds a thread that does not come back.
    pub(crate) fn has_only_stuck_calls(&self) -> bool {
        self.busy > 0 && self.calls.stuck() >= self.busy as usize
    }
}

impl Dispatcher {
    pub(crate) fn new(parts: Parts) -> Dispatcher {
        let state = DispatchState {
            ready: VecDeque::new(),
            inbox: VecDeque::new(),
            rung: false,
            calls: Calls::default(),
            leader: Leader::Nobody,
            idle: 0,
            busy: 0,
            held_up: Vec::new(),
            wanted: false,
            interrupted: false,
            aside: false,
            done: false,
            departures: 0,
            looks: 0,
            unlooked: 0,
            usual: Duration::ZERO,
        };
        Dispatcher {
            state: Mutex::new(state),
            bell: Condvar::new(),
            aside_bell: Condvar::new(),
            waker: parts.waker,
            _withheld: Withheld::new(&parts.registry),
            registry: parts.registry,
            options: parts.options,
            site: parts.site,
            date: DateText::new(),
            access_log: parts.access_log,
            statsd: OnceLock::new(),
            watchdog: Watchdog::default(),
            stacks: Stacks::default(),
            held: HeldAnswers::default(),
            stopping: AtomicU8::new(0),
            turns: AtomicU64::new(1),
            slot: parts.slot,
            notifier: parts.notifier,
        }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, DispatchState> {
        self.state.lock()
    }

    /// Waits to be called; counts as idle meanwhile.
    pub(crate) fn wait(&self, state: &mut MutexGuard<'_, DispatchState>) {
        state.idle += 1;
        self.bell.wait(state);
        state.idle -= 1;
    }

    /// Waits aside of the threads that take exchanges.
    pub(crate) fn wait_aside(&self, state: &mut MutexGuard<'_, DispatchState>) {
        self.aside_bell.wait(state);
    }

    /// Calls the thread that is to look at an interruption.
    pub(crate) fn call_for_interruption(&self, state: &DispatchState) {
        if state.aside {
            self.aside_bell.notify_one();
        } else if state.idle > 0 {
            self.bell.notify_one();
        } else {
            state.held_up.iter().for_each(Outlet::interrupt);
        }
    }

    /// Calls one thread that waits.
    pub(crate) fn call_one(&self) {
        self.bell.notify_one();
    }

    /// Calls all threads that wait.
    pub(crate) fn call_all(&self) {
        self.bell.notify_all();
        self.aside_bell.notify_all();
    }

    /// Ends the leader's wait in the poller.
    pub(crate) fn wake(&self) {
        if let Err(error) = self.waker.wake() {
            log::error!("the poller could not be woken: {error}");
        }
    }

    /// Asks for the end. A quick stop overrides a graceful one, never the other way.
    pub(crate) fn shut_down(&self, how: Shutdown) {
        self.stopping.fetch_max(how as u8, Ordering::SeqCst);
        self.wake();
    }

    /// Whether the end was asked for, and how.
    pub(crate) fn stopping(&self) -> Option<Shutdown> {
        match self.stopping.load(Ordering::SeqCst) {
            0 => None,
            1 => Some(Shutdown::Graceful),
            _ => Some(Shutdown::Quick),
        }
    }

    /// How many exchanges more the worker may have: what it may accept for. A thread that leads counts as free.
    pub(crate) fn free(&self, state: &DispatchState) -> u32 {
        if state.unlooked >= LOOK_AFTER {
            return 1;
        }
        let taken = state.busy + u32::try_from(state.ready.len()).unwrap_or(u32::MAX);
        self.options.places().saturating_sub(taken)
    }

    /// Takes the next exchange for the calling thread.
    pub(crate) fn depart(&self, state: &mut DispatchState) -> Option<Call> {
        let leads = matches!(state.leader, Leader::Thread | Leader::Loop);
        if state.unlooked >= LOOK_AFTER && !leads {
            return None;
        }
        let call = self.next_ready(state)?;
        state.unlooked += 1;
        state.busy += 1;
        state.departures += 1;
        self.slot.set_in_flight(state.busy);
        self.publish_saturation(state);
        self.count_request();
        if let Some(waited) = call.waited() {
            request_metrics::note_queued(&self.slot, waited);
        }
        if state.leader == Leader::Nobody {
            if state.idle > 0 && (state.usual > USUALLY_LASTS || !state.ready.is_empty()) {
                self.call_one();
            }
            self.watchdog.attend();
        } else if state.leader == Leader::Loop {
            self.watchdog.attend();
        }
        Some(call)
    }

    /// The next exchange whose client still waits for it: Python's time is too dear for answers that no client reads.
    fn next_ready(&self, state: &mut DispatchState) -> Option<Call> {
        while let Some(exchange) = state.ready.pop_front() {
            match exchange.reply.sink().taken() {
                Some(mark) => return Some(Call::begin(exchange, mark, &mut state.calls)),
                None => {
                    exchange.reply.sink().note_taken();
                    // Its line in the access log is not written with our lock held.
                    state.inbox.push_back(Message::Abandoned(exchange));
                    if state.ring() {
                        self.wake();
                    }
                }
            }
        }
        None
    }

    fn count_request(&self) {
        let count = self.slot.add_request();
        let limit = self.options.max_requests();
        if limit != 0 && count >= limit && self.slot.state() == State::Ready {
            log::info!("Autorestarting worker after current request.");
            self.ask_for_successor();
        }
    }

    /// The listeners have been looked at.
    pub(crate) fn looked(&self, state: &mut DispatchState) {
        state.unlooked = 0;
    }

    /// A call is over: its thread is free again, and the reactor learns what becomes of the connection.
    pub(crate) fn come_back(&self, finished: Finished) {
        let mut state = self.state.lock();
        // A loop that has had no place to give looks at its listeners again.
        let was_full = state.leader == Leader::Loop && state.busy >= self.options.places();
        state.busy = state.busy.saturating_sub(1);
        state.usual = (state.usual * 7 + finished.took) / 8;
        self.slot.set_in_flight(state.busy);
        if state.leader != Leader::Loop {
            self.slot.set_busy_since_ms(0);
        }
        let was_awaited = state.calls.remove(finished.place, finished.id);
        // Where the request was answered in place of its thread, the reactor knows.
        if was_awaited || finished.outcome == Outcome::Hijacked {
            let message = Message::Finished(finished.id, finished.outcome);
            state.inbox.push_back(message);
        }
        let led = state.leader != Leader::Nobody;
        drop(state);
        if led && (finished.is_urgent || was_full || self.stopping().is_some()) {
            self.wake();
        }
    }

    /// Holds the calling thread while too much is queued for its client, or until it has to look at an interruption.
    /// The thread is not stuck meanwhile: the client has `send_timeout` to take something, and must not be able to
    /// bring the arbiter's time-out upon the worker.
    pub(crate) fn wait_for_room(&self, outlet: &Outlet) -> Result<(), SinkError> {
        let mut state = self.state.lock();
        if !state.aside && std::mem::take(&mut state.interrupted) {
            return Ok(());
        }
        state.held_up.push(outlet.clone());
        self.publish_saturation(&state);
        drop(state);
        let (room, interrupted) = outlet.wait_for_room();
        let mut state = self.state.lock();
        state.held_up.retain(|held| !held.is_same(outlet));
        // The thread that asked for it looks for itself when this returns into its own code.
        state.interrupted &= !interrupted;
        self.publish_saturation(&state);
        room
    }

    /// Notes that something waits for a client that the reactor does not know of: it is sent with the other answers of
    /// the turn, or the reactor is told.
    pub(crate) fn note_waiting(&self, outlet: Outlet, id: ExchangeId) {
        if !self.held.is_open() {
            self.tell(Message::Pending(id));
        } else if self.held.add(outlet, id) {
            self.send_held();
        }
    }

    /// Sends the answers that were held. What their clients do not take, the reactor sends on. Any thread may call it.
    pub(crate) fn send_held(&self) {
        for (outlet, id) in self.held.take() {
            if outlet.send_held() {
                self.tell(Message::Pending(id));
            }
        }
    }

    /// Notes since when no thread is free and none waits for its client: the arbiter ends a worker that stays so.
    fn publish_saturation(&self, state: &DispatchState) {
        if state.leader == Leader::Loop {
            return; // It says itself that it is alive; see [`Dispatcher::beat`].
        }
        let saturated = state.busy >= self.options.places() && state.held_up.is_empty();
        let since = saturated.then(sys::clock::monotonic_ms);
        self.slot.set_busy_since_ms(since.unwrap_or(0));
    }

    /// Appends to `messages` what threads have told the reactor, as much as one turn may take.
    pub(crate) fn read_messages(&self, messages: &mut Vec<Message>) {
        let mut state = self.state.lock();
        let count = state.inbox.len().min(MESSAGES);
        messages.extend(state.inbox.drain(..count));
        state.rung = !state.inbox.is_empty();
        let rest = state.rung;
        drop(state);
        if rest {
            self.wake();
        }
    }

    /// As [`Dispatcher::read_messages`], for tests.
    #[cfg(test)]
    pub(crate) fn take_messages(&self) -> Vec<Message> {
        let mut messages = Vec::new();
        self.read_messages(&mut messages);
        messages
    }

    /// Tells the reactor something that it must see soon.
    pub(crate) fn tell(&self, message: Message) {
        let mut state = self.state.lock();
        state.inbox.push_back(message);
        let sleeps = state.ring();
        drop(state);
        if sleeps {
            self.wake();
        }
    }

    /// Whether an exchange is with the application.
    pub(crate) fn is_busy(&self) -> bool {
        self.state.lock().busy > 0
    }

    /// Whether some thread turns the reactor now.
    pub(crate) fn is_led(&self) -> bool {
        self.state.lock().leader != Leader::Nobody
    }

    /// A request is over, answered or not.
    pub(crate) fn measure(&self, ended: &Ended<'_>) {
        if let Some(statsd) = self.statsd.get() {
            statsd.note_request(ended.status, ended.took);
        }
        request_metrics::note(&self.slot, ended);
    }

    /// Notes that the event loop is alive: to the arbiter a loop that has not said so for `timeout` hangs.
    pub(crate) fn beat(&self) {
        self.slot.set_busy_since_ms(sys::clock::monotonic_ms());
    }

    /// Says that this worker is leaving: no other gives it connections, and where it leaves by itself the arbiter forks
    /// another at once, however long its last requests take.
    pub(crate) fn publish_leaving(&self) {
        self.slot.set_state(State::Stopping);
        self.notifier.notify();
    }

    /// Asks the arbiter for a successor, which serves before this worker is told to go.
    pub(crate) fn ask_for_successor(&self) {
        if self.slot.state() == State::Ready {
            self.slot.set_state(State::Recycling);
            self.notifier.notify();
        }
    }

    /// Says that nothing is left of this worker but requests whose threads do not come back.
    pub(crate) fn publish_stuck(&self) {
        if self.slot.state() == State::Stopping {
            self.slot.set_state(State::Stuck);
            self.notifier.notify();
        }
    }

    /// Publishes the number of open connections.
    pub(crate) fn publish_connections(&self, count: usize) {
        self.slot
            .set_connections(u32::try_from(count).unwrap_or(u32::MAX));
    }
}

#[cfg(test)]
mod tests;
