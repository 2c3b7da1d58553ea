//! The driver's forks: workers, and the master that an upgrade starts. Everything here runs on both sides of `fork`, so
//! it says at each step which process it is in.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::os::fd::AsFd;

use sys::forks::Private;
use sys::process::Fork;
use sys::signals::{Disposition, Signal};

use crate::driver::{Driver, Flow};
use crate::generation::Generation;
use crate::host::{Moment, Outcome, WorkerSeat};
use crate::supervisor::Event;
use crate::{EXIT_START, EXIT_WORKER_MEANS, service_manager, upgrade};

/// What a worker may be sent before it has handlers of its own, and must not die of.
const SWALLOWED: [Signal; 6] = [
    Signal::HUP,
    Signal::USR1,
    Signal::USR2,
    Signal::TTIN,
    Signal::TTOU,
    Signal::WINCH,
];

impl Driver<'_> {
    /// Forks; the child finds the arbiter's signal handlers gone before the first signal can reach it.
    fn fork(&mut self) -> io::Result<Fork> {
        // The guard lives to the end of this function, in both processes.
        let _blocked = sys::signals::block_all();
        let fork = self.host.fork()?;
        if fork == Fork::Child {
            if let Some(signals) = self.signals.take() {
                signals.abandon();
            }
            for signal in SWALLOWED {
                // The signal has just been disposed of with the same call.
                let _ = sys::signals::dispose(signal, Disposition::Swallow);
            }
        }
        Ok(fork)
    }

    pub(crate) fn spawn(&mut self, age: u64, slot: usize, generation: u64) -> Flow<Event> {
        let failed = |reason: String| Flow::Continue(Event::SpawnFailed { age, reason });
        let Some(shared) = self.generations.get(&generation).cloned() else {
            return failed(format!("generation {generation} is not there"));
        };
        // Conf files number workers by those that stay, and the successor of one that goes takes its number over.
        self.host.staying(&self.supervisor.staying());
        if let Err(reason) = self.host.hook(Moment::PreFork { age }) {
            return Flow::Continue(Event::SpawnRefused { age, reason });
        }
        let slot = self.scoreboard.slot(slot);
        slot.claim(0, age);
        let max_requests = with_jitter(
            shared.config.max_requests,
            shared.config.max_requests_jitter,
        );
        match self.fork() {
            Ok(Fork::Parent(pid)) => {
                slot.set_pid(pid);
                Flow::Continue(Event::Spawned { age, pid })
            }
            Ok(Fork::Child) => {
                slot.set_pid(sys::process::pid());
                Flow::Break(self.work(age, slot, shared, max_requests))
            }
            Err(error) => failed(error.to_string()),
        }
    }

    /// In the child.
    fn work(
        &mut self,
        age: u64,
        slot: sys::scoreboard::Slot,
        shared: Generation,
        max_requests: u64,
    ) -> Outcome {
        let pid = sys::process::pid();
        log::info!("Booting worker with pid: {pid}");
        let Generation { config, listeners } = shared;
        // Those of other generations would stay open with this worker, which does not serve them.
        self.generations.clear();
        // What the launcher waits for is the arbiter's.
        self.launcher = None;
        let lifeline = match self.close_lifeline() {
            Ok(lifeline) => lifeline,
            Err(error) => {
                log::error!("Worker (pid:{pid}) has no lifeline: {error}");
                return Outcome::Worker(EXIT_WORKER_MEANS);
            }
        };
        let notifier = self.notifier.clone();
        let ppid = self.pid;
        let seat = WorkerSeat {
            slot,
            scoreboard: self.scoreboard.clone(),
            rates: self.rates.clone(),
            handover: self.handover.clone(),
            notifier,
            lifeline,
            listeners,
            config,
            age,
            ppid,
            max_requests,
        };
        let code = self.host.work(seat);
        log::info!("Worker exiting (pid: {pid})");
        Outcome::Worker(code)
    }

    /// Keeps only the reading end: with the other one here, no sibling would learn of the arbiter's end.
    fn close_lifeline(&mut self) -> io::Result<Private> {
        let unused = sys::pipe::pipe()?;
        Ok(std::mem::replace(&mut self.lifeline, unused).read)
    }

    pub(crate) fn start_upgrade(&mut self) -> Flow<Event> {
        let Some(generation) = self.current() else {
            return Flow::Continue(Event::UpgradeFailed("there are no listeners".to_owned()));
        };
        match self.fork() {
            Ok(Fork::Parent(pid)) => Flow::Continue(Event::Upgrading { pid }),
            Ok(Fork::Child) => Flow::Break(self.become_new_master(&generation)),
            Err(error) => Flow::Continue(Event::UpgradeFailed(error.to_string())),
        }
    }

    /// In the child. It comes back only when the new program could not be started.
    fn become_new_master(&mut self, generation: &Generation) -> Outcome {
        if let Err(error) = self.host.hook(Moment::PreExec) {
            log::error!("{error}");
            return Outcome::Worker(EXIT_START);
        }
        for listener in &generation.listeners {
            if let Err(error) = sys::fds::set_on_exec(listener.as_fd(), sys::fds::OnExec::Keep) {
                log::error!(
                    "The listener {} cannot be passed on: {error}",
                    listener.address()
                );
            }
        }
        let mut environment = upgrade::environment(&generation.listeners, self.pid);
        environment.extend(service_manager::environment(sys::process::pid()));
        let error = self.host.exec(environment);
        log::error!("The new master could not be started: {error}");
        Outcome::Worker(EXIT_START)
    }
}

/// Different for each worker, so that they do not all reach it together.
fn with_jitter(max_requests: u64, jitter: u64) -> u64 {
    if max_requests == 0 || jitter == 0 {
        return max_requests;
    }
    // The standard library's hash keys are the randomness at hand, and this needs no better one.
    let random = RandomState::new().build_hasher().finish();
    max_requests.saturating_add(jitter.checked_add(1).map_or(random, |range| random % range))
}
