//! TLS: what all encrypted connections of a worker share. The handshake and the records are rustls's; this module says
//! with which certificates, versions and ciphers, and what the application learns of a connection.

mod certificates;
mod ciphers;
mod clients;
mod files;
mod handshake;
mod info;
mod names;
mod session;
mod tickets;
mod watch;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::{NoServerSessionStorage, ProducesTickets};
use settings::{Config, HttpProtocol};
use sys::publication::Publication;

pub use clients::{ClientCertificate, ClientIdentity};
pub(crate) use handshake::{HANDSHAKES, TlsHandshake};
pub use info::TlsInfo;
pub(crate) use session::{TlsFault, TlsSession};

pub use tickets::TicketKeys;

use certificates::Certificates;
use files::{Files, Stamp, Texts};
use session::SessionTerms;
use tickets::FileKeys;
use watch::Watch;

/// The names of protocols in ALPN (RFC 7301, section 6).
const HTTP1: &[u8] = b"http/1.1";
const HTTP2: &[u8] = b"h2";

/// What encrypted connections are made of. It is made before the workers are forked, while the keys can be read.
///
/// The process that made it looks after the files and publishes what has changed; those that it has forked follow.
#[derive(Debug)]
pub struct Tls {
    settings: Config,
    files: Files,
    /// Those that the server has made itself. They outlive reloads.
    tickets: Arc<TicketKeys>,
    published: Publication,
    in_force: Mutex<InForce>,
    watch: Mutex<Watch<Vec<Option<Stamp>>>>,
}

/// What new connections get.
#[derive(Debug)]
struct InForce {
    /// That of the publication.
    version: u64,
    texts: Texts,
    config: Arc<ServerConfig>,
}

/// Why there can be no TLS with these settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsMisuse {
    /// The setting that has to change.
    pub setting: &'static str,
    /// What is wrong with its value.
    pub reason: String,
}

impl fmt::Display for TlsMisuse {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.setting, self.reason)
    }
}

impl TlsMisuse {
    fn new(setting: &'static str, reason: impl Into<String>) -> TlsMisuse {
        let reason = reason.into();
        TlsMisuse { setting, reason }
    }
}

impl Tls {
    /// Reads the files that the settings name, which ask for TLS. Session tickets are made with `tickets`, unless there
    /// is a file of keys.
    ///
    /// # Errors
    /// A file cannot be read, or what is in it does not fit the rest.
    pub fn load(config: &Config, tickets: Arc<TicketKeys>) -> Result<Tls, TlsMisuse> {
        let files = Files::of(config);
        // Before they are read, so that no change gets lost in between.
        let stamps = files.stamps();
        let texts = files.read()?;
        let in_force = InForce {
            version: 0,
            config: Arc::new(server_config(config, &texts, &tickets)?),
            texts,
        };
        let published = Publication::new()
            .map_err(|error| TlsMisuse::new("certfile", format!("no shared memory: {error}")))?;
        Ok(Tls {
            settings: config.clone(),
            files,
            tickets,
            published,
            in_force: Mutex::new(in_force),
            watch: Mutex::new(Watch::new(stamps)),
        })
    }

    /// The state of a new connection.
    pub(crate) fn session(&self) -> Result<TlsSession, rustls::Error> {
        let terms = SessionTerms {
            ragged_ends: self.settings.suppress_ragged_eofs,
            asks_clients: self.settings.cert_reqs != 0,
        };
        TlsSession::new(self.current(), terms)
    }

    fn current(&self) -> Arc<ServerConfig> {
        let mut in_force = self.in_force.lock();
        if in_force.version != self.published.version() {
            self.follow(&mut in_force);
        }
        Arc::clone(&in_force.config)
    }

    /// Takes over what another process has published.
    fn follow(&self, in_force: &mut InForce) {
        // Where the next text is being published, the next connection gets that one.
        let Some((version, bytes)) = self.published.read() else {
            return;
        };
        in_force.version = version;
        let made = self.files.texts_of(&bytes).map(|texts| {
            let config = server_config(&self.settings, &texts, &self.tickets);
            config.map(|config| (texts, Arc::new(config)))
        });
        match made {
            Some(Ok((texts, config))) => (in_force.texts, in_force.config) = (texts, config),
            Some(Err(misuse)) => log::error!("Changed certificates cannot be used: {misuse}"),
            None => log::error!("Changed certificates cannot be used: they have come in pieces"),
        }
    }

