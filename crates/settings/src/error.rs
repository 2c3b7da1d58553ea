//! What is wrong with a value, and where it came from: the operator's mistakes, each with enough in it to be
//! mended at once. Nothing here is caused by a peer.

use std::fmt;

use crate::value::Value;

/// Where a value came from, from the weakest to the strongest.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// No source gave one.
    #[default]
    Default,
    /// An environment variable that stands for one setting, such as `WEB_CONCURRENCY`.
    Environment,
    /// The conf file; its name where the caller told it.
    ConfFile(Option<String>),
    /// An environment variable that holds arguments, by its name: `GUNICORN_CMD_ARGS`.
    Arguments(String),
    /// The command line.
    CommandLine,
    /// The `CONFIG_KWARGS` of a worker class, by its name.
    WorkerClass(String),
}

impl fmt::Display for Source {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => out.write_str("the default"),
            Self::Environment => out.write_str("from the environment"),
            Self::ConfFile(None) => out.write_str("from the conf file"),
            Self::ConfFile(Some(name)) => write!(out, "from {name}"),
            Self::Arguments(name) => write!(out, "from {name}"),
            Self::CommandLine => out.write_str("from the command line"),
            Self::WorkerClass(name) => write!(out, "from {name}.CONFIG_KWARGS"),
        }
    }
}

/// A mistake in the settings: `--workers: 'abc' is not valid: expected a whole number, 0 or more (from the command
/// line)`.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{}", self.sentence())]
pub struct SettingsError {
    /// The setting as the operator knows it there: the flag, the conf-file name, or the environment variable.
    pub setting: String,
    /// What is wrong. Boxed, so that a `Result` with this error stays small.
    pub problem: Box<Problem>,
    /// Where the value stands.
    pub source_of_value: Source,
    /// What may help, where more is known than what is accepted.
    pub hint: Option<String>,
}

/// What can be wrong with a setting.
#[derive(Clone, Debug, PartialEq)]
pub enum Problem {
    /// The value has not the form that the setting takes.
    Malformed {
        /// The value.
        value: Value,
        /// What is accepted.
        expected: String,
    },
    /// The value has the right form, but the setting does not take it.
    Unacceptable {
        /// The value.
        value: Value,
        /// What is accepted.
        expected: String,
    },
    /// The setting belongs to a part of Gunicorn that this version does not have, and is not at its default.
    NotYet {
        /// The value.
        value: Value,
        /// What is missing.
        missing: &'static str,
        /// The only value that is accepted.
        default: Value,
    },
    /// The value is valid, and this machine or this user cannot do what it asks for.
    Unusable {
        /// The value.
        value: Value,
        /// Why.
        reason: String,
    },
    /// The arguments themselves are wrong: a sentence.
    Usage(String),
}

impl SettingsError {
    /// The exit code that Gunicorn leaves with: 2 for arguments that cannot be parsed, 1 for everything else.
    pub fn exit_code(&self) -> i32 {
        let arguments = matches!(
            self.source_of_value,
            Source::CommandLine | Source::Arguments(_)
        );
        match *self.problem {
            Problem::Usage(_) => 2,
            Problem::Malformed { .. } if arguments => 2,
            _ => 1,
        }
    }

    /// The lines for standard error: `error: …`, and `hint: …` below it where there is one.
    pub fn report(&self) -> String {
        report(&self.to_string(), self.hint.as_deref())
    }

    fn sentence(&self) -> String {
        let Self {
            setting,
            source_of_value,
            ..
        } = self;
        match self.problem.as_ref() {
            Problem::Malformed { value, expected } | Problem::Unacceptable { value, expected } => {
                format!("{setting}: {value} is not valid: expected {expected} ({source_of_value})")
            }
            Problem::NotYet {
                missing,
                value: Value::Bool(_),
                ..
            } => {
                format!("{setting}: this version of Oxicorn has no {missing} ({source_of_value})")
            }
            Problem::NotYet {
                value,
                missing,
                default,
            } => format!(
                "{setting}: {value} is not available: this version of Oxicorn has no {missing}; \
                 expected the default, {default}, or nothing ({source_of_value})"
            ),
            Problem::Unusable { value, reason } => {
                format!("{setting}: {value} cannot be used: {reason} ({source_of_value})")
            }
            Problem::Usage(sentence) => format!("{sentence} ({source_of_value})"),
        }
    }
}

/// The house's shape of an error on a terminal.
pub(crate) fn report(sentence: &str, hint: Option<&str>) -> String {
    match hint {
        Some(hint) => format!("error: {sentence}\n  hint: {hint}"),
        None => format!("error: {sentence}"),
    }
}

/// Why a value was not taken, before it is known where it stood.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Rejection {
    pub(crate) expected: String,
    pub(crate) malformed: bool,
    /// The part of the value that is meant, where it is not the whole.
    pub(crate) part: Option<Value>,
    pub(crate) hint: Option<String>,
}

impl Rejection {
    /// The value has not the form that is needed.
    pub(crate) fn malformed(expected: impl Into<String>) -> Self {
        Self {
            expected: expected.into(),
            malformed: true,
            part: None,
            hint: None,
        }
    }

    /// The form is right and the value is not.
    pub(crate) fn unacceptable(expected: impl Into<String>) -> Self {
        Self {
            expected: expected.into(),
            malformed: false,
            part: None,
            hint: None,
        }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(crate) fn part(mut self, part: &Value) -> Self {
        self.part = Some(part.clone());
        self
    }

    /// The error, once the setting, the value and the source are known.
    pub(crate) fn of(self, setting: &str, value: &Value, source: &Source) -> SettingsError {
        let Self {
            expected,
            malformed,
            part,
            hint,
        } = self;
        let value = part.unwrap_or_else(|| value.clone());
        let problem = match malformed {
            true => Problem::Malformed { value, expected },
            false => Problem::Unacceptable { value, expected },
        };
        SettingsError {
            setting: setting.to_owned(),
            problem: Box::new(problem),
            source_of_value: source.clone(),
            hint,
        }
    }
}
