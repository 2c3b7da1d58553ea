//! HTTP/1.1 and HTTP/1.0 (RFC 9110 and RFC 9112): request heads, request bodies and response heads.
//!
//! Ambiguity is always an error here. A server that guesses what a peer meant is one half of a request smuggling attack;
//! the other half is a proxy that guessed differently.

mod chunked;
mod error_page;
mod fields;
mod framing;
mod host;
mod limits;
mod misuse;
mod request;
mod request_line;
mod response;
mod response_head;
mod status;
mod target;
mod tolerance;
mod trailers;
mod violation;
mod walk;

pub use chunked::{BodyDecoder, Decoded};
pub use error_page::encode_error;
pub(crate) use fields::{is_token, is_token_byte, list_elements};
pub use framing::Framing;
pub use limits::Limits;
pub use misuse::Misuse;
pub use request::{HeadParser, Request, Version, parse_request};
pub use response::{
    Additions, CONTINUE, LAST_CHUNK, ResponseContext, ResponseFraming, encode_chunk,
    encode_chunk_size, encode_head,
};
pub use response_head::ResponseHead;
pub use status::reason_phrase;
pub use target::TargetForm;
pub use trailers::encode_trailer;
pub use violation::Violation;
