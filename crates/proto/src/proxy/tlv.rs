//! The vectors of version 2: type, length, value. What is of no use here is skipped.

use super::checksum::crc32c;
use super::{ProxyHeader, ProxyViolation};

const AUTHORITY: u8 = 0x02;
const CHECKSUM: u8 = 0x03;
const TLS: u8 = 0x20;
const TLS_VERSION: u8 = 0x21;
const TLS_CLIENT_NAME: u8 = 0x22;
const TLS_CIPHER: u8 = 0x23;

/// The client reached the proxy over TLS.
const CLIENT_TLS: u8 = 0x01;
/// The client showed a certificate, on this connection or on the one whose session it resumed.
const CLIENT_CERTIFICATE: u8 = 0x02 | 0x04;
/// Flags and the result of the check.
const TLS_FIXED: usize = 5;

/// The longest name, in bytes. Host names have at most 255, and names in certificates are of that order.
const TEXT: usize = 1024;

/// The TLS connection between a client and the proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxyTls {
    /// The version, as `TLSv1.3`.
    pub version: Option<String>,
    /// The cipher, as `TLS_AES_256_GCM_SHA384`.
    pub cipher: Option<String>,
    /// What became of the client's certificate.
    pub certificate: ProxyCertificate,
    /// The common name of that certificate.
    pub client_name: Option<String>,
}

/// What the proxy says of the client's certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyCertificate {
    /// There is none.
    Absent,
    /// The proxy has found it good.
    Verified,
    /// The proxy has found it wanting, and has let the client in all the same.
    Failed,
}

/// Reads the vectors of a header, which stand behind `start`.
pub(super) fn read(
    header: &mut ProxyHeader,
    whole: &[u8],
    start: usize,
) -> Result<(), ProxyViolation> {
    each(&whole[start..], |kind, value, at| {
        match kind {
            AUTHORITY => header.authority = text(value)?,
            CHECKSUM => check(whole, start + at, value)?,
            TLS => header.tls = tls(value)?,
            _ => {}
        }
        Ok(())
    })
}

/// Goes through vectors; `visit` gets their type, value, and where the value begins.
fn each<'a>(
    vectors: &'a [u8],
    mut visit: impl FnMut(u8, &'a [u8], usize) -> Result<(), ProxyViolation>,
) -> Result<(), ProxyViolation> {
    let mut at = 0;
    while at < vectors.len() {
        let Some(&[kind, high, low]) = vectors[at..].first_chunk() else {
            return Err(ProxyViolation::Vector);
        };
        at += 3;
        let length = usize::from(u16::from_be_bytes([high, low]));
        let value = vectors.get(at..at + length);
        visit(kind, value.ok_or(ProxyViolation::Vector)?, at)?;
        at += length;
    }
    Ok(())
}

/// A name that may stand in a log and in `environ`; an empty one is none.
fn text(value: &[u8]) -> Result<Option<String>, ProxyViolation> {
    let text = str::from_utf8(value).map_err(|_| ProxyViolation::VectorText)?;
    if text.len() > TEXT || text.chars().any(char::is_control) {
        return Err(ProxyViolation::VectorText);
    }
    Ok(Some(text.to_owned()).filter(|text| !text.is_empty()))
}

/// "the receiver MUST calculate the checksum value of the whole header, with the checksum's field set to zero"
fn check(whole: &[u8], at: usize, value: &[u8]) -> Result<(), ProxyViolation> {
    let stated: [u8; 4] = value.try_into().map_err(|_| ProxyViolation::Checksum)?;
    let (before, behind) = (&whole[..at], &whole[at + value.len()..]);
    match crc32c([before, &[0; 4], behind]) == u32::from_be_bytes(stated) {
        true => Ok(()),
        false => Err(ProxyViolation::Checksum),
    }
}

fn tls(value: &[u8]) -> Result<Option<ProxyTls>, ProxyViolation> {
    let Some((&[flags, ref result @ ..], vectors)) = value.split_first_chunk::<TLS_FIXED>() else {
        return Err(ProxyViolation::Vector);
    };
    if flags & CLIENT_TLS == 0 {
        return Ok(None);
    }
    let mut tls = ProxyTls {
        version: None,
        cipher: None,
        certificate: match flags & CLIENT_CERTIFICATE {
            0 => ProxyCertificate::Absent,
            _ if result.iter().all(|&byte| byte == 0) => ProxyCertificate::Verified,
            _ => ProxyCertificate::Failed,
        },
        client_name: None,
    };
    each(vectors, |kind, value, _| {
        match kind {
            TLS_VERSION => tls.version = text(value)?,
            TLS_CIPHER => tls.cipher = text(value)?,
            TLS_CLIENT_NAME => tls.client_name = text(value)?,
            _ => {}
        }
        Ok(())
    })?;
    Ok(Some(tls))
}

/// Appends the vectors of a header.
pub(super) fn write(header: &ProxyHeader, out: &mut Vec<u8>) {
    if let Some(authority) = &header.authority {
        vector(AUTHORITY, authority.as_bytes(), out);
    }
    let Some(tls) = &header.tls else { return };
    let (flags, failed) = match tls.certificate {
        ProxyCertificate::Absent => (CLIENT_TLS, 0),
        ProxyCertificate::Verified => (CLIENT_TLS | CLIENT_CERTIFICATE, 0),
        ProxyCertificate::Failed => (CLIENT_TLS | CLIENT_CERTIFICATE, 1),
    };
    let mut value = vec![flags, 0, 0, 0, failed];
    let parts = [
        (TLS_VERSION, &tls.version),
        (TLS_CIPHER, &tls.cipher),
        (TLS_CLIENT_NAME, &tls.client_name),
    ];
    for (kind, text) in parts {
        if let Some(text) = text {
            vector(kind, text.as_bytes(), &mut value);
        }
    }
    vector(TLS, &value, out);
}

fn vector(kind: u8, value: &[u8], out: &mut Vec<u8>) {
    // Texts have at most TEXT bytes, and there are three of them at the most.
    let length = u16::try_from(value.len()).unwrap_or(u16::MAX);
    out.push(kind);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(value);
}
