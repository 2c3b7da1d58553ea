//! Bodies that the application reads while they arrive, and answers that are given before.

use super::Fate;
use super::config;
use super::driver::{Driver, GET, READABLE, Taken};
use crate::connection::Readiness;
use crate::inlet::{Event, Read};
use crate::options::Service;

const POST: &str = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n";
const CHUNKED: &str = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";

fn chunk(data: &[u8], more: bool) -> Read {
    let data = data.to_vec();
    Read::Chunk { data, more }
}

/// A request whose head has arrived, with the exchange that the application has.
fn begun(request: &str) -> (Driver, Taken) {
    let mut driver = Driver::looped();
    assert_eq!(driver.sends(request), Fate::Open);
    let taken = driver.take().expect("a request");
    (driver, taken)
}

#[test]
fn the_application_has_the_request_before_its_body() {
    let (mut driver, mut taken) = begun(POST);
    assert_eq!(taken.read_body(), Read::Pending);
    assert_eq!(driver.sends("he"), Fate::Open);
    assert_eq!(
        driver.events(),
        [Event::Body(taken.id())],
        "it waits for that"
    );
    assert_eq!(driver.sends("ll"), Fate::Open);
    assert_eq!(driver.events(), [], "and is told once");
    assert_eq!(taken.read_body(), chunk(b"hell", true));
    assert_eq!(driver.sends("o"), Fate::Open);
    assert_eq!(taken.read_body(), chunk(b"o", false));
    assert_eq!(driver.answer(taken, b"thanks"), Fate::Open);
    assert!(driver.hears().ends_with("thanks"));
}

#[test]
fn a_body_that_came_with_its_head_is_there_at_once() {
    for request in [
        format!("{POST}hello"),
        format!("{CHUNKED}5\r\nhello\r\n0\r\n\r\n"),
    ] {
        let (mut driver, mut taken) = begun(&request);
        assert_eq!(taken.read_body(), chunk(b"hello", false));
        assert_eq!(driver.answer(taken, b""), Fate::Open);
    }
    let (_driver, mut taken) = begun(GET);
    assert_eq!(taken.read_body(), chunk(b"", false));
}

#[test]
fn a_request_that_is_wrong_as_it_comes_is_seen_by_no_application() {
    let mut driver = Driver::looped();
    assert_eq!(driver.sends(format!("{CHUNKED}zz\r\n")), Fate::Open);
    assert!(driver.take().is_none());
    assert!(driver.hears().starts_with("HTTP/1.1 400 "));
}

#[test]
fn the_reactor_reads_no_further_than_the_application_follows() {
    let head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 190000\r\n\r\n";
    let (mut driver, mut taken) = begun(head);
    let mut sent = 0;
    while sent < 130_000 {
        assert_eq!(driver.sends([b'x'; 10_000]), Fate::Open);
        sent += 10_000;
    }
    assert!(driver.connection.readable, "the rest stays with the kernel");
    assert_eq!(
        driver.patience(),
        None,
        "the application is slow, not the client"
    );
    assert_eq!(driver.later(1_000_000), Fate::Open);
    let mut read = 0;
    while read < sent {
        match taken.read_body() {
            Read::Chunk { data, more: true } => {
                assert!(data.len() < 140_000);
                read += data.len();
            }
            other => panic!("{other:?} after {read}"),
        }
        assert_eq!(
            driver.read_inbox(),
            Fate::Open,
            "the reactor is told to go on"
        );
    }
    assert_eq!(
        driver.patience(),
        Some(driver.turn.settings.body_timeout),
        "now the client is"
    );
}

#[test]
fn a_client_that_waits_for_permission_gets_it_when_its_body_is_wanted() {
    let head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n";
    let (mut driver, mut taken) = begun(head);
    assert_eq!(driver.hears(), "");
    assert_eq!(taken.read_body(), Read::Pending);
    assert_eq!(driver.hears(), "HTTP/1.1 100 Continue\r\n\r\n");
    assert_eq!(taken.read_body(), Read::Pending);
    assert_eq!(driver.hears(), "", "once");
    assert_eq!(driver.sends("hello"), Fate::Open);
    assert_eq!(taken.read_body(), chunk(b"hello", false));
    assert_eq!(driver.answer(taken, b""), Fate::Open);
}

