//! The watchdog: a reactor is never left alone for more than about a millisecond, beside an event loop for more than
//! about fifty. While the reactor's thread is inside the application the watchdog ticks; a call that lasts makes it
//! hand the reactor to an idle thread or, where none is idle, turn it itself. It does I/O only. A fast call pays one
//! atomic load for it, and while nothing is in flight it sleeps.

use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::process;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, Thread};
use std::time::Duration;

use crate::dispatcher::{Dispatcher, Leader};
use crate::server::Server;

/// How long a reactor may be left alone, and so how often the watchdog looks.
const TICK: Duration = Duration::from_millis(1);
/// How often an event loop is looked at, which turns the reactor itself whenever there is something to do. It may have
/// thousands of connections that wait for nothing, so the watchdog must not cost what it costs beside threads.
const LOOP_TICK: Duration = Duration::from_millis(50);
/// How often an event loop is looked at that gives several answers in a turn, which wait for each other: one that
/// blocks in the middle must not keep those that are there.
const HOLDING_TICK: Duration = Duration::from_millis(5);
/// Ticks without such a turn after which the loop is looked at less often again.
const HOLDING_TICKS: u32 = 20;
/// Ticks without anything in flight after which the watchdog sleeps. Waking it costs a system call, so under steady
/// load it had better stay awake.
const QUIET_TICKS: u32 = 16;

/// The handle by which threads wake the watchdog.
#[derive(Debug, Default)]
pub(crate) struct Watchdog {
    asleep: AtomicBool,
    /// The next look at the event loop is further off than answers may be held.
    slow: AtomicBool,
    thread: OnceLock<Thread>,
}

impl Watchdog {
    /// A thread goes into the application: the watchdog has to look.
    pub(crate) fn attend(&self) {
        if self.asleep.load(Ordering::Relaxed) && self.asleep.swap(false, Ordering::SeqCst) {
            self.wake();
        }
    }

    /// Answers are going to be held: the watchdog has to look often.
    pub(crate) fn hurry(&self) {
        if self.slow.load(Ordering::Relaxed) && self.slow.swap(false, Ordering::SeqCst) {
            self.wake();
        }
    }

    /// Ends a sleep, so that the watchdog sees that the server has come to its end.
    pub(crate) fn wake(&self) {
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }
}

/// Starts the watchdog's thread. It ends with the server.
///
/// # Errors
/// The system has no thread left.
pub(crate) fn start(server: &Arc<Server>) -> io::Result<()> {
    let watched = Arc::clone(server);
    let handle = thread::Builder::new()
        .name("oxicorn-io".to_owned())
        .spawn(move || or_abort(|| watch(&watched)))?;
    // Only one thread is ever started for a server, so the cell is empty.
    let _ = server
        .dispatcher()
        .watchdog
        .thread
        .set(handle.thread().clone());
    Ok(())
}

/// Runs what a thread of a worker does, and ends the process if it panics: a worker that has lost a thread, with
/// with what that thread had locked or promised, would go on half alive. The arbiter replaces it and says why it died.
pub fn or_abort(work: impl FnOnce()) {
    if panic::catch_unwind(AssertUnwindSafe(work)).is_err() {
        log::error!(target: "critical", "A thread of the worker panicked; the worker ends");
        process::abort();
    }
}

fn watch(server: &Server) {
    let mut quiet = 0;
    let mut seen = 0;
    let mut looks = 0;
    let mut pause = TICK;
    let mut holding = Holding::default();
    loop {
        tick(server, &mut quiet, pause);
        let dispatcher = server.dispatcher();
        if dispatcher.held.is_overdue() {
            dispatcher.send_held();
        }
        let mut state = dispatcher.state();
        if state.done {
            return;
        }
        if state.busy == 0 {
            quiet += 1;
            continue;
        }
        quiet = 0;
        if dispatcher.slot.is_given_up() {
            drop(state);
            dispatcher.stacks.tell_of_end(&dispatcher.slot);
            state = dispatcher.state();
        }
        if state.calls.are_watched() {
            drop(state);
            dispatcher.enforce_limits();
            state = dispatcher.state();
        }
        if state.leader == Leader::Loop {
            let stands = std::mem::replace(&mut looks, state.looks) == looks;
            drop(state);
            // uvloop takes the pipe away by which Python tells of signals, so no thread may have seen the arbiter's.
            dispatcher.answer_if_given_up();
            // An application that blocks its loop blocks no I/O of others.
            let blocked = stands && server.turn_beside_loop(looks);
            pause = match blocked {
                true => TICK,
                false => holding.pause(dispatcher),
            };
            continue;
        }
        if state.leader != Leader::Nobody {
            continue;
        }
        if state.departures != seen {
            seen = state.departures;
        } else if state.idle > 0 {
            dispatcher.call_one();
        } else {
            state.leader = Leader::Watchdog;
            drop(state);
            server.turn_as_watchdog();
        }
    }
}

/// The answers that an event loop holds until the end of its turn.
#[derive(Debug, Default)]
struct Holding {
    /// The turns in which answers were held, when the watchdog last looked.
    turns: u32,
    /// Ticks since then without another.
    without: u32,
}

impl Holding {
    /// When to look again.
    fn pause(&mut self, dispatcher: &Dispatcher) -> Duration {
        self.without = match std::mem::replace(&mut self.turns, dispatcher.held.turns()) {
            before if before == self.turns => self.without.saturating_add(1),
            _ => 0,
        };
        if self.without < HOLDING_TICKS {
            return HOLDING_TICK;
        }
        dispatcher.watchdog.slow.store(true, Ordering::SeqCst);
        // A turn that began before the line above did not see that the watchdog is slow.
        match self.turns == dispatcher.held.turns() {
            true => LOOP_TICK,
            false => HOLDING_TICK,
        }
    }
}

fn tick(server: &Server, quiet: &mut u32, pause: Duration) {
    let watchdog = &server.dispatcher().watchdog;
    if *quiet < QUIET_TICKS {
        return thread::park_timeout(pause);
    }
    watchdog.asleep.store(true, Ordering::SeqCst);
    // A departure that came before the line above did not see the watchdog asleep.
    let state = server.dispatcher().state();
    let nothing = state.busy == 0 && !state.done;
    drop(state);
    while nothing && watchdog.asleep.load(Ordering::SeqCst) && !server.dispatcher().state().done {
        thread::park();
    }
    watchdog.asleep.store(false, Ordering::SeqCst);
    *quiet = 0;
}
