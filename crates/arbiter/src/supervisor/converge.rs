//! The workers that there shall be: who is to be forked, and who may go now that others serve in its place.

use std::time::Duration;

use settings::WorkerReplacement;

use super::event::{Action, Level, Terms};
use super::worker::{Why, Worker};
use super::{How, SPARE_SLOTS, Supervisor, WorkerGeneration};
use crate::host::Moment;

/// How many workers there shall be, and there are.
impl Supervisor {
    pub(super) fn converge(&mut self, now: Duration) {
        match self.current.terms.replacement {
            WorkerReplacement::Overlap => {
                self.retire_old_generations(now);
                self.recycle(now);
            }
            WorkerReplacement::OneByOne => self.make_room(now),
        }
        self.retire_surplus(now);
        self.spawn_missing(now);
        self.note_that_all_serve();
    }

    fn target_count(&self) -> usize {
        usize::try_from(self.current.terms.workers).unwrap_or(usize::MAX)
    }

    fn wanted(&self) -> usize {
        let target = self.target_count();
        if self.is_one_by_one() {
            return target;
        }
        // The successor of a worker that is being recycled comes in addition, until that worker is told to go.
        let successor = self
            .recycling
            .and_then(|age| self.fleet.get(age))
            .is_some_and(|worker| self.is_current(worker) && worker.is_active());
        target + usize::from(successor)
    }

    fn is_current(&self, worker: &Worker) -> bool {
        worker.generation == self.current.number
    }

    fn is_one_by_one(&self) -> bool {
        self.current.terms.replacement == WorkerReplacement::OneByOne
    }

    /// The workers that take the places of those that there shall be. One by one, a worker has its place until it is
    /// gone.
    fn placed(&self) -> usize {
        match self.is_one_by_one() {
            true => self.fleet.count(|_| true),
            false => self.active(),
        }
    }

    fn active(&self) -> usize {
        self.fleet
            .count(|worker| self.is_current(worker) && worker.is_active())
    }

    fn serving(&self) -> usize {
        self.fleet
            .count(|worker| self.is_current(worker) && worker.is_serving())
    }

    fn is_short_of_workers(&self) -> bool {
        self.placed() < self.wanted()
    }

    fn spawn_missing(&mut self, now: Duration) {
        let pause = self.back_off.pause_until(now);
        self.paused_until = pause.filter(|_| self.is_short_of_workers());
        if pause.is_some() {
            return;
        }
        for _ in self.placed()..self.wanted() {
            let generation = self.current.number;
            // Without a free slot a worker is leaving, and its death brings us here again.
            let Some(worker) = self.fleet.seat(generation, now) else {
                return;
            };
            let (age, slot) = (worker.age, worker.slot);
            self.actions.push(Action::Spawn {
                age,
                slot,
                generation,
            });
        }
    }

    fn note_that_all_serve(&mut self) {
        let generation = self.current.number;
        if self.complete != Some(generation) && self.serving() >= self.wanted() {
            self.has_served = true;
            self.complete = Some(generation);
            let workers = self.target();
            self.actions.push(Action::Tell(Moment::Serving { workers }));
        }
    }

    fn let_go(&mut self, age: u64, why: Why, now: Duration) {
        let kill_at = now + self.current.terms.graceful_timeout;
        self.dismiss(age, How::Graceful, why, kill_at);
    }

    /// An operator wants another worker in the place of this one.
    pub(super) fn unwanted(&mut self, pid: i32, now: Duration) {
        let is_active = |age: &u64| self.fleet.get(*age).is_some_and(Worker::is_active);
        if let Some(age) = self.fleet.age_of(pid).filter(is_active)
            && self.is_running()
        {
            self.let_go(age, Why::Unwanted, now);
        }
    }

    /// With more workers than there shall be: those go first that do not serve yet, the youngest of them first; then,
    /// as in Gunicorn, the oldest.
    fn retire_surplus(&mut self, now: Duration) {
        let surplus = self.active().saturating_sub(self.wanted());
        let booting = self
            .fleet
            .ages(|w| self.is_current(w) && w.is_active() && !w.is_serving());
        let serving = self.fleet.ages(|w| self.is_current(w) && w.is_serving());
        for age in booting.into_iter().rev().chain(serving).take(surplus) {
            self.let_go(age, Why::Surplus, now);
        }
    }

    /// One worker at a time that has served its number of requests goes when its successor serves. Another one's turn
    /// comes only when it is gone: they have mostly served equally many, and would leave together.
    fn recycle(&mut self, now: Duration) {
        // One of an older generation counts until it is gone as well: its generation may come back.
        let is_there = |age: &u64| self.fleet.get(*age).is_some();
        self.recycling = self
            .recycling
            .filter(is_there)
            .or_else(|| self.next_to_recycle());
        let Some(age) = self.recycling else { return };
        let is_serving = |worker: &Worker| self.is_current(worker) && worker.is_serving();
        let others = self
            .fleet
            .count(|worker| is_serving(worker) && worker.age != age);
        if self.fleet.get(age).is_some_and(is_serving) && others >= self.target_count() {
            self.let_go(age, Why::Recycled, now);
        }
    }

