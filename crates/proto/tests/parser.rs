//! What the vectors cannot say about the head parser and the body decoder: how they are used over time.
#![allow(clippy::unwrap_used, reason = "tests say what they expect")]

use proto::h1::{BodyDecoder, HeadParser, parse_request};
use proto::{Framing, Limits, Request, Violation};

const ONE: &[u8] = b"GET /one HTTP/1.1\r\nHost: a\r\nX_Y: 1\r\n\r\n";
const TWO: &[u8] = b"POST /two HTTP/1.1\r\nHost: b\r\nContent-Length: 0\r\n\r\n";

#[test]
fn a_parser_reads_one_request_after_the_other() {
    let limits = Limits::default();
    let mut parser = HeadParser::default();
    assert!(parser.parse(&ONE[..10], &limits).unwrap().is_none());
    assert!(parser.parse(&ONE[..30], &limits).unwrap().is_none());
    let (request, consumed) = parser.parse(ONE, &limits).unwrap().unwrap();
    assert_eq!((request.path(), consumed), (b"/one".as_slice(), ONE.len()));
    let (request, _) = parser.parse(TWO, &limits).unwrap().unwrap();
    assert_eq!(request.path(), b"/two");
}

#[test]
fn a_parser_is_ready_again_after_a_violation() {
    let limits = Limits::default();
    let mut parser = HeadParser::default();
    assert!(parser.parse(b"GET /", &limits).unwrap().is_none());
    assert_eq!(
        parser.parse(b"GET /\n", &limits).unwrap_err(),
        Violation::BareLf
    );
    assert!(parser.parse(ONE, &limits).unwrap().is_some());
}

#[test]
fn an_empty_request_says_nothing() {
    let request = Request::empty();
    let parts = [
        request.method(),
        request.target(),
        request.path(),
        request.query(),
        request.host(),
        request.line(),
    ];
    assert!(parts.iter().all(|part| part.is_empty()));
    assert!(request.field_block().is_empty());
    assert_eq!(request.framing(), Framing::None);
}

#[test]
fn fields_are_found_whatever_their_case() {
    let (request, _) = parse_request(ONE, &Limits::default()).unwrap().unwrap();
    assert_eq!(request.field(b"HOST"), Some(b"a".as_slice()));
    assert_eq!(request.field(b"hos"), None);
    assert_eq!(request.line(), b"GET /one HTTP/1.1");
    assert_eq!(request.field_block(), b"Host: a\r\nX_Y: 1\r\n");
}

#[test]
fn no_head_is_larger_than_all_heads_may_be() {
    let limits = Limits {
        request_line: 0,
        fields: 0,
        field_size: 0,
        ..Limits::default()
    };
    let mut head = b"GET / HTTP/1.1\r\nHost: a\r\nX: ".to_vec();
    head.resize(16 << 20, b'x');
    assert!(parse_request(&head, &limits).unwrap().is_none());
    head.extend_from_slice(b"xx");
    assert_eq!(
        parse_request(&head, &limits).unwrap_err(),
        Violation::HeadTooLarge
    );
    head.extend_from_slice(b"\r\n\r\n");
    assert_eq!(
        parse_request(&head, &limits).unwrap_err(),
        Violation::HeadTooLarge
    );
    let mut line = vec![b'G'; 16 << 20];
    line.extend_from_slice(b"GG");
    assert_eq!(
        parse_request(&line, &limits).unwrap_err(),
        Violation::MethodTooLong
    );
}

#[test]
fn a_long_head_that_comes_byte_by_byte_is_read_once() {
    // Read anew at every byte, this would be 5 * 10^11 steps instead of 10^6.
    let limits = Limits {
        field_size: 0,
        ..Limits::default()
    };
    let mut head = b"GET / HTTP/1.1\r\nHost: a\r\nX: ".to_vec();
    head.resize(1 << 20, b'x');
    let mut parser = HeadParser::default();
    for length in 0..head.len() {
        assert!(parser.parse(&head[..length], &limits).unwrap().is_none());
    }
}

#[test]
fn a_broken_body_stays_broken() {
    let mut decoder = BodyDecoder::new(Framing::Chunked, &Limits::default());
    assert_eq!(decoder.decode(b"x").unwrap_err(), Violation::ChunkSize);
    assert_eq!(
        decoder.decode(b"0\r\n\r\n").unwrap_err(),
        Violation::ChunkSize
    );
    assert_eq!(decoder.decode(b"").unwrap_err(), Violation::ChunkSize);
    assert!(!decoder.is_done());
}

#[test]
fn a_body_takes_no_byte_of_the_next_request() {
    let limits = Limits::default();
    let mut none = BodyDecoder::new(Framing::None, &limits);
    assert!(none.is_done());
    assert_eq!(none.decode(ONE).unwrap().consumed, 0);
    let mut fixed = BodyDecoder::new(Framing::Length(3), &limits);
    let decoded = fixed.decode(b"abcGET").unwrap();
    assert_eq!(
        (decoded.consumed, decoded.data, decoded.done),
        (3, b"abc".as_slice(), true)
    );
}

#[test]
fn data_is_given_with_the_framing_that_follows_it() {
    let mut decoder = BodyDecoder::new(Framing::Chunked, &Limits::default());
    let input = b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
    let first = decoder.decode(input).unwrap();
    assert_eq!((first.data, first.done), (b"abc".as_slice(), false));
    let second = decoder.decode(&input[first.consumed..]).unwrap();
    assert_eq!((second.data, second.done), (b"de".as_slice(), true));
    assert_eq!(first.consumed + second.consumed, input.len());
}
