//! Bodies: collected before the exchange begins or passed on while they arrive, with permission to send them, and
//! answered before they have been read.

use proto::h1::CONTINUE;
use proto::h1::session::{Action, DISCARDED, ExchangeEnd, Overdue, Settings};

use super::NEXT;
use super::driver::{Driver, Feed, SETTINGS};

fn post(length: u64) -> Vec<u8> {
    format!("POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n").into_bytes()
}

const CHUNKED: &[u8] = b"POST /up HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
const EXPECTS: &[u8] =
    b"POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n";

#[test]
fn a_body_that_comes_with_its_head_is_complete_at_once() {
    let mut driver = Driver::new();
    driver.hear(&[&post(5)[..], b"hello", NEXT].concat());
    assert_eq!(
        (&driver.body[..], driver.body_is_whole),
        (b"hello".as_slice(), true)
    );
    assert_eq!(driver.inbound, NEXT);
    assert!(!driver.session.is_within_body());
    driver.session.begin();
    assert_eq!(driver.over(ExchangeEnd::KeepAlive), Action::Stay);
    driver.hear(b"");
    assert_eq!(driver.target(), b"/two");
}

#[test]
fn a_body_comes_in_pieces_before_or_after_its_exchange_begins() {
    for begins_at in 0..=5 {
        let mut driver = Driver::new();
        driver.hear(&post(5));
        for (index, byte) in b"hello".iter().enumerate() {
            if index == begins_at {
                driver.session.begin();
            }
            assert!(driver.session.is_within_body() && driver.session.may_read());
            assert_eq!(driver.session.is_receiving(), begins_at > index);
            driver.hear(&[*byte]);
        }
        if begins_at == 5 {
            driver.session.begin();
        }
        assert_eq!(
            (&driver.body[..], driver.body_is_whole),
            (b"hello".as_slice(), true)
        );
        assert_eq!(driver.over(ExchangeEnd::KeepAlive), Action::Stay);
        assert!(driver.session.is_idle());
    }
}

#[test]
fn chunks_end_where_they_say() {
    for feed in [Feed::Whole, Feed::ByteByByte] {
        let mut driver = Driver::new();
        driver.feed(CHUNKED, feed);
        driver.feed(b"3\r\nabc\r\n2\r\nde\r\n0\r\nX: 1\r\n\r\n", feed);
        driver.feed(NEXT, feed);
        assert_eq!(
            (&driver.body[..], driver.body_is_whole),
            (b"abcde".as_slice(), true)
        );
        assert_eq!(driver.inbound, NEXT);
    }
}

#[test]
fn a_body_that_breaks_a_rule_is_refused_where_it_does() {
    let mut driver = Driver::new();
    driver.hear(&[CHUNKED, b"3\r\nabc"].concat());
    driver.hear(b"X");
    assert_eq!(driver.refused, Some("ChunkDataEnd"));
    assert_eq!(driver.body, b"abc");
    assert_eq!(driver.over(ExchangeEnd::Close), Action::Shut);
    driver.hear(NEXT);
    assert_eq!(driver.target(), b"/up");
}

#[test]
fn a_body_that_is_refused_while_it_is_passed_on_ends_the_connection_with_the_answer() {
    let mut driver = Driver::new();
    driver.hear(CHUNKED);
    driver.session.begin();
    driver.hear(b"zz");
    assert_eq!(driver.refused, Some("ChunkSize"));
    assert!(!driver.session.may_read() && driver.session.is_answering());
    // Even where the answer keeps the connection, nothing more can be understood.
    assert_eq!(driver.over(ExchangeEnd::KeepAlive), Action::Shut);
}

fn limited(body_limit: u64) -> Driver {
    Driver::with(Settings {
        body_limit,
        ..SETTINGS
    })
}

#[test]
fn a_body_that_is_announced_too_large_is_refused_with_its_head() {
    let mut driver = limited(10);
    let head = post(11);
    let refused = driver
        .session
        .hear(&head, &driver.settings, driver.now)
        .unwrap_err();
    assert_eq!(
        (refused.violation.name(), refused.violation.status()),
        ("BodyTooLarge", 413)
    );
    assert_eq!(refused.request.unwrap().target(), b"/up");
    let mut driver = limited(10);
    driver.hear(&[&post(10)[..], b"0123456789"].concat());
    assert!(driver.body_is_whole && driver.refused.is_none());
}

#[test]
fn a_body_of_chunks_is_refused_when_it_becomes_too_large() {
    let mut driver = limited(10);
    driver.hear(&[CHUNKED, b"a\r\n0123456789\r\n"].concat());
    assert_eq!((driver.body.len(), driver.refused), (10, None));
    driver.hear(b"1\r\nx");
    assert_eq!(
        (driver.body.len(), driver.refused),
        (10, Some("BodyTooLarge"))
    );
}

