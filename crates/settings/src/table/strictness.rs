//! How much of RFC 9112 clients may ignore.

use crate::field::field;
use crate::kind::Kind;
use crate::setting::{Literal, Setting, Status};

/// All of them are options without a value.
const SWITCH: Setting = Setting {
    kind: Kind::Flag,
    default: Literal::Bool(false),
    ..Setting::ROW
};

pub(super) const ROWS: &[Setting] = &[
    Setting {
        name: "permit_obsolete_folding",
        flags: &["--permit-obsolete-folding"],
        status: Status::Later("tolerance for folded fields"),
        summary: "Accept fields that are folded over several lines.",
        ..SWITCH
    },
    Setting {
        name: "strip_header_spaces",
        flags: &["--strip-header-spaces"],
        status: Status::Later("tolerance for blanks before the colon of a field"),
        summary: "Accept fields with blanks between name and colon.",
        ..SWITCH
    },
    Setting {
        name: "permit_unconventional_http_method",
        flags: &["--permit-unconventional-http-method"],
        access: field!(permit_unconventional_http_method),
        summary: "Accept any token as a method.",
        details: "Without it a method has 3 to 20 characters, no lower-case letter and no `#`.",
        ..SWITCH
    },
    Setting {
        name: "permit_unconventional_http_version",
        flags: &["--permit-unconventional-http-version"],
        status: Status::Later("tolerance for versions other than HTTP/1.0 and HTTP/1.1"),
        summary: "Accept request lines with versions outside of HTTP/1.",
        ..SWITCH
    },
    Setting {
        name: "casefold_http_method",
        flags: &["--casefold-http-method"],
        access: field!(casefold_http_method),
        summary: "Put methods in upper case.",
        details: "Methods are case-sensitive, so this helps clients that break the rule, and nobody else.",
        ..SWITCH
    },
];
