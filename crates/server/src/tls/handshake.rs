//! A connection in its TLS handshake, as the reactor sees it. The operations of a handshake take 0.1 to 0.4 ms each, so
//! a turn allows for few of them: the others wait for the next turn, and requests that arrive come first there.

use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;

use crate::codec::Codec;
use crate::connection::{Connection, Fate};
use crate::http1::Http1;
use crate::link::Greeting;
use crate::opening::Opening;
use crate::refusal::Refusal;
use crate::timers::Millis;
use crate::turn::Turn;

/// How many handshakes go on in one turn of the reactor: at 0.4 ms, the most that one takes (RSA, 2048 bits), a request
/// that arrives waits for less than a millisecond.
pub(crate) const HANDSHAKES: u32 = 2;

/// What a client is told that speaks HTTP without TLS.
const NO_TLS: Refusal = Refusal {
    status: 400,
    rule: "This port speaks HTTPS: the request came without TLS.",
    request: None,
};

/// The handshake of one connection.
#[derive(Debug)]
pub(crate) struct TlsHandshake {
    /// When it has to be done.
    done_by: Millis,
    /// The server has come to its end: how long the client may then take to bring a request.
    last_request: Option<Millis>,
}

impl TlsHandshake {
    /// A handshake that begins now.
    pub(crate) fn new(turn: &Turn) -> TlsHandshake {
        let patience = turn.dispatcher.options.handshake_timeout;
        TlsHandshake {
            done_by: turn.now().saturating_add(patience),
            last_request: None,
        }
    }

    pub(crate) fn timeout(&self) -> Millis {
        self.done_by
    }

    /// The server comes to its end, and waits for `last_request` for one more request.
    pub(crate) fn wind_down(&mut self, last_request: Millis) {
        self.last_request = Some(last_request);
    }
}

impl Connection {
    /// Goes on with the handshake, as far as its bytes have arrived and the turn allows.
    pub(crate) fn progress_handshake(&mut self, turn: &mut Turn) -> ControlFlow<Fate> {
        if !self.readable {
            return ControlFlow::Break(Fate::Open);
        }
        let Some(left) = turn.handshakes.checked_sub(1) else {
            turn.again.push(self.id);
            return ControlFlow::Break(Fate::Open);
        };
        let mut scratch = std::mem::take(&mut turn.scratch);
        let greeting = self.link.shake_hands(&mut scratch);
        if greeting.is_ok() {
            turn.handshakes = left;
        }
        let flow = self.follow_handshake(greeting, &scratch, turn);
        turn.scratch = scratch;
        flow
    }

    fn follow_handshake(
        &mut self,
        greeting: io::Result<Greeting>,
        scratch: &[u8],
        turn: &mut Turn,
    ) -> ControlFlow<Fate> {
        match greeting {
            Ok(Greeting::Pending { has_more }) => {
                self.readable = has_more || self.half_closed;
                ControlFlow::Continue(())
            }
            Ok(Greeting::Done(early, info)) => {
                self.inbound = scratch[..early].to_vec();
                let is_http2 = info.is_http2();
                self.ends = Arc::new(self.ends.over_tls(info));
                let read_by = self.begin_http(turn);
                if is_http2 {
                    // The preface need not have come with the end of the handshake.
                    self.codec = Codec::Opening(Opening { read_by });
                }
                ControlFlow::Continue(())
            }
            Ok(Greeting::Plain) => {
                self.begin_http(turn);
                ControlFlow::Break(self.refuse(NO_TLS, turn))
            }
            Ok(Greeting::Failed(fault)) => {
                log::debug!("a TLS handshake failed: {fault}");
                // The client may still be sending, and must not lose the alert to a reset.
                self.codec = Codec::H1(Http1::ending());
                ControlFlow::Break(self.flush(turn))
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.readable = false;
                ControlFlow::Break(Fate::Open)
            }
            Err(error) => {
                log::debug!("a client left in its TLS handshake: {error}");
                ControlFlow::Break(Fate::Closed)
            }
        }
    }

    /// The handshake is over: a client has as long for its first request as one without TLS after it was accepted.
    /// Returns when that request has to have begun.
    fn begin_http(&mut self, turn: &Turn) -> Millis {
        let last_request = match &self.codec {
            Codec::Handshake(handshake) => handshake.last_request,
            _ => None,
        };
        let patience = last_request.unwrap_or(turn.settings.header_timeout);
        let read_by = turn.now().saturating_add(patience);
        self.codec = Codec::H1(Http1::new(read_by));
        self.since = turn.clock.instant;
        read_by
    }
}
