//! What operators and monitoring systems ask of a running server: metrics over HTTP, and Gunicorn's control protocol.
//!
//! The arbiter turns it beside its own work, so it answers while every worker is busy or hangs. It knows the read
//! models of the arbiter and of the server, and no Python. Every loop, buffer and connection has a bound, because what
//! asks here must not keep the arbiter from looking after its workers.
#![forbid(unsafe_code)]

mod answers;
mod client;
mod commands;
mod control;
mod http;
mod inquiry;
mod json;
mod listening;
mod metrics;
mod text_format;

pub use listening::AdminServer;
