//! The sources of settings and their precedence: defaults, environment, conf file, `GUNICORN_CMD_ARGS` and
//! `OXICORN_CMD_ARGS`, command line. A stronger source replaces a value as a whole; lists are not merged.

use std::collections::BTreeMap;

use crate::cautions::cautions;
use crate::choice::{HeaderMap, WorkerClass};
use crate::command_line::{self, CommandLine, Stop};
use crate::config::Config;
use crate::error::{Problem, SettingsError, Source};
use crate::foreign::ignored_variables;
use crate::origins::{Origin, Origins};
use crate::os_text;
use crate::setting::{Setting, Status, find};
use crate::table::{MOST_FIELDS, table};
use crate::uvicorn::ClassSettings;
use crate::value::Value;

/// Collects what the sources say, in any order, and resolves it. Clone it before the conf file is read, and a reload
/// can resolve the same with the file's new values.
#[derive(Clone, Debug, Default)]
pub struct Layers {
    environment: Vec<Given>,
    working_directory: Option<String>,
    conf: Vec<Given>,
    conf_name: Option<String>,
    arguments: Vec<Given>,
    command_line: Vec<Given>,
    class: Vec<Given>,
    notices: Vec<String>,
    cautions: Vec<String>,
    app: Option<String>,
    broken: Vec<SettingsError>,
}

/// One value that a source gives.
#[derive(Clone, Debug)]
struct Given {
    setting: &'static Setting,
    value: Value,
    source: Source,
    /// The setting as the operator knows it in this source.
    label: &'static str,
}

impl Given {
    fn origin(&self) -> Origin {
        Origin {
            source: self.source.clone(),
            label: self.label,
            words: self.value.clone(),
        }
    }
}

/// The checked value of each setting that was given, by name.
type Settled = BTreeMap<&'static str, Given>;

impl Layers {
    /// Defaults only.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the variables that stand for settings (`WEB_CONCURRENCY`, `PORT`, `FORWARDED_ALLOW_IPS`, `SENDFILE`), and
    /// `PWD` as the directory in which the server was started: the caller answers it with a path that it has checked.
    #[must_use]
    pub fn environment(mut self, lookup: &dyn Fn(&str) -> Option<String>) -> Self {
        let with_variable = table()
            .iter()
            .filter_map(|setting| setting.variable.map(|variable| (setting, variable)));
        for (setting, variable) in with_variable {
            let Some(text) = lookup(variable.name) else {
                continue;
            };
            match (variable.value)(&text) {
                Ok(None) => {}
                Ok(Some(value)) => self.environment.push(Given {
                    setting,
                    value,
                    source: Source::Environment,
                    label: variable.name,
                }),
                Err(rejection) => {
                    let error =
                        rejection.of(variable.name, &Value::Str(text), &Source::Environment);
                    self.broken.push(error);
                }
            }
        }
        self.cautions.extend(ignored_variables(lookup));
        self.working_directory = lookup("PWD");
        self
    }

    /// Takes the names and values that a conf file defines. Names that are no setting are the file's own business
    /// ([`crate::near_miss()`] knows which of them look like a slip), and hooks are the caller's.
    #[must_use]
    pub fn conf(mut self, values: Vec<(String, Value)>) -> Self {
        let source = Source::ConfFile(self.conf_name.clone());
        self.conf = named(values, &source);
        self
    }

    /// Takes what a worker class of the user's own says, which no other source overrides: so it is where Gunicorn
    /// starts such a class. `runs_as` is the class that runs in its place, by its name.
    #[must_use]
    pub fn worker_class(mut self, name: &str, runs_as: &str, settings: ClassSettings) -> Self {
        let source = Source::WorkerClass(name.to_owned());
        let class = ("worker_class".to_owned(), Value::from(runs_as));
        self.class = named([vec![class], settings.values].concat(), &source);
        self.notices.extend(settings.notices);
        self.cautions.extend(settings.cautions);
        self
    }

    /// Takes the PasteDeploy file, which configures Python's logging as well, for `logconfig`, unless that is set.
    #[must_use]
    pub fn logconfig(mut self, file: &str) -> Self {
        let logconfig = ("logconfig".to_owned(), Value::from(file));
        self.environment
            .extend(named(vec![logconfig], &Source::Default));
        self
    }

    /// The conf file's name, which errors about its values then show. Call it before [`Layers::conf`].
    #[must_use]
    pub fn conf_name(mut self, name: &str) -> Self {
        self.conf_name = Some(name.to_owned());
        self
    }

    /// Takes arguments from an environment variable, already split by [`crate::split_words`]. A later call is stronger.
    /// An application named there is ignored, as Gunicorn ignores it. What is wrong with the arguments is
    /// [`Layers::resolve`]'s error.
    #[must_use]
    pub fn cmd_args(mut self, source_name: &str, arguments: &[String]) -> Self {
        let source = Source::Arguments(source_name.to_owned());
        match command_line::parse(arguments) {
            Ok(parsed) => {
                self.arguments.extend(given(&parsed, &source));
                self.notices.extend(notices(&parsed, &source));
            }
            Err(stop) => self.broken.push(stopped(stop, source)),
        }
        self
    }

