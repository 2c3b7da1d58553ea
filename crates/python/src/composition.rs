//! Everything that one run of the server is put together from, and how it is read again for a reload.

use std::cell::Cell;
use std::io::{self, IsTerminal as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use ::admin::AdminServer;
use pyo3::prelude::*;
use server::Tls;
use settings::{CommandLine, Config, Layers, WorkerClass};
use sys::boot_report::BootReport;

use crate::accounts;
use crate::actors::Actors;
use crate::application::Application;
use crate::cautions;
use crate::conf_file::{self, ConfFile, Location};
use crate::embedding::{self, Embedder};
use crate::environment::{self, Environment};
use crate::failure::Failure;
use crate::greenlets;
use crate::hooks::Hooks;
use crate::host::Told;
use crate::imports;
use crate::logging;
use crate::reload::{self, Stamp};
use crate::text;
use crate::tls::Tickets;
use crate::worker_class;

/// The variables that hold arguments, the stronger one last.
const ARGUMENT_VARIABLES: [&str; 2] = ["GUNICORN_CMD_ARGS", "OXICORN_CMD_ARGS"];

/// Where the settings come from.
pub(crate) struct Sources {
    layers: Layers,
    location: Option<Location>,
    /// How the conf file was when it was last read.
    read: Cell<Stamp>,
    embedder: Option<Embedder>,
    /// Whether the application is looked for where none is named (`oxicorn dev`).
    finds_application: bool,
}

/// What the sources say.
pub(crate) struct Resolved {
    pub(crate) config: Config,
    pub(crate) hooks: Hooks,
    /// Names in the conf file that look like a slip, one sentence each.
    pub(crate) slips: Vec<String>,
    layers: Layers,
}

impl Resolved {
    /// Sets up what the application finds round it. A worker class of the user's own can be imported only then, and its
    /// settings may change what has been set up.
    ///
    /// # Errors
    ///
    /// What the settings name cannot be set up, or the class cannot be run.
    pub(crate) fn prepare(
        &mut self,
        py: Python<'_>,
        environment: &mut Environment,
    ) -> Result<(), Failure> {
        if self.config.as_gunicorn {
            let posed = imports::load(py, "oxicorn.compat")
                .and_then(|compat| compat.call_method0("pose_as_gunicorn"));
            posed.map_err(|error| Failure::configuration(format!("as_gunicorn: {error}")))?;
        }
        environment.prepare(py, &self.config)?;
        if self.config.worker_class == WorkerClass::Custom {
            self.ask_worker_class(py, environment)?;
        }
        if greenlets::are_wanted(&self.config) {
            greenlets::check(py)?;
        }
        name_server(py, &mut self.config)
    }

    fn ask_worker_class(
        &mut self,
        py: Python<'_>,
        environment: &mut Environment,
    ) -> Result<(), Failure> {
        let name = self.config.worker_class_name.clone();
        let found = worker_class::look_up(py, &name)?;
        self.hooks.worker_class = found.class;
        let layers = self.layers.clone();
        let layers = layers.worker_class(&name, &found.runs_as, found.settings);
        let found = self.config.app.take();
        self.config = layers.resolve()?;
        self.config.app = found;
        adapt_to_terminal(&mut self.config);
        environment.prepare(py, &self.config)
    }
}

impl Sources {
    /// Looks at the environment and finds the conf file.
    pub(crate) fn gather(command_line: &CommandLine) -> Result<Self, Failure> {
        let mut layers = Layers::new().environment(&environment::variable);
        for name in ARGUMENT_VARIABLES {
            if let Some(text) = environment::variable(name) {
                let words = settings::split_words(&text)
                    .map_err(|error| Failure::configuration(format!("{name}: {error}")))?;
                layers = layers.cmd_args(name, &words);
            }
        }
        let layers = layers.command_line(command_line);
        let location = Location::find(layers.conf_location())?;
        Ok(Self {
            layers,
            location,
            read: Cell::default(),
            embedder: None,
            finds_application: command_line.is_dev,
        })
    }

    /// A program that sets what it wants set by itself, over the defaults that the environment gives.
    pub(crate) fn embedded(embedder: Embedder) -> Self {
        Self {
            layers: Layers::new().environment(&environment::variable),
            location: None,
            read: Cell::default(),
            embedder: Some(embedder),
            finds_application: false,
        }
    }

    /// The program that embeds the server.
    pub(crate) fn embedder(&self) -> Option<&Embedder> {
        self.embedder.as_ref()
    }

    /// Reads everything again, for a reload.
    pub(crate) fn read_again(&self, py: Python<'_>) -> Result<Resolved, Failure> {
        if let Some(embedder) = &self.embedder {
            let read = embedder.reload(py);
            read.map_err(|error| embedding::unreadable(py, embedder, &error))?;
        }
        self.resolve(py)
    }

    /// Where the conf file is.
    pub(crate) fn location(&self) -> Option<&Location> {
        self.location.as_ref()
    }

    /// The conf file, and how it was when it was last read: what is saved later is not in force.
    pub(crate) fn conf_file(&self, py: Python<'_>) -> Option<(PathBuf, Stamp)> {
        let path = self.location.as_ref()?.path(py)?;
        Some((path, self.read.get()))
    }

    /// What root runs although others can change it, a sentence each.
    pub(crate) fn cautions(&self, py: Python<'_>, config: &Config) -> Vec<String> {
        let conf_file = self.conf_file(py).map(|(path, _)| path);
        let mut sentences = accounts::cautions(config, conf_file.as_deref());
        sentences.extend(cautions::of_machine(config));
        sentences
    }

    /// Reads the conf file, or what the embedding program has set, and resolves everything.
    pub(crate) fn resolve(&self, py: Python<'_>) -> Result<Resolved, Failure> {
        let mut layers = self.layers.clone();
        let mut hooks = Hooks::default();
        let mut slips = Vec::new();
        let mut mistakes = Vec::new();
        if let Some((name, file)) = self.file(py)? {
            layers = layers.conf_name(&name).conf(file.values);
            hooks = file.hooks;
            slips = file.slips;
            mistakes = file.mistakes;
        }
        mistakes.extend(layers.mistakes().into_iter().map(Failure::from));
        if let Some(failure) = Failure::all(mistakes) {
            return Err(failure);
        }
        let mut config = layers.resolve()?;
        if let Some(file) = logging_of_paste(py, &config)? {
            layers = layers.logconfig(&file);
            config = layers.resolve()?;
        }
        if config.app.is_none() && self.finds_application {
            config.app = nearby(py, &config);
        }
        adapt_to_terminal(&mut config);
        Ok(Resolved {
            config,
            hooks,
            slips,
            layers,
        })
    }

    /// What the conf file defines, or the program in its place, with the name that messages use.
    fn file(&self, py: Python<'_>) -> Result<Option<(String, ConfFile)>, Failure> {
        if let Some(embedder) = &self.embedder {
            let given = embedder.given(py);
            let given = given.map_err(|error| embedding::unreadable(py, embedder, &error))?;
            let name = embedder.name(py);
            let file = conf_file::collect(&given, &name);
            return Ok(Some((name, file)));
        }
        let Some(location) = &self.location else {
            return Ok(None);
        };
        if let Location::File { path, .. } = location {
            self.read.set(reload::stamp(path));
        }
        let file = conf_file::load(py, location)?;
        if let Location::Module(_) = location {
            // Python has found out just now which file that is.
            let path = location.path(py);
            self.read.set(path.and_then(|path| reload::stamp(&path)));
        }
        Ok(Some((location.name().to_owned(), file)))
    }
}

/// The application that the files of the project's directory define, as far as their text tells.
fn nearby(py: Python<'_>, config: &Config) -> Option<String> {
    // Without a guess the server says that no application was named.
    let guess = || {
        py.import("oxicorn.nearby")?
            .call_method1("suggestion", (&config.chdir,))?
            .extract()
    };
    guess().ok().flatten()
}

/// What depends on standard output being a terminal: where a person develops, requests leave a line there.
fn adapt_to_terminal(config: &mut Config) {
    let terminal = io::stdout().is_terminal() && !config.daemon;
    if terminal && config.reload && !config.origins.is_given("accesslog") {
        config.accesslog = Some("-".to_owned());
    }
    config.coloured_statuses =
        config.accesslog.as_deref() == Some("-") && logging::takes_colours(config, terminal);
}

/// What the user's code wants as the Server field. No text is no field.
pub(crate) fn server_field(py: Python<'_>) -> PyResult<Option<String>> {
    py.import("oxicorn.compat")?
        .call_method0("server_field")?
        .extract()
}

/// Takes the name that the user's code has given the server: `gunicorn.SERVER = "…"` in a conf file is how people hide
/// whose it is.
fn name_server(py: Python<'_>, config: &mut Config) -> Result<(), Failure> {
    let wanted = server_field(py).map_err(|error| Failure::configuration(error.to_string()))?;
    let Some(name) = wanted else {
        return Ok(());
    };
    if !name.chars().all(|c| c == ' ' || c.is_ascii_graphic()) {
        let rule = format!("gunicorn.SERVER: {name:?} cannot be the value of a field");
        return Err(Failure::configuration(rule));
    }
    let is_server = |field: &(String, String)| field.0.eq_ignore_ascii_case("server");
    if config.server_header && !config.response_headers.iter().any(is_server) {
        config.server_header = false;
        if !name.is_empty() {
            config.response_headers.push(("Server".to_owned(), name));
        }
    }
    Ok(())
}

/// The PasteDeploy file, where it configures Python's `logging` too and no other file is named for that.
fn logging_of_paste(py: Python<'_>, config: &Config) -> Result<Option<String>, Failure> {
    let Some(file) = &config.paste else {
        return Ok(None);
    };
    let checked = py
        .import("oxicorn.app.pasterapp")
        .and_then(|module| module.call_method1("check", (text::to_python(py, file)?,)));
    let file = checked.map_err(|error| Failure::configuration(text::of(error.value(py))))?;
    let file = text::extract(&file).ok();
    Ok(file.filter(|_| !config.origins.is_given("logconfig")))
}

/// The state of the arbiter's process, and of each worker after its fork.
pub(crate) struct Composition {
    pub(crate) sources: Sources,
    pub(crate) config: Arc<Config>,
    pub(crate) hooks: Arc<Hooks>,
    pub(crate) actors: Actors,
    pub(crate) environment: Environment,
    /// What encrypted connections are made of, read with the rights of the arbiter. Workers are forked with it.
    pub(crate) tls: Option<Arc<Tls>>,
    pub(crate) tickets: Tickets,
    /// The application, where it was imported before the fork.
    pub(crate) preloaded: Option<Application>,
    pub(crate) launch: Launch,
    /// What the log has of the settings that are doubtful.
    pub(crate) told: Told,
    /// What booting workers report.
    pub(crate) boot: BootReport,
    /// Since when the workers are awaited that boot.
    pub(crate) awaited_since: Instant,
    /// Answers operators, in the arbiter alone.
    pub(crate) admin: Option<AdminServer>,
    /// What was in force before the last reload, for as long as that can be taken back.
    pub(crate) previous: Vec<InForce>,
}

/// What a reload replaces.
pub(crate) struct InForce {
    pub(crate) config: Arc<Config>,
    pub(crate) hooks: Arc<Hooks>,
    pub(crate) tls: Option<Arc<Tls>>,
}

/// How this process was started, for starting it again (USR2).
pub(crate) struct Launch {
    pub(crate) executable: Py<PyAny>,
    pub(crate) arguments: Py<PyAny>,
    /// The environment before `raw_env`.
    pub(crate) environ: Py<PyAny>,
    pub(crate) directory: Option<PathBuf>,
    /// When.
    pub(crate) at: Instant,
}

impl Launch {
    /// Notes it, before anything changes.
    pub(crate) fn note(py: Python<'_>) -> PyResult<Self> {
        let sys = py.import("sys")?;
        Ok(Self {
            executable: sys.getattr("executable")?.unbind(),
            arguments: sys.getattr("orig_argv")?.unbind(),
            environ: py
                .import("os")?
                .getattr("environ")?
                .call_method0("copy")?
                .unbind(),
            directory: environment::working_directory(),
            at: Instant::now(),
        })
    }
}
