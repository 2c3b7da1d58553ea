//! TLS: what all encrypted connections of a worker share. The handshake and the records are rustls's; this module says
//! with which certificates, versions and ciphers, and what the application learns of a connection.

mod certificates;
mod ciphers;
mod handshake;
mod info;
mod session;

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::NoServerSessionStorage;
use settings::{Config, HttpProtocol};

pub(crate) use handshake::{HANDSHAKES, TlsHandshake};
pub use info::TlsInfo;
pub(crate) use session::{TlsFault, TlsSession};

use certificates::Certificates;

/// The names of protocols in ALPN (RFC 7301, section 6).
const HTTP1: &[u8] = b"http/1.1";
const HTTP2: &[u8] = b"h2";

/// What encrypted connections are made of. It is made before the workers are forked, while the keys can be read.
#[derive(Debug)]
pub struct Tls {
    config: Arc<ServerConfig>,
    /// Whether a connection that ends without a goodbye has ended all the same (`suppress_ragged_eofs`).
    ragged_ends: bool,
}

/// Why there can be no TLS with these settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsMisuse {
    /// The setting that has to change.
    pub setting: &'static str,
    /// What is wrong with its value.
    pub reason: String,
}

impl TlsMisuse {
    fn new(setting: &'static str, reason: impl Into<String>) -> TlsMisuse {
        let reason = reason.into();
        TlsMisuse { setting, reason }
    }
}

impl Tls {
    /// Reads the files that the settings name. `None` where the settings ask for no TLS.
    ///
    /// # Errors
    /// A file cannot be read, or what is in it does not fit the rest.
    pub fn load(config: &Config) -> Result<Option<Tls>, TlsMisuse> {
        if !config.is_secure() {
            return Ok(None);
        }
        let provider = Arc::new(aws_lc_rs::default_provider());
        let certificates = Certificates::load(config, &provider)?;
        let protocols = config.http_protocols.iter().map(|protocol| match protocol {
            HttpProtocol::H1 => HTTP1.to_vec(),
            HttpProtocol::H2 => HTTP2.to_vec(),
        });
        let config = server_config(provider, certificates, protocols.collect())
            .map_err(|error| TlsMisuse::new("certfile", error.to_string()))?;
        Ok(Some(Tls {
            config: Arc::new(config),
            ragged_ends: true,
        }))
    }

    /// The state of a new connection.
    pub(crate) fn session(&self) -> Result<TlsSession, rustls::Error> {
        TlsSession::new(Arc::clone(&self.config), self.ragged_ends)
    }
}

fn server_config(
    provider: Arc<CryptoProvider>,
    certificates: Certificates,
    protocols: Vec<Vec<u8>>,
) -> Result<ServerConfig, rustls::Error> {
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(certificates));
    config.alpn_protocols = protocols;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    Ok(config)
}
