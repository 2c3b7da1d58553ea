//! The states of a response, and what is told of one.

use proto::Version;
use proto::h1::{Content, ResponseFraming};

use crate::sink::{Room, SinkError};

/// Where a response stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Nothing has been said.
    Unstarted,
    /// The head is known; nothing has been sent, so it may still be replaced.
    Stated,
    /// The head is out, and pieces of the body follow.
    Streaming,
    /// Everything that the client may get has been sent or queued.
    Complete,
    /// The server has answered with an error page instead.
    Refused,
    /// It was broken off, which the client can tell.
    Cut,
    /// The client has gone.
    Lost,
    /// The application has the socket.
    Hijacked,
    /// The connection has become a WebSocket.
    Upgraded,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Unstarted,
    Stated {
        /// The length of the body, where the application has told it beside the head.
        known_length: Option<u64>,
    },
    Streaming(Remaining),
    /// The body is whole, and trailer fields have gone out behind it.
    Trailing,
    Complete {
        /// The body has reached its Content-Length: what comes beyond it is counted, for the log.
        full: bool,
    },
    Refused,
    Cut,
    Lost(SinkError),
    Hijacked,
    Upgraded,
}

/// What of the body may still be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Remaining {
    /// The response has none: what the application gives is dropped.
    Nothing,
    /// So many bytes.
    Bytes(u64),
    /// All that comes.
    Unknown,
}

impl From<ResponseFraming> for Remaining {
    fn from(framing: ResponseFraming) -> Remaining {
        match framing {
            ResponseFraming::NoBody => Remaining::Nothing,
            ResponseFraming::Length(length) => Remaining::Bytes(length),
            ResponseFraming::Chunked | ResponseFraming::UntilClose => Remaining::Unknown,
        }
    }
}

/// What the application may do after a piece of the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// It may give the next one.
    More,
    /// No further byte can be sent: the body has its length, or the response has none.
    Enough,
}

/// What [`super::Reply::offer`] has done with a piece of the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offered {
    /// So many bytes of it need not be given again.
    pub taken: usize,
    /// What the application may do then.
    pub progress: Progress,
    /// Whether it may do that at once.
    pub room: Room,
}

/// Why a response could not go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplyError {
    /// No head has been stated.
    Headless,
    /// Of trailer fields that leave in one block there are too many.
    TrailersTooLong,
    /// The client.
    Lost(SinkError),
}

impl From<SinkError> for ReplyError {
    fn from(error: SinkError) -> ReplyError {
        ReplyError::Lost(error)
    }
}

impl std::fmt::Display for ReplyError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ReplyError::Headless => formatter.write_str("the response has no head yet"),
            ReplyError::TrailersTooLong => {
                formatter.write_str("the trailer fields are longer than 64 KiB")
            }
            ReplyError::Lost(error) => error.fmt(formatter),
        }
    }
}

impl std::error::Error for ReplyError {}

/// How the length of a body differed from its Content-Length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mismatch {
    Shorter,
    /// By so many bytes, which were not sent.
    Longer(u64),
}

/// What has been sent of a response.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sent {
    /// The status, which is another than the application's where the server has refused to send it; 0 for none.
    pub status: u16,
    /// Bytes of the body, without what delimits it.
    pub bytes: u64,
    /// The body went out in chunks.
    pub chunked: bool,
}

/// What the request asks of its response.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked {
    pub(crate) version: Version,
    pub(crate) content: Content,
    pub(crate) keep_alive: bool,
}
