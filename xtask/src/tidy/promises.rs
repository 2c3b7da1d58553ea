//! What SECURITY.md promises: the tests that it names are there, the fuzz targets are recorded, and `unsafe` does not
//! spread.

use std::fs;
use std::io;
use std::path::Path;

use super::sources::{is_test, without_tests};
use super::{Problem, files, shown};

/// How many places with `unsafe` a crate may have. Raise a ceiling only for an operation that no library has words for.
const CEILINGS: &[(&str, usize)] = &[("crates/sys/src", 80), ("crates/python/src", 20)];

/// What makes a place unsafe.
const KEYWORDS: &[&str] = &["unsafe {", "unsafe fn", "unsafe impl", "unsafe extern"];

pub(super) fn check(root: &Path) -> io::Result<Vec<Problem>> {
    let page = fs::read_to_string(root.join("SECURITY.md"))?;
    let mut problems = Vec::new();
    for named in page.split('`').skip(1).step_by(2) {
        let is_file = named.contains('/') && !named.contains([' ', ':']);
        if is_file && !root.join(named).exists() {
            let rule = format!("names {named}, which is not there");
            problems.push(Problem::new("SECURITY.md", rule));
        }
    }
    let record = fs::read_to_string(root.join("fuzz/README.md"))?;
    for target in files(&root.join("fuzz/fuzz_targets"), &["rs"])? {
        let name = target.file_stem().unwrap_or_default().to_string_lossy();
        let is_recorded = record
            .lines()
            .any(|line| line.starts_with("| 20") && line.contains(&format!("`{name}`")));
        if !is_recorded || !page.contains(&format!("`{name}`")) {
            let rule = "has no run in fuzz/README.md, or is not in SECURITY.md";
            problems.push(Problem::new(shown(root, &target), rule));
        }
    }
    for (directory, ceiling) in CEILINGS {
        let count = places(root, directory)?;
        if count > *ceiling {
            let rule = format!("{count} places with unsafe; the ceiling is {ceiling}");
            problems.push(Problem::new(*directory, rule));
        }
    }
    Ok(problems)
}

fn places(root: &Path, directory: &str) -> io::Result<usize> {
    let mut count = 0;
    for path in files(&root.join(directory), &["rs"])? {
        if is_test(&shown(root, &path)) {
            continue;
        }
        let text = fs::read_to_string(&path)?;
        let code = without_tests(&text).lines();
        let code = code.filter(|line| !line.trim_start().starts_with("//"));
        count += code
            .filter(|line| KEYWORDS.iter().any(|keyword| line.contains(keyword)))
            .count();
    }
    Ok(count)
}
