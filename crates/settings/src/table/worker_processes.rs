//! Workers: their number, their kind, and how long they live.

use super::custom;
use crate::field::field;
use crate::kind::Kind;
use crate::setting::{Literal, Section, Setting, Status};

const ROW: Setting = Setting {
    section: Section::WorkerProcesses,
    ..Setting::ROW
};

pub(super) const ROWS: &[Setting] = &[
    Setting {
        name: "workers",
        flags: &["-w", "--workers"],
        metavar: "INT",
        kind: Kind::Number(0),
        default: Literal::Int(1),
        variable: Some(custom::WEB_CONCURRENCY),
        access: field!(workers),
        summary: "How many worker processes there are.",
        details: "A good first value is the number of CPUs that the server may use, or twice that plus one where the \
                  application waits a lot. The signals TTIN and TTOU change the number at run time; a reload sets it \
                  back to the setting. With 0 nothing is served.",
        ..ROW
    },
    Setting {
        name: "worker_class",
        flags: &["-k", "--worker-class"],
        metavar: "STRING",
        kind: Kind::Class,
        default: Literal::Str("sync"),
        access: Some(custom::WORKER_CLASS),
        summary: "How a worker runs the application: sync, gthread, gevent or asgi.",
        details: "`sync` serves one request at a time in each worker, `gthread` as many as it has `threads`. `sync` \
                  with more than one thread is `gthread`. Either holds thousands of idle connections: a request takes \
                  a thread only when it has arrived whole. `gevent` (also `gevent_wsgi` and `gevent_pywsgi`) runs a \
                  WSGI application in a greenlet for each request; gevent has to be installed. Gunicorn's longer \
                  names of the same classes (`gunicorn.workers.gthread.ThreadWorker`) are understood. `asgi` runs an \
                  ASGI application on an event loop; so do uvicorn's names (`uvicorn.workers.UvicornWorker`, \
                  `uvicorn_worker.UvicornWorker`), for which uvicorn need not be installed. Without this setting, an \
                  ASGI application gets `asgi`.",
        difference: "This version has `sync`, `gthread`, `gevent` and `asgi`. A class of your own that extends one of \
                     uvicorn's runs as `asgi` with what its `CONFIG_KWARGS` say; any other class is refused by name.",
        ..ROW
    },
    Setting {
        name: "threads",
        flags: &["--threads"],
        metavar: "INT",
        kind: Kind::Number(0),
        default: Literal::Int(1),
        access: Some(custom::THREADS),
        summary: "How many threads of each worker call the application.",
        details: "0 counts as 1. `gevent` and `asgi` workers have one.",
        ..ROW
    },
    Setting {
        name: "worker_connections",
        flags: &["--worker-connections"],
        metavar: "INT",
        kind: Kind::Number(1),
        default: Literal::Int(1000),
        access: field!(worker_connections),
        summary: "How many connections one worker holds at the same time, idle ones included.",
        details: "At the limit the connection that has been idle for longest makes room for a new one. Each needs a file \
                  descriptor: the soft limit of the process (`ulimit -n`) is raised as far as it may be, and a quarter of \
                  it, at most 256, is left to the application; the log says where fewer connections than these are \
                  possible. An application that needs more takes them from idle connections.",
        difference: "It holds for every worker class.",
        ..ROW
    },
    Setting {
        name: "max_requests",
        flags: &["--max-requests"],
        metavar: "INT",
        kind: Kind::Number(0),
        default: Literal::Int(0),
        access: field!(max_requests),
        summary: "After how many requests a worker is replaced; 0 is never.",
        details: "A plaster for an application that leaks memory.",
        difference: "The successor serves before the old worker leaves, and one worker at a time is replaced.",
        ..ROW
    },
    Setting {
        name: "max_requests_jitter",
        flags: &["--max-requests-jitter"],
        metavar: "INT",
        kind: Kind::Number(0),
        default: Literal::Int(0),
        access: field!(max_requests_jitter),
        summary: "The most that is added at random to max_requests, for each worker anew.",
        details: "It keeps workers that started together from being replaced together.",
        ..ROW
    },
    Setting {
        name: "worker_replacement",
        flags: &["--worker-replacement"],
        metavar: "STRING",
        kind: Kind::Choice(&["overlap", "one-by-one"]),
        default: Literal::Str("overlap"),
        own: true,
        access: field!(worker_replacement),
        summary: "Whether a worker goes when its successor serves (overlap), or before that is started (one-by-one).",
        details: "`overlap` never leaves the server with fewer workers than asked for. `one-by-one` is for applications \
                  that own something which two processes cannot have at a time: a port, a lock file, a device. It holds \
                  for `max_requests`, for a reload, for `--reload` and for workers that time out. With one worker, \
                  clients wait in the accept queue until the new one has booted.",
        ..ROW
    },
    Setting {
        name: "gc",
        flags: &["--gc"],
        metavar: "STRING",
        kind: Kind::Choice(&["tuned", "python"]),
        default: Literal::Str("tuned"),
        own: true,
        access: field!(gc),
        summary: "How Python's garbage collector works in workers: tuned to serving, or as Python has it (python).",
        details: "`tuned` collects once when a worker has booted, freezes what is there then (`gc.freeze()`: \
                     modules, classes, the application's tables, which live as long as the worker), and lets 10,000 \
                     new objects that can be part of a cycle come together before the collector looks at them, where \
                     Python waits for 700 or 2,000. That saves an application with a framework some percent of its \
                     CPU time, and pages that workers share since `preload_app` stay shared. A threshold that the \
                     application or a hook has set itself is kept, and where it has disabled the collector nothing is \
                     done. With `python` the server leaves the collector of its workers alone; before workers are \
                     forked from a preloaded application, what is loaded is frozen in either case.",
        ..ROW
    },
    Setting {
        name: "timeout",
        flags: &["-t", "--timeout"],
        metavar: "SECONDS",
        kind: Kind::Seconds,
        default: Literal::Int(30),
        access: field!(timeout),
        summary: "After how many seconds without progress a worker is killed and replaced; 0 is never.",
        details: "A worker makes no progress while all of its threads are inside the application. The time until the \
                  application is loaded counts as well.",
        difference: "It holds for `gthread` as it does for `sync`: a worker all of whose threads hang is replaced. \
                     Slow clients do not count against it. Fractions of a second are accepted.",
        ..ROW
    },
    Setting {
        name: "worker_boot_timeout",
        flags: &["--worker-boot-timeout"],
        metavar: "SECONDS",
        kind: Kind::Seconds,
        default: Literal::Int(0),
        own: true,
        access: field!(worker_boot_timeout),
        summary: "After how many seconds a worker that has not booted is killed and replaced; 0 leaves it to timeout.",
        details: "Booting is the import of the application and, with ASGI, its start-up (lifespan). A number holds in \
                  place of `timeout` for as long as a worker boots. With 0 `timeout` ends imports that take too long, and \
                  start-ups that block the event loop, but no start-up whose loop turns, however long it waits.",
        ..ROW
    },
    Setting {
        name: "request_timeout",
        flags: &["--request-timeout"],
        metavar: "SECONDS",
        kind: Kind::Seconds,
        default: Literal::Int(0),
        own: true,
        access: field!(request_timeout),
        summary: "After how many seconds a request is answered with 504 in place of the application; 0 is never.",
        details: "The time runs from the call of the application to the first piece of its response, and from each \
                  piece to the next; while the client is slow to take what was sent it stands still. A response that \
                  has begun is cut off. Other requests of the worker go on. The task of an ASGI application is \
                  cancelled, a greenlet gets GreenletExit. Where a thread does not come back within as long again (at \
                  most 5 seconds), the worker is replaced: its successor serves first, and its other requests are \
                  finished. WebSockets have no limit once they are accepted.",
        ..ROW
    },
    Setting {
        name: "request_timeout_paths",
        flags: &["--request-timeout-path"],
        metavar: "PREFIX=SECONDS",
        kind: Kind::Words,
        default: Literal::List(&[]),
        own: true,
        access: field!(request_timeout_paths),
        summary: "Other limits than request_timeout for paths that begin with PREFIX; 0 is none.",
        details: "The longest prefix of a path decides. The option can be repeated: \
                  `--request-timeout-path /export/=300 --request-timeout-path /events=0`.",
        ..ROW
    },
    Setting {
        name: "graceful_timeout",
        flags: &["--graceful-timeout"],
        metavar: "SECONDS",
        kind: Kind::Seconds,
        default: Literal::Int(30),
        access: field!(graceful_timeout),
        summary: "How many seconds a worker that has to go may take to finish its requests.",
        details: "What is still running after that is killed.",
        difference: "Fractions of a second are accepted.",
        ..ROW
    },
    Setting {
        name: "keepalive",
        flags: &["--keep-alive"],
        metavar: "SECONDS",
        kind: Kind::Seconds,
        default: Literal::Int(75),
        access: field!(keepalive),
        summary: "How many seconds an idle connection is kept open for its next request; 0 closes it at once.",
        details: "It should be longer than the idle time of the load balancer in front (60 seconds is usual), or the \
                  balancer sends a request into a connection that is just being closed.",
        difference: "The default is 75, where Gunicorn has 2, and `sync` workers keep connections as well: an idle \
                     connection costs next to nothing here. Fractions of a second are accepted.",
        ..ROW
    },
    Setting {
        name: "http_parser",
        flags: &["--http-parser"],
        metavar: "STRING",
        kind: Kind::Choice(&["auto", "fast", "python"]),
        default: Literal::Str("auto"),
        status: Status::Inert("there is one parser, and it is fast"),
        access: field!(http_parser),
        summary: "Accepted, without effect: Oxicorn has one parser.",
        ..ROW
    },
];

