//! The access log, the error log, metrics, and the names of processes.

use crate::field::field;
use crate::kind::Kind;
use crate::setting::{Literal, Reload, Section, Setting};

use super::custom;

const ROW: Setting = Setting {
    section: Section::Logging,
    ..Setting::ROW
};

/// An option without a value.
const SWITCH: Setting = Setting {
    kind: Kind::Flag,
    default: Literal::Bool(false),
    ..ROW
};

/// The combined format of Apache, as Gunicorn writes it.
const COMBINED: &str = r#"%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s""#;

/// The words on the access log format: Gunicorn's atoms.
const ATOMS: &str = "An atom in `%(…)s` stands for a fact of the request; one that is not known is `-`.\n\n\
| atom | fact |\n|---|---|\n\
| `h` | address of the client |\n\
| `l` | always `-` |\n\
| `u` | user name of basic authentication |\n\
| `t` | date and time |\n\
| `r` | request line |\n\
| `m`, `U`, `q`, `H` | method, path, query string, version |\n\
| `s` | status |\n\
| `B`, `b` | length of the response body; `b` is `-` where none was sent |\n\
| `f`, `a` | Referer, User-Agent |\n\
| `T`, `M`, `D`, `L` | duration in seconds, milliseconds, microseconds, and seconds with six decimals |\n\
| `p` | process id of the worker |\n\
| `{name}i`, `{name}o` | a field of the request, of the response |\n\
| `{name}e` | a variable of `environ`, as the application left it |\n\n\
Names in braces may be in any case.\n\n\
`json` in place of all that makes each line a JSON object; see [Logging](../logging.md#json).";

