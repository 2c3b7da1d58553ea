//! From the command line to the arbiter: the way of every start, and of the answers that need no server.

use std::io::{self, Write as _};
use std::path::Path;
use std::sync::Arc;

use arbiter::Outcome;
use pyo3::prelude::*;
use settings::{CommandLine, Config, Parsed};

use crate::actors::Actors;
use crate::application::{self, Loaded};
use crate::composition::{Composition, Launch, Resolved, Sources, identity};
use crate::environment::{self, Environment};
use crate::failure::{BOOT, CONFIGURATION, Failure};
use crate::hooks::Hooks;
use crate::logging::{self, Banner};
use crate::{banner, driver, host};

/// Exit code of arguments that cannot be understood, argparse's.
const USAGE: i32 = 2;

/// Runs a command line and returns the exit code: the arbiter's, or in a forked worker that worker's.
///
/// # Errors
///
/// Python itself is broken: a module of its library or of ours cannot be imported.
pub(crate) fn main(py: Python<'_>, arguments: &[String]) -> PyResult<i32> {
    let command_line = match settings::parse_command_line(arguments) {
        Parsed::Run(command_line) => command_line,
        Parsed::Help(text) => return Ok(say(&text)),
        Parsed::Version => {
            return Ok(say(&format!(
                "oxicorn (version {})\n",
                env!("CARGO_PKG_VERSION")
            )));
        }
        Parsed::Usage(report) => {
            logging::write_plain(&format!("{report}\n"));
            return Ok(USAGE);
        }
    };
    let launch = Launch::note(py)?;
    py.import("oxicorn.compat")?.call_method0("install")?;
    if let Some(directory) = environment::working_directory() {
        environment::import_from(py, &directory)?;
    }
    match start(py, launch, &command_line) {
        Ok(code) => Ok(code),
        Err(failure) => {
            logging::write_plain(&format!("error: {failure}\n"));
            Ok(failure.code)
        }
    }
}

/// Writes an answer to standard output.
fn say(text: &str) -> i32 {
    match io::stdout()
        .write_all(text.as_bytes())
        .and_then(|()| io::stdout().flush())
    {
        Ok(()) => 0,
        Err(_) => CONFIGURATION,
    }
}

fn start(py: Python<'_>, launch: Launch, command_line: &CommandLine) -> Result<i32, Failure> {
    let sources = Sources::gather(command_line)?;
    let mut environment = Environment::default();
    let mut resolved = sources.resolve(py)?;
    resolved.prepare(py, &mut environment)?;
    let Resolved {
        config,
        hooks,
        slips,
        ..
    } = resolved;
    if config.print_config {
        say(&settings::render::print_config(&config, &|name| {
            qualified_name(py, &hooks, name)
        }));
    }
    if config.app.is_none() {
        return Err(no_application());
    }
    identity(&config)?;
    if config.check_config || config.print_config {
        return check(py, &config, &slips);
    }
    logging::set_up(&config).map_err(|error| host::unwritable(&config, &error))?;
    host::warn(&config, &slips);
    let config = Arc::new(config);
    let hooks = Arc::new(hooks);
    let actors = logging::capture_output(py).and_then(|()| Actors::new(py, &config, &hooks));
    let mut composition = Composition {
        sources,
        config: Arc::clone(&config),
        hooks,
        actors: actors
            .map_err(|error| Failure::raised(py, "while Python was set up", &error, BOOT))?,
        environment,
        preloaded: None,
        launch,
        previous: Vec::new(),
    };
    if logging::is_on_terminal() {
        logging::write_plain(&banner::opening(&config, Python::version_str()));
        logging::banner_stands_in(Banner::Standing);
    }
    let config = (*config).clone();
    Ok(match py.detach(|| arbiter::run(config, &mut composition)) {
        Outcome::Worker(code) if driver::left_threads() => driver::end_despite_threads(py, code),
        Outcome::Exit(code) | Outcome::Worker(code) => code,
    })
}

/// `--check-config`: everything up to the first socket, application included.
fn check(py: Python<'_>, config: &Config, slips: &[String]) -> Result<i32, Failure> {
    for sentence in config.notices.iter().chain(slips) {
        logging::write_plain(&format!("warning: {sentence}\n"));
    }
    let refused = |report: String| Err(Failure::configuration(report));
    match application::load(py, config) {
        Ok(Loaded::Application(_)) => Ok(0),
        Ok(Loaded::Refused(failure)) => refused(failure.report),
        Err(error) => refused(application::raised(py, &error).report),
    }
}

fn no_application() -> Failure {
    let message = "no application was named";
    let nearby = ["app.py", "wsgi.py", "main.py"]
        .into_iter()
        .find(|name| Path::new(name).is_file());
    let example = nearby.map_or("package.module:application", |name| {
        name.trim_end_matches(".py")
    });
    Failure::configuration(format!("{message}\n  hint: oxicorn {example}"))
}

/// The name that `--print-config` shows for a hook's function.
fn qualified_name(py: Python<'_>, hooks: &Hooks, name: &str) -> Option<String> {
    hooks
        .get(name)?
        .getattr(py, "__qualname__")
        .and_then(|name| name.extract(py))
        .ok()
}
