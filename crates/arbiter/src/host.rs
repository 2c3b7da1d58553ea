//! What the arbiter asks of the program that it is part of, and what it tells it.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use settings::Config;
use sys::fdpass::Queue;
use sys::forks::Private;
use sys::pipe::Notifier;
use sys::process::Fork;
use sys::rate_table::RateTable;
use sys::scoreboard::{Scoreboard, Slot};

use crate::listeners::Listener;
use crate::measure::Metric;
use crate::status::Admin;

/// The program round the arbiter. Everything is called in the arbiter's process, unless it says otherwise.
pub trait Host {
    /// Reads the sources of the configuration again (HUP). The error is a sentence for the log.
    fn load_config(&mut self) -> Result<Config, String>;

    /// Forgets what [`Host::load_config`] read last and goes back to the configuration before it, because something
    /// that it names is not there, or the workers that were to run with it did not boot. Called once for each
    /// configuration that was read since the last [`Host::settle_config`], the last one first.
    fn abandon_config(&mut self) {}

    /// Workers serve with the configuration that was read last: there is no way back to those before it.
    fn settle_config(&mut self) {}

    /// What kind of workers there will be, for the log. Said once the application is imported, where that is done
    /// before the fork.
    fn workers(&self, config: &Config) -> String {
        config.effective_worker_class().name().to_owned()
    }

    /// Shows what is listened on, before the hooks that may ask: at the start and after every reload.
    fn listening(&mut self, _listeners: &[Listener]) {}

    /// Shows which workers are to stay, before the hooks that may ask. The others are to go, or have been told to.
    fn staying(&mut self, _pids: &[i32]) {}

    /// Imports the application before any worker is forked, and makes its memory ready to be shared.
    fn preload(&mut self) -> Result<(), Boot>;

    /// Forks. All signals are blocked meanwhile.
    fn fork(&mut self) -> io::Result<Fork>;

    /// In the child: runs a worker and returns its exit code. The signals of the arbiter are back at their default,
    /// except HUP, USR1, USR2, TTIN, TTOU and WINCH, which are swallowed until the worker has handlers for them.
    fn work(&mut self, seat: WorkerSeat) -> i32;

    /// Tells that something happens. What an error means stands with each [`Moment`].
    fn hook(&mut self, moment: Moment) -> Result<(), String>;

    /// In the child that an upgrade (USR2) forked: replaces the program by a new one with the original arguments, in
    /// the original environment plus `environment`. It returns only when that fails.
    fn exec(&mut self, environment: Vec<(String, String)>) -> io::Error;

    /// Passes on what was measured.
    fn measured(&mut self, _metric: Metric) {}

    /// How many counters each slot of the scoreboard has for the workers; see [`Scoreboard::with_counters`].
    fn counters(&self) -> usize {
        0
    }

    /// When [`Host::upkeep`] is to be called next, by the monotonic clock.
    fn upkeep_due(&self) -> Option<Duration> {
        None
    }

    /// Does what the host has to do from time to time, while workers run.
    fn upkeep(&mut self, _now: Duration) {}

    /// Who answers operators while the server runs, if anyone does.
    fn admin(&mut self) -> Option<&mut dyn Admin> {
        None
    }

    /// Opens the log files again, because they have been moved.
    fn reopen_logs(&mut self);
}

/// Why an application could not be imported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Boot {
    /// It raised, or something it needs did. Exit code 3.
    Raised(String),
    /// There is no such application. Exit code 4.
    NotFound(String),
}

/// A moment in the life of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Before the first socket is bound. An error ends the start.
    OnStarting,
    /// All sockets are bound, no worker is forked. An error ends the start.
    WhenReady,
    /// As many workers as were asked for serve, for the first time since the start or since a reload. Not a hook of
    /// Gunicorn's. An error is logged.
    Serving {
        /// How many.
        workers: u32,
    },
    /// The configuration has been read again. An error gives the reload up.
    OnReload,
    /// The number of workers that there shall be has changed. An error is logged, or ends the start.
    NworkersChanged {
        /// What it is now.
        new: u32,
        /// What it was; `None` the first time.
        old: Option<u32>,
    },
    /// A worker is about to be forked. An error keeps it from being forked.
    PreFork {
        /// The worker's age: the how-manieth of this arbiter it is.
        age: u64,
    },
    /// A worker is gone. An error is logged.
    ChildExit {
        /// The pid that it had.
        pid: i32,
        /// Its age.
        age: u64,
    },
    /// In the child that an upgrade forked, before the exec. An error ends the child.
    PreExec,
    /// The arbiter is about to end. An error is logged.
    OnExit,
}

/// What a worker gets from its arbiter.
#[derive(Debug)]
pub struct WorkerSeat {
    /// Where the worker tells how it is.
    pub slot: Slot,
    /// Where all workers of this arbiter tell how they are.
    pub scoreboard: Scoreboard,
    /// What clients have used of their rates, over all workers.
    pub rates: RateTable,
    /// Connections that workers give to each other. Closed when the arbiter ends all workers.
    pub handover: Queue,
    /// Rung by the worker when its slot's state has changed.
    pub notifier: Notifier,
    /// At its end when the arbiter is gone.
    pub lifeline: Private,
    /// Where to accept.
    pub listeners: Vec<Listener>,
    /// The configuration of this worker's generation.
    pub config: Arc<Config>,
    /// The how-manieth worker of its arbiter it is, counted from one.
    pub age: u64,
    /// The arbiter's pid.
    pub ppid: i32,
    /// The number of requests after which it asks for a successor, jitter applied; 0 is never.
    pub max_requests: u64,
}

/// How [`crate::run`] ended, and in which process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Outcome {
    /// The arbiter is done, or this is the process that started it in the background: exit with this code.
    Exit(i32),
    /// This is a worker, and it has finished: exit with this code, and clean up nothing of the arbiter's.
    Worker(i32),
}
