//! What a source file may be: how long, how safe, and without a way round the lints.

use std::fs;
use std::io;
use std::path::Path;

use super::{Problem, files, shown};

/// Lines of one file, its tests not counted.
const LONGEST_FILE: usize = 800;

/// Lines of all of `python/oxicorn` together: about 1,400 for the thin face itself, the hints of the first minutes
/// among them, and the rest for what programs call, import and subclass, which has to be Python: our own interface, and
/// the names of Gunicorn, uvicorn, Hypercorn, Granian and Waitress.
const LONGEST_FACE: usize = 7_000;

/// Where `unsafe` is ruled out for good.
const SAFE: &[&str] = &[
    "crates/settings/src/lib.rs",
    "crates/proto/src/lib.rs",
    "crates/server/src/lib.rs",
    "crates/arbiter/src/lib.rs",
    "xtask/src/main.rs",
];

/// Ways to end the process, or to pass the lints, that no lint of ours sees. Split so that this file does not
/// contain them.
const ESCAPES: &[(&str, &str)] = &[
    (
        concat!("unwrap", "_unchecked"),
        "say what happens when there is nothing",
    ),
    (
        concat!("unreachable", "!("),
        "make the state unrepresentable, or return an error that names it",
    ),
    (
        concat!("process::", "exit("),
        "return a code; `atexit` handlers must run",
    ),
];

/// Lints that have no exception.
const HELD: &[&str] = &[
    "unwrap_used",
    "expect_used",
    "panic",
    "too_many_lines",
    "undocumented_unsafe_blocks",
];

pub(super) fn check(root: &Path) -> io::Result<Vec<Problem>> {
    let mut problems = Vec::new();
    for place in SAFE {
        if !fs::read_to_string(root.join(place))?.contains("#![forbid(unsafe_code)]") {
            problems.push(Problem::new(*place, "promises #![forbid(unsafe_code)]"));
        }
    }
    for directory in ["crates", "xtask"] {
        for path in files(&root.join(directory), &["rs"])? {
            let place = shown(root, &path);
            let broken = check_rust(&place, &fs::read_to_string(&path)?);
            problems.extend(broken.into_iter().map(|rule| Problem::new(&place, rule)));
        }
    }
    problems.extend(check_face(root)?);
    Ok(problems)
}

fn check_rust(place: &str, text: &str) -> Vec<String> {
    if is_test(place) {
        return Vec::new();
    }
    let mut broken = Vec::new();
    let code = without_tests(text);
    let lines = code.lines().count();
    if lines > LONGEST_FILE {
        broken.push(format!(
            "{lines} lines; a file has one noun and at most {LONGEST_FILE} lines"
        ));
    }
    if !text.starts_with("//!") {
        broken.push("opens with a sentence on what it is: //! …".to_owned());
    }
    for (number, line) in (1..).zip(code.lines()) {
        if line.trim_start().starts_with("//") {
            continue;
        }
        let escapes = ESCAPES.iter().filter(|(escape, _)| line.contains(escape));
        broken
            .extend(escapes.map(|(escape, rather)| format!("line {number}: `{escape}`: {rather}")));
    }
    broken.extend(check_exceptions(code));
    broken
}

/// Exceptions from lints: some have none, the others give their reason.
fn check_exceptions(code: &str) -> Vec<String> {
    let mut broken = Vec::new();
    for opening in ["[allow(", "[expect("] {
        for part in code
            .split(&format!("#{opening}"))
            .skip(1)
            .chain(code.split(&format!("#!{opening}")).skip(1))
        {
            let exception = part.split(")]").next().unwrap_or(part);
            if let Some(lint) = HELD
                .iter()
                .find(|lint| exception.contains(&format!("clippy::{lint}")))
            {
                broken.push(format!("clippy::{lint} has no exceptions"));
            } else if !exception.contains("reason") {
                broken.push(format!(
                    "the exception `{}` gives no reason",
                    exception.trim()
                ));
            }
        }
    }
    broken
}

pub(crate) fn is_test(place: &str) -> bool {
    place.contains("/tests/") || place.ends_with("/tests.rs") || place.contains("/benches/")
}

/// The part of a file above its tests, which stand at the bottom.
pub(crate) fn without_tests(text: &str) -> &str {
    text.split("\n#[cfg(test)]\nmod tests {")
        .next()
        .unwrap_or(text)
}

fn check_face(root: &Path) -> io::Result<Vec<Problem>> {
    let mut lines = 0;
    for path in files(&root.join("python/oxicorn"), &["py"])? {
        lines += fs::read_to_string(&path)?.lines().count();
    }
    let rule = format!("{lines} lines; the Python face has at most {LONGEST_FACE}");
    Ok((lines > LONGEST_FACE)
        .then(|| Problem::new("python/oxicorn", rule))
        .into_iter()
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Vec<String> {
        check_rust("crates/x/src/x.rs", text)
    }

    #[test]
    fn a_file_that_is_too_long_is_a_problem_and_its_tests_are_not_counted() {
        let code = format!("//! X.\n{}", "fn f() {}\n".repeat(LONGEST_FILE - 1));
        assert!(check(&code).is_empty());
        assert_eq!(check(&format!("{code}\n")).len(), 1);
        assert!(
            check(&format!(
                "//! X.\n#[cfg(test)]\nmod tests {{{}",
                "\n".repeat(LONGEST_FILE)
            ))
            .is_empty()
        );
    }

    #[test]
    fn an_escape_is_a_problem_outside_comments() {
        let escape = ESCAPES[0].0;
        assert_eq!(check(&format!("//! X.\nx.{escape}();")).len(), 1);
        assert!(check(&format!("//! X.\n// {escape}")).is_empty());
    }

    #[test]
    fn an_exception_gives_its_reason_and_some_lints_have_none() {
        assert_eq!(check("//! X.\n#[allow(dead_code)]\nfn f() {}").len(), 1);
        assert!(
            check("//! X.\n#[expect(dead_code, reason = \"for the next change\")]\nfn f() {}")
                .is_empty()
        );
        assert_eq!(
            check("//! X.\n#[expect(clippy::panic, reason = \"lazy\")]\nfn f() {}").len(),
            1
        );
    }

    #[test]
    fn a_file_says_what_it_is() {
        assert_eq!(check("fn f() {}").len(), 1);
    }
}
