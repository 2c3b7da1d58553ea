//! The settings whose value is one word out of few: worker classes, event loops, log levels, reload engines, and what
//! becomes of field names with an underscore.

/// How a worker runs the application.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum WorkerClass {
    /// One request at a time, on the worker's main thread.
    #[default]
    Sync,
    /// As many requests at a time as the worker has threads.
    Gthread,
    /// ASGI applications on an event loop.
    Asgi,
    /// One greenlet of gevent for each request.
    Gevent,
    /// One green thread for each request. Not in this version.
    Eventlet,
    /// Tornado applications. Not in this version.
    Tornado,
    /// A class of the user's own, which has to be looked at in Python.
    Custom,
}

impl WorkerClass {
    /// What the setting accepts in this version.
    pub const ACCEPTED: &str = "sync, gthread, gevent or asgi";

    /// What to choose in its place, where it is not there.
    pub(crate) fn instead(self) -> &'static str {
        match self {
            Self::Tornado => "sync and gthread serve WSGI applications, asgi those of ASGI",
            _ => {
                "gthread serves the same application, with as many requests at a time as it has --threads; \
                 slow clients and idle connections hold none of them"
            }
        }
    }

    /// Gunicorn's short name of the class.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sync => "sync",
            Self::Gthread => "gthread",
            Self::Asgi => "asgi",
            Self::Gevent => "gevent",
            Self::Eventlet => "eventlet",
            Self::Tornado => "tornado",
            Self::Custom => "custom",
        }
    }

    /// Whether this version can run it.
    pub fn is_here(self) -> bool {
        matches!(
            self,
            Self::Sync | Self::Gthread | Self::Gevent | Self::Asgi | Self::Custom
        )
    }

    /// Reads a short name, an entry point (`egg:gunicorn#sync`) or the dotted path of one of Gunicorn's classes, or of
    /// uvicorn's.
    pub fn parse(text: &str) -> Option<Self> {
        if Self::is_uvicorn(text) {
            return Some(Self::Asgi);
        }
        let name = text.strip_prefix("egg:gunicorn#").unwrap_or(text);
        let class = match name.strip_prefix("gunicorn.workers.").unwrap_or(name) {
            "sync" | "sync.SyncWorker" => Self::Sync,
            "gthread" | "gthread.ThreadWorker" => Self::Gthread,
            "asgi" | "gasgi.ASGIWorker" => Self::Asgi,
            "gevent" | "gevent_wsgi" | "gevent_pywsgi" => Self::Gevent,
            "ggevent.GeventWorker" | "ggevent.GeventPyWSGIWorker" => Self::Gevent,
            "eventlet" | "geventlet.EventletWorker" => Self::Eventlet,
            "tornado" | "gtornado.TornadoWorker" => Self::Tornado,
            // Gunicorn's own are all above.
            _ if name.len() < text.len() || text.starts_with("gunicorn.") => return None,
            _ if is_dotted(text) => Self::Custom,
            _ => return None,
        };
        Some(class)
    }

    /// Whether this is one of uvicorn's names.
    pub fn is_uvicorn(name: &str) -> bool {
        UVICORN.contains(&name)
    }
}

/// Whether the text could be the path of a class: `package.module.Class`.
fn is_dotted(text: &str) -> bool {
    let is_name =
        |part: &str| !part.is_empty() && part.chars().all(|c| c == '_' || c.is_alphanumeric());
    text.contains('.') && text.split('.').all(is_name)
}

/// The classes with which uvicorn runs under Gunicorn.
const UVICORN: &[&str] = &[
    "uvicorn.workers.UvicornWorker",
    "uvicorn.workers.UvicornH11Worker",
    "uvicorn_worker.UvicornWorker",
    "uvicorn_worker.UvicornH11Worker",
];

/// In which order a worker and its successor come and go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum WorkerReplacement {
    /// The old worker goes when the new one serves.
    #[default]
    Overlap,
    /// The new worker is started when the old one is gone, one at a time.
    OneByOne,
}

impl WorkerReplacement {
    /// What the setting accepts.
    pub const ACCEPTED: &str = "overlap or one-by-one";

    /// Its word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Overlap => "overlap",
            Self::OneByOne => "one-by-one",
        }
    }

    /// Reads one of its words in any case.
    pub fn parse(text: &str) -> Option<Self> {
        match text.to_ascii_lowercase().as_str() {
            "overlap" => Some(Self::Overlap),
            "one-by-one" => Some(Self::OneByOne),
            _ => None,
        }
    }
}

