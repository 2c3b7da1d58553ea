//! The register of the requests that are with an application. One that is over its limit is told of and answered,
//! without the thread or the event loop that it is stuck in; so are all of them when the arbiter gives the worker up.

mod limits;

use std::sync::Arc;
use std::time::{Duration, Instant};

use proto::Request;
use proto::forwarded::Scheme;
use slab::Slab;

use crate::body::Body;
use crate::dispatcher::{Dispatcher, Leader, Message};
use crate::exchange::{Exchange, ExchangeId, Origin};
use crate::options::Lead;
use crate::outlet::Outlet;
use crate::peer::Ends;
use crate::server::Shutdown;

use self::limits::LateCalls;
pub(crate) use self::limits::SilenceLimit;

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
    /// The thread that took it, which an event loop's calls have in common.
    thread: i32,
    /// How long it may go on in silence, where that is limited.
    limit: Option<SilenceLimit>,
}

impl CallRecord {
    pub(crate) fn new(exchange: &Exchange, mark: u64, limit: Option<SilenceLimit>) -> CallRecord {
        CallRecord {
            id: exchange.id(),
            request: exchange.request.clone(),
            arrived: exchange.arrived(),
            scheme: exchange.scheme(),
            ends: Arc::clone(exchange.ends()),
            outlet: exchange.outlet(),
            mark,
            thread: THREAD.with(|id| *id),
            limit,
        }
    }

    pub(crate) fn request(&self) -> &Request {
        &self.request
    }

    pub(crate) fn arrived(&self) -> Instant {
        self.arrived
    }

    pub(crate) fn client(&self) -> String {
        self.ends.peer.to_string()
    }

    pub(crate) fn thread(&self) -> u64 {
        u64::try_from(self.thread).unwrap_or(0)
    }

    /// How far it is.
    pub(crate) fn phase(&self) -> &'static str {
        match self.outlet.taken() {
            None => "client gone",
            Some(_) if self.outlet.has_pending() => "client slow",
            Some(taken) if taken == self.mark => "running",
            Some(_) => "responding",
        }
    }
}

thread_local! {
    /// The number of this thread, which costs a system call.
    static THREAD: i32 = sys::process::thread_id();
}

/// The most requests that lines of the log are written for: an event loop may have thousands.
const TOLD: usize = 20;

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    records: Slab<CallRecord>,
    /// No call is over its limit before. It may have been that of one that is gone.
    next_limit: Option<Instant>,
    late: LateCalls,
}

impl Calls {
    /// Takes up a call; returns its place.
    pub(crate) fn insert(&mut self, record: CallRecord) -> usize {
        if let Some(limit) = &record.limit {
            let until = limit.until();
            self.next_limit = Some(self.next_limit.map_or(until, |next| next.min(until)));
        }
        self.records.insert(record)
    }

    /// Forgets the call of an exchange. Says whether it stood here: it was not answered in place of its thread.
    pub(crate) fn remove(&mut self, place: usize, id: ExchangeId) -> bool {
        if self
            .records
            .get(place)
            .is_some_and(|record| record.id == id)
        {
            self.records.remove(place);
            return true;
        }
        self.late.remove(id);
        false
    }

    /// Has a call last as long as it likes.
    pub(crate) fn lift_limit(&mut self, place: usize, id: ExchangeId) {
        if let Some(record) = self.records.get_mut(place)
            && record.id == id
        {
            record.limit = None;
        }
    }

