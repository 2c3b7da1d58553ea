//! HTTP/2 (RFC 9113), as far as it needs no state of a connection: what the fields of a request say, which fields a
//! response has, and what the frames of a client amount to. Framing, HPACK and flow control come from a library that
//! reads a clock, so the connection itself is the server's.

mod frames;
mod request;
mod response;
mod upgrade;

pub use frames::{Excess, FrameWatch};
pub use request::{RequestHead, assemble, expects_continue};
pub use response::{error_fields, response_fields};
pub use upgrade::{SWITCHING, first_stream, settings_frame, upgrade_settings};

/// What a client of HTTP/2 sends first (RFC 9113, section 3.4).
pub const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// How the first bytes of a connection compare with [`PREFACE`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beginning {
    /// They begin with it.
    Preface,
    /// They are the begin of it.
    Unclear,
    /// They are something else.
    Other,
}

/// Compares the first bytes of a connection with [`PREFACE`].
#[must_use]
pub fn beginning(bytes: &[u8]) -> Beginning {
    if bytes.starts_with(PREFACE) {
        return Beginning::Preface;
    }
    match PREFACE.starts_with(bytes) {
        true => Beginning::Unclear,
        false => Beginning::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preface_is_known_however_it_is_cut() {
        for length in 0..PREFACE.len() {
            assert_eq!(beginning(&PREFACE[..length]), Beginning::Unclear);
            let mut wrong = PREFACE[..length].to_vec();
            wrong.push(b'x');
            assert_eq!(beginning(&wrong), Beginning::Other);
        }
        assert_eq!(beginning(PREFACE), Beginning::Preface);
        assert_eq!(
            beginning(&[PREFACE.as_slice(), b"more"].concat()),
            Beginning::Preface
        );
    }
}