    /// One by one, a worker that is to be replaced goes when all the others serve: so the next one goes when the
    /// successor of the last has come to serve, and workers that do not boot take no more than one place. Those of an
    /// older generation come first.
    fn make_room(&mut self, now: Duration) {
        let full = self.fleet.count(|_| true) >= self.target_count();
        let is_old_and_boots = |worker: &Worker| {
            !self.is_current(worker) && worker.is_active() && !worker.is_serving()
        };
        for age in self.fleet.ages(is_old_and_boots) {
            self.let_go(age, Why::Reload, now);
        }
        if !full || self.fleet.count(|worker| !worker.is_serving()) > 0 {
            return;
        }
        let old = self.fleet.ages(|worker| !self.is_current(worker));
        let next = match old.first() {
            Some(age) => Some((*age, Why::Reload)),
            None => self.next_to_recycle().map(|age| (age, Why::Recycled)),
        };
        if let Some((age, why)) = next {
            self.let_go(age, why, now);
        }
    }

    /// The pids of the workers that are to stay. The others have been told to go, or will be as soon as their
    /// successors serve.
    pub(crate) fn staying(&self) -> Vec<i32> {
        let stays = |worker: &&Worker| {
            self.is_current(worker) && worker.is_active() && self.recycling != Some(worker.age)
        };
        let staying = self.fleet.iter().filter(stays);
        staying.filter_map(|worker| worker.pid).collect()
    }

    fn next_to_recycle(&self) -> Option<u64> {
        let asks = |worker: &&Worker| self.is_current(worker) && worker.asks_to_go();
        self.fleet.iter().find(asks).map(|worker| worker.age)
    }

    /// Workers of an older generation go one by one as those of the current one come to serve.
    fn retire_old_generations(&mut self, now: Duration) {
        let target = self.target_count();
        let serving = self.serving();
        if serving == 0 && target > 0 {
            return;
        }
        let booting = self
            .fleet
            .ages(|w| !self.is_current(w) && w.is_active() && !w.is_serving());
        let old = self.fleet.ages(|w| !self.is_current(w) && w.is_serving());
        let dispensable = (serving + old.len()).saturating_sub(target);
        for age in booting.into_iter().chain(old.into_iter().take(dispensable)) {
            self.let_go(age, Why::Reload, now);
        }
    }
}

/// Generations.
impl Supervisor {
    /// The configuration was read again: a new generation boots beside the one that serves.
    pub(super) fn reloaded(&mut self, number: u64, terms: Terms, now: Duration) {
        if !self.is_running() {
            return;
        }
        let superseded = self.current;
        if self.fallback.is_none() {
            self.fallback = Some(superseded);
        } else {
            // It was still on trial, so it has only workers that boot, which have nothing to finish.
            for age in self.fleet.ages(|w| self.is_current(w) && w.is_active()) {
                self.let_go(age, Why::Reload, now);
            }
        }
        self.current = WorkerGeneration {
            number,
            terms: self.bounded(terms),
            proven: false,
            failures: 0,
        };
        // An operator has intervened: what was broken may be mended.
        self.back_off.reset();
        self.forget_if_gone(superseded.number);
    }

    pub(super) fn reload_failed(&mut self, reason: &str) {
        self.totals.failed_reloads += 1;
        self.failed_reload = Some(reason.to_owned());
        self.log(Level::Error, format!("Reload failed: {reason}"));
        self.log(
            Level::Error,
            "The server goes on with the configuration that it has.",
        );
    }

    /// The current generation does not boot: goes back to the one before.
    pub(super) fn give_up(&mut self, reason: &str, now: Duration) {
        let Some(fallback) = self.fallback.take() else {
            return;
        };
        let failed = std::mem::replace(&mut self.current, fallback);
        self.failed_reload = Some(reason.to_owned());
        self.totals.failed_reloads += 1;
        self.log(Level::Error, format!("Reload failed: {reason}"));
        self.log(
            Level::Error,
            "The new workers are given up; those from before go on serving.",
        );
        for age in self
            .fleet
            .ages(|worker| worker.generation == failed.number && worker.is_active())
        {
            self.let_go(age, Why::Reload, now);
        }
        self.back_off.reset();
        self.actions.push(Action::Abandon {
            generation: failed.number,
        });
        self.tell_number(failed.terms.workers);
        self.forget_if_gone(failed.number);
    }

    fn bounded(&mut self, terms: Terms) -> Terms {
        let most = self.most_workers();
        if terms.workers > most {
            self.log(Level::Warning, format!(
                "workers = {} is more than this arbiter has room for; it runs {most} until it is restarted",
                terms.workers
            ));
        }
        Terms {
            workers: terms.workers.min(most),
            ..terms
        }
    }

    /// The number of workers that the scoreboard has room for.
    fn most_workers(&self) -> u32 {
        u32::try_from(self.slots.saturating_sub(SPARE_SLOTS)).unwrap_or(u32::MAX)
    }

    /// Changes the number of workers that there shall be.
    pub(super) fn set_number(&mut self, workers: u32) {
        let most = self.most_workers();
        if workers > most {
            let line = format!("{most} workers are as many as this arbiter has room for");
            return self.log(Level::Warning, line);
        }
        let old = std::mem::replace(&mut self.current.terms.workers, workers);
        self.tell_number(old);
    }

    fn tell_number(&mut self, old: u32) {
        let new = self.current.terms.workers;
        if new != old {
            self.actions.push(Action::Tell(Moment::NworkersChanged {
                new,
                old: Some(old),
            }));
        }
    }
}
