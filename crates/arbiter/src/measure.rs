//! What the arbiter measures: the number of workers, and how many clients wait to be accepted.

use std::os::fd::AsFd;
use std::time::Duration;

use crate::listeners::Listener;

/// How often the accept queues are looked at, Gunicorn's interval.
const INTERVAL: Duration = Duration::from_secs(1);

/// Something that was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// How many workers there are. Told when it changes.
    Workers(u64),
    /// How many clients wait in the accept queues. Told once a second where the settings ask for it.
    Backlog(u64),
}

/// What was told last, and when to look again.
#[derive(Debug, Default)]
pub(crate) struct Measures {
    workers: Option<usize>,
    backlog_due: Option<Duration>,
}

impl Measures {
    /// The number of workers, where that is news.
    pub(crate) fn workers(&mut self, now: usize) -> Option<Metric> {
        (self.workers.replace(now) != Some(now)).then_some(Metric::Workers(now as u64))
    }

    /// When the queues are to be looked at.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        self.backlog_due
    }

    /// The length of all queues together, if it is wanted and it is time to look. `None` where no queue can be looked
    /// at.
    pub(crate) fn backlog(&mut self, wanted: Option<&[Listener]>, now: Duration) -> Option<Metric> {
        let Some(listeners) = wanted else {
            self.backlog_due = None;
            return None;
        };
        if self.backlog_due.is_some_and(|due| now < due) {
            return None;
        }
        self.backlog_due = Some(now + INTERVAL);
        let queues = listeners
            .iter()
            .filter_map(|listener| sys::accept_queue::queued(listener.as_fd()));
        queues
            .map(u64::from)
            .reduce(|all, one| all + one)
            .map(Metric::Backlog)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_workers_is_told_when_it_changes() {
        let mut measures = Measures::default();
        assert_eq!(measures.workers(0), Some(Metric::Workers(0)));
        assert_eq!(measures.workers(2), Some(Metric::Workers(2)));
        assert_eq!(measures.workers(2), None);
    }

    #[test]
    fn queues_are_looked_at_once_a_second_where_that_is_wanted() {
        let second = Duration::from_secs(1);
        let mut measures = Measures::default();
        assert_eq!(measures.backlog(None, second), None);
        assert_eq!(measures.deadline(), None);
        // No queue at all has no length.
        assert_eq!(measures.backlog(Some(&[]), second), None);
        assert_eq!(measures.deadline(), Some(2 * second));
    }
}
