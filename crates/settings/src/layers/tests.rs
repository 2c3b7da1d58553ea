use std::time::Duration;

use super::*;
use crate::choice::{HeaderMap, LogLevel, WorkerClass};
use crate::command_line::{Parsed, parse_command_line};

fn words(line: &str) -> Vec<String> {
    line.split(' ')
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

fn arguments(line: &str) -> Layers {
    match parse_command_line(&words(line)) {
        Parsed::Run(parsed) => Layers::new().command_line(&parsed),
        other => panic!("{line}: {other:?}"),
    }
}

fn variables(pairs: &'static [(&str, &str)]) -> impl Fn(&str) -> Option<String> {
    |name| {
        pairs
            .iter()
            .find(|(key, _)| *key == name)
            .map(|(_, value)| (*value).to_owned())
    }
}

fn conf(name: &str, value: Value) -> Layers {
    Layers::new().conf(vec![(name.to_owned(), value)])
}

fn config(layers: &Layers) -> Config {
    layers.resolve().expect("valid")
}

fn error(layers: &Layers) -> SettingsError {
    layers.resolve().expect_err("a mistake")
}

#[test]
fn a_stronger_source_replaces_a_weaker_one() {
    let layers = Layers::new();
    assert_eq!(config(&layers).workers, 1);
    let layers = layers.environment(&variables(&[("WEB_CONCURRENCY", "2")]));
    assert_eq!(config(&layers).workers, 2);
    let layers = layers.conf(vec![("workers".to_owned(), Value::Int(3))]);
    assert_eq!(config(&layers).workers, 3);
    let layers = layers.cmd_args("GUNICORN_CMD_ARGS", &words("-w 4"));
    assert_eq!(config(&layers).workers, 4);
    let layers = layers.cmd_args("OXICORN_CMD_ARGS", &words("-w 5"));
    assert_eq!(config(&layers).workers, 5);
    let Parsed::Run(parsed) = parse_command_line(&words("-w 6")) else {
        panic!("no run")
    };
    let layers = layers.command_line(&parsed);
    assert_eq!(config(&layers).workers, 6);
    assert_eq!(config(&layers).origins.of("workers"), Source::CommandLine);
    assert!(!config(&layers).origins.is_given("threads"));
}

#[test]
fn a_list_replaces_a_list_as_a_whole() {
    let layers = arguments("-b :3333").conf(vec![("bind".to_owned(), Value::from("unix:/run/a"))]);
    let shown: Vec<String> = config(&layers)
        .bind
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(shown, ["http://0.0.0.0:3333"]);
}

#[test]
fn the_environment_gives_port_peers_and_sendfile() {
    let layers = Layers::new().environment(&variables(&[
        ("PORT", "9000"),
        ("FORWARDED_ALLOW_IPS", ""),
        ("SENDFILE", "no"),
        ("WEB_CONCURRENCY", ""),
    ]));
    let config = config(&layers);
    assert_eq!(config.bind[0].to_string(), "http://0.0.0.0:9000");
    assert!(
        config.forwarded_allow_ips.is_empty(),
        "an empty list trusts nobody"
    );
    assert!(!config.sendfile);
    assert_eq!(config.workers, 1);
}

#[test]
fn a_mistake_names_setting_value_form_and_source() {
    let check = |layers: Layers, expected: &str, exit_code: i32| {
        let error = error(&layers);
        assert_eq!(error.to_string(), expected);
        assert_eq!(error.exit_code(), exit_code, "{expected}");
    };
    check(
        arguments("-w -1"),
        "--workers: -1 is not valid: expected a whole number, 0 or more (from the command line)",
        1,
    );
    check(
        Layers::new().environment(&variables(&[("WEB_CONCURRENCY", "abc")])),
        "WEB_CONCURRENCY: 'abc' is not valid: expected a whole number, 0 or more (from the environment)",
        1,
    );
    check(
        Layers::new().cmd_args("GUNICORN_CMD_ARGS", &words("--threads x")),
        "--threads: 'x' is not valid: expected a whole number, 0 or more (from GUNICORN_CMD_ARGS)",
        2,
    );
    check(
        Layers::new()
            .conf_name("gunicorn.conf.py")
            .conf(vec![("reload".to_owned(), Value::Int(1))]),
        "reload: 1 is not valid: expected True or False (from gunicorn.conf.py)",
        1,
    );
    check(
        arguments("--log-level nonsense"),
        "--log-level: 'nonsense' is not valid: expected debug, info, warning, error or critical (from the command line)",
        1,
    );
    check(
        conf("worker_connections", Value::Int(0)),
        "worker_connections: 0 is not valid: expected a whole number, 1 or more (from the conf file)",
        1,
    );
}

#[test]
fn of_a_list_the_wrong_part_is_named() {
    let report = error(&arguments("-b :1 -b foo:bar")).report();
    assert_eq!(
        report,
        "error: --bind: 'foo:bar' is not valid: expected HOST:PORT, [IPV6]:PORT, unix:PATH or fd://N (from the \
         command line)\n  hint: 'bar' is not a port (0 to 65535)"
    );
    assert!(
        error(&arguments("-e A=1 -e B"))
            .to_string()
            .starts_with("--env: 'B' is not valid: expected NAME=VALUE")
    );
    let peers = error(&conf("forwarded_allow_ips", Value::from("192.168.1.1/24")));
    assert!(peers.hint.expect("a hint").contains("host bits"));
}

#[test]
fn a_weaker_mistake_is_a_mistake_too() {
    let layers = arguments("-w 4").environment(&variables(&[("WEB_CONCURRENCY", "abc")]));
    assert_eq!(error(&layers).setting, "WEB_CONCURRENCY");
}

#[test]
fn arguments_in_the_environment_name_themselves() {
    let layers = Layers::new().cmd_args("OXICORN_CMD_ARGS", &words("--wrokers 4"));
    let error = error(&layers);
    assert_eq!(error.exit_code(), 2);
    assert_eq!(
        error.report(),
        "error: --wrokers is not an option (from OXICORN_CMD_ARGS)\n  hint: did you mean --workers?"
    );
}

#[test]
fn what_is_not_there_yet_is_refused_by_name() {
    let check = |layers: Layers, expected: &str| assert_eq!(error(&layers).to_string(), expected);
    check(
        conf("dirty_workers", Value::Int(1)),
        "dirty_workers: 1 is not available: this version of Oxicorn has no dirty arbiters; expected the default, 0, \
         or nothing (from the conf file)",
    );
    // Even if its value is malformed.
    assert_eq!(
        error(&conf("ssl_context", Value::Other("function".to_owned()))).setting,
        "ssl_context"
    );
}

#[test]
fn what_is_not_there_yet_may_be_at_its_default() {
    for (name, value) in [
        ("protocol", Value::from("http")),
        ("proxy_allow_ips", Value::from("127.0.0.1,::1")),
        ("http_protocols", Value::from("h1")),
        ("logconfig_dict", Value::Map(Vec::new())),
    ] {
        config(&conf(name, value));
    }
}

#[test]
fn only_the_strongest_value_is_refused_as_not_there_yet() {
    let layers =
        arguments("-k sync").conf(vec![("worker_class".to_owned(), Value::from("tornado"))]);
    assert_eq!(config(&layers).worker_class, WorkerClass::Sync);
    assert_eq!(
        error(&conf("worker_class", Value::from("tornado"))).setting,
        "worker_class"
    );
}

#[test]
fn worker_classes_are_known_under_all_their_names() {
    for (name, class) in [
        ("sync", WorkerClass::Sync),
        ("gunicorn.workers.sync.SyncWorker", WorkerClass::Sync),
        ("gthread", WorkerClass::Gthread),
        ("egg:gunicorn#gthread", WorkerClass::Gthread),
        (
            "gunicorn.workers.gthread.ThreadWorker",
            WorkerClass::Gthread,
        ),
        ("gevent", WorkerClass::Gevent),
        ("gevent_pywsgi", WorkerClass::Gevent),
        ("egg:gunicorn#gevent_wsgi", WorkerClass::Gevent),
        ("asgi", WorkerClass::Asgi),
        ("uvicorn.workers.UvicornWorker", WorkerClass::Asgi),
        ("uvicorn.workers.UvicornH11Worker", WorkerClass::Asgi),
        ("uvicorn_worker.UvicornWorker", WorkerClass::Asgi),
        ("aiohttp.GunicornWebWorker", WorkerClass::Custom),
    ] {
        assert_eq!(
            config(&conf("worker_class", Value::from(name))).worker_class,
            class
        );
    }
    let refused = error(&conf("worker_class", Value::from("eventlet"))).report();
    assert!(
        refused.contains("expected sync, gthread, gevent or asgi")
            && refused.contains("eventlet workers"),
        "{refused}"
    );
    for name in [
        "gunicorn.workers.no.Such",
        "egg:other#worker",
        "a b.c",
        "nobody",
    ] {
        error(&conf("worker_class", Value::from(name)));
    }
    error(&conf("worker_class", Value::Other("type".to_owned())));
}

#[test]
fn a_logger_class_is_a_name_or_the_class_itself() {
    let resolve = |layers: Layers| layers.resolve().expect("a configuration").logger_class;
    let name = |name: &str| Some(name.to_owned());
    assert_eq!(resolve(Layers::new()), name("gunicorn.glogging.Logger"));
    assert_eq!(
        resolve(conf("logger_class", Value::None)),
        name("gunicorn.glogging.Logger")
    );
    assert_eq!(
        resolve(arguments("--logger-class shop.Log")),
        name("shop.Log")
    );
    assert_eq!(
        resolve(conf("logger_class", Value::Other("type".to_owned()))),
        None
    );
}

#[test]
fn sync_with_threads_is_gthread() {
    assert_eq!(
        config(&arguments("--threads 4")).effective_worker_class(),
        WorkerClass::Gthread
    );
    assert_eq!(config(&arguments("--threads 0")).threads, 1);
    assert_eq!(
        config(&Layers::new()).effective_worker_class(),
        WorkerClass::Sync
    );
}

#[test]
fn the_command_lines_application_wins() {
    let from_file = conf("wsgi_app", Value::from("file:app"));
    assert_eq!(config(&from_file).app.as_deref(), Some("file:app"));
    let both = arguments("line:app").conf(vec![("wsgi_app".to_owned(), Value::from("file:app"))]);
    assert_eq!(config(&both).app.as_deref(), Some("line:app"));
    let in_variable = Layers::new().cmd_args("GUNICORN_CMD_ARGS", &words("variable:app"));
    assert_eq!(config(&in_variable).app, None);
}

#[test]
fn the_conf_file_is_named_by_the_strongest_arguments() {
    assert_eq!(Layers::new().conf_location(), None);
    let layers = Layers::new().cmd_args("GUNICORN_CMD_ARGS", &words("-c a.py"));
    assert_eq!(layers.conf_location(), Some("a.py"));
    let Parsed::Run(parsed) = parse_command_line(&words("-c b.py -c python:c")) else {
        panic!("no run")
    };
    assert_eq!(
        layers.command_line(&parsed).conf_location(),
        Some("python:c")
    );
}

#[test]
fn a_relative_chdir_starts_where_the_server_started() {
    let check = |line: &str, expected: &str| {
        let layers = arguments(line).environment(&variables(&[("PWD", "/srv/./www")]));
        assert_eq!(config(&layers).chdir.to_str(), Some(expected), "{line}");
    };
    check("", "/srv/www");
    check("--chdir app", "/srv/www/app");
    check("--chdir ./app/.", "/srv/www/app");
    check("--chdir /opt", "/opt");
}

#[test]
fn what_has_no_effect_is_said_once_and_only_when_given() {
    let layers = arguments("--worker-tmp-dir /dev/shm")
        .conf(vec![("http_parser".to_owned(), Value::from("auto"))]);
    assert_eq!(
        config(&layers).notices,
        [
            "--worker-tmp-dir has no effect here: workers report through shared memory, not through files (from the \
             command line)"
        ]
    );
}

#[test]
fn preloading_with_reload_says_which_of_them_counts() {
    let [notice] = &*config(&arguments("--preload --reload")).notices else {
        panic!("one notice was expected");
    };
    assert!(
        notice.starts_with("reload has no effect with preload_app"),
        "{notice}"
    );
    assert!(config(&arguments("--preload")).notices.is_empty());
}

#[test]
fn names_of_the_files_own_and_hooks_are_the_callers() {
    let layers = Layers::new().conf(vec![
        ("cores".to_owned(), Value::Int(8)),
        ("post_fork".to_owned(), Value::Other("function".to_owned())),
    ]);
    assert_eq!(config(&layers), Config::default());
}

#[test]
fn limits_have_bounds_of_their_own() {
    assert_eq!(
        config(&arguments("--limit-request-fields 0")).limit_request_fields,
        32_768
    );
    assert_eq!(
        config(&arguments("--limit-request-fields 99999")).limit_request_fields,
        32_768
    );
    assert_eq!(
        config(&arguments("--limit-request-field_size 0")).limit_request_field_size,
        0
    );
    let too_many = error(&arguments("-w 5000000000"));
    assert!(
        too_many
            .to_string()
            .contains("a whole number up to 4294967295"),
        "{too_many}"
    );
}

#[test]
fn every_type_of_field_is_filled() {
    let layers = arguments(
        "-t 0.5 --log-level WARN --header-map Refuse --pythonpath a,b -m 027 --pid /run/a.pid",
    );
    let layers = layers.conf(vec![
        (
            "secure_scheme_headers".to_owned(),
            Value::Map(vec![("x-scheme".to_owned(), Value::from("https"))]),
        ),
        (
            "raw_env".to_owned(),
            Value::List(vec![Value::from("A=1=2"), Value::from("B=")]),
        ),
        ("sendfile".to_owned(), Value::Bool(true)),
        ("user".to_owned(), Value::Int(33)),
        ("proc_name".to_owned(), Value::from("")),
        ("forwarder_headers".to_owned(), Value::from("remote_user")),
    ]);
    let config = config(&layers);
    assert_eq!(config.timeout, Duration::from_millis(500));
    assert_eq!(config.loglevel, LogLevel::Warning);
    assert_eq!(config.header_map, HeaderMap::Refuse);
    assert_eq!(config.pythonpath, ["a", "b"]);
    assert_eq!(config.umask, 0o27);
    assert_eq!(
        config.pidfile.as_deref(),
        Some(std::path::Path::new("/run/a.pid"))
    );
    assert_eq!(
        config.secure_scheme_headers,
        [("X-SCHEME".to_owned(), "https".to_owned())]
    );
    assert_eq!(
        config.raw_env,
        [
            ("A".to_owned(), "1=2".to_owned()),
            ("B".to_owned(), String::new())
        ]
    );
    assert!(config.sendfile);
    assert_eq!(config.user.as_deref(), Some("33"));
    assert_eq!(config.proc_name, None);
    assert_eq!(config.forwarder_headers, ["REMOTE_USER"]);
}

#[test]
fn settings_are_shown_as_gunicorn_shows_them() {
    let config = config(&arguments("-b unix:/run/a -e A=1"));
    let shown = |name: &str| config.value(name).map(|value| value.display());
    assert_eq!(shown("bind").as_deref(), Some("['unix:/run/a']"));
    assert_eq!(shown("raw_env").as_deref(), Some("['A=1']"));
    assert_eq!(shown("config").as_deref(), Some("./gunicorn.conf.py"));
    assert_eq!(
        shown("proxy_allow_ips").as_deref(),
        Some("['127.0.0.1', '::1']")
    );
    assert_eq!(shown("post_fork"), None);
    assert_eq!(shown("nonsense"), None);
}

#[test]
fn a_worker_class_has_the_last_word() {
    let settings = ClassSettings {
        values: vec![("keepalive".to_owned(), Value::Int(7))],
        notices: vec!["a notice".to_owned()],
        cautions: vec!["a caution".to_owned()],
    };
    let layers = arguments("--keep-alive 3 -k shop.Worker");
    assert_eq!(config(&layers).worker_class, WorkerClass::Custom);
    let settled = layers.worker_class("shop.Worker", "uvicorn.workers.UvicornWorker", settings);
    let config = config(&settled);
    assert_eq!(
        (config.worker_class, config.keepalive.as_secs()),
        (WorkerClass::Asgi, 7)
    );
    assert_eq!(config.notices, ["a notice"]);
    assert_eq!(config.cautions, ["a caution"]);
    assert_eq!(
        config.origins.of("keepalive").to_string(),
        "from shop.Worker.CONFIG_KWARGS"
    );
}

#[test]
fn the_names_of_uvicorn_mean_its_trust_in_proxies() {
    let proxied = |line: &str| config(&arguments(line)).proxy_headers;
    assert!(!proxied("-k asgi") && proxied("-k asgi --proxy-headers"));
    assert!(proxied("-k uvicorn.workers.UvicornWorker"));
    assert!(!proxied(
        "-k uvicorn.workers.UvicornWorker --no-proxy-headers"
    ));
}

#[test]
fn what_has_no_effect_on_the_command_line_is_told() {
    let notices = config(&arguments("--http h11")).notices;
    assert_eq!(
        notices,
        ["--http has no effect here: there is one HTTP parser (from the command line)"]
    );
}

#[test]
fn every_mistake_is_known_and_the_first_is_the_error() {
    let layers = Layers::new()
        .environment(&|name| (name == "WEB_CONCURRENCY").then(|| "x".to_owned()))
        .conf(vec![
            ("timeout".to_owned(), Value::from("soon")),
            ("bind".to_owned(), Value::from("8000")),
        ]);
    let labels: Vec<String> = layers
        .mistakes()
        .into_iter()
        .map(|mistake| mistake.setting)
        .collect();
    assert_eq!(labels, ["WEB_CONCURRENCY", "timeout", "bind"]);
    let first = layers.resolve().expect_err("three mistakes");
    assert_eq!(first.setting, "WEB_CONCURRENCY");
    assert_eq!(Layers::new().mistakes(), []);
}
