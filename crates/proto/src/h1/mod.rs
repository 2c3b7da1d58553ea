//! HTTP/1.1 and HTTP/1.0 (RFC 9110 and RFC 9112): request heads, request bodies and response heads.
//!
//! Ambiguity is always an error here. A server that guesses what a peer meant is one half of a request smuggling
//! attack; the other half is a proxy that guessed differently.

mod chunked;
mod error_page;
mod head;
mod misuse;
mod request_line;
mod response;
mod response_head;
pub mod session;
mod tolerance;
mod trailers;
mod walk;

pub use chunked::{BodyDecoder, Decoded};
pub use error_page::encode_error;
pub(crate) use error_page::error_body;
pub use head::{HeadParser, parse_request};
pub use misuse::Misuse;
pub use response::{
    Additions, CONTINUE, Content, LAST_CHUNK, ResponseContext, ResponseFraming, encode_chunk,
    encode_chunk_size, encode_head,
};
pub(crate) use response::{Length, delimit};
pub use response_head::{FieldEdit, ResponseHead};
pub use session::Session;
pub use trailers::encode_trailer;
