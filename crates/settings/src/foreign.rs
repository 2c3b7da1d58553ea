//! Options and environment variables of uvicorn and Granian that Oxicorn does not take, each with what to use in its
//! place. What it does take stands in `uvicorn.rs`.

/// An option that is refused by name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Foreign {
    pub(crate) flag: &'static str,
    /// Whose it is.
    pub(crate) owner: &'static str,
    /// What to use in its place, for the hint.
    pub(crate) instead: &'static str,
}

impl Foreign {
    /// The sentence that refuses it.
    pub(crate) fn sentence(&self) -> String {
        format!(
            "{} is an option of {}'s that Oxicorn does not have",
            self.flag, self.owner
        )
    }
}

/// The option of exactly that name.
pub(crate) fn foreign(flag: &str) -> Option<Foreign> {
    let of = |owner, list: &[(&'static str, &'static str)]| {
        let (flag, instead) = list.iter().find(|(known, _)| *known == flag)?;
        Some(Foreign {
            flag,
            owner,
            instead,
        })
    };
    of("uvicorn", UVICORN).or_else(|| of("Granian", GRANIAN))
}

/// The option with a value that another option of that name does not have here: the sentence and the hint.
pub(crate) fn refused_value(flag: &str, value: &str) -> Option<(String, &'static str)> {
    let instead = match (flag, value) {
        ("--http", "2") => NO_HTTP2,
        ("--interface", "auto") => return None,
        ("--interface", "rsgi") => {
            "RSGI is Granian's own protocol; name the application's ASGI or WSGI callable"
        }
        ("--interface", "wsgi") => {
            "the application shows its interface; -k sync and -k gthread insist on WSGI"
        }
        ("--interface", _) => "the application shows its interface; -k asgi insists on ASGI",
        _ => return None,
    };
    Some((format!("{flag} {value} is not taken"), instead))
}

const NO_HTTP2: &str =
    "HTTP/2 is offered by --http-protocols, and without TLS by --http2-cleartext";
const NO_TLS: &str = "this version of Oxicorn has no TLS; a proxy in front can speak it";
const NO_STATIC: &str =
    "this version of Oxicorn serves no static files; WhiteNoise or a proxy does";
const WATCHED: &str = "what the application imports is watched already; --reload-extra-file takes further files and \
                       patterns, such as 'templates/**'";
const NOT_WATCHED: &str =
    "only modules that are imported and files of --reload-extra-file are watched; leave it out";
const ENGINE: &str = "changes are noticed at once; --reload-engine poll looks once a second";
const ONE_CORE: &str =
    "a worker has one I/O core; --workers and --threads are the numbers to choose";
const HEAD: &str =
    "--limit-request-line and --limit-request-field_size bound the head of a request";
const METRICS: &str = "--statsd-host sends metrics to statsd";
const RESPAWN: &str = "workers that end are always replaced; leave it out";
const MEMORY: &str =
    "--max-requests replaces workers after a number of requests; there is no limit on memory";
const LEAVE_OUT: &str = "leave it out";

const UVICORN: &[(&str, &str)] = &[
    ("--reload-dir", WATCHED),
    ("--reload-include", WATCHED),
    ("--reload-exclude", NOT_WATCHED),
    ("--reload-delay", ENGINE),
    ("--http2", NO_HTTP2),
    ("--ssl-keyfile-password", NO_TLS),
    (
        "--timeout-worker-healthcheck",
        "--timeout replaces workers that hang",
    ),
    ("--h11-max-incomplete-event-size", HEAD),
    (
        "--reset-contextvars",
        "each request has a context of its own; leave it out",
    ),
];

