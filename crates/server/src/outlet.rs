//! Where what a response sends waits for its client: the link of a connection, or one stream of it.

use std::sync::Arc;

use crate::backlog::Spool;
use crate::http2::StreamOutlet;
use crate::link::Link;
use crate::sink::{Room, SinkError};

/// The one or the other.
#[derive(Debug, Clone)]
pub(crate) enum Outlet {
    /// The connection belongs to one response at a time.
    Link(Arc<Link>),
    /// A stream of HTTP/2.
    Stream(StreamOutlet),
}

impl Outlet {
    /// Whether both are the same.
    pub(crate) fn is_same(&self, other: &Outlet) -> bool {
        match (self, other) {
            (Outlet::Link(one), Outlet::Link(other)) => Arc::ptr_eq(one, other),
            (Outlet::Stream(one), Outlet::Stream(other)) => one.is_same(other),
            _ => false,
        }
    }

    /// Whether a thread that streams may go on without waiting.
    pub(crate) fn has_room(&self) -> bool {
        match self {
            Outlet::Link(link) => link.has_room(),
            Outlet::Stream(stream) => stream.has_room(),
        }
    }

    /// How often something was sent; `None` where nothing can be sent any more.
    pub(crate) fn taken(&self) -> Option<u64> {
        match self {
            Outlet::Link(link) => link.taken(),
            Outlet::Stream(stream) => stream.taken(),
        }
    }

    /// Whether something waits for the client.
    pub(crate) fn has_pending(&self) -> bool {
        match self {
            Outlet::Link(link) => link.has_pending(),
            Outlet::Stream(stream) => stream.has_pending(),
        }
    }

    /// Makes room in memory for a response whose client is slow.
    pub(crate) fn spill(&self, spool: Spool<'_>) {
        match self {
            Outlet::Link(link) => link.spill(spool),
            Outlet::Stream(stream) => stream.spill(spool),
        }
    }

    /// Holds the calling thread while too much waits. The reactor must be attended meanwhile. Says also whether
    /// [`Outlet::interrupt`] ended the wait.
    pub(crate) fn wait_for_room(&self) -> (Result<(), SinkError>, bool) {
        match self {
            Outlet::Link(link) => link.wait_for_room(),
            Outlet::Stream(stream) => stream.wait_for_room(),
        }
    }

    /// Ends the wait of the thread that waits for room.
    pub(crate) fn interrupt(&self) {
        match self {
            Outlet::Link(link) => link.interrupt(),
            Outlet::Stream(stream) => stream.interrupt(),
        }
    }

    /// Whether a response may go on that waits where more than `limit` bytes of memory are held. If not, an event tells
    /// when it may.
    pub(crate) fn ask_for_room(&self, limit: usize) -> Result<Room, SinkError> {
        match self {
            Outlet::Link(link) => link.ask_for_room(limit),
            Outlet::Stream(stream) => stream.ask_for_room(limit),
        }
    }

    /// Sends what was held for the end of a turn. Says whether the reactor has something to do for it.
    pub(crate) fn send_held(&self) -> bool {
        match self {
            Outlet::Link(link) => link.send_held(),
            Outlet::Stream(stream) => stream.send_held(),
        }
    }
}
