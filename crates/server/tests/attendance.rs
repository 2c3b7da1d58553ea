//! While every thread is inside the application, the reactor is attended to all the same.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests say what they expect"
)]

mod double;

use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use double::wire::{HEADER_TIMEOUT, ok, until};
use double::{Double, Respond};
use server::{Call, Next, Shutdown, Watched};
use settings::Config;

/// A server whose `/hang` waits until it is released.
fn hanging(config: &Config, threads: u32) -> (Double, Sender<()>) {
    let (release, released) = mpsc::channel();
    let released: Mutex<Receiver<()>> = Mutex::new(released);
    let double = Double::start(config, threads, move |mut exchange: Call| {
        if exchange.request.path() == b"/hang" {
            released.lock().unwrap().recv().unwrap();
        }
        let body = if exchange.request.path() == b"/large" {
            vec![b'x'; 20_000_000]
        } else {
            b"hello".to_vec()
        };
        // Whether it arrives is the clients' to say.
        let _ = exchange.respond(&ok(), &body);
    });
    (double, release)
}

fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").into_bytes()
}

fn hang(double: &Double) -> std::net::TcpStream {
    let mut stream = double.connect();
    stream.write_all(&get("/hang")).unwrap();
    until(|| double.slot.in_flight() != 0);
    stream
}

fn rest(mut stream: std::net::TcpStream) -> Vec<u8> {
    let mut read = Vec::new();
    stream.read_to_end(&mut read).unwrap();
    read
}

#[test]
fn a_timeout_passes_while_the_application_hangs() {
    let config = Config {
        header_timeout: HEADER_TIMEOUT,
        ..Config::default()
    };
    let (double, release) = hanging(&config, 1);
    let mut half = double.connect();
    half.write_all(b"GET / HT").unwrap();
    let hung = hang(&double);
    assert!(rest(half).starts_with(b"HTTP/1.1 408 "));
    release.send(()).unwrap();
    assert!(rest(hung).ends_with(b"hello"));
    double.stop(Shutdown::Quick);
}

#[test]
fn a_slow_reader_is_fed_while_the_application_hangs() {
    let (double, release) = hanging(&Config::default(), 1);
    let mut slow = double.connect();
    slow.write_all(&get("/large")).unwrap();
    let mut byte = [0];
    slow.read_exact(&mut byte).unwrap();
    let hung = hang(&double);
    assert!(rest(slow).len() > 20_000_000);
    release.send(()).unwrap();
    rest(hung);
    double.stop(Shutdown::Quick);
}

#[test]
fn another_thread_serves_while_one_hangs() {
    let (double, release) = hanging(&Config::default(), 2);
    let hung = hang(&double);
    for _ in 0..50 {
        assert!(double.ask(&get("/")).ends_with("hello"));
    }
    release.send(()).unwrap();
    assert!(rest(hung).ends_with(b"hello"));
    double.stop(Shutdown::Quick);
}

#[test]
fn a_client_that_comes_while_all_threads_hang_is_served_afterwards() {
    let (double, release) = hanging(&Config::default(), 1);
    let hung = hang(&double);
    let mut waiting = double.connect();
    waiting.write_all(&get("/")).unwrap();
    release.send(()).unwrap();
    rest(hung);
    assert!(rest(waiting).ends_with(b"hello"));
    double.stop(Shutdown::Quick);
}

#[test]
fn a_graceful_stop_waits_for_the_request_and_serves_who_waits_to_be_accepted() {
    let (double, release) = hanging(&Config::default(), 1);
    let hung = hang(&double);
    let waiting: Vec<_> = (0..20)
        .map(|_| {
            let mut stream = double.connect();
            stream.write_all(&get("/")).unwrap();
            stream
        })
        .collect();
    double.server.shut_down(Shutdown::Graceful);
    release.send(()).unwrap();
    assert!(rest(hung).ends_with(b"hello"));
    for stream in waiting {
        assert!(rest(stream).ends_with(b"hello"));
    }
    double.stop(Shutdown::Graceful);
}

#[test]
fn an_interruption_that_another_thread_took_is_told_to_the_one_that_stands_aside() {
    // The test is its only thread.
    let double = Double::start(&Config::default(), 0, drop);
    let pipe = sys::pipe::pipe().unwrap();
    double
        .server
        .watch(pipe.read, Watched::Interruption)
        .unwrap();
    sys::pipe::write_byte(pipe.write.as_fd(), 1);
    assert!(matches!(double.server.next(), Next::Interrupted));
    let (tell, told) = mpsc::channel();
    let server = Arc::clone(&double.server);
    std::thread::spawn(move || tell.send(matches!(server.stand_aside(), Next::Interrupted)));
    assert!(told.recv_timeout(Duration::from_secs(5)).unwrap());
}

#[test]
fn a_connection_that_idles_after_a_long_call_is_closed_in_time() {
    let config = Config {
        header_timeout: HEADER_TIMEOUT,
        keepalive: Duration::from_millis(100),
        ..Config::default()
    };
    let (double, release) = hanging(&config, 2);
    let mut stream = double.connect();
    stream
        .write_all(b"GET /hang HTTP/1.1\r\nHost: x\r\n\r\n")
        .unwrap();
    // The deadline from before the call has passed, and the other thread waits in the poller with none in sight.
    std::thread::sleep(HEADER_TIMEOUT + Duration::from_millis(100));
    release.send(()).unwrap();
    assert!(rest(stream).ends_with(b"hello"));
    double.stop(Shutdown::Quick);
}

#[test]
fn who_waits_for_a_thread_that_is_given_up_is_answered() {
    let (double, release) = hanging(&Config::default(), 1);
    let hung = hang(&double);
    double.server.answer_overdue();
    let answer = rest(hung);
    assert!(answer.starts_with(b"HTTP/1.1 504 "));
    assert!(answer.ends_with(b"</html>\n"));
    // Its thread finds the connection gone, and the next request a connection of its own.
    release.send(()).unwrap();
    double.stop(Shutdown::Quick);
}
