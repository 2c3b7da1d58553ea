//! What the workers tell the arbiter: one slot of shared memory for each worker, atomics only.
//!
//! Workers write, the arbiter reads. There are no locks and no messages, so that a worker which is killed at any
//! instruction leaves no half-finished update that another process waits for. A field is a single atomic; two fields of
//! one slot may be seen at different instants, and the readers are written for it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicU64, Ordering};

use crate::reports::{Question, ReportCell, Ticket};
use crate::shared_pages::{self, SharedPages};

/// Where a worker is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum State {
    /// No worker uses this slot.
    Empty = 0,
    /// Forked; the application is being imported.
    Booting = 1,
    /// Serving.
    Ready = 2,
    /// Serving, and asking for a successor because it has served as many requests as it may.
    Recycling = 3,
    /// Told to go, finishing what it has.
    Stopping = 4,
    /// Told to go, and left with requests whose threads do not come back.
    Stuck = 5,
}

impl State {
    fn from_word(word: u32) -> Self {
        match word {
            1 => Self::Booting,
            2 => Self::Ready,
            3 => Self::Recycling,
            4 => Self::Stopping,
            5 => Self::Stuck,
            _ => Self::Empty,
        }
    }
}

/// One worker's words. Aligned to two cache lines, because the prefetcher of x86-64 fetches lines in pairs and each
/// worker writes its own slot at every request. All bytes zero is a valid, empty cell.
#[derive(Debug)]
#[repr(C, align(128))]
struct Words {
    pid: AtomicI32,
    state: AtomicU32,
    age: AtomicU64,
    busy_since_ms: AtomicU64,
    requests: AtomicU64,
    connections: AtomicU32,
    in_flight: AtomicU32,
    spooled: AtomicU64,
    given_up: AtomicBool,
    dismissed: AtomicBool,
}

/// The most bytes that temporary files may take; zero is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpoolLimits {
    /// Those of one worker.
    pub worker: u64,
    /// Those of all workers together.
    pub total: u64,
}

/// Which of the [`SpoolLimits`] is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpoolFull {
    /// The worker's.
    Worker,
    /// That of all workers.
    Total,
}

// SAFETY: all fields are atomics, and zeros are an empty slot.
unsafe impl shared_pages::Cell for Words {}

/// One counter of a worker. It outlives the worker: the next one in its slot goes on counting.
#[derive(Debug)]
#[repr(transparent)]
struct Counter(AtomicU64);

// SAFETY: an atomic, for which zero is a valid value.
unsafe impl shared_pages::Cell for Counter {}

/// What the table is made of.
#[derive(Debug)]
struct Tables {
    slots: SharedPages<Words>,
    /// Those of all slots, and behind them one word for the server as a whole: whether it was told to stop.
    counters: SharedPages<Counter>,
    /// Counters of one slot.
    counters_per_slot: usize,
    /// What workers are asked. Pages that nothing was written to take no memory.
    reports: SharedPages<ReportCell>,
}

impl Tables {
    fn withdrawn(&self) -> &AtomicU64 {
        &self.counters.cell(self.counters.len() - 1).0
    }
}

/// The table of all slots. Made by the arbiter before the first fork; every process that is forked later shares it.
#[derive(Clone, Debug)]
pub struct Scoreboard {
    tables: Arc<Tables>,
}

impl Scoreboard {
    /// A table of `slots` empty slots, at least one, without counters.
    ///
    /// # Errors
    ///
    /// When the machine has no memory for it.
    pub fn new(slots: usize) -> io::Result<Self> {
        Self::with_counters(slots, 0)
    }

    /// The same with this many counters for each slot. What they count is up to the worker that has the slot and to
    /// those that read them.
    ///
    /// # Errors
    ///
    /// When the machine has no memory for it.
    pub fn with_counters(slots: usize, counters_per_slot: usize) -> io::Result<Self> {
        let slots = slots.max(1);
        let counters = slots
            .checked_mul(counters_per_slot)
            .ok_or(io::ErrorKind::OutOfMemory)?;
        let tables = Tables {
            slots: SharedPages::new(slots)?,
            counters: SharedPages::new(counters.saturating_add(1))?,
            counters_per_slot,
            reports: SharedPages::new(slots)?,
        };
        tables.slots.withhold();
        Ok(Self {
            tables: Arc::new(tables),
        })
    }

    /// The number of slots.
    #[must_use]
    pub fn slots(&self) -> usize {
        self.tables.slots.len()
    }

    /// Says that the server has been told to stop: from now on it asks for no more clients.
    pub fn withdraw(&self) {
        self.tables.withdrawn().store(1, Ordering::SeqCst);
    }

