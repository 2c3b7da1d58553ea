//! Limits on what a client may send, and on how slowly.

use super::custom;
use crate::field::field;
use crate::kind::Kind;
use crate::setting::{Literal, Section, Setting};

const ROW: Setting = Setting {
    section: Section::Security,
    ..Setting::ROW
};

/// What only Oxicorn has.
const OWN: Setting = Setting { own: true, ..ROW };

pub(super) const ROWS: &[Setting] = &[
    Setting {
        name: "limit_request_line",
        flags: &["--limit-request-line"],
        metavar: "INT",
        kind: Kind::Number(0),
        default: Literal::Int(4094),
        access: field!(limit_request_line),
        summary: "The longest request line in bytes; 0 is unlimited.",
        details: "A longer one is answered with 414.",
        difference: "Gunicorn lowers values over 8190 to 8190 without a word; here they are honoured.",
        ..ROW
    },
    Setting {
        name: "limit_request_fields",
        flags: &["--limit-request-fields"],
        metavar: "INT",
        kind: Kind::Number(0),
        default: Literal::Int(100),
        access: Some(custom::FIELDS),
        summary: "The most fields (headers) that a request may have.",
        details: "More are answered with 431. The setting's own bound is 32768, which 0 stands for.",
        ..ROW
    },
    Setting {
        name: "limit_request_field_size",
        flags: &["--limit-request-field_size", "--limit-request-field-size"],
        metavar: "INT",
        kind: Kind::Number(0),
        default: Literal::Int(8190),
        access: field!(limit_request_field_size),
        summary: "The longest field (header) of a request in bytes, its name included.",
        details: "A longer one is answered with 431. With 0 the head as a whole is the bound, 16 MiB.",
        difference: "`--limit-request-field-size`, with a hyphen, is understood as well; 0 lifts the limit, as Gunicorn's manual says and its WSGI workers do not.",
        ..ROW
    },
    Setting {
        name: "limit_head_memory",
        flags: &["--limit-head-memory"],
        metavar: "BYTES",
        kind: Kind::Number(0),
        default: Literal::Int(64 << 20),
        access: field!(limit_head_memory),
        summary: "How many bytes of memory unfinished request heads may take over all connections of a worker; 0 is unlimited.",
        details: "The other limits bound each head, at almost a megabyte by default; two hundred clients that never come \
                  to an end would hold 160 MB. Beyond this limit a head over 16 KiB is answered with 503, and the log \
                  names the setting; shorter ones are always read on. The default, 64 MiB, is room for 8,000 heads of 8 \
                  KiB.",
        ..OWN
    },
    Setting {
        name: "limit_request_body",
        flags: &["--limit-request-body"],
        metavar: "BYTES",
        kind: Kind::Number(0),
        default: Literal::Int(1 << 30),
        access: field!(limit_request_body),
        summary: "The longest request body in bytes; 0 is unlimited.",
        details: "A longer one is answered with 413: at once where its length is declared, else as soon as it is seen. The \
                  default is 1 GiB: hardly any application means to take more in one request, and each client could \
                  otherwise fill the disk, also with a body for a path that does not exist. The log names the setting.",
        ..OWN
    },
    Setting {
        name: "limit_response_spool",
        flags: &["--limit-response-spool"],
        metavar: "BYTES",
        kind: Kind::Number(0),
        default: Literal::Int(1 << 28),
        access: field!(limit_response_spool),
        summary: "How many bytes of one response may wait on disk for a client that reads slowly; 0 is none.",
        details: "A response that is made faster than its client takes it is kept in memory up to 1 MiB, then in an \
                  unlinked temporary file (in `tmp_upload_dir`) up to this size, so that its thread is free. Beyond it \
                  the application waits. The default, 256 MiB, lets eight clients that do not read use up `limit_spool`, \
                  not two.",
        ..OWN
    },
    Setting {
        name: "limit_spool",
        flags: &["--limit-spool"],
        metavar: "BYTES",
        kind: Kind::Number(0),
        default: Literal::Int(2 << 30),
        access: field!(limit_spool),
        summary: "How many bytes of disk the temporary files of one worker may take; 0 is unlimited.",
        details: "Request bodies over 256 KiB and responses that wait for slow clients are in temporary files (in \
                  `tmp_upload_dir`). A body that would pass the limit is answered with 503, and the log names the \
                  setting; a response waits in the application instead. The default, 2 GiB, is room for two of the \
                  longest bodies that `limit_request_body` lets through.",
        ..OWN
    },
    Setting {
        name: "limit_spool_total",
        flags: &["--limit-spool-total"],
        metavar: "BYTES",
        kind: Kind::Number(0),
        default: Literal::Int(8 << 30),
        access: field!(limit_spool_total),
        summary: "How many bytes of disk the temporary files of all workers may take together; 0 is unlimited.",
        details: "As `limit_spool`, over all workers. The default is 8 GiB, that of four workers: with more workers a \
                  flood of uploads still leaves the rest of the disk alone.",
        ..OWN
    },
    Setting {
        name: "header_timeout",
        flags: &["--header-timeout"],
        metavar: "SECONDS",
        kind: Kind::Seconds,
        default: Literal::Int(10),
        access: field!(header_timeout),
        summary: "How many seconds a client may take for a whole request head; 0 is unlimited.",
        details: "The time runs from the head's first byte, on a new connection from its beginning. What takes longer \
                  is answered with 408.",
        ..OWN
    },
    Setting {
        name: "body_timeout",
        flags: &["--body-timeout"],
        metavar: "SECONDS",
        kind: Kind::Seconds,
        default: Literal::Int(30),
        access: field!(body_timeout),
        summary: "The longest silence in seconds while a request body is read; 0 is unlimited.",
        details: "A body may take as long as it needs while some of it keeps coming. A longer silence is answered with \
                  408.",
        ..OWN
    },
    Setting {
        name: "send_timeout",
        flags: &["--send-timeout"],
        metavar: "SECONDS",
        kind: Kind::Seconds,
        default: Literal::Int(60),
        access: field!(send_timeout),
        summary: "The longest time in seconds in which a client takes nothing of its response; 0 is unlimited.",
        details: "Then the connection is cut. A slow client that keeps reading is never cut.",
        ..OWN
    },
];
