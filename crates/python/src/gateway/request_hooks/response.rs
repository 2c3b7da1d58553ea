//! `resp`, as hooks see it: what became of a request.

use proto::h1::ResponseHead;
use pyo3::prelude::*;
use server::{Entry, Sent};

/// `resp`: what became of the request.
#[derive(Debug)]
#[pyclass(
    name = "Response",
    subclass,
    dict,
    frozen,
    get_all,
    module = "oxicorn.http.wsgi"
)]
pub(crate) struct HookResponse {
    status: String,
    status_code: u16,
    /// Whether the client has got a head.
    headers_sent: bool,
    headers: Vec<(String, String)>,
    /// Body bytes given to the server.
    sent: u64,
    response_length: Option<u64>,
    chunked: bool,
}

impl HookResponse {
    /// What an entry for the access log tells of a response.
    pub(super) fn sent_as(entry: &Entry) -> HookResponse {
        let text = |bytes: &[u8]| bytes.iter().copied().map(char::from).collect::<String>();
        let field = |line: &[u8]| {
            let colon = line.iter().position(|byte| *byte == b':')?;
            let (name, value) = line.split_at(colon);
            Some((text(name), text(value.get(1..)?.trim_ascii())))
        };
        let headers: Vec<_> = entry
            .fields
            .split(|byte| *byte == b'\n')
            .filter_map(field)
            .collect();
        HookResponse {
            status: format!("{} {}", entry.status, proto::reason_phrase(entry.status)),
            status_code: entry.status,
            headers_sent: entry.status != 0,
            chunked: false,
            response_length: headers
                .iter()
                .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
                .and_then(|(_, value)| value.parse().ok()),
            headers,
            sent: entry.sent,
        }
    }

    /// A response with this head, of which this came to be.
    pub(crate) fn answered(head: &ResponseHead, sent: Sent) -> HookResponse {
        let text = |bytes: &[u8]| bytes.iter().copied().map(char::from).collect::<String>();
        let reason = if sent.status == head.status() {
            text(head.reason())
        } else {
            proto::reason_phrase(sent.status).to_owned()
        };
        HookResponse {
            status: format!("{} {reason}", sent.status),
            status_code: sent.status,
            headers_sent: true,
            headers: head
                .fields()
                .map(|(name, value)| (text(name), text(value)))
                .collect(),
            sent: sent.bytes,
            response_length: head.content_length(),
            chunked: sent.chunked,
        }
    }

    /// A response of which nothing is known.
    pub(crate) fn unknown() -> HookResponse {
        HookResponse {
            status: String::new(),
            status_code: 0,
            headers_sent: false,
            headers: Vec::new(),
            sent: 0,
            response_length: None,
            chunked: false,
        }
    }
}