#[test]
fn permission_to_send_is_given_once_and_only_to_who_waits_for_it() {
    let mut driver = Driver::new();
    driver.hear(EXPECTS);
    assert_eq!(driver.session.permit_body(), Some(CONTINUE));
    assert_eq!(driver.session.permit_body(), None);
    driver.hear(b"hello");
    assert!(driver.body_is_whole);

    let mut driver = Driver::new();
    driver.hear(&[EXPECTS, b"h"].concat());
    assert_eq!(driver.session.permit_body(), None, "it has begun without");

    let mut driver = Driver::new();
    driver.hear(&post(5));
    assert_eq!(driver.session.permit_body(), None, "it did not ask");
    driver.hear(b"hello");
    assert_eq!(driver.session.permit_body(), None, "there is none to send");
}

#[test]
fn an_answer_before_a_small_rest_keeps_the_connection() {
    for feed in [Feed::Whole, Feed::ByteByByte] {
        let mut driver = Driver::new();
        driver.hear(&post(5));
        driver.session.begin();
        assert_eq!(driver.session.rest_of_body(), Some(5));
        assert_eq!(driver.over(ExchangeEnd::KeepAlive), Action::Stay);
        assert!(!driver.session.is_idle() && !driver.session.is_receiving());
        driver.request = None;
        driver.feed(b"hello", feed);
        assert!(driver.session.is_idle(), "the rest has come");
        assert_eq!(driver.patience(), Some(SETTINGS.keep_alive));
        assert!(driver.body.is_empty(), "and went nowhere");
        driver.feed(NEXT, feed);
        assert_eq!(driver.target(), b"/two");
    }
}

#[test]
fn the_next_request_may_come_in_one_piece_with_the_rest() {
    let mut driver = Driver::new();
    driver.hear(&[&post(5)[..], b"h"].concat());
    driver.session.begin();
    assert_eq!(driver.over(ExchangeEnd::KeepAlive), Action::Stay);
    driver.hear(&[b"ello", NEXT].concat());
    driver.hear(b"");
    assert_eq!(driver.target(), b"/two");
}

#[test]
fn the_rest_is_read_when_the_answer_has_been_taken() {
    let mut driver = Driver::new();
    driver.hear(&post(5));
    driver.session.begin();
    assert_eq!(
        driver.over_with_output(ExchangeEnd::KeepAlive),
        Action::Stay
    );
    assert!(!driver.session.may_read());
    assert_eq!(driver.sent(), Action::Stay);
    assert_eq!(driver.patience(), Some(SETTINGS.body_timeout));
    driver.hear(b"hello");
    assert!(driver.session.is_idle());
}

#[test]
fn a_large_rest_ends_the_connection() {
    for (length, step) in [(DISCARDED, Action::Stay), (DISCARDED + 1, Action::Shut)] {
        let mut driver = Driver::new();
        driver.hear(&post(length));
        driver.session.begin();
        assert_eq!(driver.over(ExchangeEnd::KeepAlive), step, "{length}");
    }
}

#[test]
fn of_a_large_body_it_is_the_rest_that_counts() {
    let mut driver = Driver::new();
    driver.hear(&post(DISCARDED + 1));
    driver.session.begin();
    driver.hear(b"x");
    assert_eq!(driver.session.rest_of_body(), Some(DISCARDED));
    assert_eq!(driver.over(ExchangeEnd::KeepAlive), Action::Stay);
}

#[test]
fn a_rest_of_unknown_length_ends_the_connection() {
    let mut driver = Driver::new();
    driver.hear(&[CHUNKED, b"3\r\nabc\r\n"].concat());
    driver.session.begin();
    assert_eq!(driver.session.rest_of_body(), None);
    assert_eq!(driver.over(ExchangeEnd::KeepAlive), Action::Shut);
}

#[test]
fn a_rest_is_not_read_for_a_connection_that_ends() {
    let mut driver = Driver::new();
    driver.hear(&post(5));
    driver.session.begin();
    assert_eq!(driver.over(ExchangeEnd::Close), Action::Shut);
    driver.hear(&[b"hello", NEXT].concat());
    assert_eq!(driver.target(), b"/up");
}

#[test]
fn a_rest_that_does_not_come_ends_the_connection_without_a_word() {
    let mut driver = Driver::new();
    driver.hear(&post(5));
    driver.session.begin();
    let _ = driver.over(ExchangeEnd::KeepAlive);
    assert_eq!(driver.after(SETTINGS.body_timeout - 1), None);
    driver.hear(b"h");
    assert_eq!(driver.after(SETTINGS.body_timeout - 1), None);
    assert_eq!(driver.after(1), Some(Overdue::Connection));
}

#[test]
fn a_rest_is_waited_for_no_longer_than_the_server_lives() {
    let mut driver = Driver::new();
    driver.hear(&post(5));
    driver.session.begin();
    let _ = driver.over(ExchangeEnd::KeepAlive);
    driver.settings.keep_alive = 2000;
    driver.session.wind_down(&driver.settings, driver.now);
    assert_eq!(driver.patience(), Some(2000));
}