    /// The slot `index`, counted from zero.
    ///
    /// # Panics
    ///
    /// When there is no such slot.
    #[must_use]
    pub fn slot(&self, index: usize) -> Slot {
        assert!(index < self.slots(), "slot {index} of {}", self.slots());
        Slot {
            tables: Arc::clone(&self.tables),
            index,
        }
    }

    /// What one counter says in all slots together: the count of the present workers and of all before them.
    #[must_use]
    pub fn total(&self, counter: usize) -> u64 {
        (0..self.slots())
            .map(|index| self.slot(index).counter(counter))
            .sum()
    }
}

/// One worker's slot.
#[derive(Clone, Debug)]
pub struct Slot {
    tables: Arc<Tables>,
    index: usize,
}

impl Slot {
    fn cell(&self) -> &Words {
        self.tables.slots.cell(self.index)
    }

    fn report(&self) -> &ReportCell {
        self.tables.reports.cell(self.index)
    }

    /// Asks the worker something; `None` while it owes the answer to another question.
    #[must_use]
    pub fn ask(&self, question: Question) -> Option<Ticket> {
        self.report().ask(question)
    }

    /// Whether this is the question that the worker was asked last.
    #[must_use]
    pub fn is_asked(&self, ticket: Ticket) -> bool {
        self.report().is_asked(ticket)
    }

    /// What the worker has answered, once it has.
    #[must_use]
    pub fn answer(&self, ticket: Ticket) -> Option<Vec<u8>> {
        self.report().answer(ticket)
    }

    /// Waits, in a thread of the worker's own, for another question than the last.
    #[must_use]
    pub fn next_question(&self, last: Ticket) -> Ticket {
        self.report().wait(last)
    }

    /// Answers a question.
    pub fn tell(&self, ticket: Ticket, text: &[u8]) {
        self.report().tell(ticket, text);
    }

    /// How many counters it has.
    #[must_use]
    pub fn counters(&self) -> usize {
        self.tables.counters_per_slot
    }

    /// Adds to one of its counters; one that it does not have counts nothing.
    pub fn count(&self, counter: usize, more: u64) {
        if let Some(counter) = self.find_counter(counter) {
            counter.fetch_add(more, Ordering::Relaxed);
        }
    }

    /// What one of its counters says; zero for one that it does not have.
    #[must_use]
    pub fn counter(&self, counter: usize) -> u64 {
        self.find_counter(counter)
            .map_or(0, |counter| counter.load(Ordering::Relaxed))
    }

    fn find_counter(&self, counter: usize) -> Option<&AtomicU64> {
        let per_slot = self.tables.counters_per_slot;
        let index = self.index * per_slot + counter;
        (counter < per_slot).then(|| &self.tables.counters.cell(index).0)
    }

    /// Whether the server has been told to stop; see [`Scoreboard::withdraw`].
    #[must_use]
    pub fn is_withdrawn(&self) -> bool {
        self.tables.withdrawn().load(Ordering::SeqCst) != 0
    }

    /// The slot's place in the table.
    #[must_use]
    pub fn index(&self) -> usize {
        self.index
    }

    /// Takes the slot for a worker that is about to boot: all counters zero, [`State::Booting`], busy since now.
    ///
    /// The arbiter calls it before the fork, with pid 0, and sets the pid when it knows it: a worker that is quick must
    /// not have its own words overwritten.
    pub fn claim(&self, pid: i32, age: u64) {
        self.report().clear();
        let cell = self.cell();
        cell.age.store(age, Ordering::Relaxed);
        cell.requests.store(0, Ordering::Relaxed);
        cell.connections.store(0, Ordering::Relaxed);
        cell.in_flight.store(0, Ordering::Relaxed);
        cell.spooled.store(0, Ordering::Relaxed);
        cell.given_up.store(false, Ordering::Relaxed);
        cell.dismissed.store(false, Ordering::Relaxed);
        cell.busy_since_ms
            .store(crate::clock::monotonic_ms(), Ordering::Relaxed);
        cell.pid.store(pid, Ordering::Relaxed);
        cell.state.store(State::Booting as u32, Ordering::Release);
    }

    /// Gives the slot back.
    pub fn clear(&self) {
        let cell = self.cell();
        cell.state.store(State::Empty as u32, Ordering::Release);
        cell.pid.store(0, Ordering::Relaxed);
        cell.busy_since_ms.store(0, Ordering::Relaxed);
        cell.connections.store(0, Ordering::Relaxed);
        cell.in_flight.store(0, Ordering::Relaxed);
        // The kernel has given the files of the process back.
        cell.spooled.store(0, Ordering::Relaxed);
    }

