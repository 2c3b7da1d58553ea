//! How a connection moves on: what is read becomes exchanges or refusals, deadlines pass, and the server comes to its end.

use std::io;
use std::sync::Arc;

use proto::Request;
use proto::forwarded::{self, Scheme};
use proto::h1;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use socket2::Socket;

use crate::body::Body;
use crate::connection::{Connection, Stage};
use crate::exchange::{Exchange, ExchangeId, Origin};
use crate::inlet::{Departure, Event, Inlet};
use crate::link::Delivery;
use crate::options::Bodies;
use crate::peer::Ends;
use crate::reactor::{Life, Reactor};
use crate::receive::{Fed, Refusal};
use crate::server::Shutdown;
use crate::sink::SinkError;
use crate::timers::{Due, Millis};
use crate::websockets::CloseReason;

/// Reads from one connection in a turn; beyond it the others come first (1 MiB with the reactor's buffer).
pub(crate) const READS: usize = 16;
/// How long what a client still sends is discarded after its last answer, in milliseconds. Gunicorn's value.
const LINGER: Millis = 2000;
/// How long an idle kept-alive connection may still bring a request after a graceful stop began, in milliseconds: one
/// that is on its way when we close would be lost.
pub(crate) const LAST_REQUEST: Millis = 2000;

const HEADER_TIMEOUT: Refusal = Refusal {
    status: 408,
    rule: "The request head did not arrive in time.",
    request: None,
};
const BODY_TIMEOUT: Refusal = Refusal {
    status: 408,
    rule: "The request body did not arrive in time.",
    request: None,
};

const FULL: Refusal = Refusal {
    status: 503,
    rule: "The server answers as many requests as it may.",
    request: None,
};

impl Reactor {
    /// Reads what there is and does what follows from it.
    pub(crate) fn progress(&mut self, key: usize) {
        for _ in 0..READS {
            let defers = self.defers();
            let Some(connection) = self.connections.get_mut(key) else {
                return;
            };
            match connection.stage {
                Stage::Serving if connection.has_unread() => {
                    return connection.link.call_attention();
                }
                Stage::Waiting | Stage::Serving | Stage::Sending(_) => return,
                Stage::Streaming(ref intake) if connection.readable && !intake.inlet.has_room() => {
                    // The application is slow, not the client.
                    return self.rest(key);
                }
                Stage::Idle if defers && connection.has_unread() => return self.defer(key),
                Stage::Idle if !connection.inbound.is_empty() => {
                    connection.since = self.instant;
                    let fed = connection.feed(&[], &self.dispatcher.options);
                    self.fed(key, fed);
                }
                Stage::WebSocket(_) => return self.progress_websocket(key),
                Stage::Streaming(_) if !connection.readable => return self.await_body(key),
                _ if !connection.readable => return,
                Stage::Lingering => self.discard(key),
                Stage::Idle | Stage::Head(_) | Stage::Body(_) | Stage::Streaming(_) => {
                    self.read(key)
                }
            }
        }
        if let Some(connection) = self.connections.get(key) {
            self.again.push((key, connection.serial));
        }
    }

