//! A connection of HTTP/1 through all of its life, with a clock that the tests move.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests say what they expect, and read files, which the crate does not"
)]

#[path = "../cases/mod.rs"]
mod cases;
mod driver;
mod ends;
mod timeouts;
mod uploads;
mod vectors;

use driver::{ACCEPTED, Driver, SETTINGS};
use proto::h1::session::{Action, ExchangeEnd, Overdue};

const GET: &[u8] = b"GET /one HTTP/1.1\r\nHost: a\r\n\r\n";
const NEXT: &[u8] = b"GET /two HTTP/1.1\r\nHost: a\r\n\r\n";

#[test]
fn a_kept_connection_serves_one_request_after_another() {
    let mut driver = Driver::new();
    for round in 0..100 {
        let target = format!("/{round}");
        let request = format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
        assert!(driver.session.is_idle());
        driver.hear(request.as_bytes());
        assert_eq!(driver.target(), target.as_bytes());
        assert!(driver.body_is_whole && !driver.session.is_idle());
        driver.session.begin();
        assert!(driver.session.is_answering());
        assert_eq!(driver.over(ExchangeEnd::KeepAlive), Action::Stay);
        driver.now += 1000;
    }
}

#[test]
fn a_pipelined_request_waits_for_the_answer_to_the_one_before() {
    let mut driver = Driver::new();
    driver.hear(&[GET, NEXT, NEXT].concat());
    assert_eq!(driver.target(), b"/one");
    assert_eq!(driver.inbound, [NEXT, NEXT].concat());
    driver.session.begin();
    assert!(!driver.session.may_read());
    driver.hear(b"");
    assert_eq!(driver.target(), b"/one");
    assert_eq!(driver.over(ExchangeEnd::KeepAlive), Action::Stay);
    driver.hear(b"");
    assert_eq!(
        (driver.target(), &driver.inbound[..]),
        (b"/two".as_slice(), NEXT)
    );
}

#[test]
fn a_pipelined_request_waits_until_the_answer_has_been_taken() {
    let mut driver = Driver::new();
    driver.hear(&[GET, NEXT].concat());
    driver.session.begin();
    assert_eq!(
        driver.over_with_output(ExchangeEnd::KeepAlive),
        Action::Stay
    );
    assert!(driver.session.is_draining() && !driver.session.may_read());
    driver.hear(b"");
    assert_eq!(driver.target(), b"/one");
    assert_eq!(driver.sent(), Action::Stay);
    driver.hear(b"");
    assert_eq!(driver.target(), b"/two");
}

#[test]
fn a_head_in_two_pieces_is_read_when_its_end_has_come() {
    let mut driver = Driver::new();
    driver.hear(&GET[..20]);
    assert!(driver.request.is_none() && driver.session.is_receiving());
    assert_eq!(driver.inbound, GET[..20]);
    driver.hear(&GET[20..]);
    assert_eq!(driver.target(), b"/one");
    assert!(driver.inbound.is_empty() && !driver.session.is_receiving());
}

#[test]
fn a_refused_request_is_the_last_that_is_read() {
    let mut driver = Driver::new();
    driver.hear(&[b"GET / HTTP/1.1\r\n\r\n", GET].concat());
    assert_eq!(driver.refused, Some("HostMissing"));
    assert!(driver.request.is_none());
    // The answer goes out; what the client still sends is dropped, not read as a request.
    assert_eq!(driver.over(ExchangeEnd::Close), Action::Shut);
    driver.hear(GET);
    assert!(driver.request.is_none() && driver.inbound.is_empty());
    assert_eq!(driver.session.ended(), Action::Close);
}

#[test]
fn a_request_that_the_caller_refuses_is_the_last_too() {
    let mut driver = Driver::new();
    driver.hear(GET);
    driver.session.refuse();
    assert_eq!(driver.over(ExchangeEnd::Close), Action::Shut);
    driver.hear(NEXT);
    assert_eq!(driver.target(), b"/one");
}

#[test]
fn a_request_that_finds_no_place_waits_unread() {
    let mut driver = Driver::new();
    driver.session.defer();
    assert!(driver.session.is_deferred() && !driver.session.is_idle());
    assert_eq!(driver.patience(), None);
    driver.hear(GET);
    assert!(driver.request.is_none());
    driver.now += 1_000_000;
    driver.session.end_deferral(&SETTINGS, driver.now);
    assert_eq!(driver.patience(), Some(SETTINGS.keep_alive));
    driver.hear(b"");
    assert_eq!(driver.target(), b"/one");
}

#[test]
fn only_an_idle_connection_is_deferred() {
    let mut driver = Driver::new();
    driver.hear(&GET[..5]);
    driver.session.defer();
    assert!(!driver.session.is_deferred());
    driver.session.end_deferral(&SETTINGS, driver.now);
    driver.hear(&GET[5..]);
    assert_eq!(driver.target(), b"/one");
}

#[test]
fn an_upgrade_leaves_the_bytes_behind_the_handshake_to_what_comes() {
    let mut driver = Driver::new();
    let handshake =
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    driver.hear(&[handshake.as_slice(), b"\x81\x80"].concat());
    driver.session.begin();
    driver.hear(b"\0\0\0\0");
    assert_eq!(driver.inbound, b"\x81\x80\0\0\0\0");
    assert_eq!(
        driver.patience(),
        None,
        "what comes has time-outs of its own"
    );
}

#[test]
fn what_is_left_of_a_connection_that_spoke_another_protocol_is_its_end() {
    let mut driver = Driver::new();
    driver.session = proto::h1::Session::ending();
    driver.took();
    assert!(driver.session.is_draining() && !driver.session.may_read());
    assert_eq!(driver.sent(), Action::Shut);
    driver.hear(GET);
    assert!(driver.request.is_none());
    assert_eq!(driver.after(2000), Some(Overdue::Connection));
}

#[test]
fn empty_lines_before_a_request_begin_it() {
    let mut driver = Driver::new();
    driver.hear(b"\r\n");
    assert!(driver.session.is_receiving());
    assert_eq!(driver.now, ACCEPTED);
    driver.hear(GET);
    assert_eq!(driver.target(), b"/one");
}

#[test]
fn nothing_begins_no_request() {
    let mut driver = Driver::new();
    driver.hear(b"");
    let heard = driver.session.hear(b"", &SETTINGS, driver.now).unwrap();
    assert_eq!(heard.consumed, 0);
    assert!(driver.session.is_idle());
}
