//! Every way in which a peer can break the WebSocket protocol, each with the close code that it gets. The sentences echo
//! no input.

struct Facts {
    code: u16,
    rule: &'static str,
    section: &'static str,
}

/// Declares the rules as one table, so that a rule without code, sentence or section cannot exist.
macro_rules! violations {
    ($($name:ident, $code:literal, $section:literal, $rule:literal;)+) => {
        /// A rule of WebSocket that the peer has broken. The variant names the rule, not the input.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Violation {
            $(
                #[doc = $rule]
                #[doc = ""]
                #[doc = concat!("Closes with ", stringify!($code), "; ", $section, ".")]
                $name,
            )+
        }

        impl Violation {
            /// All rules, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            fn facts(self) -> Facts {
                match self {
                    $(Self::$name => Facts { code: $code, rule: $rule, section: $section },)+
                }
            }

            /// The variant's name, as the vectors and the logs spell it.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)+
                }
            }
        }
    };
}

violations! {
    // The head of a frame.
    ReservedBit, 1002, "RFC 6455, section 5.2",
        "A reserved bit is set that no negotiated extension gives a meaning.";
    Opcode, 1002, "RFC 6455, section 5.2",
        "The opcode of a frame is one that has no meaning.";
    Unmasked, 1002, "RFC 6455, section 5.1",
        "A frame from a client has to be masked.";
    LengthEncoding, 1002, "RFC 6455, section 5.2",
        "The length of a frame is not written in the fewest bytes, or exceeds 63 bits.";
    ControlFragmented, 1002, "RFC 6455, section 5.5",
        "A control frame must not be fragmented.";
    ControlTooLong, 1002, "RFC 6455, section 5.5",
        "A control frame carries at most 125 bytes.";
    ContinuationWithoutMessage, 1002, "RFC 6455, section 5.4",
        "A continuation frame has no message to continue.";
    MessageInterrupted, 1002, "RFC 6455, section 5.4",
        "A message begins before the one before it has ended.";

    // The payload.
    ClosePayload, 1002, "RFC 6455, section 5.5.1",
        "The payload of a close frame is a single byte; a code has two.";
    CloseCode, 1002, "RFC 6455, section 7.4",
        "The code of a close frame is one that must not be sent.";
    CloseReason, 1007, "RFC 6455, section 5.5.1",
        "The reason of a close frame is not UTF-8.";
    TextNotUtf8, 1007, "RFC 6455, section 8.1",
        "A text message is not UTF-8.";
    CompressedData, 1007, "RFC 7692, section 7.2.2",
        "The compressed data of a message is not DEFLATE.";
    MessageTooBig, 1009, "RFC 6455, section 7.4.1",
        "The message is larger than this server allows.";
}

impl Violation {
    /// The close code of the answer.
    #[must_use]
    pub fn code(self) -> u16 {
        self.facts().code
    }

    /// One sentence that says which rule was broken and echoes nothing of the input. Short enough for a close frame.
    #[must_use]
    pub fn rule(self) -> &'static str {
        self.facts().rule
    }

    /// Where the rule stands, as "RFC 6455, section 5.2".
    #[must_use]
    pub fn section(self) -> &'static str {
        self.facts().section
    }
}

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.rule(), self.section())
    }
}

impl std::error::Error for Violation {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ws::close::{REASON_BYTES, is_close_code};

    #[test]
    fn every_rule_fits_a_close_frame() {
        for violation in Violation::ALL {
            assert!(is_close_code(violation.code()), "{violation:?}");
            assert!(violation.rule().ends_with('.'), "{violation:?}");
            assert!(violation.rule().len() <= REASON_BYTES, "{violation:?}");
            assert!(violation.section().starts_with("RFC "), "{violation:?}");
        }
    }
}
