//! TLS. This version has none; the settings are declared so that they can be refused by name.

use crate::kind::Kind;
use crate::setting::{Literal, Reload, Section, Setting, Status};

const ROW: Setting = Setting {
    section: Section::Ssl,
    status: Status::Later("TLS"),
    ..Setting::ROW
};

/// Python's `ssl.PROTOCOL_SSLv23`.
const ANY_VERSION: Literal = Literal::Int(2);

pub(super) const ROWS: &[Setting] = &[
    Setting {
        name: "keyfile",
        flags: &["--keyfile"],
        metavar: "FILE",
        kind: Kind::Text,
        summary: "The private key of the server's certificate.",
        ..ROW
    },
    Setting {
        name: "certfile",
        flags: &["--certfile"],
        metavar: "FILE",
        kind: Kind::Text,
        summary: "The server's certificate, and those that vouch for it.",
        ..ROW
    },
    Setting {
        name: "ssl_version",
        flags: &["--ssl-version"],
        metavar: "VERSION",
        kind: Kind::Number(0),
        default: ANY_VERSION,
        reload: Reload::NoEffect,
        summary: "A version of TLS; Gunicorn ignores it.",
        ..ROW
    },
    Setting {
        name: "cert_reqs",
        flags: &["--cert-reqs"],
        metavar: "INT",
        kind: Kind::Number(0),
        default: Literal::Int(0),
        summary: "Whether clients show a certificate: 0 no, 1 if they like, 2 always.",
        ..ROW
    },
    Setting {
        name: "ca_certs",
        flags: &["--ca-certs"],
        metavar: "FILE",
        kind: Kind::Text,
        summary: "The authorities whose word on clients counts.",
        ..ROW
    },
    Setting {
        name: "suppress_ragged_eofs",
        flags: &["--suppress-ragged-eofs"],
        kind: Kind::Flag,
        default: Literal::Bool(true),
        summary: "Treat a TLS connection that ends without a goodbye as ended.",
        ..ROW
    },
    Setting {
        name: "do_handshake_on_connect",
        flags: &["--do-handshake-on-connect"],
        kind: Kind::Flag,
        default: Literal::Bool(false),
        summary: "Shake hands as soon as a client has connected.",
        ..ROW
    },
    Setting {
        name: "ciphers",
        flags: &["--ciphers"],
        metavar: "CIPHERS",
        kind: Kind::Text,
        summary: "Ciphers up to TLS 1.2, in OpenSSL's notation.",
        ..ROW
    },
];
