//! Locks that are never held while Python can run. A thread that holds one of ours and runs Python may wait there
//! for the GIL, whose holder may wait for the lock; and a greenlet that is suspended with a lock held never lets go
//! of it.
//!
//! The types see to it. What is done with a lock held is a closure into which no token of the interpreter and no
//! bound object gets: neither is `Send`, which is also what `Python::detach` goes by. The lock is of a value that
//! refers to no object of Python's ([`Plain`]): to drop such a reference may run a destructor. Values with
//! references are moved into a [`Slot`], a [`Shelf`] or a [`Stack`] and out again, and dropped outside. Other locks
//! are disallowed in this crate (`clippy.toml`).
#![expect(clippy::disallowed_types, reason = "the one place that locks")]

use std::collections::{BTreeMap, HashMap, VecDeque};

use parking_lot::{Mutex, RwLock};
use pyo3::prelude::*;

/// Values that refer to no object of Python's, so that dropping them runs no Python code.
pub(crate) trait Plain {}

impl Plain for () {}
impl Plain for i32 {}
impl Plain for u32 {}
impl Plain for bool {}
impl Plain for String {}
impl Plain for std::fs::File {}
impl Plain for std::path::PathBuf {}
impl Plain for server::Call {}
impl<T: Plain> Plain for Option<T> {}
impl<T: Plain> Plain for Box<T> {}
impl<T: Plain> Plain for Vec<T> {}
impl<T: Plain> Plain for VecDeque<T> {}
impl<T: Plain> Plain for std::collections::BTreeSet<T> {}
impl<A: Plain, B: Plain> Plain for (A, B) {}
impl<K: Plain, V: Plain> Plain for BTreeMap<K, V> {}
impl<K: Plain, V: Plain> Plain for HashMap<K, V> {}

/// A value without references to Python's objects, behind a lock.
#[derive(Debug, Default)]
pub(crate) struct Lock<T: Plain>(Mutex<T>);

impl<T: Plain> Lock<T> {
    pub(crate) const fn new(value: T) -> Lock<T> {
        Lock(Mutex::new(value))
    }

    /// Uses the value with the lock held.
    pub(crate) fn with<R>(&self, act: impl FnOnce(&mut T) -> R + Send) -> R {
        act(&mut self.0.lock())
    }
}

/// A value that is used where processes are forked, and seldom changed: a thread that was using it does not stop the
/// child, in which that thread is gone.
#[derive(Debug)]
pub(crate) struct Shared<T: Plain>(RwLock<T>);

impl<T: Plain> Shared<T> {
    pub(crate) const fn new(value: T) -> Shared<T> {
        Shared(RwLock::new(value))
    }

    /// Uses the value with the lock held, beside others that do.
    pub(crate) fn with<R>(&self, act: impl FnOnce(&T) -> R + Send) -> R {
        act(&self.0.read())
    }

    /// Changes the value.
    pub(crate) fn change<R>(&self, act: impl FnOnce(&mut T) -> R + Send) -> R {
        act(&mut self.0.write())
    }
}

/// One value, which may refer to Python's objects, behind a lock.
#[derive(Debug, Default)]
pub(crate) struct Slot<V>(Mutex<V>);

impl<V> Slot<V> {
    pub(crate) const fn new(value: V) -> Slot<V> {
        Slot(Mutex::new(value))
    }

    /// Puts a value in, and returns the one that was there.
    #[must_use = "dropping it may run Python code"]
    pub(crate) fn replace(&self, value: V) -> V {
        std::mem::replace(&mut *self.0.lock(), value)
    }

    /// The value, where there is no other way to it.
    pub(crate) fn get_mut(&mut self) -> &mut V {
        self.0.get_mut()
    }
}

impl<V> Slot<Option<V>> {
    pub(crate) const fn empty() -> Slot<Option<V>> {
        Slot::new(None)
    }

    pub(crate) fn take(&self) -> Option<V> {
        self.0.lock().take()
    }

    /// Puts a value in where there is none; returns it where there is one.
    #[must_use = "dropping it may run Python code"]
    pub(crate) fn fill(&self, value: V) -> Option<V> {
        let mut slot = self.0.lock();
        match *slot {
            None => slot.replace(value),
            Some(_) => Some(value),
        }
    }

    /// A further reference to the value.
    pub(crate) fn share(&self, py: Python<'_>) -> Option<V>
    where
        V: Share,
    {
        self.0.lock().as_ref().map(|value| value.share(py))
    }
}

/// Values that may refer to Python's objects, by their keys, behind a lock.
#[derive(Debug)]
pub(crate) struct Shelf<K, V>(Mutex<BTreeMap<K, V>>);

impl<K: Copy + Ord, V> Shelf<K, V> {
    pub(crate) const fn new() -> Shelf<K, V> {
        Shelf(Mutex::new(BTreeMap::new()))
    }

    /// Puts a value in, and returns the one that was there.
    #[must_use = "dropping it may run Python code"]
    pub(crate) fn insert(&self, key: K, value: V) -> Option<V> {
        self.0.lock().insert(key, value)
    }

    pub(crate) fn remove(&self, key: K) -> Option<V> {
        self.0.lock().remove(&key)
    }

    pub(crate) fn contains(&self, key: K) -> bool {
        self.0.lock().contains_key(&key)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.lock().len()
    }

