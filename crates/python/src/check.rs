//! `--check-config`: what the start would refuse, the application included, all of it at once. It leaves nothing
//! behind.

use std::io;
use std::path::{Path, PathBuf};

use pyo3::prelude::*;
use settings::{Address, AsgiLoop, Config, os_text};
use sys::files::reason;
use sys::users::Identity;

use crate::accounts;
use crate::actors::check_logging;
use crate::application::{self, Application, Interface, Loaded};
use crate::embedding::Embedder;
use crate::failure::Failure;
use crate::hooks::Hooks;
use crate::imports;
use crate::logging;
use crate::tls::Tickets;

/// The settings that only Python can check. The others of their kind name files, which a check does not make.
const LOGGING: [&str; 5] = [
    "logger_class",
    "logconfig",
    "logconfig_dict",
    "logconfig_json",
    "syslog",
];

/// What is checked.
pub(crate) struct Subject<'a> {
    pub(crate) config: &'a Config,
    pub(crate) hooks: &'a Hooks,
    pub(crate) embedder: Option<&'a Embedder>,
    pub(crate) slips: &'a [String],
}

impl Subject<'_> {
    /// Fails with all mistakes; where there are none, says what is doubtful. `prepared` and `workers` are how the
    /// preparations of a start went: without them the application cannot be imported.
    ///
    /// # Errors
    ///
    /// What the start would refuse.
    pub(crate) fn check(
        &self,
        py: Python<'_>,
        prepared: Result<(), Failure>,
        workers: Result<Identity, Failure>,
    ) -> Result<i32, Failure> {
        let config = self.config;
        let mut doubts = Vec::new();
        let mut mistakes: Vec<Failure> = prepared.err().into_iter().collect();
        mistakes.extend(files(config));
        mistakes.extend(Tickets::default().load(config).err());
        mistakes.extend(addresses(config, &mut doubts));
        mistakes.extend(self.logs(py, &mut doubts).err());
        match workers {
            Ok(workers) if mistakes.is_empty() => {
                mistakes.extend(self.application(py, &workers).err());
            }
            // An application that cannot be imported may be a consequence of the mistakes before.
            Ok(_) => {}
            Err(failure) => mistakes.push(failure),
        }
        if let Some(failure) = Failure::all(mistakes) {
            return Err(failure);
        }
        let known = config.notices.iter().chain(&config.cautions);
        for sentence in known.chain(self.slips).chain(&doubts) {
            logging::write_plain(&format!("warning: {sentence}\n"));
        }
        if config.check_config {
            logging::say("configuration is fine\n");
        }
        Ok(0)
    }

    fn logs(&self, py: Python<'_>, doubts: &mut Vec<String>) -> Result<(), Failure> {
        let config = self.config;
        let checked = py
            .import("oxicorn.glogging")
            .and_then(|module| module.call_method1("check_format", (&config.access_log_format,)))
            .and_then(|unknown| unknown.extract::<Vec<String>>());
        let unknown = checked.map_err(|error| Failure::of_logging(py, &error))?;
        for atom in unknown {
            doubts.push(format!(
                "access_log_format: there is no atom %({atom})s; it is shown as -"
            ));
        }
        match LOGGING.iter().any(|name| config.origins.is_given(name)) {
            true => check_logging(py, config, self.hooks)
                .map_err(|error| Failure::of_logging(py, &error)),
            false => Ok(()),
        }
    }

    fn application(&self, py: Python<'_>, workers: &Identity) -> Result<(), Failure> {
        let refused = |report: String| Err(Failure::configuration(report));
        become_worker(py, workers)?;
        match application::load(py, self.config, self.embedder) {
            Ok(Loaded::Application(application)) => self.event_loop(py, &application),
            Ok(Loaded::Refused(failure)) => refused(failure.report),
            Err(error) => refused(application::raised(py, &error).report),
        }
    }

    /// The event loop that is asked for by name has to be there.
    fn event_loop(&self, py: Python<'_>, application: &Application) -> Result<(), Failure> {
        let needs = application.interface == Interface::Asgi;
        if !needs || self.config.asgi_loop != AsgiLoop::Uvloop {
            return Ok(());
        }
        let made = py
            .import("oxicorn.asgi")
            .and_then(|module| module.call_method1("new_loop", ("uvloop",)))
            .and_then(|event_loop| event_loop.call_method0("close"));
        made.map(drop)
            .map_err(|error| Failure::configuration(application::refusal(py, &error).report))
    }
}

/// What keeps the server from listening. A port that is taken may be taken by the server whose settings these are.
fn addresses(config: &Config, doubts: &mut Vec<String>) -> Vec<Failure> {
    let mut mistakes = Vec::new();
    for address in &config.bind {
        match arbiter::check_address(address) {
            Ok(None) => {}
            Ok(Some(doubt)) => doubts.push(doubt),
            Err(mistake) => mistakes.push(Failure::configuration(mistake)),
        }
    }
    mistakes
}

/// The application is imported with the rights that it will have, and this process does nothing else any more.
fn become_worker(py: Python<'_>, workers: &Identity) -> Result<(), Failure> {
    accounts::become_worker(workers).map_err(|failure| Failure::configuration(failure.report))?;
    imports::release(py).map_err(|error| Failure::configuration(error.to_string()))
}

/// Files that could not be written.
fn files(config: &Config) -> Vec<Failure> {
    let mut mistakes = Vec::new();
    let mut note = |name: &str, path: &Path, result: io::Result<()>| {
        if let Err(error) = result {
            mistakes.push(Failure::from(config.unusable(name, reason(path, &error))));
        }
    };
    let logs = [
        ("errorlog", Some(&config.errorlog)),
        ("accesslog", config.accesslog.as_ref()),
    ];
    let logs = logs.into_iter().filter_map(|(name, path)| {
        let path = path.filter(|path| *path != "-")?;
        Some((name, PathBuf::from(os_text::to_os(path))))
    });
    let pidfile = config.pidfile.clone().map(|path| ("pidfile", path));
    for (name, path) in logs.chain(pidfile) {
        note(name, &path, sys::files::check_writable(&path));
    }
    for address in &config.bind {
        if let Address::Unix(path) = address {
            // One of several: the path says which.
            let named = |error: io::Error| {
                io::Error::other(format!("{}: {}", path.display(), reason(path, &error)))
            };
            let checked = sys::files::check_writable(path).map_err(named);
            note("bind", path, checked);
        }
    }
    if let Some(folder) = &config.tmp_upload_dir {
        // The folder itself is what is missing.
        let inside = folder.join("upload");
        note("tmp_upload_dir", &inside, sys::files::check_folder(folder));
    }
    mistakes
}
