//! The first bytes of a connection, where a PROXY header may stand before what it speaks. The bytes stay in the socket
//! until the header is whole, and exactly those of the header are taken: TLS and HTTP find their own untouched.

use std::io;
use std::ops::ControlFlow;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use proto::proxy::{
    PROXY_HEADER_BYTES, ProxyHeader, ProxyOpening, ProxyVersions, ProxyViolation, read_opening,
};
use settings::{AddressSet, Config, ProxyProtocol};

use crate::codec::Codec;
use crate::connection::{Connection, Fate};
use crate::http1::Http1;
use crate::options::with_unix_peers;
use crate::peer::Peer;
use crate::refusal::Refusal;
use crate::timers::Millis;
use crate::turn::Turn;

/// Which PROXY headers are believed.
#[derive(Debug)]
pub(crate) struct ProxyPolicy {
    versions: ProxyVersions,
    allowed: AddressSet,
}

impl ProxyPolicy {
    /// What the settings say; `None` where connections begin with what they speak.
    pub(crate) fn new(config: &Config) -> Option<ProxyPolicy> {
        let versions = match config.proxy_protocol {
            ProxyProtocol::Off => return None,
            ProxyProtocol::V1 => ProxyVersions::V1,
            ProxyProtocol::V2 => ProxyVersions::V2,
            ProxyProtocol::Auto => ProxyVersions::Both,
        };
        let allowed = with_unix_peers(config, "proxy_allow_ips", &config.proxy_allow_ips);
        Some(ProxyPolicy { versions, allowed })
    }

    fn allows(&self, peer: &Peer) -> bool {
        peer.is_in(&self.allowed)
    }
}

/// A connection whose first bytes are awaited.
#[derive(Debug)]
pub(crate) struct AwaitedHeader {
    /// When the header has to be there.
    read_by: Millis,
    /// Some of it has arrived.
    has_begun: bool,
}

impl AwaitedHeader {
    /// A connection whose header, if it sends one, has to be there by `read_by`.
    pub(crate) fn new(read_by: Millis) -> AwaitedHeader {
        AwaitedHeader {
            read_by,
            has_begun: false,
        }
    }

    pub(crate) fn timeout(&self) -> Millis {
        self.read_by
    }

    /// Whether part of a header has arrived.
    pub(crate) fn has_begun(&self) -> bool {
        self.has_begun
    }

    /// The server comes to its end: a client that has sent nothing has until `read_by`.
    pub(crate) fn wind_down(&mut self, read_by: Millis) {
        self.read_by = self.read_by.min(read_by);
    }
}

/// What a look at the first bytes gave.
enum Seen {
    /// The end of the stream, before any byte.
    Nothing,
    Opening(ProxyOpening),
    Refused(ProxyViolation),
}

impl Connection {
    /// Looks whether the header is there, and takes it.
    pub(crate) fn progress_proxy(&mut self, turn: &mut Turn) -> ControlFlow<Fate> {
        if !self.readable {
            return ControlFlow::Break(Fate::Open);
        }
        let mut scratch = std::mem::take(&mut turn.scratch);
        let seen = self.look(&mut scratch, turn);
        turn.scratch = scratch;
        match seen {
            Ok(Seen::Nothing) => ControlFlow::Break(Fate::Closed),
            Ok(Seen::Opening(ProxyOpening::NeedMore)) => self.await_header(turn),
            Ok(Seen::Opening(ProxyOpening::Absent)) => {
                self.begin_protocol(turn);
                ControlFlow::Continue(())
            }
            Ok(Seen::Opening(ProxyOpening::Header { header, .. })) => {
                let trusted = &turn.dispatcher.options.trusted;
                self.ends = Arc::new(self.ends.behind(*header, trusted));
                self.begin_protocol(turn);
                ControlFlow::Continue(())
            }
            Ok(Seen::Refused(violation)) => self.refuse_header(violation, turn),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.readable = false;
                ControlFlow::Break(Fate::Open)
            }
            Err(_) => ControlFlow::Break(self.forsaken(turn)),
        }
    }

    /// Judges what is there, and takes a header that is whole out of the socket.
    fn look(&self, scratch: &mut [u8], turn: &Turn) -> io::Result<Seen> {
        let Some(policy) = &turn.dispatcher.options.proxy else {
            return Ok(Seen::Opening(ProxyOpening::Absent));
        };
        let socket = self.link.socket().as_fd();
        let most = scratch.len().min(PROXY_HEADER_BYTES);
        let count = sys::socket::peek(socket, &mut scratch[..most])?;
        if count == 0 {
            return Ok(Seen::Nothing);
        }
        Ok(match read_opening(&scratch[..count], policy.versions) {
            Ok(ProxyOpening::Header { .. }) if !policy.allows(&self.ends.peer) => {
                log::warn!(
                    "a PROXY header is refused with 403: {} is none of proxy_allow_ips",
                    self.ends.peer
                );
                Seen::Refused(ProxyViolation::Forbidden)
            }
            Ok(opening) => {
                if let ProxyOpening::Header { length, .. } = &opening {
                    take(socket, &mut scratch[..*length])?;
                }
                Seen::Opening(opening)
            }
            Err(violation) => Seen::Refused(violation),
        })
    }

    /// Part of a header is there. The poller reports when more of it is, or the end of the stream.
    fn await_header(&mut self, turn: &mut Turn) -> ControlFlow<Fate> {
        if self.half_closed {
            return self.refuse_header(ProxyViolation::Incomplete, turn);
        }
        self.readable = false;
        if let Codec::Proxy(awaited) = &mut self.codec {
            awaited.has_begun = true;
        }
        ControlFlow::Break(Fate::Open)
    }

    /// What the connection speaks begins: a client has as long for its first request as after it was accepted.
    fn begin_protocol(&mut self, turn: &Turn) {
        let read_by = turn.now().saturating_add(turn.settings.header_timeout);
        self.codec = Codec::introduced(read_by, &self.ends, &self.link, turn);
        self.since = turn.clock.instant;
    }

    fn refuse_header(&mut self, violation: ProxyViolation, turn: &mut Turn) -> ControlFlow<Fate> {
        // The client, or its proxy, has not spoken TLS yet.
        self.link.forget_tls();
        self.codec = Codec::H1(Http1::new(turn.now()));
        let refusal = Refusal {
            status: violation.status(),
            rule: violation.rule(),
            request: None,
        };
        ControlFlow::Break(self.refuse(refusal, turn))
    }

    /// The deadline of the header has passed.
    pub(crate) fn expire_proxy(&mut self, turn: &mut Turn) -> Fate {
        let has_begun = matches!(&self.codec, Codec::Proxy(awaited) if awaited.has_begun);
        if !has_begun {
            return Fate::Closed;
        }
        match self.refuse_header(ProxyViolation::Late, turn) {
            ControlFlow::Break(fate) => fate,
            ControlFlow::Continue(()) => Fate::Open,
        }
    }
}

/// Takes as many bytes as the buffer has, which are known to be there.
fn take(socket: BorrowedFd<'_>, mut buffer: &mut [u8]) -> io::Result<()> {
    while !buffer.is_empty() {
        match sys::socket::receive(socket, buffer)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => buffer = &mut buffer[count..],
        }
    }
    Ok(())
}

/// Reads the header with which a connection travels from worker to worker, and says how long it is.
pub(crate) fn read_travelling(message: &[u8]) -> Option<(ProxyHeader, usize)> {
    match read_opening(message, ProxyVersions::V2) {
        Ok(ProxyOpening::Header { header, length }) => Some((*header, length)),
        _ => None,
    }
}