pub(super) const ASGI: &[Setting] = &[
    Setting {
        name: "asgi_loop",
        flags: &["--asgi-loop"],
        metavar: "STRING",
        kind: Kind::Choice(&["auto", "asyncio", "uvloop"]),
        default: Literal::Str("auto"),
        access: field!(asgi_loop),
        summary: "The event loop of asgi workers: auto, asyncio or uvloop.",
        details: "uvloop has to be installed where it is chosen. `auto` takes it where it is.",
        ..ROW
    },
    Setting {
        name: "asgi_lifespan",
        flags: &["--asgi-lifespan"],
        metavar: "STRING",
        kind: Kind::Choice(&["auto", "on", "off"]),
        default: Literal::Str("auto"),
        access: field!(asgi_lifespan),
        summary: "Whether ASGI applications get lifespan events: auto, on or off.",
        details: "A worker serves only after the application has started. With `auto`, an application that raises \
                  instead of answering is served without lifespan; with `on`, it is not served.",
        ..ROW
    },
    Setting {
        name: "asgi_disconnect_grace_period",
        flags: &["--asgi-disconnect-grace-period"],
        metavar: "INT",
        kind: Kind::Number(0),
        default: Literal::Int(3),
        access: field!(asgi_disconnect_grace_period),
        summary: "How many seconds an ASGI application may run on after its client has left.",
        details: "The task of its request is then cancelled. 0 is at once. What an application does after its \
                  response is complete is not limited.",
        ..ROW
    },
    Setting {
        name: "asgi_pathsend",
        flags: &["--asgi-pathsend"],
        kind: Kind::Flag,
        default: Literal::Bool(false),
        own: true,
        access: field!(asgi_pathsend),
        summary: "Offer ASGI applications to send files for them (http.response.pathsend, http.response.zerocopysend).",
        details: "Frameworks that see the offer send files without reading them. Middleware that compresses or changes \
                  bodies then finds none: some of it fails, some sends the files as they are. So it is for applications \
                  without such middleware.",
        ..ROW
    },
    Setting {
        name: "limit_concurrency",
        flags: &["--limit-concurrency"],
        metavar: "INT",
        kind: Kind::Number(0),
        default: Literal::Int(0),
        own: true,
        access: field!(limit_concurrency),
        summary: "How many requests one worker answers at a time before it turns more away; 0 is unlimited.",
        details: "A request beyond that is answered with 503 and `Retry-After: 1` without a call of the application, and \
                  its connection closed. It holds for every worker class; where threads serve the application, \
                  requests that wait for a thread count; a WebSocket counts for as long as it is open.",
        ..ROW
    },
    Setting {
        name: "websocket_max_message_size",
        flags: &["--websocket-max-message-size"],
        metavar: "INT",
        kind: Kind::Number(0),
        default: Literal::Int(16_777_216),
        access: field!(websocket_max_message_size),
        summary: "The longest WebSocket message in bytes; 0 is unlimited.",
        details: "It holds for the whole message, after decompression. A longer one closes the WebSocket with code 1009.",
        ..ROW
    },
    Setting {
        name: "ws_ping_interval",
        flags: &["--ws-ping-interval"],
        metavar: "SECONDS",
        kind: Kind::Seconds,
        default: Literal::Int(20),
        access: field!(ws_ping_interval),
        summary: "How many seconds lie between two pings of the server on a WebSocket; 0 is never.",
        details: "Pings keep proxies from cutting silent connections, and find clients that are gone without a word.",
        own: true,
        ..ROW
    },
    Setting {
        name: "ws_ping_timeout",
        flags: &["--ws-ping-timeout"],
        metavar: "SECONDS",
        kind: Kind::Seconds,
        default: Literal::Int(20),
        access: field!(ws_ping_timeout),
        summary: "How many seconds a WebSocket client may be silent after a ping; 0 is unlimited.",
        details: "The WebSocket is then closed with code 1011. Anything that the client sends counts as an answer.",
        own: true,
        ..ROW
    },
    Setting {
        name: "ws_per_message_deflate",
        flags: &["--ws-per-message-deflate"],
        metavar: "BOOL",
        kind: Kind::Switch,
        default: Literal::Bool(true),
        access: field!(ws_per_message_deflate),
        summary: "Whether WebSocket messages may be compressed (permessage-deflate): true or false.",
        details: "Where a client offers it, messages from 1 KiB on are compressed, each by itself, so that an idle \
                  connection holds no memory for it.",
        own: true,
        ..ROW
    },
];
