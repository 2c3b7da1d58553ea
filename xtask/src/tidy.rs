//! The tidy test: reads the manifests and the sources as text and lists what breaks a rule of the house.

mod dependencies;
mod manifests;
mod names;
mod promises;
mod prose;
mod sources;

pub(crate) use sources::{is_test, without_tests};

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A broken rule: where, and what to do about it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    place: String,
    rule: String,
}

impl Problem {
    fn new(place: impl Into<String>, rule: impl Into<String>) -> Self {
        Self {
            place: place.into(),
            rule: rule.into(),
        }
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}: {}", self.place, self.rule)
    }
}

/// Everything that is wrong with the checkout at `root`.
pub(crate) fn check(root: &Path) -> io::Result<Vec<Problem>> {
    let mut problems = manifests::check(root)?;
    problems.extend(sources::check(root)?);
    problems.extend(names::check(root)?);
    problems.extend(dependencies::check(root)?);
    problems.extend(promises::check(root)?);
    problems.extend(prose::check(root)?);
    Ok(problems)
}

/// The files below `directory` with one of the `extensions`, sorted; build output and dot files are not looked at.
pub(crate) fn files(directory: &Path, extensions: &[&str]) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut pending = vec![directory.to_path_buf()];
    while let Some(directory) = pending.pop() {
        for entry in fs::read_dir(&directory)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.starts_with('.') || name == "target" || name == "__pycache__" {
                continue;
            }
            let extension = path.extension().unwrap_or_default().to_string_lossy();
            if path.is_dir() {
                pending.push(path);
            } else if extensions.contains(&&*extension) {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// The path as it is shown: relative to the checkout.
pub(crate) fn shown(root: &Path, path: &Path) -> String {
    path.strip_prefix(root)
        .unwrap_or(path)
        .display()
        .to_string()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_checkout_is_tidy() {
        let problems = super::check(crate::root()).expect("the checkout can be read");
        let listed: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert!(listed.is_empty(), "\n{}", listed.join("\n"));
    }
}
