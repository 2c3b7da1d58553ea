//! One connection over a pair of sockets, with a clock that the tests move and no thread but theirs.

mod driver;
mod ends;
mod streams;
mod websocket;

use settings::Config;
use std::time::Duration;

use self::driver::{Driver, GET, LAST_GET, READABLE};
use super::{Fate, Readiness};
use crate::body::Body;
use crate::options::Service;

pub(crate) use self::driver::dispatcher;

fn config(change: impl FnOnce(&mut Config)) -> Config {
    let mut config = Config::default();
    change(&mut config);
    config
}

fn threads(change: impl FnOnce(&mut Config)) -> Driver {
    Driver::with(&config(change), Service::threads(4))
}

#[test]
fn a_connection_serves_one_request_after_another() {
    let mut driver = Driver::new();
    for round in 1..=50 {
        assert_eq!(driver.exchange(GET, b"hello"), Fate::Open);
        let answer = driver.hears();
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.ends_with("\r\n\r\nhello"), "{answer}");
        assert_eq!(
            driver.connection.exchange.number, round,
            "each has a name of its own"
        );
        assert_eq!(driver.patience(), Some(driver.turn.settings.keep_alive));
        assert!(
            driver.connection.inbound.capacity() == 0,
            "an idle connection holds no buffer"
        );
    }
}

#[test]
fn pipelined_requests_are_answered_in_order_and_one_at_a_time() {
    let mut driver = Driver::new();
    let requests: Vec<String> = (0..3)
        .map(|at| GET.replace("/ ", &format!("/{at} ")))
        .collect();
    assert_eq!(driver.sends(requests.concat()), Fate::Open);
    for at in 0..3 {
        let taken = driver.take().expect("the next request");
        assert_eq!(taken.request.target(), format!("/{at}").as_bytes());
        assert!(driver.take().is_none(), "one at a time");
        assert_eq!(
            driver.answer(taken, format!("answer {at}").as_bytes()),
            Fate::Open
        );
        assert!(driver.hears().ends_with(&format!("answer {at}")));
    }
    assert!(driver.take().is_none());
}

#[test]
fn a_request_in_pieces_is_one_request() {
    let mut driver = Driver::new();
    for byte in GET.as_bytes() {
        assert!(driver.take().is_none());
        assert_eq!(driver.sends([*byte]), Fate::Open);
    }
    let taken = driver.take().unwrap();
    assert_eq!(driver.answer(taken, b"hello"), Fate::Open);
}

#[test]
fn a_client_that_never_speaks_is_closed_without_a_word() {
    let mut driver = Driver::new();
    let patience = driver.turn.settings.header_timeout;
    assert_eq!(driver.later(patience - 1), Fate::Open);
    assert_eq!(driver.later(1), Fate::Closed);
    assert_eq!(driver.hears(), "");
}

#[test]
fn an_idle_client_is_closed_without_a_word() {
    let mut driver = Driver::new();
    assert_eq!(driver.exchange(GET, b"hello"), Fate::Open);
    driver.hears();
    assert_eq!(
        driver.later(driver.turn.settings.keep_alive - 1),
        Fate::Open
    );
    assert_eq!(driver.later(1), Fate::Closed);
    assert_eq!(driver.hears(), "");
}

#[test]
fn a_request_that_came_in_time_counts_though_the_reactor_comes_too_late() {
    let mut driver = Driver::new();
    assert_eq!(driver.exchange(GET, b"hello"), Fate::Open);
    driver.hears();
    driver.sends_unreported(GET);
    assert_eq!(
        driver.later(driver.turn.settings.keep_alive * 2),
        Fate::Open
    );
    let taken = driver.take().expect("the request");
    assert_eq!(driver.answer(taken, b"hello"), Fate::Open);
    assert!(driver.hears().ends_with("hello"));
}

/// What a client reads that is refused, and then the end.
fn refused(driver: &mut Driver, status: &str) {
    let answer = driver.hears();
    assert!(
        answer.starts_with(&format!("HTTP/1.1 {status} ")),
        "{answer}"
    );
    assert!(answer.contains("\r\nConnection: close\r\n"), "{answer}");
    assert!(driver.is_ended(), "our side is shut");
    assert!(driver.take().is_none(), "no application sees it");
    assert_eq!(driver.sends(GET), Fate::Open, "what follows is dropped");
    assert!(driver.take().is_none() && driver.hears().is_empty());
    assert_eq!(driver.later(1999), Fate::Open);
    assert_eq!(driver.later(1), Fate::Closed);
}

