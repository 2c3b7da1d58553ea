//! Frames to messages: an automaton that takes the bytes as they arrive and never asks for more memory than they fill.
//!
//! ```text
//!          ┌──────────── control frame is over, with what it interrupted ───────────┐
//!          ▼                                                                        │
//!   ┌──► Head ──── head of a control frame ────────────────────────────────────► Control
//!   │      │ head of a data frame                                                   │ close
//!   │      ▼                                                                        ▼
//!   └─── Data      frame is over; the message goes on, or is an event             Closed
//! ```

use super::close;
use super::deflate::Deflate;
use super::frame::{self, Control, HEAD_BYTES, Place, Purpose, Rules};
use super::inflate::Inflater;
use super::mask::Mask;
use super::message::Message;
use super::violation::FrameViolation;

/// What the client sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A text message.
    Text(String),
    /// A binary message.
    Binary(Vec<u8>),
    /// A ping, to be answered with a pong that carries the same bytes.
    Ping(Vec<u8>),
    /// A pong, asked for or not.
    Pong(Vec<u8>),
    /// A close frame, after which nothing counts.
    Close {
        /// The close code, where there is one.
        code: Option<u16>,
        /// The reason, possibly empty.
        reason: String,
    },
}

/// Reads the frames of one client.
#[derive(Debug)]
pub struct Decoder {
    state: DecoderState,
    rules: Rules,
    inflater: Inflater,
}

#[derive(Debug)]
enum DecoderState {
    Head(HeadSoFar),
    Data(DataFrame),
    Control(ControlFrame),
    /// After a close frame.
    Closed,
    /// A rule was broken; nothing that follows can be trusted.
    Refused(FrameViolation),
}

/// Before the payload of a frame.
#[derive(Debug)]
struct HeadSoFar {
    bytes: [u8; HEAD_BYTES],
    length: usize,
    /// The message that has begun and not ended.
    message: Option<Message>,
}

/// In the payload of a frame that is a part of a message.
#[derive(Debug)]
struct DataFrame {
    message: Message,
    mask: Mask,
    remaining: u64,
    last: bool,
}

/// In the payload of a control frame, which may stand between the frames of a message.
#[derive(Debug)]
struct ControlFrame {
    control: Control,
    payload: Vec<u8>,
    mask: Mask,
    remaining: u64,
    message: Option<Message>,
}

/// How many bytes were taken, and what they have completed.
type DecodeResult = Result<(usize, Option<Event>), FrameViolation>;

impl Decoder {
    /// A decoder for messages of at most so many bytes, compressed or not, with the extension that was negotiated.
    #[must_use]
    pub fn new(message_bytes: usize, deflate: Option<Deflate>) -> Self {
        Self {
            state: DecoderState::between(None),
            rules: Rules {
                message_bytes,
                deflate: deflate.is_some(),
            },
            inflater: Inflater::new(deflate.is_some_and(|deflate| deflate.client_context_takeover)),
        }
    }

    /// Takes bytes up to the end of the first event among them. The caller goes on with `input[consumed..]` until
    /// nothing is left. After a close frame everything is taken and ignored.
    ///
    /// # Errors
    /// The rule that the client breaks; the same again at every later call.
    pub fn decode(&mut self, input: &[u8]) -> DecodeResult {
        let mut consumed = 0;
        while consumed < input.len() {
            let (taken, event) = self.step(&input[consumed..]).inspect_err(|violation| {
                self.state = DecoderState::Refused(*violation);
            })?;
            consumed += taken;
            if event.is_some() {
                return Ok((consumed, event));
            }
        }
        Ok((consumed, None))
    }

    fn step(&mut self, input: &[u8]) -> DecodeResult {
        match std::mem::replace(&mut self.state, DecoderState::Closed) {
            DecoderState::Head(head) => self.read_head(head, input),
            DecoderState::Data(frame) => self.read_data(frame, input),
            DecoderState::Control(frame) => self.read_control(frame, input),
            DecoderState::Closed => Ok((input.len(), None)),
            DecoderState::Refused(violation) => Err(violation),
        }
    }

