//! The house's own chores: `cargo run -p xtask -- tidy` holds the rules that a compiler cannot hold, and `test-lines`
//! counts.
#![forbid(unsafe_code)]

mod test_lines;
mod tidy;

use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        Some("tidy") => run_tidy().unwrap_or(ExitCode::FAILURE),
        Some("test-lines") => count_test_lines().unwrap_or(ExitCode::FAILURE),
        _ => usage().unwrap_or(ExitCode::FAILURE),
    }
}

fn run_tidy() -> io::Result<ExitCode> {
    let problems = tidy::check(root())?;
    let mut out = io::stdout().lock();
    for problem in &problems {
        writeln!(out, "{problem}")?;
    }
    Ok(if problems.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn count_test_lines() -> io::Result<ExitCode> {
    io::stdout().write_all(test_lines::report(root())?.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

fn usage() -> io::Result<ExitCode> {
    writeln!(
        io::stderr(),
        "usage: cargo run -p xtask -- (tidy | test-lines)"
    )?;
    Ok(ExitCode::from(2))
}

/// The checkout: the directory above this crate's.
fn root() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here)
}