    /// When [`Tls::upkeep`] has something to do next, by the monotonic clock.
    pub fn upkeep_due(&self) -> Duration {
        self.watch.lock().due().min(self.tickets.upkeep_due())
    }

    /// Looks whether the files have changed and, if so, has new connections of all workers get what is in them now.
    /// What does not fit is told, and changes nothing. Makes a new key for session tickets, where one is due. To be
    /// called in the process that has made this.
    pub fn upkeep(&self, now: Duration) {
        self.tickets.upkeep(now);
        let mut watch = self.watch.lock();
        if !watch.takes_a_look(now) || !watch.found(self.files.stamps()) {
            return;
        }
        match self.renew() {
            Ok(true) => log::info!("New TLS connections get the changed {}", self.files.names()),
            Ok(false) => {}
            Err(misuse) => log::error!(
                "The changed certificates cannot be used, so the ones before them stay: {misuse}"
            ),
        }
    }

    /// Reads the files again. Says whether there is anything new in them.
    fn renew(&self) -> Result<bool, TlsMisuse> {
        let texts = self.files.read()?;
        let mut in_force = self.in_force.lock();
        if texts == in_force.texts {
            return Ok(false);
        }
        let config = Arc::new(server_config(&self.settings, &texts, &self.tickets)?);
        let published = texts
            .to_bytes()
            .and_then(|bytes| self.published.publish(&bytes));
        published.map_err(|error| {
            let reason = format!("all files together are too long to be replaced: {error}");
            TlsMisuse::new("certfile", reason)
        })?;
        *in_force = InForce {
            version: self.published.version(),
            texts,
            config,
        };
        Ok(true)
    }
}

fn server_config(
    config: &Config,
    texts: &Texts,
    tickets: &Arc<TicketKeys>,
) -> Result<ServerConfig, TlsMisuse> {
    let provider = provider(config)?;
    let certificates = Certificates::load(config, texts, &provider)?;
    let clients = clients::verifier(config, texts, &provider)?;
    let ticketer = match &clients {
        // A resumed session would skip the check, and with it the lists of what was revoked.
        Some(_) => None,
        None => Some(ticketer(config, texts, tickets)?),
    };
    let protocols = config.http_protocols.iter().map(|protocol| match protocol {
        HttpProtocol::H1 => HTTP1.to_vec(),
        HttpProtocol::H2 => HTTP2.to_vec(),
    });
    let builder = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| TlsMisuse::new("ciphers", error.to_string()))?;
    let builder = match clients {
        Some(verifier) => builder.with_client_cert_verifier(verifier),
        None => builder.with_no_client_auth(),
    };
    let is_ordered = config.ciphers.is_some();
    let mut config = builder.with_cert_resolver(Arc::new(certificates));
    // As Python's ssl has it.
    config.ignore_client_order = is_ordered;
    config.alpn_protocols = protocols.collect();
    // A session is with its client, in a ticket: a store would be one of this worker alone.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    if let Some(ticketer) = ticketer {
        config.ticketer = ticketer;
    } else {
        config.send_tls13_tickets = 0;
    }
    Ok(config)
}

/// What computes, with the ciphers that the settings name.
fn provider(config: &Config) -> Result<Arc<CryptoProvider>, TlsMisuse> {
    let mut provider = aws_lc_rs::default_provider();
    if let Some(words) = &config.ciphers {
        let chosen = ciphers::choose(words, &provider.cipher_suites);
        provider.cipher_suites = chosen.map_err(|reason| TlsMisuse::new("ciphers", reason))?;
    }
    Ok(Arc::new(provider))
}

fn ticketer(
    config: &Config,
    texts: &Texts,
    own: &Arc<TicketKeys>,
) -> Result<Arc<dyn ProducesTickets>, TlsMisuse> {
    let Some(path) = &config.tls_ticket_key_file else {
        return Ok(Arc::<TicketKeys>::clone(own));
    };
    match FileKeys::parse(texts.of(path)) {
        Ok(keys) => Ok(Arc::new(keys)),
        Err(reason) => Err(TlsMisuse::new("tls_ticket_key_file", reason)),
    }
}
