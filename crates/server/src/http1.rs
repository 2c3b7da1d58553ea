//! A connection that speaks HTTP/1: its bytes become exchanges or refusals, bodies go to where they are collected or
//! read, and what the session says is done. The session itself is [`proto::h1::Session`].

use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;

use proto::Request;
use proto::forwarded::{self, Scheme};
use proto::h1::Session;
use proto::h1::session::{Action, ExchangeEnd, Leftover, Overdue};

use crate::body::Body;
use crate::codec::Codec;
use crate::connection::{Connection, Fate};
use crate::exchange::{Exchange, ExchangeId, Origin};
use crate::inlet::{Departure, Event, Inlet};
use crate::link::Delivery;
use crate::options::{Bodies, Options};
use crate::outlet::Outlet;
use crate::own_answer::Rest;
use crate::peer::Ends;
use crate::refusal::{BODY_TIMEOUT, FULL, HEADER_TIMEOUT, HEADS_TOO_LARGE, Refusal};
use crate::sink::SinkError;
use crate::timers::Millis;
use crate::turn::Turn;
use crate::unserved::Glance;
use crate::upload::Upload;

mod intake;

use intake::Fed;

/// What a connection of HTTP/1 has beside its bytes.
#[derive(Debug)]
pub(crate) struct Http1 {
    pub(crate) session: Session,
    /// The request whose body is being collected.
    upload: Option<Box<Upload>>,
    /// Where the application reads the body of its exchange, and learns that the client left.
    inlet: Option<Arc<Inlet>>,
}

impl Http1 {
    /// A connection whose client has to begin a request by `read_by`.
    pub(crate) fn new(read_by: Millis) -> Http1 {
        Http1::of(Session::new(read_by))
    }

    /// What is left of a connection that spoke another protocol.
    pub(crate) fn ending() -> Http1 {
        Http1::of(Session::ending())
    }

    fn of(session: Session) -> Http1 {
        Http1 {
            session,
            upload: None,
            inlet: None,
        }
    }

    /// The request whose body is being collected, which ends here.
    pub(crate) fn take_unfinished(&mut self) -> Option<Request> {
        self.upload.take().map(|upload| upload.request)
    }
}

impl Connection {
    /// One step of [`Connection::progress`]; a break where there is nothing more to be done for now.
    pub(crate) fn progress_h1(&mut self, turn: &mut Turn) -> ControlFlow<Fate> {
        let has_unread = self.has_unread();
        if turn.defers()
            && has_unread
            && (self.codec.is_idle() || self.codec.is_deferred())
            && !self.link.is_secure()
        {
            match self.glance(turn) {
                Glance::Nothing => self.readable = false,
                Glance::File => self.resume(turn),
                Glance::Request => self.defer(turn),
            }
        }
        let Codec::H1(http) = &mut self.codec else {
            return ControlFlow::Continue(());
        };
        if !http.session.may_read() {
            if has_unread && http.session.is_answering() {
                self.link.call_attention();
            }
            return ControlFlow::Break(Fate::Open);
        }
        if !self.inbound.is_empty() && !http.session.is_receiving() {
            self.since = turn.clock.instant;
            let fed = self.feed(&[], turn);
            return self.fed(fed, turn);
        }
        if let Some(inlet) = &http.inlet
            && http.session.is_within_body()
        {
            if self.readable && !inlet.has_room() {
                http.session.pause();
                return ControlFlow::Break(Fate::Open);
            }
            if !self.readable {
                http.session.resume(&turn.settings, turn.clock.now);
            }
        }
        match self.readable {
            true => self.read(turn),
            false => ControlFlow::Break(Fate::Open),
        }
    }

    /// Leaves a request unread until a thread is free for it.
    fn defer(&mut self, turn: &mut Turn) {
        if let Codec::H1(http) = &mut self.codec
            && http.session.is_idle()
        {
            http.session.defer();
            turn.admission.deferred.push_back(self.id);
        }
    }

    /// Ends that.
    pub(crate) fn resume(&mut self, turn: &Turn) {
        if let Codec::H1(http) = &mut self.codec
            && http.session.is_deferred()
        {
            http.session.end_deferral(&turn.settings, turn.clock.now);
        }
    }

