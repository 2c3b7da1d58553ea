//! The reactor: poller, listeners, connections and deadlines of one worker. One thread at a time turns it; it never runs
//! the application and never waits for anything but the poller.

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use slab::Slab;
use sys::forks::{Private, Withheld};

use crate::accept::Listener;
use crate::alarm::Alarm;
use crate::connection::{Connection, Stage, Then};
use crate::dispatcher::{Dispatcher, Message, Outcome};
use crate::exchange::{Exchange, ExchangeId};
use crate::handover::{Handover, RECHECK};
use crate::inlet::Event;
use crate::link::Flushed;
use crate::progress::LAST_REQUEST;
use crate::server::{Shutdown, Watched};
use crate::sink::SinkError;
use crate::timers::{Millis, Timers};
use crate::websockets::CloseReason;

/// Events taken from the poller at once.
const EVENTS: usize = 256;
/// Bytes read from a socket at once, and the size of the one buffer that all connections are read into.
const SCRATCH: usize = 64 * 1024;

/// How long the end of an exchange may stay unheard, in milliseconds: where the connection lives on, the thread that answered
/// wakes nobody, and the idle time begins when the reactor learns of it.
const UNHEARD: Millis = 1000;

// Tokens below are keys of connections.
const QUEUES: usize = usize::MAX / 2;
const WATCHES: usize = QUEUES + QUEUES / 2;
/// The token of the waker.
pub(crate) const WAKER: Token = Token(usize::MAX);
const ALARM: Token = Token(usize::MAX - 1);

/// How far the server is from its end.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Life {
    Serving,
    /// Stopping, and serving the clients that wait to be accepted, at the longest until then.
    Draining {
        until: Millis,
    },
    /// No client is accepted any more.
    Closing,
}

/// Whether a turn may wait for something to happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Patience {
    Wait,
    Look,
}

pub(crate) struct Reactor {
    _withheld: Withheld,
    pub(crate) poll: Poll,
    events: Option<Events>,
    pub(crate) dispatcher: Arc<Dispatcher>,
    pub(crate) listeners: Vec<Listener>,
    pub(crate) listening: bool,
    /// New clients were left to the other workers, and this one has not looked since who is still there.
    pub(crate) yielding: bool,
    /// The listener that is the first to be accepted from next time.
    pub(crate) first_listener: usize,
    pub(crate) pause_until: Millis,
    watches: Vec<(Private, Watched)>,
    pub(crate) connections: Slab<Connection>,
    pub(crate) connection_limit: usize,
    pub(crate) timers: Timers,
    /// Connections that have more to do and will not be reported by the poller.
    pub(crate) again: Vec<(usize, u64)>,
    /// Exchanges that are complete and wait for a thread.
    pub(crate) ready: Vec<Exchange>,
    pub(crate) serial: u64,
    started: Instant,
    pub(crate) instant: Instant,
    pub(crate) now: Millis,
    pub(crate) life: Life,
    /// What WebSockets are closed with, once the server comes to its end.
    pub(crate) close_reason: Option<CloseReason>,
    interrupted: bool,
    /// How many requests more this turn may take on.
    pub(crate) free: u32,
    pub(crate) handover: Option<Handover>,
    /// What exchanges waited for and have to be told.
    pub(crate) reports: Vec<Event>,
    /// Makes the poller readable at the next deadline, for event loops that know nothing of ours.
    alarm: Option<Alarm>,
    /// The number of the last exchange.
    pub(crate) number: u64,
    pub(crate) scratch: Box<[u8]>,
}

