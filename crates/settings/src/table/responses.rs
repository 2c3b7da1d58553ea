//! What of uvicorn's options Gunicorn has no setting for and every application can use: the fields that the server adds
//! to responses, the client that a proxy names, how the application is made.

use super::custom;
use crate::field::field;
use crate::kind::Kind;
use crate::setting::{Literal, Setting};

/// What only Oxicorn has.
const OWN: Setting = Setting {
    own: true,
    ..Setting::ROW
};

pub(super) const ROWS: &[Setting] = &[
    Setting {
        name: "proxy_headers",
        flags: &["--proxy-headers"],
        kind: Kind::Flag,
        default: Literal::Bool(false),
        access: field!(proxy_headers),
        summary: "Take the client's address from the X-Forwarded-For field of a trusted proxy.",
        details: "The address becomes `client` in an ASGI scope, `REMOTE_ADDR` and `REMOTE_PORT` in a WSGI environ, and \
                  `%(h)s` in the access log. Read from the right, it is the first that is not itself one of \
                  `forwarded_allow_ips`; with `*` it is the leftmost. Without a port in the field, the port is 0. The \
                  scheme is read from `secure_scheme_headers` in any case. With one of uvicorn's worker classes it is \
                  on, as it is there; `--no-proxy-headers` turns it off.",
        ..OWN
    },
    Setting {
        name: "server_header",
        flags: &["--no-server-header"],
        kind: Kind::Flag,
        default: Literal::Bool(true),
        bare: Literal::Bool(false),
        access: field!(server_header),
        summary: "Do not add a Server field to responses.",
        meaning: "Whether responses get a Server field.",
        details: "What the application sets is sent in any case.",
        ..OWN
    },
    Setting {
        name: "date_header",
        flags: &["--no-date-header"],
        kind: Kind::Flag,
        default: Literal::Bool(true),
        bare: Literal::Bool(false),
        access: field!(date_header),
        summary: "Do not add a Date field to responses.",
        meaning: "Whether responses get a Date field.",
        ..OWN
    },
    Setting {
        name: "response_headers",
        flags: &["--header"],
        metavar: "NAME:VALUE",
        kind: Kind::Words,
        default: Literal::List(&[]),
        access: Some(custom::RESPONSE_FIELDS),
        summary: "A field (header) for every response that does not have it, as NAME:VALUE; the option can be repeated.",
        details: "`--header drop` and its like, without a colon, are Gunicorn's `--header-map`.",
        ..OWN
    },
    Setting {
        name: "app_factory",
        flags: &["--factory"],
        kind: Kind::Flag,
        default: Literal::Bool(false),
        access: field!(app_factory),
        summary: "Call what is named, without arguments, to get the application.",
        details: "`MODULE:NAME` then means the same as `MODULE:NAME()`.",
        ..OWN
    },
    Setting {
        name: "env_file",
        flags: &["--env-file"],
        metavar: "FILE",
        kind: Kind::Text,
        access: field!(env_file),
        summary: "A file of variables for the environment, as NAME=VALUE lines.",
        details: "It is read before the application is loaded, and again at a reload. Variables that the environment has \
                  already stay as they are, and `raw_env` wins over the file. Quotes, `export`, comments and `${NAME}` \
                  are understood as python-dotenv understands them; a line that is no assignment is an error here. A \
                  relative path starts at `chdir`. The file is for the application: what stands for a setting \
                  (`WEB_CONCURRENCY`) is not read from it.",
        ..OWN
    },
];