    fn read(&mut self, turn: &mut Turn) -> ControlFlow<Fate> {
        let mut scratch = std::mem::take(&mut turn.scratch);
        let flow = match self.receive(&mut scratch) {
            Ok(0) => self.read_end(turn),
            Ok(count) => {
                if self.codec.is_idle() {
                    self.since = turn.clock.instant;
                }
                let fed = self.feed(&scratch[..count], turn);
                self.fed(fed, turn)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.readable = false;
                ControlFlow::Continue(())
            }
            Err(_) => self.read_error(turn),
        };
        turn.scratch = scratch;
        flow
    }

    /// The client has ended its side.
    fn read_end(&mut self, turn: &mut Turn) -> ControlFlow<Fate> {
        if let Codec::H1(http) = &mut self.codec
            && http.session.is_answering()
            && http.session.ended() == Action::Stay
        {
            self.break_off(None, turn);
            return ControlFlow::Continue(());
        }
        ControlFlow::Break(self.forsaken(turn))
    }

    fn read_error(&mut self, turn: &mut Turn) -> ControlFlow<Fate> {
        if let Codec::H1(http) = &mut self.codec
            && http.session.is_answering()
        {
            // The poller may not have said so yet, and says nothing of a connection that is closed: the application
            // would wait for ever.
            self.link.give_up(SinkError::Disconnected);
            http.session.lose();
            self.break_off(None, turn);
            return ControlFlow::Continue(());
        }
        ControlFlow::Break(self.forsaken(turn))
    }

    /// Takes bytes in. What belongs to the next request is kept.
    fn feed(&mut self, input: &[u8], turn: &Turn) -> Result<Fed, Refusal> {
        let fed = self.take_in(input, turn)?;
        if self.inbound.is_empty() {
            self.charge = None;
            return Ok(fed);
        }
        let held = self.inbound.capacity();
        let charge = self.charge.get_or_insert_with(|| turn.heads.charge(0));
        charge.set(held);
        // What belongs to the next request is charged, too, but it does not grow.
        if matches!(fed, Fed::NeedMore) && charge.is_excessive() {
            log::warn!(
                "a request head of {} bytes is refused with 503: unfinished heads take limit_head_memory bytes",
                self.inbound.len()
            );
            return Err(HEADS_TOO_LARGE);
        }
        Ok(fed)
    }

    fn take_in(&mut self, input: &[u8], turn: &Turn) -> Result<Fed, Refusal> {
        let Codec::H1(http) = &mut self.codec else {
            return Ok(Fed::NeedMore);
        };
        if self.inbound.is_empty() {
            let (used, fed) = http.hear(input, &self.ends, turn)?;
            self.inbound.extend_from_slice(&input[used..]);
            return Ok(fed);
        }
        let mut held = std::mem::take(&mut self.inbound);
        held.extend_from_slice(input);
        let (used, fed) = http.hear(&held, &self.ends, turn)?;
        if used == held.len() {
            held = Vec::new(); // Gives the memory back: an idle connection holds no buffer.
        } else {
            held.drain(..used);
        }
        self.inbound = held;
        Ok(fed)
    }

    fn fed(&mut self, fed: Result<Fed, Refusal>, turn: &mut Turn) -> ControlFlow<Fate> {
        if matches!(&fed, Err(refusal) if refusal.status == 413) {
            log::warn!(
                "a request body is refused with 413: it is longer than limit_request_body, {} bytes",
                turn.settings.body_limit
            );
        }
        let fate = match fed {
            Ok(Fed::NeedMore) => self.permit_body(turn),
            Ok(Fed::Complete(request, scheme, body)) => self.completed(request, scheme, body, turn),
            Ok(Fed::Begun(request, scheme, inlet)) => {
                if let Some(answer) = self.own_answer(&request, scheme, turn) {
                    return ControlFlow::Break(self.answer_self(
                        answer,
                        request,
                        scheme,
                        Rest::Unwanted,
                        turn,
                    ));
                }
                match turn.find(&request) {
                    Some(answer) => self.serve_site(&answer, (request, scheme), Some(inlet), turn),
                    None if turn.is_full() => self.refuse(FULL.of(request), turn),
                    None => {
                        self.hand_out(request, scheme, Body::Empty, Some(inlet), turn);
                        Fate::Open
                    }
                }
            }
            Ok(Fed::Streamed { awaited }) => {
                if awaited {
                    turn.events.push(Event::Body(self.exchange));
                }
                Fate::Open
            }
            Err(refusal) if self.is_answering() => {
                log::debug!("the body of a request was refused: {}", refusal.rule);
                self.break_off(Some(&refusal), turn);
                Fate::Open
            }
            Err(refusal) => self.refuse(refusal, turn),
        };
        match fate {
            Fate::Open => ControlFlow::Continue(()),
            fate => ControlFlow::Break(fate),
        }
    }