impl Reactor {
    pub(crate) fn new(
        poll: Poll,
        dispatcher: Arc<Dispatcher>,
        listeners: Vec<Listener>,
        handover: Option<Handover>,
        connection_limit: usize,
    ) -> Reactor {
        let started = Instant::now();
        Reactor {
            _withheld: Withheld::new(&poll),
            poll,
            events: Some(Events::with_capacity(EVENTS)),
            dispatcher,
            listeners,
            listening: false,
            yielding: false,
            first_listener: 0,
            pause_until: 0,
            watches: Vec::new(),
            connections: Slab::new(),
            connection_limit: connection_limit.max(1),
            timers: Timers::default(),
            again: Vec::new(),
            ready: Vec::new(),
            serial: 0,
            started,
            instant: started,
            now: 0,
            life: Life::Serving,
            close_reason: None,
            interrupted: false,
            free: 0,
            reports: Vec::new(),
            alarm: None,
            number: 0,
            handover,
            scratch: vec![0; SCRATCH].into_boxed_slice(),
        }
    }

    /// What the poller reports for a queue of clients: the handover, or a listener.
    pub(crate) fn queue_token(index: usize) -> u64 {
        (QUEUES + index) as u64
    }

    /// Watches a descriptor for whoever drives the server.
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

    /// Does what there is to do, waiting for it if that is allowed. `free` is how many requests more may be accepted for.
    pub(crate) fn turn(&mut self, free: u32, patience: Patience) {
        self.dispatcher.turns.fetch_add(1, Ordering::Relaxed);
        self.read_inbox();
        self.follow_stop();
        if self.now < self.pause_until {
            self.look_at_the_clock(); // An event loop turns us at the end of the pause, and not again before something happens.
        }
        self.free = free;
        if free == 0 {
            self.give_waiting();
        } else if self.serve_waiting() {
            return;
        }
        self.listen(free > 0 && !matches!(self.life, Life::Closing));
        let wait = self.wait(patience);
        self.dispatcher.access_log.flush();
        let Some(mut events) = self.events.take() else {
            return;
        };
        if let Err(error) = self.poll.poll(&mut events, wait) {
            // A signal: whoever drives the server wants to know.
            self.interrupted |= error.kind() == io::ErrorKind::Interrupted;
            events.clear();
        }
        self.look_at_the_clock();
        if let Some(handover) = &mut self.handover {
            handover.count(self.now, free);
        }
        self.read_inbox();
        let mut knock = matches!(self.life, Life::Draining { .. });
        for event in &events {
            match event.token() {
                WAKER => {}
                ALARM => self.alarm.iter_mut().for_each(Alarm::rang),
                Token(token) if token >= WATCHES => self.watched(token - WATCHES),
                Token(token) if token >= QUEUES => knock = true,
                Token(key) => self.report(key, event),
            }
        }
        self.events = Some(events);
        self.go_on();
        if knock && free > 0 && self.listening {
            self.accept(free);
        }
        self.reconsider();
        self.expire();
    }

    pub(crate) fn look_at_the_clock(&mut self) {
        self.instant = Instant::now();
        self.now = self.millis_at(self.instant);
    }

    /// Whether the poller has something to report.
    pub(crate) fn has_news(&self) -> bool {
        let poller = self.poll.registry().as_fd();
        let mut watched = [PollFd::new(&poller, PollFlags::IN)];
        matches!(poll(&mut watched, Some(&Timespec::default())), Ok(1))
    }

    /// Whether the driver should look what its descriptors say; asking resets it.
    pub(crate) fn take_interruption(&mut self) -> bool {
        std::mem::take(&mut self.interrupted)
    }

    /// Whether nothing is left to be done before the end.
    pub(crate) fn is_finished(&self) -> bool {
        matches!(self.life, Life::Closing) && self.connections.is_empty() && self.ready.is_empty()
    }

    fn millis_at(&self, instant: Instant) -> Millis {
        Millis::try_from(instant.duration_since(self.started).as_millis()).unwrap_or(Millis::MAX)
    }

    fn wait(&self, patience: Patience) -> Option<Duration> {
        let at_once = patience == Patience::Look
            || !self.again.is_empty()
            || !self.ready.is_empty()
            // Whoever is still inside the application wakes the reactor when it comes back.
            || (self.is_finished() && !self.dispatcher.is_busy());
        if at_once {
            return Some(Duration::ZERO);
        }
        if matches!(self.life, Life::Draining { .. }) && self.listening {
            return Some(Duration::ZERO);
        }
        let next = self.next_deadline()?;
        Some(self.until(next))
    }

