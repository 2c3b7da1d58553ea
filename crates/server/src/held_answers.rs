//! Answers that an event loop gives within one turn leave together. The kernel runs its TCP stack and wakes the client
//! for each of them, which costs the application its caches, so the application is called for all requests of a turn
//! before the first answer is written. No answer waits longer than [`HELD_FOR`], or than a tick of the watchdog where
//! the application blocks the loop.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::exchange::ExchangeId;
use crate::outlet::Outlet;

/// How long the first answer may wait for those behind it. A call of a small application with a framework takes about a
/// tenth of a millisecond, so a turn of some twenty requests still leaves together.
pub(crate) const HELD_FOR: Duration = Duration::from_millis(2);

/// What is held in one turn, in bytes. It is a copy, which the processor's cache should hold.
const HELD_BYTES: usize = 256 * 1024;

/// A part that is longer leaves at once: its copy would cost more than is won.
const LONGEST: usize = 16 * 1024;

/// What waits for the end of the turn.
#[derive(Debug, Default)]
pub(crate) struct HeldAnswers {
    /// Whether answers are held now.
    open: AtomicBool,
    /// Counts the turns in which they were.
    turns: AtomicU32,
    bytes: AtomicUsize,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    answers: Vec<(Outlet, ExchangeId)>,
    since: Option<Instant>,
}

impl HeldAnswers {
    /// The application is going to be called for several requests.
    pub(crate) fn open(&self) {
        self.turns.fetch_add(1, Ordering::Relaxed);
        self.open.store(true, Ordering::Relaxed);
    }

    /// It has been called for all of them.
    pub(crate) fn close(&self) {
        self.open.store(false, Ordering::Relaxed);
    }

    pub(crate) fn is_open(&self) -> bool {
        self.open.load(Ordering::Relaxed)
    }

    /// How often answers were held, for the watchdog.
    pub(crate) fn turns(&self) -> u32 {
        self.turns.load(Ordering::Relaxed)
    }

    /// Whether a part of this length is to be held.
    pub(crate) fn admits(&self, length: usize) -> bool {
        self.is_open()
            && length <= LONGEST
            && self.bytes.fetch_add(length, Ordering::Relaxed) + length <= HELD_BYTES
    }

    /// Notes that something waits. Says whether what is held has to leave now.
    pub(crate) fn add(&self, outlet: Outlet, id: ExchangeId) -> bool {
        let now = Instant::now();
        let mut held = self.held.lock();
        held.answers.push((outlet, id));
        let since = *held.since.get_or_insert(now);
        now.duration_since(since) > HELD_FOR
    }

    /// Whether the first answer has waited for too long.
    pub(crate) fn is_overdue(&self) -> bool {
        let since = self.held.lock().since;
        since.is_some_and(|since| since.elapsed() > HELD_FOR)
    }

    /// Takes what is held, to be sent.
    pub(crate) fn take(&self) -> Vec<(Outlet, ExchangeId)> {
        let mut held = self.held.lock();
        held.since = None;
        self.bytes.store(0, Ordering::Relaxed);
        std::mem::take(&mut held.answers)
    }
}
