//! Every way in which an opening handshake can be wrong, each with the HTTP answer it gets. The sentences echo no
//! input.

use crate::h1::{Additions, encode_error};
use crate::rules::rules;

rules! {
    /// A rule of the opening handshake that the request has broken.
    pub enum Refusal {
        /// The status code of the answer.
        status: "Answered with",
    }

    Method, 405, "RFC 6455, section 4.1",
        "A WebSocket is opened with the method GET.";
    Body, 400, "RFC 6455, section 4.1",
        "A request that opens a WebSocket has no body.";
    Version, 426, "RFC 6455, section 4.4",
        "This server speaks version 13 of WebSocket, which one Sec-WebSocket-Version field has to name.";
    Key, 400, "RFC 6455, section 4.1",
        "One Sec-WebSocket-Key field has to hold 16 bytes in base64.";
    Protocol, 400, "RFC 6455, section 4.1",
        "Sec-WebSocket-Protocol is a list of tokens.";
    Extensions, 400, "RFC 6455, section 9.1",
        "Sec-WebSocket-Extensions is not a list of extensions with their parameters.";
}

impl Refusal {
    /// Names and values of fields that the answer needs beside those of every error.
    fn fields(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Method => &[("Allow", "GET")],
            Self::Version => &[
                ("Sec-WebSocket-Version", "13"),
                ("Upgrade", "websocket"),
                ("Connection", "Upgrade"),
            ],
            Self::Body | Self::Key | Self::Protocol | Self::Extensions => &[],
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::reason_phrase;

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
