//! Who is accepted, and at whose cost.
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

use double::wire::{GET, hear, ok, until};
use double::{Double, Respond};
use server::{Call, Shutdown};
use settings::Config;

fn answer(mut exchange: Call) {
    exchange.respond(&ok(), b"A").unwrap();
}

/// One request on a kept-alive connection.
fn ask(stream: &mut TcpStream) {
    stream.write_all(GET).unwrap();
    hear(stream, "\r\n\r\nA");
}

#[test]
fn at_the_limit_of_connections_those_idle_for_longest_make_room() {
    let config = Config {
        worker_connections: 4,
        ..Config::default()
    };
    let double = Double::start(&config, 1, answer);
    let mut kept: Vec<TcpStream> = (0..4).map(|_| double.connect()).collect();
    for index in [0, 2, 3, 1] {
        ask(&mut kept[index]);
    }
    let mut new = Vec::new();
    for index in [0, 2, 3] {
        new.push(double.connect());
        assert_eq!(kept[index].read(&mut [0]).unwrap(), 0);
    }
    new.iter_mut().for_each(ask);
    ask(&mut kept[1]);
    double.stop(Shutdown::Quick);
}

#[test]
fn a_crowd_at_one_listener_does_not_keep_the_other_waiting() {
    let (order, served) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let released = Mutex::new(released);
    let double = Double::start(&Config::default(), 1, move |exchange: Call| {
        if exchange.request.path() == b"/hang" {
            released.lock().unwrap().recv().unwrap();
        }
        order.send(exchange.request.path().to_vec()).unwrap();
        answer(exchange);
    });
    let send = |address, path: &str| {
        let mut stream = TcpStream::connect(address).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        stream
    };
    let _hung = send(double.address, "/hang");
    until(|| double.slot.in_flight() != 0);
    let _crowd: Vec<TcpStream> = (0..50).map(|_| send(double.address, "/crowd")).collect();
    let _quiet = send(double.second_address, "/quiet");
    release.send(()).unwrap();
    let place = served.iter().position(|path| path == b"/quiet").unwrap();
    assert!(place < 10, "it was number {place}");
    double.stop(Shutdown::Quick);
}
