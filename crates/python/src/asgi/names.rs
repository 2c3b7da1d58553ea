//! Field names as ASGI wants them: lower-case `bytes`, made once for each spelling. The memory is bounded; the same clients send the
//! same names in the same order, so the position is tried first.

use std::collections::HashMap;

use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::wsgi::{NamePolicy, Rule};

/// Spellings beyond this are forgotten before the next request. Browsers, proxies and API clients together send about a hundred.
const SPELLINGS: usize = 256;
/// So are longer ones together: 256 names of the largest allowed size would be 2 MB.
const SPELLING_BYTES: usize = 32 * 1024;

/// One spelling of a name.
#[derive(Debug)]
struct Spelling {
    name: Box<[u8]>,
    lower: Py<PyBytes>,
    from_trusted: Rule,
    from_others: Rule,
}

/// What becomes of a field.
#[derive(Debug)]
pub(super) enum Verdict<'a, 'py> {
    /// It goes to the application under this name.
    Pass(&'a Bound<'py, PyBytes>),
    /// It is left out.
    Drop,
    /// The request is refused.
    Refuse,
}

/// The memory of names.
#[derive(Debug)]
pub(super) struct Names {
    policy: NamePolicy,
    spellings: Vec<Spelling>,
    by_name: HashMap<Box<[u8]>, usize>,
    /// The spelling that stood at each position of the last request.
    order: Vec<usize>,
    bytes: usize,
}

impl Names {
    pub(super) fn new(policy: NamePolicy) -> Names {
        Names {
            policy,
            spellings: Vec::new(),
            by_name: HashMap::new(),
            order: Vec::new(),
            bytes: 0,
        }
    }

    /// A new request begins.
    pub(super) fn next_request(&mut self) {
        if self.spellings.len() > SPELLINGS || self.bytes > SPELLING_BYTES {
            self.spellings.clear();
            self.by_name.clear();
            self.order.clear();
            self.bytes = 0;
        }
    }

    /// Judges the field at `position` of the request.
    pub(super) fn judge<'a, 'py>(
        &'a mut self,
        py: Python<'py>,
        position: usize,
        name: &[u8],
        trusted: bool,
    ) -> Verdict<'a, 'py> {
        let index = self.find(py, position, name);
        let spelling = &self.spellings[index];
        let rule = match trusted {
            true => spelling.from_trusted,
            false => spelling.from_others,
        };
        match rule {
            Rule::Pass => Verdict::Pass(spelling.lower.bind(py)),
            Rule::Drop => Verdict::Drop,
            Rule::Refuse => Verdict::Refuse,
        }
    }

    fn find(&mut self, py: Python<'_>, position: usize, name: &[u8]) -> usize {
        if let Some(&index) = self.order.get(position)
            && *self.spellings[index].name == *name
        {
            return index;
        }
        let index = match self.by_name.get(name) {
            Some(&index) => index,
            None => self.learn(py, name),
        };
        if position >= self.order.len() {
            self.order.resize(position + 1, 0);
        }
        self.order[position] = index;
        index
    }

    fn learn(&mut self, py: Python<'_>, name: &[u8]) -> usize {
        let (from_trusted, from_others) = self.policy.rules(name);
        let index = self.spellings.len();
        self.spellings.push(Spelling {
            name: name.into(),
            lower: PyBytes::new(py, &name.to_ascii_lowercase()).unbind(),
            from_trusted,
            from_others,
        });
        self.by_name.insert(name.into(), index);
        self.bytes += name.len();
        index
    }
}
