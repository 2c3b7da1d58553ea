//! Requests that are assembled from what another protocol states: every case of `vectors/http1` whose head can be
//! stated that way is judged and read as HTTP/1 reads it.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests say what they expect, and read files, which the crate does not"
)]

mod cases;

use cases::{Case, read_all};
use proto::h1::parse_request;
use proto::{Framing, Limits, Request, Stated, TargetForm, Version, Violation};

/// A name and a value.
type Field<'a> = (&'a [u8], &'a [u8]);

/// The parts of a head that is written in the plainest way. `None` where it is not, and the way itself is what is
/// refused.
fn stated(case: &Case) -> Option<(Stated<'_>, Vec<Field<'_>>)> {
    let end = memchr::memmem::find(&case.bytes, b"\r\n\r\n")?;
    let mut lines = case.bytes[..end].split(|&byte| byte == b'\n');
    let line = lines.next()?.strip_suffix(b"\r").unwrap_or_default();
    let parts: Vec<&[u8]> = line.split(|&byte| byte == b' ').collect();
    let [method, target, version] = parts[..] else {
        return None;
    };
    let version = match version {
        b"HTTP/1.1" => Version::Http11,
        b"HTTP/1.0" => Version::Http10,
        _ => return None,
    };
    let fields = lines.map(|line| {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let colon = memchr::memchr(b':', line)?;
        Some((&line[..colon], &line[colon + 1..]))
    });
    let stated = Stated {
        method,
        target,
        version,
    };
    Some((stated, fields.collect::<Option<_>>()?))
}

/// Rules of how a head of HTTP/1 is written, and of bodies: no other protocol can break them.
fn is_of_the_syntax(rule: &str) -> bool {
    let prefixes = ["Chunk", "Trailer", "Bare", "Obsolete", "Missing", "Leading"];
    prefixes.iter().any(|prefix| rule.starts_with(prefix)) || rule == "RequestLineSyntax"
}

/// The licences over spelling change what a line of HTTP/1 is.
fn is_tolerant(limits: &Limits) -> bool {
    limits.obsolete_folding || limits.space_before_colon
}

#[test]
fn what_is_stated_is_judged_as_what_is_written() {
    let cases = read_all();
    let mut compared = (0, 0);
    for case in cases.iter().filter(|case| !is_tolerant(&case.limits)) {
        let Some((stated, fields)) = stated(case) else {
            continue;
        };
        let assembled = Request::assemble(stated, fields, &case.limits);
        match (parse_request(&case.bytes, &case.limits), assembled) {
            (Err(violation), _) if is_of_the_syntax(violation.name()) => {}
            (Err(violation), assembled) => {
                assert_eq!(assembled.map(|_| ()), Err(violation), "{}", case.name);
                compared.0 += 1;
            }
            (Ok(parsed), assembled) => {
                let (parsed, _) = parsed.unwrap();
                compare(&assembled.unwrap(), &parsed, &case.name);
                compared.1 += 1;
            }
        }
    }
    assert!(compared.0 >= 60 && compared.1 >= 60, "{compared:?}");
}

fn compare(assembled: &Request, parsed: &Request, context: &str) {
    let said = |request: &Request| {
        let parts = [
            request.line(),
            request.method(),
            request.target(),
            request.path(),
            request.query(),
            request.host(),
        ];
        let parts: Vec<String> = parts
            .iter()
            .map(|part| part.escape_ascii().to_string())
            .collect();
        let fields: Vec<String> = request
            .fields()
            .map(|(name, value)| format!("{}={}", name.escape_ascii(), value.escape_ascii()))
            .collect();
        let facts = (request.form(), request.framing(), request.keep_alive());
        (
            parts,
            fields,
            facts,
            request.expects_continue(),
            request.is_head(),
        )
    };
    assert_eq!(said(assembled), said(parsed), "{context}");
}

const GET: Stated<'_> = Stated {
    method: b"GET",
    target: b"/a?b",
    version: Version::Http2,
};

type Fields<'a> = &'a [(&'a str, &'a str)];

fn assemble(stated: Stated<'_>, fields: Fields<'_>) -> Result<Request, Violation> {
    let fields = fields
        .iter()
        .map(|(name, value)| (name.as_bytes(), value.as_bytes()));
    Request::assemble(stated, fields, &Limits::default())
}

