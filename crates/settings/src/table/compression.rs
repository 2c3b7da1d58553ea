//! Which responses are compressed.

use crate::compression;
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
        name: "compress",
        flags: &["--compress"],
        metavar: "CODINGS",
        kind: Kind::Commas,
        default: Literal::Str(""),
        bare: Literal::Str("zstd,br,gzip"),
        access: field!(compress),
        summary: "Compress responses in these codings, divided by commas, the favourite first; the option alone is \
                  zstd,br,gzip.",
        details: "Each may have a level, as `br:5`: zstd 1 to 19 (3), br 0 to 11 (4), gzip 1 to 9 (5). The client's \
                  Accept-Encoding decides, with its weights. Streams are compressed too, and each piece is there at \
                  once. Responses stay as they are that are encoded already, that set cookies, that say \
                  `Cache-Control: no-transform`, or that have a digest of their body; and those to requests that \
                  carry a token against request forgery in a cookie.",
        ..OWN
    },
    Setting {
        name: "compress_min_length",
        flags: &["--compress-min-length"],
        metavar: "BYTES",
        kind: Kind::Number(0),
        default: Literal::Int(500),
        access: field!(compress_min_length),
        summary: "The shortest body that is compressed, in bytes, where its length is known.",
        ..OWN
    },
    Setting {
        name: "compress_types",
        flags: &["--compress-types"],
        metavar: "TYPES",
        kind: Kind::Commas,
        default: Literal::Str(""),
        access: Some(compression::TYPES),
        summary: "The media types that are compressed, divided by commas, as text/*; empty is texts, JSON, XML and \
                  their like.",
        ..OWN
    },
    Setting {
        name: "compress_with_cookies",
        flags: &["--compress-with-cookies"],
        metavar: "PREFIX",
        kind: Kind::Words,
        default: Literal::List(&[]),
        access: Some(compression::WITH_COOKIES),
        summary: "Compress also with cookies below this path; the option can be repeated.",
        details: "The length of a compressed response tells of its content. Where a page holds a secret and repeats \
                  text of the request, an attacker who sees lengths can guess the secret (BREACH). Below these paths \
                  the operator answers for it; gzip then differs in length by chance.",
        ..OWN
    },
];
