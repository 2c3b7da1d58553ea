//! Files that the server answers with itself.

use super::custom;
use crate::field::field;
use crate::kind::Kind;
use crate::setting::{Literal, Section, Setting};

const OWN: Setting = Setting {
    own: true,
    section: Section::StaticFiles,
    ..Setting::ROW
};

pub(super) const ROWS: &[Setting] = &[
    Setting {
        name: "static",
        flags: &["--static"],
        metavar: "PREFIX=DIR",
        kind: Kind::Words,
        default: Literal::List(&[]),
        access: field!(static_files),
        summary: "Serve the files of a directory under a path, as /static/=path/to/static; the option can be repeated.",
        details: "GET and HEAD beneath the prefix are answered by the server before any Python runs, also while every \
                  thread is inside the application. Everything else goes to the application. With ETag, Last-Modified, \
                  conditional requests, ranges, `index.html`, and `.zst`, `.br` and `.gz` files beside the asked one. \
                  Names with a leading dot are never served, `.well-known` excepted, and directories are not listed. \
                  A relative directory starts at `chdir`; it has to exist at the start. The longest prefix counts.",
        ..OWN
    },
    Setting {
        name: "static_root",
        flags: &["--static-root"],
        kind: Kind::Flag,
        default: Literal::Bool(false),
        access: field!(static_root),
        summary: "Serve Django's STATIC_ROOT under its STATIC_URL.",
        details: "Both are read from `django.conf.settings` once the application is loaded. Only the path of the URL \
                  counts. What `static` says of the same prefix goes before.",
        ..OWN
    },
    Setting {
        name: "spa",
        flags: &["--spa"],
        metavar: "PREFIX=DIR",
        kind: Kind::Words,
        default: Literal::List(&[]),
        access: field!(spa),
        summary: "As --static, with the directory's index.html for page views that name no file; it can be repeated.",
        details: "For single-page applications, whose paths are routes within the page. A request counts as a page \
                  view where its Accept field names `text/html`, as browsers do for navigation and scripts do not for \
                  data, \
                  and the last part of its path has no dot. `spa_except` leaves paths to the application.",
        ..OWN
    },
    Setting {
        name: "spa_except",
        flags: &["--spa-except"],
        metavar: "PREFIX",
        kind: Kind::Words,
        default: Literal::List(&[]),
        access: field!(spa_except),
        summary: "Leave paths that begin so to the application, even below --spa; the option can be repeated.",
        ..OWN
    },
    Setting {
        name: "sendfile_root",
        flags: &["--sendfile-root"],
        metavar: "PREFIX=DIR",
        kind: Kind::Words,
        default: Literal::List(&[]),
        access: field!(sendfile_root),
        summary: "Send files below DIR that the application names with X-Accel-Redirect or X-Sendfile; the \
                  option can be repeated.",
        details: "`X-Accel-Redirect: PREFIX/file`, percent-encoded as in nginx, or `X-Sendfile` with the file's \
                  absolute path. The server sends the file in place of the body, with conditions and ranges, and the \
                  fields that the application states. Nothing outside of the directory is sent, also not by way of a \
                  link. Clients cannot ask for the prefix. Without this setting both fields pass on to a proxy.",
        ..OWN
    },
    Setting {
        name: "static_missing",
        flags: &["--static-missing"],
        metavar: "WHO",
        kind: Kind::Choice(&["app", "404"]),
        default: Literal::Str("app"),
        access: field!(static_missing),
        summary: "Who answers where no file is: app (the application) or 404 (the server).",
        ..OWN
    },
    Setting {
        name: "static_symlinks",
        flags: &["--static-symlinks"],
        metavar: "WHERE",
        kind: Kind::Choice(&["beneath", "anywhere"]),
        default: Literal::Str("beneath"),
        access: field!(static_symlinks),
        summary: "Where symbolic links may lead: beneath (within the directory) or anywhere.",
        details: "What a link leads to outside of the directory does not exist, with `beneath`. On kernels before 5.6 \
                  no link is followed then.",
        ..OWN
    },
    Setting {
        name: "static_max_age",
        flags: &["--static-max-age"],
        metavar: "SECONDS",
        kind: Kind::Number(0),
        default: Literal::Int(60),
        access: field!(static_max_age),
        summary: "How long clients may keep files without asking again, in seconds; 0 has them ask each time.",
        details: "Files whose name holds a hash of their content, as `app.3f2a9c1b.js` does, get a year and \
                  `immutable` instead, and HTML gets `no-cache`, because it names the others.",
        ..OWN
    },
    Setting {
        name: "static_cache_control",
        flags: &["--static-cache-control"],
        metavar: "PATTERN=VALUE",
        kind: Kind::Words,
        default: Literal::List(&[]),
        access: Some(custom::CACHE_RULES),
        summary: "The Cache-Control field of files whose name matches a pattern, as *.pdf=no-store; the option can be \
                  repeated.",
        details: "The first rule that matches counts, before `static_max_age`. `*` stands for any text. A pattern with \
                  a slash is compared with the path beneath the prefix, without a leading slash, any other with the \
                  name. \
                  An empty value sends no Cache-Control.",
        ..OWN
    },
];
