//! What the server needs of the settings, in the units it works in.

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use proto::Limits;
use proto::h1::Additions;
use proto::h1::session::{HeadForm, Settings};
use proto::ws::{DeflatePolicy, Timing};
pub(crate) use settings::Cleartext;
use settings::{AddressSet, Config, HttpProtocol, Protocol};
use sys::pipe::Notifier;
use sys::rate_table::RateTable;
use sys::scoreboard::{Slot, SpoolLimits};

use crate::backlog::Spool;
use crate::compression::Compression;
use crate::disk::Disk;
use crate::error_pages::ErrorPages;
use crate::handover::Siblings;
use crate::host_rules::HostRules;
use crate::probes::Probes;
use crate::proxy_header::ProxyPolicy;
use crate::rate_limits::RateLimits;
use crate::request_ids::RequestIds;
use crate::request_limits::RequestLimits;
use crate::timers::Millis;
use crate::tls::Tls;

/// How the application gets request bodies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bodies {
    /// Whole, with the exchange: a slow upload then holds no thread.
    Whole,
    /// While they arrive: the exchange comes with its head.
    Streamed,
}

/// Who turns the reactor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lead {
    /// Threads that take turns at it, one at a time; whichever has none takes the next exchange.
    Threads,
    /// An event loop, for good. Its connections stay where they were accepted.
    EventLoop,
}

/// How many exchanges may be with the application at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Places {
    /// So many, at least one.
    Limited(u32),
    /// As many as there are connections.
    Unlimited,
}

/// How exchanges reach the application: three facts that do not follow from each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Service {
    /// How it gets request bodies.
    pub bodies: Bodies,
    /// Who turns the reactor.
    pub lead: Lead,
    /// How many exchanges it may have at once.
    pub places: Places,
}

impl Service {
    /// What an ASGI application in an event loop needs.
    pub const EVENT_LOOP: Service = Service {
        bodies: Bodies::Streamed,
        lead: Lead::EventLoop,
        places: Places::Unlimited,
    };

    /// What an application needs that is called by greenlets, at most so many at once.
    #[must_use]
    pub fn greenlets(count: u32) -> Service {
        Service {
            bodies: Bodies::Whole,
            lead: Lead::EventLoop,
            places: Places::Limited(count),
        }
    }

    /// What an application needs that is called by so many threads.
    #[must_use]
    pub fn threads(count: u32) -> Service {
        Service {
            bodies: Bodies::Whole,
            lead: Lead::Threads,
            places: Places::Limited(count),
        }
    }
}

/// The place of this worker among the others, as the arbiter gave it out.
#[derive(Debug)]
pub struct Seat {
    /// The worker's line on the scoreboard.
    pub slot: Slot,
    /// Tells the arbiter to look at the scoreboard.
    pub notifier: Notifier,
    /// Requests after which the worker asks for a successor; 0 for never.
    pub max_requests: u64,
    /// How exchanges reach the application.
    pub service: Service,
    /// The other workers; `None` where there are none to hand connections to.
    pub siblings: Option<Siblings>,
    /// The file of the access log, where it is open already. Another user's process has opened it, perhaps because this
    /// one could not.
    pub access_file: Option<File>,
    /// What encrypted connections are made of; `None` where all are plain.
    pub tls: Option<Arc<Tls>>,
    /// What clients have used of their rates; `None` where this worker counts alone.
    pub rates: Option<RateTable>,
}

