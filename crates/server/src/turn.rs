//! What the connections of a worker share while one of them moves on: its bounds, the clock, the buffer that all of
//! them are read into, and what comes of it for others.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use proto::Request;
use proto::forwarded::Scheme;
use proto::h1::session::Settings;

use crate::connection::ConnectionId;
use crate::dispatcher::Dispatcher;
use crate::exchange::Exchange;
use crate::head_memory::HeadMemory;
use crate::inlet::Event;
use crate::own_answer::OwnAnswer;
use crate::peer::Peer;
use crate::site::Answer;
use crate::timers::{Millis, Timers};
use crate::tls::HANDSHAKES;

/// Bytes read from a socket at once, and the size of the one buffer that all connections are read into.
const SCRATCH: usize = 64 * 1024;

/// What a turn of the reactor is about.
#[derive(Debug)]
pub(crate) struct Turn {
    pub(crate) dispatcher: Arc<Dispatcher>,
    /// The bounds of connections. Idle times are shorter once the worker comes to its end.
    pub(crate) settings: Settings,
    pub(crate) clock: TurnClock,
    pub(crate) timers: Timers,
    pub(crate) admission: Admission,
    /// Connections that have more to do and will not be reported by the poller.
    pub(crate) again: Vec<ConnectionId>,
    /// Exchanges that are complete and wait for a thread.
    #[expect(
        clippy::vec_box,
        reason = "they go into calls one by one, and an exchange is large"
    )]
    pub(crate) ready: Vec<Box<Exchange>>,
    /// What exchanges waited for and have to be told.
    pub(crate) events: Vec<Event>,
    pub(crate) scratch: Box<[u8]>,
    /// How many TLS handshakes more may go on in this turn.
    pub(crate) handshakes: u32,
    /// The memory of heads that have not arrived in full.
    pub(crate) heads: Arc<HeadMemory>,
    /// The number of the last exchange.
    number: u64,
}

/// The time of a turn. It is read once, after the wait.
#[derive(Debug)]
pub(crate) struct TurnClock {
    started: Instant,
    pub(crate) instant: Instant,
    pub(crate) now: Millis,
}

/// Who may take a request on.
#[derive(Debug, Default)]
pub(crate) struct Admission {
    /// How many requests more this turn may take on.
    pub(crate) free: u32,
    /// Other workers serve.
    pub(crate) has_others: bool,
    /// Connections whose request is there and has not been read, because no thread is free for it.
    pub(crate) deferred: VecDeque<ConnectionId>,
}

impl Turn {
    pub(crate) fn new(dispatcher: Arc<Dispatcher>) -> Turn {
        let started = Instant::now();
        Turn {
            heads: HeadMemory::new(dispatcher.options.head_memory),
            settings: dispatcher.options.session,
            dispatcher,
            clock: TurnClock {
                started,
                instant: started,
                now: 0,
            },
            timers: Timers::default(),
            admission: Admission::default(),
            again: Vec::new(),
            ready: Vec::new(),
            events: Vec::new(),
            scratch: vec![0; SCRATCH].into_boxed_slice(),
            handshakes: HANDSHAKES,
            number: 0,
        }
    }

    pub(crate) fn now(&self) -> Millis {
        self.clock.now
    }

    /// What the server itself answers to a request, if anything.
    pub(crate) fn own_answer(
        &self,
        request: &Request,
        scheme: Scheme,
        client: impl FnOnce() -> Peer,
    ) -> Option<OwnAnswer> {
        let options = &self.dispatcher.options;
        let is_withdrawn = || self.dispatcher.slot.is_withdrawn();
        let probed = options.probes.answer(request, is_withdrawn);
        probed
            .or_else(|| options.host_rules.answer(request, scheme, self.now()))
            .or_else(|| self.limit(request, client))
    }

    /// The answer to a client that asks too often of the application.
    fn limit(&self, request: &Request, client: impl FnOnce() -> Peer) -> Option<OwnAnswer> {
        let limits = self.dispatcher.options.rate_limits.as_ref()?;
        match self.find(request) {
            Some(_) => None,
            None => limits.answer(request, client),
        }
    }

    /// The number of a new exchange.
    pub(crate) fn next_number(&mut self) -> u64 {
        self.number += 1;
        self.number
    }

    /// Whether a request that is there stays unread for now: a thread will be free for it soon, or another worker is.
    /// Where files are served a worker accepts clients that none of its threads is free for, and takes on nothing of
    /// what they want of the application.
    pub(crate) fn defers(&self) -> bool {
        let waits = self.admission.has_others || self.answers_itself();
        waits && self.ready.len() >= self.admission.free as usize
    }

    /// Whether some requests are answered without a thread.
    pub(crate) fn answers_itself(&self) -> bool {
        self.dispatcher.site.is_on() || self.dispatcher.options.probes.is_on()
    }

    /// The answer of the site to a request that is not the application's.
    pub(crate) fn find(&self, request: &Request) -> Option<Answer> {
        match self.dispatcher.site.is_on() {
            true => self.dispatcher.site.find(request),
            false => None,
        }
    }

    /// Whether as many requests as may be are with the application, or wait for a thread.
    pub(crate) fn is_full(&self) -> bool {
        let Some(limit) = self.dispatcher.options.concurrency else {
            return false;
        };
        let state = self.dispatcher.state();
        let waiting = self.ready.len() + state.ready.len();
        state.busy as usize + waiting >= limit as usize
    }
}

impl TurnClock {
    pub(crate) fn look(&mut self) {
        self.instant = Instant::now();
        self.now = self.millis_at(self.instant);
    }

    pub(crate) fn millis_at(&self, instant: Instant) -> Millis {
        Millis::try_from(instant.duration_since(self.started).as_millis()).unwrap_or(Millis::MAX)
    }
}
