//! Functions in a conf file that the server calls at certain moments.

use crate::kind::Kind;
use crate::setting::{Literal, Reload, Section, Setting, Status};

/// A hook that gets one argument.
const ONE: Setting = Setting {
    section: Section::ServerHooks,
    kind: Kind::Hook { parameters: &[1] },
    ..Setting::ROW
};

/// A hook that gets two.
const TWO: Setting = Setting {
    kind: Kind::Hook { parameters: &[2] },
    ..ONE
};

pub(super) const ROWS: &[Setting] = &[
    Setting {
        name: "on_starting",
        default: Literal::Function("OnStarting.on_starting"),
        reload: Reload::StartOnly,
        summary: "Called in the arbiter before anything else happens: on_starting(server).",
        ..ONE
    },
    Setting {
        name: "on_reload",
        default: Literal::Function("OnReload.on_reload"),
        summary: "Called in the arbiter when it reloads: on_reload(server).",
        ..ONE
    },
    Setting {
        name: "when_ready",
        default: Literal::Function("WhenReady.when_ready"),
        reload: Reload::StartOnly,
        summary: "Called in the arbiter when it listens, before the first worker is forked: when_ready(server).",
        ..ONE
    },
    Setting {
        name: "pre_fork",
        default: Literal::Function("Prefork.pre_fork"),
        summary: "Called in the arbiter before it forks a worker: pre_fork(server, worker).",
        ..TWO
    },
    Setting {
        name: "post_fork",
        default: Literal::Function("Postfork.post_fork"),
        summary: "Called in a worker just after it was forked: post_fork(server, worker).",
        details: "The place to open what must not be shared between processes.",
        ..TWO
    },
    Setting {
        name: "post_worker_init",
        default: Literal::Function("PostWorkerInit.post_worker_init"),
        summary: "Called in a worker when it has loaded the application: post_worker_init(worker).",
        ..ONE
    },
    Setting {
        name: "worker_int",
        default: Literal::Function("WorkerInt.worker_int"),
        summary: "Called in a worker that gets SIGINT or SIGQUIT: worker_int(worker).",
        ..ONE
    },
    Setting {
        name: "worker_abort",
        default: Literal::Function("WorkerAbort.worker_abort"),
        summary: "Called in a worker that gets SIGABRT, which is how a timeout begins: worker_abort(worker).",
        ..ONE
    },
    Setting {
        name: "pre_exec",
        default: Literal::Function("PreExec.pre_exec"),
        summary: "Called in the process that becomes the new arbiter of an upgrade, before it does: pre_exec(server).",
        ..ONE
    },
    Setting {
        name: "pre_request",
        default: Literal::Function("PreRequest.pre_request"),
        summary: "Called in a worker before each request: pre_request(worker, req).",
        ..TWO
    },
    Setting {
        name: "post_request",
        kind: Kind::Hook {
            parameters: &[2, 3, 4],
        },
        default: Literal::Function("PostRequest.post_request"),
        summary: "Called in a worker after each request: post_request(worker, req, environ, resp).",
        details: "A function that takes two or three arguments gets the first ones.",
        ..ONE
    },
    Setting {
        name: "child_exit",
        default: Literal::Function("ChildExit.child_exit"),
        summary: "Called in the arbiter when a worker has exited: child_exit(server, worker).",
        ..TWO
    },
    Setting {
        name: "worker_exit",
        default: Literal::Function("WorkerExit.worker_exit"),
        summary: "Called in a worker that is about to exit: worker_exit(server, worker).",
        ..TWO
    },
    Setting {
        name: "nworkers_changed",
        kind: Kind::Hook { parameters: &[3] },
        default: Literal::Function("NumWorkersChanged.nworkers_changed"),
        summary: "Called in the arbiter when the number of workers changes: nworkers_changed(server, new, old).",
        details: "`old` is `None` the first time.",
        ..ONE
    },
    Setting {
        name: "on_exit",
        default: Literal::Function("OnExit.on_exit"),
        summary: "Called in the arbiter just before it exits: on_exit(server).",
        ..ONE
    },
    Setting {
        name: "ssl_context",
        default: Literal::Function("NewSSLContext.ssl_context"),
        status: Status::Later("TLS"),
        summary: "Makes the context of TLS connections: ssl_context(config, default_factory).",
        ..TWO
    },
];