/// Limits and time-outs.
#[derive(Debug)]
pub(crate) struct Options {
    /// The bounds of connections.
    pub(crate) session: Settings,
    pub(crate) graceful_timeout: Millis,
    /// What encrypted connections are made of; `None` where all are plain.
    pub(crate) tls: Option<Arc<Tls>>,
    pub(crate) handshake_timeout: Millis,
    pub(crate) trusted: AddressSet,
    /// What the reactor answers itself.
    pub(crate) probes: Probes,
    pub(crate) host_rules: HostRules,
    /// How long applications may take.
    pub(crate) request_limits: RequestLimits,
    /// Where clients may not ask as often as they like.
    pub(crate) rate_limits: Option<RateLimits>,
    pub(crate) error_pages: ErrorPages,
    /// Where responses are compressed.
    pub(crate) compression: Option<Compression>,
    /// Where requests carry an id.
    pub(crate) request_ids: Option<RequestIds>,
    /// The front servers that may send packets of the uwsgi protocol.
    pub(crate) uwsgi_peers: AddressSet,
    /// Where connections may begin with a PROXY header.
    pub(crate) proxy: Option<ProxyPolicy>,
    pub(crate) secure_scheme_headers: Vec<(String, String)>,
    /// Where temporary files go.
    pub(crate) disk: Disk,
    /// Bytes of memory for request heads that have not arrived in full; 0 for no limit.
    pub(crate) head_memory: usize,
    /// Bytes of a response that may wait in a temporary file for a slow client.
    pub(crate) response_spool: u64,
    max_requests: AtomicU64,
    pub(crate) websockets: WebSockets,
    pub(crate) http2: Http2Options,
    /// Requests that may be with the application at once; more are turned away. `None` for no limit.
    pub(crate) concurrency: Option<u32>,
    /// Whether trusted peers name the client.
    pub(crate) proxied: bool,
    server_field: bool,
    date_field: bool,
    more_fields: Vec<(String, String)>,
    streams: AtomicBool,
    looped: AtomicBool,
    places: AtomicU32,
}

impl Options {
    /// Requests after which the worker asks for a successor; 0 for never.
    pub(crate) fn max_requests(&self) -> u64 {
        self.max_requests.load(Ordering::Relaxed)
    }

    /// Changes that number.
    pub(crate) fn set_max_requests(&self, number: u64) {
        self.max_requests.store(number, Ordering::Relaxed);
    }

    /// Where what waits for a slow client may go.
    pub(crate) fn response_spool(&self) -> Spool<'_> {
        Spool {
            disk: &self.disk,
            limit: self.response_spool,
        }
    }

    /// Changes how exchanges reach the application; see [`crate::Server::serve_by`].
    pub(crate) fn serve_by(&self, service: Service) {
        let (streams, looped, places) = facts(service);
        self.streams.store(streams, Ordering::Relaxed);
        self.looped.store(looped, Ordering::Relaxed);
        self.places.store(places, Ordering::Relaxed);
    }

    /// How the application gets request bodies.
    pub(crate) fn bodies(&self) -> Bodies {
        match self.streams.load(Ordering::Relaxed) {
            true => Bodies::Streamed,
            false => Bodies::Whole,
        }
    }

    /// Who turns the reactor.
    pub(crate) fn lead(&self) -> Lead {
        match self.looped.load(Ordering::Relaxed) {
            true => Lead::EventLoop,
            false => Lead::Threads,
        }
    }

    /// How many exchanges may be with the application at once.
    pub(crate) fn places(&self) -> u32 {
        self.places.load(Ordering::Relaxed)
    }

    /// What is added to responses at the time that `date` says.
    pub(crate) fn additions<'a>(&'a self, date: &'a [u8]) -> Additions<'a> {
        Additions {
            server: self.server_field,
            date: Some(date).filter(|_| self.date_field),
            fields: &self.more_fields,
        }
    }

    pub(crate) fn new(config: &Config, seat: &Seat) -> Options {
        let (streams, looped, places) = facts(seat.service);
        Options {
            session: session(config),
            graceful_timeout: millis(config.graceful_timeout),
            tls: seat.tls.clone(),
            handshake_timeout: limit(config.tls_handshake_timeout),
            trusted: with_unix_peers(config, "forwarded_allow_ips", &config.forwarded_allow_ips),
            probes: Probes::new(config),
            host_rules: HostRules::new(config),
            request_limits: RequestLimits::new(config),
            rate_limits: RateLimits::new(config, seat.rates.clone()),
            error_pages: ErrorPages::new(config),
            compression: Compression::new(config),
            request_ids: RequestIds::new(config),
            uwsgi_peers: with_unix_peers(config, "uwsgi_allow_ips", &config.uwsgi_allow_ips),
            proxy: ProxyPolicy::new(config),
            secure_scheme_headers: config.secure_scheme_headers.clone(),
            head_memory: config.limit_head_memory,
            disk: Disk {
                directory: config.tmp_upload_dir.clone(),
                slot: seat.slot.clone(),
                limits: SpoolLimits {
                    worker: config.limit_spool,
                    total: config.limit_spool_total,
                },
            },
            response_spool: config.limit_response_spool,
            max_requests: AtomicU64::new(seat.max_requests),
            websockets: WebSockets::new(config),
            http2: Http2Options::new(config),
            concurrency: Some(config.limit_concurrency).filter(|limit| *limit != 0),
            proxied: config.proxy_headers,
            server_field: config.server_header,
            date_field: config.date_header,
            more_fields: config.response_headers.clone(),
            streams: AtomicBool::new(streams),
            looped: AtomicBool::new(looped),
            places: AtomicU32::new(places),
        }
    }
}

