//! The memory that request heads which have not arrived in full take over all connections of a worker. A single head is
//! bounded by the limits of its parts, which leave room for almost a megabyte; this bounds their sum.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A head up to this is never refused for the memory of others, so that clients which take all of it shut no other
/// client out: usual heads are shorter, and a thousand connections that stop here hold 16 MiB.
const ALWAYS: usize = 16 * 1024;

/// What all connections hold.
#[derive(Debug)]
pub(crate) struct HeadMemory {
    bytes: AtomicUsize,
    /// `limit_head_memory`; 0 for no limit.
    limit: usize,
}

/// What one connection holds. It is given back when this is dropped.
#[derive(Debug)]
pub(crate) struct HeadCharge {
    memory: Arc<HeadMemory>,
    bytes: usize,
}

impl HeadMemory {
    pub(crate) fn new(limit: usize) -> Arc<HeadMemory> {
        Arc::new(HeadMemory {
            bytes: AtomicUsize::new(0),
            limit,
        })
    }

    /// A connection that holds this much.
    pub(crate) fn charge(self: &Arc<HeadMemory>, bytes: usize) -> HeadCharge {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        HeadCharge {
            memory: Arc::clone(self),
            bytes,
        }
    }
}

impl HeadCharge {
    /// The connection holds this much now.
    pub(crate) fn set(&mut self, bytes: usize) {
        self.memory.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.memory.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
        self.bytes = bytes;
    }

    /// Whether the connection holds more than it may while all hold as much as they do.
    pub(crate) fn is_excessive(&self) -> bool {
        let limit = self.memory.limit;
        limit != 0 && self.bytes > ALWAYS && self.memory.bytes.load(Ordering::Relaxed) > limit
    }
}

impl Drop for HeadCharge {
    fn drop(&mut self) {
        self.memory.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_heads_are_excessive_where_all_hold_more_than_the_limit() {
        let memory = HeadMemory::new(100_000);
        let mut first = memory.charge(60_000);
        assert!(!first.is_excessive());
        let second = memory.charge(60_000);
        let short = memory.charge(ALWAYS);
        assert!(first.is_excessive() && second.is_excessive());
        assert!(!short.is_excessive(), "a usual head is not");
        drop(second);
        assert!(!first.is_excessive());
        first.set(120_000);
        assert!(first.is_excessive());
        drop(first);
        drop(short);
        assert_eq!(memory.bytes.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn without_a_limit_nothing_is_excessive() {
        let memory = HeadMemory::new(0);
        assert!(!memory.charge(usize::MAX / 2).is_excessive());
    }
}