    /// Takes the options and the application of the command line.
    #[must_use]
    pub fn command_line(mut self, parsed: &CommandLine) -> Self {
        self.command_line = given(parsed, &Source::CommandLine);
        self.notices.extend(notices(parsed, &Source::CommandLine));
        self.app = parsed.app.clone();
        self
    }

    /// The conf file that the command line or, failing that, the arguments in the environment name. `None` leaves the
    /// caller to look for a file with the default name.
    pub fn conf_location(&self) -> Option<&str> {
        let named = |layer: &'_ [Given]| {
            layer
                .iter()
                .rposition(|given| given.setting.name == "config")
        };
        let layer = [&self.command_line, &self.arguments]
            .into_iter()
            .find(|layer| named(layer).is_some())?;
        match &layer.get(named(layer)?)?.value {
            Value::Str(location) => Some(location.trim()),
            _ => None,
        }
    }

    /// The typed result, or the first mistake.
    pub fn resolve(&self) -> Result<Config, SettingsError> {
        let mut mistakes = Vec::new();
        let config = self.read(&mut mistakes);
        match mistakes.into_iter().next() {
            Some(first) => Err(first),
            None => Ok(config),
        }
    }

    /// Every mistake, in the order of the sources and then of the table.
    pub fn mistakes(&self) -> Vec<SettingsError> {
        let mut mistakes = Vec::new();
        self.read(&mut mistakes);
        mistakes
    }

    fn read(&self, mistakes: &mut Vec<SettingsError>) -> Config {
        mistakes.extend(self.broken.iter().cloned());
        let settled = self.settle(mistakes);
        let mut config = Config::blank();
        for setting in table() {
            let written = match settled.get(setting.name) {
                Some(given) => take(given, &mut config),
                None => write(
                    setting,
                    &setting.normal_default(),
                    &Source::Default,
                    setting.name,
                    &mut config,
                ),
            };
            mistakes.extend(written.err());
        }
        self.finish(config, &settled)
    }

    /// Checks every value of every source, weaker ones too (`WEB_CONCURRENCY=abc` is a mistake even where `-w` wins),
    /// and keeps the strongest.
    fn settle(&self, mistakes: &mut Vec<SettingsError>) -> Settled {
        let mut settled = Settled::new();
        for given in [
            &self.environment,
            &self.conf,
            &self.arguments,
            &self.command_line,
            &self.class,
        ]
        .into_iter()
        .flatten()
        {
            if given.setting.is_hook() && given.setting.status == Status::Here {
                continue;
            }
            let plain = given.setting.or_default(&given.value);
            let value = match (given.setting.kind.check(&plain), given.setting.status) {
                (Ok(value), _) => value,
                // A setting that is not implemented is refused for that reason, even if its value is malformed.
                (Err(_), Status::Later(_)) => given.value.clone(),
                (Err(rejection), _) => {
                    mistakes.push(rejection.of(given.label, &given.value, &given.source));
                    continue;
                }
            };
            settled.insert(
                given.setting.name,
                Given {
                    value,
                    ..given.clone()
                },
            );
        }
        settled
    }

    fn finish(&self, mut config: Config, settled: &Settled) -> Config {
        config.app = self.app.clone().or_else(|| config.wsgi_app.clone());
        if let Some(file) = &config.paste {
            let directory = self.working_directory.as_deref().unwrap_or_default();
            let file = std::path::Path::new(directory).join(file);
            config.paste = Some(file.to_string_lossy().into_owned());
            config.app = config.paste.clone();
        }
        let named = config.paste.as_ref().or(self.app.as_ref());
        if let (Some(app), false) = (named, settled.contains_key("default_proc_name")) {
            config.default_proc_name.clone_from(app);
        }
        if config.log_format == "json" {
            let is_open = |name| !settled.contains_key(name);
            if is_open("access_log_format") {
                config.access_log_format = "json".to_owned();
            }
            if is_open("error_log_format") {
                config.error_log_format = "json".to_owned();
            }
        }
        if let Some(directory) = &self.working_directory {
            // Collecting the components drops `.` and doubled slashes, and leaves `..` and links alone.
            config.chdir = std::path::Path::new(&os_text::to_os(directory))
                .join(&config.chdir)
                .components()
                .collect();
            settle_paths(&mut config);
        }
        let inert = table().iter();
        config.notices = inert
            .filter_map(|setting| notice(setting, settled))
            .chain(self.notices.iter().cloned())
            .collect();
        if config.preload_app && config.reload {
            config.notices.push(RELOAD_WITH_PRELOAD.to_owned());
        }
        if WorkerClass::is_uvicorn(&config.worker_class_name) {
            as_uvicorn(&mut config, |name| settled.contains_key(name));
        }
        config.origins = Origins::new(
            settled
                .iter()
                .map(|(name, given)| (*name, given.origin()))
                .collect(),
        );
        config.cautions = [self.cautions.clone(), cautions(&config)].concat();
        config
    }
}

