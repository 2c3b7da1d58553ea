//! What settings make of values, beside what Gunicorn's make of the same, recorded by `recorded/record_values.py`.

#![allow(clippy::expect_used, reason = "a test says what it expects")]

mod json;

use json::value;
use serde_json::Value as Json;
use settings::render::print_config;
use settings::{Layers, Status, Value, find};

/// Refused here at once; Gunicorn takes them and fails later, or never says that it does nothing. (`True` is no way to
/// begin HTTP/2, and `None` no list of protocols.)
const REFUSED_HERE: &[&str] = &[
    "access_log_format",
    "bind",
    "control_socket_mode",
    "default_proc_name",
    "errorlog",
    "group",
    "header_map",
    "http2_cleartext",
    "http_protocols",
    "loglevel",
    "protocol",
    "raw_env",
    "raw_paste_global_conf",
    "reload_engine",
    "secure_scheme_headers",
    "ssl_version",
    "statsd_host",
    "syslog_addr",
    "syslog_facility",
    "umask",
    "user",
    "worker_class",
    "worker_connections",
];

/// Taken here besides: fractions of a second, lists where Gunicorn wants commas, and what only a look at the machine
/// can refuse, which comes later here.
const TAKEN_HERE: &[&str] = &[
    "chdir",
    "forwarded_allow_ips",
    "forwarder_headers",
    "graceful_timeout",
    "group",
    "keepalive",
    "proxy_allow_ips",
    "pythonpath",
    "reload_extra_files",
    "timeout",
    "user",
    "uwsgi_allow_ips",
];

/// Shown otherwise: variables by their names alone, accounts and directories are looked up by the caller, `None` is no
/// text, and an address is spelled as it is written.
const SHOWN_OTHERWISE: &[&str] = &[
    "chdir",
    "dogstatsd_tags",
    "group",
    "pythonpath",
    "raw_env",
    "root_path",
    "ssl_version",
    "statsd_host",
    "statsd_prefix",
    "user",
];

/// The value that `--print-config` shows for a setting when the conf file gives it `value`.
fn shown(name: &str, value: Value) -> Option<String> {
    let layers = Layers::new().conf(vec![(name.to_owned(), value)]);
    let lines = print_config(&layers.resolve().ok()?, &|_| None);
    let mut lines = lines.lines().filter_map(|line| line.split_once(" = "));
    let (_, shown) = lines.find(|(column, _)| column.trim_end() == name)?;
    Some(shown.to_owned())
}

#[test]
fn a_value_is_taken_and_shown_as_gunicorn_takes_and_shows_it() {
    let record: Json =
        serde_json::from_str(include_str!("recorded/values.json")).expect("valid JSON");
    let pool = record["pool"].as_array().expect("a list");
    let settings = record["settings"].as_object().expect("an object");
    let mut differing = Vec::new();
    for (name, outcomes) in settings {
        if matches!(find(name).expect(name).status, Status::Later(_)) {
            continue;
        }
        for (given, theirs) in pool.iter().zip(outcomes.as_array().expect("a list")) {
            // Python has no octal numbers of this form; the command line and the environment have.
            if given == "010" {
                continue;
            }
            let ours = shown(name, value(given));
            let excuses: &[&str] = match (&ours, theirs.as_str()) {
                (Some(ours), Some(theirs)) if ours == theirs => continue,
                (None, None) => continue,
                (None, Some(_)) => REFUSED_HERE,
                (Some(_), None) => TAKEN_HERE,
                (Some(_), Some(_)) => SHOWN_OTHERWISE,
            };
            if !excuses.contains(&name.as_str()) {
                differing.push(format!("{name} = {given}: {ours:?}, Gunicorn: {theirs}"));
            }
        }
    }
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}
