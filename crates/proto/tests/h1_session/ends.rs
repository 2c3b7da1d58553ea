//! How connections end: by their last answer, by the client, by both, and in the middle of something.

use proto::h1::session::{Action, ExchangeEnd, Overdue};

use super::driver::Driver;
use super::{GET, NEXT};

const POST: &[u8] = b"POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe";

#[test]
fn a_last_answer_closes_at_once_where_nothing_is_unread() {
    let mut driver = Driver::new();
    assert_eq!(driver.serve(GET, ExchangeEnd::Close), Action::Close);
}

#[test]
fn a_last_answer_shuts_our_side_where_something_is_unread() {
    let mut driver = Driver::new();
    assert_eq!(
        driver.serve(&[GET, NEXT].concat(), ExchangeEnd::Close),
        Action::Shut
    );
    assert!(driver.session.is_shut() && driver.session.may_read());
    driver.hear(NEXT);
    assert_eq!(driver.target(), b"/one", "what follows is no request");
    assert!(driver.inbound.is_empty());
    assert_eq!(driver.session.ended(), Action::Close);
}

#[test]
fn a_last_answer_that_waits_is_sent_first() {
    for (requests, end) in [(vec![GET], Action::Close), (vec![GET, NEXT], Action::Shut)] {
        let mut driver = Driver::new();
        driver.hear(&requests.concat());
        driver.session.begin();
        assert_eq!(driver.over_with_output(ExchangeEnd::Close), Action::Stay);
        assert!(driver.session.is_draining());
        assert_eq!(driver.sent(), end);
    }
}

#[test]
fn a_client_that_ends_an_idle_connection_ends_it() {
    let mut driver = Driver::new();
    assert_eq!(driver.session.ended(), Action::Close);
    let mut driver = Driver::new();
    let _ = driver.serve(GET, ExchangeEnd::KeepAlive);
    assert_eq!(driver.session.ended(), Action::Close);
}

#[test]
fn a_client_that_leaves_within_a_request_has_begun_one() {
    for bytes in [&GET[..9], POST] {
        let mut driver = Driver::new();
        driver.hear(bytes);
        assert!(driver.session.is_receiving(), "for the access log");
        assert_eq!(driver.session.ended(), Action::Close);
    }
}

#[test]
fn a_client_that_ends_its_side_behind_its_request_gets_its_answer() {
    let mut driver = Driver::new();
    driver.hear(GET);
    driver.session.begin();
    assert_eq!(driver.session.ended(), Action::Stay);
    assert_eq!(driver.over(ExchangeEnd::KeepAlive), Action::Stay);
    assert!(driver.session.may_read());
    assert_eq!(driver.session.ended(), Action::Close);
}

#[test]
fn a_pipelined_request_is_answered_though_its_client_has_ended_its_side() {
    let mut driver = Driver::new();
    driver.hear(&[GET, NEXT].concat());
    driver.session.begin();
    assert_eq!(driver.session.ended(), Action::Stay);
    assert_eq!(driver.over(ExchangeEnd::KeepAlive), Action::Stay);
    driver.hear(b"");
    assert_eq!(driver.target(), b"/two");
}

#[test]
fn a_body_that_is_cut_off_while_it_is_passed_on_lets_the_answer_out() {
    let mut driver = Driver::new();
    driver.hear(POST);
    driver.session.begin();
    assert_eq!(driver.session.ended(), Action::Stay);
    assert!(!driver.session.may_read() && driver.patience().is_none());
    assert_eq!(
        driver.over_with_output(ExchangeEnd::KeepAlive),
        Action::Stay
    );
    assert_eq!(
        driver.sent(),
        Action::Close,
        "nothing comes that could destroy the answer"
    );
}

#[test]
fn a_client_that_ends_its_side_while_its_answer_waits_ends_the_connection_with_it() {
    let mut driver = Driver::new();
    driver.hear(GET);
    driver.session.begin();
    let _ = driver.over_with_output(ExchangeEnd::KeepAlive);
    assert_eq!(driver.session.ended(), Action::Stay);
    assert_eq!(driver.sent(), Action::Close);
}

#[test]
fn a_client_that_leaves_within_a_rest_that_nobody_wants_ends_the_connection() {
    let mut driver = Driver::new();
    driver.hear(POST);
    driver.session.begin();
    let _ = driver.over(ExchangeEnd::KeepAlive);
    assert!(
        !driver.session.is_receiving(),
        "its request had its line in the log"
    );
    assert_eq!(driver.session.ended(), Action::Close);
}

#[test]
fn a_request_that_came_too_late_is_answered_and_the_rest_dropped() {
    let mut driver = Driver::new();
    driver.hear(POST);
    assert_eq!(
        driver.after(driver.settings.body_timeout),
        Some(Overdue::Body)
    );
    assert_eq!(driver.over_with_output(ExchangeEnd::Close), Action::Stay);
    assert_eq!(driver.sent(), Action::Shut);
    driver.hear(b"llo");
    driver.hear(NEXT);
    assert_eq!((driver.target(), driver.body.len()), (b"/up".as_slice(), 2));
}

#[test]
fn a_connection_that_breaks_ends_with_its_exchange() {
    for bytes in [GET, POST, &[GET, NEXT].concat()] {
        let mut driver = Driver::new();
        driver.hear(bytes);
        driver.session.begin();
        driver.took();
        driver.session.lose();
        assert!(!driver.session.may_read() && driver.session.is_answering());
        assert_eq!(driver.patience(), None);
        assert_eq!(driver.over(ExchangeEnd::KeepAlive), Action::Close);
    }
}

#[test]
fn nothing_is_overdue_on_a_connection_whose_client_is_gone() {
    let mut driver = Driver::new();
    driver.hear(POST);
    driver.session.begin();
    let _ = driver.session.ended();
    assert_eq!(driver.after(1 << 40), None, "the application ends it");
}
