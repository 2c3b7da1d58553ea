//! Clients that leave, take nothing, or take their time; and sockets that go elsewhere.

use super::driver::{Driver, GET, LAST_GET, READABLE, Taken};
use super::{Fate, Readiness, config};
use crate::exchange::ExchangeId;
use crate::options::Service;
use crate::sink::SinkError;

const BROKEN: Readiness = Readiness {
    broken: true,
    read_closed: true,
    ..READABLE
};

#[test]
fn a_client_that_ends_an_idle_connection_ends_it() {
    let mut driver = Driver::new();
    assert_eq!(driver.exchange(GET, b"hello"), Fate::Open);
    assert_eq!(driver.ends(), Fate::Closed);
}

#[test]
fn a_client_that_leaves_within_a_request_ends_the_connection() {
    for part in [
        &GET[..9],
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhe",
    ] {
        let mut driver = Driver::new();
        assert_eq!(driver.sends(part), Fate::Open);
        assert_eq!(driver.ends(), Fate::Closed);
        assert!(driver.take().is_none());
        assert_eq!(driver.hears(), "");
    }
}

#[test]
fn a_client_that_ends_its_side_gets_all_its_answers() {
    let mut driver = Driver::new();
    driver.sends_unreported([GET, GET].concat());
    assert_eq!(driver.ends(), Fate::Open);
    let taken = driver.take().unwrap();
    assert_eq!(driver.answer(taken, b"one"), Fate::Open);
    let taken = driver.take().expect("the second");
    assert_eq!(driver.answer(taken, b"two"), Fate::Closed);
    let answers = driver.hears();
    assert!(
        answers.contains("one") && answers.ends_with("two"),
        "{answers}"
    );
}

#[test]
fn a_connection_that_breaks_while_it_is_answered_waits_for_the_answer() {
    let mut driver = Driver::new();
    assert_eq!(driver.sends(GET), Fate::Open);
    let taken = driver.take().unwrap();
    assert_eq!(driver.report(BROKEN), Fate::Open);
    assert!(taken.is_lost());
    assert_eq!(driver.answer(taken, b"hello"), Fate::Closed);
}

#[test]
fn a_connection_that_breaks_while_it_is_idle_ends() {
    let mut driver = Driver::new();
    let broken = Readiness {
        readable: false,
        ..BROKEN
    };
    assert_eq!(driver.report(broken), Fate::Closed);
}

#[test]
fn a_request_whose_client_left_before_a_thread_took_it_is_dropped() {
    let mut driver = Driver::new();
    assert_eq!(driver.sends(GET), Fate::Open);
    assert_eq!(driver.report(BROKEN), Fate::Open);
    assert!(driver.take().is_none(), "nobody would read the answer");
    assert_eq!(driver.read_inbox(), Fate::Closed);
}

/// A request whose answer the client does not take.
fn outrun(service: Service, request: &str) -> (Driver, Taken) {
    let mut driver = Driver::with(&config(|_| {}), service);
    assert_eq!(driver.sends(request), Fate::Open);
    let taken = driver.take().unwrap();
    (driver, taken)
}

const MUCH: &[u8] = &[b'x'; 3_000_000];

#[test]
fn an_answer_that_waits_for_its_client_holds_the_connection_and_no_thread() {
    let (mut driver, taken) = outrun(Service::threads(4), GET);
    assert_eq!(driver.answer(taken, MUCH), Fate::Open);
    assert_eq!(driver.patience(), Some(driver.turn.settings.send_timeout));
    assert_eq!(driver.sends(GET), Fate::Open);
    assert!(driver.take().is_none(), "the next request waits");
    let mut heard = 0;
    while heard < MUCH.len() {
        heard += driver.hears().len();
        assert_eq!(driver.takes_more(), Fate::Open);
        assert_eq!(driver.go_on(), Fate::Open);
    }
    let taken = driver.take().expect("the next request");
    assert_eq!(driver.answer(taken, b"hello"), Fate::Open);
    assert!(driver.hears().ends_with("hello"));
}

