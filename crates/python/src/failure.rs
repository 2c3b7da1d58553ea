//! Why the server does not run: the operator's mistakes and the application's, each with the exit code that scripts
//! know from Gunicorn. It is told once, in one place, and never as a traceback of ours.

use std::fmt;

use pyo3::prelude::*;
use settings::SettingsError;

use crate::text;

/// Exit code of a mistake in the configuration.
pub(crate) const CONFIGURATION: i32 = 1;
/// Exit code of a worker whose application, or whose hooks, fail while it boots.
pub(crate) const BOOT: i32 = 3;

/// A reason to stop.
#[derive(Debug)]
pub(crate) struct Failure {
    /// Lines for the operator: what is wrong, then what may help.
    pub(crate) report: String,
    /// The exit code.
    pub(crate) code: i32,
}

impl Failure {
    /// A mistake in the configuration.
    pub(crate) fn configuration(report: impl Into<String>) -> Self {
        Self {
            report: report.into(),
            code: CONFIGURATION,
        }
    }

    /// Several mistakes as one failure, with the exit code of the first; `None` where there is none.
    pub(crate) fn all(mistakes: Vec<Self>) -> Option<Self> {
        let code = mistakes.first()?.code;
        let reports: Vec<String> = mistakes.into_iter().map(|mistake| mistake.report).collect();
        Some(Self {
            report: reports.join("\nerror: "),
            code,
        })
    }

    /// What was raised while the logs were set up: a setting that cannot work is told without a traceback.
    pub(crate) fn of_logging(py: Python<'_>, error: &PyErr) -> Self {
        let is_of_setting = || -> PyResult<bool> {
            let class = py.import("oxicorn.errors")?.getattr("SettingError")?;
            error.value(py).is_instance(&class)
        };
        match is_of_setting() {
            Ok(true) => Self::configuration(text::of(error.value(py))),
            _ => Self::raised(py, "while the logs were set up", error, CONFIGURATION),
        }
    }

    /// An exception of the user's code, shown with the user's frames: `what` says in which part of it.
    pub(crate) fn raised(py: Python<'_>, what: &str, error: &PyErr, code: i32) -> Self {
        let report = match describe(py, error) {
            Ok((place, traceback)) => format!("{place} raised {what}\n{traceback}"),
            // The exception itself cannot be shown, perhaps because its __str__ raises.
            Err(_) => format!("an exception was raised {what}: {error}"),
        };
        Self { report, code }
    }
}

/// The cause in one line, out of a report: the exception at the end of a traceback with where it was raised, or the
/// first line with its hint or its reason.
pub(crate) fn cause(report: &str) -> String {
    let lines: Vec<&str> = report
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    let first = lines.first().copied().unwrap_or_default();
    let is_frame = |line: &&str| line.starts_with("  File \"");
    if let Some(last_frame) = lines.iter().rposition(is_frame) {
        let behind = lines.iter().skip(last_frame);
        let exception = behind.copied().find(|line| !line.starts_with(' '));
        return format!("{}  ({first})", exception.unwrap_or_default());
    }
    match lines.get(1..) {
        Some([hint]) if hint.starts_with("  hint: ") => {
            format!("{first}; {}", hint.trim_start_matches("  hint: "))
        }
        Some([.., last]) => format!("{first}: {}", last.trim()),
        _ => first.to_owned(),
    }
}

impl From<SettingsError> for Failure {
    fn from(error: SettingsError) -> Self {
        Self {
            report: match &error.hint {
                Some(hint) => format!("{error}\n  hint: {hint}"),
                None => error.to_string(),
            },
            code: error.exit_code(),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.report)
    }
}

/// Where the user's code raised, and the traceback without frames of ours.
fn describe(py: Python<'_>, error: &PyErr) -> PyResult<(String, String)> {
    let errors = py.import("oxicorn.errors")?;
    let value = error.value(py);
    // Before Python 3.12 the exception itself does not have it yet.
    if let Some(traceback) = error.traceback(py) {
        value.setattr("__traceback__", traceback)?;
    }
    Ok((
        text::extract(&errors.call_method1("place", (value,))?)?,
        text::extract(&errors.call_method1("user_traceback", (value,))?)?,
    ))
}

/// The traceback of an exception in the user's code, for the log.
pub(crate) fn traceback(py: Python<'_>, error: &PyErr) -> String {
    describe(py, error).map_or_else(|_| error.to_string(), |(_, traceback)| traceback)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cause_is_one_line() {
        let check = |report: &str, expected: &str| assert_eq!(cause(report), expected);
        check("no such thing", "no such thing");
        check(
            "cannot import \"a\"\n  hint: did you mean \"b\"?",
            "cannot import \"a\"; did you mean \"b\"?",
        );
        check(
            "a.py:1 raised while it was imported\nTraceback (most recent call last):\n  File \"a.py\", line 1, in <module>\n    \
             raise ValueError\n    ^^^^^\nValueError: no\n  more of it",
            "ValueError: no  (a.py:1 raised while it was imported)",
        );
    }
}