/// What a deployment with uvicorn's classes has relied on so far, unless a source says otherwise: the client's address
/// behind a proxy, names with an underscore, and uvicorn's limits in place of those of Gunicorn's parser.
fn as_uvicorn(config: &mut Config, is_given: impl Fn(&str) -> bool) {
    if !is_given("proxy_headers") {
        config.proxy_headers = true;
    }
    if !is_given("header_map") {
        config.header_map = HeaderMap::Dangerous;
    }
    if !is_given("limit_request_line") {
        config.limit_request_line = UVICORN_LINE;
    }
    if !is_given("limit_request_field_size") {
        config.limit_request_field_size = UVICORN_LINE;
    }
    if !is_given("limit_request_fields") {
        config.limit_request_fields = MOST_FIELDS;
    }
    if !is_given("limit_request_body") {
        // The application reads the body while it arrives, so a long one takes no disk.
        config.limit_request_body = 0;
    }
}

/// The bound of uvicorn's parser in Python is 64 KiB for what is not whole yet, the one in C has none. So a URL and a
/// field may be as long, and what stands round them is not counted.
const UVICORN_LINE: usize = 65 * 1024;

/// Which of two settings counts that cannot both be had.
const RELOAD_WITH_PRELOAD: &str = "reload has no effect with preload_app: the arbiter has imported the application, and \
                                   no worker can import it anew. Leave preload_app out while you develop";

/// Ties the files that workers open to the directory of `chdir`: an application may go elsewhere while it is imported.
/// What the arbiter opens it opens before that.
fn settle_paths(config: &mut Config) {
    if let Some(path) = config.accesslog.as_mut().filter(|path| *path != "-") {
        let whole = config.chdir.join(os_text::to_os(path));
        *path = os_text::from_os(whole.as_os_str());
    }
    let paths = [
        &mut config.tmp_upload_dir,
        &mut config.certfile,
        &mut config.keyfile,
        &mut config.tls_ticket_key_file,
        &mut config.ca_certs,
        &mut config.tls_crl_file,
    ];
    for path in paths.into_iter().flatten() {
        *path = config.chdir.join(&*path);
    }
}

/// The settings of parsed arguments, with where they stood.
fn given(parsed: &CommandLine, source: &Source) -> Vec<Given> {
    let each = parsed.options.iter();
    each.map(|option| Given {
        setting: option.setting,
        value: option.value.clone(),
        source: source.clone(),
        label: option.label,
    })
    .collect()
}

/// What has no effect among the arguments.
fn notices(parsed: &CommandLine, source: &Source) -> Vec<String> {
    let each = parsed.without_effect.iter();
    each.map(|(flag, reason)| format!("{flag} has no effect here: {reason} ({source})"))
        .collect()
}

/// Values under the names of a conf file. Other names are left out.
fn named(values: Vec<(String, Value)>, source: &Source) -> Vec<Given> {
    let each = values.into_iter();
    each.filter_map(|(name, value)| {
        let setting = find(&name)?;
        Some(Given {
            setting,
            value,
            source: source.clone(),
            label: setting.name,
        })
    })
    .collect()
}

/// The error for arguments in the environment that ask for something else than to run.
fn stopped(stop: Stop, source: Source) -> SettingsError {
    let (sentence, hint) = match stop {
        Stop::Usage { sentence, hint } => (sentence, hint),
        Stop::Malformed(value) => return value.of(&source),
        Stop::Help(_) | Stop::Version => (
            "--help and --version belong on the command line".to_owned(),
            None,
        ),
    };
    let setting = source.to_string();
    SettingsError {
        setting,
        problem: Box::new(Problem::Usage(sentence)),
        source_of_value: source,
        hint,
    }
}

/// Writes a given value into its field, or refuses a setting that is not there yet.
fn take(given: &Given, config: &mut Config) -> Result<(), SettingsError> {
    let default = given.setting.normal_default();
    let missing = match given.setting.status {
        Status::Later(missing) if given.value != default => missing,
        _ => {
            return write(
                given.setting,
                &given.value,
                &given.source,
                given.label,
                config,
            );
        }
    };
    Err(SettingsError {
        setting: given.label.to_owned(),
        problem: Box::new(Problem::NotYet {
            value: given.value.clone(),
            missing,
            default,
        }),
        source_of_value: given.source.clone(),
        hint: None,
    })
}

fn write(
    setting: &Setting,
    value: &Value,
    source: &Source,
    label: &str,
    config: &mut Config,
) -> Result<(), SettingsError> {
    setting
        .write(config, value)
        .map_err(|rejection| rejection.of(label, value, source))
}

/// The sentence about a setting that was given a value of its own and has no effect here.
fn notice(setting: &Setting, settled: &Settled) -> Option<String> {
    let Status::Inert(reason) = setting.status else {
        return None;
    };
    let given = settled.get(setting.name)?;
    let changed = given.value != setting.normal_default();
    changed.then(|| {
        format!(
            "{} has no effect here: {reason} ({})",
            given.label, given.source
        )
    })
}

#[cfg(test)]
mod tests;
