//! Close frames (RFC 6455, sections 5.5.1 and 7.4): a code and a reason, or nothing.

use super::misuse::WebSocketMisuse;
use super::violation::FrameViolation;

/// Longest reason in bytes: what a control frame holds beside the code.
pub(super) const REASON_BYTES: usize = 123;

/// What a close frame says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Close {
    pub(super) code: Option<u16>,
    pub(super) reason: String,
}

/// Whether a close frame may carry this code: those that RFC 6455 defines for it, those that were registered with IANA
/// since (1012 to 1014), and those of libraries and applications.
///
/// 1004 is reserved; 1005, 1006 and 1015 tell an application what no frame has said, and are never sent.
#[must_use]
pub fn is_close_code(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

/// Reads the payload of a close frame.
pub(super) fn parse(payload: &[u8]) -> Result<Close, FrameViolation> {
    let (code, reason) = match payload {
        [] => {
            return Ok(Close {
                code: None,
                reason: String::new(),
            });
        }
        [_] => return Err(FrameViolation::ClosePayload),
        [high, low, reason @ ..] => (u16::from_be_bytes([*high, *low]), reason),
    };
    if !is_close_code(code) {
        return Err(FrameViolation::CloseCode);
    }
    let reason = std::str::from_utf8(reason).map_err(|_| FrameViolation::CloseReason)?;
    Ok(Close {
        code: Some(code),
        reason: reason.to_owned(),
    })
}

/// As much of a reason as a close frame has room for.
#[must_use]
pub fn fitting_reason(reason: &str) -> &str {
    let mut end = reason.len().min(REASON_BYTES);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    &reason[..end]
}

/// The payload of a close frame.
pub(super) fn payload(code: u16, reason: &str) -> Result<Vec<u8>, WebSocketMisuse> {
    if !is_close_code(code) {
        return Err(WebSocketMisuse::CloseCode { code });
    }
    if reason.len() > REASON_BYTES {
        return Err(WebSocketMisuse::ReasonTooLong {
            length: reason.len(),
        });
    }
    Ok([&code.to_be_bytes(), reason.as_bytes()].concat())
}
