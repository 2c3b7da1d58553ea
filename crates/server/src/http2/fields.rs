//! Between the types of the h2 crate and those of `proto`: the head of a request, and the fields of a response.

use bytes::Bytes;
use http::header::{HeaderName, HeaderValue};
use http::{HeaderMap, Response, StatusCode};
use proto::h1::{Additions, ResponseContext, ResponseFraming, ResponseHead};
use proto::h2::RequestHead;
use proto::{Limits, Request, Violation, h2};

/// The head of a response, ready for its stream.
pub(crate) type Fields = Response<()>;

/// What follows from a head that the h2 crate has read.
pub(super) fn request(head: &http::request::Parts, limits: &Limits) -> Result<Request, Violation> {
    let uri = &head.uri;
    let stated = RequestHead {
        method: head.method.as_str().as_bytes(),
        authority: uri
            .authority()
            .map(|authority| authority.as_str().as_bytes()),
        path: uri.path_and_query().map(|path| path.as_str().as_bytes()),
    };
    let fields = head.headers.iter();
    let fields = fields.map(|(name, value)| (name.as_str().as_bytes(), value.as_bytes()));
    let fields: Vec<_> = fields.collect();
    h2::assemble(stated, fields.iter().copied(), limits)
}

/// The head of a response, and what may follow it.
pub(crate) fn response(
    head: &ResponseHead,
    context: &ResponseContext,
    known_length: Option<u64>,
    added: Additions<'_>,
) -> (Fields, ResponseFraming) {
    let mut fields = HeaderMap::with_capacity(USUAL_FIELDS);
    let framing = h2::response_fields(head, context, known_length, added, |name, value| {
        append(&mut fields, name, value);
    });
    (with_status(head.status(), fields), framing)
}

/// The fields of most responses, the server's among them.
const USUAL_FIELDS: usize = 8;

/// The head of an error page, and its body.
pub(crate) fn page(status: u16, rule: &str, added: Additions<'_>) -> (Fields, String) {
    let mut fields = HeaderMap::with_capacity(USUAL_FIELDS);
    let body = h2::error_fields(status, rule, added, |name, value| {
        append(&mut fields, name, value);
    });
    (with_status(status, fields), body)
}

/// The interim response that permits a client to send the body of its request.
pub(super) fn permission() -> Fields {
    with_status(100, HeaderMap::new())
}

/// The trailer fields that `h1::encode_trailer` has written, as HTTP/2 has them.
pub(super) fn trailers(encoded: &[u8]) -> Option<HeaderMap> {
    let mut fields = HeaderMap::new();
    for line in encoded.split(|&byte| byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if let Some(colon) = line.iter().position(|&byte| byte == b':') {
            append(&mut fields, &line[..colon], line[colon + 1..].trim_ascii());
        }
    }
    Some(fields).filter(|fields| !fields.is_empty())
}

fn with_status(status: u16, fields: HeaderMap) -> Fields {
    let mut response = Response::new(());
    // A status is a number from 100 to 999, which `ResponseHead` has seen to.
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    *response.headers_mut() = fields;
    response
}

/// Names and values were checked when they were stated, by rules that are at least as strict. A map takes 24,576 names;
/// what is beyond it no client takes either, and is left out.
fn append(fields: &mut HeaderMap, name: &[u8], value: &[u8]) {
    let name = HeaderName::from_bytes(name);
    let value = HeaderValue::from_maybe_shared(Bytes::copy_from_slice(value));
    if let (Ok(name), Ok(value)) = (name, value) {
        let _ = fields.try_append(name, value);
    }
}

#[cfg(test)]
mod tests;
