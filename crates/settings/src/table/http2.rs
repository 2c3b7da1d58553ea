//! HTTP/2.

use super::custom::{HTTP2_FRAME, HTTP2_WINDOW, PROTOCOLS};
use crate::field::field;
use crate::kind::Kind;
use crate::setting::{Literal, Section, Setting};

const ROW: Setting = Setting {
    section: Section::Http2,
    ..Setting::ROW
};

pub(super) const ROWS: &[Setting] = &[
    Setting {
        name: "http_protocols",
        flags: &["--http-protocols"],
        metavar: "STRING",
        kind: Kind::Commas,
        default: Literal::Str("h2,h1"),
        summary: "The versions of HTTP that are offered, the favourite first: h1, h2.",
        details: "A client that speaks TLS chooses one of them (ALPN). Without TLS, HTTP/2 needs \
            `http2_cleartext` too.",
        difference: "Gunicorn offers `h1` alone unless it is told otherwise, and needs a package for `h2`.",
        access: Some(PROTOCOLS),
        ..ROW
    },
    Setting {
        name: "http2_cleartext",
        flags: &["--http2-cleartext"],
        metavar: "STRING",
        kind: Kind::Choice(&["off", "prior-knowledge", "upgrade", "both"]),
        default: Literal::Str("off"),
        summary: "How clients may begin HTTP/2 without TLS.",
        details: "Only the peers of `forwarded_allow_ips` may: HTTP/2 without TLS comes from a proxy. \
            With `prior-knowledge` alone such a peer has to begin with the preface of HTTP/2, and is answered 400 \
            otherwise. An `Upgrade` is followed where the request has no body.",
        access: field!(http2_cleartext),
        ..ROW
    },
    Setting {
        name: "http2_max_concurrent_streams",
        flags: &["--http2-max-concurrent-streams"],
        metavar: "INT",
        kind: Kind::Number(1),
        default: Literal::Int(100),
        summary: "How many streams a connection may have open at the same time.",
        access: field!(http2_max_concurrent_streams),
        ..ROW
    },
    Setting {
        name: "http2_initial_window_size",
        flags: &["--http2-initial-window-size"],
        metavar: "INT",
        kind: Kind::Number(0),
        default: Literal::Int(65_535),
        summary: "How many bytes a client may send on a new stream before it has to wait.",
        details: "At most 2147483647. The window of a connection, for all of its streams, is 1 MiB, or as large as \
            this.",
        access: Some(HTTP2_WINDOW),
        ..ROW
    },
    Setting {
        name: "http2_max_frame_size",
        flags: &["--http2-max-frame-size"],
        metavar: "INT",
        kind: Kind::Number(16_384),
        default: Literal::Int(16_384),
        summary: "The longest frame in bytes.",
        details: "At most 16777215.",
        access: Some(HTTP2_FRAME),
        ..ROW
    },
    Setting {
        name: "http2_max_header_list_size",
        flags: &["--http2-max-header-list-size"],
        metavar: "INT",
        kind: Kind::Number(0),
        default: Literal::Int(65_536),
        summary: "The most bytes that the fields of a request may take; 0 is 1 MiB.",
        details: "Counted as HPACK counts them, with 32 bytes for each field. `limit_request_fields` and \
            `limit_request_field_size` hold as well.",
        difference: "Gunicorn has no bound where this is 0.",
        access: field!(http2_max_header_list_size),
        ..ROW
    },
];