const GRANIAN: &[(&str, &str)] = &[
    (
        "--uds-permissions",
        "--umask decides on the mode of the socket",
    ),
    (
        "--no-ws",
        "an application that takes no WebSockets refuses them; leave it out",
    ),
    ("--blocking-threads", "--threads"),
    (
        "--blocking-threads-idle-timeout",
        "threads live as long as their worker; leave it out",
    ),
    ("--runtime-threads", ONE_CORE),
    ("--runtime-blocking-threads", ONE_CORE),
    ("--runtime-mode", ONE_CORE),
    ("--task-impl", LEAVE_OUT),
    (
        "--backpressure",
        "--worker-connections bounds the connections of a worker, --limit-concurrency its requests",
    ),
    ("--http1-buffer-size", HEAD),
    (
        "--http1-header-read-timeout",
        "--header-timeout, in seconds",
    ),
    ("--http1-keep-alive", "--keep-alive SECONDS"),
    ("--no-http1-keep-alive", "--keep-alive 0"),
    ("--http1-pipeline-flush", LEAVE_OUT),
    ("--no-http1-pipeline-flush", LEAVE_OUT),
    ("--http2-adaptive-window", NO_HTTP2),
    ("--no-http2-adaptive-window", NO_HTTP2),
    ("--http2-initial-connection-window-size", NO_HTTP2),
    ("--http2-initial-stream-window-size", NO_HTTP2),
    ("--http2-keep-alive-interval", NO_HTTP2),
    ("--http2-keep-alive-timeout", NO_HTTP2),
    ("--http2-max-headers-size", NO_HTTP2),
    ("--http2-max-send-buffer-size", NO_HTTP2),
    ("--no-log", "--error-logfile /dev/null"),
    (
        "--access-log-fmt",
        "--access-logformat, with Gunicorn's atoms",
    ),
    ("--ssl-certificate", NO_TLS),
    ("--ssl-protocol-min", NO_TLS),
    ("--ssl-ca", NO_TLS),
    ("--ssl-crl", NO_TLS),
    ("--ssl-client-verify", NO_TLS),
    ("--no-ssl-client-verify", NO_TLS),
    (
        "--url-path-prefix",
        "--root-path for ASGI, --env SCRIPT_NAME=/PREFIX for WSGI",
    ),
    ("--respawn-failed-workers", RESPAWN),
    ("--no-respawn-failed-workers", RESPAWN),
    ("--respawn-interval", RESPAWN),
    ("--rss-sample-interval", MEMORY),
    ("--rss-samples", MEMORY),
    ("--workers-max-rss", MEMORY),
    ("--workers-lifetime", MEMORY),
    ("--workers-kill-timeout", "--graceful-timeout"),
    ("--no-factory", LEAVE_OUT),
    ("--working-dir", "--chdir"),
    ("--env-files", "--env-file"),
    ("--static-path-route", NO_STATIC),
    ("--static-path-mount", NO_STATIC),
    ("--static-path-dir-to-file", NO_STATIC),
    ("--static-path-expires", NO_STATIC),
    ("--metrics", METRICS),
    ("--no-metrics", LEAVE_OUT),
    ("--metrics-scrape-interval", METRICS),
    ("--metrics-address", METRICS),
    ("--metrics-port", METRICS),
    ("--no-reload", LEAVE_OUT),
    ("--reload-paths", WATCHED),
    ("--reload-ignore-dirs", NOT_WATCHED),
    ("--reload-ignore-patterns", NOT_WATCHED),
    ("--reload-ignore-paths", NOT_WATCHED),
    ("--reload-tick", ENGINE),
    (
        "--reload-ignore-worker-failure",
        "with --reload a failing application is shown and loaded again; leave it out",
    ),
    ("--no-reload-ignore-worker-failure", LEAVE_OUT),
    ("--process-name", "--name"),
    ("--pid-file", "--pid"),
];

