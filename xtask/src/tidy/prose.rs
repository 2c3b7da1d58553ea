//! How comments and pages are written: they name the subject (the worker, the client, the operator) instead of a
//! pronoun for any person or thing, and a line of code has at most 120 columns. Crates that were written before the
//! rule have a bound that only ever shrinks.

use std::fs;
use std::io;
use std::path::Path;

use super::{Problem, files, shown};

/// Words that hide who acts. Split so that this file does not contain them.
const VAGUE: [&str; 4] = [
    concat!("who", "ever"),
    concat!("what", "ever"),
    concat!("some", "body"),
    concat!("no", "body"),
];

/// Columns of a line.
const WIDEST: usize = 120;

/// What a directory may still have: vague words in comments, and lines that are too wide. Lower the numbers when you
/// have cleaned a file. What is not listed has none.
struct Left {
    directory: &'static str,
    vague: usize,
    wide: usize,
}

const LEFT: &[Left] = &[
    Left {
        directory: "crates/arbiter",
        vague: 0,
        wide: 1,
    },
    Left {
        directory: "crates/proto",
        vague: 0,
        wide: 5,
    },
    Left {
        directory: "crates/python",
        vague: 0,
        wide: 3,
    },
    Left {
        directory: "crates/server",
        vague: 0,
        wide: 2,
    },
    Left {
        directory: "crates/settings",
        vague: 0,
        wide: 53,
    },
];

/// The same in pages.
const LEFT_IN_PAGES: usize = 5;

/// Directories and files with pages for people.
const PAGES: &[&str] = &["docs", "deploy", "examples", "README.md"];

pub(super) fn check(root: &Path) -> io::Result<Vec<Problem>> {
    let mut problems = Vec::new();
    for directory in ["arbiter", "proto", "python", "server", "settings", "sys"] {
        problems.extend(check_crate(root, &format!("crates/{directory}"))?);
    }
    problems.extend(check_crate(root, "xtask")?);
    let mut vague = Vec::new();
    for place in PAGES {
        let path = root.join(place);
        let pages = match path.is_dir() {
            true => files(&path, &["md", "conf", "service", "socket"])?,
            false => vec![path],
        };
        for page in pages {
            let text = fs::read_to_string(&page)?;
            let lines = (1..).zip(text.lines());
            let found = lines.filter(|(_, line)| is_vague(&without_code(line)));
            vague.extend(found.map(|(number, _)| format!("{}:{number}", shown(root, &page))));
        }
    }
    if vague.len() > LEFT_IN_PAGES {
        let rule = format!(
            "sentences that do not name their subject: {}",
            vague.join(", ")
        );
        problems.push(Problem::new("docs", rule));
    }
    Ok(problems)
}

fn check_crate(root: &Path, directory: &str) -> io::Result<Vec<Problem>> {
    let left = LEFT.iter().find(|left| left.directory == directory);
    let (mut vague, mut wide) = (Vec::new(), Vec::new());
    for path in files(&root.join(directory), &["rs"])? {
        let place = shown(root, &path);
        for (number, line) in (1..).zip(fs::read_to_string(&path)?.lines()) {
            if is_comment(line) && is_vague(line) {
                vague.push(format!("{place}:{number}"));
            }
            if line.chars().count() > WIDEST {
                wide.push(format!("{place}:{number}"));
            }
        }
    }
    let mut problems = Vec::new();
    let mut hold = |found: Vec<String>, most: usize, rule: &str| {
        if found.len() > most {
            let last = found.last().cloned().unwrap_or_default();
            let rule = format!(
                "{rule}: {} of at most {most}, {last} among them",
                found.len()
            );
            problems.push(Problem::new(directory, rule));
        }
    };
    hold(
        vague,
        left.map_or(0, |left| left.vague),
        "comments that do not name their subject",
    );
    hold(
        wide,
        left.map_or(0, |left| left.wide),
        "lines of more than 120 columns",
    );
    Ok(problems)
}

/// The line of a page without what stands in backquotes: names of tests and settings are what they are.
fn without_code(line: &str) -> String {
    line.split('`').step_by(2).collect()
}

fn is_comment(line: &str) -> bool {
    line.trim_start().starts_with("//")
}

fn is_vague(line: &str) -> bool {
    let words = line.split(|c: char| !c.is_alphanumeric());
    let mut lower = words.map(str::to_lowercase);
    lower.any(|word| VAGUE.contains(&word.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vague_word_is_found_in_comments_alone() {
        let vague = VAGUE[3];
        assert!(is_vague(&format!("/// {vague} knows.")));
        assert!(!is_vague(&format!("the user {vague}s")));
        assert!(is_comment("    // x") && !is_comment("let x = 1; // x"));
    }
}