pub(super) const ROWS: &[Setting] = &[
    Setting {
        name: "accesslog",
        flags: &["--access-logfile"],
        metavar: "FILE",
        kind: Kind::Text,
        access: field!(accesslog),
        summary: "The file that gets a line for every request; - is standard output, nothing is no log.",
        details: "Settings that configure Python's `logging` (`logconfig`, `logconfig_dict`, `logconfig_json`, `syslog`) switch \
                  the access log on as well.",
        ..ROW
    },
    Setting {
        name: "disable_redirect_access_to_syslog",
        flags: &["--disable-redirect-access-to-syslog"],
        access: field!(disable_redirect_access_to_syslog),
        summary: "Keep access lines out of syslog.",
        ..SWITCH
    },
    Setting {
        name: "use_colors",
        flags: &["--use-colors"],
        kind: Kind::Flag,
        own: true,
        access: field!(use_colors),
        summary: "Colour what is shown on a terminal: levels, statuses, the banner.",
        details: "`None` colours where the output is a terminal, unless `NO_COLOR` is set or `TERM` is `dumb`. \
                  `--no-use-colors` is `False`.",
        ..ROW
    },
    Setting {
        name: "access_log_format",
        flags: &["--access-logformat", "--access-log-format"],
        metavar: "STRING",
        kind: Kind::Text,
        default: Literal::Str(COMBINED),
        access: field!(access_log_format),
        summary: "The shape of an access line.",
        details: ATOMS,
        difference: "A request that fails is logged with its true duration, and one that cannot be parsed is logged too.",
        ..ROW
    },
    Setting {
        name: "log_format",
        flags: &["--log-format"],
        metavar: "STRING",
        kind: Kind::Choice(&["text", "json"]),
        default: Literal::Str("text"),
        own: true,
        access: field!(log_format),
        summary: "The shape of the lines of both logs: text, or JSON objects (json).",
        details: "`json` is `access_log_format` and `error_log_format` at once; either can still be set to another.",
        ..ROW
    },
    Setting {
        name: "error_log_format",
        flags: &["--error-log-format"],
        metavar: "STRING",
        kind: Kind::Choice(&["text", "json"]),
        default: Literal::Str("text"),
        own: true,
        access: field!(error_log_format),
        summary: "The shape of the lines of the server's own log: text, or JSON objects (json).",
        details: "An object has `time`, `level`, `pid` and `message`; a traceback, the name of its exception and the \
                  ids of the request are members of their own. See [logging](../logging.md).",
        ..ROW
    },
    Setting {
        name: "errorlog",
        flags: &["--error-logfile", "--log-file"],
        metavar: "FILE",
        kind: Kind::Text,
        default: Literal::Str("-"),
        access: field!(errorlog),
        summary: "The file of the server's own log; - is standard error.",
        ..ROW
    },
    Setting {
        name: "loglevel",
        flags: &["--log-level"],
        metavar: "LEVEL",
        kind: Kind::Text,
        default: Literal::Str("info"),
        access: field!(loglevel),
        summary: "The least severe lines of the server's own log: debug, info, warning, error or critical.",
        difference: "A level that does not exist is an error; Gunicorn takes it for `info`.",
        ..ROW
    },
    Setting {
        name: "capture_output",
        flags: &["--capture-output"],
        reload: Reload::Partly,
        access: field!(capture_output),
        summary: "Send what the application prints to the server's own log.",
        ..SWITCH
    },
    Setting {
        name: "logger_class",
        flags: &["--logger-class"],
        metavar: "STRING",
        kind: Kind::Class,
        default: Literal::Str(custom::DEFAULT_LOGGER_CLASS),
        reload: Reload::StartOnly,
        access: Some(custom::LOGGER_CLASS),
        summary: "The class that writes both logs.",
        details: "Its name, the class, or a function that returns it. `gunicorn.glogging.Logger` is Oxicorn's own \
                  `oxicorn.glogging.Logger`, with Gunicorn's methods and attributes, to be subclassed: \
                  [logging](../logging.md) says what runs when.",
        ..ROW
    },
    Setting {
        name: "logconfig",
        flags: &["--log-config"],
        metavar: "FILE",
        kind: Kind::Text,
        access: Some(custom::LOGCONFIG),
        summary: "A file for logging.config.fileConfig.",
        details: "The loggers are `gunicorn.error` and `gunicorn.access`. `logconfig_json` is stronger than this, \
                  `logconfig_dict` stronger than both.",
        ..ROW
    },
    Setting {
        name: "logconfig_dict",
        kind: Kind::Dictionary,
        default: Literal::Map(&[]),
        access: Some(custom::LOGGING_DICTIONARY),
        summary: "A dictionary for logging.config.dictConfig.",
        details: "What it does not have comes from `gunicorn.glogging.CONFIG_DEFAULTS`, key by key of the first level.",
        ..ROW
    },
    Setting {
        name: "logconfig_json",
        flags: &["--log-config-json"],
        metavar: "FILE",
        kind: Kind::Text,
        access: field!(logconfig_json),
        summary: "A JSON file with a dictionary for logging.config.dictConfig.",
        details: "It is filled up from the same defaults as `logconfig_dict`.",
        difference: "A file that does not exist is an error; Gunicorn ignores it.",
        ..ROW
    },
    Setting {
        name: "syslog_addr",
        flags: &["--log-syslog-to"],
        metavar: "SYSLOG_ADDR",
        kind: Kind::Text,
        default: Literal::Str("udp://localhost:514"),
        access: field!(syslog_addr),
        summary: "Where syslog listens: udp://HOST:PORT, tcp://HOST:PORT or unix://PATH.",
        details: "`unix://PATH#dgram` and `unix://PATH#stream` choose the kind of socket; without it, datagrams are tried first.",
        difference: "A syslog that cannot be reached never delays a request and never stops the server; the log says so once.",
        ..ROW
    },
    Setting {
        name: "syslog",
        flags: &["--log-syslog"],
        access: field!(syslog),
        summary: "Send both logs to syslog.",
        ..SWITCH
    },
    Setting {
        name: "syslog_prefix",
        flags: &["--log-syslog-prefix"],
        metavar: "SYSLOG_PREFIX",
        kind: Kind::Text,
        access: field!(syslog_prefix),
        summary: "The part of the program's name that syslog shows.",
        ..ROW
    },
    Setting {
        name: "syslog_facility",
        flags: &["--log-syslog-facility"],
        metavar: "SYSLOG_FACILITY",
        kind: Kind::Text,
        default: Literal::Str("user"),
        access: field!(syslog_facility),
        summary: "The facility under which syslog files the lines.",
        ..ROW
    },
    Setting {
        name: "enable_stdio_inheritance",
        flags: &["-R", "--enable-stdio-inheritance"],
        reload: Reload::StartOnly,
        access: field!(enable_stdio_inheritance),
        summary: "With daemon: keep standard output and error where they are redirected to.",
        details: "A terminal is left all the same.",
        ..SWITCH
    },
    Setting {
        name: "statsd_host",
        flags: &["--statsd-host"],
        metavar: "STATSD_ADDR",
        kind: Kind::Text,
        reload: Reload::StartOnly,
        access: field!(statsd_host),
        summary: "Where statsd listens: HOST:PORT or unix://PATH. Nothing is no metrics.",
        details: "The metrics are in [Metrics](../metrics.md).",
        difference: "A socket under a path may be opened after the server, and anew.",
        ..ROW
    },
    Setting {
        name: "dogstatsd_tags",
        flags: &["--dogstatsd-tags"],
        metavar: "DOGSTATSD_TAGS",
        kind: Kind::Text,
        default: Literal::Str(""),
        reload: Reload::StartOnly,
        access: field!(dogstatsd_tags),
        summary: "Tags for every metric, divided by commas.",
        ..ROW
    },
    Setting {
        name: "statsd_prefix",
        flags: &["--statsd-prefix"],
        metavar: "STATSD_PREFIX",
        kind: Kind::Text,
        default: Literal::Str(""),
        reload: Reload::StartOnly,
        access: field!(statsd_prefix),
        summary: "What stands in front of every metric's name.",
        ..ROW
    },
    Setting {
        name: "enable_backlog_metric",
        flags: &["--enable-backlog-metric"],
        access: field!(enable_backlog_metric),
        summary: "Report the length of the accept queue as a metric, once a second.",
        details: "For TCP listeners; the kernel does not tell it of unix sockets.",
        ..SWITCH
    },
];

const NAMING: Setting = Setting {
    section: Section::ProcessNaming,
    kind: Kind::Text,
    ..Setting::ROW
};

pub(super) const PROCESS_NAMING: &[Setting] = &[
    Setting {
        name: "proc_name",
        flags: &["-n", "--name"],
        metavar: "STRING",
        access: field!(proc_name),
        summary: "The name in brackets that process lists show for the server.",
        details: "The default is what is served: `oxicorn: worker [shop.wsgi]`.",
        difference: "It needs no other package.",
        ..NAMING
    },
    Setting {
        name: "default_proc_name",
        metavar: "STRING",
        default: Literal::Str("gunicorn"),
        access: field!(default_proc_name),
        summary: "The name in brackets where proc_name gives none.",
        details: "By default it is the application as the command line names it.",
        ..NAMING
    },
];
