//! Bytes to messages and back, without I/O: every function here takes bytes and gives bytes or facts.
//!
//! The crate knows no socket, no clock, no file, no thread and no setting; `clippy.toml` beside the manifest refuses
//! them. What the peer did wrong is a [`Violation`] or a [`ws::Violation`], what the application did wrong is a
//! [`h1::Misuse`] or a [`ws::Misuse`].
//!
//! A [`Request`] and the rules that it keeps belong to no version of HTTP: [`h1`] reads it from bytes, [`h2`] and other
//! protocols assemble it from what they state.
#![forbid(unsafe_code)]

mod fields;
pub mod forwarded;
mod framing;
pub mod h1;
pub mod h2;
mod host;
mod limits;
pub mod proxy;
mod request;
pub mod resource;
mod rules;
mod status;
mod target;
pub mod text;
pub mod uwsgi;
mod violation;
pub mod ws;

pub use framing::Framing;
pub use limits::Limits;
pub use request::{Request, Stated, Version};
pub use status::reason_phrase;
pub use target::TargetForm;
pub use violation::Violation;
