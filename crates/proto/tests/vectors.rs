//! Every case of `vectors/http1`, fed whole, byte by byte, and with bytes of a next request behind it.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests say what they expect, and read files, which the crate does not"
)]

mod cases;

use cases::{Accepted, Case, Outcome, Part, read_all};
use proto::h1::{BodyDecoder, HeadParser, parse_request};
use proto::{Limits, Request, TargetForm, Violation};

/// What a peer may send behind a request without changing what that request means.
const NEXT: [&[u8]; 4] = [
    b"GET /next HTTP/1.1\r\nHost: n\r\n\r\n",
    b"\0\xff\r\r\n\n",
    b"\r\n\r\n",
    b"0\r\n\r\n",
];

/// How the bytes reach the parser.
#[derive(Debug, Clone, Copy)]
enum Feed {
    Whole,
    ByteByByte,
}

/// What came out of the bytes of a case, and how many of them were taken.
#[derive(Debug)]
enum Seen {
    Refused(Violation),
    Incomplete(Part),
    Accepted(Message, usize),
}

#[derive(Debug)]
struct Message {
    request: Request,
    body: Vec<u8>,
    trailers: Vec<Vec<u8>>,
}

fn run(input: &[u8], limits: &Limits, feed: Feed) -> Seen {
    let (request, consumed) = match head(input, limits, feed) {
        Ok(Some(head)) => head,
        Ok(None) => return Seen::Incomplete(Part::Head),
        Err(violation) => return Seen::Refused(violation),
    };
    let mut decoder = BodyDecoder::new(request.framing(), limits);
    let (body, taken) = match body(&mut decoder, &input[consumed..], feed) {
        Ok(body) => body,
        Err(violation) => return Seen::Refused(violation),
    };
    if !decoder.is_done() {
        return Seen::Incomplete(Part::Body);
    }
    let trailers = decoder
        .trailers()
        .map(|(name, value)| [name, b": ", value].concat())
        .collect();
    Seen::Accepted(
        Message {
            request,
            body,
            trailers,
        },
        consumed + taken,
    )
}

fn head(input: &[u8], limits: &Limits, feed: Feed) -> Result<Option<(Request, usize)>, Violation> {
    match feed {
        Feed::Whole => parse_request(input, limits),
        Feed::ByteByByte => {
            let mut parser = HeadParser::default();
            for length in 0..=input.len() {
                if let Some(head) = parser.parse(&input[..length], limits)? {
                    return Ok(Some(head));
                }
            }
            Ok(None)
        }
    }
}

fn body(
    decoder: &mut BodyDecoder,
    input: &[u8],
    feed: Feed,
) -> Result<(Vec<u8>, usize), Violation> {
    let mut body = Vec::new();
    let mut taken = 0;
    while taken < input.len() && !decoder.is_done() {
        let end = match feed {
            Feed::Whole => input.len(),
            Feed::ByteByByte => taken + 1,
        };
        let decoded = decoder.decode(&input[taken..end])?;
        assert!(
            decoded.consumed > 0,
            "a decoder that is not done takes something"
        );
        assert_eq!(decoded.done, decoder.is_done());
        body.extend_from_slice(decoded.data);
        taken += decoded.consumed;
    }
    Ok((body, taken))
}

fn check(case: &Case, input: &[u8], feed: Feed) {
    let context = format!("{} ({feed:?}, {} bytes)", case.name, input.len());
    match (run(input, &case.limits, feed), &case.outcome) {
        (Seen::Refused(violation), Outcome::Refused { status, rule }) => {
            assert_eq!(
                (violation.status(), violation.name()),
                (*status, rule.as_str()),
                "{context}"
            );
        }
        (Seen::Incomplete(part), Outcome::Incomplete(expected)) => {
            assert_eq!(part, *expected, "{context}")
        }
        (Seen::Accepted(message, consumed), Outcome::Accepted(expected)) => {
            assert_eq!(consumed, case.bytes.len(), "{context}: consumed");
            compare(&message, expected, &context);
        }
        (seen, expected) => panic!("{context}: {seen:?} instead of {expected:?}"),
    }
}

