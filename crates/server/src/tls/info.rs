//! What the application and the logs learn of the TLS of a connection.

use super::clients::ClientCertificate;

/// What was agreed on with the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsInfo {
    /// `TLSv1.2` or `TLSv1.3`.
    pub version: &'static str,
    /// The version's number in the protocol.
    pub version_number: u16,
    /// The cipher, as OpenSSL names it.
    pub cipher: &'static str,
    /// Its number in IANA's registry.
    pub cipher_number: u16,
    /// The handshake has resumed a session of an earlier connection.
    pub is_resumed: bool,
    /// The name that the client asked for (SNI).
    pub server_name: Option<String>,
    /// What was chosen by ALPN.
    pub protocol: Option<Vec<u8>>,
    /// What the client has shown of itself.
    pub client: ClientCertificate,
}

impl TlsInfo {
    /// Whether HTTP/2 was chosen by ALPN.
    pub(crate) fn is_http2(&self) -> bool {
        self.protocol.as_deref() == Some(super::HTTP2)
    }
}
