//! Maps field names to `environ` keys, once per spelling: which variable a field sets, whether it may, and how repeated
//! fields are joined. A value that the last request had as well costs a comparison and no allocation.

use std::collections::HashMap;

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use crate::gateway::{NameCache, Unserved, text};
use server::name_policy::{NamePolicy, Rules, tell_dropped};

/// A longer value is not kept for the next request to compare with.
const REMEMBERED_VALUE: usize = 512;

/// Names whose keys are made, and interned, in advance. No name off the wire is interned: CPython keeps interned
/// strings for ever, and a client could fill the memory.
const COMMON: [&str; 40] = [
    "Host",
    "User-Agent",
    "Accept",
    "Accept-Encoding",
    "Accept-Language",
    "Accept-Charset",
    "Authorization",
    "Cache-Control",
    "Connection",
    "Content-Encoding",
    "Content-Length",
    "Content-Type",
    "Cookie",
    "DNT",
    "Expect",
    "Forwarded",
    "If-Match",
    "If-Modified-Since",
    "If-None-Match",
    "If-Unmodified-Since",
    "Keep-Alive",
    "Origin",
    "Pragma",
    "Range",
    "Referer",
    "Sec-Fetch-Dest",
    "Sec-Fetch-Mode",
    "Sec-Fetch-Site",
    "TE",
    "Transfer-Encoding",
    "Upgrade",
    "Upgrade-Insecure-Requests",
    "Via",
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "X-Forwarded-Port",
    "X-Forwarded-Proto",
    "X-Real-IP",
    "X-Request-ID",
    "X-Requested-With",
];

/// How a second field of the same name is joined to the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Joint {
    /// RFC 9110, section 5.3, in Gunicorn's form, without a blank.
    Comma,
    /// RFC 6265, section 5.4, as HTTP/2 (RFC 9113, section 8.2.3) spells it.
    Semicolon,
    /// The keys that CGI gives no `HTTP_`: the last one stands, as with Gunicorn.
    Replace,
}

/// The variable that a spelling of a field name sets, and the rules for it.
#[derive(Debug)]
struct Meaning {
    variable: usize,
    rules: Rules,
}

#[derive(Debug)]
struct Variable {
    key: Py<PyString>,
    joint: Joint,
    /// The request that set it last: a second field of this request is joined.
    request: u64,
    /// Whether its value may stay in memory between requests; credentials do not.
    keep_value: bool,
    value: Option<Py<PyString>>,
}

/// The variables that fields have fed.
#[derive(Debug, Default)]
struct FieldVariables {
    known: Vec<Variable>,
    by_key: HashMap<Box<[u8]>, usize>,
}

/// The memory of names.
#[derive(Debug)]
pub(super) struct FieldNames {
    policy: NamePolicy,
    spellings: NameCache<Meaning>,
    variables: FieldVariables,
    request: u64,
}

impl FieldNames {
    pub(super) fn new(py: Python<'_>, policy: NamePolicy) -> PyResult<FieldNames> {
        let mut names = FieldNames {
            policy,
            spellings: NameCache::new(),
            variables: FieldVariables::default(),
            request: 0,
        };
        names.learn_common(py)?;
        Ok(names)
    }

    /// A new request begins.
    pub(super) fn next_request(&mut self, py: Python<'_>) -> PyResult<()> {
        self.request += 1;
        if self.spellings.next_request() {
            self.variables = FieldVariables::default();
            self.learn_common(py)?;
        }
        Ok(())
    }