    /// Mostly a head comes whole and is read where it stands; one that is cut is put together byte by byte.
    fn read_head(&mut self, mut head: HeadSoFar, input: &[u8]) -> DecodeResult {
        let place = head.place();
        if head.length == 0
            && let Some((frame, taken)) = frame::parse(input, self.rules, place)?
        {
            return self.begin(frame, head.message, taken);
        }
        for (index, &byte) in input.iter().enumerate() {
            head.push(byte);
            if let Some((frame, _)) = frame::parse(head.bytes(), self.rules, place)? {
                return self.begin(frame, head.message, index + 1);
            }
        }
        self.state = DecoderState::Head(head);
        Ok((input.len(), None))
    }

    /// The state after a head that took so many bytes. A frame without payload is over at once.
    fn begin(&mut self, head: frame::Head, message: Option<Message>, taken: usize) -> DecodeResult {
        self.state = match (head.purpose, message) {
            (Purpose::Control(control), message) => DecoderState::Control(ControlFrame {
                control,
                payload: Vec::new(),
                mask: head.mask,
                remaining: head.length,
                message,
            }),
            (
                Purpose::Begin {
                    kind,
                    compressed,
                    last,
                },
                _,
            ) => DecoderState::data(head, Message::new(kind, compressed), last),
            (Purpose::Continue { last }, Some(message)) => DecoderState::data(head, message, last),
            (Purpose::Continue { .. }, None) => {
                return Err(FrameViolation::ContinuationWithoutMessage);
            }
        };
        if head.length > 0 {
            return Ok((taken, None));
        }
        let (_, event) = self.step(&[])?;
        Ok((taken, event))
    }

    fn read_data(&mut self, mut frame: DataFrame, input: &[u8]) -> DecodeResult {
        let limit = self.rules.message_bytes;
        let piece = prefix(input, frame.remaining);
        let message = &mut frame.message;
        message.append(piece, &mut frame.mask, &mut self.inflater, limit)?;
        frame.remaining -= piece.len() as u64;
        let frame_is_over = frame.remaining == 0;
        if frame_is_over && frame.last {
            self.state = DecoderState::between(None);
            let event = frame.message.finish(&mut self.inflater, limit)?;
            return Ok((piece.len(), Some(event)));
        }
        message.check()?;
        self.state = if frame_is_over {
            DecoderState::between(Some(frame.message))
        } else {
            DecoderState::Data(frame)
        };
        Ok((piece.len(), None))
    }

    fn read_control(&mut self, mut frame: ControlFrame, input: &[u8]) -> DecodeResult {
        let piece = prefix(input, frame.remaining);
        let start = frame.payload.len();
        frame.payload.extend_from_slice(piece);
        frame.mask.apply(&mut frame.payload[start..]);
        frame.remaining -= piece.len() as u64;
        if frame.remaining > 0 {
            self.state = DecoderState::Control(frame);
            return Ok((piece.len(), None));
        }
        self.state = DecoderState::between(frame.message);
        let event = match frame.control {
            Control::Ping => Event::Ping(frame.payload),
            Control::Pong => Event::Pong(frame.payload),
            Control::Close => {
                let close = close::parse(&frame.payload)?;
                self.state = DecoderState::Closed;
                Event::Close {
                    code: close.code,
                    reason: close.reason,
                }
            }
        };
        Ok((piece.len(), Some(event)))
    }
}

fn prefix(input: &[u8], remaining: u64) -> &[u8] {
    let length = usize::try_from(remaining).unwrap_or(usize::MAX);
    &input[..length.min(input.len())]
}

impl DecoderState {
    /// Before a head, with the message that it may continue.
    fn between(message: Option<Message>) -> Self {
        Self::Head(HeadSoFar {
            bytes: [0; HEAD_BYTES],
            length: 0,
            message,
        })
    }

    fn data(head: frame::Head, message: Message, last: bool) -> Self {
        Self::Data(DataFrame {
            message,
            mask: head.mask,
            remaining: head.length,
            last,
        })
    }
}

impl HeadSoFar {
    fn place(&self) -> Place {
        match &self.message {
            None => Place::BetweenMessages,
            Some(message) => Place::WithinMessage {
                compressed: message.compressed,
                length: message.length(),
            },
        }
    }

    fn push(&mut self, byte: u8) {
        // The longest head is complete, or refused, with its last byte.
        if let Some(slot) = self.bytes.get_mut(self.length) {
            *slot = byte;
            self.length += 1;
        }
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}
