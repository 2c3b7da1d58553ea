//! How many of a process's descriptors its connections may take. The rest is for the application: a view's own `open()`
//! must not fail because clients sit idle.

use crate::timers::Millis;

/// What is left to the application where the limit allows it: its database connections, files and sockets, and the
/// temporary files of long bodies.
const RESERVE: u64 = 256;
/// Idle connections that are closed for one that comes, at most, where the application needs more than was left to it.
pub(crate) const CLOSED_AT_ONCE: usize = 16;
/// How often the process's descriptors are counted, in milliseconds, once half of the connections are there. With a
/// thousand of them it takes a third of a millisecond.
const COUNT: Millis = 250;
/// And after so many looks for a client: a burst of clients must not outrun the count. That is 5 µs of a client's cost
/// with a thousand descriptors.
const LOOKS: u32 = 64;
/// How often a lack of descriptors is told of at most, in milliseconds.
const COMPLAINT: Millis = 60_000;

/// The share of the connections.
#[derive(Debug)]
pub(crate) struct Descriptors {
    /// The most connections at once.
    pub(crate) connections: usize,
    /// What the operator asks for.
    wanted: u64,
    limit: u64,
    count_at: Millis,
    /// Looks for a client since the last count.
    looks: u32,
    complain_at: Millis,
}

impl Descriptors {
    /// Finds out how many of `wanted` connections the process can hold. Its limit is raised where it may be.
    pub(crate) fn share(wanted: u32) -> Descriptors {
        let open = sys::fds::open_count();
        let wanted = u64::from(wanted).max(1);
        let limit = sys::fds::raise_limit(open + wanted + RESERVE);
        Descriptors {
            connections: connections(limit, open, wanted),
            wanted,
            limit,
            count_at: 0,
            looks: 0,
            complain_at: 0,
        }
    }

    /// Says so where there may be fewer connections than the operator asks for.
    pub(crate) fn tell(&self) {
        if (self.connections as u64) < self.wanted {
            log::warn!(
                "worker_connections: {} instead of {}: a process may have {} descriptors (RLIMIT_NOFILE), of which {} \
                 are left to the application",
                self.connections,
                self.wanted,
                self.limit,
                reserve(self.limit)
            );
        }
    }

    /// Finds out from time to time how many connections there may be, of which `held` are there: an application that
    /// takes more than was left to it has it from them. Called at each look for a client.
    pub(crate) fn count(&mut self, held: usize, now: Millis) {
        self.looks = self.looks.saturating_add(1);
        let due = now >= self.count_at || self.looks >= LOOKS;
        if !due || 2 * held < self.connections {
            return;
        }
        self.count_at = now + COUNT;
        self.looks = 0;
        let others = sys::fds::open_count().saturating_sub(held as u64);
        self.connections = connections(self.limit, others, self.wanted);
    }

    /// Tells of a lack of descriptors, now and then.
    pub(crate) fn complain(&mut self, error: &dyn std::fmt::Display, now: Millis) {
        if now >= self.complain_at {
            self.complain_at = now + COMPLAINT;
            log::error!(
                "no descriptor is free for a new client: {error}; idle connections are closed to make room"
            );
        }
    }
}

fn reserve(limit: u64) -> u64 {
    RESERVE.min(limit / 4)
}

/// How many connections a process with that limit can hold beside `others`.
fn connections(limit: u64, others: u64, wanted: u64) -> usize {
    let room = limit.saturating_sub(others + reserve(limit));
    usize::try_from(room.clamp(1, wanted)).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_application_has_its_reserve_whatever_is_wanted() {
        assert_eq!(connections(4096, 24, 1000), 1000);
        assert_eq!(connections(1024, 24, 1000), 744);
        assert_eq!(connections(64, 24, 1000), 24);
        assert_eq!(connections(12, 12, 1000), 1);
        assert_eq!(connections(1 << 40, 24, 1000), 1000);
    }
}
