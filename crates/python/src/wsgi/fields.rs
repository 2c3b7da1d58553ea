//! Field names → `environ` keys, once per spelling: which variable a field feeds, whether it may, and how repeats are joined. The memory
//! is bounded; what a request may repeat of the last one (names, order, values) costs a comparison and no allocation.

use std::collections::HashMap;

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};
use settings::{Config, HeaderMap};

use super::text;

/// Spellings beyond this are forgotten before the next request. Browsers, proxies and API clients together send about a hundred.
const SPELLINGS: usize = 256;
/// So are longer ones together: 256 names of the largest allowed size would be 2 MB.
const SPELLING_BYTES: usize = 32 * 1024;
/// A longer value is not kept for the next request to compare with.
const REMEMBERED_VALUE: usize = 512;

/// Names whose keys are made, and interned, in advance. No name off the wire is interned: CPython keeps interned strings for ever, and
/// a client could fill the memory.
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

/// What is done with a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rule {
    /// It goes to the application.
    Pass,
    /// It is left out.
    Drop,
    /// The request is refused.
    Refuse,
}

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

#[derive(Debug)]
struct Spelling {
    name: Box<[u8]>,
    variable: usize,
    from_trusted: Rule,
    from_others: Rule,
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

/// A field that must not be passed on and that `header_map` does not allow to be dropped either.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RefusedName;

/// Why a field was not entered.
#[derive(Debug)]
pub(super) enum Unentered {
    Refused(RefusedName),
    Raised(PyErr),
}

impl From<PyErr> for Unentered {
    fn from(error: PyErr) -> Unentered {
        Unentered::Raised(error)
    }
}

/// Which underscored names pass; the part of the settings that concerns names.
#[derive(Debug, Clone)]
pub(crate) struct NamePolicy {
    /// `header_map`.
    underscores: HeaderMap,
    /// `forwarder_headers`, upper-case.
    forwarder: Vec<String>,
}

/// The memory of names.
#[derive(Debug)]
pub(super) struct FieldNames {
    policy: NamePolicy,
    spellings: Vec<Spelling>,
    by_name: HashMap<Box<[u8]>, usize>,
    variables: Vec<Variable>,
    by_key: HashMap<Box<[u8]>, usize>,
    /// The spelling that stood at each position of the last request.
    order: Vec<usize>,
    bytes: usize,
    request: u64,
}

impl FieldNames {
    pub(super) fn new(py: Python<'_>, policy: NamePolicy) -> PyResult<FieldNames> {
        let mut names = FieldNames {
            policy,
            spellings: Vec::new(),
            by_name: HashMap::new(),
            variables: Vec::new(),
            by_key: HashMap::new(),
            order: Vec::new(),
            bytes: 0,
            request: 0,
        };
        names.learn_common(py)?;
        Ok(names)
    }

