//! How much of its rate each client has used, for all processes that were forked from the one that made the table. It
//! keeps one time for each client: when the client would have used up nothing again (the generic cell rate algorithm).
//! Its size is fixed: where there are more clients than places, those are forgotten that have used the least.

use std::hash::{BuildHasher, Hash, RandomState};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::shared_pages::{Cell, SharedPages};

/// Places; 16 bytes each. Pages that no client has been put on take no memory.
const PLACES: usize = 32 * 1024;
/// Places that one client may be at.
const WAYS: usize = 8;
/// How often a place is tried for that other processes change meanwhile.
const TRIES: usize = 8;

#[derive(Debug)]
struct Place {
    /// The client; 0 for none.
    client: AtomicU64,
    /// When it has used up nothing, in microseconds of the monotonic clock.
    free_at: AtomicU64,
}

// SAFETY: two zeroed `AtomicU64` are valid, and there is nothing else.
unsafe impl Cell for Place {}

/// A rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How long it takes until one request more may come, in microseconds.
    pub interval_us: u64,
    /// How many may come at once.
    pub burst: u64,
}

impl Rate {
    /// When a client will have used up nothing again that will have so at `free_at`, and asks once more now. The error
    /// is in how many microseconds it may.
    fn permit(self, free_at: u64, now_us: u64) -> Result<u64, u64> {
        let depth = self.interval_us.saturating_mul(self.burst);
        let after = free_at.max(now_us).saturating_add(self.interval_us);
        let ahead = after - now_us;
        match ahead > depth {
            true => Err(ahead - depth),
            false => Ok(after),
        }
    }
}

/// The table. Copies are the same one.
#[derive(Clone, Debug)]
pub struct RateTable {
    places: Arc<SharedPages<Place>>,
    /// The same in all processes, and known to no client.
    keys: Arc<RandomState>,
}

impl RateTable {
    /// A table in which every client has used nothing.
    ///
    /// # Errors
    /// The machine has no memory for it.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            places: Arc::new(SharedPages::new(PLACES)?),
            keys: Arc::default(),
        })
    }

    /// Counts a request of a client at a time, in microseconds of the monotonic clock. Where the rate does not permit
    /// it, nothing is counted.
    ///
    /// # Errors
    /// In so many microseconds it does.
    pub fn take(&self, client: impl Hash, rate: Rate, now_us: u64) -> Result<(), u64> {
        let client = self.key(client);
        let place = self.place(client, now_us);
        for _ in 0..TRIES {
            let before = place.free_at.load(Ordering::Relaxed);
            let after = rate.permit(before, now_us)?;
            let taken = place.free_at.compare_exchange_weak(
                before,
                after,
                Ordering::Relaxed,
                Ordering::Relaxed,
            );
            if taken.is_ok() {
                break;
            }
        }
        Ok(())
    }

    /// Whether [`RateTable::take`] would permit a request. Counts nothing.
    ///
    /// # Errors
    /// In so many microseconds it would.
    pub fn look(&self, client: impl Hash, rate: Rate, now_us: u64) -> Result<(), u64> {
        let client = self.key(client);
        let known = self
            .places_of(client)
            .find(|place| place.client.load(Ordering::Relaxed) == client);
        let free_at = known.map_or(0, |place| place.free_at.load(Ordering::Relaxed));
        rate.permit(free_at, now_us).map(drop)
    }

    /// 0 is the empty place.
    fn key(&self, client: impl Hash) -> u64 {
        self.keys.hash_one(client) | 1
    }

    /// The places that a client may be at.
    fn places_of(&self, client: u64) -> impl Iterator<Item = &Place> {
        let first = client as usize / WAYS * WAYS % PLACES;
        (first..first + WAYS).map(|index| self.places.cell(index))
    }

    /// The place of a client, which gets one where it has none.
    fn place(&self, client: u64, now_us: u64) -> &Place {
        let first = client as usize / WAYS * WAYS % PLACES;
        let mut oldest = self.places.cell(first);
        let mut least = u64::MAX;
        for place in self.places_of(client) {
            if place.client.load(Ordering::Relaxed) == client {
                return place;
            }
            let free_at = place.free_at.load(Ordering::Relaxed);
            if free_at < least {
                (oldest, least) = (place, free_at);
            }
        }
        // Two processes may take the same place: one client is then counted as new again.
        oldest.client.store(client, Ordering::Relaxed);
        oldest.free_at.store(now_us, Ordering::Relaxed);
        oldest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate {
        interval_us: 1000,
        burst: 3,
    };

    #[test]
    fn a_burst_is_permitted_and_then_the_rate() {
        let table = RateTable::new().expect("mmap");
        let start = 1_000_000;
        assert_eq!(table.look("a", RATE, start), Ok(()));
        for _ in 0..3 {
            assert_eq!(table.look("a", RATE, start), Ok(()));
            assert_eq!(table.take("a", RATE, start), Ok(()));
        }
        assert_eq!(table.look("a", RATE, start), Err(1000));
        assert_eq!(table.take("a", RATE, start), Err(1000));
        assert_eq!(table.take("a", RATE, start + 400), Err(600));
        assert_eq!(table.clone().take("b", RATE, start), Ok(()));
        assert_eq!(table.take("a", RATE, start + 1000), Ok(()));
        assert_eq!(table.take("a", RATE, start + 1000), Err(1000));
        // After a pause there is a burst again, and no more than that.
        for _ in 0..3 {
            assert_eq!(table.take("a", RATE, start + 1_000_000), Ok(()));
        }
        assert!(table.take("a", RATE, start + 1_000_000).is_err());
    }

    #[test]
    fn a_crowd_does_not_free_the_one_that_asks_most() {
        let table = RateTable::new().expect("mmap");
        let slow = Rate {
            interval_us: 1_000_000,
            burst: 5,
        };
        for _ in 0..5 {
            assert_eq!(table.take("loud", slow, 1), Ok(()));
        }
        for client in 0..100_000 {
            assert_eq!(table.take(client, slow, 1), Ok(()));
        }
        assert!(table.take("loud", slow, 1).is_err());
    }
}
