//! The opening handshake (RFC 6455, section 4.2): what a client asks for, and the answer that makes it a WebSocket.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use sha1::{Digest as _, Sha1};

use super::deflate::{Deflate, DeflatePolicy};
use super::extensions::{self, Extension};
use super::misuse::WebSocketMisuse;
use super::refusal::Refusal;
use crate::fields::{is_token, list_elements};
use crate::framing::Framing;
use crate::h1::ResponseHead;
use crate::request::{Request, Version};

/// What the key is joined with to prove that this server speaks WebSocket (RFC 6455, section 1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

const KEY_BYTES: usize = 16;

/// Reads keys. The last digit of a key has four bits that stand for nothing; there are clients that do not clear them.
const KEY_DECODER: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
);

/// Fields that are the handshake's own, which an application cannot state.
const OWN_FIELDS: [&[u8]; 3] = [
    b"sec-websocket-accept",
    b"sec-websocket-extensions",
    b"sec-websocket-protocol",
];

/// A handshake that broke no rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handshake {
    /// The value of Sec-WebSocket-Accept.
    accept: String,
    protocols: Vec<String>,
    extensions: Vec<Extension>,
}

/// What the application answers.
#[derive(Debug, Clone, Copy)]
pub struct Acceptance<'a> {
    /// The sub-protocol, which should be one of those that the client offered.
    pub protocol: Option<&'a str>,
    /// What [`Handshake::negotiate`] has found.
    pub deflate: Option<Deflate>,
    /// Further fields. The status is not looked at; Content-Length is left out.
    pub fields: &'a ResponseHead,
}

/// Judges whether a request opens a WebSocket.
///
/// `Ok(None)` says that it does not ask for that, and is to be answered as any other request: it names no `websocket`
/// in Upgrade, or no `upgrade` in Connection, or is of HTTP/1.0, whose upgrades are ignored (RFC 9110, section 7.8).
///
/// # Errors
/// The first rule that a request that does ask for it breaks.
pub fn judge(request: &Request) -> Result<Option<Handshake>, Refusal> {
    let asks =
        lists(request, b"upgrade", b"websocket") && lists(request, b"connection", b"upgrade");
    if !asks || request.version() == Version::Http10 {
        return Ok(None);
    }
    if request.method() != b"GET" {
        return Err(Refusal::Method);
    }
    // RFC 6455 does not say whether frames would begin behind a body or instead of it.
    if !matches!(request.framing(), Framing::None | Framing::Length(0)) {
        return Err(Refusal::Body);
    }
    if only(request, b"sec-websocket-version") != Some(b"13".as_slice()) {
        return Err(Refusal::Version);
    }
    let key = only(request, b"sec-websocket-key").ok_or(Refusal::Key)?;
    Ok(Some(Handshake {
        accept: accept(key)?,
        protocols: protocols(request)?,
        extensions: offered_extensions(request)?,
    }))
}

fn values<'a>(request: &'a Request, wanted: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    let is_wanted = |name: &[u8]| name.eq_ignore_ascii_case(wanted);
    request
        .fields()
        .filter(move |(name, _)| is_wanted(name))
        .map(|(_, value)| value)
}

/// The value of a field that stands there once.
fn only<'a>(request: &'a Request, wanted: &'a [u8]) -> Option<&'a [u8]> {
    let mut values = values(request, wanted);
    let value = values.next()?;
    values.next().is_none().then_some(value)
}

fn lists(request: &Request, field: &[u8], element: &[u8]) -> bool {
    values(request, field)
        .flat_map(list_elements)
        .any(|candidate| candidate.eq_ignore_ascii_case(element))
}

fn accept(key: &[u8]) -> Result<String, Refusal> {
    match KEY_DECODER.decode(key) {
        Ok(bytes) if bytes.len() == KEY_BYTES => {}
        _ => return Err(Refusal::Key),
    }
    Ok(STANDARD.encode(Sha1::new().chain_update(key).chain_update(GUID).finalize()))
}

fn protocols(request: &Request) -> Result<Vec<String>, Refusal> {
    values(request, b"sec-websocket-protocol")
        .flat_map(list_elements)
        .filter(|element| !element.is_empty())
        .map(|element| {
            let name = is_token(element).then(|| String::from_utf8_lossy(element).into_owned());
            name.ok_or(Refusal::Protocol)
        })
        .collect()
}

/// Several fields are one list (RFC 6455, section 9.1).
fn offered_extensions(request: &Request) -> Result<Vec<Extension>, Refusal> {
    let mut all = Vec::new();
    for value in values(request, b"sec-websocket-extensions") {
        all.extend(extensions::parse(value).ok_or(Refusal::Extensions)?);
    }
    Ok(all)
}

impl Handshake {
    /// The sub-protocols that the client offers, the one that it likes best first.
    #[must_use]
    pub fn protocols(&self) -> &[String] {
        &self.protocols
    }

    /// The first of the client's offers of permessage-deflate that can be accepted, and what comes of it.
    #[must_use]
    pub fn negotiate(&self, policy: &DeflatePolicy) -> Option<Deflate> {
        Deflate::negotiate(&self.extensions, policy)
    }

    /// Appends the head of the answer, after which frames begin.
    ///
    /// # Errors
    /// A [`WebSocketMisuse`] when the sub-protocol is no token, or a field is one of the handshake's own; nothing is
    /// appended then.
    pub fn encode(
        &self,
        acceptance: &Acceptance<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), WebSocketMisuse> {
        self.check(acceptance)?;
        out.extend_from_slice(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n",
        );
        append_field(b"Sec-WebSocket-Accept", self.accept.as_bytes(), out);
        if let Some(protocol) = acceptance.protocol {
            append_field(b"Sec-WebSocket-Protocol", protocol.as_bytes(), out);
        }
        if let Some(deflate) = acceptance.deflate {
            append_field(
                b"Sec-WebSocket-Extensions",
                deflate.to_string().as_bytes(),
                out,
            );
        }
        for (name, value) in acceptance.fields.fields() {
            // "MUST NOT send a Content-Length header field in any response with a status code of 1xx" (RFC 9110,
            // section 8.6).
            if !name.eq_ignore_ascii_case(b"content-length") {
                append_field(name, value, out);
            }
        }
        out.extend_from_slice(b"\r\n");
        Ok(())
    }

    fn check(&self, acceptance: &Acceptance<'_>) -> Result<(), WebSocketMisuse> {
        // One that the client has not offered is sent: there are clients that offer none and take what comes, and a
        // client that follows RFC 6455 fails the connection by itself.
        if let Some(protocol) = acceptance.protocol
            && !is_token(protocol.as_bytes())
        {
            return Err(WebSocketMisuse::Protocol {
                protocol: protocol.to_owned(),
            });
        }
        let is_own = |name: &[u8]| OWN_FIELDS.iter().any(|own| name.eq_ignore_ascii_case(own));
        match acceptance.fields.fields().find(|(name, _)| is_own(name)) {
            Some((name, _)) => Err(WebSocketMisuse::Field {
                name: String::from_utf8_lossy(name).into_owned(),
            }),
            None => Ok(()),
        }
    }
}

fn append_field(name: &[u8], value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}
