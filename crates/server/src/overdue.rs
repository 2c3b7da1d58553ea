//! The register of the requests that are with an application. When the arbiter gives the worker up, those that are
//! stuck are told of and answered, without the thread or the event loop that they are stuck in.

use std::sync::Arc;
use std::time::Instant;

use proto::Request;
use proto::forwarded::Scheme;
use slab::Slab;

use crate::body::Body;
use crate::dispatcher::Dispatcher;
use crate::exchange::{Exchange, ExchangeId, Origin};
use crate::outlet::Outlet;
use crate::peer::Ends;

/// What the client of a stuck request reads.
const RULE: &str = "The application did not answer in time.";

/// The most of a target that a line of the log shows.
const SHOWN: usize = 200;

/// A request that is with the application: what it takes to answer in its place.
#[derive(Debug)]
pub(crate) struct CallRecord {
    id: ExchangeId,
    request: Request,
    arrived: Instant,
    scheme: Scheme,
    ends: Arc<Ends>,
    outlet: Outlet,
    /// What [`crate::sink::Sink::taken`] said when the call began: while it says so, the response has not begun.
    mark: u64,
}

impl CallRecord {
    pub(crate) fn new(exchange: &Exchange, mark: u64) -> CallRecord {
        CallRecord {
            id: exchange.id(),
            request: exchange.request.clone(),
            arrived: exchange.arrived(),
            scheme: exchange.scheme(),
            ends: Arc::clone(exchange.ends()),
            outlet: exchange.outlet(),
            mark,
        }
    }
}

/// The most requests that lines of the log are written for: an event loop may have thousands.
const TOLD: usize = 20;

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Calls(Slab<CallRecord>);

impl Calls {
    /// Takes up a call; returns its place.
    pub(crate) fn insert(&mut self, entry: CallRecord) -> usize {
        self.0.insert(entry)
    }

    /// Forgets the call of an exchange, unless it was taken out already.
    pub(crate) fn remove(&mut self, place: usize, id: ExchangeId) {
        if self.0.get(place).is_some_and(|entry| entry.id == id) {
            self.0.remove(place);
        }
    }

    fn take(&mut self) -> Slab<CallRecord> {
        std::mem::take(&mut self.0)
    }
}

impl Dispatcher {
    /// Does what [`Dispatcher::answer_overdue`] does where the arbiter has given the worker up.
    pub(crate) fn answer_if_given_up(self: &Arc<Dispatcher>) {
        if self.slot.is_given_up() {
            self.answer_overdue();
        }
    }

    /// Tells of every request that is with the application, and answers those whose response has not begun. Their
    /// threads find the connection gone, should they ever come back.
    pub(crate) fn answer_overdue(self: &Arc<Dispatcher>) {
        let calls = self.state().calls.take();
        let count = calls.len();
        for (number, (_, call)) in calls.into_iter().enumerate() {
            let line = self.answer_for(call);
            if number < TOLD {
                log::error!(target: "urgent", "{line}");
            }
        }
        if count > TOLD {
            log::error!(target: "urgent", "No answer for {} more requests", count - TOLD);
        }
        self.access_log.flush();
    }

    /// Answers in place of the thread or event loop that has the call; says what became of it.
    fn answer_for(self: &Arc<Dispatcher>, call: CallRecord) -> String {
        let took = call.arrived.elapsed();
        let asked = format!("{}, from {}", shown(&call.request), call.ends.peer);
        let origin = Origin {
            dispatcher: Arc::clone(self),
            ends: call.ends,
            outlet: call.outlet,
            id: call.id,
            arrived: call.arrived,
            inlet: None,
        };
        let mut exchange = Exchange::new(origin, call.request, Body::Empty, call.scheme);
        let outcome = match exchange.reply.answer_in_place(call.mark, 504, RULE) {
            true => {
                exchange.note_called();
                "its client got 504"
            }
            false => "its response is cut off",
        };
        drop(exchange);
        let seconds = took.as_secs_f64();
        format!("No answer within {seconds:.1} s: {asked}; {outcome}")
    }
}

/// Method and target.
fn shown(request: &Request) -> String {
    let target = request.target();
    let cut = &target[..target.len().min(SHOWN)];
    let dots = if cut.len() < target.len() { "…" } else { "" };
    format!(
        "{} {}{dots}",
        String::from_utf8_lossy(request.method()),
        String::from_utf8_lossy(cut)
    )
}
