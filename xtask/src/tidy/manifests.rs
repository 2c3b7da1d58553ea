//! What may depend on what. A crate exists where the absence of a dependency is the point, so the absences are listed.

use std::fs;
use std::io;
use std::path::Path;

use toml::Table;

use super::Problem;

/// The arrows between the house's crates: each with those that it may name.
const ARROWS: &[(&str, &[&str])] = &[
    ("settings", &[]),
    ("proto", &[]),
    ("sys", &[]),
    ("server", &["proto", "settings", "sys"]),
    ("arbiter", &["settings", "sys"]),
    ("admin", &["arbiter", "proto", "server", "settings", "sys"]),
    (
        "python",
        &["admin", "arbiter", "proto", "server", "settings", "sys"],
    ),
];

/// Libraries that are one crate's secret, with the crates that know it.
const SECRETS: &[(&str, &[&str])] = &[
    ("pyo3", &["python"]),
    ("libc", &["python", "sys"]),
    ("rustix", &["sys"]),
    ("mio", &["server"]),
    ("httparse", &["proto"]),
    ("clap", &["settings"]),
];

/// The tables of a manifest that name dependencies of the crate itself; its tests may use what they like.
const TABLES: &[&str] = &["dependencies", "build-dependencies"];

pub(super) fn check(root: &Path) -> io::Result<Vec<Problem>> {
    let mut problems = Vec::new();
    for (name, allowed) in ARROWS {
        let place = format!("crates/{name}/Cargo.toml");
        let manifest = read(&root.join(&place))?;
        problems.extend(
            check_crate(name, allowed, &manifest)
                .into_iter()
                .map(|rule| Problem::new(&place, rule)),
        );
    }
    for entry in fs::read_dir(root.join("crates"))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if !ARROWS.iter().any(|(known, _)| *known == name) {
            problems.push(Problem::new(
                format!("crates/{name}"),
                "a new crate needs its arrows in xtask/src/tidy",
            ));
        }
    }
    problems.extend(check_reasons(root)?);
    Ok(problems)
}

fn read(path: &Path) -> io::Result<Table> {
    fs::read_to_string(path)?.parse().map_err(io::Error::other)
}

fn check_crate(name: &str, allowed: &[&str], manifest: &Table) -> Vec<String> {
    let ours = |dependency: &str| ARROWS.iter().any(|(known, _)| *known == dependency);
    let mut broken = Vec::new();
    for dependency in dependencies(manifest) {
        if ours(dependency) && !allowed.contains(&dependency) {
            broken.push(format!("{name} must not know {dependency}"));
        }
        if let Some((_, owners)) = SECRETS.iter().find(|(secret, _)| *secret == dependency)
            && !owners.contains(&name)
        {
            broken.push(format!("{dependency} is for {} only", owners.join(" and ")));
        }
    }
    broken
}

fn dependencies(manifest: &Table) -> impl Iterator<Item = &str> {
    let tables = TABLES
        .iter()
        .filter_map(|table| manifest.get(*table)?.as_table());
    tables.flat_map(|table| table.keys().map(String::as_str))
}

/// Every library has its reason in ARCHITECTURE.md, where it stands in backticks.
fn check_reasons(root: &Path) -> io::Result<Vec<Problem>> {
    let manifest = read(&root.join("Cargo.toml"))?;
    let architecture = fs::read_to_string(root.join("ARCHITECTURE.md")).unwrap_or_default();
    let libraries = manifest
        .get("workspace")
        .and_then(|workspace| workspace.get("dependencies")?.as_table());
    let unexplained = libraries
        .into_iter()
        .flatten()
        .filter(|(_, source)| source.get("path").is_none())
        .map(|(library, _)| library)
        .filter(|library| !architecture.contains(&format!("`{library}`")))
        .map(|library| {
            Problem::new(
                "ARCHITECTURE.md",
                format!("does not name the dependency `{library}`"),
            )
        });
    Ok(unexplained.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, manifest: &str) -> Vec<String> {
        let (_, allowed) = ARROWS.iter().find(|(known, _)| *known == name).expect(name);
        check_crate(name, allowed, &manifest.parse().expect(manifest))
    }

    #[test]
    fn an_arrow_that_is_not_drawn_is_a_problem() {
        assert_eq!(
            check("arbiter", "[dependencies]\nserver.workspace = true"),
            ["arbiter must not know server"]
        );
        assert!(check("server", "[dependencies]\nproto.workspace = true").is_empty());
    }

    #[test]
    fn a_library_outside_its_crate_is_a_problem() {
        assert_eq!(
            check("server", "[dependencies]\npyo3 = \"1\""),
            ["pyo3 is for python only"]
        );
        assert!(check("server", "[dev-dependencies]\npyo3 = \"1\"").is_empty());
    }
}
