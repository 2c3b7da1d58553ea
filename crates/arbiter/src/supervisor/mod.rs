//! What has to happen to the workers: a pure state machine. Events go in, actions come out; it reads no clock, no
//! memory that others write, and does nothing itself.
//!
//! After every event the supervisor compares the workers that there are with those that there shall be, and asks for
//! the difference (`converge`). So there is no script for a reload or a recycling that a death in its middle could
//! upset: there are only rules about who may go, and each says who has to serve first.

mod back_off;
mod care;
mod condition;
mod converge;
mod death;
mod event;
mod fleet;
mod signals;
mod worker;

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;

use std::time::Duration;

use sys::process::End;
use sys::scoreboard::State;

pub(crate) use self::condition::{Condition, Stand};
pub(crate) use self::event::{Action, Event, Level, Observation, Terms};

use self::back_off::{BackOff, LIVED};
use self::fleet::Fleet;
use self::worker::{Phase, Why, Worker};
use crate::host::Moment;
use crate::status::{Totals, WorkerStatus};
use crate::{EXIT_APP_LOAD, EXIT_WORKER_BOOT, EXIT_WORKER_MEANS};

/// Slots that no number of workers may use up: successors, new generations and workers on their way out need seats
/// beside those that serve. With fewer free seats than new workers a reload goes in steps.
const SPARE_SLOTS: usize = 8;

/// How many slots a scoreboard needs for this many workers: all of them twice, because a reload boots a generation
/// beside the one that serves, and room for TTIN to add some. It is fixed for the life of the arbiter.
pub(crate) fn slots_for(workers: u32) -> usize {
    /// What TTIN may add to a small server.
    const HEADROOM: usize = 32;
    usize::try_from(workers)
        .unwrap_or(usize::MAX)
        .saturating_mul(2)
        .saturating_add(HEADROOM)
}

/// How long a server that has never served tries to make its first worker where the system gives it no process, no
/// thread or no descriptor. The pauses between the attempts grow, so the last one may come some seconds later.
const LACK: Duration = Duration::from_secs(10);

/// Untimely deaths while booting after which a reload is given up. One may be an accident.
const BOOT_ATTEMPTS: u32 = 3;

/// The workers that were forked with one reading of the configuration.
#[derive(Clone, Copy, Debug)]
struct WorkerGeneration {
    number: u64,
    /// `workers` follows TTIN, TTOU and WINCH.
    terms: Terms,
    /// Whether a worker of it has ever served.
    proven: bool,
    /// Untimely deaths before that.
    failures: u32,
}

/// How workers are told to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    /// Finish what there is.
    Graceful,
    /// At once.
    Quick,
}

/// What the arbiter is about.
#[derive(Clone, Copy, Debug)]
enum Stage {
    /// Keeping up the number of workers.
    Running,
    /// Waiting for the workers to leave.
    Stopping {
        code: i32,
        reason: Option<&'static str>,
        how: How,
        /// When those that are still there are killed.
        kill_at: Duration,
    },
    /// Nothing any more.
    Ended,
}

/// The supervisor.
#[derive(Clone, Debug)]
pub(crate) struct Supervisor {
    slots: usize,
    fleet: Fleet,
    stage: Stage,
    /// The generation that new workers belong to.
    current: WorkerGeneration,
    /// What to go back to while the current generation is not proven.
    fallback: Option<WorkerGeneration>,
    /// The age of the one worker that is being replaced because it has served its number of requests.
    recycling: Option<u64>,
    back_off: BackOff,
    /// The end of the pause for which workers were not made when they were last looked at.
    paused_until: Option<Duration>,
    /// Until when the server serves on, once it was told to stop.
    drain_until: Option<Duration>,
    /// The master that this one is to replace.
    parent: Option<i32>,
    /// The master that is to replace this one.
    upgrade: Option<i32>,
    /// Whether as many workers as were asked for have ever served.
    has_served: bool,
    /// The last generation of which as many workers as were asked for have served.
    complete: Option<u64>,
    /// Whether a worker has ever served.
    has_ever_served: bool,
    /// Since when no worker could be made, as long as none has ever served.
    without_means: Option<Duration>,
    /// Why the last reload came to nothing.
    failed_reload: Option<String>,
    totals: Totals,
    actions: Vec<Action>,
}

