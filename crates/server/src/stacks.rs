//! When the log says where the threads and tasks of the worker stand. What tells them is the driver's.

use std::fmt;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use sys::scoreboard::Slot;

/// The least time between two tellings of requests that are over their limits: a thousand that expire one after the
/// other shall not fill the log.
const PAUSE: Duration = Duration::from_secs(1);

/// How long the handler of the signal has to begin with it, where the arbiter gives the worker up. It knows more.
const HANDLER_FIRST: Duration = Duration::from_millis(300);

type Tell = Box<dyn Fn() -> String + Send + Sync>;

/// The stacks of a worker.
#[derive(Default)]
pub(crate) struct Stacks {
    tell: OnceLock<Tell>,
    state: Mutex<StacksState>,
}

#[derive(Debug, Default)]
struct StacksState {
    told: Option<Instant>,
    /// Since when the worker is known to be given up.
    given_up: Option<Instant>,
    /// They were told for that reason.
    told_of_end: bool,
}

impl fmt::Debug for Stacks {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Stacks").finish_non_exhaustive()
    }
}

impl Stacks {
    /// Has `tell` say where they stand. It is called once.
    pub(crate) fn tell_by(&self, tell: Tell) {
        let _ = self.tell.set(tell);
    }

    /// Requests are over their limits.
    pub(crate) fn tell_of_limit(&self, now: Instant) {
        let mut state = self.state.lock();
        let is_soon = |told: Instant| now.saturating_duration_since(told) < PAUSE;
        if state.told.is_some_and(is_soon) {
            return;
        }
        state.told = Some(now);
        drop(state);
        self.write();
    }

    /// The signal's handler tells them, now that the worker was given up. Says whether they have not been told.
    pub(crate) fn note_handler(&self) -> bool {
        !std::mem::replace(&mut self.state.lock().told_of_end, true)
    }

    /// When they are to be told, where the arbiter has given the worker up and no handler has run.
    pub(crate) fn end_due(&self, slot: &Slot) -> Option<Instant> {
        if !slot.is_given_up() {
            return None;
        }
        let mut state = self.state.lock();
        let since = *state.given_up.get_or_insert_with(Instant::now);
        (!state.told_of_end).then(|| since + HANDLER_FIRST)
    }

    /// Tells them if that is due.
    pub(crate) fn tell_of_end(&self, slot: &Slot) {
        let is_due = self.end_due(slot).is_some_and(|due| due <= Instant::now());
        if is_due && self.note_handler() {
            self.write();
        }
    }

    fn write(&self) {
        if let Some(tell) = self.tell.get() {
            let pid = std::process::id();
            let text = tell();
            log::error!(target: "urgent", "Worker (pid: {pid}) stands at:\n{}", text.trim_end());
        }
    }
}
