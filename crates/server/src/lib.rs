//! Sockets ⇄ exchanges: one single-threaded reactor, its connections, its timers, and the threads that take turns at
//! it.
//!
//! The crate knows nothing of processes, signals or Python. Its driver calls [`Server::next`] and gets
//! [`Exchange`]s: a complete request with its buffered body, and the sink for its response.
#![forbid(unsafe_code)]

mod accept;
mod access_log;
mod alarm;
mod backlog;
mod body;
mod burst;
mod call;
mod codec;
mod coder;
mod compression;
mod connection;
mod date;
mod descriptors;
mod disk;
mod dispatcher;
mod error_pages;
mod exchange;
#[cfg(test)]
mod fixtures;
mod handover;
mod head_memory;
mod held_answers;
mod host_rules;
mod http1;
mod http2;
mod in_flight;
mod inlet;
mod life;
mod link;
pub mod name_policy;
mod opening;
mod options;
mod outlet;
mod overdue;
mod own_answer;
mod peer;
mod poller;
mod probes;
mod proxy_header;
mod rate_limits;
mod reactor;
mod refusal;
mod reply;
mod request_ids;
mod request_limits;
pub mod request_metrics;
mod server;
mod shared_websocket;
mod sink;
mod site;
mod stacks;
mod statsd;
mod timers;
mod tls;
mod turn;
mod unserved;
mod upload;
mod watchdog;
mod websockets;

pub use accept::Listener;
pub use access_log::{Entry, Left, unknown_atoms};
pub use body::{Body, BodyFile};
pub use call::Call;
pub use exchange::{AcceptFailure, Exchange, ExchangeId, Presence, WebSocket};
pub use handover::Siblings;
pub use inlet::{Event, Read};
pub use options::{Bodies, Lead, Places, Seat, Service};
pub use peer::{Local, Peer, Proxied};
pub use reply::{Offered, Progress, Reply, ReplyError, Sent, Stage};
pub use server::{Look, Next, Server, Shutdown, Watched};
pub use shared_websocket::SendFailure;
pub use sink::{FilePart, Room, SinkError};
pub use statsd::Statsd;
pub use tls::{ClientCertificate, ClientIdentity, TicketKeys, Tls, TlsInfo, TlsMisuse};
pub use watchdog::or_abort;
