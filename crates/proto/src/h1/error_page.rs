//! The answer to a request that could not be served: a small page in the shape of Gunicorn's, which people's probes
//! match.

use super::response::{Additions, append_content_length};
use crate::status::reason_phrase;

/// Appends a whole response that says which rule was broken, and closes the connection. Returns how many bytes of it
/// are the body, so that an answer to HEAD can leave them off. With 503 the client is asked to come again in a second
/// (RFC 9110, section 10.2.3): what is full now is soon not.
pub fn encode_error(status: u16, rule: &str, added: Additions<'_>, out: &mut Vec<u8>) -> usize {
    let reason = reason_phrase(status);
    let page = error_body(status, rule);
    out.reserve(200 + page.len());
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(itoa::Buffer::new().format(status).as_bytes());
    out.push(b' ');
    out.extend_from_slice(reason.as_bytes());
    out.extend_from_slice(b"\r\n");
    let own = ["connection", "content-type", "content-length"];
    added.append(
        |name| own.iter().any(|own| own.eq_ignore_ascii_case(name)),
        out,
    );
    out.extend_from_slice(b"Connection: close\r\nContent-Type: text/html\r\n");
    if status == 503 {
        out.extend_from_slice(b"Retry-After: 1\r\n");
    }
    append_content_length(page.len() as u64, out);
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(page.as_bytes());
    page.len()
}

/// The body of the page.
pub(crate) fn error_body(status: u16, rule: &str) -> String {
    let reason = reason_phrase(status);
    let rule = escape(rule);
    [
        "<html>\n  <head>\n    <title>",
        reason,
        "</title>\n  </head>\n  <body>\n    <h1><p>",
        reason,
        "</p></h1>\n    ",
        &rule,
        "\n  </body>\n</html>\n",
    ]
    .concat()
}

/// Rules are our own words, but this function cannot know that.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