    /// The worker's process id, zero when there is none.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.cell().pid.load(Ordering::Relaxed)
    }

    /// Notes the worker's process id.
    pub fn set_pid(&self, pid: i32) {
        self.cell().pid.store(pid, Ordering::Relaxed);
    }

    /// Whether the arbiter has given the worker up: what it can still do is to tell of its requests and to answer them.
    #[must_use]
    pub fn is_given_up(&self) -> bool {
        self.cell().given_up.load(Ordering::Acquire)
    }

    /// Gives the worker up. The arbiter does so before it sends the signal that says so.
    pub fn give_up(&self) {
        self.cell().given_up.store(true, Ordering::Release);
    }

    /// Whether the arbiter has told the worker to go.
    #[must_use]
    pub fn is_dismissed(&self) -> bool {
        self.cell().dismissed.load(Ordering::Acquire)
    }

    /// Notes that the worker is told to go. The arbiter does so before it sends the signal that says so: the thread
    /// that has to see the signal may be stuck.
    pub fn dismiss(&self) {
        self.cell().dismissed.store(true, Ordering::Release);
    }

    /// The worker's age: its number among all workers that this arbiter has forked, counted from one.
    #[must_use]
    pub fn age(&self) -> u64 {
        self.cell().age.load(Ordering::Relaxed)
    }

    /// Where the worker is in its life.
    #[must_use]
    pub fn state(&self) -> State {
        State::from_word(self.cell().state.load(Ordering::Acquire))
    }

    /// Says where the worker is in its life. The arbiter looks when its notifier rings.
    pub fn set_state(&self, state: State) {
        self.cell().state.store(state as u32, Ordering::Release);
    }

    /// Says that a worker that was booting serves. One that is on its way out already stays so.
    pub fn become_ready(&self) {
        let (booting, ready) = (State::Booting as u32, State::Ready as u32);
        let state = &self.cell().state;
        let _ = state.compare_exchange(booting, ready, Ordering::AcqRel, Ordering::Acquire);
    }

    /// Since when (milliseconds of [`crate::clock::monotonic_ms`]) the worker boots or can take no further request;
    /// zero when it can.
    #[must_use]
    pub fn busy_since_ms(&self) -> u64 {
        self.cell().busy_since_ms.load(Ordering::Relaxed)
    }

    /// Notes since when the worker can take no further request; zero when it can.
    pub fn set_busy_since_ms(&self, since_ms: u64) {
        self.cell().busy_since_ms.store(since_ms, Ordering::Relaxed);
    }

    /// Starts the time anew where it runs. The worker may become free at the same moment, and then stays so.
    pub fn renew_busy_ms(&self, since_ms: u64) {
        let cell = &self.cell().busy_since_ms;
        let running = cell.load(Ordering::Relaxed);
        if running != 0 {
            let _ = cell.compare_exchange(running, since_ms, Ordering::Relaxed, Ordering::Relaxed);
        }
    }

    /// Counts a request and returns how many there have been with it.
    pub fn add_request(&self) -> u64 {
        self.cell().requests.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// The requests of this worker so far.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.cell().requests.load(Ordering::Relaxed)
    }

    /// The connections that the worker holds.
    #[must_use]
    pub fn connections(&self) -> u32 {
        self.cell().connections.load(Ordering::Relaxed)
    }

    /// Notes how many connections the worker holds.
    pub fn set_connections(&self, count: u32) {
        self.cell().connections.store(count, Ordering::Relaxed);
    }

    /// The requests that are with the application.
    #[must_use]
    pub fn in_flight(&self) -> u32 {
        self.cell().in_flight.load(Ordering::Relaxed)
    }

    /// Notes how many requests are with the application.
    pub fn set_in_flight(&self, count: u32) {
        self.cell().in_flight.store(count, Ordering::Relaxed);
    }

    /// The bytes that the worker's temporary files take.
    #[must_use]
    pub fn spooled(&self) -> u64 {
        self.cell().spooled.load(Ordering::Relaxed)
    }

    /// Notes that temporary files of the worker are about to grow by this many bytes.
    ///
    /// The bytes are counted before the totals are looked at, so that two workers that ask at the same moment never get
    /// more than there is together; both may be refused.
    ///
    /// # Errors
    ///
    /// The limit that they would pass. Nothing is noted then.
    pub fn reserve_spool(&self, bytes: u64, limits: SpoolLimits) -> Result<(), SpoolFull> {
        let own = self.cell().spooled.fetch_add(bytes, Ordering::SeqCst) + bytes;
        let full = if limits.worker != 0 && own > limits.worker {
            SpoolFull::Worker
        } else if limits.total != 0 && self.spooled_by_all() > limits.total {
            SpoolFull::Total
        } else {
            return Ok(());
        };
        self.release_spool(bytes);
        Err(full)
    }

    /// Notes that temporary files have given this many bytes back.
    pub fn release_spool(&self, bytes: u64) {
        self.cell().spooled.fetch_sub(bytes, Ordering::SeqCst);
    }

    fn spooled_by_all(&self) -> u64 {
        let slots = &self.tables.slots;
        (0..slots.len())
            .map(|index| slots.cell(index).spooled.load(Ordering::SeqCst))
            .sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_tells_what_was_written_to_it() {
        let board = Scoreboard::new(3).expect("mmap");
        let slot = board.slot(2);
        assert_eq!(slot.state(), State::Empty);
        slot.claim(0, 7);
        slot.set_pid(4211);
        assert_eq!(
            (slot.pid(), slot.age(), slot.state()),
            (4211, 7, State::Booting)
        );
        assert_ne!(slot.busy_since_ms(), 0);
        for state in [
            State::Ready,
            State::Recycling,
            State::Stopping,
            State::Stuck,
        ] {
            slot.set_state(state);
            assert_eq!(slot.state(), state);
        }
        slot.set_connections(5);
        slot.set_in_flight(2);
        assert_eq!(
            (slot.add_request(), slot.add_request(), slot.requests()),
            (1, 2, 2)
        );
        assert_eq!((slot.connections(), slot.in_flight()), (5, 2));
        slot.give_up();
        assert!(slot.is_given_up());
        slot.clear();
        assert_eq!(
            (slot.pid(), slot.state(), slot.busy_since_ms()),
            (0, State::Empty, 0)
        );
        assert_eq!(board.slot(1).requests(), 0, "the neighbour is untouched");
        slot.claim(0, 8);
        assert!(!slot.is_given_up(), "that was another worker");
    }

    #[test]
    fn temporary_files_have_a_limit_for_each_worker_and_one_for_all() {
        let board = Scoreboard::new(2).expect("mmap");
        let (first, second) = (board.slot(0), board.slot(1));
        let limits = SpoolLimits {
            worker: 100,
            total: 150,
        };
        assert_eq!(first.reserve_spool(100, limits), Ok(()));
        assert_eq!(first.reserve_spool(1, limits), Err(SpoolFull::Worker));
        assert_eq!(second.reserve_spool(51, limits), Err(SpoolFull::Total));
        assert_eq!(second.reserve_spool(50, limits), Ok(()));
        assert_eq!((first.spooled(), second.spooled()), (100, 50));
        first.release_spool(60);
        assert_eq!(second.reserve_spool(50, limits), Ok(()));
        second.clear();
        assert_eq!(first.reserve_spool(60, limits), Ok(()));
        let none = SpoolLimits {
            worker: 0,
            total: 0,
        };
        assert_eq!(first.reserve_spool(1 << 40, none), Ok(()));
    }

    #[test]
    fn workers_that_ask_at_the_same_moment_stay_below_the_limit() {
        let board = Scoreboard::new(4).expect("mmap");
        let limits = SpoolLimits {
            worker: 0,
            total: 100,
        };
        std::thread::scope(|scope| {
            for index in 0..4 {
                let slot = board.slot(index);
                scope.spawn(move || {
                    (0..1000)
                        .filter(|_| slot.reserve_spool(1, limits).is_ok())
                        .count()
                });
            }
        });
        let total: u64 = (0..4).map(|index| board.slot(index).spooled()).sum();
        assert!(total <= 100, "{total}");
    }

    #[test]
    fn a_slot_outlives_the_table_that_it_came_from() {
        let slot = Scoreboard::new(1).expect("mmap").slot(0);
        slot.claim(1, 1);
        assert_eq!(slot.state(), State::Booting);
    }

    #[test]
    fn counters_outlive_the_worker_that_counted() {
        let board = Scoreboard::with_counters(2, 3).expect("mmap");
        let (first, second) = (board.slot(0), board.slot(1));
        first.claim(0, 1);
        first.count(2, 40);
        second.count(2, 2);
        second.count(0, 1);
        first.clear();
        first.claim(0, 3);
        assert_eq!(
            (first.counter(2), board.total(2), board.total(0)),
            (40, 42, 1)
        );
    }

    #[test]
    fn a_counter_that_a_slot_does_not_have_counts_nothing() {
        let board = Scoreboard::with_counters(2, 3).expect("mmap");
        board.slot(0).count(3, 1);
        assert_eq!((board.total(3), board.slot(1).counter(0)), (0, 0));
        Scoreboard::new(1).expect("mmap").slot(0).count(0, 1);
    }

    #[test]
    fn slots_do_not_share_a_cache_line() {
        assert_eq!(size_of::<Words>(), 128);
    }

    #[test]
    #[should_panic(expected = "slot 1 of 1")]
    fn there_is_no_slot_behind_the_last() {
        let _ = Scoreboard::new(1).expect("mmap").slot(1);
    }
}
