//! Responses as bytes: every combination of status, method, version and lengths that changes a head.
#![allow(clippy::unwrap_used, reason = "tests say what they expect")]

use proto::Version;
use proto::h1::{
    Additions, Content, LAST_CHUNK, Misuse, ResponseContext, ResponseFraming, ResponseHead,
    encode_chunk, encode_chunk_size, encode_error, encode_head, encode_trailer,
};

const DATE: &[u8] = b"Sun, 06 Nov 1994 08:49:37 GMT";
const OURS: &str = "Server: oxicorn\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n";

const HTTP11: ResponseContext = ResponseContext {
    version: Version::Http11,
    content: Content::Sent,
    keep_alive: true,
};
const HTTP10: ResponseContext = ResponseContext {
    version: Version::Http10,
    ..HTTP11
};
const CLOSING: ResponseContext = ResponseContext {
    keep_alive: false,
    ..HTTP11
};
const HEAD: ResponseContext = ResponseContext {
    content: Content::Left,
    ..HTTP11
};

fn head(status: &str, fields: &[(&str, &str)]) -> ResponseHead {
    let mut head = ResponseHead::new();
    head.set_status(status.as_bytes()).unwrap();
    for (name, value) in fields {
        head.push(name.as_bytes(), value.as_bytes()).unwrap();
    }
    head
}

struct Expected<'a> {
    /// What stands between our Server and Date and the empty line.
    fields: &'a str,
    framing: ResponseFraming,
    keep_alive: bool,
}

fn check(
    head: &ResponseHead,
    context: &ResponseContext,
    known_length: Option<u64>,
    expected: &Expected<'_>,
) {
    let mut out = Vec::new();
    let (framing, keep_alive) = encode_head(
        head,
        context,
        known_length,
        Additions::usual(DATE),
        &mut out,
    );
    let status = String::from_utf8_lossy(head.status_line());
    let text = format!("HTTP/1.1 {status}\r\n{OURS}{}\r\n", expected.fields);
    assert_eq!(String::from_utf8_lossy(&out), text);
    assert_eq!(
        (framing, keep_alive),
        (expected.framing, expected.keep_alive),
        "{text}"
    );
}

#[test]
fn a_known_length_is_stated() {
    let kept = |fields, framing| Expected {
        fields,
        framing,
        keep_alive: true,
    };
    let head = head("200 OK", &[("Content-Type", "text/plain")]);
    let fields = "Content-Length: 13\r\nContent-Type: text/plain\r\n";
    check(
        &head,
        &HTTP11,
        Some(13),
        &kept(fields, ResponseFraming::Length(13)),
    );
    let fields = "Content-Length: 0\r\nContent-Type: text/plain\r\n";
    check(
        &head,
        &HTTP11,
        Some(0),
        &kept(fields, ResponseFraming::Length(0)),
    );
}

#[test]
fn the_application_s_content_length_stands_in_its_place() {
    let head = head(
        "200 OK",
        &[("A", "1"), ("content-length", "13"), ("B", "2")],
    );
    let fields = "A: 1\r\ncontent-length: 13\r\nB: 2\r\n";
    let expected = Expected {
        fields,
        framing: ResponseFraming::Length(13),
        keep_alive: true,
    };
    check(&head, &HTTP11, None, &expected);
    check(&head, &HTTP11, Some(13), &expected);
    // What is too much is cut, so the connection can stay.
    check(&head, &HTTP11, Some(14), &expected);
    assert_eq!(head.content_length(), Some(13));
}

#[test]
fn a_body_that_is_known_to_fall_short_closes_the_connection() {
    let head = head("200 OK", &[("Content-Length", "13")]);
    let fields = "Connection: close\r\nContent-Length: 13\r\n";
    let expected = Expected {
        fields,
        framing: ResponseFraming::Length(13),
        keep_alive: false,
    };
    check(&head, &HTTP11, Some(12), &expected);
    // An answer to HEAD has no body that could fall short.
    let fields = "Content-Length: 13\r\n";
    check(
        &head,
        &HEAD,
        Some(0),
        &Expected {
            fields,
            framing: ResponseFraming::NoBody,
            keep_alive: true,
        },
    );
}

#[test]
fn an_unknown_length_is_chunked_or_ends_with_the_connection() {
    let head = head("200 OK", &[]);
    let fields = "Transfer-Encoding: chunked\r\n";
    check(
        &head,
        &HTTP11,
        None,
        &Expected {
            fields,
            framing: ResponseFraming::Chunked,
            keep_alive: true,
        },
    );
    let fields = "Connection: close\r\nTransfer-Encoding: chunked\r\n";
    check(
        &head,
        &CLOSING,
        None,
        &Expected {
            fields,
            framing: ResponseFraming::Chunked,
            keep_alive: false,
        },
    );
    let fields = "Connection: close\r\n";
    check(
        &head,
        &HTTP10,
        None,
        &Expected {
            fields,
            framing: ResponseFraming::UntilClose,
            keep_alive: false,
        },
    );
}

