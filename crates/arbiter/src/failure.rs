//! Why the server cannot start: one sentence, and one that says what to do.

use std::fmt;
use std::io::{self, Write};

/// An operator's mistake, or what the machine refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    message: String,
    hint: Option<String>,
}

impl Failure {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hint: None,
        }
    }

    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Tells the operator: on standard error, where the answer to a command is expected, and in the error log if that
    /// is a file.
    pub(crate) fn report(&self, errorlog: &str) {
        // If standard error is closed, there is no other place for the message.
        let text = self.to_string();
        let _ = writeln!(io::stderr(), "{}", settings::os_text::shown(&text));
        if errorlog != "-" {
            log::error!("{}", self.sentence());
        }
    }

    /// What happened, without the hint.
    pub(crate) fn sentence(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.message)?;
        if let Some(hint) = &self.hint {
            write!(f, "\n  hint: {hint}")?;
        }
        Ok(())
    }
}
