//! Dirty arbiters (pools of workers beside the web workers) and the control socket. This version has neither; the
//! settings are declared so that they can be refused by name.

use crate::kind::Kind;
use crate::setting::{Literal, Reload, Section, Setting, Status};

const ROW: Setting = Setting {
    section: Section::DirtyArbiters,
    reload: Reload::StartOnly,
    status: Status::Later("dirty arbiters"),
    ..Setting::ROW
};

pub(super) const ROWS: &[Setting] = &[
    Setting {
        name: "dirty_apps",
        flags: &["--dirty-app"],
        metavar: "STRING",
        kind: Kind::Words,
        default: Literal::List(&[]),
        summary: "An application of the dirty pool, as MODULE:CLASS[:N]; the option can be repeated.",
        ..ROW
    },
    Setting {
        name: "dirty_workers",
        flags: &["--dirty-workers"],
        metavar: "INT",
        kind: Kind::Number(0),
        default: Literal::Int(0),
        summary: "How many processes the dirty pool has; 0 is no pool.",
        ..ROW
    },
    Setting {
        name: "dirty_timeout",
        flags: &["--dirty-timeout"],
        metavar: "INT",
        kind: Kind::Number(0),
        default: Literal::Int(300),
        summary: "How many seconds a task of the dirty pool may take.",
        ..ROW
    },
    Setting {
        name: "dirty_threads",
        flags: &["--dirty-threads"],
        metavar: "INT",
        kind: Kind::Number(0),
        default: Literal::Int(1),
        summary: "How many threads each process of the dirty pool has.",
        ..ROW
    },
    Setting {
        name: "dirty_graceful_timeout",
        flags: &["--dirty-graceful-timeout"],
        metavar: "INT",
        kind: Kind::Number(0),
        default: Literal::Int(30),
        summary: "How many seconds a process of the dirty pool may take to finish its tasks.",
        ..ROW
    },
];

/// A hook that gets one argument.
const HOOK: Setting = Setting {
    section: Section::DirtyArbiterHooks,
    kind: Kind::Hook { parameters: &[1] },
    ..ROW
};

/// A hook that gets two.
const HOOK_OF_TWO: Setting = Setting {
    kind: Kind::Hook { parameters: &[2] },
    ..HOOK
};

pub(super) const HOOKS: &[Setting] = &[
    Setting {
        name: "on_dirty_starting",
        default: Literal::Function("OnDirtyStarting.on_dirty_starting"),
        summary: "Called in the dirty arbiter when it starts: on_dirty_starting(arbiter).",
        ..HOOK
    },
    Setting {
        name: "dirty_post_fork",
        default: Literal::Function("DirtyPostFork.dirty_post_fork"),
        summary: "Called in a dirty worker just after it was forked: dirty_post_fork(arbiter, worker).",
        ..HOOK_OF_TWO
    },
    Setting {
        name: "dirty_worker_init",
        default: Literal::Function("DirtyWorkerInit.dirty_worker_init"),
        summary: "Called in a dirty worker when it has loaded its applications: dirty_worker_init(worker).",
        ..HOOK
    },
    Setting {
        name: "dirty_worker_exit",
        default: Literal::Function("DirtyWorkerExit.dirty_worker_exit"),
        summary: "Called in a dirty worker that is about to exit: dirty_worker_exit(arbiter, worker).",
        ..HOOK_OF_TWO
    },
];