#[test]
fn http10_is_told_that_the_connection_stays() {
    let head = head("200 OK", &[]);
    let fields = "Connection: keep-alive\r\nContent-Length: 5\r\n";
    check(
        &head,
        &HTTP10,
        Some(5),
        &Expected {
            fields,
            framing: ResponseFraming::Length(5),
            keep_alive: true,
        },
    );
}

#[test]
fn a_connection_that_closes_says_so() {
    let fields = "Connection: close\r\nContent-Length: 5\r\n";
    let expected = Expected {
        fields,
        framing: ResponseFraming::Length(5),
        keep_alive: false,
    };
    check(&head("200 OK", &[]), &CLOSING, Some(5), &expected);
    // The application may ask for it.
    check(
        &head("200 OK", &[("Connection", "Keep-Alive, Close")]),
        &HTTP11,
        Some(5),
        &expected,
    );
}

#[test]
fn an_answer_to_head_has_no_body() {
    let no_body = |fields| Expected {
        fields,
        framing: ResponseFraming::NoBody,
        keep_alive: true,
    };
    check(
        &head("200 OK", &[("Content-Length", "13")]),
        &HEAD,
        None,
        &no_body("Content-Length: 13\r\n"),
    );
    check(
        &head("200 OK", &[]),
        &HEAD,
        Some(13),
        &no_body("Content-Length: 13\r\n"),
    );
    // An application that gives no body to HEAD has not said that GET has none.
    check(&head("200 OK", &[]), &HEAD, Some(0), &no_body(""));
    check(&head("200 OK", &[]), &HEAD, None, &no_body(""));
}

#[test]
fn an_answer_that_grants_a_tunnel_has_no_body_and_is_the_last() {
    let tunnel = ResponseContext {
        content: Content::Tunnel,
        ..HTTP11
    };
    let granted = Expected {
        fields: "Connection: close\r\n",
        framing: ResponseFraming::NoBody,
        keep_alive: false,
    };
    check(&head("200 OK", &[]), &tunnel, Some(5), &granted);
    check(&head("200 OK", &[]), &tunnel, None, &granted);
    let stated = head("200 OK", &[("Content-Length", "5")]);
    check(&stated, &tunnel, Some(5), &granted);
    // A refusal is an answer like any other.
    let refused = Expected {
        fields: "Content-Length: 5\r\n",
        framing: ResponseFraming::Length(5),
        keep_alive: true,
    };
    check(&head("403 Forbidden", &[]), &tunnel, Some(5), &refused);
}

#[test]
fn statuses_without_a_body_have_none() {
    let no_body = |fields| Expected {
        fields,
        framing: ResponseFraming::NoBody,
        keep_alive: true,
    };
    let stated = [("A", "1"), ("Content-Length", "13"), ("B", "2")];
    check(
        &head("204 No Content", &stated),
        &HTTP11,
        Some(13),
        &no_body("A: 1\r\nB: 2\r\n"),
    );
    check(&head("204 No Content", &[]), &HTTP11, None, &no_body(""));
    let fields = "A: 1\r\nContent-Length: 13\r\nB: 2\r\n";
    check(
        &head("304 Not Modified", &stated),
        &HTTP11,
        Some(0),
        &no_body(fields),
    );
    check(
        &head("304 Not Modified", &[]),
        &HTTP11,
        Some(13),
        &no_body(""),
    );
    check(
        &head("204 No Content", &[]),
        &HTTP10,
        None,
        &no_body("Connection: keep-alive\r\n"),
    );
}

