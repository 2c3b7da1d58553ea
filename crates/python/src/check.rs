//! `--check-config`: everything up to the first socket, application included, and whether the files that the settings
//! name could be written. It leaves nothing behind.

use std::io;
use std::path::Path;

use pyo3::prelude::*;
use settings::{Address, Config};
use sys::files::reason;
use sys::users::Identity;

use crate::actors::check_logging;
use crate::application::{self, Loaded};
use crate::embedding::Embedder;
use crate::failure::Failure;
use crate::hooks::Hooks;
use crate::imports;
use crate::logging;

/// The settings that only Python can check. The others of their kind name files, which a check does not make.
const LOGGING: [&str; 5] = [
    "logger_class",
    "logconfig",
    "logconfig_dict",
    "logconfig_json",
    "syslog",
];

/// Says what is doubtful, and fails with the first mistake.
///
/// # Errors
///
/// A file cannot be written, or the application cannot be imported.
pub(crate) fn check(
    py: Python<'_>,
    config: &Config,
    hooks: &Hooks,
    embedder: Option<&Embedder>,
    slips: &[String],
    workers: &Identity,
) -> Result<i32, Failure> {
    for sentence in config.notices.iter().chain(&config.cautions).chain(slips) {
        logging::write_plain(&format!("warning: {sentence}\n"));
    }
    files(config)?;
    if LOGGING.iter().any(|name| config.origins.is_given(name)) {
        check_logging(py, config, hooks).map_err(|error| Failure::of_logging(py, &error))?;
    }
    let refused = |report: String| Err(Failure::configuration(report));
    become_worker(py, workers)?;
    match application::load(py, config, embedder) {
        Ok(Loaded::Application(_)) => Ok(0),
        Ok(Loaded::Refused(failure)) => refused(failure.report),
        Err(error) => refused(application::raised(py, &error).report),
    }
}

/// The application is imported with the rights that it will have, and this process does nothing else any more.
fn become_worker(py: Python<'_>, workers: &Identity) -> Result<(), Failure> {
    sys::users::become_user(workers).map_err(|error| {
        Failure::configuration(format!("user: {}", sys::files::sentence(&error)))
    })?;
    imports::release(py).map_err(|error| Failure::configuration(error.to_string()))
}

fn files(config: &Config) -> Result<(), Failure> {
    let unusable = |name: &str, path: &Path, result: io::Result<()>| {
        result.map_err(|error| Failure::from(config.unusable(name, reason(path, &error))))
    };
    let written = |name: &str, path: &Path| unusable(name, path, sys::files::check_writable(path));
    for (name, path) in [
        ("errorlog", Some(&config.errorlog)),
        ("accesslog", config.accesslog.as_ref()),
    ] {
        if let Some(path) = path.filter(|path| *path != "-") {
            written(name, Path::new(path))?;
        }
    }
    if let Some(pidfile) = &config.pidfile {
        written("pidfile", pidfile)?;
    }
    for address in &config.bind {
        if let Address::Unix(path) = address {
            // One of several: the path says which.
            let named = |error: io::Error| {
                io::Error::other(format!("{}: {}", path.display(), reason(path, &error)))
            };
            unusable(
                "bind",
                path,
                sys::files::check_writable(path).map_err(named),
            )?;
        }
    }
    match &config.tmp_upload_dir {
        Some(folder) => {
            // The folder itself is what is missing.
            let inside = folder.join("upload");
            unusable("tmp_upload_dir", &inside, sys::files::check_folder(folder))
        }
        None => Ok(()),
    }
}
