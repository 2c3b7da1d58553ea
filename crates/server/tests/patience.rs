//! How long the server waits for a client, and what counts as waiting.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests say what they expect"
)]

mod double;

use std::io::{Read, Write};
use std::time::Duration;

use double::Double;
use proto::h1::ResponseHead;
use server::{Exchange, Shutdown};
use settings::Config;

fn ok() -> ResponseHead {
    let mut head = ResponseHead::new();
    head.set_status(b"200 OK").unwrap();
    head
}

#[test]
fn a_timeout_of_zero_is_none() {
    let config = Config {
        header_timeout: Duration::ZERO,
        body_timeout: Duration::ZERO,
        send_timeout: Duration::ZERO,
        ..Config::default()
    };
    let double = Double::start(&config, 1, |mut exchange: Exchange| {
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
            double.ask(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        }
    }
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200 "));
    assert!(answer.len() > 20_000_000);
    double.stop(Shutdown::Quick);
}