/// How Python's garbage collector goes about its work in workers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum GarbageCollection {
    /// What a worker has loaded is frozen, and new objects are looked at less often.
    #[default]
    Tuned,
    /// As Python and the application have it.
    Python,
}

impl GarbageCollection {
    /// What the setting accepts.
    pub const ACCEPTED: &str = "tuned or python";

    /// Its word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tuned => "tuned",
            Self::Python => "python",
        }
    }

    /// Reads one of its words in any case.
    pub fn parse(text: &str) -> Option<Self> {
        match text.to_ascii_lowercase().as_str() {
            "tuned" => Some(Self::Tuned),
            "python" => Some(Self::Python),
            _ => None,
        }
    }
}

/// The event loop of asgi workers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum AsgiLoop {
    /// The one that measures better: uvloop where it is installed, else Python's own.
    #[default]
    Auto,
    /// Python's own.
    Asyncio,
    /// uvloop, which has to be installed.
    Uvloop,
}

impl AsgiLoop {
    /// What the setting accepts.
    pub const ACCEPTED: &str = "auto, asyncio or uvloop";

    /// Gunicorn's word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Asyncio => "asyncio",
            Self::Uvloop => "uvloop",
        }
    }

    /// Reads one of Gunicorn's words in any case.
    pub fn parse(text: &str) -> Option<Self> {
        match text.to_ascii_lowercase().as_str() {
            "auto" => Some(Self::Auto),
            "asyncio" => Some(Self::Asyncio),
            "uvloop" => Some(Self::Uvloop),
            _ => None,
        }
    }
}

/// Whether ASGI applications are told of their worker's start and end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum AsgiLifespan {
    /// Where the application takes it.
    #[default]
    Auto,
    /// An application that does not take it is not served.
    On,
    /// Never.
    Off,
}

impl AsgiLifespan {
    /// What the setting accepts.
    pub const ACCEPTED: &str = "auto, on or off";

    /// Gunicorn's word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::On => "on",
            Self::Off => "off",
        }
    }

    /// Reads one of Gunicorn's words in any case.
    pub fn parse(text: &str) -> Option<Self> {
        match text.to_ascii_lowercase().as_str() {
            "auto" => Some(Self::Auto),
            "on" => Some(Self::On),
            "off" => Some(Self::Off),
            _ => None,
        }
    }
}

/// The least severe line that the error log takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LogLevel {
    /// Everything.
    Debug,
    /// What happens in normal operation, and worse.
    #[default]
    Info,
    /// What may need attention, and worse.
    Warning,
    /// What went wrong, and worse.
    Error,
    /// What stops the server.
    Critical,
}

impl LogLevel {
    /// What the setting accepts.
    pub const ACCEPTED: &str = "debug, info, warning, error or critical";

    /// The name as Gunicorn and Python's `logging` have it, in lower case.
    pub fn name(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Critical => "critical",
        }
    }

    /// Reads a name in any case; `warn` is Python's other word for `warning`.
    pub fn parse(text: &str) -> Option<Self> {
        let level = match text.to_ascii_lowercase().as_str() {
            "debug" => Self::Debug,
            "info" => Self::Info,
            "warning" | "warn" => Self::Warning,
            "error" => Self::Error,
            "critical" => Self::Critical,
            _ => return None,
        };
        Some(level)
    }
}

/// What becomes of a request field whose name has an underscore, which in `environ` looks like a name with a hyphen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum HeaderMap {
    /// The field is left out, the request goes on.
    #[default]
    Drop,
    /// The request is refused with 400.
    Refuse,
    /// The field is passed on as if it were spelled with hyphens, so a client can forge what a proxy sets.
    Dangerous,
}

impl HeaderMap {
    /// What the setting accepts.
    pub const ACCEPTED: &str = "drop, refuse or dangerous";

    /// Gunicorn's word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Drop => "drop",
            Self::Refuse => "refuse",
            Self::Dangerous => "dangerous",
        }
    }

    /// Reads one of Gunicorn's words in any case.
    pub fn parse(text: &str) -> Option<Self> {
        let map = match text.to_ascii_lowercase().as_str() {
            "drop" => Self::Drop,
            "refuse" => Self::Refuse,
            "dangerous" => Self::Dangerous,
            _ => return None,
        };
        Some(map)
    }
}

