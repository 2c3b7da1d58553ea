//! HTTP/2. This version has none; the settings are declared so that they can be refused by name.

use crate::kind::Kind;
use crate::setting::{Literal, Section, Setting, Status};

const ROW: Setting = Setting {
    section: Section::Http2,
    status: Status::Later("HTTP/2"),
    ..Setting::ROW
};

pub(super) const ROWS: &[Setting] = &[
    Setting {
        name: "http_protocols",
        flags: &["--http-protocols"],
        metavar: "STRING",
        kind: Kind::Commas,
        default: Literal::Str("h1"),
        summary: "The versions of HTTP that are offered, the favourite first: h1, h2.",
        ..ROW
    },
    Setting {
        name: "http2_cleartext",
        flags: &["--http2-cleartext"],
        metavar: "STRING",
        kind: Kind::Choice(&["off", "prior-knowledge", "upgrade", "both"]),
        default: Literal::Str("off"),
        summary: "How clients may begin HTTP/2 without TLS.",
        ..ROW
    },
    Setting {
        name: "http2_max_concurrent_streams",
        flags: &["--http2-max-concurrent-streams"],
        metavar: "INT",
        kind: Kind::Number(1),
        default: Literal::Int(100),
        summary: "How many streams a connection may have open at the same time.",
        ..ROW
    },
    Setting {
        name: "http2_initial_window_size",
        flags: &["--http2-initial-window-size"],
        metavar: "INT",
        kind: Kind::Number(0),
        default: Literal::Int(65_535),
        summary: "How many bytes a client may send on a new stream before it has to wait.",
        ..ROW
    },
    Setting {
        name: "http2_max_frame_size",
        flags: &["--http2-max-frame-size"],
        metavar: "INT",
        kind: Kind::Number(16_384),
        default: Literal::Int(16_384),
        summary: "The longest frame in bytes.",
        ..ROW
    },
    Setting {
        name: "http2_max_header_list_size",
        flags: &["--http2-max-header-list-size"],
        metavar: "INT",
        kind: Kind::Number(0),
        default: Literal::Int(65_536),
        summary: "The most bytes that the fields of a request may take; 0 is unlimited.",
        ..ROW
    },
];