/// Whether bodies are streamed, whether an event loop leads, and how many exchanges the application may have.
fn facts(service: Service) -> (bool, bool, u32) {
    let places = match service.places {
        Places::Limited(places) => places.max(1),
        Places::Unlimited => u32::MAX,
    };
    let streams = service.bodies == Bodies::Streamed;
    (streams, service.lead == Lead::EventLoop, places)
}

fn session(config: &Config) -> Settings {
    Settings {
        heads: match config.protocol {
            Protocol::Http => HeadForm::Http1,
            Protocol::Uwsgi => HeadForm::Uwsgi,
        },
        limits: Limits {
            request_line: config.limit_request_line,
            fields: config.limit_request_fields,
            field_size: config.limit_request_field_size,
            unconventional_method: config.permit_unconventional_http_method,
            casefold_method: config.casefold_http_method,
            unconventional_version: config.permit_unconventional_http_version,
            obsolete_folding: config.permit_obsolete_folding,
            space_before_colon: config.strip_header_spaces,
        },
        body_limit: config.limit_request_body,
        keep_alive: millis(config.keepalive),
        header_timeout: limit(config.header_timeout),
        body_timeout: limit(config.body_timeout),
        send_timeout: limit(config.send_timeout),
    }
}

/// What connections of HTTP/2 may do.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Http2Options {
    /// How they may begin without TLS.
    pub(crate) cleartext: Cleartext,
    /// Streams that may be open at once.
    pub(crate) streams: u32,
    /// What a client may send on a new stream before it has to wait.
    pub(crate) window: u32,
    /// The longest frame.
    pub(crate) frame: u32,
    /// The longest list of fields; 0 for the most that the server holds.
    pub(crate) header_list: u32,
}

impl Http2Options {
    fn new(config: &Config) -> Http2Options {
        let offered = config.http_protocols.contains(&HttpProtocol::H2);
        Http2Options {
            cleartext: match offered {
                true => config.http2_cleartext,
                false => Cleartext::Off,
            },
            streams: config.http2_max_concurrent_streams,
            window: config.http2_initial_window_size,
            frame: config.http2_max_frame_size,
            header_list: config.http2_max_header_list_size,
        }
    }
}

/// What WebSockets may do.
#[derive(Debug)]
pub(crate) struct WebSockets {
    /// The longest message, after decompression.
    pub(crate) message_bytes: usize,
    /// What is wanted of compression, if anything.
    pub(crate) deflate: Option<DeflatePolicy>,
    pub(crate) timing: Timing,
}

impl WebSockets {
    fn new(config: &Config) -> WebSockets {
        let policy = DeflatePolicy {
            // As with our own side: what a client said earlier would take 48 KiB for as long as it is connected.
            client_context_takeover: false,
            ..DeflatePolicy::default()
        };
        WebSockets {
            message_bytes: match config.websocket_max_message_size {
                0 => usize::MAX,
                bytes => bytes,
            },
            deflate: config.ws_per_message_deflate.then_some(policy),
            timing: Timing {
                ping_interval: config.ws_ping_interval,
                ping_timeout: config.ws_ping_timeout,
                ..Timing::default()
            },
        }
    }
}

/// A time-out of zero is none.
fn limit(duration: Duration) -> Millis {
    match duration {
        Duration::ZERO => Millis::MAX,
        duration => millis(duration),
    }
}

fn millis(duration: Duration) -> Millis {
    Millis::try_from(duration.as_millis()).unwrap_or(Millis::MAX)
}

/// The peers of a setting whose word on the client counts. Those on unix sockets are among them by default, as with
/// Gunicorn: the mode of the socket has let them in. An operator who says which proxies are trusted says so of them
/// too.
pub(crate) fn with_unix_peers(config: &Config, setting: &str, set: &AddressSet) -> AddressSet {
    let set = set.clone();
    match config.origins.is_given(setting) {
        true => set,
        false => set.and_unix(),
    }
}

#[cfg(test)]
mod tests;
