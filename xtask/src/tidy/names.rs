//! One name, one thing: two types of a crate have two names.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use super::{Problem, files, shown};

const KEYWORDS: &[&str] = &["struct", "enum", "union", "trait", "type"];

pub(super) fn check(root: &Path) -> io::Result<Vec<Problem>> {
    let mut problems = Vec::new();
    for entry in fs::read_dir(root.join("crates"))? {
        let mut places = BTreeMap::new();
        for path in files(&entry?.path().join("src"), &["rs"])? {
            let place = shown(root, &path);
            if !super::sources::is_test(&place) {
                let text = fs::read_to_string(&path)?;
                note(&place, super::sources::without_tests(&text), &mut places);
            }
        }
        problems.extend(duplicates(places));
    }
    Ok(problems)
}

/// Notes where each type of a file stands, by its name.
fn note(place: &str, code: &str, places: &mut BTreeMap<String, Vec<String>>) {
    for name in code.lines().filter_map(type_name) {
        let known = places.entry(name.to_owned()).or_default();
        known.push(place.to_owned());
    }
}

fn duplicates(places: BTreeMap<String, Vec<String>>) -> impl Iterator<Item = Problem> {
    let twice = places.into_iter().filter(|(_, places)| places.len() > 1);
    twice.map(|(name, places)| {
        let rule = format!(
            "`{name}` is the name of another type too: {}",
            places[1..].join(", ")
        );
        Problem::new(places[0].clone(), rule)
    })
}

/// The name of the type that a line declares, if it declares one. What stands indented belongs to something else.
fn type_name(line: &str) -> Option<&str> {
    let mut rest = line;
    if let Some(public) = rest.strip_prefix("pub") {
        rest = match public.strip_prefix('(') {
            Some(scope) => scope.split_once(')')?.1,
            None => public,
        };
        rest = rest.strip_prefix(' ')?;
    }
    let (keyword, rest) = rest.split_once(' ')?;
    if !KEYWORDS.contains(&keyword) {
        return None;
    }
    let end = rest.find(|letter: char| !letter.is_alphanumeric() && letter != '_');
    Some(&rest[..end.unwrap_or(rest.len())])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_declaration_tells_its_name() {
        let check = |line, expected| assert_eq!(type_name(line), expected, "{line}");
        check("struct One;", Some("One"));
        check("pub struct One<'a> {", Some("One"));
        check("pub(crate) enum Two {", Some("Two"));
        check("pub(super) trait Three: Four {", Some("Three"));
        check("type Five = u8;", Some("Five"));
        check("    type Item = u8;", None);
        check("pub fn six() {}", None);
        check("publish struct", None);
        check("", None);
    }

    #[test]
    fn a_name_that_stands_for_two_is_told_with_both_places() {
        let mut places = BTreeMap::new();
        note("a.rs", "struct One;\nenum Two {}\n", &mut places);
        note("b.rs", "pub(crate) enum One {}\n", &mut places);
        let problems: Vec<String> = duplicates(places)
            .map(|problem| problem.to_string())
            .collect();
        assert_eq!(
            problems,
            ["a.rs: `One` is the name of another type too: b.rs"]
        );
    }
}