impl Supervisor {
    /// A supervisor without workers, as generation 0. `parent` is the master that this one was started by.
    pub(crate) fn new(terms: Terms, slots: usize, parent: Option<i32>) -> Self {
        let current = WorkerGeneration {
            number: 0,
            terms,
            proven: false,
            failures: 0,
        };
        Self {
            slots,
            fleet: Fleet::new(slots),
            stage: Stage::Running,
            current,
            fallback: None,
            recycling: None,
            back_off: BackOff::default(),
            paused_until: None,
            drain_until: None,
            parent,
            upgrade: None,
            has_served: false,
            complete: None,
            has_ever_served: false,
            without_means: None,
            failed_reload: None,
            totals: Totals::default(),
            actions: Vec::new(),
        }
    }

    /// Takes in what happened, and says what is to be done. `now` never goes back.
    pub(crate) fn handle(&mut self, event: Event, now: Duration) -> Vec<Action> {
        match event {
            Event::Start | Event::Tick => {}
            Event::Spawned { age, pid } => self.spawned(age, pid, now),
            Event::SpawnFailed { age, reason } => self.spawn_failed(age, &reason, now),
            Event::SpawnRefused { age, reason } => self.spawn_refused(age, &reason, now),
            Event::Observed(all) => all.iter().for_each(|seen| self.observed(*seen, now)),
            Event::Died {
                pid,
                end,
                out_of_memory,
            } => self.died(pid, end, out_of_memory, now),
            Event::Signal(received) => self.signalled(received, now),
            Event::Vanished { pid } => self.vanished(pid, now),
            Event::Reloaded { generation, terms } => self.reloaded(generation, terms, now),
            Event::ReloadFailed(reason) => self.reload_failed(&reason),
            Event::Upgrading { pid } => self.upgrade = Some(pid),
            Event::UpgradeFailed(reason) => {
                self.log(
                    Level::Error,
                    format!("The new master could not be started: {reason}"),
                );
            }
            Event::Resized(number) if self.is_running() => self.set_number(number),
            Event::Resized(_) => {}
            Event::Unwanted { pid } => self.unwanted(pid, now),
            Event::ParentGone => self.promoted(),
        }
        self.expire(now);
        self.end_drain(now);
        match self.stage {
            Stage::Running => self.converge(now),
            Stage::Stopping { .. } => self.finish(now),
            Stage::Ended => {}
        }
        std::mem::take(&mut self.actions)
    }
}

/// What is told to others.
impl Supervisor {
    /// When [`Event::Tick`] is due, if nothing happens before. Always later than the last event.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        let workers = self
            .fleet
            .iter()
            .filter_map(|worker| worker.deadline(&self.current.terms));
        let others = match self.stage {
            Stage::Stopping { kill_at, .. } => Some(kill_at + care::GONE_AFTER_KILL),
            // Also where it has passed since.
            Stage::Running => self.paused_until,
            Stage::Ended => None,
        };
        let drained = self.drain_until.filter(|_| self.is_running());
        workers.chain(others).chain(drained).min()
    }

    /// How many workers there shall be.
    pub(crate) fn target(&self) -> u32 {
        self.current.terms.workers
    }

    /// The generation that new workers belong to.
    pub(crate) fn generation(&self) -> u64 {
        self.current.number
    }

    /// What has happened since the start.
    pub(crate) fn totals(&self) -> &Totals {
        &self.totals
    }

    /// The workers there are, the oldest first.
    pub(crate) fn workers(&self) -> impl Iterator<Item = WorkerStatus> {
        self.fleet.iter().filter_map(Worker::status)
    }

    /// The pids and slots of the workers there are.
    pub(crate) fn seats(&self) -> impl Iterator<Item = (i32, usize)> {
        self.fleet
            .iter()
            .filter_map(|worker| Some((worker.pid?, worker.slot)))
    }

    /// Whether all workers have been told to leave.
    pub(crate) fn is_stopping(&self) -> bool {
        !matches!(self.stage, Stage::Running)
    }

    /// Whether the server was told to stop, also where it serves on for a while.
    pub(crate) fn is_withdrawn(&self) -> bool {
        self.is_stopping() || self.drain_until.is_some()
    }

    /// Whether this master was started by another that is still there.
    pub(crate) fn has_parent(&self) -> bool {
        self.parent.is_some()
    }

    /// The master that is to replace this one.
    pub(crate) fn upgrade_pid(&self) -> Option<i32> {
        self.upgrade
    }

    /// What Gunicorn calls this master in its log.
    fn name(&self) -> &'static str {
        if self.parent.is_some() {
            "Master.2"
        } else {
            "Master"
        }
    }

    fn log(&mut self, level: Level, line: impl Into<String>) {
        self.actions.push(Action::Log(level, line.into()));
    }
}

