//! `cargo run -p xtask -- test-lines`: how many lines of Rust test there are for each line of code. Lines that are
//! blank or hold nothing but a comment are counted nowhere. Test is what stands in `tests/`, in a file `tests.rs`,
//! or in the module `tests` at the end of a file. Vectors and the black-box tests in Python are not counted.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;

use crate::tidy::{files, is_test, shown, without_tests};

/// The crates that have to have 0.7 lines of test for each line of code, taken together.
const MEASURED: [&str; 2] = ["proto", "server"];

/// Lines of code and lines of test.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Lines {
    code: usize,
    test: usize,
}

impl Lines {
    fn of(place: &str, text: &str) -> Lines {
        let code = match is_test(place) {
            true => "",
            false => without_tests(text),
        };
        let all = counted(text);
        let code = counted(code);
        Lines {
            code,
            test: all - code,
        }
    }

    fn add(&mut self, other: Lines) {
        self.code += other.code;
        self.test += other.test;
    }

    /// Lines of test for 1,000 lines of code.
    fn in_thousand(self) -> usize {
        (self.test * 1000).checked_div(self.code).unwrap_or(0)
    }
}

/// A table: a line for each crate, one for those that are measured together, and one for each directory or file of
/// theirs, the least tested first.
pub(crate) fn report(root: &Path) -> io::Result<String> {
    let mut crates = BTreeMap::<String, Lines>::new();
    let mut parts = BTreeMap::<String, Lines>::new();
    let mut together = Lines::default();
    for path in files(&root.join("crates"), &["rs"])? {
        let place = shown(root, &path);
        let lines = Lines::of(&place, &fs::read_to_string(&path)?);
        let Some((name, part)) = part_of(&place) else {
            continue;
        };
        crates.entry(name.to_owned()).or_default().add(lines);
        if MEASURED.contains(&name) {
            together.add(lines);
            let part = parts.entry(format!("{name}/{part}")).or_default();
            part.add(lines);
        }
    }
    let mut out = String::new();
    for (name, lines) in &crates {
        tell(&mut out, name, *lines);
    }
    tell(&mut out, &MEASURED.join(" + "), together);
    out.push('\n');
    let mut parts: Vec<_> = parts.into_iter().collect();
    parts.sort_by_key(|(_, lines)| lines.in_thousand());
    for (part, lines) in &parts {
        tell(&mut out, part, *lines);
    }
    Ok(out)
}

/// The crate of a file, and the module at its top that the file belongs to; what is in `crates/NAME/tests` is one part.
fn part_of(place: &str) -> Option<(&str, &str)> {
    let (name, rest) = place.strip_prefix("crates/")?.split_once('/')?;
    let (directory, rest) = rest.split_once('/')?;
    let part = match directory {
        "src" => rest.split('/').next()?.trim_end_matches(".rs"),
        _ => directory,
    };
    Some((name, part))
}

fn counted(text: &str) -> usize {
    let lines = text.lines().map(str::trim);
    lines
        .filter(|line| !line.is_empty() && !line.starts_with("//"))
        .count()
}

fn tell(out: &mut String, name: &str, lines: Lines) {
    let Lines { code, test } = lines;
    let ratio = lines.in_thousand();
    // Writing to a string cannot fail.
    let _ = writeln!(
        out,
        "{name:<32} {code:>6} code {test:>6} test  {}.{:03}",
        ratio / 1000,
        ratio % 1000
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blank_lines_and_comments_count_nowhere() {
        let text = "//! X.\n\nfn f() {}\n    // why\n#[cfg(test)]\nmod tests {\n    fn t() {}\n}\n";
        let expected = Lines { code: 1, test: 4 };
        assert_eq!(Lines::of("crates/x/src/x.rs", text), expected);
    }

    #[test]
    fn files_of_tests_are_test_from_the_first_line() {
        let check = |place| assert_eq!(Lines::of(place, "use x;\n"), Lines { code: 0, test: 1 });
        check("crates/x/tests/x.rs");
        check("crates/x/src/x/tests.rs");
        check("crates/x/src/x/tests/y.rs");
    }

    #[test]
    fn a_file_belongs_to_its_topmost_module() {
        let check = |place, expected| assert_eq!(part_of(place), expected, "{place}");
        check("crates/x/src/a.rs", Some(("x", "a")));
        check("crates/x/src/a/b/c.rs", Some(("x", "a")));
        check("crates/x/tests/double/mod.rs", Some(("x", "tests")));
        check("xtask/src/main.rs", None);
    }
}