    /// A request is complete.
    fn completed(&mut self, request: Request, scheme: Scheme, body: Body, turn: &mut Turn) -> Fate {
        if let Some(answer) = self.own_answer(&request, scheme, turn) {
            return self.answer_self(answer, request, scheme, Rest::Nothing, turn);
        }
        if let Some(answer) = turn.find(&request) {
            return self.serve_site(&answer, (request, scheme), None, turn);
        }
        if turn.is_full() {
            return self.refuse(FULL.of(request), turn);
        }
        if let Some(settings) = self.asks_for_h2(&request, turn) {
            return self.upgrade_to_h2(&request, &settings, turn);
        }
        self.complete(request, scheme, body, turn);
        Fate::Open
    }

    fn is_answering(&self) -> bool {
        matches!(&self.codec, Codec::H1(http) if http.session.is_answering())
    }

    /// Tells a client to send its body, if it waits for that.
    fn permit_body(&mut self, turn: &mut Turn) -> Fate {
        let Codec::H1(http) = &mut self.codec else {
            return Fate::Open;
        };
        let Some(permission) = http.session.permit_body() else {
            return Fate::Open;
        };
        match self.link.send(&[permission]) {
            Ok(Delivery::Done | Delivery::Waiting) => Fate::Open,
            Ok(Delivery::Untold) => {
                turn.again.push(self.id);
                Fate::Open
            }
            Err(_) => Fate::Closed,
        }
    }

    fn complete(&mut self, request: Request, scheme: Scheme, body: Body, turn: &mut Turn) {
        let (body, inlet) = match (turn.dispatcher.options.bodies(), body) {
            (Bodies::Streamed, Body::Memory(data)) => (Body::Empty, Some(data)),
            (Bodies::Streamed, Body::Empty) => (Body::Empty, Some(Vec::new())),
            (_, body) => (body, None),
        };
        let inlet = inlet.map(|data| Arc::new(Inlet::whole(data)));
        self.hand_out(request, scheme, body, inlet, turn);
    }

    /// Makes an exchange of a request.
    fn hand_out(
        &mut self,
        request: Request,
        scheme: Scheme,
        body: Body,
        inlet: Option<Arc<Inlet>>,
        turn: &mut Turn,
    ) {
        let origin = self.origin(&request, inlet.clone(), turn);
        let Codec::H1(http) = &mut self.codec else {
            return;
        };
        http.session.begin();
        http.inlet = inlet;
        turn.ready
            .push(Box::new(Exchange::new(origin, request, body, scheme)));
        // The request and the end of the client's side may have come together: then the poller has reported the end
        // already, and does not report it again.
        if self.half_closed {
            self.tell_gone(turn);
        }
    }

    /// Where an exchange of this connection comes from. The connection is in that exchange from then on.
    pub(crate) fn origin(
        &mut self,
        request: &Request,
        inlet: Option<Arc<Inlet>>,
        turn: &mut Turn,
    ) -> Origin {
        self.exchange = ExchangeId {
            number: turn.next_number(),
            key: self.id.key,
            serial: self.id.serial,
        };
        Origin {
            ends: self.ends_for(request, &turn.dispatcher.options),
            dispatcher: Arc::clone(&turn.dispatcher),
            outlet: Outlet::Link(Arc::clone(&self.link)),
            id: self.exchange,
            arrived: self.since,
            inlet,
        }
    }

