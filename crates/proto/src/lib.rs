//! Bytes to messages and back, without I/O: every function here takes bytes and gives bytes or facts.
//!
//! The crate knows no socket, no clock, no file, no thread and no setting; `clippy.toml` beside the manifest refuses
//! them. What the peer did wrong is a [`h1::Violation`] or a [`ws::Violation`], what the application did wrong is a
//! [`h1::Misuse`] or a [`ws::Misuse`].
#![forbid(unsafe_code)]

pub mod forwarded;
pub mod h1;
mod rules;
pub mod ws;
