//! The reading side of a connection: which protocol its bytes are. A closed set, told apart by `match`; a protocol that
//! other bytes announce (TLS, a PROXY header, the preface of HTTP/2) becomes a variant here.

use crate::http1::Http1;
use crate::timers::Millis;
use crate::websockets::Upgraded;

/// What a connection speaks.
#[derive(Debug)]
pub(crate) enum Codec {
    /// HTTP/1; also the end of a connection that has spoken another protocol since.
    H1(Http1),
    /// An exchange that has become a WebSocket.
    WebSocket(Box<Upgraded>),
}

impl Codec {
    /// When something is overdue; `Millis::MAX` where nothing is awaited.
    pub(crate) fn timeout(&self) -> Millis {
        match self {
            Codec::H1(http) => http.session.timeout(),
            Codec::WebSocket(upgraded) => upgraded.timeout(),
        }
    }

    /// Whether nothing of a request has been read, and none is known to wait.
    pub(crate) fn is_idle(&self) -> bool {
        match self {
            Codec::H1(http) => http.session.is_idle(),
            Codec::WebSocket(_) => false,
        }
    }

    /// Whether a request is there and stays unread.
    pub(crate) fn is_deferred(&self) -> bool {
        match self {
            Codec::H1(http) => http.session.is_deferred(),
            Codec::WebSocket(_) => false,
        }
    }
}
