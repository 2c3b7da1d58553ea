//! Connections that travel between workers.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests say what they expect"
)]

mod double;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Mutex;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use double::wire::{GET, hear, ok, until};
use double::{Double, Respond, Shared};
use server::{Call, Shutdown};
use settings::Config;

fn answer(mut exchange: Call, body: &[u8]) {
    exchange.respond(&ok(), body).unwrap();
}

/// One request on a kept-alive connection; the answer's body is one letter.
fn ask(stream: &mut TcpStream) -> char {
    stream.write_all(GET).unwrap();
    hear_letter(stream)
}

fn hear_letter(stream: &mut TcpStream) -> char {
    hear(stream, "\r\n\r\n");
    let mut byte = [0];
    stream.read_exact(&mut byte).unwrap();
    byte[0].into()
}

#[test]
fn a_request_on_a_saturated_worker_is_served_by_another() {
    let shared = Shared::new();
    let (release, released) = mpsc::channel::<()>();
    let released = Mutex::new(released);
    let first = shared.worker(0, move |exchange: Call| {
        if exchange.request.path() == b"/hang" {
            released.lock().unwrap().recv().unwrap();
        }
        answer(exchange, b"A");
    });
    let [mut hung, mut kept, mut pipelined] = std::array::from_fn(|_| {
        let mut stream = first.connect();
        assert_eq!(ask(&mut stream), 'A');
        stream
    });
    let second = shared.worker(1, |exchange: Call| answer(exchange, b"B"));
    // The first worker looks for others ten times a second, when it has something to do.
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(150) {
        assert_eq!(ask(&mut kept), 'A');
    }
    hung.write_all(b"GET /hang HTTP/1.1\r\nHost: x\r\n\r\n")
        .unwrap();
    until(|| first.slot.in_flight() == 1);
    assert_eq!(ask(&mut kept), 'B');
    assert_eq!(ask(&mut kept), 'B');
    pipelined
        .write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n")
        .unwrap();
    assert_eq!(hear_letter(&mut pipelined), 'B');
    assert_eq!(hear_letter(&mut pipelined), 'B');
    release.send(()).unwrap();
    assert_eq!(hear_letter(&mut hung), 'A');
    first.stop(Shutdown::Quick);
    second.stop(Shutdown::Quick);
}

#[test]
fn an_idle_connection_outlives_its_worker() {
    let shared = Shared::new();
    let first = shared.worker(0, |exchange: Call| answer(exchange, b"A"));
    let mut kept: Vec<TcpStream> = (0..50).map(|_| first.connect()).collect();
    assert!(kept.iter_mut().all(|stream| ask(stream) == 'A'));
    let second = shared.worker(1, |exchange: Call| answer(exchange, b"B"));
    stop(first);
    assert!(kept.iter_mut().all(|stream| ask(stream) == 'B'));
    second.stop(Shutdown::Quick);
}

#[test]
fn the_last_worker_keeps_its_connections_a_little_for_a_request_that_is_on_its_way() {
    let shared = Shared::new();
    let only = shared.worker(0, |exchange: Call| answer(exchange, b"A"));
    let mut kept = only.connect();
    assert_eq!(ask(&mut kept), 'A');
    only.server.shut_down(Shutdown::Graceful);
    assert_eq!(ask(&mut kept), 'A');
    stop(only);
}

#[test]
fn a_request_that_waits_for_a_free_worker_survives_the_end_of_all_workers() {
    let shared = Shared::new();
    shared.another_is_saturated(1);
    let (release, released) = mpsc::channel::<()>();
    let released = Mutex::new(released);
    let worker = shared.worker(0, move |exchange: Call| {
        if exchange.request.path() == b"/hang" {
            released.lock().unwrap().recv().unwrap();
        }
        answer(exchange, b"A");
    });
    let mut kept: Vec<TcpStream> = (0..5).map(|_| worker.connect()).collect();
    assert!(kept.iter_mut().all(|stream| ask(stream) == 'A'));
    let mut hung = worker.connect();
    hung.write_all(b"GET /hang HTTP/1.1\r\nHost: x\r\n\r\n")
        .unwrap();
    until(|| worker.slot.in_flight() == 1);
    for stream in &mut kept {
        stream.write_all(GET).unwrap();
    }
    shared.close_queue();
    worker.server.shut_down(Shutdown::Graceful);
    until(|| worker.slot.state() == sys::scoreboard::State::Stopping);
    release.send(()).unwrap();
    assert_eq!(hear_letter(&mut hung), 'A');
    assert!(kept.iter_mut().all(|stream| hear_letter(stream) == 'A'));
    worker.stop(Shutdown::Graceful);
}

#[test]
fn a_request_that_waits_is_not_given_up_when_its_worker_stops_listening() {
    let shared = Shared::new();
    shared.another_is_saturated(1);
    let (release, released) = mpsc::channel::<()>();
    let released = Mutex::new(released);
    let config = Config {
        graceful_timeout: Duration::from_millis(200),
        ..Config::default()
    };
    let worker = shared.worker_with(&config, 0, move |exchange: Call| {
        if exchange.request.path() == b"/hang" {
            released.lock().unwrap().recv().unwrap();
        }
        answer(exchange, b"A");
    });
    let mut waiting = worker.connect();
    assert_eq!(ask(&mut waiting), 'A');
    let mut hung = worker.connect();
    hung.write_all(b"GET /hang HTTP/1.1\r\nHost: x\r\n\r\n")
        .unwrap();
    until(|| worker.slot.in_flight() == 1);
    waiting.write_all(GET).unwrap();
    // The other worker dies, so that this one keeps what it has.
    std::thread::sleep(Duration::from_millis(50));
    shared.another_is_gone(1);
    worker.server.shut_down(Shutdown::Graceful);
    // Longer than an idle connection is kept.
    std::thread::sleep(Duration::from_millis(2500));
    release.send(()).unwrap();
    assert_eq!(hear_letter(&mut hung), 'A');
    assert_eq!(hear_letter(&mut waiting), 'A');
    worker.stop(Shutdown::Graceful);
}

fn stop(double: Double) {
    double.slot.set_state(sys::scoreboard::State::Stopping);
    double.stop(Shutdown::Graceful);
}
