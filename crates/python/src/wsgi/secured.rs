//! What is known of a client by its TLS certificate, as `environ` has it: the names of Apache's mod_ssl, with the
//! values that nginx has for them. Nothing where no certificate was asked for.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use server::{ClientCertificate, ClientIdentity, TlsInfo};

use crate::gateway::text;

/// Enters it.
///
/// # Errors
/// Memory.
pub(super) fn enter(environ: &Bound<'_, PyDict>, tls: &TlsInfo) -> PyResult<()> {
    let py = environ.py();
    let verdict = match &tls.client {
        ClientCertificate::Unasked => return Ok(()),
        ClientCertificate::Absent => "NONE",
        ClientCertificate::Verified(identity) => {
            enter_identity(environ, identity)?;
            "SUCCESS"
        }
    };
    environ.set_item(intern!(py, "SSL_CLIENT_VERIFY"), verdict)?;
    environ.set_item(intern!(py, "SSL_PROTOCOL"), tls.version)?;
    environ.set_item(intern!(py, "SSL_CIPHER"), tls.cipher)
}

fn enter_identity(environ: &Bound<'_, PyDict>, identity: &ClientIdentity) -> PyResult<()> {
    let certificate = identity.chain.first().map_or("", String::as_str);
    for (key, value) in [
        ("SSL_CLIENT_CERT", certificate),
        ("SSL_CLIENT_S_DN", &identity.subject),
        ("SSL_CLIENT_S_DN_CN", &identity.common_name),
        ("SSL_CLIENT_I_DN", &identity.issuer),
        ("SSL_CLIENT_M_SERIAL", &identity.serial),
    ] {
        // Text in `environ` stands for bytes, each of which is a character of Latin-1 (PEP 3333).
        environ.set_item(key, text::native(environ.py(), value.as_bytes())?)?;
    }
    Ok(())
}