/// Births and deaths.
impl Supervisor {
    fn spawned(&mut self, age: u64, pid: i32, now: Duration) {
        let Some(worker) = self.fleet.get_mut(age) else {
            return;
        };
        worker.pid = Some(pid);
        self.totals.spawned += 1;
        let generation = worker.generation;
        // Between the wish and the fork, a fork that failed may have changed everything.
        if let Stage::Stopping { how, kill_at, .. } = self.stage {
            self.dismiss(age, how, Why::Stop, kill_at);
        } else if generation != self.current.number {
            let kill_at = now + self.current.terms.graceful_timeout;
            self.dismiss(age, How::Graceful, Why::Reload, kill_at);
        }
    }

    fn spawn_failed(&mut self, age: u64, reason: &str, now: Duration) {
        self.log(
            Level::Error,
            format!("A worker could not be started: {reason}"),
        );
        if let Some(worker) = self.remove(age) {
            self.untimely(&worker, now);
            self.note_lack(now);
        }
    }

    /// The system did not give what a worker needs. A server that goes on is not ended by that, because others may give
    /// back what they have; one that has never served would look as if it ran.
    fn note_lack(&mut self, now: Duration) {
        if self.has_ever_served || !matches!(self.stage, Stage::Running) {
            return;
        }
        let since = *self.without_means.get_or_insert(now);
        if now.saturating_sub(since) >= LACK {
            let reason = "No worker could be started.";
            self.stop(How::Graceful, EXIT_WORKER_BOOT, Some(reason), now);
        }
    }

    /// Unlike a fork that failed, it will fail the same way next time: a server that has never served ends.
    fn spawn_refused(&mut self, age: u64, reason: &str, now: Duration) {
        self.log(
            Level::Error,
            format!("A worker could not be started: {reason}"),
        );
        let Some(worker) = self.remove(age) else {
            return;
        };
        if !self.is_fatal(&worker, End::Exited(EXIT_WORKER_BOOT), now) {
            self.untimely(&worker, now);
        }
    }

    fn observed(&mut self, seen: Observation, now: Duration) {
        let Some(age) = self.fleet.age_of(seen.pid) else {
            return;
        };
        let graceful_timeout = self.current.terms.graceful_timeout;
        let Some(worker) = self.fleet.get_mut(age) else {
            return;
        };
        worker.busy_since = seen.busy_since;
        worker.looked_at = now;
        let asks_to_go = seen.state == State::Recycling;
        match (worker.phase, seen.state) {
            (_, State::Stuck) if !worker.is_ending() => self.abort(age, now),
            (Phase::Booting, State::Ready | State::Recycling) => {
                worker.phase = Phase::Serving { asks_to_go };
                worker.ready_since = Some(now);
                let generation = worker.generation;
                self.serves(generation);
            }
            (Phase::Serving { .. }, State::Ready | State::Recycling) => {
                worker.phase = Phase::Serving { asks_to_go };
            }
            (Phase::Booting | Phase::Serving { .. }, State::Stopping) => {
                // It goes by itself, as a worker does whose source files have changed.
                worker.phase = Phase::Leaving {
                    kill_at: now + graceful_timeout,
                };
            }
            _ => {}
        }
    }

    /// A worker of this generation serves for the first time.
    fn serves(&mut self, generation: u64) {
        if let Some(fallback) = self
            .fallback
            .as_mut()
            .filter(|fallback| fallback.number == generation)
        {
            // It was still booting when the reload came. It has shown now that it can be gone back to.
            fallback.proven = true;
        }
        self.has_ever_served = true;
        if generation != self.current.number || self.current.proven {
            return;
        }
        self.current.proven = true;
        self.failed_reload = None;
        if generation > 0 {
            self.totals.reloads += 1;
        }
        self.actions.push(Action::Adopt { generation });
        if let Some(before) = self.fallback.take() {
            self.forget_if_gone(before.number);
        }
    }