    /// The ends of the connection as the application is told of them.
    pub(crate) fn ends_for(&self, request: &Request, options: &Options) -> Arc<Ends> {
        let ends = match request.variables() {
            Some(told) if self.ends.peer.is_in(&options.uwsgi_peers) => {
                Arc::new(self.ends.fronted(told, &options.trusted))
            }
            _ => Arc::clone(&self.ends),
        };
        if !options.proxied || !ends.trusted {
            return ends;
        }
        match forwarded::client(request.fields(), |ip| options.trusted.contains(ip)) {
            Some(client) => Arc::new(ends.on_behalf_of(client)),
            None => ends,
        }
    }

    /// The rest of a body that goes to the application will not come: the client has left, or what it sent is refused.
    fn break_off(&mut self, refusal: Option<&Refusal>, turn: &mut Turn) {
        self.readable = false;
        let Codec::H1(http) = &self.codec else {
            return;
        };
        let awaited = http.inlet.as_ref().is_some_and(|inlet| match refusal {
            Some(refusal) => inlet.refuse(refusal.status, refusal.rule),
            None => inlet.break_off(),
        });
        if awaited {
            turn.events.push(Event::Body(self.exchange));
        }
        if refusal.is_none() {
            self.tell_gone(turn);
        }
    }

    /// Tells the exchange of the connection, if it wants to know, that the client has left.
    pub(crate) fn tell_gone(&mut self, turn: &mut Turn) {
        let Codec::H1(Http1 {
            inlet: Some(inlet), ..
        }) = &self.codec
        else {
            return;
        };
        let is_broken = self.link.is_broken();
        if is_broken && inlet.break_off() {
            turn.events.push(Event::Body(self.exchange));
        }
        if self.link.take_room() {
            turn.events.push(Event::Room(self.exchange));
        }
        let how = match is_broken {
            true => Departure::Lost,
            false => Departure::Ended,
        };
        if inlet.leave(how) {
            turn.events.push(Event::Gone(self.exchange));
        }
    }

    /// The exchange is over, or a request was answered of which none was made.
    pub(crate) fn over(&mut self, end: ExchangeEnd, turn: &mut Turn) -> Fate {
        let leftover = Leftover {
            output: self.link.has_pending(),
            input: self.has_unread(),
        };
        let Codec::H1(http) = &mut self.codec else {
            return Fate::Open;
        };
        http.inlet = None;
        let action = http
            .session
            .over(end, leftover, &turn.settings, turn.clock.now);
        if leftover.output {
            turn.again.push(self.id);
        }
        self.follow(action, turn)
    }

    /// Does what the session says.
    pub(crate) fn follow(&mut self, action: Action, turn: &mut Turn) -> Fate {
        match action {
            Action::Stay => {
                if self.codec.is_idle() {
                    self.since = turn.clock.instant;
                }
                Fate::Open
            }
            Action::Shut => {
                self.link.shut_write();
                self.inbound = Vec::new();
                self.readable = true;
                Fate::Open
            }
            Action::Close => Fate::Closed,
        }
    }

    /// The deadline has passed.
    pub(crate) fn expire_h1(&mut self, turn: &mut Turn) -> Fate {
        let Codec::H1(http) = &mut self.codec else {
            return Fate::Open;
        };
        match http.session.handle_timeout(turn.now()) {
            None => Fate::Open,
            Some(Overdue::Connection) => Fate::Closed,
            Some(Overdue::Head) => self.refuse(HEADER_TIMEOUT, turn),
            Some(Overdue::Body) if self.is_answering() => {
                self.break_off(Some(&BODY_TIMEOUT), turn);
                Fate::Open
            }
            Some(Overdue::Body) => self.refuse(BODY_TIMEOUT, turn),
            Some(Overdue::Send) => self.send_overdue(turn),
        }
    }

    /// The client has taken nothing for `send_timeout`, as far as the socket has told.
    fn send_overdue(&mut self, turn: &mut Turn) -> Fate {
        if !self.link.has_pending() {
            return self.flush(turn);
        }
        if self.has_taken_some() {
            self.watch_sending(turn);
            return Fate::Open;
        }
        let Codec::H1(http) = &mut self.codec else {
            return Fate::Open;
        };
        self.link.cut(SinkError::TimedOut);
        if http.session.is_answering() {
            // The thread that streams to it is told; it ends the exchange.
            http.session.lose();
            self.tell_gone(turn);
            return Fate::Open;
        }
        Fate::Closed
    }
}