#[test]
fn a_request_of_http_2_reads_like_any_other() {
    let fields = [("host", "a:8443"), ("x-one", " 1 "), ("te", "trailers")];
    let request = assemble(GET, &fields).unwrap();
    assert_eq!(request.line(), b"GET /a?b HTTP/2.0");
    assert_eq!(
        request.head(),
        b"GET /a?b HTTP/2.0\r\nhost: a:8443\r\nx-one: 1\r\nte: trailers\r\n\r\n"
    );
    assert_eq!(
        (request.path(), request.query()),
        (b"/a".as_slice(), b"b".as_slice())
    );
    assert_eq!(
        (request.host(), request.version()),
        (b"a:8443".as_slice(), Version::Http2)
    );
    assert_eq!(
        (request.form(), request.framing()),
        (TargetForm::Origin, Framing::None)
    );
    assert!(request.keep_alive() && request.takes_trailers() && !request.expects_continue());
}

#[test]
fn the_rules_of_http_hold_for_http_2() {
    let check = |stated: Stated<'_>, fields: Fields<'_>, expected: Violation| {
        assert_eq!(
            assemble(stated, fields).unwrap_err(),
            expected,
            "{fields:?}"
        );
    };
    let post = |method| Stated { method, ..GET };
    check(GET, &[], Violation::HostMissing);
    check(GET, &[("host", "")], Violation::Host);
    check(
        GET,
        &[("host", "a"), ("Host", "a")],
        Violation::HostDuplicate,
    );
    check(
        GET,
        &[("host", "a"), ("transfer-encoding", "chunked")],
        Violation::TransferEncodingVersion,
    );
    check(
        GET,
        &[("host", "a"), ("content-length", "+1")],
        Violation::ContentLength,
    );
    check(GET, &[("host", "a"), ("x", "a\r\nb: c")], Violation::BareCr);
    check(GET, &[("host", "a"), ("x", "a\nb")], Violation::FieldValue);
    check(GET, &[("host", "a"), ("x y", "1")], Violation::FieldName);
    check(
        GET,
        &[("host", "a"), ("x ", "1")],
        Violation::SpaceBeforeColon,
    );
    check(GET, &[("host", "a"), (":path", "/")], Violation::FieldName);
    check(GET, &[("host", "a"), ("", "1")], Violation::FieldName);
    check(
        GET,
        &[("host", "a"), ("expect", "a")],
        Violation::Expectation,
    );
    check(post(b"get"), &[("host", "a")], Violation::Method);
    check(post(b"GE T"), &[("host", "a")], Violation::Method);
    check(post(b"CONNECT"), &[("host", "a")], Violation::TargetForm);
    check(
        post(&[b'A'; 5000]),
        &[("host", "a")],
        Violation::MethodTooLong,
    );
    let target = |target| Stated { target, ..GET };
    check(target(b"/ a"), &[("host", "a")], Violation::TargetByte);
    check(target(b"/\r\n"), &[("host", "a")], Violation::TargetByte);
    check(target(b""), &[("host", "a")], Violation::TargetForm);
    check(
        target(&[b'/'; 5000]),
        &[("host", "a")],
        Violation::RequestLineTooLong,
    );
}

#[test]
fn the_limits_hold_for_what_is_stated() {
    let limits = Limits {
        fields: 2,
        field_size: 20,
        ..Limits::default()
    };
    let check = |fields: &[(&[u8], &[u8])], expected| {
        let assembled = Request::assemble(GET, fields.iter().copied(), &limits);
        assert_eq!(assembled.map(|_| ()), expected, "{fields:?}");
    };
    let host = (b"host".as_slice(), b"a".as_slice());
    check(&[host, (b"x", &[b'1'; 16])], Ok(()));
    check(&[host, (b"x", &[b'1'; 17])], Err(Violation::FieldTooLarge));
    check(
        &[host, (b"x", b"1"), (b"y", b"1")],
        Err(Violation::TooManyFields),
    );
    let unlimited = Limits {
        field_size: 0,
        ..limits
    };
    let long = vec![b'1'; 16 << 20];
    let assembled = Request::assemble(GET, [host, (b"x", &long)], &unlimited);
    assert_eq!(assembled.unwrap_err(), Violation::HeadTooLarge);
}

#[test]
fn a_method_is_folded_where_the_operator_asks_for_it() {
    let limits = Limits {
        unconventional_method: true,
        casefold_method: true,
        ..Limits::default()
    };
    let stated = Stated {
        method: b"get",
        ..GET
    };
    let request =
        Request::assemble(stated, [(b"host".as_slice(), b"a".as_slice())], &limits).unwrap();
    assert_eq!(request.method(), b"GET");
}
