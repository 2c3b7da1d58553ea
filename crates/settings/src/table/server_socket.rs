//! Where the settings come from, and listening.

use super::custom;
use crate::field::field;
use crate::kind::Kind;
use crate::setting::{Literal, Reload, Section, Setting};

pub(super) const ROWS: &[Setting] = &[
    Setting {
        name: "config",
        section: Section::ConfigFile,
        flags: &["-c", "--config"],
        metavar: "CONFIG",
        kind: Kind::Text,
        default: Literal::Str(custom::DEFAULT_CONF),
        reload: Reload::StartOnly,
        access: Some(custom::CONF),
        summary: "The conf file: a path, file:PATH, or python:MODULE.",
        details: "A conf file is Python; each of its names that is a setting's name gives that setting a value. Without \
                  this option, `./oxicorn.conf.py` and then `./gunicorn.conf.py` are looked for in the \
                  directory in which the server was started. The choice of the file stands until the next start; what \
                  the file says is read again on every reload.",
        difference: "`oxicorn.conf.py` is found as well.",
        ..Setting::ROW
    },
    Setting {
        name: "wsgi_app",
        section: Section::ConfigFile,
        metavar: "STRING",
        kind: Kind::Text,
        access: field!(wsgi_app),
        summary: "What to serve, as MODULE[:NAME], where the command line does not say.",
        ..Setting::ROW
    },
    Setting {
        name: "bind",
        section: Section::ServerSocket,
        flags: &["-b", "--bind"],
        metavar: "ADDRESS",
        kind: Kind::Words,
        default: Literal::List(&["127.0.0.1:8000"]),
        variable: Some(custom::PORT),
        access: Some(custom::BIND),
        summary: "An address to listen on; the option can be repeated.",
        details: "`HOST`, `HOST:PORT`, `:PORT`, `[IPV6]:PORT`, `unix:PATH`, or `fd://N` for a socket that is already \
                  open under that descriptor. A port that is left out is 8000. A list from one source replaces the \
                  list of a weaker one.",
        difference: "Listeners that stand in the old and in the new list stay open over a reload.",
        ..Setting::ROW
    },
    Setting {
        name: "backlog",
        section: Section::ServerSocket,
        flags: &["--backlog"],
        metavar: "INT",
        kind: Kind::Number(0),
        default: Literal::Int(2048),
        reload: Reload::Partly,
        access: field!(backlog),
        summary: "How many connections the kernel holds for each listener until a worker takes them.",
        details: "The kernel lowers it to `net.core.somaxconn`. A new value holds for listeners that are opened after \
                  it.",
        ..Setting::ROW
    },
];
