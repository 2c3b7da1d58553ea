//! The fields of a response of HTTP/2. Which of them go out, and whether a body follows, is decided as for HTTP/1;
//! those that speak of a connection have no place here (RFC 9113, section 8.2.2).

use crate::h1::{Additions, ResponseContext, ResponseFraming, ResponseHead};
use crate::h1::{Length, delimit, error_body};

/// Hands the fields of a response to `add`, and says what may follow them. [`ResponseFraming::Chunked`] stands for a
/// body of unknown length, which frames delimit here.
pub fn response_fields(
    head: &ResponseHead,
    context: &ResponseContext,
    known_length: Option<u64>,
    added: Additions<'_>,
    mut add: impl FnMut(&[u8], &[u8]),
) -> ResponseFraming {
    if matches!(head.status(), 100..=199) {
        head.fields().for_each(|(name, value)| add(name, value));
        return ResponseFraming::NoBody;
    }
    let (framing, length) = delimit(head, context, known_length);
    added.each(|name| head.states(name), &mut add);
    if let Length::Added(length) = length {
        let mut digits = itoa::Buffer::new();
        add(b"content-length", digits.format(length).as_bytes());
    }
    for (name, value) in head.fields() {
        let omitted = length == Length::Omitted && name.eq_ignore_ascii_case(b"content-length");
        if !omitted {
            add(name, value);
        }
    }
    framing
}

/// Hands the fields of an error page to `add`, and returns its body.
pub fn error_fields(
    status: u16,
    rule: &str,
    added: Additions<'_>,
    mut add: impl FnMut(&[u8], &[u8]),
) -> String {
    let body = error_body(status, rule);
    let own = ["content-type", "content-length"];
    added.each(
        |name| own.iter().any(|own| own.eq_ignore_ascii_case(name)),
        &mut add,
    );
    add(b"content-type", b"text/html");
    if status == 503 {
        add(b"retry-after", b"1");
    }
    let mut digits = itoa::Buffer::new();
    add(b"content-length", digits.format(body.len()).as_bytes());
    body
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::h1::Content;
    use crate::request::Version;

    fn check(
        (status, content): (&[u8], Content),
        fields: &[(&str, &str)],
        known_length: Option<u64>,
        expected: (ResponseFraming, &str),
    ) {
        let mut head = ResponseHead::new();
        head.set_status(status).unwrap();
        for (name, value) in fields {
            head.push(name.as_bytes(), value.as_bytes()).unwrap();
        }
        let context = ResponseContext {
            version: Version::Http2,
            content,
            keep_alive: true,
        };
        let added = Additions {
            server: true,
            date: Some(b"now"),
            fields: &[],
        };
        let mut text = String::new();
        let framing = response_fields(&head, &context, known_length, added, |name, value| {
            let line = [name, b"=", value, b" "].concat();
            text.push_str(&String::from_utf8(line).unwrap());
        });
        assert_eq!((framing, text.trim_end()), expected);
    }

    #[test]
    fn fields_are_added_and_left_out_as_in_http_1() {
        use ResponseFraming::{Chunked, Length, NoBody};
        let sent = (&b"200 OK"[..], Content::Sent);
        check(
            sent,
            &[("X", "1"), ("Connection", "close"), ("Keep-Alive", "5")],
            Some(3),
            (Length(3), "Server=oxicorn Date=now content-length=3 X=1"),
        );
        check(
            sent,
            &[("Date", "d")],
            None,
            (Chunked, "Server=oxicorn Date=d"),
        );
        check(
            (b"204 No Content", Content::Sent),
            &[("Content-Length", "3"), ("A", "b")],
            None,
            (NoBody, "Server=oxicorn Date=now A=b"),
        );
        check(
            (b"200 OK", Content::Left),
            &[("Content-Length", "3")],
            Some(0),
            (NoBody, "Server=oxicorn Date=now Content-Length=3"),
        );
        check(
            (b"103 Early Hints", Content::Sent),
            &[("Link", "l")],
            None,
            (NoBody, "Link=l"),
        );
    }

    #[test]
    fn an_error_page_has_its_length() {
        let mut names = Vec::new();
        let body = error_fields(503, "Why.", Additions::usual(b"now"), |name, _| {
            names.push(String::from_utf8(name.to_vec()).unwrap());
        });
        assert!(body.contains("Why."));
        let expected = [
            "Server",
            "Date",
            "content-type",
            "retry-after",
            "content-length",
        ];
        assert_eq!(names, expected);
    }
}
