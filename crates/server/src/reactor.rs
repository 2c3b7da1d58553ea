//! The reactor: poller, listeners, connections and deadlines of one worker. One thread at a time turns it; it never
//! runs the application and never waits for anything but the poller.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::Poll;
use slab::Slab;
use sys::forks::Private;

use crate::accept::Listen;
use crate::connection::{Connection, ConnectionId, Fate, Readiness};
use crate::dispatcher::{Dispatcher, Message, Outcome};
use crate::exchange::ExchangeId;
use crate::handover::{Handover, RECHECK};
use crate::inlet::Event;
use crate::life::Life;
use crate::options::Lead;
use crate::poller::{Poller, Source};
use crate::server::{Shutdown, Watched};
use crate::timers::{Due, Millis};
use crate::tls::HANDSHAKES;
use crate::turn::Turn;

/// How long the end of an exchange may stay unheard, in milliseconds: where the connection lives on, the thread that
/// answered does not wake the reactor, and the idle time begins when the reactor learns of it.
const UNHEARD: Millis = 1000;

/// When an event loop looks again beside which the reactor was turned, in milliseconds: as long as it is blocked, that
/// is also how often the reactor is turned for nothing.
const LOOK_AGAIN: Millis = 5;

/// Requests for the application that a worker without a free thread takes on in one turn, where it accepts clients
/// because files may be wanted. They wait for a thread of this worker, or for another worker.
const BATCH_WHILE_BUSY: u32 = 16;

/// Whether a turn may wait for something to happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Patience {
    Wait,
    Look,
}

pub(crate) struct Reactor {
    pub(crate) poller: Poller,
    pub(crate) connections: Slab<Connection>,
    /// The serial number of the last connection.
    pub(crate) serial: u64,
    pub(crate) turn: Turn,
    pub(crate) listen: Listen,
    pub(crate) handover: Option<Handover>,
    pub(crate) life: Life,
    /// The memory of the messages of a turn, used again in the next.
    messages: Vec<Message>,
}

impl Reactor {
    pub(crate) fn new(
        poll: Poll,
        dispatcher: Arc<Dispatcher>,
        listen: Listen,
        handover: Option<Handover>,
    ) -> Reactor {
        Reactor {
            poller: Poller::new(poll),
            connections: Slab::new(),
            serial: 0,
            turn: Turn::new(dispatcher),
            listen,
            handover,
            life: Life::new(),
            messages: Vec::new(),
        }
    }

