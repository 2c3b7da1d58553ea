//! Each time-out, from which moment it counts, and what it is told as.

use proto::h1::session::{Action, ExchangeEnd, LINGER, Overdue};

use super::GET;
use super::driver::{Driver, SETTINGS};

const POST: &[u8] = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\n";

#[test]
fn a_client_that_never_speaks_is_waited_for_as_long_as_for_a_head() {
    let mut driver = Driver::new();
    assert_eq!(driver.patience(), Some(SETTINGS.header_timeout));
    assert_eq!(driver.after(SETTINGS.header_timeout - 1), None);
    assert_eq!(driver.after(1), Some(Overdue::Connection));
}

#[test]
fn an_idle_connection_has_its_keep_alive_time() {
    let mut driver = Driver::new();
    assert_eq!(driver.serve(GET, ExchangeEnd::KeepAlive), Action::Stay);
    assert_eq!(driver.after(SETTINGS.keep_alive - 1), None);
    assert_eq!(driver.after(1), Some(Overdue::Connection));
}

#[test]
fn the_idle_time_begins_when_the_answer_has_been_taken() {
    let mut driver = Driver::new();
    driver.hear(GET);
    driver.session.begin();
    assert_eq!(
        driver.over_with_output(ExchangeEnd::KeepAlive),
        Action::Stay
    );
    driver.now += 50_000;
    assert_eq!(driver.sent(), Action::Stay);
    assert_eq!(driver.patience(), Some(SETTINGS.keep_alive));
}

#[test]
fn a_head_has_to_arrive_in_time_however_many_pieces_it_comes_in() {
    let mut driver = Driver::new();
    driver.now += 3000;
    for byte in GET.chunks(1).take(9) {
        driver.hear(byte);
        assert_eq!(driver.after(SETTINGS.header_timeout / 10), None);
    }
    assert_eq!(
        driver.after(SETTINGS.header_timeout / 10),
        Some(Overdue::Head)
    );
    // It is answered, and then nothing more is read.
    assert_eq!(driver.over(ExchangeEnd::Close), Action::Shut);
    driver.hear(&GET[9..]);
    assert!(driver.request.is_none());
}

#[test]
fn the_time_of_a_head_ends_with_the_head() {
    let mut driver = Driver::new();
    driver.hear(&GET[..9]);
    driver.hear(&GET[9..]);
    assert_eq!(driver.patience(), None);
    assert_eq!(
        driver.after(1_000_000_000),
        None,
        "the application may take its time"
    );
}

#[test]
fn a_body_may_come_slowly_but_not_stand_still() {
    let mut driver = Driver::new();
    driver.hear(POST);
    for byte in b"abcde" {
        assert_eq!(driver.after(SETTINGS.body_timeout - 1), None);
        driver.hear(&[*byte]);
    }
    assert_eq!(driver.after(SETTINGS.body_timeout - 1), None);
    assert_eq!(driver.after(1), Some(Overdue::Body));
    assert!(!driver.session.is_within_body());
    assert_eq!(driver.over(ExchangeEnd::Close), Action::Shut);
}

#[test]
fn a_slow_application_costs_the_client_no_time() {
    let mut driver = Driver::new();
    driver.hear(POST);
    driver.session.begin();
    driver.session.pause();
    assert_eq!(driver.after(SETTINGS.body_timeout * 10), None);
    driver.session.resume(&SETTINGS, driver.now);
    assert_eq!(driver.patience(), Some(SETTINGS.body_timeout));
    driver.now += 10_000;
    driver.session.resume(&SETTINGS, driver.now);
    assert_eq!(
        driver.patience(),
        Some(SETTINGS.body_timeout - 10_000),
        "it runs already"
    );
}

#[test]
fn nothing_is_resumed_that_is_not_awaited() {
    let mut driver = Driver::new();
    driver.hear(GET);
    driver.session.begin();
    driver.session.resume(&SETTINGS, driver.now);
    assert_eq!(driver.patience(), None);
}

