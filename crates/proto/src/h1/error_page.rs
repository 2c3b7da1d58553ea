//! The answer to a request that could not be served: a small page in the shape of Gunicorn's, which people's probes match.

use super::response::{SERVER_LINE, append_content_length};
use super::status::reason_phrase;

/// Appends a whole response that says which rule was broken, and closes the connection. Returns how many bytes of it are
/// the body, so that an answer to HEAD can leave them off.
pub fn encode_error(status: u16, rule: &str, date: &[u8], out: &mut Vec<u8>) -> usize {
    let reason = reason_phrase(status);
    let page = page(reason, rule);
    out.reserve(200 + page.len());
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(itoa::Buffer::new().format(status).as_bytes());
    out.push(b' ');
    out.extend_from_slice(reason.as_bytes());
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(SERVER_LINE);
    out.extend_from_slice(b"Date: ");
    out.extend_from_slice(date);
    out.extend_from_slice(b"\r\nConnection: close\r\nContent-Type: text/html\r\n");
    append_content_length(page.len() as u64, out);
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(page.as_bytes());
    page.len()
}

fn page(reason: &str, rule: &str) -> String {
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