    /// The poller's descriptor.
    pub(crate) fn descriptor(&self) -> BorrowedFd<'_> {
        self.poller.descriptor()
    }

    /// Watches a descriptor for the driver of the server.
    pub(crate) fn watch(&mut self, descriptor: Private, what: Watched) -> io::Result<()> {
        self.poller.watch(descriptor, what)
    }

    /// Does what is to be done, waiting for it if that is allowed. `free` is how many requests more may be accepted
    /// for.
    pub(crate) fn turn(&mut self, free: u32, patience: Patience) {
        self.read_inbox();
        self.follow_stop();
        if self.listen.pause(self.turn.now()).is_some() {
            self.turn.clock.look(); // An event loop turns us at the end of the pause, and not again before something happens.
        }
        self.turn.admission.free = free;
        self.turn.handshakes = HANDSHAKES;
        if free == 0 {
            self.give_waiting();
        } else if self.serve_waiting() {
            return;
        }
        let places = match free {
            0 if self.serves_while_busy() => BATCH_WHILE_BUSY,
            free => free,
        };
        self.listen(places > 0 && !self.life.is_closing());
        let wait = self.wait(patience);
        self.turn.dispatcher.access_log.flush();
        let Some(events) = self.poller.poll(wait) else {
            return;
        };
        self.turn.clock.look();
        if let Some(handover) = &mut self.handover {
            handover.count(self.turn.clock.now, free);
            self.turn.admission.has_others = handover.has_others;
        }
        self.read_inbox();
        let mut knock = self.life.is_draining();
        for event in &events {
            match Source::from(event.token()) {
                Source::Waker => {}
                Source::Alarm => self.poller.note_alarm(),
                Source::Watch(index) => self.watched(index),
                Source::Queue => knock = true,
                Source::Connection(key) => {
                    let readiness = Readiness::of(event);
                    self.with(key, |connection, turn| connection.report(readiness, turn));
                }
            }
        }
        self.poller.give_back(events);
        self.go_on();
        if knock && places > 0 && self.listen.is_on() {
            self.accept(places);
        }
        self.reconsider();
        self.expire();
    }

    /// Whether clients are accepted though no thread is free: there are files to be served, and no other worker is
    /// there to do it.
    fn serves_while_busy(&self) -> bool {
        self.turn.answers_itself() && !self.is_another_free()
    }

    /// Whether the poller has something to report.
    pub(crate) fn has_news(&self) -> bool {
        self.poller.has_news()
    }

    /// Whether the driver should look what its descriptors say; asking resets it.
    pub(crate) fn take_interruption(&mut self) -> bool {
        self.poller.take_interruption()
    }

    /// What exchanges waited for and have to be told.
    pub(crate) fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.turn.events)
    }

    /// Whether nothing is left to be done before the end.
    pub(crate) fn is_finished(&self) -> bool {
        self.life.is_closing() && self.connections.is_empty() && self.turn.ready.is_empty()
    }

    fn wait(&self, patience: Patience) -> Option<Duration> {
        let at_once = patience == Patience::Look
            || !self.turn.again.is_empty()
            || !self.turn.ready.is_empty()
            // A thread that is still inside the application wakes the reactor when it comes back.
            || (self.is_finished() && !self.turn.dispatcher.is_busy());
        if at_once {
            return Some(Duration::ZERO);
        }
        if self.life.is_draining() && self.listen.is_on() {
            return Some(Duration::ZERO);
        }
        let next = self.next_deadline()?;
        Some(self.until(next))
    }

    fn next_deadline(&self) -> Option<Millis> {
        let now = self.turn.now();
        let paused = self.listen.pause(now);
        // A saturated worker looks again soon for another one that is free.
        let has_waiting = self.handover.is_some() && !self.turn.admission.deferred.is_empty();
        let recheck = has_waiting.then_some(now + RECHECK);
        let limit = self.turn.dispatcher.next_limit();
        let unheard = self.turn.dispatcher.is_busy().then_some(now + UNHEARD);
        [
            self.turn.timers.next(),
            paused,
            recheck,
            unheard,
            limit.map(|limit| self.turn.clock.millis_at(limit)),
            self.life.deadline(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// How long to wait for a deadline: one more millisecond, because the poller rounds down and would come up just
    /// before.
    fn until(&self, deadline: Millis) -> Duration {
        let now = self.turn.clock.millis_at(Instant::now());
        Duration::from_millis(deadline.saturating_sub(now).saturating_add(1))
    }

    /// For an event loop that watches the poller: makes it readable when there is something to do that no descriptor of
    /// ours reports.
    pub(crate) fn set_alarm(&mut self) {
        self.set_alarm_by(None);
    }

    /// As [`Reactor::set_alarm`], after a turn beside a loop that was blocked: the loop has to look again soon. No
    /// client is accepted before it does, and what it had finished meanwhile may not have been seen.
    pub(crate) fn set_alarm_beside_loop(&mut self) {
        self.set_alarm_by(Some(self.turn.now() + LOOK_AGAIN));
    }

    fn set_alarm_by(&mut self, latest: Option<Millis>) {
        if self.wait(Patience::Wait) == Some(Duration::ZERO) {
            self.turn.dispatcher.wake();
        }
        let next = [self.next_deadline(), latest].into_iter().flatten().min();
        let span = next.map_or(Duration::ZERO, |next| self.until(next));
        self.poller.set_alarm(next, span);
    }

    fn watched(&mut self, index: usize) {
        match self.poller.read_watch(index) {
            Some(Watched::Interruption) => self.turn.dispatcher.answer_if_given_up(),
            Some(Watched::Lifeline) => {
                log::info!("Parent changed, shutting down: the arbiter is gone");
                self.turn.dispatcher.shut_down(Shutdown::Graceful);
            }
            None => {}
        }
    }

    fn read_inbox(&mut self) {
        let mut messages = std::mem::take(&mut self.messages);
        self.turn.dispatcher.read_messages(&mut messages);
        for message in messages.drain(..) {
            self.read_message(message);
        }
        self.messages = messages;
    }

    fn read_message(&mut self, message: Message) {
        match message {
            Message::Finished(id, outcome) if self.is_in(id) => {
                self.with(id.key, |connection, turn| {
                    connection.finished(id, outcome, turn)
                });
            }
            Message::Overdue(id) => {
                if self.turn.dispatcher.options.lead() == Lead::EventLoop {
                    self.turn.events.push(Event::Overdue(id));
                }
                self.read_message(Message::Finished(id, Outcome::Close));
            }
            Message::Pending(id) if self.is_in(id) => {
                self.turn.again.push(id.connection());
            }
            Message::Upgraded(id, shared) => match self.is_in(id) {
                true => {
                    let close_reason = self.life.close_reason;
                    self.with(id.key, |connection, turn| {
                        connection.upgrade(shared, close_reason, turn)
                    });
                }
                false => drop(shared.lose()),
            },
            Message::Abandoned(mut exchange) => {
                exchange.note_abandoned();
                let id = exchange.id();
                drop(exchange);
                if self.is_in(id) {
                    self.with(id.key, |connection, turn| {
                        connection.finished(id, Outcome::Close, turn)
                    });
                }
            }
            Message::Finished(..) | Message::Pending(_) => {}
        }
    }

    /// Connections that had more to do than one turn allows, or whose thread has told something.
    fn go_on(&mut self) {
        for id in std::mem::take(&mut self.turn.again) {
            self.with_current(id, Connection::go_on);
        }
    }

    /// Deals with the deadlines that have passed.
    fn expire(&mut self) {
        while let Some(entry) = self.turn.timers.pop(self.turn.clock.now) {
            self.with_current(entry.id, |connection, turn| {
                let now = turn.clock.now;
                match turn.timers.judge(connection.deadline(), entry, now) {
                    Due::Expired => connection.expire(turn),
                    Due::Later | Due::Stale => Fate::Open,
                }
            });
        }
    }

    // Connections. These are the only places that look one up.

    /// The connection of that name, if it is still there.
    pub(crate) fn current(&self, id: ConnectionId) -> Option<&Connection> {
        let connection = self.connections.get(id.key);
        connection.filter(|connection| connection.id == id)
    }

    /// Whether the connection of an exchange is still there, and in that exchange.
    fn is_in(&self, id: ExchangeId) -> bool {
        let connection = self.connections.get(id.key);
        connection.is_some_and(|connection| connection.is_in(id))
    }

    /// Moves a connection on, if it is still there, and follows what becomes of it.
    pub(crate) fn with_current(
        &mut self,
        id: ConnectionId,
        move_on: impl FnOnce(&mut Connection, &mut Turn) -> Fate,
    ) {
        if self.current(id).is_some() {
            self.with(id.key, move_on);
        }
    }

    /// Moves the connection on that has a key now, and follows what becomes of it.
    pub(crate) fn with(
        &mut self,
        key: usize,
        move_on: impl FnOnce(&mut Connection, &mut Turn) -> Fate,
    ) {
        let Some(connection) = self.connections.get_mut(key) else {
            return;
        };
        match move_on(connection, &mut self.turn) {
            Fate::Open => connection.schedule(&mut self.turn),
            Fate::Closed => self.close(key),
            Fate::Detached => self.forget(key),
        }
    }

    /// Ends a connection.
    pub(crate) fn close(&mut self, key: usize) {
        let Some(mut connection) = self.connections.try_remove(key) else {
            return;
        };
        self.poller.deregister(connection.link.as_raw_fd());
        connection.closed(&mut self.turn);
        self.publish_connections();
    }

    /// Forgets a connection that lives on elsewhere.
    pub(crate) fn forget(&mut self, key: usize) {
        if let Some(connection) = self.connections.try_remove(key) {
            self.poller.deregister(connection.link.as_raw_fd());
        }
        self.publish_connections();
    }

    pub(crate) fn publish_connections(&self) {
        self.turn
            .dispatcher
            .publish_connections(self.connections.len());
    }
}

#[cfg(test)]
mod tests;
