//! The first bytes of a connection that may speak HTTP/2: without TLS (`http2_cleartext`) they are the preface or a
//! request of HTTP/1; where TLS has agreed on HTTP/2 they are the preface.

use std::io;

use proto::h2::{Beginning, beginning};

use crate::codec::Codec;
use crate::connection::{Connection, Fate};
use crate::http1::Http1;
use crate::options::Cleartext;
use crate::refusal::NO_PREFACE;
use crate::timers::Millis;
use crate::turn::Turn;

/// A connection of which too little is known.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Opening {
    /// When a request has to have begun.
    pub(crate) read_by: Millis,
}

impl Connection {
    /// Reads the first bytes.
    pub(crate) fn progress_opening(&mut self, turn: &mut Turn) -> Fate {
        while self.readable && beginning(&self.inbound) == Beginning::Unclear {
            let mut scratch = std::mem::take(&mut turn.scratch);
            let received = self.receive(&mut scratch);
            match received {
                Ok(count @ 1..) => self.inbound.extend_from_slice(&scratch[..count]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.readable = false,
                Ok(_) | Err(_) => {
                    turn.scratch = scratch;
                    return Fate::Closed;
                }
            }
            turn.scratch = scratch;
        }
        let Codec::Opening(opening) = self.codec else {
            return Fate::Open;
        };
        match beginning(&self.inbound) {
            Beginning::Unclear => Fate::Open,
            Beginning::Preface => match self.begin_h2(opening.read_by, turn) {
                Fate::Open => self.progress(turn),
                fate => fate,
            },
            Beginning::Other => {
                self.since = turn.clock.instant;
                self.codec = Codec::H1(Http1::new(opening.read_by));
                // The client that does not speak HTTP/2 where only that is expected is told so.
                let is_expected = match &self.ends.tls {
                    Some(tls) => tls.is_http2(),
                    None => turn.dispatcher.options.http2.cleartext == Cleartext::PriorKnowledge,
                };
                match is_expected {
                    true => self.refuse(NO_PREFACE, turn),
                    false => self.progress(turn),
                }
            }
        }
    }
}