    fn read(&mut self, key: usize) {
        let connection = &mut self.connections[key];
        match receive(connection, &mut self.scratch) {
            Ok(0) if matches!(connection.stage, Stage::Streaming(_)) => self.break_off(key, None),
            Ok(0) => self.forsaken(key),
            Ok(count) => {
                if connection.is_idle() {
                    connection.since = self.instant;
                }
                let fed = connection.feed(&self.scratch[..count], &self.dispatcher.options);
                self.fed(key, fed);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => connection.readable = false,
            Err(_) if matches!(connection.stage, Stage::Streaming(_)) => {
                // The poller may not have said so yet, and says nothing of a connection that is closed: the application would
                // wait for ever.
                connection.link.give_up(SinkError::Disconnected);
                self.break_off(key, None);
            }
            Err(_) => self.forsaken(key),
        }
    }

    /// What a client sends after its last answer is read, so that the kernel does not answer it with a reset.
    fn discard(&mut self, key: usize) {
        let connection = &mut self.connections[key];
        match receive(connection, &mut self.scratch) {
            Ok(count) if count > 0 => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => connection.readable = false,
            Ok(_) | Err(_) => self.close(key),
        }
    }

    fn fed(&mut self, key: usize, fed: Result<Fed, Refusal>) {
        match fed {
            Ok(Fed::Complete(request, ..) | Fed::Begun(request, ..)) if self.is_full() => {
                self.turn_away(key, &FULL, Some(&request));
            }
            Ok(Fed::Complete(request, scheme, body)) => self.complete(key, request, scheme, body),
            Ok(Fed::Begun(request, scheme, inlet)) => {
                self.hand_out(key, request, scheme, Body::Empty, Some(inlet));
                self.set_deadline(key, self.dispatcher.options.body_timeout);
            }
            Ok(Fed::Streamed { awaited }) => self.streamed(key, awaited),
            Err(refusal) if matches!(self.connections[key].stage, Stage::Streaming(_)) => {
                log::debug!("the body of a request was refused: {}", refusal.rule);
                self.break_off(key, Some(&refusal));
            }
            Ok(Fed::NeedMore {
                was_idle,
                continue_wanted,
            }) => self.need_more(key, was_idle, continue_wanted),
            Err(refusal) => self.refuse(key, &refusal),
        }
    }

    fn complete(&mut self, key: usize, request: Request, scheme: Scheme, body: Body) {
        self.connections[key].stage = Stage::Serving;
        let (body, inlet) = match (self.dispatcher.options.bodies(), body) {
            (Bodies::Streamed, Body::Memory(data)) => (Body::Empty, Some(data)),
            (Bodies::Streamed, Body::Empty) => (Body::Empty, Some(Vec::new())),
            (_, body) => (body, None),
        };
        let inlet = inlet.map(|data| Arc::new(Inlet::new(data, true)));
        self.hand_out(key, request, scheme, body, inlet);
        self.set_deadline(key, Millis::MAX);
    }

    /// Makes an exchange of a request.
    fn hand_out(
        &mut self,
        key: usize,
        request: Request,
        scheme: Scheme,
        body: Body,
        inlet: Option<Arc<Inlet>>,
    ) {
        self.number += 1;
        let ends = self.ends_of(key, &request);
        let connection = &mut self.connections[key];
        let id = ExchangeId {
            key,
            serial: connection.serial,
            number: self.number,
        };
        connection.exchange = id;
        connection.inlet.clone_from(&inlet);
        let origin = Origin {
            dispatcher: Arc::clone(&self.dispatcher),
            ends,
            link: Arc::clone(&connection.link),
            id,
            arrived: connection.since,
            inlet,
        };
        self.ready
            .push(Exchange::new(origin, request, body, scheme));
        // The request and the end of the client's side may have come together: then the poller has reported the end
        // already, and does not report it again.
        if self.connections[key].half_closed {
            self.tell_gone(key);
        }
    }

    /// Whether as many requests as may be are with the application, or wait for a thread.
    fn is_full(&self) -> bool {
        let Some(limit) = self.dispatcher.options.concurrency else {
            return false;
        };
        let state = self.dispatcher.state();
        let waiting = self.ready.len() + state.ready.len();
        state.busy as usize + waiting >= limit as usize
    }

    /// The ends of a connection as the application is told of them.
    fn ends_of(&self, key: usize, request: &Request) -> Arc<Ends> {
        let ends = &self.connections[key].ends;
        let options = &self.dispatcher.options;
        if !options.proxied || !ends.trusted {
            return Arc::clone(ends);
        }
        match forwarded::client(request.fields(), |ip| options.trusted.contains(ip)) {
            Some(client) => Arc::new(ends.on_behalf_of(client)),
            None => Arc::clone(ends),
        }
    }

    /// More of a body has gone to the application.
    fn streamed(&mut self, key: usize, awaited: bool) {
        let connection = &self.connections[key];
        if awaited {
            self.reports.push(Event::Body(connection.exchange));
        }
        match connection.stage {
            Stage::Streaming(_) => self.set_deadline(key, self.dispatcher.options.body_timeout),
            _ => self.rest(key),
        }
    }

    /// The rest of a body is the client's to send: its time runs from here, if it does not run already. It stands still while
    /// the application is slow to read, and gives way to `send_timeout` while the client is slow to take its response.
    fn await_body(&mut self, key: usize) {
        if !self.connections[key].deadline.is_set() {
            self.set_deadline(key, self.dispatcher.options.body_timeout);
        }
    }

    /// Nothing is expected of the client but that it takes what is sent.
    pub(crate) fn rest(&mut self, key: usize) {
        if !self.connections[key].link.has_pending() {
            self.set_deadline(key, Millis::MAX);
        }
    }

    /// The rest of a body that goes to the application will not come: the client has left, or what it sent is refused.
    fn break_off(&mut self, key: usize, refusal: Option<&Refusal>) {
        let connection = &mut self.connections[key];
        connection.readable = false;
        let awaited = connection
            .inlet
            .as_ref()
            .is_some_and(|inlet| match refusal {
                Some(refusal) => inlet.refuse(refusal.status, refusal.rule),
                None => inlet.break_off(),
            });
        if awaited {
            self.reports.push(Event::Body(connection.exchange));
        }
        if refusal.is_none() {
            self.tell_gone(key);
        }
        self.rest(key);
    }

    /// Tells the exchange of a connection, if it wants to know, that the client has left.
    pub(crate) fn tell_gone(&mut self, key: usize) {
        let connection = &self.connections[key];
        let (exchange, link) = (connection.exchange, &connection.link);
        let Some(inlet) = &connection.inlet else {
            return;
        };
        if link.is_broken() && inlet.break_off() {
            self.reports.push(Event::Body(exchange));
        }
        if link.take_room() {
            self.reports.push(Event::Room(exchange));
        }
        let how = match link.is_broken() {
            true => Departure::Lost,
            false => Departure::Ended,
        };
        if inlet.leave(how) {
            self.reports.push(Event::Gone(exchange));
        }
    }

    fn need_more(&mut self, key: usize, was_idle: bool, continue_wanted: bool) {
        match self.connections[key].stage {
            // The whole head has to arrive in time, however many pieces it comes in.
            Stage::Head(_) if was_idle => {
                self.set_deadline(key, self.dispatcher.options.header_timeout)
            }
            Stage::Body(_) => self.set_deadline(key, self.dispatcher.options.body_timeout),
            _ => {}
        }
        if continue_wanted {
            let connection = &self.connections[key];
            match connection.link.send(&[h1::CONTINUE]) {
                Ok(Delivery::Untold) => self.again.push((key, connection.serial)),
                Ok(Delivery::Done | Delivery::Waiting) => {}
                Err(_) => self.close(key),
            }
        }
    }

    /// Shuts our side and waits a little for the client to do the same.
    pub(crate) fn linger(&mut self, key: usize) {
        let connection = &mut self.connections[key];
        connection.link.shut_write();
        connection.stage = Stage::Lingering;
        connection.inbound = Vec::new();
        connection.readable = true;
        let serial = connection.serial;
        self.set_deadline(key, LINGER);
        self.again.push((key, serial));
    }

    /// Gives a connection `span` milliseconds from now; `Millis::MAX` for as long as it likes.
    pub(crate) fn set_deadline(&mut self, key: usize, span: Millis) {
        let at = self.now.saturating_add(span);
        let connection = &mut self.connections[key];
        self.timers
            .set(&mut connection.deadline, at, key, connection.serial);
    }

    /// Deals with the deadlines that have passed.
    pub(crate) fn expire(&mut self) {
        while let Some(entry) = self.timers.pop(self.now) {
            let (_, key, serial) = entry;
            let Some(connection) = self
                .connections
                .get_mut(key)
                .filter(|connection| connection.serial == serial)
            else {
                continue;
            };
            if self.timers.judge(&mut connection.deadline, entry, self.now) == Due::Expired
                && !self.catches_up(key)
            {
                self.expired(key);
            }
        }
    }

    /// Whether a connection whose deadline has passed has moved on all the same. The poller was asked before the clock, and may
    /// have had more to tell than was taken from it: where the processor was with others for a while, there are bytes
    /// that came in time.
    fn catches_up(&mut self, key: usize) -> bool {
        let connection = &mut self.connections[key];
        let serial = connection.serial;
        let pending = connection.link.has_pending();
        let readiness = readiness(connection.link.socket(), pending);
        if readiness.is_empty() {
            return false;
        }
        connection.readable |= readiness != PollFlags::OUT;
        if connection.link.unblock() {
            self.flush(key);
        }
        self.progress(key);
        let connection = self.connections.get(key);
        !connection.is_some_and(|connection| {
            connection.serial == serial && connection.deadline.has_passed(self.now)
        })
    }

    fn expired(&mut self, key: usize) {
        let connection = &self.connections[key];
        match connection.stage {
            Stage::Idle | Stage::Lingering => self.close(key),
            Stage::Waiting => {}
            Stage::WebSocket(_) => self.websocket_due(key),
            Stage::Head(_) => self.refuse(key, &HEADER_TIMEOUT),
            Stage::Body(_) => self.refuse(key, &BODY_TIMEOUT),
            Stage::Streaming(_) if !connection.link.has_pending() => {
                self.break_off(key, Some(&BODY_TIMEOUT));
            }
            Stage::Serving | Stage::Sending(_) if !connection.link.has_pending() => {}
            Stage::Serving | Stage::Sending(_) if connection.link.unsent() < connection.unsent => {
                self.watch_sending(key);
            }
            // The thread that streams to it is told; it ends the exchange.
            Stage::Serving | Stage::Streaming(_) => {
                connection.link.give_up(SinkError::TimedOut);
                self.tell_gone(key);
            }
            Stage::Sending(_) => self.close(key),
        }
    }

    /// Gives a client `send_timeout` to take some of what waits for it.
    pub(crate) fn watch_sending(&mut self, key: usize) {
        let connection = &mut self.connections[key];
        connection.unsent = connection.link.unsent();
        self.set_deadline(key, self.dispatcher.options.send_timeout);
    }

    /// Moves towards the end, once that has been asked for.
    pub(crate) fn follow_stop(&mut self) {
        if self.dispatcher.stopping().is_some() && matches!(self.life, Life::Serving) {
            self.dispatcher.publish_leaving();
            // The last turn may have been long ago, and the times below count from now.
            self.look_at_the_clock();
        }
        match (self.dispatcher.stopping(), self.life) {
            (None, _) => {}
            (Some(Shutdown::Graceful), Life::Serving) if self.has_successors() => {
                self.stop_listening();
                self.close_websockets(CloseReason::Restart);
            }
            (Some(Shutdown::Graceful), Life::Serving) => {
                // The other half of the time is for those that have been accepted.
                let until = self
                    .now
                    .saturating_add(self.dispatcher.options.graceful_timeout / 2);
                self.life = Life::Draining { until };
                self.close_websockets(CloseReason::GoingAway);
            }
            (Some(Shutdown::Graceful), Life::Draining { until }) if self.now >= until => {
                self.stop_listening()
            }
            (Some(Shutdown::Graceful), Life::Draining { .. } | Life::Closing) => {}
            (Some(Shutdown::Quick), _) => {
                self.stop_listening();
                self.close_websockets(CloseReason::GoingAway);
                let keys: Vec<usize> = self.connections.iter().map(|(key, _)| key).collect();
                for key in keys {
                    // The application may have its exchange for as long as its thread runs.
                    self.connections[key].link.shut();
                    self.close(key);
                }
                self.ready.clear();
            }
        }
    }

    /// No more clients: the queue goes to the other workers, and idle connections may bring one last request.
    pub(crate) fn stop_listening(&mut self) {
        self.listen(false);
        self.listeners.clear();
        self.life = Life::Closing;
        let keys: Vec<usize> = self.connections.iter().map(|(key, _)| key).collect();
        for key in keys {
            if !self.give(key) && self.connections[key].is_idle() {
                self.set_deadline(key, LAST_REQUEST);
            }
        }
    }
}

/// What the kernel says of a socket now: whether there is something to read, and of one that is `pending` whether it takes more.
fn readiness(socket: &Socket, pending: bool) -> PollFlags {
    let wanted = match pending {
        true => PollFlags::IN | PollFlags::OUT,
        false => PollFlags::IN,
    };
    let mut watched = [PollFd::new(socket, wanted)];
    match poll(&mut watched, Some(&Timespec::default())) {
        Ok(_) => watched[0].revents(),
        Err(_) => PollFlags::empty(),
    }
}

/// One `recv`. A read that does not fill the buffer has emptied the socket (epoll(7)), so no second one is needed to learn
/// that, except where the end of the stream was reported.
pub(crate) fn receive(connection: &mut Connection, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match rustix::net::recv(
            connection.link.socket(),
            &mut *buffer,
            rustix::net::RecvFlags::empty(),
        ) {
            Ok((_, count)) => {
                connection.readable = count == buffer.len() || connection.half_closed;
                return Ok(count);
            }
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