#[test]
fn interim_responses_carry_the_application_s_fields_alone() {
    let head = head(
        "103 Early Hints",
        &[("Link", "</a.css>"), ("Content-Length", "5")],
    );
    let mut out = Vec::new();
    assert_eq!(
        encode_head(&head, &CLOSING, Some(5), Additions::usual(DATE), &mut out),
        (ResponseFraming::NoBody, false)
    );
    assert_eq!(out, b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n");
}

#[test]
fn the_application_s_server_and_date_stand() {
    let head = head("200 OK", &[("Server", "mine"), ("DATE", "now")]);
    let mut out = Vec::new();
    encode_head(&head, &HTTP11, Some(0), Additions::usual(DATE), &mut out);
    assert_eq!(
        out,
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nServer: mine\r\nDATE: now\r\n\r\n"
    );
}

#[test]
fn heads_are_appended_to_what_is_there() {
    let mut out = b"before".to_vec();
    encode_head(
        &head("200 OK", &[]),
        &HTTP11,
        Some(0),
        Additions::usual(DATE),
        &mut out,
    );
    assert!(out.starts_with(b"beforeHTTP/1.1 200 OK\r\n"));
}

#[test]
fn fields_of_the_connection_are_dropped() {
    let hop_by_hop = [
        "Connection",
        "Keep-Alive",
        "Proxy-Authenticate",
        "Proxy-Authorization",
        "TE",
        "Trailer",
        "Trailers",
        "Transfer-Encoding",
        "Upgrade",
        "transfer-encoding",
        "UPGRADE",
    ];
    let head = head("200 OK", &hop_by_hop.map(|name| (name, "chunked")));
    assert_eq!(head.encoded_fields(), b"");
    assert_eq!(head.fields().len(), 0);
    assert!(!head.close());
}

#[test]
fn fields_can_be_read_back() {
    let head = head(
        "200 OK",
        &[
            ("X-A", " \tone "),
            ("x-a", ""),
            ("Content-Length", "3"),
            ("Set-Cookie", "\u{e9}"),
        ],
    );
    let fields: Vec<_> = head.fields().collect();
    let expected: [(&[u8], &[u8]); 4] = [
        (b"X-A", b"one"),
        (b"x-a", b""),
        (b"Content-Length", b"3"),
        (b"Set-Cookie", "\u{e9}".as_bytes()),
    ];
    assert_eq!(fields, expected);
    assert_eq!(
        head.encoded_fields(),
        "X-A: one\r\nx-a: \r\nContent-Length: 3\r\nSet-Cookie: \u{e9}\r\n".as_bytes()
    );
}

#[test]
fn a_cleared_head_is_as_new() {
    let mut head = head(
        "500 Oops",
        &[
            ("Content-Length", "3"),
            ("Connection", "close"),
            ("Date", "x"),
            ("Server", "y"),
        ],
    );
    head.clear();
    assert_eq!(
        (
            head.status(),
            head.content_length(),
            head.close(),
            head.fields().len()
        ),
        (0, None, false, 0)
    );
    head.set_status(b"200 OK").unwrap();
    let fields = "Content-Length: 1\r\n";
    check(
        &head,
        &HTTP11,
        Some(1),
        &Expected {
            fields,
            framing: ResponseFraming::Length(1),
            keep_alive: true,
        },
    );
}

#[test]
fn a_status_is_three_digits_and_a_reason() {
    for (status, code, reason) in [
        ("200 OK", 200, "OK"),
        ("404 Not Found", 404, "Not Found"),
        ("999 Odd", 999, "Odd"),
        ("200 ", 200, ""),
        ("200", 200, ""),
        ("200 \u{e9}t\u{e9}", 200, "\u{e9}t\u{e9}"),
    ] {
        let head = head(status, &[]);
        assert_eq!(
            (head.status(), head.reason()),
            (code, reason.as_bytes()),
            "{status}"
        );
        assert!(
            head.status_line()
                .starts_with(format!("{code} ").as_bytes()),
            "{status}"
        );
    }
    for status in [
        "",
        "20",
        "OK",
        "2000 OK",
        "200OK",
        "+20 OK",
        "099 Low",
        " 200 OK",
        "200 O\r\nK",
        "200 \0",
        "200\tOK",
    ] {
        let refused = ResponseHead::new().set_status(status.as_bytes());
        assert!(
            matches!(refused, Err(Misuse::Status { .. })),
            "{status:?}: {refused:?}"
        );
    }
}

#[test]
fn what_would_break_the_head_is_refused() {
    let check = |name: &[u8], value: &[u8], expected: Misuse| {
        let mut head = head("200 OK", &[("Content-Length", "3")]);
        assert_eq!(head.push(name, value), Err(expected));
        assert_eq!(head.fields().len(), 1, "nothing was added");
    };
    let bad_name = |name: &str| Misuse::FieldName {
        name: name.to_owned(),
    };
    check(b"", b"1", bad_name(""));
    check(b"A B", b"1", bad_name("A B"));
    check(b"A:", b"1", bad_name("A:"));
    check(b"A\r\nB", b"1", bad_name("A\\r\\nB"));
    let bad_value = |name: &str| Misuse::FieldValue {
        name: name.to_owned(),
    };
    check(b"A", b"1\r\nSet-Cookie: x", bad_value("A"));
    check(b"A", b"1\n", bad_value("A"));
    check(b"A", b"\0", bad_value("A"));
    check(b"Connection", b"close\r\nX: y", bad_value("Connection"));
    check(
        b"Content-Length",
        b"-1",
        Misuse::ContentLength {
            value: "-1".to_owned(),
        },
    );
    check(
        b"Content-Length",
        b"",
        Misuse::ContentLength {
            value: String::new(),
        },
    );
    check(
        b"Content-Length",
        b"4",
        Misuse::ContentLengthConflict {
            first: 3,
            second: 4,
        },
    );
}

#[test]
fn the_same_content_length_twice_goes_out_once() {
    let head = head(
        "200 OK",
        &[("Content-Length", "3"), ("content-length", "3")],
    );
    assert_eq!(head.encoded_fields(), b"Content-Length: 3\r\n");
}

#[test]
fn misuse_says_what_is_wrong() {
    let refused = ResponseHead::new().set_status(b"OK\n").unwrap_err();
    let text = "invalid status \"OK\\n\": it has to be three digits, a space and a reason, as in \"200 OK\"";
    assert_eq!(refused.to_string(), text);
}

#[test]
fn chunks_are_framed() {
    let mut out = Vec::new();
    encode_chunk(b"hello", &mut out);
    encode_chunk(b"", &mut out);
    encode_chunk(&[b'x'; 16], &mut out);
    out.extend_from_slice(LAST_CHUNK);
    assert_eq!(out, b"5\r\nhello\r\n10\r\nxxxxxxxxxxxxxxxx\r\n0\r\n\r\n");
    for size in [
        1,
        9,
        10,
        15,
        16,
        255,
        256,
        4096,
        65_535,
        u64::from(u32::MAX),
        u64::MAX,
    ] {
        let mut out = Vec::new();
        encode_chunk_size(size, &mut out);
        assert_eq!(out, format!("{size:x}\r\n").as_bytes());
    }
}

#[test]
fn an_error_page_has_gunicorn_s_shape() {
    let mut out = Vec::new();
    let length = encode_error(400, "A <rule> & more.", Additions::usual(DATE), &mut out);
    let page = "<html>\n  <head>\n    <title>Bad Request</title>\n  </head>\n  <body>\n    \
                <h1><p>Bad Request</p></h1>\n    A &lt;rule&gt; &amp; more.\n  </body>\n</html>\n";
    let text = format!(
        "HTTP/1.1 400 Bad Request\r\n{OURS}Connection: close\r\nContent-Type: text/html\r\nContent-Length: {}\r\n\r\n{page}",
        page.len()
    );
    assert_eq!(String::from_utf8(out).unwrap(), text);
    assert_eq!(length, page.len());
}

#[test]
fn what_the_application_states_is_not_added() {
    let fields =
        [("X-A", "ours"), ("X-B", "ours")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    let added = Additions {
        server: false,
        date: None,
        fields: &fields,
    };
    let mut out = Vec::new();
    let stated = head("200 OK", &[("x-a", "its")]);
    encode_head(&stated, &HTTP11, Some(0), added, &mut out);
    let text = "HTTP/1.1 200 OK\r\nX-B: ours\r\nContent-Length: 0\r\nx-a: its\r\n\r\n";
    assert_eq!(String::from_utf8_lossy(&out), text);
}

#[test]
fn a_server_that_is_full_says_when_to_come_again() {
    let mut out = Vec::new();
    encode_error(503, "Full.", Additions::usual(DATE), &mut out);
    let text = String::from_utf8_lossy(&out);
    assert!(text.contains("\r\nRetry-After: 1\r\n"), "{text}");
}

#[test]
fn a_trailer_field_goes_out_unless_it_belongs_in_the_head() {
    let mut out = Vec::new();
    assert_eq!(encode_trailer(b"x-sum", b" 12 ", &mut out), Ok(()));
    for name in [&b"content-length"[..], b"Set-Cookie", b"", b"a b"] {
        assert!(encode_trailer(name, b"1", &mut out).is_err(), "{name:?}");
    }
    assert!(encode_trailer(b"x", b"1\r\ny: 2", &mut out).is_err());
    assert_eq!(out, b"x-sum: 12\r\n");
}

#[test]
fn trailers_are_named_where_they_are_announced() {
    let mut announcing = ResponseHead::new();
    announcing.announce_trailers();
    for (announces, head) in [(false, &mut ResponseHead::new()), (true, &mut announcing)] {
        head.push(b"Trailer", b"x-sum").unwrap();
        assert_eq!(head.fields().len(), usize::from(announces));
    }
}
