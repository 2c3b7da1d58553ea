//! WebSockets on the reactor, without Python: an echo in Rust, its bounds, and the end of the server.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests say what they expect"
)]

mod double;

use std::collections::HashMap;
use std::io::{ErrorKind, Read as _, Write};
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use double::Double;
use proto::h1::ResponseHead;
use proto::ws::Incoming;
use server::{Shutdown, WebSocket};
use settings::Config;

const HANDSHAKE: &[u8] =
    b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// A frame of a client, with a mask that changes nothing.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).unwrap();
    let mut frame = vec![first];
    match length {
        0..126 => frame.push(0x80 | length as u8),
        _ => {
            frame.push(0x80 | 126);
            frame.extend_from_slice(&length.to_be_bytes());
        }
    }
    frame.extend_from_slice(&[0; 4]);
    frame.extend_from_slice(payload);
    frame
}

/// Accepts every handshake and echoes what it is told to take. `take` says whether to take messages now.
fn echo(
    config: &Config,
    mut take: impl FnMut() -> bool + Send + 'static,
) -> (Double, Receiver<u16>) {
    let (tell, told) = mpsc::channel();
    let mut open: HashMap<server::ExchangeId, WebSocket> = HashMap::new();
    let double = Double::looped(config, move |look| {
        for exchange in look.calls {
            let handshake = exchange.handshake().unwrap().unwrap();
            let id = exchange.id();
            let socket = exchange
                .accept(&handshake, None, &ResponseHead::default())
                .unwrap();
            open.insert(id, socket);
        }
        if !take() {
            return;
        }
        open.retain(|_, socket| {
            loop {
                match socket.receive() {
                    None => return true,
                    Some(Incoming::Text(text)) => drop(socket.send_text(&text)),
                    Some(Incoming::Binary(data)) => drop(socket.send_binary(&data)),
                    Some(Incoming::Closed(closure)) => {
                        tell.send(closure.code()).unwrap();
                        return false;
                    }
                }
            }
        });
    });
    (double, told)
}

fn upgraded(double: &Double) -> TcpStream {
    let mut stream = double.connect();
    stream.write_all(HANDSHAKE).unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    assert!(head.starts_with(b"HTTP/1.1 101 "));
    stream
}

fn hear(stream: &mut TcpStream, length: usize) -> Vec<u8> {
    let mut read = vec![0; length];
    stream.read_exact(&mut read).unwrap();
    read
}

const SOON: Duration = Duration::from_secs(10);

#[test]
fn messages_are_echoed_until_the_client_closes() {
    let (double, told) = echo(&Config::default(), || true);
    let mut stream = upgraded(&double);
    stream.write_all(&frame(0x81, b"hi")).unwrap();
    assert_eq!(hear(&mut stream, 4), b"\x81\x02hi");
    stream.write_all(&frame(0x88, b"\x0f\xa0bye")).unwrap();
    assert_eq!(hear(&mut stream, 4), b"\x88\x02\x0f\xa0");
    assert_eq!(told.recv_timeout(SOON).unwrap(), 4000);
    assert_eq!(stream.read(&mut [0]).unwrap(), 0);
    double.stop(Shutdown::Quick);
}

#[test]
fn a_client_that_vanishes_is_1006() {
    let (double, told) = echo(&Config::default(), || true);
    drop(upgraded(&double));
    assert_eq!(told.recv_timeout(SOON).unwrap(), 1006);
    double.stop(Shutdown::Quick);
}

#[test]
fn what_nobody_takes_stays_with_the_client_and_is_read_later() {
    let (open, opened) = mpsc::channel::<()>();
    let mut taking = false;
    let (double, _told) = echo(&Config::default(), move || {
        taking |= opened.try_recv().is_ok();
        taking
    });
    let mut stream = upgraded(&double);
    stream.set_nonblocking(true).unwrap();
    let message = frame(0x82, &[7; 60_000]);
    let (mut pending, mut sent) = (Vec::new(), 0);
    let full = loop {
        if pending.is_empty() {
            pending.clone_from(&message);
        }
        match stream.write(&pending) {
            Ok(count) => {
                sent += count;
                pending.drain(..count);
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                if is_full(&stream) {
                    break true;
                }
            }
            Err(error) => panic!("{error}"),
        }
        if sent > 100_000_000 {
            break false;
        }
    };
    assert!(full, "the server has taken {sent} bytes");
    open.send(()).unwrap();
    stream.set_nonblocking(false).unwrap();
    let mut reader = stream.try_clone().unwrap();
    let messages = (sent + pending.len()) / message.len();
    let echoes = std::thread::spawn(move || hear(&mut reader, messages * (60_000 + 4)).len());
    stream.write_all(&pending).unwrap();
    stream.write_all(&frame(0x8a, b"")).unwrap();
    assert_eq!(echoes.join().unwrap(), messages * (60_000 + 4));
    double.stop(Shutdown::Quick);
}

/// Whether the socket takes nothing for half a second.
fn is_full(stream: &TcpStream) -> bool {
    !sys::poll::is_writable(stream.as_fd(), Duration::from_millis(500))
}

#[test]
fn a_server_that_ends_closes_with_1001_and_waits_for_the_answer() {
    let (double, told) = echo(&Config::default(), || true);
    let mut stream = upgraded(&double);
    double.server.shut_down(Shutdown::Graceful);
    assert_eq!(hear(&mut stream, 14), b"\x88\x0c\x03\xe9going away");
    assert_eq!(told.recv_timeout(SOON).unwrap(), 1001);
    stream.write_all(&frame(0x88, b"\x03\xe9")).unwrap();
    assert_eq!(stream.read(&mut [0]).unwrap(), 0);
    double.stop(Shutdown::Graceful);
}
