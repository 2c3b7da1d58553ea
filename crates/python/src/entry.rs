//! From the command line to the arbiter: the way of every start, and of the answers that need no server.

use std::sync::Arc;

use admin::AdminServer;
use arbiter::{EXIT_APP_LOAD, EXIT_WORKER_BOOT, Outcome};
use pyo3::prelude::*;
use settings::Config;
use sys::boot_report::BootReport;

use crate::accounts::{Accounts, identity};
use crate::actors::Actors;
use crate::check::Subject;
use crate::composition::{Composition, Launch, Resolved, Sources};
use crate::conf_file::Location;
use crate::embedding::{self, Embedder};
use crate::environment::{self, Environment};
use crate::failure::Failure;
use crate::hooks::Hooks;
use crate::host::Told;
use crate::logging::{self, Banner};
use crate::text;
use crate::tls::Tickets;
use crate::{driver, host, imports, metrics};

/// Runs a command line and returns the exit code: the arbiter's, or in a forked worker that worker's.
///
/// # Errors
///
/// Python itself is broken: a module of its library or of ours cannot be imported.
pub(crate) fn main(py: Python<'_>, arguments: &[String]) -> PyResult<i32> {
    sys::fds::note_inherited();
    sys::fds::fill_standard_streams()?;
    sys::forks::claim()?;
    let command_line = match embedding::parse(arguments) {
        Ok(command_line) => command_line,
        Err(code) => return Ok(code),
    };
    text::note_encoding(py)?;
    let launch = Launch::note(py)?;
    imports::prepare(py)?;
    py.import("oxicorn.compat")?.call_method0("install")?;
    if let Some(directory) = environment::working_directory() {
        environment::import_from(py, &directory)?;
    }
    let started = Sources::gather(&command_line).and_then(|sources| start(py, launch, sources));
    Ok(started.unwrap_or_else(told))
}

/// Runs the server for a program that embeds it, and returns the exit code.
///
/// # Errors
///
/// As for [`main`].
pub(crate) fn serve(py: Python<'_>, application: Py<PyAny>) -> PyResult<i32> {
    sys::fds::note_inherited();
    sys::fds::fill_standard_streams()?;
    sys::forks::claim()?;
    text::note_encoding(py)?;
    let launch = Launch::note(py)?;
    imports::prepare(py)?;
    py.import("oxicorn.compat")?.call_method0("install")?;
    let sources = Sources::embedded(Embedder::new(application));
    Ok(start(py, launch, sources).unwrap_or_else(told))
}

/// The exit code of a failure, after it has been told.
fn told(failure: Failure) -> i32 {
    logging::write_plain(&format!("error: {failure}\n"));
    failure.code
}

fn start(py: Python<'_>, launch: Launch, sources: Sources) -> Result<i32, Failure> {
    let mut environment = Environment::default();
    let mut resolved = sources.resolve(py)?;
    let prepared = resolved.prepare(py, &mut environment);
    let Resolved {
        config,
        hooks,
        mut slips,
        ..
    } = resolved;
    slips.extend(sources.cautions(py, &config));
    let named = match config.app.is_none() && sources.embedder().is_none() {
        true => Err(no_application(py)),
        false => Ok(()),
    };
    if config.print_config || config.print_sources {
        print_config(py, &config, &hooks, sources.location())?;
    }
    let identity = identity(&config);
    if config.check_config || config.print_config || config.print_sources {
        let subject = Subject {
            config: &config,
            hooks: &hooks,
            embedder: sources.embedder(),
            slips: &slips,
        };
        return subject.check(py, prepared.and(named), identity);
    }
    prepared.and(named)?;
    logging::belong_to(&identity?);
    logging::set_up(&config).map_err(|error| host::unwritable(&config, &error))?;
    metrics::set_up(&config);
    let mut tickets = Tickets::inherited();
    let tls = tickets.load(&config)?;
    let config = Arc::new(config);
    let hooks = Arc::new(hooks);
    let actors = logging::capture_output(py)
        .and_then(|()| Actors::new(py, &config, &hooks, sources.embedder()));
    let actors = actors.map_err(|error| Failure::of_logging(py, &error))?;
    host::warn(&config, &slips);
    host::spew(py, &config)?;
    let boot = BootReport::new()
        .map_err(|error| Failure::configuration(format!("no memory can be shared: {error}")))?;
    let mut composition = Composition {
        sources,
        config: Arc::clone(&config),
        hooks,
        actors,
        environment,
        tls,
        tickets,
        preloaded: None,
        awaited_since: launch.at,
        launch,
        told: Told::of(&config, &slips),
        boot: boot.clone(),
        admin: listen_for_admin(&config)?,
        previous: Vec::new(),
    };
    if logging::is_on_terminal() {
        logging::banner_stands_in(Banner::Standing);
    }
    let config = (*config).clone();
    Ok(match run(py, config, &mut composition) {
        Outcome::Worker(code) if driver::left_threads() => driver::end_despite_threads(py, code),
        Outcome::Worker(code) => code,
        Outcome::Exit(code) => {
            tell_cause(&boot, code);
            code
        }
    })
}