#[test]
fn a_client_that_takes_nothing_is_overdue_until_it_does() {
    let mut driver = Driver::new();
    driver.hear(GET);
    driver.session.begin();
    driver.took();
    assert_eq!(driver.after(SETTINGS.send_timeout - 1), None);
    assert_eq!(driver.after(1), Some(Overdue::Send));
    driver.took();
    assert_eq!(driver.patience(), Some(SETTINGS.send_timeout));
    assert_eq!(driver.sent(), Action::Stay);
    assert_eq!(driver.patience(), None);
}

#[test]
fn a_client_that_has_something_to_take_is_not_asked_for_its_body() {
    let mut driver = Driver::new();
    driver.hear(POST);
    driver.session.begin();
    driver.took();
    assert_eq!(driver.patience(), Some(SETTINGS.send_timeout));
    driver.now += SETTINGS.body_timeout + 1;
    assert_eq!(driver.session.handle_timeout(driver.now), None);
    assert_eq!(driver.sent(), Action::Stay);
    assert_eq!(
        driver.patience(),
        Some(SETTINGS.body_timeout),
        "from now on it is"
    );
}

#[test]
fn an_answer_that_is_not_taken_ends_a_connection_that_would_be_kept() {
    let mut driver = Driver::new();
    driver.hear(GET);
    driver.session.begin();
    assert_eq!(
        driver.over_with_output(ExchangeEnd::KeepAlive),
        Action::Stay
    );
    assert_eq!(driver.after(SETTINGS.send_timeout), Some(Overdue::Send));
    assert!(driver.session.is_draining(), "the caller closes it");
}

#[test]
fn a_client_has_a_while_to_end_its_side() {
    let mut driver = Driver::new();
    driver.hear(&[GET, GET].concat());
    driver.session.begin();
    assert_eq!(driver.over(ExchangeEnd::Close), Action::Shut);
    assert_eq!(driver.patience(), Some(LINGER));
    assert_eq!(driver.after(LINGER - 1), None);
    driver.hear(b"more");
    assert_eq!(
        driver.after(1),
        Some(Overdue::Connection),
        "however much it sends"
    );
}

#[test]
fn the_end_of_the_server_shortens_idle_times() {
    let mut driver = Driver::new();
    let _ = driver.serve(GET, ExchangeEnd::KeepAlive);
    driver.settings.keep_alive = 2000;
    driver.session.wind_down(&driver.settings, driver.now);
    assert_eq!(driver.patience(), Some(2000));
    driver.hear(GET);
    driver.session.begin();
    assert_eq!(driver.over(ExchangeEnd::KeepAlive), Action::Stay);
    assert_eq!(driver.patience(), Some(2000));
}

#[test]
fn the_end_of_the_server_prolongs_nothing_and_shortens_no_request() {
    let mut driver = Driver::new();
    let _ = driver.serve(GET, ExchangeEnd::KeepAlive);
    driver.now += SETTINGS.keep_alive - 500;
    driver.settings.keep_alive = 2000;
    driver.session.wind_down(&driver.settings, driver.now);
    assert_eq!(driver.patience(), Some(500));
    driver.hear(&GET[..9]);
    driver.session.wind_down(&driver.settings, driver.now);
    assert_eq!(driver.patience(), Some(SETTINGS.header_timeout));
    driver.hear(&GET[9..]);
    driver.session.wind_down(&driver.settings, driver.now);
    assert_eq!(driver.patience(), None);
}

#[test]
fn a_time_out_of_never_never_comes() {
    let mut driver = Driver::with(proto::h1::session::Settings {
        header_timeout: u64::MAX,
        body_timeout: u64::MAX,
        send_timeout: u64::MAX,
        ..SETTINGS
    });
    driver.hear(&POST[..9]);
    assert_eq!(driver.after(1 << 40), None);
    driver.hear(&POST[9..]);
    assert_eq!(driver.after(1 << 40), None);
    driver.session.begin();
    driver.took();
    assert_eq!(driver.after(1 << 40), None);
}
