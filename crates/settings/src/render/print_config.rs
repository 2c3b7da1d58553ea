//! The lines of `--print-config`, in Gunicorn's shape and, where a setting is Gunicorn's, in its words.

use std::fmt::Write as _;

use crate::config::Config;
use crate::error::Source;
use crate::setting::{Literal, Setting, find};
use crate::statsd::StatsdAddress;
use crate::table::table;
use crate::value::Value;

/// Settings that Gunicorn prints as they are understood, and not as they were given.
const UNDERSTOOD: [&str; 3] = ["chdir", "header_map", "pythonpath"];

/// One line a setting, sorted by name: `workers = 1`, the equals signs in one column. `known` gives what only the
/// caller can: the qualified name of the function that a hook is set to, the numbers of user and group.
pub fn print_config(config: &Config, known: &dyn Fn(&str) -> Option<String>) -> String {
    let mut settings: Vec<&Setting> = table().iter().collect();
    settings.sort_by_key(|setting| setting.name);
    let width = settings
        .iter()
        .map(|setting| setting.name.len())
        .max()
        .unwrap_or_default();
    let mut lines = String::new();
    for setting in settings {
        let value = match known(setting.name) {
            Some(function) if setting.is_hook() => format!("<{function}()>"),
            Some(text) => text,
            None => shown(setting, config),
        };
        // Writing to a String cannot fail.
        let _ = writeln!(lines, "{:width$} = {value}", setting.name);
    }
    lines
}

/// The same with the source of each value behind it. Hooks come from the conf file, which `conf_file` names.
pub fn print_sources(
    config: &Config,
    conf_file: Option<&str>,
    known: &dyn Fn(&str) -> Option<String>,
) -> String {
    let printed = print_config(config, known);
    let named = |line: &str| line.split_once(' ').map(|(name, _)| name.to_owned());
    let width = printed
        .lines()
        .map(|line| line.chars().count())
        .filter(|width| *width <= WIDEST)
        .max()
        .unwrap_or_default();
    let mut lines = String::new();
    for line in printed.lines() {
        let name = named(line).unwrap_or_default();
        let hook = find(&name).filter(|setting| setting.is_hook() && known(&name).is_some());
        let source = match hook.and(conf_file) {
            Some(file) => file.to_owned(),
            None => config.origins.place(&name),
        };
        // Writing to a String cannot fail.
        let _ = writeln!(lines, "{line:width$}  # {source}");
    }
    lines
}

/// Columns; longer lines have their source further to the right.
const WIDEST: usize = 80;

/// A value is shown as it was given (`loglevel = INFO`), as Gunicorn does: an operator who looks for a mistake wants to
/// see it. Only `statsd_host` is shown as Python's pair of host and port.
fn shown(setting: &Setting, config: &Config) -> String {
    let source = config.origins.of(setting.name);
    if setting.name == "raw_env" && !config.raw_env.is_empty() {
        // Their values are often secrets, and what is printed ends in tickets.
        let names = config
            .raw_env
            .iter()
            .map(|(name, _)| Value::from(name.as_str()));
        return Value::List(names.collect()).display();
    }
    if let ("statsd_host", Some(address)) = (setting.name, &config.statsd_host) {
        return match address {
            StatsdAddress::Udp { host, port } => {
                format!("({}, {port})", Value::from(host.as_str()))
            }
            StatsdAddress::Unix(path) => path.display().to_string(),
        };
    }
    match config.origins.words(setting.name) {
        Some(words) if source > Source::Environment && !UNDERSTOOD.contains(&setting.name) => {
            words.display()
        }
        // sendfile alone: without a word from anybody it is on, and shown as `None`.
        _ if source <= Source::Environment && setting.default == Literal::None => "None".to_owned(),
        _ => setting.value_in(config).display(),
    }
}
