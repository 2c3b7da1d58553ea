//! The memory of field names: what a gateway makes of one is made once for each spelling. The memory is bounded, and a
//! name that stood at the same place of the last request costs a comparison and no allocation.

use std::collections::HashMap;

use pyo3::PyResult;

/// NameCache beyond this are forgotten before the next request. Browsers, proxies and API clients together send about a
/// hundred.
const SPELLINGS: usize = 256;
/// So are longer ones together: 256 names of the largest allowed size would be 2 MB.
const SPELLING_BYTES: usize = 32 * 1024;

#[derive(Debug)]
struct Spelling<T> {
    name: Box<[u8]>,
    meaning: T,
}

/// The spellings that have come, each with what is made of it.
#[derive(Debug)]
pub(crate) struct NameCache<T> {
    known: Vec<Spelling<T>>,
    by_name: HashMap<Box<[u8]>, usize>,
    /// The spelling that stood at each position of the last request.
    order: Vec<usize>,
    bytes: usize,
}

impl<T> NameCache<T> {
    pub(crate) fn new() -> NameCache<T> {
        NameCache {
            known: Vec::new(),
            by_name: HashMap::new(),
            order: Vec::new(),
            bytes: 0,
        }
    }

    /// A new request begins. Says whether there were too many, so that all have been forgotten.
    pub(crate) fn next_request(&mut self) -> bool {
        let too_many = self.known.len() > SPELLINGS || self.bytes > SPELLING_BYTES;
        if too_many {
            *self = NameCache::new();
        }
        too_many
    }

    /// The meaning of the name at `position` of the request. The same clients send the same names in the same order, so
    /// what stood there last is looked at first.
    ///
    /// # Errors
    /// What `meaning`, which is asked about a new spelling, raises.
    pub(crate) fn find(
        &mut self,
        position: usize,
        name: &[u8],
        meaning: impl FnOnce() -> PyResult<T>,
    ) -> PyResult<&T> {
        let index = match self.order.get(position) {
            Some(&index) if *self.known[index].name == *name => index,
            _ => self.seek(position, name, meaning)?,
        };
        Ok(&self.known[index].meaning)
    }

    fn seek(
        &mut self,
        position: usize,
        name: &[u8],
        meaning: impl FnOnce() -> PyResult<T>,
    ) -> PyResult<usize> {
        let index = match self.by_name.get(name) {
            Some(&index) => index,
            None => self.learn(name, meaning()?),
        };
        if position >= self.order.len() {
            self.order.resize(position + 1, 0);
        }
        self.order[position] = index;
        Ok(index)
    }

    /// Takes up a new spelling.
    pub(crate) fn learn(&mut self, name: &[u8], meaning: T) -> usize {
        let index = self.known.len();
        self.known.push(Spelling {
            name: name.into(),
            meaning,
        });
        self.by_name.insert(name.into(), index);
        self.bytes += name.len();
        index
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_spelling_is_learnt_once_wherever_it_stands() {
        let mut spellings = NameCache::new();
        let mut learnt = Vec::new();
        for names in [["a", "b"], ["b", "a"], ["a", "A"]] {
            assert!(!spellings.next_request());
            for (position, name) in names.into_iter().enumerate() {
                let found = spellings.find(position, name.as_bytes(), || {
                    learnt.push(name);
                    Ok(name)
                });
                assert_eq!(*found.unwrap(), name);
            }
        }
        assert_eq!(learnt, ["a", "b", "A"]);
    }

    #[test]
    fn names_without_end_are_forgotten() {
        let check = |length: usize, most: usize| {
            let mut spellings = NameCache::new();
            for number in 0..5_000 {
                spellings.next_request();
                let name = format!("{number:length$}");
                spellings.find(0, name.as_bytes(), || Ok(())).unwrap();
                assert!(spellings.known.len() <= most);
                assert_eq!(spellings.known.len(), spellings.by_name.len());
            }
        };
        check(4, SPELLINGS + 1);
        check(8_000, 5);
    }
}
