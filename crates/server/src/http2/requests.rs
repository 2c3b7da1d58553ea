//! From streams to exchanges and back: which requests of a connection of HTTP/2 are served, in which order threads get
//! them, and what follows when they have been answered.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use proto::Request;
use proto::forwarded::Scheme;
use proto::h2::expects_continue;

use super::intake::{Intakes, too_large};
use super::outlet::StreamOutlet;
use super::shared::{Arrived, SharedHttp2};
use super::stream::{Collected, Intake};
use super::{Http2, fields};
use crate::body::Body;
use crate::codec::Codec;
use crate::connection::{Connection, Fate};
use crate::exchange::{Exchange, ExchangeId, Origin};
use crate::inlet::Inlet;
use crate::options::{Bodies, Lead};
use crate::outlet::Outlet;
use crate::own_answer::{OwnAnswer, Rest};
use crate::refusal::{FULL, Refusal};
use crate::turn::Turn;
use crate::upload::Upload;

/// Requests of one connection that wait for a thread. A client that has sent a hundred has a share of the worker like
/// one that has sent one; and what is answered to so many leaves together.
const QUEUED: usize = 16;

/// In the access log only: the client left before its request was complete. nginx's number for it.
const INCOMPLETE: u16 = 400;

/// A stream of which an exchange is made.
struct Begun {
    id: ExchangeId,
    outlet: StreamOutlet,
    arrived: Instant,
}

impl Connection {
    /// A stream has begun.
    pub(super) fn begin_stream(
        &mut self,
        shared: &Arc<SharedHttp2>,
        arrived: Arrived,
        turn: &mut Turn,
    ) {
        let id = ExchangeId {
            number: turn.next_number(),
            key: self.id.key,
            serial: self.id.serial,
        };
        let request = fields::request(&arrived.head, &turn.settings.limits);
        let is_whole = arrived.body.is_end_stream();
        let outlet = shared.state().insert(id, arrived).outlet(shared);
        let begun = Begun {
            id,
            outlet,
            arrived: turn.clock.instant,
        };
        let request = match request {
            Ok(request) => request,
            Err(violation) => {
                return self.refuse_stream(begun, Request::empty(), violation.into(), turn);
            }
        };
        let options = &turn.dispatcher.options;
        let request = match &options.request_ids {
            Some(ids) => ids.identify(&request, || self.ends.trusted),
            None => request,
        };
        let scheme = match self.ends.scheme(&request, options) {
            Ok(scheme) => scheme,
            Err(violation) => return self.refuse_stream(begun, request, violation.into(), turn),
        };
        if let Some(answer) = self.own_answer(&request, scheme, turn) {
            return self.answer_stream(begun, answer, request, scheme, turn);
        }
        match is_whole {
            true => {
                let inlet = match turn.dispatcher.options.bodies() {
                    Bodies::Streamed => Some(Arc::new(Inlet::whole(Vec::new()))),
                    Bodies::Whole => None,
                };
                let own = inlet.clone();
                if let (Some(own), Some(stream)) = (own, shared.state().streams.get_mut(&id.number))
                {
                    stream.intake = Intake::Pass(own);
                }
                self.queue(begun, request, scheme, (Body::Empty, inlet), turn);
            }
            false => self.expect_body(begun, shared, request, scheme, turn),
        }
    }

    /// The body of a request follows.
    fn expect_body(
        &mut self,
        begun: Begun,
        shared: &Arc<SharedHttp2>,
        request: Request,
        scheme: Scheme,
        turn: &mut Turn,
    ) {
        let limit = turn.settings.body_limit;
        let stated = request.content_length();
        if limit != 0 && stated.is_some_and(|length| length > limit) {
            return self.refuse_stream(begun, request, too_large(), turn);
        }
        let awaits_permission = expects_continue(&request);
        let number = begun.id.number;
        let intake = match turn.dispatcher.options.bodies() {
            Bodies::Streamed => {
                let inlet = Inlet::open(Vec::new(), None);
                let inlet = Arc::new(match awaits_permission {
                    true => inlet.awaiting_permission(),
                    false => inlet,
                });
                let given = (Body::Empty, Some(Arc::clone(&inlet)));
                self.queue(begun, request, scheme, given, turn);
                Intake::Pass(inlet)
            }
            Bodies::Whole => Intake::Collect(Box::new(Collected {
                upload: Upload::new(request, scheme),
                arrived: begun.arrived,
            })),
        };
        let mut state = shared.state();
        state.uploads.push(number);
        if let Some(stream) = state.streams.get_mut(&number) {
            if awaits_permission && matches!(intake, Intake::Collect(_)) {
                stream.interim(fields::permission());
            }
            stream.intake = intake;
        }
    }

    fn origin_of(
        &self,
        begun: Begun,
        request: &Request,
        inlet: Option<Arc<Inlet>>,
        turn: &Turn,
    ) -> Origin {
        Origin {
            ends: self.ends_for(request, &turn.dispatcher.options),
            dispatcher: Arc::clone(&turn.dispatcher),
            outlet: Outlet::Stream(begun.outlet),
            id: begun.id,
            arrived: begun.arrived,
            inlet,
        }
    }

