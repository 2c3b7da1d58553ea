//! How much of RFC 9112 clients may ignore.

use crate::field::field;
use crate::kind::Kind;
use crate::setting::{Literal, Setting};

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
        access: field!(permit_obsolete_folding),
        summary: "Accept fields that are folded over several lines.",
        details: "The lines are joined with one space before anybody reads the value.",
        difference: "`Host`, `Content-Length` and `Transfer-Encoding` have to stand on one line all the same: what \
                     another reader of a folded one sees may be another request. Trailers have to as well. It holds \
                     for every worker class.",
        ..SWITCH
    },
    Setting {
        name: "strip_header_spaces",
        flags: &["--strip-header-spaces"],
        access: field!(strip_header_spaces),
        summary: "Accept fields with blanks between name and colon.",
        details: "The blanks are taken away before anybody reads the name.",
        difference: "Not in `Host`, `Content-Length` and `Transfer-Encoding`, nor in trailers: a proxy that takes \
                     `Content-Length` with a blank for another field sees another request. It holds for every worker \
                     class.",
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
        access: field!(permit_unconventional_http_version),
        summary: "Accept request lines with versions outside of HTTP/1.",
        details: "The form, `HTTP/digit.digit`, is still needed. A version below HTTP/1.0 is treated as HTTP/1.0, one \
                  from HTTP/2.0 on as HTTP/1.1.",
        difference: "The response and `SERVER_PROTOCOL` name the version by which the request was treated.",
        ..SWITCH
    },
    Setting {
        name: "casefold_http_method",
        flags: &["--casefold-http-method"],
        access: field!(casefold_http_method),
        summary: "Put methods in upper case.",
        details: "Methods are case-sensitive, so this helps only clients that break the rule.",
        ..SWITCH
    },
];
