//! Exchanges over real sockets, without an interpreter.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests say what they expect"
)]

mod double;

use std::io::{Read, Write};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use double::wire::{GET, HEADER_TIMEOUT, LAST_GET, hear, ok, until};
use double::{Double, Respond};
use proto::h1::ResponseHead;
use server::{Body, Call, Shutdown};
use settings::Config;

fn hello(mut exchange: Call) {
    exchange.respond(&ok(), b"hello").unwrap();
}

#[test]
fn a_connection_serves_one_request_after_another() {
    let double = Double::start(&Config::default(), 1, hello);
    let mut stream = double.connect();
    for _ in 0..100 {
        stream.write_all(GET).unwrap();
        let answer = hear(&mut stream, "hello");
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.contains("\r\nContent-Length: 5\r\n"), "{answer}");
    }
    assert_eq!(double.slot.requests(), 100);
    double.stop(Shutdown::Quick);
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let double = Double::start(&Config::default(), 1, |mut exchange: Call| {
        let path = exchange.request.path().to_vec();
        exchange.respond(&ok(), &path).unwrap();
    });
    let requests: String = (0..50)
        .map(|index| format!("GET /{index:02} HTTP/1.1\r\nHost: x\r\n\r\n"))
        .collect();
    let last = "GET /end HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let answer = double.ask((requests + last).as_bytes());
    let bodies: Vec<&str> = answer
        .split("\r\n\r\n")
        .skip(1)
        .map(|rest| &rest[..3])
        .collect();
    let expected: Vec<String> = (0..50).map(|index| format!("/{index:02}")).collect();
    assert_eq!(bodies[..50], expected);
    assert!(answer.ends_with("/end"));
    double.stop(Shutdown::Quick);
}

#[test]
fn a_request_that_comes_byte_by_byte_is_served() {
    let double = Double::start(&Config::default(), 1, |mut exchange: Call| {
        let Body::Memory(body) = exchange.take_body() else {
            panic!("no body")
        };
        exchange.respond(&ok(), &body).unwrap();
    });
    let mut stream = double.connect();
    stream.set_nodelay(true).unwrap();
    for byte in b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n" {
        stream.write_all(&[*byte]).unwrap();
    }
    assert!(hear(&mut stream, "abcde").starts_with("HTTP/1.1 200"));
    double.stop(Shutdown::Quick);
}