#[test]
fn a_head_that_does_not_arrive_in_time_is_answered() {
    let mut driver = Driver::new();
    assert_eq!(driver.sends(&GET[..10]), Fate::Open);
    assert_eq!(
        driver.later(driver.turn.settings.header_timeout),
        Fate::Open
    );
    refused(&mut driver, "408");
}

#[test]
fn a_body_that_does_not_arrive_in_time_is_answered() {
    let mut driver = Driver::new();
    assert_eq!(
        driver.sends("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe"),
        Fate::Open
    );
    assert_eq!(driver.later(driver.turn.settings.body_timeout), Fate::Open);
    refused(&mut driver, "408");
}

#[test]
fn a_request_that_breaks_a_rule_is_answered_and_the_last() {
    let mut driver = Driver::new();
    assert_eq!(driver.sends("GET / HTTP/1.1\r\n\r\n"), Fate::Open);
    refused(&mut driver, "400");
}

#[test]
fn a_body_that_breaks_a_rule_is_answered_and_the_last() {
    let mut driver = Driver::new();
    let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(driver.sends(head), Fate::Open);
    assert_eq!(driver.sends("zz\r\n"), Fate::Open);
    refused(&mut driver, "400");
}

#[test]
fn a_body_that_is_too_large_is_answered_however_it_is_told() {
    let declared = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n";
    let chunked =
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n01234567890";
    for request in [declared, chunked] {
        let mut driver = threads(|config| config.limit_request_body = 10);
        assert_eq!(driver.sends(request), Fate::Open);
        refused(&mut driver, "413");
    }
}

#[test]
fn an_answer_to_head_is_a_head_though_no_application_gives_it() {
    let mut driver = threads(|config| config.limit_request_body = 1);
    assert_eq!(
        driver.sends("HEAD / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n"),
        Fate::Open
    );
    let answer = driver.hears();
    assert!(
        answer.starts_with("HTTP/1.1 413 ") && answer.ends_with("\r\n\r\n"),
        "{answer}"
    );
}

#[test]
fn a_request_beyond_those_that_may_be_is_turned_away() {
    let mut driver = threads(|config| config.limit_concurrency = 1);
    assert_eq!(driver.sends(GET), Fate::Open);
    let taken = driver.take().expect("the first");
    let mut second = Driver::new();
    std::mem::swap(&mut driver.turn, &mut second.turn);
    assert_eq!(second.sends(GET), Fate::Open);
    let answer = second.hears();
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert!(answer.contains("\r\nRetry-After: 1\r\n"), "{answer}");
    std::mem::swap(&mut driver.turn, &mut second.turn);
    assert_eq!(driver.answer(taken, b"hello"), Fate::Open);
    assert!(driver.hears().ends_with("hello"));
}

#[test]
fn a_body_is_whole_before_a_thread_gets_it() {
    let mut driver = Driver::new();
    assert_eq!(
        driver.sends("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n"),
        Fate::Open
    );
    for byte in b"hello" {
        assert!(driver.take().is_none());
        assert_eq!(driver.sends([*byte]), Fate::Open);
    }
    let mut taken = driver.take().expect("the request");
    assert!(matches!(taken.take_body(), Body::Memory(body) if body == b"hello"));
    assert!(matches!(taken.take_body(), Body::Empty), "once");
    assert_eq!(driver.answer(taken, b"thanks"), Fate::Open);
    assert!(driver.hears().ends_with("thanks"));
}

#[test]
fn a_body_in_chunks_that_outgrows_the_memory_is_in_a_file() {
    let mut driver = Driver::new();
    let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(driver.sends(head), Fate::Open);
    let chunk = format!("{:x}\r\n{}\r\n", 30_000, "x".repeat(30_000));
    for _ in 0..10 {
        assert_eq!(driver.sends(&chunk), Fate::Open);
        assert_eq!(driver.go_on(), Fate::Open);
    }
    assert_eq!(driver.sends("0\r\n\r\n"), Fate::Open);
    let mut taken = driver.take().expect("the request");
    assert!(matches!(taken.take_body(), Body::File(file) if file.length() == 300_000));
}

#[test]
fn a_client_that_waits_for_permission_gets_it_at_once_from_a_server_that_collects() {
    let head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n";
    let mut driver = Driver::new();
    assert_eq!(driver.sends(head), Fate::Open);
    assert_eq!(driver.hears(), "HTTP/1.1 100 Continue\r\n\r\n");
    assert_eq!(driver.sends("he"), Fate::Open);
    assert_eq!(driver.hears(), "", "once");
    let mut driver = Driver::new();
    assert_eq!(driver.sends(format!("{head}h")), Fate::Open);
    assert_eq!(driver.hears(), "", "it has begun without");
}

