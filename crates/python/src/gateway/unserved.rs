//! Why an application does not get to see a request that the server has read.

use proto::Violation;
use pyo3::prelude::*;

/// The reason, which the caller of the application answers with.
#[derive(Debug)]
pub(crate) enum Unserved {
    /// It breaks a rule: the status and the rule for the error page.
    Refused(u16, &'static str),
    /// Python is out of memory, or worse.
    Raised(PyErr),
}

impl From<PyErr> for Unserved {
    fn from(error: PyErr) -> Unserved {
        Unserved::Raised(error)
    }
}

impl From<Violation> for Unserved {
    fn from(violation: Violation) -> Unserved {
        Unserved::Refused(violation.status(), violation.rule())
    }
}
