//! What becomes of heads and fields on their way between `proto` and the h2 crate.

use proto::Version;

use super::*;

fn parts(request: http::request::Builder) -> http::request::Parts {
    request.body(()).unwrap().into_parts().0
}

fn judged(request: http::request::Builder) -> Result<Request, Violation> {
    super::request(&parts(request), &Limits::default())
}

#[test]
fn a_request_has_the_parts_that_its_pseudo_fields_state() {
    let stated = http::Request::get("https://example.com/a/b?c=d")
        .header("accept", "text/html")
        .header("x-many", "1")
        .header("x-many", "2");
    let request = judged(stated).unwrap();
    assert_eq!(request.method(), b"GET");
    assert_eq!(request.target(), b"/a/b?c=d");
    assert_eq!(
        (request.path(), request.query()),
        (&b"/a/b"[..], &b"c=d"[..])
    );
    assert_eq!(request.version(), Version::Http2);
    assert_eq!(request.field(b"host"), Some(&b"example.com"[..]));
    assert_eq!(request.field(b"accept"), Some(&b"text/html"[..]));
    let many = request.fields().filter(|(name, _)| *name == b"x-many");
    assert_eq!(many.count(), 2);
}

#[test]
fn trailers_are_read_out_of_lines() {
    let check = |encoded: &[u8], expected: &[(&str, &str)]| {
        let fields = trailers(encoded);
        let expected: Vec<_> = expected.to_vec();
        let found: Vec<_> = fields.iter().flatten().collect();
        let found: Vec<_> = found
            .iter()
            .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
            .collect();
        assert_eq!(found, expected);
        assert_eq!(fields.is_none(), expected.is_empty());
    };
    check(b"", &[]);
    check(b"\r\n", &[]);
    check(b"digest: x\r\n", &[("digest", "x")]);
    check(b"a: 1\r\na: 2\r\n", &[("a", "1"), ("a", "2")]);
    check(b"expires:\r\n", &[("expires", "")]);
}

#[test]
fn a_status_is_the_one_that_was_stated() {
    let check = |status| assert_eq!(with_status(status, HeaderMap::new()).status(), status);
    check(100);
    check(200);
    check(599);
    check(999);
    assert_eq!(with_status(5, HeaderMap::new()).status(), 500);
}

#[test]
fn more_fields_than_a_map_takes_are_left_out() {
    let mut fields = HeaderMap::new();
    for number in 0..30_000 {
        append(&mut fields, format!("x-{number}").as_bytes(), b"1");
    }
    assert!((20_000..30_000).contains(&fields.len()), "{}", fields.len());
    assert!(fields.contains_key("x-0"));
}

#[test]
fn a_field_that_is_none_is_left_out() {
    let mut fields = HeaderMap::new();
    append(&mut fields, b"with space", b"1");
    append(&mut fields, b"x", b"line\r\nbreak");
    append(&mut fields, b"X-Upper", b"1");
    assert_eq!(fields.len(), 1);
    assert_eq!(fields["x-upper"], "1");
}
