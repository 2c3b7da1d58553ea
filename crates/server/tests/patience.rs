//! How long the server waits for a client, and what counts as waiting.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests say what they expect"
)]

mod double;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use double::wire::{GET, LAST_GET, hear, ok, until};
use double::{Double, Respond};
use server::{Call, Next, Shutdown, Watched};
use settings::Config;

#[test]
fn a_timeout_of_zero_is_none() {
    let config = Config {
        header_timeout: Duration::ZERO,
        body_timeout: Duration::ZERO,
        send_timeout: Duration::ZERO,
        ..Config::default()
    };
    let double = Double::start(&config, 1, |mut exchange: Call| {
        let large = exchange.request.path() == b"/large";
        let size = if large { 20_000_000 } else { 5 };
        exchange.respond(&ok(), &vec![b'x'; size]).unwrap();
    });
    let pieces: [&[u8]; 4] = [
        b"",
        b"POST /large HTTP/1.1\r\nHo",
        b"st: x\r\nConnection: close\r\nContent-Length: 4\r\n\r\nab",
        b"cd",
    ];
    let mut stream = double.connect();
    for piece in pieces {
        stream.write_all(piece).unwrap();
        // Whole turns in which a deadline would pass.
        for _ in 0..3 {
            double.ask(LAST_GET);
        }
    }
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200 "));
    assert!(answer.len() > 20_000_000);
    double.stop(Shutdown::Quick);
}

/// Answers as many requests as that, and leaves the server to itself.
fn answers(server: &Arc<server::Server>, count: usize) -> JoinHandle<()> {
    let server = Arc::clone(server);
    std::thread::spawn(move || {
        for _ in 0..count {
            match server.next() {
                Next::Call(mut exchange) => exchange.respond(&ok(), b"hello").unwrap(),
                Next::Interrupted | Next::Done => return,
            }
        }
    })
}

#[test]
fn requests_that_came_in_time_are_served_by_a_server_that_comes_too_late() {
    // More than the poller tells at once, so that most are not known yet when the clock is looked at.
    const CLIENTS: usize = 600;
    let keep_alive = Duration::from_secs(3);
    let config = Config {
        keepalive: keep_alive,
        ..Config::default()
    };
    let double = Double::start(&config, 0, drop);
    let first = answers(&double.server, CLIENTS);
    let mut kept: Vec<TcpStream> = (0..CLIENTS)
        .map(|_| {
            let mut stream = double.connect();
            stream.write_all(GET).unwrap();
            hear(&mut stream, "hello");
            stream
        })
        .collect();
    first.join().unwrap();
    for stream in &mut kept {
        stream.write_all(GET).unwrap();
    }
    // The time of a machine that does other things; no thread turns the server.
    std::thread::sleep(keep_alive + Duration::from_millis(100));
    let second = answers(&double.server, CLIENTS);
    for stream in &mut kept {
        hear(stream, "hello");
    }
    second.join().unwrap();
}

/// A thread that streams faster than its client reads waits for it.
fn without_spool() -> Config {
    Config {
        limit_response_spool: 0,
        ..Config::default()
    }
}

#[test]
fn a_thread_that_waits_for_a_slow_reader_does_not_count_as_stuck() {
    let (release, released) = mpsc::channel::<()>();
    let released = Mutex::new(released);
    let double = Double::start(&without_spool(), 1, move |mut exchange: Call| {
        exchange.reply.start(ok());
        for _ in 0..20 {
            exchange.reply.write(&vec![b'x'; 1_000_000]).unwrap();
        }
        released.lock().unwrap().recv().unwrap();
        exchange.reply.finish().unwrap();
    });
    let mut slow = double.connect();
    slow.write_all(LAST_GET).unwrap();
    until(|| double.slot.in_flight() == 1 && double.slot.busy_since_ms() == 0);
    std::thread::scope(|scope| {
        let reader = scope.spawn(move || {
            let mut answer = Vec::new();
            slow.read_to_end(&mut answer).unwrap();
            answer.len()
        });
        // The application has the thread again, and the clock runs again.
        until(|| double.slot.in_flight() == 1 && double.slot.busy_since_ms() != 0);
        release.send(()).unwrap();
        assert!(reader.join().unwrap() > 20_000_000);
    });
    until(|| double.slot.in_flight() == 0);
    assert_eq!(double.slot.busy_since_ms(), 0);
    double.stop(Shutdown::Quick);
}

#[test]
fn an_interruption_ends_the_wait_for_a_slow_reader() {
    // The test brings its only thread, so that there is time to watch the pipe.
    let double = Double::start(&without_spool(), 0, drop);
    let pipe = sys::pipe::pipe().unwrap();
    double
        .server
        .watch(pipe.read, Watched::Interruption)
        .unwrap();
    let mut slow = double.connect();
    slow.write_all(GET).unwrap();
    let (tell, told) = mpsc::channel();
    let server = Arc::clone(&double.server);
    let thread = std::thread::spawn(move || {
        while let Next::Call(mut exchange) = server.next() {
            exchange.reply.start(ok());
            // The kernel takes some of it, the queue one more, and the next one waits.
            while exchange.reply.write(&vec![b'x'; 8_000_000]).is_ok() {
                tell.send(()).unwrap();
            }
        }
    });
    until(|| double.slot.in_flight() == 1 && double.slot.busy_since_ms() == 0);
    // As long as the kernel takes more of it, now and then, this is no wait yet.
    let breath = Duration::from_millis(500);
    while told.recv_timeout(breath).is_ok() {}
    sys::pipe::write_byte(pipe.write.as_fd(), 1);
    // A thread that was interrupted goes on until it has to wait again.
    told.recv_timeout(Duration::from_secs(5)).unwrap();
    assert!(told.recv_timeout(breath).is_err());
    double.server.shut_down(Shutdown::Quick);
    thread.join().unwrap();
}

#[test]
fn a_stream_that_outruns_its_client_frees_its_thread() {
    const CHUNK: usize = 300_000;
    let double = Double::start(&Config::default(), 1, |mut exchange: Call| {
        if exchange.request.path() != b"/stream" {
            return exchange.respond(&ok(), b"hello").unwrap();
        }
        exchange.reply.start(ok());
        for number in 0..100u8 {
            exchange.reply.write(&vec![number; CHUNK]).unwrap();
        }
        exchange.reply.finish().unwrap();
    });
    let mut slow = double.connect();
    slow.write_all(b"GET /stream HTTP/1.0\r\n\r\n").unwrap();
    let mut byte = [0];
    slow.read_exact(&mut byte).unwrap();
    let answer = double.ask(LAST_GET);
    assert!(answer.ends_with("hello"), "{answer}");
    let mut rest = Vec::new();
    slow.read_to_end(&mut rest).unwrap();
    let body = &rest[rest.len() - 100 * CHUNK..];
    let expected = |index: usize| (index / CHUNK) as u8;
    assert!(
        body.iter()
            .enumerate()
            .all(|(index, byte)| *byte == expected(index))
    );
    double.stop(Shutdown::Quick);
}
