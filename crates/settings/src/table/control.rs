//! What operators and monitoring systems open to ask a running server: nothing of it is open unless it is named.

use crate::field::field;
use crate::kind::Kind;
use crate::setting::{Literal, Reload, Section, Setting};

const ROW: Setting = Setting {
    section: Section::Control,
    reload: Reload::StartOnly,
    ..Setting::ROW
};

pub(super) const ROWS: &[Setting] = &[
    Setting {
        name: "admin_bind",
        flags: &["--admin-bind"],
        metavar: "ADDRESS",
        kind: Kind::Words,
        default: Literal::List(&[]),
        own: true,
        access: field!(admin_bind),
        summary: "An address for metrics, health and status over HTTP; the option can be repeated.",
        details: "Spelled as `bind` is. The arbiter answers there, also while every worker is busy or hangs: \
                  `/metrics` for Prometheus and OpenMetrics, `/status` as JSON, `/livez` and `/readyz`. There is no \
                  TLS and no password: name an address of the loopback interface or a Unix socket (mode 0660), or \
                  one that only your monitoring reaches. See [Metrics](../metrics.md).",
        ..ROW
    },
    Setting {
        name: "control_socket",
        flags: &["--control-socket"],
        metavar: "PATH",
        kind: Kind::Text,
        access: field!(control_socket),
        summary: "The Unix socket of the control interface, which gunicornc speaks.",
        details: "Commands such as `show workers`, `worker add 2`, `reload` and `shutdown`. The protocol and the \
                  commands are Gunicorn's; `gunicornc -s PATH` and `oxicorn ctl -s PATH` speak it.",
        difference: "There is none unless a path is given: Gunicorn's default path is one for all servers of a user, \
                     and the newest server takes it from the others. A path that a server listens on is an error.",
        ..ROW
    },
    Setting {
        name: "control_socket_mode",
        flags: &["--control-socket-mode"],
        metavar: "INT",
        kind: Kind::Mode,
        default: Literal::Int(0o600),
        access: field!(control_socket_mode),
        summary: "The file mode of the control socket.",
        ..ROW
    },
    Setting {
        name: "control_socket_disable",
        flags: &["--no-control-socket"],
        kind: Kind::Flag,
        default: Literal::Bool(false),
        access: field!(control_socket_disable),
        summary: "Open no control socket, although a path is given.",
        ..ROW
    },
];
