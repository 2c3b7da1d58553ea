//! What a load balancer has told with the PROXY protocol, in the words of both gateways and of the hooks.

use proto::proxy::ProxyCertificate;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use server::{Peer, Proxied};

/// The word of nginx and mod_ssl for the check of a client's certificate.
pub(crate) fn verdict(certificate: ProxyCertificate) -> &'static str {
    match certificate {
        ProxyCertificate::Absent => "NONE",
        ProxyCertificate::Verified => "SUCCESS",
        ProxyCertificate::Failed => "FAILED",
    }
}

/// The extension `proxy_protocol` of a scope.
///
/// # Errors
/// Memory.
pub(crate) fn extension<'py>(py: Python<'py>, proxied: &Proxied) -> PyResult<Bound<'py, PyDict>> {
    let header = &proxied.header;
    let told = PyDict::new(py);
    told.set_item(intern!(py, "protocol"), header.protocol())?;
    let server = header
        .destination()
        .map(|end| (end.ip().to_string(), end.port()));
    told.set_item(intern!(py, "server"), server)?;
    told.set_item(intern!(py, "authority"), &header.authority)?;
    let tls = match &header.tls {
        None => None,
        Some(tls) => {
            let told = PyDict::new(py);
            told.set_item(intern!(py, "version"), &tls.version)?;
            told.set_item(intern!(py, "cipher"), &tls.cipher)?;
            told.set_item(intern!(py, "client_name"), &tls.client_name)?;
            told.set_item(intern!(py, "client_verify"), verdict(tls.certificate))?;
            Some(told)
        }
    };
    told.set_item(intern!(py, "tls"), tls)?;
    Ok(told)
}

/// Gunicorn's `req.proxy_protocol_info`.
///
/// # Errors
/// Memory.
pub(crate) fn info<'py>(
    py: Python<'py>,
    proxied: &Proxied,
    client: &Peer,
) -> PyResult<Bound<'py, PyDict>> {
    let info = PyDict::new(py);
    let client = match client {
        Peer::Inet(address) => Some(*address),
        Peer::Unix => None,
    };
    info.set_item(intern!(py, "proxy_protocol"), proxied.header.protocol())?;
    for (addr, port, end) in [
        ("client_addr", "client_port", client),
        ("proxy_addr", "proxy_port", proxied.header.destination()),
    ] {
        info.set_item(addr, end.map(|end| end.ip().to_string()))?;
        info.set_item(port, end.map(|end| end.port()))?;
    }
    Ok(info)
}