    /// A request is to be answered by the application.
    fn queue(
        &mut self,
        begun: Begun,
        request: Request,
        scheme: Scheme,
        (body, inlet): (Body, Option<Arc<Inlet>>),
        turn: &mut Turn,
    ) {
        let id = begun.id;
        let origin = self.origin_of(begun, &request, inlet, turn);
        let mut exchange = Box::new(Exchange::new(origin, request, body, scheme));
        if let Some(answer) = turn.find(&exchange.request) {
            exchange.note_unserved();
            exchange.serve_site(&answer);
            drop(exchange);
            self.release_stream(id);
            return;
        }
        if let Codec::H2(http2) = &mut self.codec {
            http2.pending.push_back(exchange);
        }
    }

    /// A request is not served. Its stream ends with the answer, and the others go on.
    fn refuse_stream(&mut self, begun: Begun, request: Request, refusal: Refusal, turn: &mut Turn) {
        log::debug!(
            "a request was refused with {}: {}",
            refusal.status,
            refusal.rule
        );
        let id = begun.id;
        let origin = self.origin_of(begun, &request, None, turn);
        let mut exchange = {
            let scheme = origin.ends.scheme;
            Exchange::unserved(origin, request, scheme)
        };
        exchange.reply.refuse(refusal.status, refusal.rule);
        drop(exchange);
        self.release_stream(id);
    }

    /// The server itself answers. What the client still sends of a body is not read.
    fn answer_stream(
        &mut self,
        begun: Begun,
        answer: OwnAnswer,
        request: Request,
        scheme: Scheme,
        turn: &mut Turn,
    ) {
        let id = begun.id;
        let origin = self.origin_of(begun, &request, None, turn);
        // The connection goes on, also where the client has given this stream up.
        let _ = answer.give(origin, request, scheme, Rest::Nothing);
        self.release_stream(id);
    }

    fn release_stream(&mut self, id: ExchangeId) {
        if let Codec::H2(http2) = &mut self.codec {
            http2.shared.state().release(id.number);
        }
    }

    /// Does what follows from the bodies that were read.
    pub(super) fn take_bodies(
        &mut self,
        shared: &Arc<SharedHttp2>,
        intakes: Intakes,
        turn: &mut Turn,
    ) {
        turn.events.extend(intakes.events);
        let begun = |id: ExchangeId, arrived| {
            let outlet = shared.state().streams.get(&id.number)?.outlet(shared);
            Some(Begun {
                id,
                outlet,
                arrived,
            })
        };
        for (id, collected) in intakes.complete {
            let (request, scheme, body) = collected.upload.complete();
            if let Some(begun) = begun(id, collected.arrived) {
                self.queue(begun, request, scheme, (body, None), turn);
            }
        }
        for (id, collected, refusal) in intakes.refused {
            if let Some(begun) = begun(id, collected.arrived) {
                self.refuse_stream(begun, collected.upload.request, refusal, turn);
            }
        }
        for (id, collected) in intakes.left {
            if let Some(begun) = begun(id, collected.arrived) {
                let request = collected.upload.request;
                let origin = self.origin_of(begun, &request, None, turn);
                {
                    let scheme = origin.ends.scheme;
                    Exchange::unserved(origin, request, scheme)
                }
                .reply
                .forsake(INCOMPLETE);
                self.release_stream(id);
            }
        }
    }

    /// Gives threads the next requests.
    pub(super) fn feed_threads(&mut self, turn: &mut Turn) {
        let is_loop = turn.dispatcher.options.lead() == Lead::EventLoop;
        loop {
            let Codec::H2(http2) = &mut self.codec else {
                return;
            };
            let queued = http2.shared.queued.load(Ordering::SeqCst);
            if queued >= QUEUED && !is_loop {
                return;
            }
            let Some(mut exchange) = http2.pending.pop_front() else {
                return;
            };
            let id = exchange.id();
            if exchange.reply.sink().is_lost() {
                exchange.note_abandoned();
                drop(exchange);
                self.release_stream(id);
            } else if turn.is_full() {
                exchange.note_unserved();
                exchange.reply.refuse(FULL.status, FULL.rule);
                drop(exchange);
                self.release_stream(id);
            } else {
                exchange.reply.sink().note_queued();
                turn.ready.push(exchange);
            }
        }
    }

    /// The connection is gone: requests that wait are not run, and have their lines in the access log.
    pub(super) fn abandon_pending(&mut self) {
        if let Codec::H2(http2) = &mut self.codec {
            for mut exchange in std::mem::take(&mut http2.pending) {
                exchange.note_abandoned();
            }
        }
    }

    /// The exchange of a stream is over.
    pub(crate) fn finished_h2(&mut self, id: ExchangeId, turn: &mut Turn) -> Fate {
        self.release_stream(id);
        if turn.dispatcher.stopping().is_some()
            && let Codec::H2(http2) = &mut self.codec
        {
            http2.winding_down = true;
        }
        self.move_on_h2(turn)
    }
}

impl Http2 {
    /// Whether an exchange belongs to a stream of this connection.
    pub(crate) fn has(&self, id: ExchangeId) -> bool {
        self.shared.state().streams.contains_key(&id.number)
    }
}
