//! Certificates of clients: whether they are asked for, which are good, and whom they name.

use std::fmt::Write;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use settings::Config;
use webpki::EndEntityCert;

use super::TlsMisuse;
use super::files::Texts;
use super::names::DistinguishedName;

/// The numbers of Python's `ssl`, which `cert_reqs` takes.
const NONE: u32 = 0;
const OPTIONAL: u32 = 1;
const REQUIRED: u32 = 2;

/// The columns of PEM (RFC 7468, section 3).
const PEM_COLUMNS: usize = 64;

/// What is known of a client by its certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientCertificate {
    /// None was asked for.
    Unasked,
    /// It has shown none, as it may.
    Absent,
    /// It has shown one, which has been verified.
    Verified(ClientIdentity),
}

/// Who a client is. What its certificate does not have in readable form is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientIdentity {
    /// Its certificate first, then those that it sent along, in PEM.
    pub chain: Vec<String>,
    /// The name in the certificate, as RFC 4514 writes it.
    pub subject: String,
    /// The common name in it.
    pub common_name: String,
    /// The authority's name.
    pub issuer: String,
    /// The serial number, in capital hexadecimal digits.
    pub serial: String,
}

impl ClientIdentity {
    /// The identity in a chain of certificates that has been verified.
    pub(super) fn of(chain: &[CertificateDer<'_>]) -> ClientIdentity {
        let mut identity = ClientIdentity {
            chain: chain.iter().map(|certificate| pem(certificate)).collect(),
            ..ClientIdentity::default()
        };
        let read = chain.first().map(EndEntityCert::try_from);
        let Some(Ok(certificate)) = read else {
            return identity;
        };
        let subject = DistinguishedName(certificate.subject());
        identity.subject = subject.text();
        identity.common_name = subject.common_name();
        identity.issuer = DistinguishedName(certificate.issuer()).text();
        // A zero before a number is its sign.
        let serial = certificate.serial();
        for byte in serial.strip_prefix(&[0]).unwrap_or(serial) {
            let _ = write!(identity.serial, "{byte:02X}");
        }
        identity
    }
}

/// A certificate as text.
fn pem(der: &[u8]) -> String {
    let encoded = STANDARD.encode(der);
    let mut text = "-----BEGIN CERTIFICATE-----\n".to_owned();
    let mut rest = encoded.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(PEM_COLUMNS));
        text.push_str(line);
        text.push('\n');
        rest = after;
    }
    text.push_str("-----END CERTIFICATE-----\n");
    text
}

/// What judges certificates of clients; `None` where they are not asked for.
pub(super) fn verifier(
    config: &Config,
    texts: &Texts,
    provider: &Arc<CryptoProvider>,
) -> Result<Option<Arc<dyn ClientCertVerifier>>, TlsMisuse> {
    match config.cert_reqs {
        NONE => return Ok(None),
        OPTIONAL | REQUIRED => {}
        _ => {
            let reason = "0 (none), 1 (optional) and 2 (required) are known";
            return Err(TlsMisuse::new("cert_reqs", reason));
        }
    }
    let Some(ca_certs) = &config.ca_certs else {
        let reason = "certificates of clients are checked with the authorities of ca_certs, which is not set";
        return Err(TlsMisuse::new("cert_reqs", reason));
    };
    let roots = Arc::new(authorities(texts.of(ca_certs))?);
    let mut builder = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(provider));
    if let Some(path) = &config.tls_crl_file {
        builder = builder
            .with_crls(revocations(texts.of(path))?)
            .enforce_revocation_expiration();
    }
    if config.cert_reqs == OPTIONAL {
        builder = builder.allow_unauthenticated();
    }
    match builder.build() {
        Ok(verifier) => Ok(Some(verifier)),
        // The authorities have been looked at one by one, so what is left is a list.
        Err(error) => Err(TlsMisuse::new("tls_crl_file", error.to_string())),
    }
}

fn authorities(text: &[u8]) -> Result<RootCertStore, TlsMisuse> {
    let misuse = |reason: String| TlsMisuse::new("ca_certs", reason);
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(text) {
        let certificate =
            certificate.map_err(|error| misuse(format!("the file is no PEM: {error}")))?;
        (roots.add(certificate))
            .map_err(|error| misuse(format!("a certificate in it cannot be used: {error}")))?;
    }
    match roots.is_empty() {
        true => Err(misuse("the file has no certificate in PEM".to_owned())),
        false => Ok(roots),
    }
}

fn revocations(text: &[u8]) -> Result<Vec<CertificateRevocationListDer<'static>>, TlsMisuse> {
    let misuse = |reason: String| TlsMisuse::new("tls_crl_file", reason);
    let lists: Result<Vec<_>, _> = CertificateRevocationListDer::pem_slice_iter(text).collect();
    let lists = lists.map_err(|error| misuse(format!("the file is no PEM: {error}")))?;
    match lists.is_empty() {
        true => Err(misuse(
            "the file has no list in PEM: no line \"-----BEGIN X509 CRL-----\"".to_owned(),
        )),
        false => Ok(lists),
    }
}
