//! What helps while developing, and what looks without serving.

use crate::field::field;
use crate::kind::Kind;
use crate::setting::{Literal, Reload, Section, Setting};

const ROW: Setting = Setting {
    section: Section::Debugging,
    ..Setting::ROW
};

/// An option without a value.
const SWITCH: Setting = Setting {
    kind: Kind::Flag,
    default: Literal::Bool(false),
    ..ROW
};

pub(super) const ROWS: &[Setting] = &[
    Setting {
        name: "reload",
        flags: &["--reload"],
        access: field!(reload),
        summary: "Replace the workers when a source file changes.",
        details: "For development. Watched are the files of all modules, `reload_extra_files` and the conf file. While the \
            application cannot be imported, requests of this machine are answered with its traceback. With `preload_app` the application \
            is loaded once, so a change is not seen.",
        difference: "Any exception at the import is shown, not a `SyntaxError` alone; a change of the conf file is a reload of \
            the settings (HUP).",
        ..SWITCH
    },
    Setting {
        name: "reload_engine",
        flags: &["--reload-engine"],
        metavar: "STRING",
        kind: Kind::Text,
        default: Literal::Str("auto"),
        access: field!(reload_engine),
        summary: "How changed files are noticed: auto, inotify or poll.",
        details: "`inotify` has the kernel tell, `poll` looks at the files once a second. `auto` is `inotify`. Where the \
            kernel cannot watch so many directories, both fall back to looking. Choose `poll` where files change on \
            another machine: network file systems, and folders that a container shares with its host.",
        difference: "`inotify` needs no package.",
        ..ROW
    },
    Setting {
        name: "reload_extra_files",
        flags: &["--reload-extra-file"],
        metavar: "FILES",
        kind: Kind::Words,
        default: Literal::List(&[]),
        access: field!(reload_extra_files),
        summary: "Another file, or pattern of files, that reload watches; the option can be repeated.",
        details: "`*`, `?`, `[…]` and `**` as in Python's `glob`; files that come later count too.",
        ..ROW
    },
    Setting {
        name: "reload_show_errors",
        flags: &["--reload-show-errors"],
        own: true,
        access: field!(reload_show_errors),
        summary: "With reload, show the traceback of an application that cannot be imported to all clients.",
        details: "Without it, clients on other machines, and those that a proxy has forwarded, get a plain 500: a traceback             shows source code. The log has it in any case.",
        ..SWITCH
    },
    Setting {
        name: "spew",
        flags: &["--spew"],
        reload: Reload::Partly,
        access: field!(spew),
        summary: "Print every line of Python as it is executed.",
        details: "To standard output, as `module:number: line`. Everything becomes very slow.",
        difference: "The threads of gthread workers are traced too.",
        ..SWITCH
    },
    Setting {
        name: "check_config",
        flags: &["--check-config"],
        reload: Reload::StartOnly,
        access: field!(check_config),
        summary: "Load the settings and the application, say what is wrong, and exit: 0 or 1.",
        details: "Every mistake is told, not the first alone. What the start would refuse is found: settings, access log \
                  formats, users, directories, addresses, the application. Nothing is written and nothing is served. Where \
                  all is well, `configuration is fine` is on standard output.",
        difference: "A worker class, an address or a log level that does not exist is found.",
        ..SWITCH
    },
    Setting {
        name: "print_config",
        flags: &["--print-config"],
        reload: Reload::StartOnly,
        access: field!(print_config),
        summary: "Print the value of every setting, then do as --check-config.",
        details: "Standard error names the conf file that was read.",
        ..SWITCH
    },
    Setting {
        name: "print_sources",
        flags: &["--print-config=sources"],
        reload: Reload::StartOnly,
        own: true,
        access: field!(print_sources),
        summary: "The same, with where each value came from.",
        ..SWITCH
    },
];
