//! What an application can do wrong with a WebSocket. These become log lines, so they quote what the application gave.

use std::fmt;

/// The application's fault, with what it gave. Never sent to a peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WebSocketMisuse {
    /// The sub-protocol is no token (RFC 6455, section 4.1), so it cannot be sent.
    Protocol {
        /// What the application chose.
        protocol: String,
    },
    /// The application stated a field that is the handshake's own.
    Field {
        /// The name of the field.
        name: String,
    },
    /// A close code that must not be sent.
    CloseCode {
        /// What the application gave.
        code: u16,
    },
    /// A close frame has room for 123 bytes of reason.
    ReasonTooLong {
        /// The length in bytes of what the application gave.
        length: usize,
    },
    /// Pings and pongs carry at most 125 bytes.
    ControlTooLong {
        /// The length in bytes of what the application gave.
        length: usize,
    },
    /// The application has closed the WebSocket before.
    AfterClose,
}

impl fmt::Display for WebSocketMisuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Protocol { protocol } => {
                write!(
                    f,
                    "the sub-protocol {protocol:?} is no token: it cannot be sent"
                )
            }
            Self::Field { name } => {
                write!(
                    f,
                    "the field {name:?} is the handshake's own: name a sub-protocol as such, and leave the others out"
                )
            }
            Self::CloseCode { code } => {
                write!(
                    f,
                    "close code {code}: it has to be 1000 to 1003, 1007 to 1014, or 3000 to 4999"
                )
            }
            Self::ReasonTooLong { length } => {
                write!(
                    f,
                    "the reason for closing has {length} bytes in UTF-8, of which at most 123 can be sent"
                )
            }
            Self::ControlTooLong { length } => {
                write!(
                    f,
                    "a ping or pong with {length} bytes: at most 125 can be sent"
                )
            }
            Self::AfterClose => {
                write!(
                    f,
                    "the application has closed this WebSocket already: nothing can be sent after that"
                )
            }
        }
    }
}

impl std::error::Error for WebSocketMisuse {}

/// Why something could not be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SendError {
    /// The peer has closed the WebSocket, or is gone. The application is not at fault.
    Disconnected,
    /// The application's fault.
    Misuse(WebSocketMisuse),
}

impl From<WebSocketMisuse> for SendError {
    fn from(misuse: WebSocketMisuse) -> Self {
        Self::Misuse(misuse)
    }
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disconnected => f.write_str("the peer has closed the WebSocket or is gone"),
            Self::Misuse(misuse) => misuse.fmt(f),
        }
    }
}

impl std::error::Error for SendError {}
