//! Every way in which an opening handshake can be wrong, each with the HTTP answer it gets. The sentences echo no input.

use crate::h1::{Additions, encode_error};

struct Facts {
    status: u16,
    fields: &'static [(&'static str, &'static str)],
    rule: &'static str,
    section: &'static str,
}

/// Declares the rules as one table, so that a rule without status, sentence or section cannot exist.
macro_rules! refusals {
    ($($name:ident, $status:literal, $fields:expr, $section:literal, $rule:literal;)+) => {
        /// A rule of the opening handshake that the request has broken.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Refusal {
            $(
                #[doc = $rule]
                #[doc = ""]
                #[doc = concat!("Answered with ", stringify!($status), "; ", $section, ".")]
                $name,
            )+
        }

        impl Refusal {
            /// All rules, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            fn facts(self) -> Facts {
                match self {
                    $(Self::$name => Facts { status: $status, fields: $fields, rule: $rule, section: $section },)+
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

refusals! {
    Method, 405, &[("Allow", "GET")], "RFC 6455, section 4.1",
        "A WebSocket is opened with the method GET.";
    Body, 400, &[], "RFC 6455, section 4.1",
        "A request that opens a WebSocket has no body.";
    Version, 426,
        &[("Sec-WebSocket-Version", "13"), ("Upgrade", "websocket"), ("Connection", "Upgrade")],
        "RFC 6455, section 4.4",
        "This server speaks version 13 of WebSocket, which one Sec-WebSocket-Version field has to name.";
    Key, 400, &[], "RFC 6455, section 4.1",
        "One Sec-WebSocket-Key field has to hold 16 bytes in base64.";
    Protocol, 400, &[], "RFC 6455, section 4.1",
        "Sec-WebSocket-Protocol is a list of tokens.";
    Extensions, 400, &[], "RFC 6455, section 9.1",
        "Sec-WebSocket-Extensions is not a list of extensions with their parameters.";
}

impl Refusal {
    /// The status code of the answer.
    #[must_use]
    pub fn status(self) -> u16 {
        self.facts().status
    }

    /// Names and values of fields that the answer needs beside those of every error.
    #[must_use]
    pub fn fields(self) -> &'static [(&'static str, &'static str)] {
        self.facts().fields
    }

    /// One sentence that says which rule was broken and echoes nothing of the request.
    #[must_use]
    pub fn rule(self) -> &'static str {
        self.facts().rule
    }

    /// Where the rule stands, as "RFC 6455, section 4.1".
    #[must_use]
    pub fn section(self) -> &'static str {
        self.facts().section
    }

    /// Appends the whole answer, which closes the connection. Returns the length of its body.
    pub fn encode(self, added: Additions<'_>, out: &mut Vec<u8>) -> usize {
        let start = out.len();
        let length = encode_error(self.status(), self.rule(), added, out);
        let line_end =
            memchr::memchr(b'\n', &out[start..]).map_or(out.len(), |end| start + end + 1);
        let fields: String = self
            .fields()
            .iter()
            .map(|(name, value)| format!("{name}: {value}\r\n"))
            .collect();
        out.splice(line_end..line_end, fields.bytes());
        length
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.rule(), self.section())
    }
}

impl std::error::Error for Refusal {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::h1::reason_phrase;

    #[test]
    fn every_rule_is_answered_with_a_known_error() {
        for refusal in Refusal::ALL {
            assert!((400..500).contains(&refusal.status()), "{refusal:?}");
            assert_ne!(reason_phrase(refusal.status()), "Unknown", "{refusal:?}");
            assert!(refusal.rule().ends_with('.'), "{refusal:?}");
            assert!(refusal.section().starts_with("RFC "), "{refusal:?}");
        }
    }

    #[test]
    fn the_answer_to_another_version_names_ours() {
        let mut out = b"before".to_vec();
        Refusal::Version.encode(Additions::usual(b"today"), &mut out);
        let text = String::from_utf8(out).unwrap();
        let head = "beforeHTTP/1.1 426 Upgrade Required\r\nSec-WebSocket-Version: 13\r\nUpgrade: websocket\r\n";
        assert!(text.starts_with(head), "{text}");
        assert!(text.contains("\r\nConnection: close\r\n"), "{text}");
    }
}
