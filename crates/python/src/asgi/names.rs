//! Field names as ASGI wants them: lower-case `bytes`, made once for each spelling.

use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::gateway::{NameCache, Unserved};
use server::name_policy::{NamePolicy, Rules, tell_dropped};

/// What is known of a spelling.
#[derive(Debug)]
struct ScopeName {
    lower: Py<PyBytes>,
    rules: Rules,
}

/// The memory of names.
#[derive(Debug)]
pub(super) struct Names {
    policy: NamePolicy,
    spellings: NameCache<ScopeName>,
}

impl Names {
    pub(super) fn new(policy: NamePolicy) -> Names {
        Names {
            policy,
            spellings: NameCache::new(),
        }
    }

    /// A new request begins.
    pub(super) fn next_request(&mut self) {
        self.spellings.next_request();
    }

    /// The name under which the field at `position` of the request goes to the application; `None` for one that is left
    /// out.
    ///
    /// # Errors
    /// The name has an underscore and `header_map` is `refuse`.
    pub(super) fn judge<'py>(
        &mut self,
        py: Python<'py>,
        position: usize,
        name: &[u8],
        trusted: bool,
    ) -> Result<Option<&Bound<'py, PyBytes>>, Unserved> {
        let policy = &self.policy;
        let meaning = self.spellings.find(position, name, || {
            Ok(ScopeName {
                lower: PyBytes::new(py, &name.to_ascii_lowercase()).unbind(),
                rules: policy.rules(name),
            })
        })?;
        let passes = meaning.rules.pass(trusted)?;
        if !passes {
            tell_dropped(name);
        }
        Ok(passes.then(|| meaning.lower.bind(py)))
    }
}
