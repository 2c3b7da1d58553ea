//! What the supervisor hears, and what it wants done.

use std::time::Duration;

use settings::WorkerReplacement;
use sys::process::End;
use sys::scoreboard::State;
use sys::signals::{Received, Signal};

use crate::host::Moment;

/// What the configuration says about the care of workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Terms {
    /// How many workers there shall be.
    pub(crate) workers: u32,
    /// After how long a worker that boots, or that can take no request, is aborted; zero is never.
    pub(crate) timeout: Duration,
    /// After how long a worker that has not booted is aborted; zero leaves that to `timeout`.
    pub(crate) boot_timeout: Duration,
    /// How long the server goes on serving after it was told to stop.
    pub(crate) drain_delay: Duration,
    /// How long a worker may take to leave.
    pub(crate) graceful_timeout: Duration,
    /// Whether the server has detached from its terminal, without which WINCH means that a window was resized.
    pub(crate) daemon: bool,
    /// Whether workers leave by themselves when a source file changes.
    pub(crate) reload: bool,
    /// In which order workers and their successors come and go.
    pub(crate) replacement: WorkerReplacement,
}

/// What a worker's slot says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Observation {
    pub(crate) pid: i32,
    pub(crate) state: State,
    /// Since when the worker can take no further request.
    pub(crate) busy_since: Option<Duration>,
}

/// What happened.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    /// Everything is bound and loaded: begin.
    Start,
    /// The worker is forked.
    Spawned { age: u64, pid: i32 },
    /// The worker could not be forked.
    SpawnFailed { age: u64, reason: String },
    /// The operator's own code (`pre_fork`) raised instead of letting it be forked.
    SpawnRefused { age: u64, reason: String },
    /// What all the workers' slots say now.
    Observed(Vec<Observation>),
    /// A child is gone. The last tells whether the kernel killed for memory meanwhile, where that is known.
    Died {
        pid: i32,
        end: End,
        out_of_memory: Option<bool>,
    },
    /// There is no such child any more: a hook has collected it.
    Vanished { pid: i32 },
    /// A signal for the arbiter.
    Signal(Received),
    /// The configuration was read again, everything that it names is there, and it makes this generation, a later one
    /// than all before.
    Reloaded { generation: u64, terms: Terms },
    /// It was not, for this reason.
    ReloadFailed(String),
    /// The new master is forked.
    Upgrading { pid: i32 },
    /// It could not be forked.
    UpgradeFailed(String),
    /// The master that started this one has ended.
    ParentGone,
    /// An operator wants this many workers.
    Resized(u32),
    /// An operator wants this worker to leave, and another in its place.
    Unwanted { pid: i32 },
    /// Time has passed.
    Tick,
}

/// How loud a line of the log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    Debug,
    Info,
    Warning,
    Error,
    Critical,
}

/// What is to be done, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Fork a worker. Answered by `Spawned`, `SpawnFailed` or `SpawnRefused`.
    Spawn {
        age: u64,
        slot: usize,
        generation: u64,
    },
    /// Send a signal to a worker.
    Kill { pid: i32, signal: Signal },
    /// The slot's worker is gone.
    Release { slot: usize },
    /// Write a line.
    Log(Level, String),
    /// Call a hook whose failure changes nothing.
    Tell(Moment),
    /// Read the configuration again. Answered by `Reloaded` or `ReloadFailed`.
    Load,
    /// This generation serves: what belongs to the server as a whole follows its configuration.
    Adopt { generation: u64 },
    /// This generation did not boot: go back to the one before.
    Abandon { generation: u64 },
    /// Nothing of this generation is left.
    Forget { generation: u64 },
    /// Open the log files anew.
    ReopenLogs,
    /// Tell everyone who asks that the server wants no more clients.
    Withdraw,
    /// Start a new master beside this one. Answered by `Upgrading` or `UpgradeFailed`.
    Upgrade,
    /// This master is now the only one.
    Promote,
    /// End the arbiter.
    Exit { code: i32 },
}
