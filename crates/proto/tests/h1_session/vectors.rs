//! Every case of `vectors/http1` through a session: whole, byte by byte, and with bytes of a next request behind it.

use proto::Request;
use proto::h1::session::{Action, ExchangeEnd as End, Overdue, Settings};

use super::NEXT;
use super::cases::{Accepted, Case, Outcome, Part, read_all};
use super::driver::{Driver, Feed, SETTINGS};

/// Feeds a case, with a tail behind it.
fn fed(case: &Case, tail: &[u8], feed: Feed) -> Driver {
    let mut driver = Driver::with(Settings {
        limits: case.limits,
        ..SETTINGS
    });
    driver.feed(&case.bytes, feed);
    driver.feed(tail, feed);
    driver
}

fn check(case: &Case, tail: &[u8], feed: Feed) {
    let context = format!("{} ({feed:?}, {} bytes behind)", case.name, tail.len());
    let mut driver = fed(case, tail, feed);
    match &case.outcome {
        Outcome::Refused { rule, .. } => {
            assert_eq!(driver.refused, Some(rule.as_str()), "{context}");
            check_the_end(&mut driver, &context);
        }
        Outcome::Incomplete(part) => {
            assert_eq!(driver.refused, None, "{context}");
            assert!(driver.session.is_receiving(), "{context}");
            check_waiting(&mut driver, *part, &context);
        }
        Outcome::Accepted(expected) => {
            assert_eq!(driver.refused, None, "{context}");
            check_accepted(&driver, expected, &context);
            assert_eq!(driver.inbound, tail, "{context}: what is left");
            check_what_follows(&mut driver, expected, tail, &context);
        }
    }
}

/// The answer goes out, and no byte is understood any more.
fn check_the_end(driver: &mut Driver, context: &str) {
    let before = driver.target().to_vec();
    assert_eq!(driver.over(End::Close), Action::Shut, "{context}");
    driver.hear(NEXT);
    assert!(driver.inbound.is_empty(), "{context}: all is dropped");
    assert_eq!(driver.target(), before, "{context}");
    assert_eq!(driver.session.ended(), Action::Close, "{context}");
}

fn check_waiting(driver: &mut Driver, part: Part, context: &str) {
    let (span, overdue) = match part {
        Part::Head => (SETTINGS.header_timeout, Overdue::Head),
        Part::Body => (SETTINGS.body_timeout, Overdue::Body),
    };
    assert_eq!(driver.after(span - 1), None, "{context}");
    assert_eq!(driver.after(1), Some(overdue), "{context}");
    check_the_end(driver, context);
}

fn check_accepted(driver: &Driver, expected: &Accepted, context: &str) {
    let request = driver.request.as_ref().unwrap();
    let version = request.version().as_str().as_bytes();
    let line = [request.method(), request.target(), version].join(&b' ');
    assert_eq!(line, expected.line, "{context}");
    assert!(driver.body_is_whole, "{context}");
    assert!(driver.body == expected.body, "{context}: the body");
    assert!(!driver.session.is_receiving() || request.framing() != proto::Framing::None);
}

/// An exchange is made of the request; then the tail is the next request, or nothing.
fn check_what_follows(driver: &mut Driver, expected: &Accepted, tail: &[u8], context: &str) {
    driver.session.begin();
    assert!(!driver.session.may_read(), "{context}");
    if !expected.keep_alive {
        let end = match tail.is_empty() {
            true => Action::Close,
            false => Action::Shut,
        };
        assert_eq!(driver.over(End::Close), end, "{context}");
        return;
    }
    assert_eq!(driver.over(End::KeepAlive), Action::Stay, "{context}");
    driver.hear(b"");
    if tail == NEXT {
        assert_eq!(
            driver.request.as_ref().map(Request::target),
            Some(b"/two".as_slice()),
            "{context}"
        );
        assert!(driver.inbound.is_empty(), "{context}");
    }
}

#[test]
fn every_case_has_its_outcome_when_fed_whole() {
    for case in read_all() {
        check(&case, b"", Feed::Whole);
    }
}

#[test]
fn every_case_has_its_outcome_when_fed_byte_by_byte() {
    for case in read_all() {
        check(&case, b"", Feed::ByteByByte);
    }
}

#[test]
fn what_follows_a_request_changes_nothing_of_it() {
    let finished = |case: &&Case| !matches!(case.outcome, Outcome::Incomplete(_));
    for case in read_all().iter().filter(finished) {
        for tail in [NEXT, b"\0\xff\r\r\n\n", b"\r\n\r\n", b"0\r\n\r\n"] {
            check(case, tail, Feed::Whole);
            check(case, tail, Feed::ByteByByte);
        }
    }
}

#[test]
fn every_case_ends_well_wherever_its_client_leaves() {
    for case in read_all() {
        let step = (case.bytes.len() / 64).max(1);
        for end in (0..case.bytes.len()).step_by(step) {
            let mut driver = Driver::with(Settings {
                limits: case.limits,
                ..SETTINGS
            });
            driver.hear(&case.bytes[..end]);
            assert_eq!(
                driver.session.ended(),
                Action::Close,
                "{} at {end}",
                case.name
            );
        }
    }
}