/// Which versions of the PROXY protocol clients may speak first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ProxyProtocol {
    /// None: connections begin with what they speak.
    #[default]
    Off,
    /// The line of text.
    V1,
    /// The binary header.
    V2,
    /// Either.
    Auto,
}

impl ProxyProtocol {
    /// What the setting accepts.
    pub const ACCEPTED: &str = "off, v1, v2 or auto";

    /// Gunicorn's word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::V1 => "v1",
            Self::V2 => "v2",
            Self::Auto => "auto",
        }
    }

    /// Reads one of Gunicorn's words in any case.
    pub fn parse(text: &str) -> Option<Self> {
        let versions = match text.to_ascii_lowercase().as_str() {
            "off" => Self::Off,
            "v1" => Self::V1,
            "v2" => Self::V2,
            "auto" => Self::Auto,
            _ => return None,
        };
        Some(versions)
    }
}

/// What the listeners speak.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// HTTP.
    #[default]
    Http,
    /// The protocol of uWSGI, in which nginx and others pass requests on.
    Uwsgi,
}

impl Protocol {
    /// What the setting accepts.
    pub const ACCEPTED: &str = "http or uwsgi";

    /// Its word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Uwsgi => "uwsgi",
        }
    }

    /// Reads one of its words in any case.
    pub fn parse(text: &str) -> Option<Self> {
        match text.to_ascii_lowercase().as_str() {
            "http" => Some(Self::Http),
            "uwsgi" => Some(Self::Uwsgi),
            _ => None,
        }
    }
}

/// How changed source files are noticed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ReloadEngine {
    /// The kernel's, or polling where that cannot watch so much.
    #[default]
    Auto,
    /// The kernel tells.
    Inotify,
    /// Looking at modification times once a second.
    Poll,
}

impl ReloadEngine {
    /// What the setting accepts in this version.
    pub const ACCEPTED: &str = "auto, inotify or poll";

    /// Gunicorn's word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Inotify => "inotify",
            Self::Poll => "poll",
        }
    }

    /// Reads one of the words in any case.
    pub fn parse(text: &str) -> Option<Self> {
        match text.to_ascii_lowercase().as_str() {
            "auto" => Some(Self::Auto),
            "inotify" => Some(Self::Inotify),
            "poll" => Some(Self::Poll),
            _ => None,
        }
    }
}

/// A version of HTTP that can be agreed on with a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HttpProtocol {
    /// HTTP/1.1 and HTTP/1.0.
    H1,
    /// HTTP/2.
    H2,
}

impl HttpProtocol {
    /// What the setting accepts.
    pub const ACCEPTED: &str = "h1 or h2";

    /// Gunicorn's word.
    pub fn name(self) -> &'static str {
        match self {
            Self::H1 => "h1",
            Self::H2 => "h2",
        }
    }

    /// Reads one of the words in any case.
    pub fn parse(text: &str) -> Option<Self> {
        match text.to_ascii_lowercase().as_str() {
            "h1" => Some(Self::H1),
            "h2" => Some(Self::H2),
            _ => None,
        }
    }
}

/// How a client may begin HTTP/2 without TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Cleartext {
    /// Not at all.
    #[default]
    Off,
    /// By its preface.
    PriorKnowledge,
    /// By an `Upgrade` of a request of HTTP/1.1.
    Upgrade,
    /// Either way.
    Both,
}

impl Cleartext {
    /// What the setting accepts.
    pub const ACCEPTED: &str = "off, prior-knowledge, upgrade or both";

    /// Gunicorn's word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::PriorKnowledge => "prior-knowledge",
            Self::Upgrade => "upgrade",
            Self::Both => "both",
        }
    }

    /// Reads one of the words in any case.
    pub fn parse(text: &str) -> Option<Self> {
        match text.to_ascii_lowercase().as_str() {
            "off" => Some(Self::Off),
            "prior-knowledge" => Some(Self::PriorKnowledge),
            "upgrade" => Some(Self::Upgrade),
            "both" => Some(Self::Both),
            _ => None,
        }
    }

    /// Whether the preface may come first.
    pub fn takes_preface(self) -> bool {
        matches!(self, Self::PriorKnowledge | Self::Both)
    }

    /// Whether a request may ask for it.
    pub fn takes_upgrade(self) -> bool {
        matches!(self, Self::Upgrade | Self::Both)
    }
}
