//! How the server is, for those who ask while it runs, and what they can order. The arbiter shows it and obeys; who
//! asks, and over which protocol, is the matter of an [`Admin`].

use std::collections::BTreeMap;
use std::time::Duration;

use settings::Config;
use sys::poll::Interest;
use sys::scoreboard::Scoreboard;

/// Answers operators and monitoring systems. The arbiter waits for its descriptors beside its own, so it is answered
/// also while every worker is busy or hangs; and it must never wait itself.
pub trait Admin {
    /// What it waits for.
    fn interests(&self) -> Vec<Interest<'_>>;

    /// When it wants its turn, also where none of these is ready. On the clock of [`sys::clock::monotonic`].
    fn deadline(&self) -> Option<Duration>;

    /// Takes its turn, within bounds of its own. Returns what was ordered.
    fn turn(&mut self, status: &Status<'_>, now: Duration) -> Vec<Order>;
}

/// How the server is at one moment.
#[derive(Debug)]
pub struct Status<'a> {
    /// The arbiter's pid.
    pub pid: i32,
    /// Since when the arbiter runs, on the clock of [`sys::clock::monotonic`].
    pub since: Duration,
    /// The number of workers that there shall be.
    pub target: u32,
    /// Whether the server has been told to stop.
    pub is_stopping: bool,
    /// The workers there are, the oldest first.
    pub workers: Vec<WorkerStatus>,
    /// Where clients are accepted.
    pub listeners: Vec<ListenerStatus>,
    /// What has happened since the start.
    pub totals: &'a Totals,
    /// What the workers tell, with the counters.
    pub scoreboard: &'a Scoreboard,
    /// The configuration in force.
    pub config: &'a Config,
}

/// One worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerStatus {
    /// Its process.
    pub pid: i32,
    /// Its number among all workers of this arbiter, counted from one.
    pub age: u64,
    /// Its slot of the scoreboard.
    pub slot: usize,
    /// Where it is in its life.
    pub phase: WorkerPhase,
    /// Since when it exists.
    pub since: Duration,
    /// Since when it can take no further request, or boots.
    pub busy_since: Option<Duration>,
}

/// Where a worker is in its life, as the arbiter sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum WorkerPhase {
    /// It has not said that it serves.
    Booting,
    /// It serves.
    Serving,
    /// It was told to leave, or leaves by itself.
    Leaving,
    /// It has timed out or did not leave, and is being ended.
    Dying,
}

impl WorkerPhase {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Booting, Self::Serving, Self::Leaving, Self::Dying];

    /// The word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Booting => "booting",
            Self::Serving => "serving",
            Self::Leaving => "leaving",
            Self::Dying => "dying",
        }
    }
}

/// One listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerStatus {
    /// Its address, as the log says it.
    pub address: String,
    /// The number of its descriptor.
    pub descriptor: i32,
    /// Clients that wait to be accepted, where the kernel tells that.
    pub queued: Option<u32>,
}

/// What has happened since the start of the arbiter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Workers that were forked.
    pub spawned: u64,
    /// Workers that have ended, by reason.
    pub exits: BTreeMap<&'static str, u64>,
    /// Reloads whose workers came to serve.
    pub reloads: u64,
    /// Reloads that came to nothing.
    pub failed_reloads: u64,
}

/// What an operator wants done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// What HUP does.
    Reload,
    /// What USR1 does.
    ReopenLogs,
    /// What TERM does.
    Stop,
    /// What INT does.
    StopNow,
    /// Changes the number of workers.
    SetWorkers(u32),
    /// Tells a worker to leave; another takes its place.
    EndWorker(i32),
}
