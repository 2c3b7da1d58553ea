//! The reading side of a connection: which protocol its bytes are. A closed set, told apart by `match`; a protocol that
//! other bytes announce (the preface of HTTP/2) becomes a variant here.

use crate::http1::Http1;
use crate::http2::Http2;
use crate::link::Link;
use crate::opening::Opening;
use crate::peer::Ends;
use crate::proxy_header::AwaitedHeader;
use crate::timers::Millis;
use crate::tls::TlsHandshake;
use crate::turn::Turn;
use crate::websockets::Upgraded;

/// What a connection speaks.
#[derive(Debug)]
pub(crate) enum Codec {
    /// Nothing yet: its TLS handshake is under way.
    Handshake(TlsHandshake),
    /// HTTP/1; also the end of a connection that has spoken another protocol since.
    H1(Http1),
    /// Nothing yet: a PROXY header may come first.
    Proxy(AwaitedHeader),
    /// A connection that may begin with the preface of HTTP/2: what was read is in its buffer until that is known.
    Opening(Opening),
    /// HTTP/2: many exchanges at a time.
    H2(Box<Http2>),
    /// An exchange that has become a WebSocket.
    WebSocket(Box<Upgraded>),
}

impl Codec {
    /// What a connection does first that was accepted, and whose client has to begin by `read_by`.
    pub(crate) fn accepted(read_by: Millis, ends: &Ends, link: &Link, turn: &Turn) -> Codec {
        match &turn.dispatcher.options.proxy {
            Some(_) => Codec::Proxy(AwaitedHeader::new(read_by)),
            None => Codec::introduced(read_by, ends, link, turn),
        }
    }

    /// The same where it is known on whose behalf the peer speaks.
    pub(crate) fn introduced(read_by: Millis, ends: &Ends, link: &Link, turn: &Turn) -> Codec {
        match link.is_secure() {
            true => Codec::Handshake(TlsHandshake::new(turn)),
            false => Codec::first(read_by, ends, turn),
        }
    }

    /// What a connection without TLS speaks, whose client has to begin by `read_by`.
    pub(crate) fn first(read_by: Millis, ends: &Ends, turn: &Turn) -> Codec {
        let cleartext = turn.dispatcher.options.http2.cleartext;
        match ends.trusted && cleartext.takes_preface() {
            true => Codec::Opening(Opening { read_by }),
            false => Codec::H1(Http1::new(read_by)),
        }
    }

    /// When something is overdue; `Millis::MAX` where nothing is awaited.
    pub(crate) fn timeout(&self) -> Millis {
        match self {
            Codec::Handshake(handshake) => handshake.timeout(),
            Codec::H1(http) => http.session.timeout(),
            Codec::Proxy(awaited) => awaited.timeout(),
            Codec::Opening(opening) => opening.read_by,
            Codec::H2(http2) => http2.timeout(),
            Codec::WebSocket(upgraded) => upgraded.timeout(),
        }
    }

    /// Whether nothing of a request has been read, and none is known to wait.
    pub(crate) fn is_idle(&self) -> bool {
        match self {
            Codec::H1(http) => http.session.is_idle(),
            Codec::Proxy(_)
            | Codec::Handshake(_)
            | Codec::Opening(_)
            | Codec::H2(_)
            | Codec::WebSocket(_) => false,
        }
    }

    /// Whether a request is there and stays unread.
    pub(crate) fn is_deferred(&self) -> bool {
        match self {
            Codec::H1(http) => http.session.is_deferred(),
            Codec::Proxy(_)
            | Codec::Handshake(_)
            | Codec::Opening(_)
            | Codec::H2(_)
            | Codec::WebSocket(_) => false,
        }
    }

    /// Whether no request is under way, so that the connection may be closed where another needs its place.
    pub(crate) fn is_expendable(&self) -> bool {
        match self {
            Codec::H1(http) => http.session.is_idle(),
            Codec::H2(http2) => http2.is_idle(),
            Codec::Proxy(_) | Codec::Handshake(_) | Codec::Opening(_) => true,
            Codec::WebSocket(_) => false,
        }
    }
}