    fn died(&mut self, pid: i32, end: End, out_of_memory: Option<bool>, now: Duration) {
        if self.upgrade == Some(pid) {
            return self.upgrade_ended(pid, end);
        }
        let Some(worker) = self.fleet.age_of(pid).and_then(|age| self.remove(age)) else {
            // As process 1 of a container the arbiter inherits orphans.
            let line = format!("Reaped unknown child process (pid:{pid}, status:{end})");
            return self.log(Level::Debug, line);
        };
        let reason = death::reason(&worker, end, out_of_memory);
        *self.totals.exits.entry(reason).or_default() += 1;
        let (level, line) = death::describe(&worker, pid, end, out_of_memory);
        self.log(level, line);
        self.actions.push(Action::Tell(Moment::ChildExit {
            pid,
            age: worker.age,
        }));
        if worker.ready_since.is_none() && self.is_fatal(&worker, end, now) {
            return;
        }
        let hung_while_booting = worker.ready_since.is_none()
            && worker.sent.is_some_and(|sent| sent.why == Why::Timeout);
        if (worker.sent.is_none() && !self.has_reloaded(&worker, end)) || hung_while_booting {
            self.untimely(&worker, now);
        }
        if worker.ready_since.is_none() && end == End::Exited(EXIT_WORKER_MEANS) {
            self.note_lack(now);
        }
    }

    /// Whether it made room for new code, which happens after each change of a file.
    fn has_reloaded(&self, worker: &Worker, end: End) -> bool {
        let left = matches!(worker.phase, Phase::Leaving { .. });
        self.current.terms.reload && left && end == End::Exited(0)
    }

    /// Without an exit status the reason is unknown.
    fn vanished(&mut self, pid: i32, now: Duration) {
        let Some(worker) = self.fleet.age_of(pid).and_then(|age| self.remove(age)) else {
            return;
        };
        let line =
            format!("Worker (pid:{pid}) is gone, and somebody else has collected its exit status.");
        self.log(Level::Warning, line);
        self.actions.push(Action::Tell(Moment::ChildExit {
            pid,
            age: worker.age,
        }));
        if worker.sent.is_none() {
            self.untimely(&worker, now);
        }
    }

    /// A worker that never served is gone. Says whether that decides about its generation, and does what follows.
    fn is_fatal(&mut self, worker: &Worker, end: End, now: Duration) -> bool {
        let on_trial = worker.generation == self.current.number && !self.current.proven;
        if !on_trial || !matches!(self.stage, Stage::Running) {
            return false;
        }
        let hung = worker.sent.is_some_and(|sent| sent.why == Why::Timeout);
        let (code, reason) = match end {
            End::Exited(EXIT_WORKER_BOOT) if worker.sent.is_none() => {
                (EXIT_WORKER_BOOT, "Worker failed to boot.")
            }
            End::Exited(EXIT_APP_LOAD) if worker.sent.is_none() => {
                (EXIT_APP_LOAD, "App failed to load.")
            }
            _ if hung && self.fallback.is_some() => {
                (EXIT_WORKER_BOOT, "Worker timed out while booting.")
            }
            _ => return false,
        };
        if self.fallback.is_some() {
            self.give_up(reason, now);
        } else {
            self.stop(How::Graceful, code, Some(reason), now);
        }
        true
    }

    /// A worker died without having been told to.
    fn untimely(&mut self, worker: &Worker, now: Duration) {
        if worker.has_served_for(LIVED, now) || self.has_lived_since_the_last_failure(now) {
            self.back_off.reset();
        }
        if worker.has_served_for(LIVED, now) || !matches!(self.stage, Stage::Running) {
            return;
        }
        if let Some(pause) = self.back_off.fail(worker.born, now) {
            // Shorter pauses are nothing that an operator has to know about.
            if pause >= Duration::from_secs(1) {
                let line = format!(
                    "Workers keep dying: the next one starts in {:.1} s",
                    pause.as_secs_f32()
                );
                self.log(Level::Warning, line);
            }
        }
        if worker.generation == self.current.number && !self.current.proven {
            self.current.failures += 1;
            if self.fallback.is_some() && self.current.failures >= BOOT_ATTEMPTS {
                self.give_up("Workers keep dying while they boot.", now);
            }
        }
    }

    fn has_lived_since_the_last_failure(&self, now: Duration) -> bool {
        self.fleet.iter().any(|worker| {
            self.back_off.is_survivor(worker.born)
                && worker.is_serving()
                && worker.has_served_for(LIVED, now)
        })
    }

    fn remove(&mut self, age: u64) -> Option<Worker> {
        let worker = self.fleet.remove(age)?;
        self.actions.push(Action::Release { slot: worker.slot });
        self.forget_if_gone(worker.generation);
        Some(worker)
    }

    fn forget_if_gone(&mut self, generation: u64) {
        let wanted = generation == self.current.number
            || self
                .fallback
                .is_some_and(|fallback| fallback.number == generation);
        if !wanted && self.fleet.count(|worker| worker.generation == generation) == 0 {
            self.actions.push(Action::Forget { generation });
        }
    }
}
