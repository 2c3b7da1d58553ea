//! Requests that no application sees. Each is an exchange that the server answers itself, or whose client left before
//! it was whole: what a client has begun to send has one line in the access log, served or not.

use proto::Request;
use proto::h1::session::ExchangeEnd;

use crate::codec::Codec;
use crate::connection::{Connection, Fate};
use crate::exchange::Exchange;
use crate::refusal::Refusal;
use crate::reply::Stage;
use crate::turn::Turn;

/// In the access log only: the client left before its request was complete. nginx's number for it.
const INCOMPLETE: u16 = 400;

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
        Exchange::unserved(origin, request)
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
