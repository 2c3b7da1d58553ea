//! HTTP/1 as far as a scrape needs it: a head without a body, and one answer with which the connection ends.

use std::time::Duration;

use arbiter::Status;
use proto::h1::parse_request;
use proto::{Limits, Request};

use crate::answers::{self, Answer};
use crate::client::Heard;

/// What becomes of bytes of which `is_full` says that no more of them will be read.
pub(crate) fn hear(received: &[u8], is_full: bool, status: &Status<'_>, now: Duration) -> Heard {
    let parsed = parse_request(received, &Limits::default());
    let answer = match &parsed {
        Ok(Some((request, _))) => answers::to(request, status, now),
        Ok(None) if is_full => Answer::plain(431, "The request is too long.\n"),
        Ok(None) => return Heard::Part,
        Err(violation) => Answer::plain(violation.status(), &format!("{}\n", violation.rule())),
    };
    let is_head = matches!(&parsed, Ok(Some((request, _))) if Request::is_head(request));
    Heard::Request {
        length: received.len(),
        answer: encode(&answer, is_head),
        order: None,
        goes_on: false,
    }
}

fn encode(answer: &Answer, is_head: bool) -> Vec<u8> {
    let Answer {
        status,
        content_type,
        body,
    } = answer;
    let reason = proto::reason_phrase(*status);
    let mut out = format!(
        "HTTP/1.1 {status} {reason}\r\n\
         Content-Type: {content_type}\r\n\
         Content-Length: {}\r\n\
         Cache-Control: no-store\r\n\
         X-Content-Type-Options: nosniff\r\n\
         Connection: close\r\n",
        body.len()
    );
    if *status == 405 {
        out.push_str("Allow: GET, HEAD\r\n");
    }
    out.push_str("\r\n");
    if !is_head {
        out.push_str(body);
    }
    out.into_bytes()
}