#[test]
fn a_client_that_takes_nothing_of_its_answer_is_closed() {
    for request in [GET, LAST_GET] {
        let (mut driver, taken) = outrun(Service::threads(4), request);
        assert_eq!(driver.answer(taken, MUCH), Fate::Open);
        assert_eq!(
            driver.later(driver.turn.settings.send_timeout - 1),
            Fate::Open
        );
        assert_eq!(driver.later(1), Fate::Closed);
    }
}

#[test]
fn a_client_that_takes_some_has_its_time_again() {
    let (mut driver, taken) = outrun(Service::threads(4), GET);
    assert_eq!(driver.answer(taken, MUCH), Fate::Open);
    let patience = driver.turn.settings.send_timeout;
    for _ in 0..3 {
        assert_eq!(driver.later(patience - 1), Fate::Open);
        assert!(!driver.hears().is_empty());
        assert_eq!(driver.takes_more(), Fate::Open);
        assert_eq!(driver.patience(), Some(patience));
    }
    assert_eq!(driver.later(patience), Fate::Closed);
}

#[test]
fn a_stream_whose_client_takes_nothing_is_told() {
    let (mut driver, mut taken) = outrun(Service::EVENT_LOOP, GET);
    let mut head = proto::h1::ResponseHead::new();
    head.set_status(b"200 OK").unwrap();
    taken.reply.start(head);
    taken.reply.push(MUCH).unwrap();
    assert_eq!(driver.read_inbox(), Fate::Open);
    assert!(!taken.watch_gone());
    assert_eq!(
        driver.later(driver.turn.settings.send_timeout),
        Fate::Open,
        "the application ends it"
    );
    assert!(taken.is_lost());
    let id = taken.id();
    assert!(driver.events().contains(&crate::inlet::Event::Gone(id)));
    let error = taken.reply.push(b"x").unwrap_err();
    assert_eq!(error, crate::reply::ReplyError::Lost(SinkError::TimedOut));
    drop(taken);
    assert_eq!(driver.read_inbox(), Fate::Closed);
}

#[test]
fn a_socket_that_the_application_takes_is_not_the_server_s_any_more() {
    let mut driver = Driver::new();
    assert_eq!(driver.sends(GET), Fate::Open);
    let taken = driver.take().unwrap();
    assert_eq!(taken.id(), driver.connection.exchange);
    let hijacked = crate::dispatcher::Outcome::Hijacked;
    let fate = driver
        .connection
        .finished(taken.id(), hijacked, &mut driver.turn);
    assert_eq!(fate, Fate::Detached);
}

#[test]
fn an_exchange_has_a_name_that_no_other_has() {
    let mut driver = Driver::new();
    let mut names: Vec<ExchangeId> = Vec::new();
    for _ in 0..3 {
        assert_eq!(driver.sends(GET), Fate::Open);
        let taken = driver.take().unwrap();
        assert!(!names.contains(&taken.id()));
        names.push(taken.id());
        assert_eq!(taken.id().connection(), driver.connection.id);
        assert_eq!(driver.answer(taken, b""), Fate::Open);
    }
}

#[test]
fn an_application_that_gives_up_is_answered_for() {
    let mut driver = Driver::new();
    assert_eq!(driver.sends(GET), Fate::Open);
    drop(driver.take().unwrap());
    let fate = driver.read_inbox();
    let answer = driver.hears();
    assert!(answer.starts_with("HTTP/1.1 500 "), "{answer}");
    assert_eq!(fate, Fate::Closed);
}

#[test]
fn an_answer_with_something_unread_behind_it_lingers() {
    let mut driver = Driver::new();
    assert_eq!(driver.sends([LAST_GET, GET].concat()), Fate::Open);
    let taken = driver.take().unwrap();
    assert_eq!(driver.answer(taken, b"hello"), Fate::Open);
    assert!(driver.hears().ends_with("hello") && driver.is_ended());
    assert!(driver.take().is_none(), "the second is not served");
    assert_eq!(
        driver.ends(),
        Fate::Closed,
        "the client's end is what was waited for"
    );
}
