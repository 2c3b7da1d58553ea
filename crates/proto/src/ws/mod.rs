//! WebSocket (RFC 6455) with compression of messages (permessage-deflate, RFC 7692), the server's side.
//!
//! [`handshake::judge`] reads the opening handshake from a request and encodes the answer. After it, a
//! [`WebSocketSession`] owns the conversation: it turns bytes into messages and messages into bytes, answers pings,
//! sends its own, and closes in both directions. It is made of a [`Decoder`] and an [`Encoder`], which can be used
//! without it.
//!
//! Nothing is kept for a connection that is idle but the few words of these structures: buffers exist while a message
//! is on its way, and the states of compression from the first compressed message on.

mod close;
mod compress;
mod decoder;
mod deflate;
mod encoder;
mod extensions;
mod frame;
pub mod handshake;
mod inflate;
mod keepalive;
mod mask;
mod message;
mod misuse;
mod refusal;
mod session;
mod violation;

pub use close::{fitting_reason, is_close_code};
pub use decoder::{Decoder, Event};
pub use deflate::{Deflate, DeflatePolicy};
pub use encoder::Encoder;
pub use keepalive::Timing;
pub use misuse::{SendError, WebSocketMisuse};
pub use refusal::Refusal;
pub use session::{Closure, Incoming, Received, WebSocketSession};
pub use violation::FrameViolation;

/// Longest message in bytes, after decompression, where the caller asks for no other limit: what Python's servers and
/// clients have agreed on, large enough for any document and small enough to be held in memory.
pub const MESSAGE_BYTES: usize = 16 << 20;