fn run(py: Python<'_>, config: Config, composition: &mut Composition) -> Outcome {
    let outcome = py.detach(|| arbiter::run(config, composition));
    // A worker's last line comes after its last look at those that wait.
    logging::deliver(py);
    outcome
}

/// Opens what operators and monitoring systems ask, before the process becomes another user and leaves the terminal.
fn listen_for_admin(config: &Config) -> Result<Option<AdminServer>, Failure> {
    let is_upgrade = arbiter::is_upgrade();
    let admin = AdminServer::open(config, is_upgrade).map_err(Failure::configuration)?;
    for address in admin.iter().flat_map(AdminServer::addresses) {
        log::info!("Listening at: {address}");
    }
    Ok(admin)
}

/// Ends a start that has failed in a worker with its cause, in the log and on standard error.
fn tell_cause(boot: &BootReport, code: i32) {
    let failed = matches!(code, EXIT_WORKER_BOOT | EXIT_APP_LOAD);
    let Some(cause) = boot.failure().filter(|_| failed) else {
        return;
    };
    log::error!("{cause}");
    if !logging::is_on_stderr() {
        logging::write_plain(&format!("error: {cause}\n"));
    }
}

fn no_application(py: Python<'_>) -> Failure {
    let guess = || -> PyResult<Option<String>> {
        py.import("oxicorn.nearby")?
            .call_method0("command")?
            .extract()
    };
    // A hint that cannot be had is no error of its own.
    let nearby = guess().ok().flatten();
    let example = nearby.as_deref().unwrap_or("package.module:application");
    Failure::configuration(format!(
        "no application was named\n  hint: oxicorn {example}"
    ))
}

/// `--print-config`. Users and groups are shown by number, as Gunicorn does.
fn print_config(
    py: Python<'_>,
    config: &Config,
    hooks: &Hooks,
    conf_file: Option<&Location>,
) -> Result<(), Failure> {
    let accounts = Accounts::of(config)?;
    let known = |name: &str| match name {
        "user" => Some(accounts.uid().to_string()),
        "group" => Some(accounts.gid().to_string()),
        name => qualified_name(py, hooks, name),
    };
    let read = conf_file.map_or("none".to_owned(), Location::spelled_out);
    logging::write_plain(&format!("conf file: {read}\n"));
    let lines = match config.print_sources {
        true => settings::render::print_sources(config, conf_file.map(Location::name), &known),
        false => settings::render::print_config(config, &known),
    };
    logging::say(&lines);
    Ok(())
}

/// The name that `--print-config` shows for a hook's function.
fn qualified_name(py: Python<'_>, hooks: &Hooks, name: &str) -> Option<String> {
    hooks
        .get(name)?
        .getattr(py, "__qualname__")
        .and_then(|name| name.extract(py))
        .ok()
}
