//! The typed result: what every other crate reads. A field is named as its setting; what it means is in the table.

use std::path::PathBuf;
use std::time::Duration;

use crate::address::Address;
use crate::choice::{
    AsgiLifespan, AsgiLoop, Cleartext, GarbageCollection, HeaderMap, HttpProtocol, LogLevel,
    Protocol, ProxyProtocol, ReloadEngine, WorkerClass, WorkerReplacement,
};
use crate::compression::CodingLevel;
use crate::error_page::ErrorPage;
use crate::layers::Layers;
use crate::mount::{Mount, StaticMissing, StaticSymlinks};
use crate::network::AddressSet;
use crate::origins::Origins;
use crate::path_timeout::PathTimeout;
use crate::rate_rule::RateRule;
use crate::setting::find;
use crate::statsd::StatsdAddress;
use crate::value::Value;

/// Declares [`Config`] and, from the same list of fields, the blank one that the table then fills.
macro_rules! fields {
    ($( $(#[$doc:meta])* $name:ident: $kind:ty, )*) => {
        /// Every setting that this version implements, in its own type. Cheap to clone compared with what is done
        /// with it; share it as `Arc<Config>` where it is handed out often.
        #[derive(Clone, Debug, PartialEq)]
        pub struct Config { $( $(#[$doc])* pub $name: $kind, )* }

        /// What cancelled requests, connections and the end of a lifespan may take where `graceful_timeout` is 0.
const CANCELLED_WITHIN: Duration = Duration::from_secs(8);

impl Config {
            /// No setting's default: those are in the table, which writes over every field.
            pub(crate) fn blank() -> Self {
                Self { $( $name: Default::default(), )* }
            }
        }
    };
}

fields! {
    /// The application to serve: the first positional argument, else `wsgi_app`. Not a setting.
    app: Option<String>,
    /// The conf file, if one is named.
    config: Option<String>,
    /// The application where the command line names none.
    wsgi_app: Option<String>,
    /// Where to listen; at least one address.
    bind: Vec<Address>,
    /// Length of each listener's accept queue.
    backlog: u32,
    /// Number of worker processes; 0 serves nothing.
    workers: u32,
    /// As given; [`Config::effective_worker_class`] is what runs.
    worker_class: WorkerClass,
    /// The name under which the class was given. Not a setting.
    worker_class_name: String,
    /// Threads of one worker that call the application; at least 1.
    threads: u32,
    /// Connections that one worker holds at most; at least 1.
    worker_connections: u32,
    /// Requests after which a worker is replaced; 0 is never.
    max_requests: u64,
    /// Upper bound of the random part of `max_requests`.
    max_requests_jitter: u64,
    /// After how long a worker that makes no progress is replaced; zero is never.
    timeout: Duration,
    /// After how long a worker that has not booted is replaced; zero leaves that to `timeout`.
    worker_boot_timeout: Duration,
    /// How long an application may send nothing of its response; zero is without limit.
    request_timeout: Duration,
    /// Other limits for some paths.
    request_timeout_paths: Vec<PathTimeout>,
    /// How long a worker may finish its work when it has to go.
    graceful_timeout: Duration,
    /// How long an idle connection is kept; zero is not at all.
    keepalive: Duration,
    /// Longest request line in bytes; 0 is unlimited.
    limit_request_line: usize,
    /// Most fields in a request head; 1 to 32768.
    limit_request_fields: usize,
    /// Longest field line in bytes; at least 1.
    limit_request_field_size: usize,
    /// Bytes of memory for request heads that have not arrived in full, over all connections of a worker; 0 is
    /// unlimited.
    limit_head_memory: usize,
    /// Longest request body in bytes; 0 is unlimited.
    limit_request_body: u64,
    /// Bytes of one response that may wait in a temporary file for a slow client; 0 is none.
    limit_response_spool: u64,
    /// Bytes of disk for the temporary files of one worker; 0 for no limit.
    limit_spool: u64,
    /// Bytes of disk for the temporary files of all workers; 0 for no limit.
    limit_spool_total: u64,
    /// How long a whole request head may take; zero is unlimited.
    header_timeout: Duration,
    /// The longest silence while a body is read; zero is unlimited.
    body_timeout: Duration,
    /// The longest time in which a client takes nothing of a response; zero is unlimited.
    send_timeout: Duration,
    /// The server's certificate with those that vouch for it, in PEM.
    certfile: Option<PathBuf>,
    /// Its private key, where that is not in the same file.
    keyfile: Option<PathBuf>,
    /// Which ciphers of TLS 1.2 there are, in OpenSSL's words.
    ciphers: Option<String>,
    /// Whether clients show a certificate: 0 no, 1 if they like, 2 always.
    cert_reqs: u32,
    /// The authorities for certificates of clients.
    ca_certs: Option<PathBuf>,
    /// Revoked certificates of clients.
    tls_crl_file: Option<PathBuf>,
    /// Whether a connection of TLS that ends without a goodbye has ended all the same.
    suppress_ragged_eofs: bool,
    /// No effect.
    do_handshake_on_connect: bool,
    /// No effect.
    ssl_version: Option<String>,
    /// Keys of session tickets that several servers share.
    tls_ticket_key_file: Option<PathBuf>,
    /// How long a TLS handshake may take; zero is unlimited.
    tls_handshake_timeout: Duration,
    /// Whether workers are replaced when source files change.
    reload: bool,
    /// How source files are watched.
    reload_engine: ReloadEngine,
    /// More files to watch: paths or glob patterns.
    reload_extra_files: Vec<String>,
    /// Whether all clients see the traceback of an application that cannot be imported.
    reload_show_errors: bool,
    /// Whether every executed line of Python is printed.
    spew: bool,
    /// Whether to load everything, report, and leave.
    check_config: bool,
    /// Whether to print the settings, then do as `check_config`.
    print_config: bool,
    /// The same, with where each value came from.
    print_sources: bool,
    /// Whether the application is imported before the workers are forked.
    preload_app: bool,
    /// Whether applications that ask are told that they run on Gunicorn.
    as_gunicorn: bool,
    /// Whether files may be sent by the kernel.
    sendfile: bool,
    /// Whether each worker has listeners of its own.
    reuse_port: bool,
    /// The directory to change to; absolute where the environment gave `PWD`.
    chdir: PathBuf,
    /// Whether to detach from the terminal.
    daemon: bool,
    /// Environment variables to set, in order.
    raw_env: Vec<(String, String)>,
    /// Where to write the arbiter's process id.
    pidfile: Option<PathBuf>,
    /// Accepted, without effect here.
    worker_tmp_dir: Option<String>,
    /// Whose rights workers run with: a name or a number as given; `None` is the user who started the server.
    user: Option<String>,
    /// Which group's rights workers run with, likewise.
    group: Option<String>,
    /// The file mode mask.
    umask: u32,
    /// The mode of new unix sockets; `None` where `umask` decides.
    socket_mode: Option<u32>,
    /// Whether workers get the supplementary groups of `user`.
    initgroups: bool,
    /// Where request bodies that do not fit in memory go.
    tmp_upload_dir: Option<PathBuf>,
    /// Fields (in upper case) and the values with which a trusted peer says that the client spoke TLS.
    secure_scheme_headers: Vec<(String, String)>,
    /// The peers whose word on the client is taken.
    forwarded_allow_ips: AddressSet,
    /// Which versions of the PROXY protocol clients may speak first.
    proxy_protocol: ProxyProtocol,
    /// The peers that may.
    proxy_allow_ips: AddressSet,
    /// The codings in which responses are compressed, the favourite first; none is not at all.
    compress: Vec<CodingLevel>,
    /// The shortest body that is compressed.
    compress_min_length: u64,
    /// The media types that are compressed; none is the usual ones.
    compress_types: Vec<String>,
    /// Paths below which cookies do not keep responses from being compressed.
    compress_with_cookies: Vec<String>,
    /// Directories whose files the server serves.
    static_files: Vec<Mount>,
    /// Whether Django's static files are among them.
    static_root: bool,
    /// Directories that hold single-page applications.
    spa: Vec<Mount>,
    /// Paths that are the application's in any case.
    spa_except: Vec<String>,
    /// Directories whose files the application may have sent.
    sendfile_root: Vec<Mount>,
    /// Who answers where no file is.
    static_missing: StaticMissing,
    /// Where symbolic links may lead.
    static_symlinks: StaticSymlinks,
    /// How long clients may keep files, in seconds.
    static_max_age: u32,
    /// The Cache-Control of files whose name matches a pattern: patterns and values.
    static_cache_control: Vec<(String, String)>,
    /// What the listeners speak.
    protocol: Protocol,
    /// The front servers that may speak uwsgi.
    uwsgi_allow_ips: AddressSet,
    /// The hosts that are served; none is all.
    allowed_hosts: Vec<String>,
    /// The host that clients of others are sent to.
    canonical_host: Option<String>,
    /// While this file exists, its content is the answer to every request.
    maintenance_file: Option<PathBuf>,
    /// The file at `/.well-known/security.txt`.
    security_txt: Option<PathBuf>,
    /// Files that stand for the server's error pages.
    error_page: Vec<ErrorPage>,
    /// How often each client may ask.
    rate_limit: Vec<RateRule>,
    /// The field that carries the id of a request.
    request_id: Option<String>,
    /// The path at which the server says that it is alive.
    health_path: Option<String>,
    /// The path at which it says whether it is ready, where `health_path` is set.
    ready_path: Option<String>,
    /// How long it serves on after TERM.
    drain_delay: Duration,
    /// Where access lines go; `-` is standard output.
    accesslog: Option<String>,
    /// The shape of an access line.
    access_log_format: String,
    /// `json` where both logs have JSON objects for lines.
    log_format: String,
    /// `json` where the error log does.
    error_log_format: String,
    /// Whether what a terminal shows is coloured; `None` is where the terminal and its environment allow it.
    use_colors: Option<bool>,
    /// Whether access lines show statuses in colour: they go to a terminal. Not a setting.
    coloured_statuses: bool,
    /// Where the error log goes; `-` is standard error.
    errorlog: String,
    /// The least severe line of the error log.
    loglevel: LogLevel,
    /// Whether standard output and error go to the error log.
    capture_output: bool,
    /// The class that writes both logs, by name; `None` where the conf file holds the class itself.
    logger_class: Option<String>,
    /// The file with a configuration of Python's `logging`, in its own format.
    logconfig: Option<String>,
    /// The same as a dictionary. What a dictionary of Python holds besides plain values is left to the reader of the
    /// conf file.
    logconfig_dict: Vec<(String, Value)>,
    /// The same as a JSON file.
    logconfig_json: Option<String>,
    /// Whether both logs go to syslog.
    syslog: bool,
    /// Where syslog listens.
    syslog_addr: String,
    /// The part of the program's name that syslog shows.
    syslog_prefix: Option<String>,
    /// The facility under which syslog files the lines.
    syslog_facility: String,
    /// Whether access lines are kept out of syslog.
    disable_redirect_access_to_syslog: bool,
    /// Whether a daemon keeps its standard output and error, unless they are a terminal.
    enable_stdio_inheritance: bool,
    /// Where metrics go.
    statsd_host: Option<StatsdAddress>,
    /// What stands in front of every metric's name.
    statsd_prefix: String,
    /// Tags for every metric, divided by commas.
    dogstatsd_tags: String,
    /// Whether the length of the accept queue is a metric.
    enable_backlog_metric: bool,
    /// The name that processes are shown under.
    proc_name: Option<String>,
    /// Accepted, without effect here.
    default_proc_name: String,
    /// A PasteDeploy file with a section, `FILE.ini#SECTION`, to load the application from; absolute where the
    /// environment gave `PWD`. It is `app` too.
    paste: Option<String>,
    /// Variables for that file.
    raw_paste_global_conf: Vec<(String, String)>,
    /// Directories put at the front of `sys.path`.
    pythonpath: Vec<String>,
    /// What becomes of fields with an underscore in their name.
    header_map: HeaderMap,
    /// Fields with an underscore (in upper case) that a trusted peer may set; `*` is all.
    forwarder_headers: Vec<String>,
    /// Whether fields may be folded over several lines.
    permit_obsolete_folding: bool,
    /// Whether blanks may stand before the colon of a field.
    strip_header_spaces: bool,
    /// Whether a request may name a version outside of HTTP/1.
    permit_unconventional_http_version: bool,
    /// Whether methods may be any token.
    permit_unconventional_http_method: bool,
    /// Whether methods are put in upper case.
    casefold_http_method: bool,
    /// In which order a worker and its successor come and go.
    worker_replacement: WorkerReplacement,
    /// How Python's garbage collector goes about its work in workers.
    gc: GarbageCollection,
    /// The event loop of asgi workers.
    asgi_loop: AsgiLoop,
    /// Whether ASGI applications are told of their worker's start and end.
    asgi_lifespan: AsgiLifespan,
    /// Seconds that an ASGI application may run on after its client has left.
    asgi_disconnect_grace_period: u32,
    /// Whether the scope offers the extensions that send files.
    asgi_pathsend: bool,
    /// Longest WebSocket message in bytes, after decompression; 0 is unlimited.
    websocket_max_message_size: usize,
    /// Time between two pings of the server on a WebSocket; zero is never.
    ws_ping_interval: Duration,
    /// How long a WebSocket client may be silent after a ping; zero is unlimited.
    ws_ping_timeout: Duration,
    /// Whether messages may be compressed.
    ws_per_message_deflate: bool,
    /// The versions of HTTP that are offered over TLS, the favourite first.
    http_protocols: Vec<HttpProtocol>,
    /// How HTTP/2 may begin without TLS.
    http2_cleartext: Cleartext,
    /// Streams that a connection may have open at once; at least 1.
    http2_max_concurrent_streams: u32,
    /// Bytes that a client may send on a new stream before it has to wait; at most 2^31 - 1.
    http2_initial_window_size: u32,
    /// The longest frame in bytes; 16,384 to 16,777,215.
    http2_max_frame_size: u32,
    /// Bytes that the fields of a request may take, as HPACK counts them; 0 is the server's own bound.
    http2_max_header_list_size: u32,
    /// Under which path a proxy shows an ASGI application.
    root_path: String,
    /// Whether a trusted proxy names the client.
    proxy_headers: bool,
    /// Requests that one worker answers at a time; more are turned away. 0 is unlimited.
    limit_concurrency: u32,
    /// Whether responses get a Server field.
    server_header: bool,
    /// Whether responses get a Date field.
    date_header: bool,
    /// Fields for every response that does not have them: names and values.
    response_headers: Vec<(String, String)>,
    /// Whether the application has to be made by calling what is named.
    app_factory: bool,
    /// A file of environment variables.
    env_file: Option<PathBuf>,
    /// Accepted, without effect here.
    http_parser: String,
    /// Where the admin server listens.
    admin_bind: Vec<Address>,
    /// The path of the control socket.
    control_socket: Option<PathBuf>,
    /// Its permission bits.
    control_socket_mode: u32,
    /// Whether there is none all the same.
    control_socket_disable: bool,
    /// Settings that were given and have no effect here, one sentence each, to be logged once. Not a setting.
    notices: Vec<String>,
    /// Settings that make little sense together, one sentence each, to be warned about. Not a setting.
    cautions: Vec<String>,
    /// Where each value came from. Not a setting.
    origins: Origins,
}

impl Config {
    /// What kind of worker runs: `sync` with more than one thread is `gthread`.
    pub fn effective_worker_class(&self) -> WorkerClass {
        match self.worker_class {
            WorkerClass::Sync if self.threads > 1 => WorkerClass::Gthread,
            class => class,
        }
    }

    /// How long a worker may take to leave before it is killed. An event loop that has no time for its requests cancels
    /// them, as uvicorn does, and its application is still told of the end: a `graceful_timeout` of 0 does not kill it
    /// at once.
    pub fn leaving_timeout(&self) -> Duration {
        let label = self.origins.label("graceful_timeout");
        let is_event_loop =
            self.worker_class == WorkerClass::Asgi || label == Some("--timeout-graceful-shutdown");
        match self.graceful_timeout.is_zero() && is_event_loop {
            true => CANCELLED_WITHIN,
            false => self.graceful_timeout,
        }
    }

    /// Whether connections are encrypted.
    pub fn is_secure(&self) -> bool {
        self.certfile.is_some() || self.keyfile.is_some()
    }

    /// An address as the log shows it.
    pub fn shown(&self, address: &Address) -> String {
        match (address, self.is_secure()) {
            (Address::Tcp { .. }, true) => format!("https://{}", address.spelling()),
            _ => address.to_string(),
        }
    }

    /// The present value of any setting of the table, by name, as a conf file would hold it. What this version does
    /// not implement is at its default. `None` for names that are no setting, and for hooks.
    pub fn value(&self, name: &str) -> Option<Value> {
        find(name)
            .filter(|setting| !setting.is_hook())
            .map(|setting| setting.value_in(self))
    }
}

impl Default for Config {
    /// The defaults of the table: no environment, no file, no arguments.
    fn default() -> Self {
        // The table's own test shows that its defaults resolve, so the blank one is never seen.
        Layers::new().resolve().unwrap_or_else(|_| Self::blank())
    }
}