#[test]
fn a_refused_request_gets_its_answer_though_its_body_is_not_read() {
    let double = Double::start(&Config::default(), 1, hello);
    let mut stream = double.connect();
    stream
        .write_all(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n")
        .unwrap();
    // A server that closes with this unread resets the connection, and the answer is lost.
    let _ = stream.write_all(&vec![b'x'; 1_000_000]);
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    assert!(
        answer.starts_with(b"HTTP/1.1 400 "),
        "{}",
        String::from_utf8_lossy(&answer)
    );
    double.stop(Shutdown::Quick);
}

#[test]
fn an_answer_to_head_has_no_body_though_the_application_did_not_see_the_request() {
    let config = Config {
        limit_request_body: 1,
        ..Config::default()
    };
    let double = Double::start(&config, 1, hello);
    let answer = double.ask(b"HEAD / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab");
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert!(answer.ends_with("\r\n\r\n"), "{answer}");
    double.stop(Shutdown::Quick);
}

#[test]
fn a_head_that_does_not_arrive_in_time_is_answered_408() {
    let config = Config {
        header_timeout: HEADER_TIMEOUT,
        ..Config::default()
    };
    let double = Double::start(&config, 1, hello);
    assert!(
        double
            .ask(b"GET / HTTP/1.1\r\nHos")
            .starts_with("HTTP/1.1 408 ")
    );
    double.stop(Shutdown::Quick);
}

#[test]
fn a_connection_that_never_speaks_is_closed_without_a_word() {
    let config = Config {
        header_timeout: HEADER_TIMEOUT,
        ..Config::default()
    };
    let double = Double::start(&config, 1, hello);
    assert_eq!(double.ask(b""), "");
    double.stop(Shutdown::Quick);
}

#[test]
fn a_large_response_to_a_slow_reader_holds_no_thread() {
    let double = Double::start(&Config::default(), 1, |mut exchange: Call| {
        let body = if exchange.request.path() == b"/large" {
            vec![b'x'; 20_000_000]
        } else {
            b"hello".to_vec()
        };
        exchange.respond(&ok(), &body).unwrap();
    });
    let mut slow = double.connect();
    slow.write_all(b"GET /large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .unwrap();
    hear(&mut slow, "\r\n\r\n");
    assert!(double.ask(LAST_GET).ends_with("hello"));
    let mut rest = Vec::new();
    slow.read_to_end(&mut rest).unwrap();
    assert_eq!(rest.len(), 20_000_000);
    double.stop(Shutdown::Quick);
}

#[test]
fn a_body_shorter_than_promised_closes_the_connection() {
    let double = Double::start(&Config::default(), 1, |mut exchange: Call| {
        let mut head = ok();
        head.push(b"Content-Length", b"10").unwrap();
        exchange.reply.start(head);
        exchange.reply.write(b"12345").unwrap();
        exchange.reply.finish().unwrap();
    });
    assert!(double.ask(GET).ends_with("\r\n\r\n12345"));
    double.stop(Shutdown::Quick);
}

#[test]
fn each_chunk_is_on_the_wire_before_the_next_is_asked_for() {
    let (send, receive) = mpsc::channel::<()>();
    let receive = Mutex::new(receive);
    let double = Double::start(&Config::default(), 1, move |mut exchange: Call| {
        exchange.reply.start(ok());
        exchange.reply.write(b"first").unwrap();
        receive.lock().unwrap().recv().unwrap();
        exchange.reply.write(b"second").unwrap();
        exchange.reply.finish().unwrap();
    });
    let mut stream = double.connect();
    stream.write_all(GET).unwrap();
    assert!(hear(&mut stream, "5\r\nfirst\r\n").contains("Transfer-Encoding: chunked"));
    send.send(()).unwrap();
    assert_eq!(hear(&mut stream, "0\r\n\r\n"), "6\r\nsecond\r\n0\r\n\r\n");
    double.stop(Shutdown::Quick);
}

#[test]
fn a_queued_request_is_dropped_when_its_client_has_left() {
    let paths = Arc::new(Mutex::new(Vec::new()));
    let (seen, (send, receive)) = (Arc::clone(&paths), mpsc::channel::<()>());
    let receive = Mutex::new(receive);
    let double = Double::start(&Config::default(), 1, move |exchange: Call| {
        seen.lock()
            .unwrap()
            .push(String::from_utf8_lossy(exchange.request.path()).into_owned());
        if exchange.request.path() == b"/first" {
            receive.lock().unwrap().recv().unwrap();
        }
        hello(exchange);
    });
    let [mut first, mut gone, probe, second_probe] = std::array::from_fn(|_| {
        let mut stream = double.connect();
        stream.write_all(GET).unwrap();
        hear(&mut stream, "hello");
        stream
    });
    first
        .write_all(b"GET /first HTTP/1.1\r\nHost: x\r\n\r\n")
        .unwrap();
    until(|| double.slot.in_flight() != 0);
    gone.write_all(b"GET /gone HTTP/1.1\r\nHost: x\r\n\r\n")
        .unwrap();
    socket2::SockRef::from(&gone)
        .set_linger(Some(Duration::ZERO))
        .unwrap();
    drop(gone); // A reset.
    // The watchdog answers these; by the second answer it has had a whole turn in which to see the reset.
    for mut probe in [probe, second_probe] {
        probe.write_all(b"nonsense\r\n\r\n").unwrap();
        hear(&mut probe, "\r\n\r\n");
    }
    send.send(()).unwrap();
    hear(&mut first, "hello");
    first
        .write_all(b"GET /last HTTP/1.1\r\nHost: x\r\n\r\n")
        .unwrap();
    hear(&mut first, "hello");
    assert_eq!(paths.lock().unwrap()[4..], ["/first", "/last"]);
    double.stop(Shutdown::Quick);
}

#[test]
fn an_interim_status_as_the_whole_answer_ends_the_connection() {
    let double = Double::start(&Config::default(), 1, |mut exchange: Call| {
        let mut head = ResponseHead::new();
        head.set_status(b"103 Early Hints").unwrap();
        exchange.respond(&head, b"").unwrap();
    });
    // A client would take the answer to its next request for the answer to this one.
    let answer = double.ask(&[GET, GET].concat());
    assert_eq!(answer, "HTTP/1.1 103 Early Hints\r\n\r\n");
    double.stop(Shutdown::Quick);
}