    /// Enters the field at `position` of the request into `environ`.
    ///
    /// # Errors
    /// The name has an underscore and `header_map` is `refuse`; or Python is out of memory.
    pub(super) fn enter(
        &mut self,
        environ: &Bound<'_, PyDict>,
        position: usize,
        (name, value): (&[u8], &[u8]),
        trusted: bool,
    ) -> Result<(), Unserved> {
        let py = environ.py();
        let (policy, variables) = (&self.policy, &mut self.variables);
        let meaning = self.spellings.find(position, name, || {
            let key = |key: &[u8]| text::native(py, key).map(Bound::unbind);
            Ok(Meaning {
                variable: variables.of(name, key)?,
                rules: policy.rules(name),
            })
        })?;
        if !meaning.rules.pass(trusted)? {
            tell_dropped(name);
            return Ok(());
        }
        let variable = &mut self.variables.known[meaning.variable];
        let repeated = variable.request == self.request;
        variable.request = self.request;
        if repeated && variable.joint != Joint::Replace {
            return Ok(variable.join(environ, value)?);
        }
        let text = variable.text(py, value)?;
        Ok(environ.set_item(variable.key.bind(py), text)?)
    }

    fn learn_common(&mut self, py: Python<'_>) -> PyResult<()> {
        for name in COMMON {
            for name in [name.to_owned(), name.to_ascii_lowercase()] {
                let name = name.as_bytes();
                let intern =
                    |key: &[u8]| Ok(PyString::intern(py, &String::from_utf8_lossy(key)).unbind());
                let meaning = Meaning {
                    variable: self.variables.of(name, intern)?,
                    rules: self.policy.rules(name),
                };
                self.spellings.learn(name, meaning);
            }
        }
        Ok(())
    }
}

impl FieldVariables {
    /// The number of the variable that a field of this name feeds.
    fn of(
        &mut self,
        name: &[u8],
        make_key: impl FnOnce(&[u8]) -> PyResult<Py<PyString>>,
    ) -> PyResult<usize> {
        let key = variable_of(name);
        if let Some(&variable) = self.by_key.get(&*key) {
            return Ok(variable);
        }
        self.known.push(Variable::new(&key, make_key(&key)?));
        self.by_key.insert(key, self.known.len() - 1);
        Ok(self.known.len() - 1)
    }
}

impl Variable {
    fn new(key: &[u8], text: Py<PyString>) -> Variable {
        let joint = match key {
            b"HTTP_COOKIE" => Joint::Semicolon,
            b"CONTENT_TYPE" | b"CONTENT_LENGTH" => Joint::Replace,
            _ => Joint::Comma,
        };
        let secret = matches!(
            key,
            b"HTTP_COOKIE" | b"HTTP_AUTHORIZATION" | b"HTTP_PROXY_AUTHORIZATION"
        );
        Variable {
            key: text,
            joint,
            request: 0,
            keep_value: !secret,
            value: None,
        }
    }

    /// The string of a value: the one of the last request where it is the same.
    fn text<'py>(&mut self, py: Python<'py>, value: &[u8]) -> PyResult<Bound<'py, PyString>> {
        if let Some(last) = &self.value {
            let last = last.bind(py);
            // Only ASCII is kept, so equal UTF-8 means equal latin-1.
            if last.to_str()?.as_bytes() == value {
                return Ok(last.clone());
            }
        }
        let text = text::native(py, value)?;
        if self.keep_value {
            self.value = (value.len() <= REMEMBERED_VALUE && value.is_ascii())
                .then(|| text.clone().unbind());
        }
        Ok(text)
    }

    fn join(&self, environ: &Bound<'_, PyDict>, value: &[u8]) -> PyResult<()> {
        let py = environ.py();
        let key = self.key.bind(py);
        let mut joined = match environ.get_item(key)? {
            Some(first) => text::wire(first.cast::<PyString>()?, "a field")?.into_owned(),
            None => Vec::new(),
        };
        joined.extend_from_slice(if self.joint == Joint::Semicolon {
            b"; "
        } else {
            b","
        });
        joined.extend_from_slice(value);
        environ.set_item(key, text::native(py, &joined)?)
    }
}

/// The CGI variable of a field name (RFC 3875, section 4.1.18).
fn variable_of(name: &[u8]) -> Box<[u8]> {
    if name.eq_ignore_ascii_case(b"Content-Type") {
        return b"CONTENT_TYPE"[..].into();
    }
    if name.eq_ignore_ascii_case(b"Content-Length") {
        return b"CONTENT_LENGTH"[..].into();
    }
    let upper = name.iter().map(|byte| {
        if *byte == b'-' {
            b'_'
        } else {
            byte.to_ascii_uppercase()
        }
    });
    b"HTTP_".iter().copied().chain(upper).collect()
}

