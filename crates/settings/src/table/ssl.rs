//! TLS.

use crate::field::field;
use crate::kind::Kind;
use crate::setting::{Literal, Reload, Section, Setting, Status};

const ROW: Setting = Setting {
    section: Section::Ssl,
    ..Setting::ROW
};

const OWN: Setting = Setting { own: true, ..ROW };

/// Python's `ssl.PROTOCOL_SSLv23`.
const ANY_VERSION: Literal = Literal::Int(2);

pub(super) const ROWS: &[Setting] = &[
    Setting {
        name: "keyfile",
        flags: &["--keyfile"],
        metavar: "FILE",
        kind: Kind::Text,
        access: field!(keyfile),
        summary: "The private key of the server's certificate.",
        details: "PEM: PKCS#8 (`BEGIN PRIVATE KEY`), PKCS#1 (`BEGIN RSA PRIVATE KEY`) or SEC1 (`BEGIN EC PRIVATE \
                  KEY`). Without this setting the file of `certfile` has to hold the key as well. It is read before \
                  the rights of root are given up, so `user` need not be able to read it.",
        ..ROW
    },
    Setting {
        name: "certfile",
        flags: &["--certfile"],
        metavar: "FILE",
        kind: Kind::Text,
        access: field!(certfile),
        summary: "The server's certificate, and those that vouch for it.",
        details: "PEM: the certificate of the server first, then those of the authorities between it and the root. \
                  With it every address of `bind` speaks TLS, versions 1.2 and 1.3.",
        ..ROW
    },
    Setting {
        name: "ssl_version",
        flags: &["--ssl-version"],
        metavar: "VERSION",
        kind: Kind::Account,
        default: ANY_VERSION,
        reload: Reload::NoEffect,
        status: Status::Inert("TLS 1.2 and 1.3 are spoken; Gunicorn ignores it as well"),
        access: field!(ssl_version),
        summary: "A version of TLS; Gunicorn ignores it.",
        ..ROW
    },
    Setting {
        name: "cert_reqs",
        flags: &["--cert-reqs"],
        metavar: "INT",
        kind: Kind::Number(0),
        default: Literal::Int(0),
        access: field!(cert_reqs),
        summary: "Whether clients show a certificate: 0 no, 1 if they like, 2 always.",
        details: "The numbers of Python's `ssl.CERT_NONE`, `CERT_OPTIONAL` and `CERT_REQUIRED`. A certificate that is \
                  shown has to be good, by the authorities of `ca_certs`; else the handshake fails. The application \
                  learns whose it is. Sessions are not resumed then, so that each connection is checked.",
        difference: "1 and 2 need `ca_certs`: Gunicorn takes the authorities of the system in its place, with which \
                     anyone can have a certificate.",
        ..ROW
    },
    Setting {
        name: "ca_certs",
        flags: &["--ca-certs"],
        metavar: "FILE",
        kind: Kind::Text,
        access: field!(ca_certs),
        summary: "The authorities whose word on clients counts.",
        details: "PEM, one certificate or several. See `cert_reqs`.",
        ..ROW
    },
    Setting {
        name: "suppress_ragged_eofs",
        flags: &["--suppress-ragged-eofs"],
        kind: Kind::Flag,
        default: Literal::Bool(true),
        access: field!(suppress_ragged_eofs),
        summary: "Treat a TLS connection that ends without a goodbye as ended.",
        details: "Without it such an end counts as an error of the connection. A body is never taken for whole by \
                  the end of a connection, so little depends on it.",
        ..ROW
    },
    Setting {
        name: "do_handshake_on_connect",
        flags: &["--do-handshake-on-connect"],
        kind: Kind::Flag,
        default: Literal::Bool(false),
        status: Status::Inert("a handshake holds up no thread, so when it begins does not matter"),
        access: field!(do_handshake_on_connect),
        summary: "Shake hands as soon as a client has connected.",
        ..ROW
    },
    Setting {
        name: "ciphers",
        flags: &["--ciphers"],
        metavar: "CIPHERS",
        kind: Kind::Text,
        access: field!(ciphers),
        summary: "Ciphers up to TLS 1.2, in OpenSSL's notation.",
        details: "Names as `ECDHE-RSA-AES128-GCM-SHA256`, in the order in which they are preferred, and words as \
                  `ECDHE+AESGCM`, `CHACHA20` and `HIGH`; `!` takes ciphers out. A cipher without forward secrecy or \
                  without authenticated encryption does not exist here: it is passed over, with a warning. Those of \
                  TLS 1.3 are not concerned, as in OpenSSL.",
        ..ROW
    },
    Setting {
        name: "tls_crl_file",
        flags: &["--tls-crl-file"],
        metavar: "FILE",
        kind: Kind::Text,
        access: field!(tls_crl_file),
        summary: "Which certificates of clients have been revoked.",
        details: "Certificate revocation lists in PEM, one for each authority that may stand in a client's chain, as \
                  with nginx's `ssl_crl`. A list that has expired counts for nothing, so that no client is let in. \
                  The file is read again when it changes.",
        ..OWN
    },
    Setting {
        name: "tls_handshake_timeout",
        flags: &["--tls-handshake-timeout"],
        metavar: "SECONDS",
        kind: Kind::Seconds,
        default: Literal::Int(10),
        access: field!(tls_handshake_timeout),
        summary: "How many seconds a client may take for the TLS handshake; 0 is unlimited.",
        details: "Then the connection is closed. The time of `header_timeout` begins after the handshake.",
        ..OWN
    },
    Setting {
        name: "tls_ticket_key_file",
        flags: &["--tls-ticket-key-file"],
        metavar: "FILE",
        kind: Kind::Text,
        access: field!(tls_ticket_key_file),
        summary: "Keys of session tickets that several servers share.",
        details: "A client that comes back resumes its session with any server that has the key of its ticket. One \
                  key a line, made by `openssl rand -base64 48`; the first one encrypts new tickets, all of them decrypt. \
                  The file is read again when it changes: put a new key first once every server has it further below. \
                  Without this setting the server makes keys of its own, a new one every 6 hours.",
        ..OWN
    },
];
