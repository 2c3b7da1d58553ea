//! Messages to frames: one frame for each, never masked, compressed where that was negotiated and pays.

use super::close;
use super::compress::{Deflated, Deflater};
use super::deflate::Deflate;
use super::frame::{CONTROL_BYTES, Control, Kind, Outgoing};
use super::misuse::WebSocketMisuse;

/// Writes frames for one client.
#[derive(Debug)]
pub struct Encoder {
    deflater: Option<Deflater>,
}

impl Encoder {
    /// An encoder with the extension that was negotiated.
    #[must_use]
    pub fn new(deflate: Option<Deflate>) -> Self {
        Self {
            deflater: deflate.map(|deflate| Deflater::new(&deflate)),
        }
    }

    /// Appends a text message.
    pub fn text(&mut self, text: &str, out: &mut Vec<u8>) {
        self.message(Kind::Text, text.as_bytes(), out);
    }

    /// Appends a binary message.
    pub fn binary(&mut self, data: &[u8], out: &mut Vec<u8>) {
        self.message(Kind::Binary, data, out);
    }

    fn message(&mut self, kind: Kind, data: &[u8], out: &mut Vec<u8>) {
        let start = out.len();
        if let Some(deflater) = &mut self.deflater
            && deflater.compress(data, out) == Deflated::Compressed
        {
            // The length is known only now. Moving the payload by a few bytes costs little beside compressing it.
            let head = Outgoing::Data {
                kind,
                compressed: true,
            }
            .head(out.len() - start);
            out.splice(start..start, head.bytes().iter().copied());
            return;
        }
        append(
            Outgoing::Data {
                kind,
                compressed: false,
            },
            data,
            out,
        );
    }

    /// Appends a ping.
    ///
    /// # Errors
    /// [`WebSocketMisuse::ControlTooLong`] when the payload has more than 125 bytes.
    pub fn ping(&mut self, payload: &[u8], out: &mut Vec<u8>) -> Result<(), WebSocketMisuse> {
        control(Control::Ping, payload, out)
    }

    /// Appends a pong.
    ///
    /// # Errors
    /// [`WebSocketMisuse::ControlTooLong`] when the payload has more than 125 bytes.
    pub fn pong(&mut self, payload: &[u8], out: &mut Vec<u8>) -> Result<(), WebSocketMisuse> {
        control(Control::Pong, payload, out)
    }

    /// Appends a close frame, after which nothing may be sent. Without a code it carries nothing.
    ///
    /// # Errors
    /// [`WebSocketMisuse::CloseCode`] or [`WebSocketMisuse::ReasonTooLong`].
    pub fn close(
        &mut self,
        code: Option<u16>,
        reason: &str,
        out: &mut Vec<u8>,
    ) -> Result<(), WebSocketMisuse> {
        let payload = match code {
            Some(code) => close::payload(code, reason)?,
            None => Vec::new(),
        };
        control(Control::Close, &payload, out)
    }
}

fn control(control: Control, payload: &[u8], out: &mut Vec<u8>) -> Result<(), WebSocketMisuse> {
    if payload.len() > CONTROL_BYTES {
        return Err(WebSocketMisuse::ControlTooLong {
            length: payload.len(),
        });
    }
    append(Outgoing::Control(control), payload, out);
    Ok(())
}

fn append(frame: Outgoing, payload: &[u8], out: &mut Vec<u8>) {
    let head = frame.head(payload.len());
    out.reserve(head.bytes().len() + payload.len());
    out.extend_from_slice(head.bytes());
    out.extend_from_slice(payload);
}
