//! What a load balancer has told with the PROXY protocol, as `environ` has it: Gunicorn's keys, and the names that
//! Apache's mod_ssl has for the client's TLS connection.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use server::Proxied;

use crate::gateway::{proxied::verdict, text};

/// Enters it.
///
/// # Errors
/// Memory.
pub(super) fn enter(environ: &Bound<'_, PyDict>, proxied: &Proxied) -> PyResult<()> {
    let py = environ.py();
    let header = &proxied.header;
    environ.set_item(intern!(py, "PROXY_PROTOCOL"), header.protocol())?;
    if let Some(destination) = header.destination() {
        let (ip, port) = (destination.ip(), destination.port());
        environ.set_item(intern!(py, "PROXY_ADDR"), ip.to_string())?;
        environ.set_item(intern!(py, "PROXY_PORT"), port.to_string())?;
    }
    let Some(tls) = &header.tls else {
        return enter_text(environ, "PROXY_AUTHORITY", header.authority.as_deref());
    };
    environ.set_item(intern!(py, "SSL_CLIENT_VERIFY"), verdict(tls.certificate))?;
    for (key, value) in [
        ("PROXY_AUTHORITY", &header.authority),
        ("SSL_PROTOCOL", &tls.version),
        ("SSL_CIPHER", &tls.cipher),
        ("SSL_CLIENT_S_DN_CN", &tls.client_name),
    ] {
        enter_text(environ, key, value.as_deref())?;
    }
    Ok(())
}

/// Text in `environ` stands for bytes, each of which is a character of Latin-1 (PEP 3333).
fn enter_text(environ: &Bound<'_, PyDict>, key: &str, value: Option<&str>) -> PyResult<()> {
    match value {
        Some(value) => environ.set_item(key, text::native(environ.py(), value.as_bytes())?),
        None => Ok(()),
    }
}
