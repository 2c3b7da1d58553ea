//! What an application can do wrong with a response head. These become log lines, so they quote what the application
//! gave.

use std::fmt;

/// The application's fault, with what it gave. Never sent to a peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Misuse {
    /// The status is not three digits, a space and a reason.
    Status {
        /// What the application gave, escaped.
        status: String,
    },
    /// A field name is empty or contains a character that no token has.
    FieldName {
        /// What the application gave, escaped.
        name: String,
    },
    /// A field value contains a control character, which could end the line and begin another.
    FieldValue {
        /// The name of the field, escaped.
        name: String,
    },
    /// Content-Length is not a decimal number.
    ContentLength {
        /// What the application gave, escaped.
        value: String,
    },
    /// Content-Length was given twice, with different numbers.
    ContentLengthConflict {
        /// The number that came first.
        first: u64,
        /// The number that came second.
        second: u64,
    },
}

/// Quotes at most this much of what the application gave: a log line, not a dump.
const QUOTE_BYTES: usize = 100;

pub(super) fn quote(bytes: &[u8]) -> String {
    let shown = &bytes[..bytes.len().min(QUOTE_BYTES)];
    shown.escape_ascii().to_string()
}

impl fmt::Display for Misuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status { status } => {
                write!(
                    f,
                    "invalid status \"{status}\": it has to be three digits, a space and a reason, as in \"200 OK\""
                )
            }
            Self::FieldName { name } => {
                write!(
                    f,
                    "invalid response field name \"{name}\": it has to be a token, as in \"Content-Type\""
                )
            }
            Self::FieldValue { name } => {
                write!(
                    f,
                    "the value of the response field \"{name}\" contains a control character such as a line break"
                )
            }
            Self::ContentLength { value } => {
                write!(
                    f,
                    "invalid Content-Length \"{value}\": it has to be a decimal number"
                )
            }
            Self::ContentLengthConflict { first, second } => {
                write!(
                    f,
                    "two values for Content-Length, {first} and {second}: there can be only one"
                )
            }
        }
    }
}

impl std::error::Error for Misuse {}
