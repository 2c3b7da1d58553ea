//! What the owner of a connection may ask of its session. Nothing here changes it.

use super::{Reading, Session, Writing};

impl Session {
    /// Whether what the client sends is to be read now. Bytes of the next request wait until this one is answered.
    #[must_use]
    pub fn may_read(&self) -> bool {
        match (&self.reading, self.writing) {
            (Reading::Deferred | Reading::Complete | Reading::Ended, _) => false,
            (Reading::Body(_), _) => true,
            (_, Writing::Silent | Writing::Shut) => true,
            (_, Writing::Exchange | Writing::Draining(_)) => false,
        }
    }

    /// Whether nothing of a request has been read, and none is known to wait.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        matches!(self.reading, Reading::Idle)
    }

    /// Whether a request is there and stays unread.
    #[must_use]
    pub fn is_deferred(&self) -> bool {
        matches!(self.reading, Reading::Deferred)
    }

    /// Whether part of a request has been read of which no exchange has been made.
    #[must_use]
    pub fn is_receiving(&self) -> bool {
        self.writing == Writing::Silent
            && matches!(self.reading, Reading::Head(_) | Reading::Body(_))
    }

    /// Whether a request is what the client is expected to send, or the rest of one.
    #[must_use]
    pub fn awaits_request(&self) -> bool {
        let awaited = matches!(
            self.reading,
            Reading::Idle | Reading::Head(_) | Reading::Body(_) | Reading::Unwanted(_)
        );
        awaited && self.writing == Writing::Silent
    }

    /// Whether a request is being answered.
    #[must_use]
    pub fn is_answering(&self) -> bool {
        self.writing == Writing::Exchange
    }

    /// Whether the body of the request is on its way.
    #[must_use]
    pub fn is_within_body(&self) -> bool {
        matches!(self.reading, Reading::Body(_))
    }

    /// What of the body is still to come, as far as it is known; nothing where there is no body.
    #[must_use]
    pub fn rest_of_body(&self) -> Option<u64> {
        match &self.reading {
            Reading::Body(body) => body.decoder.remaining(),
            _ => Some(0),
        }
    }

    /// Whether the exchange is over and only bytes of its response keep the connection from what comes next.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        matches!(self.writing, Writing::Draining(_))
    }

    /// Whether our side is shut, and the client's end is all that is waited for.
    #[must_use]
    pub fn is_shut(&self) -> bool {
        self.writing == Writing::Shut
    }
}
