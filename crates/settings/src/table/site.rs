//! What the server answers itself, before the application: hosts, redirects, maintenance; and the ids of requests.

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
        name: "allowed_hosts",
        flags: &["--allowed-hosts"],
        metavar: "STRING",
        kind: Kind::Commas,
        default: Literal::Str(""),
        access: field!(allowed_hosts),
        summary: "The hosts that are served, divided by commas; .example.com is all of a domain. Empty is all hosts.",
        details: "A request for another host is answered with 400 before the application sees it. The host is compared \
                  without its port and in any case of its letters.",
        ..OWN
    },
    Setting {
        name: "canonical_host",
        flags: &["--canonical-host"],
        metavar: "HOST",
        kind: Kind::Text,
        default: Literal::None,
        access: Some(custom::CANONICAL_HOST),
        summary: "The host, with its port if it has one of its own, that requests for other hosts are redirected to.",
        details: "GET and HEAD are redirected with 301, other methods with 308, to the same path and scheme.",
        ..OWN
    },
    Setting {
        name: "maintenance_file",
        flags: &["--maintenance-file"],
        metavar: "FILE",
        kind: Kind::Text,
        default: Literal::None,
        access: field!(maintenance_file),
        summary: "While this file exists, every request is answered with 503 and its content.",
        details: "The workers look for it once a second, and send at most 1 MiB of it, as HTML where its name ends in \
                  .html. `health_path` and `ready_path` are answered as ever.",
        ..OWN
    },
    Setting {
        name: "security_txt",
        flags: &["--security-txt"],
        metavar: "FILE",
        kind: Kind::Text,
        default: Literal::None,
        access: field!(security_txt),
        summary: "The file that is served at /.well-known/security.txt (RFC 9116).",
        details: "It is read when a worker starts.",
        ..OWN
    },
    Setting {
        name: "error_page",
        flags: &["--error-page"],
        metavar: "STATUS=FILE",
        kind: Kind::Words,
        default: Literal::List(&[]),
        access: field!(error_page),
        summary: "The file that is sent where the server itself answers with this status, as 503=busy.html; the option \
                  can be repeated.",
        details: "For statuses from 400 to 599. What the application answers stays as it is; a 500 after an exception \
                  that it does not handle is the server's. The files are read when a worker starts, 1 MiB of each at \
                  the most.",
        ..OWN
    },
    Setting {
        name: "rate_limit",
        flags: &["--rate-limit"],
        metavar: "RULE",
        kind: Kind::Words,
        default: Literal::List(&[]),
        access: field!(rate_limit),
        summary: "How often each client may ask, as 20/s or /login=5/m,burst=3; the option can be repeated.",
        details: "`[PREFIX=]COUNT/UNIT[,burst=COUNT]`, with a unit of s, m, h or d. So many requests for paths that \
                  begin so may come from one address, over all workers; of IPv6 a network of 64 bits counts as one. \
                  `burst` may come at once, COUNT where it is not said. All rules that fit a path hold. More are \
                  answered with 429, Retry-After and RateLimit. Behind a proxy `proxy_headers` or `proxy_protocol` \
                  tell who the client is. Files that the server itself serves and probes are not counted.",
        ..OWN
    },
    Setting {
        name: "request_id",
        flags: &["--request-id"],
        metavar: "FIELD",
        kind: Kind::Text,
        default: Literal::None,
        bare: Literal::Str("X-Request-ID"),
        access: Some(custom::REQUEST_ID),
        summary: "The field with which requests carry an id; the option alone is X-Request-ID.",
        details: "The id of a request is the one that a trusted peer (`forwarded_allow_ips`) sends in this field, and \
                  else a new one. The application finds it in the field, the client in the same field of the response, \
                  and the access log in `%({X-Request-ID}i)s`. An id has 1 to 128 letters, digits and `-_.=+/:`.",
        ..OWN
    },
];