#[test]
fn a_client_that_leaves_within_its_body_is_gone() {
    let (mut driver, mut taken) = begun(&format!("{POST}he"));
    assert!(!taken.watch_gone());
    assert_eq!(taken.read_body(), chunk(b"he", true));
    assert_eq!(taken.read_body(), Read::Pending);
    assert_eq!(driver.ends(), Fate::Open);
    let id = taken.id();
    assert_eq!(driver.events(), [Event::Gone(id), Event::Body(id)]);
    assert_eq!(taken.read_body(), Read::Gone);
    assert_eq!(driver.patience(), None);
    assert_eq!(driver.answer(taken, b"half"), Fate::Closed);
    let answer = driver.hears();
    assert!(
        answer.contains("\r\nConnection: close\r\n") && answer.ends_with("half"),
        "{answer}"
    );
}

#[test]
fn a_client_that_ends_its_side_behind_its_body_is_still_here() {
    let (mut driver, mut taken) = begun(&format!("{POST}hello"));
    assert!(!taken.watch_gone());
    assert_eq!(driver.ends(), Fate::Open);
    assert_eq!(
        driver.events(),
        [Event::Gone(taken.id())],
        "as far as can be seen"
    );
    assert!(!taken.is_lost());
    assert_eq!(taken.read_body(), chunk(b"hello", false));
    assert_eq!(driver.answer(taken, b"answer"), Fate::Closed);
    assert!(driver.hears().ends_with("answer"));
}

#[test]
fn a_client_that_has_ended_its_side_with_its_request_is_told_of_when_asked() {
    let mut driver = Driver::looped();
    driver.sends_unreported(GET);
    assert_eq!(driver.ends(), Fate::Open);
    let mut taken = driver.take().unwrap();
    assert!(taken.watch_gone(), "the poller does not report it again");
    assert_eq!(driver.answer(taken, b"answer"), Fate::Closed);
}

#[test]
fn a_connection_that_breaks_ends_body_and_response() {
    let (mut driver, mut taken) = begun(POST);
    assert_eq!(taken.read_body(), Read::Pending);
    assert!(!taken.watch_gone());
    let broken = Readiness {
        broken: true,
        read_closed: true,
        readable: false,
        ..READABLE
    };
    assert_eq!(driver.report(broken), Fate::Open);
    let id = taken.id();
    let events = driver.events();
    assert!(
        events.contains(&Event::Body(id)) && events.contains(&Event::Gone(id)),
        "{events:?}"
    );
    assert_eq!(taken.read_body(), Read::Gone);
    assert!(taken.is_lost());
    drop(taken);
    assert_eq!(driver.read_inbox(), Fate::Closed);
}

/// What the application is told of a body that is wrong, and what the client gets if it answers so.
fn refused(driver: &mut Driver, mut taken: Taken, expected: u16) {
    assert_eq!(driver.events(), [Event::Body(taken.id())]);
    let Read::Refused { status, rule } = taken.read_body() else {
        panic!("not refused")
    };
    assert_eq!(status, expected);
    taken.reply.refuse(status, rule);
    drop(taken);
    assert_eq!(driver.read_inbox(), Fate::Open);
    let answer = driver.hears();
    assert!(
        answer.starts_with(&format!("HTTP/1.1 {expected} ")),
        "{answer}"
    );
    assert!(driver.is_ended());
    assert_eq!(driver.later(2000), Fate::Closed);
}

#[test]
fn a_body_that_turns_wrong_is_refused_to_the_application() {
    let (mut driver, mut taken) = begun(CHUNKED);
    assert_eq!(taken.read_body(), Read::Pending);
    assert_eq!(driver.sends("zz\r\n"), Fate::Open);
    refused(&mut driver, taken, 400);
}

#[test]
fn a_body_that_grows_too_large_is_refused_to_the_application() {
    let config = config(|config| config.limit_request_body = 4);
    let mut driver = Driver::with(&config, Service::EVENT_LOOP);
    assert_eq!(driver.sends(CHUNKED), Fate::Open);
    let mut taken = driver.take().unwrap();
    assert_eq!(taken.read_body(), Read::Pending);
    assert_eq!(driver.sends("5\r\nhello\r\n"), Fate::Open);
    refused(&mut driver, taken, 413);
}