    fn next_deadline(&self) -> Option<Millis> {
        let paused = (self.pause_until > self.now).then_some(self.pause_until);
        let recheck = self.has_waiting().then_some(self.now + RECHECK);
        let unheard = self.dispatcher.is_busy().then_some(self.now + UNHEARD);
        [self.timers.next(), paused, recheck, unheard]
            .into_iter()
            .flatten()
            .min()
    }

    /// How long to wait for a deadline: one more millisecond, because the poller rounds down and would come up just before.
    fn until(&self, deadline: Millis) -> Duration {
        let now = self.millis_at(Instant::now());
        Duration::from_millis(deadline.saturating_sub(now).saturating_add(1))
    }

    /// For an event loop that watches the poller: makes it readable when there is something to do that no descriptor of
    /// ours reports.
    pub(crate) fn set_alarm(&mut self) {
        if self.wait(Patience::Wait) == Some(Duration::ZERO) {
            self.dispatcher.wake();
        }
        let next = self.next_deadline();
        let span = next.map_or(Duration::ZERO, |next| self.until(next));
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

    fn watched(&mut self, index: usize) {
        let mut byte = [0u8; 64];
        let Some((descriptor, what)) = self.watches.get(index) else {
            return;
        };
        match what {
            Watched::Interruption => {
                while matches!(rustix::io::read(descriptor, &mut byte), Ok(count) if count > 0) {}
                self.interrupted = true;
                self.dispatcher.answer_if_given_up();
            }
            Watched::Lifeline => {
                if matches!(rustix::io::read(descriptor, &mut byte), Ok(0)) {
                    log::info!("Parent changed, shutting down: the arbiter is gone");
                    self.dispatcher.shut_down(Shutdown::Graceful);
                }
            }
        }
    }

    // What threads report.

    fn read_inbox(&mut self) {
        for message in self.dispatcher.take_messages() {
            match message {
                Message::Finished(id, outcome) if self.is_in(id) => {
                    self.finished(id.key, outcome);
                }
                Message::Pending(id) if self.is_in(id) => {
                    self.again.push((id.key, id.serial));
                }
                Message::Upgraded(id, shared) => match self.is_in(id) {
                    true => self.upgrade(id.key, shared),
                    false => drop(shared.lose()),
                },
                Message::Finished(..) | Message::Pending(_) => {}
            }
        }
    }

    /// Whether the connection of an exchange is still there, and in that exchange.
    fn is_in(&self, id: ExchangeId) -> bool {
        self.connections
            .get(id.key)
            .is_some_and(|connection| connection.exchange == id)
    }

    pub(crate) fn is_current(&self, key: usize, serial: u64) -> bool {
        self.connections
            .get(key)
            .is_some_and(|connection| connection.serial == serial)
    }

    pub(crate) fn finished(&mut self, key: usize, outcome: Outcome) {
        let Some(connection) = self.connections.get_mut(key) else {
            return;
        };
        connection.inlet = None;
        let then = match outcome {
            Outcome::Upgraded => return,
            Outcome::Hijacked => {
                self.connections.remove(key);
                return self.dispatcher.publish_connections(self.connections.len());
            }
            // The application did not want the rest of the body; nothing tells where the next request begins.
            _ if matches!(connection.stage, Stage::Streaming(_)) => Then::Linger,
            Outcome::KeepAlive => Then::KeepAlive,
            Outcome::Close if connection.has_unread() => Then::Linger,
            Outcome::Close => Then::Close,
        };
        if connection.link.has_pending() {
            connection.stage = Stage::Sending(then);
            self.again.push((key, connection.serial));
            return;
        }
        self.sent(key, then);
    }

    /// All of a response is out.
    fn sent(&mut self, key: usize, then: Then) {
        match then {
            Then::KeepAlive => {
                let idle = self.idle_time();
                self.connections[key].stage = Stage::Idle;
                self.connections[key].since = self.instant;
                self.set_deadline(key, idle);
                self.progress(key);
            }
            Then::Close => self.close(key),
            Then::Linger => self.linger(key),
        }
    }

    /// How long a connection may be idle between two requests.
    pub(crate) fn idle_time(&self) -> Millis {
        match self.life {
            Life::Serving => self.dispatcher.options.keep_alive,
            Life::Draining { .. } | Life::Closing => LAST_REQUEST,
        }
    }

    pub(crate) fn close(&mut self, key: usize) {
        self.lose(key);
        self.deregister(key);
        let Some(connection) = self.connections.try_remove(key) else {
            return;
        };
        connection.link.give_up(SinkError::Disconnected);
        self.dispatcher.publish_connections(self.connections.len());
    }

    /// Takes a connection out of the poller. An exchange, or another process, may still hold its socket, and must not
    /// make it report to a key that another connection will have.
    pub(crate) fn deregister(&self, key: usize) {
        if let Some(connection) = self.connections.get(key) {
            let descriptor = connection.link.as_raw_fd();
            let _ = self.poll.registry().deregister(&mut SourceFd(&descriptor));
        }
    }

    // What the poller reports.

    fn report(&mut self, key: usize, event: &mio::event::Event) {
        let Some(connection) = self.connections.get_mut(key) else {
            return;
        };
        if event.is_error() || event.is_write_closed() {
            connection.link.give_up(SinkError::Disconnected);
            match connection.stage {
                Stage::Serving | Stage::Streaming(_) => {}
                // What arrived before the connection broke comes first; reading beyond it meets the error.
                Stage::Idle | Stage::Head(_) | Stage::Body(_) if event.is_readable() => {}
                _ => return self.forsaken(key),
            }
        }
        if event.is_read_closed() || event.is_error() || event.is_write_closed() {
            self.tell_gone(key);
        }
        let Some(connection) = self.connections.get_mut(key) else {
            return;
        };
        connection.half_closed |= event.is_read_closed();
        connection.readable |= event.is_readable() || event.is_read_closed();
        if event.is_writable() && connection.link.unblock() {
            self.flush(key);
        }
        self.progress(key);
    }

    /// Connections that had more to do than one turn allows.
    fn go_on(&mut self) {
        for (key, serial) in std::mem::take(&mut self.again) {
            if !self.is_current(key, serial) {
                continue;
            }
            if self.connections[key].link.has_pending()
                || matches!(self.connections[key].stage, Stage::Sending(_))
            {
                self.flush(key);
            }
            self.progress(key);
        }
    }

    /// Sends on what is queued for a client, and watches that it takes something now and then.
    pub(crate) fn flush(&mut self, key: usize) {
        let Some(connection) = self.connections.get_mut(key) else {
            return;
        };
        let (flushed, moved) = connection.link.flush();
        let serial = connection.serial;
        if connection.link.take_room() {
            self.reports.push(Event::Room(connection.exchange));
        }
        match (flushed, &connection.stage) {
            (Flushed::Empty, Stage::Sending(then)) => {
                let then = *then;
                self.sent(key, then);
            }
            (Flushed::Empty, Stage::Serving | Stage::Streaming(_)) => self.rest(key),
            (Flushed::Broken, Stage::WebSocket(_)) => self.close(key),
            (_, Stage::WebSocket(_)) => {
                if flushed == Flushed::More {
                    self.again.push((key, serial));
                }
                self.note_flushed(key, flushed, moved);
            }
            (Flushed::Empty, _) => {}
            (Flushed::Broken, Stage::Serving | Stage::Streaming(_)) => self.tell_gone(key),
            (Flushed::Broken, _) => self.close(key),
            (Flushed::More, _) => {
                self.again.push((key, serial));
                self.watch_sending(key);
            }
            (Flushed::Blocked, _) => {
                if moved || !connection.deadline.is_set() {
                    self.watch_sending(key);
                }
            }
        }
    }
}
