//! The extension `tls` of a scope (ASGI's TLS extension, version 0.2).

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use server::{ClientCertificate, TlsInfo};

/// The extension for a connection.
///
/// # Errors
/// Memory.
pub(super) fn extension<'py>(py: Python<'py>, tls: &TlsInfo) -> PyResult<Bound<'py, PyDict>> {
    let (chain, name) = match &tls.client {
        ClientCertificate::Verified(identity) => {
            let name = Some(identity.subject.as_str()).filter(|name| !name.is_empty());
            (PyList::new(py, &identity.chain)?, name)
        }
        ClientCertificate::Unasked | ClientCertificate::Absent => (PyList::empty(py), None),
    };
    let extension = PyDict::new(py);
    // The specification has it `None` where it is not at hand.
    extension.set_item(intern!(py, "server_cert"), py.None())?;
    extension.set_item(intern!(py, "client_cert_chain"), chain)?;
    extension.set_item(intern!(py, "client_cert_name"), name)?;
    // A certificate that is not good ends the handshake.
    extension.set_item(intern!(py, "client_cert_error"), py.None())?;
    extension.set_item(intern!(py, "tls_version"), tls.version_number)?;
    extension.set_item(intern!(py, "cipher_suite"), tls.cipher_number)?;
    Ok(extension)
}
