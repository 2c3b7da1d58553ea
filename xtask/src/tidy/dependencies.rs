//! What we depend on, as `cargo metadata` tells it without a network: from the registry only, under a licence that we
//! may pass on, each package once, and no version that has been yanked.

use std::collections::{BTreeMap, HashSet};
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::Problem;

/// Licences that ask for no more than their text.
const LICENCES: &[&str] = &[
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "CC0-1.0",
    "ISC",
    "MIT",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Where packages come from.
const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

pub(super) fn check(root: &Path) -> io::Result<Vec<Problem>> {
    // A machine that has built for itself alone has no packages of other platforms, which cargo would have to fetch.
    let metadata = metadata(root, &["--offline"]).or_else(|_| metadata(root, &[]))?;
    let packages = metadata["packages"].as_array().cloned().unwrap_or_default();
    let built = built(root)?;
    let mut problems = Vec::new();
    let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for package in &packages {
        let text = |key: &str| package[key].as_str().unwrap_or_default();
        let (name, version) = (text("name"), text("version"));
        if !built.contains(&format!("{name} v{version}")) {
            continue;
        }
        versions.entry(name).or_default().push(version);
        if package["source"].is_null() {
            continue;
        }
        let mut note =
            |rule: String| problems.push(Problem::new(format!("{name} {version}"), rule));
        if text("source") != REGISTRY {
            note(format!("comes from {}", text("source")));
        }
        if !is_permitted(text("license")) {
            note(format!("its licence is {:?}", text("license")));
        }
        if is_yanked(name, version) {
            note("this version has been yanked".to_owned());
        }
    }
    for (name, versions) in versions.iter().filter(|(_, versions)| versions.len() > 1) {
        let versions = versions.join(", ");
        problems.push(Problem::new(
            *name,
            format!("is there more than once: {versions}"),
        ));
    }
    Ok(problems)
}

/// The packages that are compiled on some platform, each as `name vVERSION`. The lock file and `cargo metadata` name
/// others as well: those that a feature would need which is on nowhere (`dep?/feature`).
fn built(root: &Path) -> io::Result<HashSet<String>> {
    let words = "tree --workspace --locked --target all --edges all --prefix none --format {p}";
    let told = cargo(
        root,
        &[words.split(' ').collect(), vec!["--offline"]].concat(),
    );
    let told = told.or_else(|_| cargo(root, &words.split(' ').collect::<Vec<_>>()))?;
    let text = String::from_utf8_lossy(&told);
    let two_words = |line: &str| {
        let mut words = line.split(' ');
        Some(format!("{} {}", words.next()?, words.next()?))
    };
    Ok(text.lines().filter_map(two_words).collect())
}

/// What `cargo metadata` says, with more `words`.
fn metadata(root: &Path, words: &[&str]) -> io::Result<Value> {
    let fixed = ["metadata", "--format-version", "1", "--locked"];
    Ok(serde_json::from_slice(&cargo(
        root,
        &[&fixed, words].concat(),
    )?)?)
}

/// What cargo prints.
fn cargo(root: &Path, words: &[&str]) -> io::Result<Vec<u8>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let told = Command::new(cargo).args(words).current_dir(root).output()?;
    if !told.status.success() {
        let reason = String::from_utf8_lossy(&told.stderr).into_owned();
        return Err(io::Error::other(format!("cargo {}: {reason}", words[0])));
    }
    Ok(told.stdout)
}

/// Whether one choice of every part is on the list: an expression of SPDX without nesting beyond one level.
fn is_permitted(expression: &str) -> bool {
    let alternatives = |part: &str| {
        let part = part.trim().trim_start_matches('(').trim_end_matches(')');
        part.replace('/', " OR ")
            .split(" OR ")
            .any(|one| LICENCES.contains(&one.trim()))
    };
    !expression.is_empty() && expression.split(" AND ").all(alternatives)
}

/// Whether cargo's copy of the registry's index says that this version was taken back. What it has no copy of is not
/// known.
fn is_yanked(name: &str, version: &str) -> bool {
    let wanted = format!("\"vers\":\"{version}\"");
    indexes().iter().any(|index| {
        let entry = fs::read(index.join(place(name))).unwrap_or_default();
        // The file is cargo's own: versions and lines of JSON between zero bytes.
        entry.split(|byte| *byte == 0).any(|line| {
            let line = String::from_utf8_lossy(line);
            line.contains(&wanted) && line.contains("\"yanked\":true")
        })
    })
}

/// The caches of cargo's indexes.
fn indexes() -> Vec<PathBuf> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")));
    let entries = home.and_then(|home| fs::read_dir(home.join("registry/index")).ok());
    let directories = entries.into_iter().flatten().flatten();
    directories
        .map(|entry| entry.path().join(".cache"))
        .collect()
}

/// Where the index has a package: `ab/cd/abcdef`, and short names in directories of their own.
fn place(name: &str) -> PathBuf {
    let part = |range: std::ops::Range<usize>| name.get(range).unwrap_or_default();
    let directory = match name.len() {
        1 => "1".to_owned(),
        2 => "2".to_owned(),
        3 => format!("3/{}", part(0..1)),
        _ => format!("{}/{}", part(0..2), part(2..4)),
    };
    Path::new(OsStr::new(&directory)).join(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_of_licences_needs_one_that_is_permitted() {
        for expression in [
            "MIT",
            "MIT OR GPL-3.0",
            "Unlicense/MIT",
            "(MIT OR Apache-2.0) AND Unicode-3.0",
            "Apache-2.0 WITH LLVM-exception OR Apache-2.0 OR MIT",
        ] {
            assert!(is_permitted(expression), "{expression}");
        }
        for expression in [
            "",
            "GPL-3.0",
            "MIT AND GPL-3.0",
            "LGPL-2.1-or-later OR MPL-2.0",
        ] {
            assert!(!is_permitted(expression), "{expression}");
        }
    }

    #[test]
    fn the_index_has_a_place_for_every_length() {
        for (name, expected) in [
            ("a", "1/a"),
            ("ab", "2/ab"),
            ("log", "3/l/log"),
            ("libc", "li/bc/libc"),
        ] {
            assert_eq!(place(name), Path::new(expected));
        }
    }
}
