//! Every way in which a peer can break the WebSocket protocol, each with the close code that it gets. The sentences
//! echo no input.

use crate::rules::rules;

rules! {
    /// A rule of WebSocket that the peer has broken. The variant names the rule, not the input. Each sentence is short
    /// enough for a close frame.
    pub enum FrameViolation {
        /// The close code of the answer.
        code: "Closes with",
    }

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ws::close::{REASON_BYTES, is_close_code};

    #[test]
    fn every_rule_fits_a_close_frame() {
        for violation in FrameViolation::ALL {
            assert!(is_close_code(violation.code()), "{violation:?}");
            assert!(violation.rule().ends_with('.'), "{violation:?}");
            assert!(violation.rule().len() <= REASON_BYTES, "{violation:?}");
            assert!(violation.section().starts_with("RFC "), "{violation:?}");
        }
    }
}