#[cfg(test)]
mod tests {
    use settings::{Config, HeaderMap};

    use super::*;

    /// The environ that a request with these fields gets.
    fn entered(names: &mut FieldNames, fields: &[(&str, &str)]) -> Vec<(String, String)> {
        Python::attach(|py| {
            let environ = PyDict::new(py);
            names.next_request(py).unwrap();
            for (position, (name, value)) in fields.iter().enumerate() {
                let field = (name.as_bytes(), value.as_bytes());
                names.enter(&environ, position, field, false).unwrap();
            }
            let shown = |(key, value): (Bound<'_, PyAny>, Bound<'_, PyAny>)| {
                (key.to_string(), value.to_string())
            };
            environ.iter().map(shown).collect()
        })
    }

    fn new(underscores: HeaderMap) -> FieldNames {
        let config = Config {
            header_map: underscores,
            ..Config::default()
        };
        Python::initialize();
        Python::attach(|py| FieldNames::new(py, NamePolicy::of(&config))).unwrap()
    }

    fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        expected.iter().map(owned).collect()
    }

    #[test]
    fn a_field_feeds_the_variable_of_cgi() {
        let check = |name: &str, expected: &str| {
            assert_eq!(
                *variable_of(name.as_bytes()),
                *expected.as_bytes(),
                "{name}"
            );
        };
        check("Host", "HTTP_HOST");
        check("x-Real-ip", "HTTP_X_REAL_IP");
        check("content-type", "CONTENT_TYPE");
        check("CONTENT-LENGTH", "CONTENT_LENGTH");
        check("Content-Language", "HTTP_CONTENT_LANGUAGE");
    }

    #[test]
    fn spellings_of_one_name_are_joined_and_the_next_request_begins_anew() {
        let mut names = new(HeaderMap::Dangerous);
        let sent = [
            ("X-A", "1"),
            ("x-a", "2"),
            ("X_a", "3"),
            ("Cookie", "a=1"),
            ("cookie", "b=2"),
        ];
        let joined = pairs(&[("HTTP_X_A", "1,2,3"), ("HTTP_COOKIE", "a=1; b=2")]);
        assert_eq!(entered(&mut names, &sent), joined);
        assert_eq!(entered(&mut names, &sent), joined);
        assert_eq!(
            entered(&mut names, &[("X-A", "9")]),
            pairs(&[("HTTP_X_A", "9")])
        );
    }

    #[test]
    fn a_value_that_is_not_ascii_is_never_taken_for_another() {
        let mut names = new(HeaderMap::Drop);
        // As latin-1 the first is one character, whose UTF-8 is the second.
        let check = |names: &mut FieldNames, value: &[u8], expected: &str| {
            Python::attach(|py| {
                let environ = PyDict::new(py);
                names.next_request(py).unwrap();
                names.enter(&environ, 0, (b"X-A", value), false).unwrap();
                let found = environ.get_item("HTTP_X_A").unwrap().unwrap();
                assert_eq!(found.to_string(), expected);
            });
        };
        check(&mut names, b"\xe9", "\u{e9}");
        check(&mut names, b"\xc3\xa9", "\u{c3}\u{a9}");
        check(&mut names, b"\xe9", "\u{e9}");
    }

    #[test]
    fn names_without_end_are_forgotten() {
        let mut names = new(HeaderMap::Drop);
        for number in 0..5_000 {
            entered(&mut names, &[(&format!("X-{number}"), "1"), ("Host", "h")]);
        }
        assert!(names.variables.known.len() < 400);
        assert_eq!(
            entered(&mut names, &[("Host", "h")]),
            pairs(&[("HTTP_HOST", "h")])
        );
    }
}