    /// All of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &CallRecord> {
        self.records.iter().map(|(_, record)| record)
    }

    /// Whether there is a limit to be watched.
    pub(crate) fn are_watched(&self) -> bool {
        self.next_limit.is_some() || !self.late.is_empty()
    }

    /// How many hold a thread that has not come back after its client was answered.
    pub(crate) fn stuck(&self) -> usize {
        self.late.stuck()
    }

    fn next_limit(&self) -> Option<Instant> {
        [self.next_limit, self.late.next()]
            .into_iter()
            .flatten()
            .min()
    }

    fn take(&mut self) -> Slab<CallRecord> {
        self.next_limit = None;
        std::mem::take(&mut self.records)
    }

    /// Takes out those that are over their limits.
    fn take_late(&mut self, now: Instant, looks: u64) -> Vec<CallRecord> {
        if self.next_limit.is_none_or(|next| now < next) {
            return Vec::new();
        }
        self.next_limit = None;
        let mut places = Vec::new();
        for (place, record) in &mut self.records {
            let Some(limit) = &mut record.limit else {
                continue;
            };
            match limit.look(&record.outlet, record.mark, now) {
                Some(until) => {
                    self.next_limit = Some(self.next_limit.map_or(until, |next| next.min(until)));
                }
                None => {
                    places.push(place);
                    self.late.insert(record.id, limit, now, looks);
                }
            }
        }
        let take = |place| self.records.remove(place);
        places.into_iter().map(take).collect()
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
        let answered = self.answer_all(calls.into_iter().map(|(_, call)| call).collect());
        self.tell_overdue(answered);
    }

    fn tell_overdue(&self, answered: Vec<ExchangeId>) {
        for id in answered {
            self.tell(Message::Overdue(id));
        }
    }

    /// Answers these; returns their names, of which the reactor is to be told.
    fn answer_all(self: &Arc<Dispatcher>, calls: Vec<CallRecord>) -> Vec<ExchangeId> {
        let count = calls.len();
        let ids: Vec<_> = calls.iter().map(|call| call.id).collect();
        for (number, call) in calls.into_iter().enumerate() {
            let line = self.answer_for(call);
            if number < TOLD {
                log::error!(target: "urgent", "{line}");
            }
        }
        if count > TOLD {
            log::error!(target: "urgent", "No answer for {} more requests", count - TOLD);
        }
        self.access_log.flush();
        ids
    }

    /// Answers the requests that are over their limits, and sees to threads that do not come back afterwards. To be
    /// called every now and then while [`Calls::are_watched`].
    pub(crate) fn enforce_limits(self: &Arc<Dispatcher>) {
        let now = Instant::now();
        let mut state = self.state();
        if !state.calls.are_watched() {
            return;
        }
        let looks = state.looks;
        let late = state.calls.take_late(now, looks);
        let looks = (state.leader == Leader::Loop).then_some(looks);
        let stuck = state.calls.late.judge(now, looks);
        let has_stuck = state.calls.stuck() > 0;
        drop(state);
        if !late.is_empty() {
            let answered = self.answer_all(late);
            // Before tasks are cancelled, which do not stand any more where they were too slow.
            self.stacks.tell_of_limit(now);
            self.tell_overdue(answered);
        }
        for held in stuck {
            self.tell_stuck(held);
        }
        // The thread that would have seen the arbiter's signal may be the one that is stuck.
        if has_stuck && self.slot.is_dismissed() && self.stopping().is_none() {
            self.shut_down(Shutdown::Graceful);
        }
    }

    /// A thread has not come back for so long since its client was answered.
    fn tell_stuck(&self, held: Duration) {
        let what = match self.options.lead() {
            Lead::Threads => "A thread",
            Lead::EventLoop => "The event loop",
        };
        let seconds = held.as_secs_f64();
        log::error!(target: "urgent", "{what} is stuck: {seconds:.1} s ago its request was answered with 504. \
            The worker asks for a successor (pid: {})", std::process::id());
        self.ask_for_successor();
    }

    /// When [`Dispatcher::enforce_limits`] has something to do at the earliest, for a watchdog that turns the reactor.
    /// Elsewhere it looks every now and then.
    pub(crate) fn next_limit(&self) -> Option<Instant> {
        let state = self.state();
        match state.leader {
            Leader::Watchdog => {
                let end = self.stacks.end_due(&self.slot);
                [state.calls.next_limit(), end].into_iter().flatten().min()
            }
            Leader::Nobody | Leader::Thread | Leader::Loop => None,
        }
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