/// Variables of uvicorn and Granian that do here what these options do. The name follows `UVICORN_` or `GRANIAN_`.
const VARIABLES: &[(&str, &str)] = &[
    ("ACCESS_LOG", "--access-log"),
    (
        "APP",
        "the application's name as an argument, or wsgi_app in the conf file",
    ),
    ("APP_DIR", "--app-dir"),
    ("BACKLOG", "--backlog"),
    ("BACKPRESSURE", "--worker-connections"),
    ("BLOCKING_THREADS", "--threads"),
    ("DATE_HEADER", "--no-date-header"),
    ("ENV_FILE", "--env-file"),
    ("ENV_FILES", "--env-file"),
    ("FACTORY", "--factory"),
    ("FD", "--fd"),
    (
        "FORWARDED_ALLOW_IPS",
        "FORWARDED_ALLOW_IPS or --forwarded-allow-ips",
    ),
    ("HEADERS", "--header"),
    ("HOST", "--host"),
    ("HTTP1_HEADER_READ_TIMEOUT", "--header-timeout, in seconds"),
    ("HTTP1_KEEP_ALIVE", "--keep-alive"),
    ("INTERFACE", "-k asgi, -k sync or -k gthread"),
    ("LIFESPAN", "--lifespan"),
    ("LIMIT_CONCURRENCY", "--limit-concurrency"),
    ("LIMIT_MAX_REQUESTS", "--limit-max-requests"),
    ("LIMIT_MAX_REQUESTS_JITTER", "--limit-max-requests-jitter"),
    ("LOG_ACCESS_ENABLED", "--access-log"),
    ("LOG_ACCESS_FMT", "--access-logformat"),
    (
        "LOG_CONFIG",
        "--log-config-json, or logconfig_dict in the conf file",
    ),
    ("LOG_LEVEL", "--log-level"),
    ("LOOP", "--loop"),
    ("PID_FILE", "--pid"),
    ("PORT", "PORT or --port"),
    ("PROCESS_NAME", "--name"),
    ("PROXY_HEADERS", "--proxy-headers"),
    ("RELOAD", "--reload"),
    ("RELOAD_DIRS", "--reload and --reload-extra-file"),
    ("RELOAD_INCLUDES", "--reload and --reload-extra-file"),
    ("RELOAD_PATHS", "--reload and --reload-extra-file"),
    ("ROOT_PATH", "--root-path"),
    ("SERVER_HEADER", "--no-server-header"),
    ("SSL_CA", "--ca-certs"),
    ("SSL_CA_CERTS", "--ssl-ca-certs"),
    ("SSL_CERTFILE", "--ssl-certfile"),
    ("SSL_CERTIFICATE", "--certfile"),
    ("SSL_CIPHERS", "--ssl-ciphers"),
    ("SSL_KEYFILE", "--ssl-keyfile"),
    ("STATIC_PATH_MOUNT", "WhiteNoise or a proxy"),
    ("STATIC_PATH_ROUTE", "WhiteNoise or a proxy"),
    ("TIMEOUT_GRACEFUL_SHUTDOWN", "--timeout-graceful-shutdown"),
    ("TIMEOUT_KEEP_ALIVE", "--timeout-keep-alive"),
    ("UDS", "--uds"),
    ("UDS_PERMISSIONS", "--umask"),
    (
        "URL_PATH_PREFIX",
        "--root-path for ASGI, --env SCRIPT_NAME=/PREFIX for WSGI",
    ),
    ("USE_COLORS", "--use-colors, --no-use-colors or NO_COLOR"),
    ("WORKERS", "WEB_CONCURRENCY or --workers"),
    ("WORKERS_KILL_TIMEOUT", "--graceful-timeout"),
    ("WORKERS_LIFETIME", "--max-requests"),
    ("WORKING_DIR", "--chdir"),
    ("WS_MAX_SIZE", "--ws-max-size"),
    ("WS_PER_MESSAGE_DEFLATE", "--ws-per-message-deflate"),
    ("WS_PING_INTERVAL", "--ws-ping-interval"),
    ("WS_PING_TIMEOUT", "--ws-ping-timeout"),
];

/// One sentence for each variable of another server that is set and not read here. Values are not shown: some are
/// secret.
pub(crate) fn ignored_variables(lookup: &dyn Fn(&str) -> Option<String>) -> Vec<String> {
    let each = ["UVICORN", "GRANIAN"].into_iter().flat_map(|prefix| {
        let name = move |name: &str| format!("{prefix}_{name}");
        VARIABLES
            .iter()
            .map(move |(suffix, instead)| (name(suffix), *instead))
    });
    each.filter(|(name, _)| lookup(name).is_some_and(|value| !value.is_empty()))
        .map(|(name, instead)| format!("{name} is not read by Oxicorn: use {instead}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::table;
    use crate::uvicorn::ALIASES;

    #[test]
    fn what_is_refused_is_no_option_of_ours() {
        let flags: Vec<&str> = table()
            .iter()
            .flat_map(|setting| setting.flags)
            .copied()
            .collect();
        for (flag, _) in UVICORN.iter().chain(GRANIAN) {
            assert!(!flags.contains(flag), "{flag}");
            assert!(!ALIASES.iter().any(|alias| alias.flag == *flag), "{flag}");
        }
    }

    #[test]
    fn what_is_to_be_used_instead_exists() {
        let flags: Vec<&str> = table()
            .iter()
            .flat_map(|setting| setting.flags)
            .copied()
            .collect();
        let texts = UVICORN
            .iter()
            .chain(GRANIAN)
            .chain(VARIABLES)
            .map(|(_, instead)| instead);
        for word in texts.flat_map(|text| text.split([' ', ',', ';'])) {
            let known = flags.contains(&word) || ALIASES.iter().any(|alias| alias.flag == word);
            assert!(!word.starts_with("--") || known, "{word}");
        }
    }

    #[test]
    fn variables_of_other_servers_are_pointed_out() {
        let set = [
            ("UVICORN_PORT", "9000"),
            ("GRANIAN_WORKERS", "4"),
            ("UVICORN_HOST", ""),
        ];
        let lookup = |name: &str| {
            let found = set.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        assert_eq!(
            ignored_variables(&lookup),
            [
                "UVICORN_PORT is not read by Oxicorn: use PORT or --port",
                "GRANIAN_WORKERS is not read by Oxicorn: use WEB_CONCURRENCY or --workers",
            ]
        );
    }
}