#[test]
fn a_body_that_stands_still_is_refused_to_the_application() {
    let (mut driver, mut taken) = begun(POST);
    assert_eq!(taken.read_body(), Read::Pending);
    assert_eq!(
        driver.later(driver.turn.settings.body_timeout - 1),
        Fate::Open
    );
    assert_eq!(driver.events(), []);
    assert_eq!(driver.later(1), Fate::Open);
    refused(&mut driver, taken, 408);
}

#[test]
fn an_early_answer_keeps_a_connection_whose_rest_is_small() {
    let (mut driver, taken) = begun(POST);
    assert_eq!(driver.answer(taken, b"early"), Fate::Open);
    let answer = driver.hears();
    assert!(
        answer.ends_with("early") && !answer.contains("Connection: close"),
        "{answer}"
    );
    assert_eq!(driver.patience(), Some(driver.turn.settings.body_timeout));
    assert_eq!(driver.sends("he"), Fate::Open);
    assert_eq!(driver.sends(format!("llo{GET}")), Fate::Open);
    let taken = driver.take().expect("the next request");
    assert_eq!(driver.answer(taken, b"next"), Fate::Open);
    assert!(driver.hears().ends_with("next"));
}

#[test]
fn an_early_answer_says_that_a_large_rest_is_not_read() {
    let large = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 300000\r\n\r\n";
    for request in [large, CHUNKED] {
        let (mut driver, taken) = begun(request);
        assert_eq!(driver.answer(taken, b"early"), Fate::Open);
        let answer = driver.hears();
        assert!(answer.contains("\r\nConnection: close\r\n"), "{answer}");
        assert!(driver.is_ended(), "at once");
        assert_eq!(driver.sends("3\r\nabc\r\n"), Fate::Open, "it is dropped");
        assert_eq!(driver.ends(), Fate::Closed);
    }
}

#[test]
fn an_early_answer_to_a_client_that_waits_for_permission_is_the_last() {
    let head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n";
    let (mut driver, taken) = begun(head);
    assert_eq!(driver.answer(taken, b"early"), Fate::Open);
    assert!(driver.hears().contains("\r\nConnection: close\r\n"));
    assert!(driver.is_ended());
}

#[test]
fn an_early_answer_finds_what_was_left_with_the_kernel() {
    let head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 130000\r\n\r\n";
    let (mut driver, taken) = begun(head);
    for _ in 0..13 {
        assert_eq!(driver.sends([b'x'; 10_000]), Fate::Open);
    }
    assert!(driver.connection.readable, "it was left unread");
    assert_eq!(driver.answer(taken, b"early"), Fate::Open);
    assert!(driver.connection.codec.is_idle(), "no report is needed");
    assert_eq!(driver.exchange(GET, b"next"), Fate::Open);
}

#[test]
fn a_rest_that_does_not_come_ends_the_connection() {
    let (mut driver, taken) = begun(POST);
    assert_eq!(driver.answer(taken, b"early"), Fate::Open);
    driver.hears();
    assert_eq!(
        driver.later(driver.turn.settings.body_timeout),
        Fate::Closed
    );
    assert_eq!(driver.hears(), "", "its request was answered");
}

#[test]
fn a_response_that_outruns_its_client_is_told_of_room() {
    let (mut driver, mut taken) = begun(GET);
    let mut head = proto::h1::ResponseHead::new();
    head.set_status(b"200 OK").unwrap();
    taken.reply.start(head);
    let room = taken.reply.push(&[b'x'; 3_000_000]).unwrap();
    assert_eq!(room, crate::sink::Room::Full);
    assert_eq!(driver.read_inbox(), Fate::Open);
    let mut told = false;
    for _ in 0..200 {
        driver.hears();
        assert_eq!(driver.takes_more(), Fate::Open);
        assert_eq!(driver.go_on(), Fate::Open);
        told |= driver.events().contains(&Event::Room(taken.id()));
    }
    assert!(told);
    assert_eq!(
        taken.reply.push(b"the end").unwrap(),
        crate::sink::Room::Enough
    );
}
