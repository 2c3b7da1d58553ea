//! A time limit for requests under a path, `PREFIX=SECONDS`.

use std::time::Duration;

use crate::error::Rejection;
use crate::field::Field;
use crate::kind::Kind;
use crate::value::Value;

/// How long the application may take for requests whose path begins with a prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathTimeout {
    /// The beginning of the path, as a client spells it without percent-encoding.
    pub prefix: String,
    /// The limit; zero is none.
    pub timeout: Duration,
}

impl PathTimeout {
    const ACCEPTED: &str = "PREFIX=SECONDS, as /export/=300";
}

impl Field for PathTimeout {
    fn from_value(value: &Value) -> Result<Self, Rejection> {
        let text = String::from_value(value)?;
        let refuse = || Rejection::unacceptable(Self::ACCEPTED).part(value);
        // A path may have an equals sign; a number has none.
        let (prefix, seconds) = text.rsplit_once('=').ok_or_else(refuse)?;
        if !prefix.starts_with('/') {
            return Err(refuse().hint("the prefix is a path, which begins with a slash"));
        }
        let seconds = Kind::Seconds.check(&Value::from(seconds));
        let timeout = seconds.and_then(|seconds| Duration::from_value(&seconds));
        Ok(Self {
            prefix: prefix.to_owned(),
            timeout: timeout.map_err(|_| refuse())?,
        })
    }

    fn to_value(&self) -> Value {
        let seconds = self.timeout.as_secs_f64();
        Value::Str(format!("{}={seconds}", self.prefix))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_limit_is_a_prefix_and_seconds() {
        let check = |text: &str, expected: Option<(&str, f64)>| {
            let limit = PathTimeout::from_value(&Value::from(text)).ok();
            let limit = limit.as_ref();
            let parts = limit.map(|limit| (limit.prefix.as_str(), limit.timeout.as_secs_f64()));
            assert_eq!(parts, expected, "{text}");
        };
        check("/export=300", Some(("/export", 300.0)));
        check("/a=b/=0.5", Some(("/a=b/", 0.5)));
        check("/=0", Some(("/", 0.0)));
        check("export=3", None);
        check("/export", None);
        check("/export=", None);
        check("/export=-1", None);
        check("/export=soon", None);
        check("=3", None);
    }
}
