//! The certificates of the server with their keys, and which of them a client is shown.

use std::sync::Arc;

use rustls::Error;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use settings::Config;

use super::TlsMisuse;
use super::files::Texts;

/// All pairs of certificate and key.
#[derive(Debug)]
pub(super) struct Certificates {
    default: Arc<CertifiedKey>,
}

impl Certificates {
    /// Makes them of the texts of the files that the settings name.
    pub(super) fn load(
        config: &Config,
        texts: &Texts,
        provider: &CryptoProvider,
    ) -> Result<Certificates, TlsMisuse> {
        let Some(certfile) = &config.certfile else {
            let reason = "a key needs its certificate: certfile is not set";
            return Err(TlsMisuse::new("keyfile", reason));
        };
        // As with Python's `load_cert_chain`, the file of the certificate may hold the key, too.
        let (key_setting, keyfile) = match &config.keyfile {
            Some(keyfile) => ("keyfile", keyfile),
            None => ("certfile", certfile),
        };
        let chain = read_chain("certfile", texts.of(certfile))?;
        let key = read_key(key_setting, texts.of(keyfile))?;
        let pair = CertifiedKey::from_der(chain, key, provider)
            .map_err(|error| TlsMisuse::new(key_setting, unfit(&error)))?;
        Ok(Certificates {
            default: Arc::new(pair),
        })
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.default))
    }
}

fn read_chain(
    setting: &'static str,
    text: &[u8],
) -> Result<Vec<CertificateDer<'static>>, TlsMisuse> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text).collect();
    let chain = chain.map_err(|error| TlsMisuse::new(setting, unreadable(&error)))?;
    match chain.is_empty() {
        true => Err(TlsMisuse::new(
            setting,
            "the file has no certificate in PEM: no line \"-----BEGIN CERTIFICATE-----\"",
        )),
        false => Ok(chain),
    }
}

/// Beginnings of lines in keys that are encrypted: PKCS#8, and what OpenSSL wrote before that.
const ENCRYPTED: [&[u8]; 2] = [
    b"-----BEGIN ENCRYPTED PRIVATE KEY-----",
    b"Proc-Type: 4,ENCRYPTED",
];

fn read_key(setting: &'static str, text: &[u8]) -> Result<PrivateKeyDer<'static>, TlsMisuse> {
    let mut lines = text.split(|byte| *byte == b'\n');
    if lines.any(|line| ENCRYPTED.iter().any(|mark| line.starts_with(mark))) {
        return Err(TlsMisuse::new(
            setting,
            "the key is encrypted, and nothing here can ask for its password; \"openssl pkey -in FILE -out NEW\" \
             decrypts it, and a file of mode 0600 that belongs to root protects it as well",
        ));
    }
    PrivateKeyDer::from_pem_slice(text).map_err(|error| match error {
        pem::Error::NoItemsFound => TlsMisuse::new(
            setting,
            "the file has no private key in PEM: no line \"-----BEGIN PRIVATE KEY-----\"",
        ),
        error => TlsMisuse::new(setting, unreadable(&error)),
    })
}

fn unreadable(error: &pem::Error) -> String {
    format!("the file is no PEM: {error}")
}

/// Why a key and a certificate cannot be used together.
fn unfit(error: &Error) -> String {
    match error {
        Error::InconsistentKeys(_) => "the key does not belong to the certificate".to_owned(),
        error => format!("the key cannot be used: {error}"),
    }
}