    /// Further references to a value.
    pub(crate) fn share(&self, py: Python<'_>, key: K) -> Option<V>
    where
        V: Share,
    {
        self.0.lock().get(&key).map(|value| value.share(py))
    }

    /// Further references to all values, in the order of their keys.
    pub(crate) fn share_all(&self, py: Python<'_>) -> Vec<V>
    where
        V: Share,
    {
        self.0
            .lock()
            .values()
            .map(|value| value.share(py))
            .collect()
    }
}

/// Values that may refer to Python's objects, the last of which is taken first, behind a lock.
#[derive(Debug)]
pub(crate) struct Stack<V>(Mutex<Vec<V>>);

impl<V> Default for Stack<V> {
    fn default() -> Stack<V> {
        Stack(Mutex::default())
    }
}

impl<V> Stack<V> {
    pub(crate) fn push(&self, value: V) {
        self.0.lock().push(value);
    }

    /// Puts a value in where there are fewer than `limit`; returns it where there are as many.
    #[must_use = "dropping it may run Python code"]
    pub(crate) fn push_within(&self, limit: usize, value: V) -> Option<V> {
        let mut values = self.0.lock();
        if values.len() >= limit {
            return Some(value);
        }
        values.push(value);
        None
    }

    pub(crate) fn pop(&self) -> Option<V> {
        self.0.lock().pop()
    }

    /// Takes all values.
    pub(crate) fn take(&self) -> Vec<V> {
        std::mem::take(&mut *self.0.lock())
    }

    /// Takes the first value that is meant.
    pub(crate) fn take_first(&self, is_meant: impl Fn(&V) -> bool + Send) -> Option<V> {
        let mut values = self.0.lock();
        let place = values.iter().position(is_meant)?;
        Some(values.remove(place))
    }

    /// Puts values in behind those that are there.
    pub(crate) fn append(&self, mut values: Vec<V>) {
        self.0.lock().append(&mut values);
    }

    pub(crate) fn len(&self) -> usize {
        self.0.lock().len()
    }

    pub(crate) fn share_all(&self, py: Python<'_>) -> Vec<V>
    where
        V: Share,
    {
        self.0.lock().iter().map(|value| value.share(py)).collect()
    }
}

/// What has further references made to it. An implementation counts them, which runs no Python code, and does nothing
/// else: it is called with a lock held.
pub(crate) trait Share {
    fn share(&self, py: Python<'_>) -> Self;
}

impl<T> Share for Py<T> {
    fn share(&self, py: Python<'_>) -> Py<T> {
        self.clone_ref(py)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    /// Compiles only where `$kind` does not implement `$rule`: otherwise both implementations of the name fit.
    macro_rules! lacks {
        ($kind:ty: $rule:path) => {
            const _: fn() = || {
                trait Either<A> {
                    fn name() {}
                }
                struct Both;
                impl<T: ?Sized> Either<()> for T {}
                impl<T: ?Sized + $rule> Either<Both> for T {}
                let _ = <$kind as Either<_>>::name;
            };
        };
    }

    // Neither gets into a closure that runs with a lock held, nor does what has it.
    lacks!(Python<'static>: Send);
    lacks!(Bound<'static, PyAny>: Send);
    lacks!(&'static Bound<'static, PyAny>: Send);
    lacks!((u32, Option<Python<'static>>): Send);

    // References are in no lock whose value is used in place.
    lacks!(Py<PyAny>: Plain);
    lacks!(PyErr: Plain);
    lacks!(Vec<Py<PyAny>>: Plain);

    /// Tells whether the lock of the value was held when it was dropped.
    struct Watchful(Arc<Slot<Option<Watchful>>>, Arc<AtomicBool>);

    impl Drop for Watchful {
        fn drop(&mut self) {
            let is_held = self.0.0.is_locked();
            self.1.fetch_or(is_held, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_value_that_leaves_a_slot_is_dropped_outside() {
        let slot = Arc::new(Slot::empty());
        let held = Arc::new(AtomicBool::new(false));
        let value = || Watchful(Arc::clone(&slot), Arc::clone(&held));
        assert!(slot.fill(value()).is_none());
        drop(slot.fill(value()));
        drop(slot.replace(Some(value())));
        drop(slot.take());
        assert!(slot.take().is_none());
        assert!(!held.load(Ordering::Relaxed));
    }

    #[test]
    fn a_shelf_returns_what_it_had() {
        let shelf = Shelf::new();
        assert_eq!(shelf.insert(1, "one"), None);
        assert_eq!(shelf.insert(1, "another"), Some("one"));
        assert!(shelf.contains(1) && !shelf.contains(2));
        assert_eq!((shelf.remove(1), shelf.remove(1)), (Some("another"), None));
        assert_eq!(shelf.len(), 0);
    }

    #[test]
    fn a_stack_gives_the_last_first_and_has_a_limit() {
        let stack = Stack::default();
        stack.push(1);
        assert_eq!(stack.push_within(2, 2), None);
        assert_eq!(stack.push_within(2, 3), Some(3));
        assert_eq!(stack.take_first(|value| *value == 1), Some(1));
        assert_eq!(stack.take_first(|value| *value == 1), None);
        stack.append(vec![4, 5]);
        assert_eq!((stack.pop(), stack.len()), (Some(5), 2));
        assert_eq!(stack.take(), [2, 4]);
    }

    #[test]
    fn a_lock_gives_what_its_closure_returns() {
        let lock = Lock::new(vec![1]);
        lock.with(|values| values.push(2));
        assert_eq!(lock.with(std::mem::take), [1, 2]);
    }
}
