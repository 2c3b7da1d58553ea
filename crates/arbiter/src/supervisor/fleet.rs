//! The workers there are, and the slots they sit in.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::worker::{Phase, Worker};

/// All workers by age, the oldest first, and the free slots.
#[derive(Clone, Debug)]
pub(super) struct Fleet {
    workers: BTreeMap<u64, Worker>,
    free: BTreeSet<usize>,
    last_age: u64,
}

impl Fleet {
    pub(super) fn new(slots: usize) -> Self {
        Self {
            workers: BTreeMap::new(),
            free: (0..slots).collect(),
            last_age: 0,
        }
    }

    /// Seats a new worker; `None` when every slot is taken.
    pub(super) fn seat(&mut self, generation: u64, now: Duration) -> Option<&Worker> {
        let slot = self.free.pop_first()?;
        self.last_age += 1;
        let worker = Worker {
            age: self.last_age,
            slot,
            generation,
            born: now,
            pid: None,
            phase: Phase::Booting,
            ready_since: None,
            busy_since: Some(now),
            looked_at: now,
            sent: None,
        };
        Some(self.workers.entry(self.last_age).or_insert(worker))
    }

    /// Takes a worker that is gone out of its slot.
    pub(super) fn remove(&mut self, age: u64) -> Option<Worker> {
        let worker = self.workers.remove(&age)?;
        self.free.insert(worker.slot);
        Some(worker)
    }

    pub(super) fn get(&self, age: u64) -> Option<&Worker> {
        self.workers.get(&age)
    }

    pub(super) fn get_mut(&mut self, age: u64) -> Option<&mut Worker> {
        self.workers.get_mut(&age)
    }

    pub(super) fn age_of(&self, pid: i32) -> Option<u64> {
        self.iter()
            .find(|worker| worker.pid == Some(pid))
            .map(|worker| worker.age)
    }

    /// The oldest first.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &Worker> {
        self.workers.values()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.workers.is_empty()
    }

    /// The ages of the workers that `wanted` picks, the oldest first.
    pub(super) fn ages(&self, wanted: impl Fn(&Worker) -> bool) -> Vec<u64> {
        self.iter()
            .filter(|worker| wanted(worker))
            .map(|worker| worker.age)
            .collect()
    }

    /// How many workers `wanted` picks.
    pub(super) fn count(&self, wanted: impl Fn(&Worker) -> bool) -> usize {
        self.iter().filter(|worker| wanted(worker)).count()
    }
}
