//! Requests that no application sees. Each is an exchange that the server answers itself, or whose client left before
//! it was whole: what a client has begun to send has one line in the access log, served or not.

use std::io;
use std::sync::Arc;

use proto::Request;
use proto::forwarded::Scheme;
use proto::h1::session::ExchangeEnd;

use crate::codec::Codec;
use crate::connection::{Connection, Fate};
use crate::dispatcher::Outcome;
use crate::exchange::Exchange;
use crate::inlet::Inlet;
use crate::probes::FirstBytes;
use crate::refusal::Refusal;
use crate::reply::Stage;
use crate::site::Answer;
use crate::turn::Turn;

/// In the access log only: the client left before its request was complete. nginx's number for it.
const INCOMPLETE: u16 = 400;

/// Bytes that are looked at to see what a request is about that stays unread: more than the targets of files are long.
const PEEKED: usize = 4096;

/// What a connection has to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Glance {
    Nothing,
    /// A request that a file or the server itself answers, for which no thread is needed.
    File,
    /// Another one, or an end.
    Request,
}

impl Glance {
    fn of(bytes: &[u8], turn: &Turn) -> Glance {
        let site = &turn.dispatcher.site;
        match turn.dispatcher.options.probes.look(bytes) {
            _ if bytes.is_empty() => Glance::Request,
            FirstBytes::Probe => Glance::File,
            _ if site.is_on() && site.expects(bytes) => Glance::File,
            // The poller reports when more of it is there.
            FirstBytes::Unclear => Glance::Nothing,
            FirstBytes::Other => Glance::Request,
        }
    }
}

impl Connection {
    /// Answers a request that is not served, and ends the connection.
    pub(crate) fn refuse(&mut self, refusal: Refusal, turn: &mut Turn) -> Fate {
        log::debug!(
            "a request was refused with {}: {}",
            refusal.status,
            refusal.rule
        );
        let known = refusal.request.map(|request| *request);
        let request = known.or_else(|| self.take_unfinished());
        let mut exchange = self.unserved(request.unwrap_or_default(), turn);
        exchange.reply.refuse(refusal.status, refusal.rule);
        if exchange.reply.stage() == Stage::Lost {
            return Fate::Closed;
        }
        drop(exchange);
        if let Codec::H1(http) = &mut self.codec {
            http.session.refuse();
        }
        self.over(ExchangeEnd::Close, turn)
    }

    /// Answers a request with a file of the site.
    pub(crate) fn serve_site(
        &mut self,
        answer: &Answer,
        (request, scheme): (Request, Scheme),
        inlet: Option<Arc<Inlet>>,
        turn: &mut Turn,
    ) -> Fate {
        let origin = self.origin(&request, inlet, turn);
        let mut exchange = Exchange::unserved(origin, request, scheme);
        if let Codec::H1(http) = &mut self.codec {
            http.session.begin();
        }
        exchange.serve_site(answer);
        let outcome = exchange.reply.outcome();
        let is_lost = exchange.reply.stage() == Stage::Lost;
        drop(exchange);
        match outcome {
            _ if is_lost || self.link.is_cut() => Fate::Closed,
            Outcome::KeepAlive => self.over(ExchangeEnd::KeepAlive, turn),
            _ => self.over(ExchangeEnd::Close, turn),
        }
    }

    /// Looks what has arrived of a request that may have to wait for a thread. It stays unread.
    pub(crate) fn glance(&self, turn: &Turn) -> Glance {
        if !turn.answers_itself() {
            return Glance::Request;
        }
        if !self.inbound.is_empty() {
            return Glance::of(&self.inbound, turn);
        }
        let mut peeked = [0; PEEKED];
        match self.link.peek(&mut peeked) {
            Ok(count) => Glance::of(&peeked[..count], turn),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Glance::Nothing,
            Err(_) => Glance::Request,
        }
    }

    /// The client has left. Of a request that it had begun there is a line.
    pub(crate) fn forsaken(&mut self, turn: &mut Turn) -> Fate {
        let has_begun = match &self.codec {
            Codec::H1(http) => http.session.is_receiving(),
            Codec::Proxy(awaited) => awaited.has_begun(),
            Codec::Handshake(_) | Codec::Opening(_) | Codec::H2(_) | Codec::WebSocket(_) => false,
        };
        if has_begun {
            let request = self.take_unfinished().unwrap_or_default();
            self.unserved(request, turn).reply.forsake(INCOMPLETE);
        }
        Fate::Closed
    }

    /// An exchange without a call. `request` is empty where its head could not be read.
    fn unserved(&mut self, request: Request, turn: &mut Turn) -> Exchange {
        let origin = self.origin(&request, None, turn);
        {
            let scheme = origin.ends.scheme;
            Exchange::unserved(origin, request, scheme)
        }
    }

    /// The request whose body is being read, which ends here.
    fn take_unfinished(&mut self) -> Option<Request> {
        match &mut self.codec {
            Codec::H1(http) => http.take_unfinished(),
            Codec::Proxy(_)
            | Codec::Handshake(_)
            | Codec::Opening(_)
            | Codec::H2(_)
            | Codec::WebSocket(_) => None,
        }
    }
}