#[test]
fn a_request_that_finds_no_thread_stays_unread_while_another_worker_may_take_it() {
    let mut driver = Driver::new();
    driver.turn.admission.free = 0;
    driver.turn.admission.has_others = true;
    assert_eq!(driver.sends(GET), Fate::Open);
    assert!(driver.take().is_none());
    assert!(driver.connection.may_travel() && driver.connection.inbound.is_empty());
    assert_eq!(driver.turn.admission.deferred, [driver.connection.id]);
    assert_eq!(driver.later(1_000_000_000), Fate::Open, "it may wait");
    driver.turn.admission.free = 1;
    let fate = driver.connection.end_deferral(&mut driver.turn);
    assert_eq!(fate, Fate::Open);
    assert!(driver.take().is_some());
}

#[test]
fn a_worker_that_is_alone_reads_on_though_no_thread_is_free() {
    let mut driver = Driver::new();
    driver.turn.admission.free = 0;
    assert_eq!(driver.sends(GET), Fate::Open);
    assert!(driver.turn.admission.deferred.is_empty() && driver.turn.ready.len() == 1);
}

#[test]
fn what_is_read_of_a_request_binds_it_to_its_worker() {
    let mut driver = Driver::new();
    assert!(driver.connection.may_travel());
    assert_eq!(driver.sends(&GET[..9]), Fate::Open);
    assert!(!driver.connection.may_travel());
    driver.turn.admission.free = 0;
    driver.turn.admission.has_others = true;
    assert_eq!(driver.sends(&GET[9..]), Fate::Open);
    assert_eq!(driver.turn.ready.len(), 1);
}

#[test]
fn a_connection_takes_turns_with_others() {
    let mut driver = Driver::new();
    driver.turn.admission.free = 1;
    // More than one turn reads; the rest is read in the next.
    let body = vec![b'x'; 150_000];
    let head = format!(
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    driver.turn.scratch = vec![0; 1024].into_boxed_slice();
    assert_eq!(driver.sends([head.as_bytes(), &body].concat()), Fate::Open);
    assert!(driver.take().is_none());
    assert_eq!(driver.turn.again, [driver.connection.id]);
    assert_eq!(driver.go_on(), Fate::Open);
    assert!(driver.take().is_some());
}

#[test]
fn a_proxy_that_is_believed_names_the_client_and_the_scheme() {
    let mut driver = threads(|config| config.proxy_headers = true);
    let request = "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: https\r\n\r\n";
    assert_eq!(driver.sends(request), Fate::Open);
    let taken = driver.take().unwrap();
    let client = crate::peer::Peer::Inet("192.0.2.7:0".parse().unwrap());
    assert_eq!(*taken.peer(), client);
    assert_eq!(taken.scheme().as_str(), "https");
}

#[test]
fn a_proxy_that_contradicts_itself_is_refused() {
    let mut driver = Driver::new();
    let request =
        "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Ssl: off\r\n\r\n";
    assert_eq!(driver.sends(request), Fate::Open);
    refused(&mut driver, "400");
}

#[test]
fn idle_times_of_zero_keep_no_connection() {
    let mut driver = threads(|config| config.keepalive = Duration::ZERO);
    assert_eq!(driver.exchange(GET, b"hello"), Fate::Closed);
    assert!(driver.hears().contains("\r\nConnection: close\r\n"));
}

#[test]
fn a_server_that_comes_to_its_end_keeps_no_connection() {
    let mut driver = Driver::new();
    assert_eq!(driver.exchange(GET, b"hello"), Fate::Open);
    driver.hears();
    driver.turn.settings.keep_alive = 2000;
    assert_eq!(driver.connection.wind_down(&mut driver.turn), Fate::Open);
    assert_eq!(driver.patience(), Some(2000));
    driver
        .turn
        .dispatcher
        .shut_down(crate::server::Shutdown::Graceful);
    // The last request of a client that may have sent it already.
    assert_eq!(driver.exchange(GET, b"hello"), Fate::Closed);
    assert!(driver.hears().contains("\r\nConnection: close\r\n"));
}

#[test]
fn a_last_request_ends_the_connection() {
    let mut driver = Driver::new();
    assert_eq!(driver.exchange(LAST_GET, b"hello"), Fate::Closed);
    let answer = driver.hears();
    assert!(
        answer.contains("\r\nConnection: close\r\n") && answer.ends_with("hello"),
        "{answer}"
    );
}

#[test]
fn a_report_of_nothing_changes_nothing() {
    let mut driver = Driver::new();
    let nothing = Readiness {
        readable: false,
        ..READABLE
    };
    let before = driver.patience();
    assert_eq!(driver.report(nothing), Fate::Open);
    assert_eq!(driver.report(READABLE), Fate::Open, "nothing is there");
    assert_eq!(driver.patience(), before);
}
