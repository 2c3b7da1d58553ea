//! Why a request is not served: what is answered instead of the application, and with which status.

use proto::h1::session::Refused;
use proto::{Request, Violation};

pub(crate) const HEADER_TIMEOUT: Refusal = Refusal {
    status: 408,
    rule: "The request head did not arrive in time.",
    request: None,
};
pub(crate) const BODY_TIMEOUT: Refusal = Refusal {
    status: 408,
    rule: "The request body did not arrive in time.",
    request: None,
};
pub(crate) const FULL: Refusal = Refusal {
    status: 503,
    rule: "The server answers as many requests as it may.",
    request: None,
};
pub(crate) const FORBIDDEN: Refusal = Refusal {
    status: 403,
    rule: "The peer is none of those that may send uwsgi packets.",
    request: None,
};
pub(crate) const NO_SPACE: Refusal = Refusal {
    status: 500,
    rule: "The request body could not be stored.",
    request: None,
};
pub(crate) const NO_ROOM: Refusal = Refusal {
    status: 503,
    rule: "The server has no room for the request body at the moment.",
    request: None,
};
pub(crate) const HEADS_TOO_LARGE: Refusal = Refusal {
    status: 503,
    rule: "The server has no room for the request head at the moment.",
    request: None,
};
pub(crate) const NO_PREFACE: Refusal = Refusal {
    status: 400,
    rule: "This server expects HTTP/2 here, with its connection preface.",
    request: None,
};

pub(crate) const ENDING: Refusal = Refusal {
    status: 503,
    rule: "The server comes to its end.",
    request: None,
};

/// Why a request is not served.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) rule: &'static str,
    /// The request, where its head could be read and no exchange has been made of it: for the access log.
    pub(crate) request: Option<Box<Request>>,
}

impl Refusal {
    /// The same, of a request that could be read.
    pub(crate) fn of(self, request: Request) -> Refusal {
        Refusal {
            request: Some(Box::new(request)),
            ..self
        }
    }
}

impl From<Violation> for Refusal {
    fn from(violation: Violation) -> Refusal {
        Refusal {
            status: violation.status(),
            rule: violation.rule(),
            request: None,
        }
    }
}

impl From<Refused> for Refusal {
    fn from(refused: Refused) -> Refusal {
        Refusal {
            status: refused.violation.status(),
            rule: refused.violation.rule(),
            request: refused.request,
        }
    }
}
