//! Answers that the server itself gives, before any application: to probes, to requests for hosts that it does not
//! serve, redirects, maintenance.

use std::sync::Arc;

use proto::Request;
use proto::forwarded::Scheme;
use proto::h1::session::ExchangeEnd;
use proto::h1::{FieldEdit, ResponseHead};

use crate::body::Body;
use crate::codec::Codec;
use crate::connection::{Connection, Fate};
use crate::dispatcher::Outcome;
use crate::exchange::{Exchange, Origin};
use crate::reply::Stage;
use crate::turn::Turn;

/// An answer of the server's own.
#[derive(Debug)]
pub(crate) struct OwnAnswer {
    /// The status with its reason.
    pub(crate) status: &'static [u8],
    pub(crate) fields: Vec<(&'static [u8], Vec<u8>)>,
    pub(crate) body: Vec<u8>,
    pub(crate) log: Logged,
}

/// Whether an answer has a line in the access log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Logged {
    Yes,
    No,
}

/// What of the request's body is still to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rest {
    /// Nothing.
    Nothing,
    /// Some, which is not wanted.
    Unwanted,
}

impl Connection {
    /// What the server itself answers to a request, if anything.
    pub(crate) fn own_answer(
        &self,
        request: &Request,
        scheme: Scheme,
        turn: &Turn,
    ) -> Option<OwnAnswer> {
        let options = &turn.dispatcher.options;
        turn.own_answer(request, scheme, || {
            self.ends_for(request, options).peer.clone()
        })
    }

    /// Sends such an answer.
    pub(crate) fn answer_self(
        &mut self,
        answer: OwnAnswer,
        request: Request,
        scheme: Scheme,
        rest: Rest,
        turn: &mut Turn,
    ) -> Fate {
        let origin = self.origin(&request, None, turn);
        let outcome = answer.give(origin, request, scheme, rest);
        let Some(outcome) = outcome else {
            return Fate::Closed;
        };
        if let Codec::H1(http) = &mut self.codec {
            match rest {
                Rest::Nothing => http.session.begin(),
                Rest::Unwanted => http.session.refuse(),
            }
        }
        let end = match outcome {
            Outcome::KeepAlive if rest == Rest::Nothing => ExchangeEnd::KeepAlive,
            _ => ExchangeEnd::Close,
        };
        self.over(end, turn)
    }
}

impl OwnAnswer {
    /// Sends it. Says what becomes of the connection of HTTP/1; `None` where the client is gone.
    pub(crate) fn give(
        self,
        origin: Origin,
        request: Request,
        scheme: Scheme,
        rest: Rest,
    ) -> Option<Outcome> {
        let mut exchange = match self.log {
            Logged::Yes => Exchange::unserved(origin, request, scheme),
            Logged::No => {
                let mut exchange = Exchange::new(origin, request, Body::Empty, scheme);
                exchange.note_answered_in_place();
                exchange
            }
        };
        // The reactor has no time for it.
        exchange.reply.leave_uncompressed();
        let mut head = ResponseHead::new();
        // All of these are well-formed.
        let _ = head.set_status(self.status);
        for (name, value) in &self.fields {
            let _ = head.push(name, value);
        }
        if rest == Rest::Unwanted {
            let _ = head.push(b"Connection", b"close");
        }
        let dispatcher = Arc::clone(exchange.reply.dispatcher());
        // A probe's 503 and the maintenance's have their own words.
        let page = dispatcher.options.error_pages.find(head.status());
        let page = page.filter(|_| matches!(head.status(), 400..=499));
        if let Some(page) = page {
            head.edit(|name, _| match name.eq_ignore_ascii_case(b"content-type") {
                true => FieldEdit::Replace(page.content_type.clone().into_bytes()),
                false => FieldEdit::Keep,
            });
        }
        exchange.reply.start(head);
        let body = page.map_or(&self.body, |page| &page.body);
        let _ = exchange.reply.respond(body);
        let outcome = exchange.reply.outcome();
        (exchange.reply.stage() != Stage::Lost).then_some(outcome)
    }
}