    /// A new request begins.
    pub(super) fn next_request(&mut self, py: Python<'_>) -> PyResult<()> {
        self.request += 1;
        if self.spellings.len() > SPELLINGS || self.bytes > SPELLING_BYTES {
            self.forget(py)?;
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
    ) -> Result<(), Unentered> {
        let py = environ.py();
        let index = self.find(py, position, name)?;
        let spelling = &self.spellings[index];
        match if trusted {
            spelling.from_trusted
        } else {
            spelling.from_others
        } {
            Rule::Pass => {}
            Rule::Drop => return Ok(()),
            Rule::Refuse => return Err(Unentered::Refused(RefusedName)),
        }
        let variable = &mut self.variables[spelling.variable];
        let repeated = variable.request == self.request;
        variable.request = self.request;
        if repeated && variable.joint != Joint::Replace {
            return Ok(variable.join(environ, value)?);
        }
        let text = variable.text(py, value)?;
        Ok(environ.set_item(variable.key.bind(py), text)?)
    }

    /// The spelling of a name, learnt if it is new. The same clients send the same names in the same order, so the position is tried first.
    fn find(&mut self, py: Python<'_>, position: usize, name: &[u8]) -> PyResult<usize> {
        if let Some(&index) = self.order.get(position)
            && *self.spellings[index].name == *name
        {
            return Ok(index);
        }
        let index = match self.by_name.get(name) {
            Some(&index) => index,
            None => self.learn(name, |key| text::native(py, key).map(Bound::unbind))?,
        };
        if position >= self.order.len() {
            self.order.resize(position + 1, 0);
        }
        self.order[position] = index;
        Ok(index)
    }

    fn learn(
        &mut self,
        name: &[u8],
        make_key: impl FnOnce(&[u8]) -> PyResult<Py<PyString>>,
    ) -> PyResult<usize> {
        let key = variable_of(name);
        let variable = match self.by_key.get(&*key) {
            Some(&variable) => variable,
            None => {
                self.variables.push(Variable::new(&key, make_key(&key)?));
                self.by_key.insert(key, self.variables.len() - 1);
                self.variables.len() - 1
            }
        };
        let (from_trusted, from_others) = self.policy.rules(name);
        let index = self.spellings.len();
        self.spellings.push(Spelling {
            name: name.into(),
            variable,
            from_trusted,
            from_others,
        });
        self.by_name.insert(name.into(), index);
        self.bytes += name.len();
        Ok(index)
    }

    fn learn_common(&mut self, py: Python<'_>) -> PyResult<()> {
        for name in COMMON {
            let intern =
                |key: &[u8]| Ok(PyString::intern(py, &String::from_utf8_lossy(key)).unbind());
            self.learn(name.as_bytes(), intern)?;
            self.learn(name.to_ascii_lowercase().as_bytes(), intern)?;
        }
        Ok(())
    }

    fn forget(&mut self, py: Python<'_>) -> PyResult<()> {
        self.spellings.clear();
        self.by_name.clear();
        self.variables.clear();
        self.by_key.clear();
        self.order.clear();
        self.bytes = 0;
        self.learn_common(py)
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

impl NamePolicy {
    /// The policy of the settings.
    pub(crate) fn of(config: &Config) -> NamePolicy {
        NamePolicy {
            underscores: config.header_map,
            forwarder: config.forwarder_headers.clone(),
        }
    }

    /// Whether a trusted peer may send this name.
    pub(super) fn passes_from_trusted(&self, name: &[u8]) -> bool {
        self.rules(name).0 == Rule::Pass
    }

    /// What is done with a name when a trusted peer sends it, and when another does.
    pub(crate) fn rules(&self, name: &[u8]) -> (Rule, Rule) {
        if name.eq_ignore_ascii_case(b"Proxy") {
            // `HTTP_PROXY` is what HTTP clients take for the operator's own proxy setting (CVE-2016-5385, "httpoxy").
            return (Rule::Drop, Rule::Drop);
        }
        if !name.contains(&b'_') {
            return (Rule::Pass, Rule::Pass);
        }
        // `X_Forwarded_For` would feed the variable of `X-Forwarded-For`, which a proxy in front believes to have cleaned.
        let otherwise = match self.underscores {
            HeaderMap::Drop => Rule::Drop,
            HeaderMap::Refuse => Rule::Refuse,
            HeaderMap::Dangerous => Rule::Pass,
        };
        let listed = self
            .forwarder
            .iter()
            .any(|allowed| allowed == "*" || allowed.as_bytes().eq_ignore_ascii_case(name));
        (if listed { Rule::Pass } else { otherwise }, otherwise)
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
    use super::*;

    fn policy(underscores: HeaderMap) -> NamePolicy {
        NamePolicy {
            underscores,
            forwarder: vec!["SCRIPT_NAME".to_owned()],
        }
    }

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
        Python::initialize();
        Python::attach(|py| FieldNames::new(py, policy(underscores))).unwrap()
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
    fn underscores_pass_only_where_the_settings_say_so() {
        let check = |underscores, name: &str, trusted, others| {
            assert_eq!(
                policy(underscores).rules(name.as_bytes()),
                (trusted, others),
                "{name}"
            );
        };
        check(HeaderMap::Drop, "X_A", Rule::Drop, Rule::Drop);
        check(HeaderMap::Refuse, "X_A", Rule::Refuse, Rule::Refuse);
        check(HeaderMap::Dangerous, "X_A", Rule::Pass, Rule::Pass);
        check(HeaderMap::Drop, "script_name", Rule::Pass, Rule::Drop);
        check(HeaderMap::Refuse, "Script-Name", Rule::Pass, Rule::Pass);
        check(HeaderMap::Dangerous, "proxy", Rule::Drop, Rule::Drop);
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
        assert!(names.spellings.len() <= SPELLINGS + 2 && names.variables.len() <= SPELLINGS + 2);
        assert_eq!(names.spellings.len(), names.by_name.len());
        assert_eq!(
            entered(&mut names, &[("Host", "h")]),
            pairs(&[("HTTP_HOST", "h")])
        );
    }
}