fn compare(message: &Message, expected: &Accepted, context: &str) {
    let request = &message.request;
    let version = request.version().as_str().as_bytes();
    let line = [request.method(), request.target(), version].join(&b' ');
    assert_bytes(&line, &expected.line, context);
    let form = match request.form() {
        TargetForm::Origin => "origin",
        TargetForm::Absolute => "absolute",
        TargetForm::Authority => "authority",
        TargetForm::Asterisk => "asterisk",
    };
    let parts = [
        (form.as_bytes(), &expected.form),
        (request.path(), &expected.path),
        (request.query(), &expected.query),
        (request.host(), &expected.host),
    ];
    for (seen, expected) in parts {
        if let Some(expected) = expected {
            assert_bytes(seen, expected, context);
        }
    }
    let fields: Vec<_> = request
        .fields()
        .map(|(name, value)| [name, b": ", value].concat())
        .collect();
    assert!(
        expected.fields.is_empty() || fields == expected.fields,
        "{context}: {:?}",
        request.field_block()
    );
    assert_bytes(&message.body, &expected.body, context);
    assert_eq!(message.trailers, expected.trailers, "{context}: trailers");
    assert_eq!(
        request.keep_alive(),
        expected.keep_alive,
        "{context}: keep-alive"
    );
    assert_eq!(
        request.expects_continue(),
        expected.expects_continue,
        "{context}: continue"
    );
}

fn assert_bytes(seen: &[u8], expected: &[u8], context: &str) {
    assert!(
        seen == expected,
        "{context}: {} instead of {}",
        seen.escape_ascii(),
        expected.escape_ascii()
    );
}

#[test]
fn every_case_has_its_outcome_when_fed_whole() {
    for case in read_all() {
        check(&case, &case.bytes, Feed::Whole);
    }
}

#[test]
fn every_case_has_its_outcome_when_fed_byte_by_byte() {
    for case in read_all() {
        check(&case, &case.bytes, Feed::ByteByByte);
    }
}

#[test]
fn what_follows_a_request_does_not_change_it() {
    for case in read_all()
        .iter()
        .filter(|case| !matches!(case.outcome, Outcome::Incomplete(_)))
    {
        for next in NEXT {
            let input = [&case.bytes, next].concat();
            check(case, &input, Feed::Whole);
            check(case, &input, Feed::ByteByByte);
        }
    }
}

#[test]
fn names_of_cases_are_unique() {
    let mut names: Vec<_> = read_all().into_iter().map(|case| case.name).collect();
    let count = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), count);
    assert!(count >= 150, "the vectors have become {count}");
}

/// Rules that no bytes of a request of HTTP/1 break: the server, the gateway, the bound of 16 MiB or HTTP/2 finds them.
const ELSEWHERE: &[Violation] = &[
    Violation::AuthorityMismatch,
    Violation::HeadTooLarge,
    Violation::UnderscoreInName,
    Violation::SchemeConflict,
    Violation::BodyTooLarge,
    Violation::Incomplete,
    // `uwsgi_vectors.rs`
    Violation::UwsgiModifier,
    Violation::UwsgiVariable,
    Violation::UwsgiVariables,
    Violation::UwsgiName,
];

#[test]
fn every_rule_is_broken_by_a_case() {
    let cases = read_all();
    let broken = |violation: &Violation| {
        let is = |case: &Case| matches!(&case.outcome, Outcome::Refused { rule, .. } if rule == violation.name());
        cases.iter().any(is)
    };
    let missing: Vec<_> = Violation::ALL
        .iter()
        .filter(|violation| !ELSEWHERE.contains(violation) && !broken(violation))
        .collect();
    assert!(missing.is_empty(), "no case for {missing:?}");
}
