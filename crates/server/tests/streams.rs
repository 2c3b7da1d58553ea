//! A server that an event loop drives: bodies are read while they arrive, and nothing waits.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests say what they expect"
)]

mod double;

use std::collections::HashMap;
use std::io::{Read as _, Write};
use std::net::Shutdown as Side;
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::Duration;

use double::wire::{GET, HEADER_TIMEOUT, hear, ok};
use double::{Double, Respond};
use server::{Call, Event, ExchangeId, Read, Room, Shutdown};
use settings::Config;

/// Reads every body as it comes, says what it read, and answers with its length.
fn counting(config: &Config) -> (Double, Receiver<Vec<u8>>) {
    let (tell, told): (Sender<Vec<u8>>, _) = mpsc::channel();
    let mut open: HashMap<ExchangeId, (Call, usize)> = HashMap::new();
    let double = Double::looped(config, move |look| {
        let mut due: Vec<ExchangeId> = Vec::new();
        for exchange in look.calls {
            due.push(exchange.id());
            open.insert(exchange.id(), (exchange, 0));
        }
        due.extend(look.events.iter().filter_map(|event| match event {
            Event::Body(id) => Some(*id),
            Event::Message(_) | Event::Room(_) | Event::Gone(_) | Event::Overdue(_) => None,
        }));
        for id in due {
            let Some((mut exchange, mut length)) = open.remove(&id) else {
                continue;
            };
            loop {
                match exchange.read_body() {
                    Read::Chunk { data, more } => {
                        length += data.len();
                        tell.send(data).unwrap();
                        if !more {
                            exchange
                                .respond(&ok(), length.to_string().as_bytes())
                                .unwrap();
                            break;
                        }
                    }
                    Read::Pending => {
                        open.insert(id, (exchange, length));
                        break;
                    }
                    Read::Gone | Read::Refused { .. } => {
                        tell.send(b"gone".to_vec()).unwrap();
                        break;
                    }
                }
            }
        }
    });
    (double, told)
}

const SOON: Duration = Duration::from_secs(10);

/// The head of a request and a third of its body.
const BEGUN: &[u8] = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\nab";
/// A request whose body of two bytes is sent when it is asked for.
const EXPECTANT: &[u8] =
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n";

#[test]
fn a_body_is_read_while_it_arrives() {
    let (double, told) = counting(&Config::default());
    let mut stream = double.connect();
    stream.write_all(BEGUN).unwrap();
    assert_eq!(told.recv_timeout(SOON).unwrap(), b"ab");
    stream.write_all(b"cd").unwrap();
    assert_eq!(told.recv_timeout(SOON).unwrap(), b"cd");
    stream
        .write_all(b"efGET / HTTP/1.1\r\nHost: x\r\n\r\n")
        .unwrap();
    hear(&mut stream, "\r\n\r\n6");
    hear(&mut stream, "\r\n\r\n0");
    double.stop(Shutdown::Quick);
}

#[test]
fn a_long_body_arrives_whole() {
    let (double, _told) = counting(&Config::default());
    let mut stream = double.connect();
    stream
        .write_all(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5000000\r\n\r\n")
        .unwrap();
    stream.write_all(&vec![b'x'; 5_000_000]).unwrap();
    hear(&mut stream, "\r\n\r\n5000000");
    double.stop(Shutdown::Quick);
}

#[test]
fn a_client_that_asks_is_told_to_continue_once_its_body_is_wanted() {
    let (double, _told) = counting(&Config::default());
    let mut stream = double.connect();
    stream.write_all(EXPECTANT).unwrap();
    assert!(hear(&mut stream, "\r\n\r\n").starts_with("HTTP/1.1 100 "));
    stream.write_all(b"ab").unwrap();
    hear(&mut stream, "\r\n\r\n2");
    double.stop(Shutdown::Quick);
}

#[test]
fn nobody_is_told_to_continue_in_the_middle_of_a_response() {
    let double = Double::looped(&Config::default(), move |look| {
        for mut exchange in look.calls {
            exchange.reply.start(ok());
            exchange.reply.push(b"begun").unwrap();
            assert_eq!(exchange.read_body(), Read::Pending);
            exchange.reply.push(b"done").unwrap();
            exchange.reply.finish().unwrap();
        }
    });
    let mut stream = double.connect();
    stream.write_all(EXPECTANT).unwrap();
    assert!(hear(&mut stream, "\r\n\r\n").starts_with("HTTP/1.1 200 "));
    assert_eq!(
        hear(&mut stream, "\r\n0\r\n\r\n"),
        "5\r\nbegun\r\n4\r\ndone\r\n0\r\n\r\n"
    );
    double.stop(Shutdown::Quick);
}

#[test]
fn a_body_that_breaks_off_is_noticed() {
    let (double, told) = counting(&Config::default());
    let mut stream = double.connect();
    stream.write_all(BEGUN).unwrap();
    assert_eq!(told.recv_timeout(SOON).unwrap(), b"ab");
    drop(stream);
    assert_eq!(told.recv_timeout(SOON).unwrap(), b"gone");
    double.stop(Shutdown::Quick);
}

#[test]
fn a_body_that_stops_arriving_is_given_up() {
    let config = Config {
        body_timeout: Duration::from_millis(100),
        ..Config::default()
    };
    let (double, told) = counting(&config);
    let mut stream = double.connect();
    stream.write_all(BEGUN).unwrap();
    assert_eq!(told.recv_timeout(SOON).unwrap(), b"ab");
    assert_eq!(told.recv_timeout(SOON).unwrap(), b"gone");
    double.stop(Shutdown::Quick);
}

#[test]
fn a_body_that_stops_arriving_during_its_response_is_given_up() {
    const LONG: usize = 8 * 1024 * 1024;
    let config = Config {
        body_timeout: Duration::from_millis(100),
        ..Config::default()
    };
    let (tell, told) = mpsc::channel();
    let mut open = Vec::new();
    let double = Double::looped(&config, move |look| {
        for mut exchange in look.calls {
            assert!(matches!(exchange.read_body(), Read::Chunk { .. }));
            exchange.reply.start(ok());
            exchange.reply.push(&vec![b'x'; LONG]).unwrap();
            open.push(exchange);
        }
        open.retain_mut(|exchange| match exchange.read_body() {
            Read::Pending => true,
            read => {
                tell.send(read).unwrap();
                false
            }
        });
    });
    let mut stream = double.connect();
    stream.write_all(BEGUN).unwrap();
    hear(&mut stream, "\r\n\r\n");
    stream.read_exact(&mut vec![0; LONG]).unwrap();
    let read = told.recv_timeout(SOON).unwrap();
    assert!(
        matches!(read, Read::Refused { status: 408, .. }),
        "{read:?}"
    );
    double.stop(Shutdown::Quick);
}

#[test]
fn deadlines_need_no_timer_of_the_loop() {
    let config = Config {
        header_timeout: HEADER_TIMEOUT,
        ..Config::default()
    };
    let (double, _told) = counting(&config);
    assert!(double.ask(b"GET / HT").starts_with("HTTP/1.1 408 "));
    double.stop(Shutdown::Quick);
}

#[test]
fn a_client_that_leaves_during_a_long_response_is_noticed() {
    let (tell, told) = mpsc::channel();
    let mut open = Vec::new();
    let double = Double::looped(&Config::default(), move |look| {
        for mut exchange in look.calls {
            assert!(!exchange.watch_gone());
            exchange.reply.start(ok());
            exchange.reply.push(b"event").unwrap();
            open.push(exchange);
        }
        for event in look.events {
            open.clear();
            tell.send(event).unwrap();
        }
    });
    let mut stream = double.connect();
    stream.write_all(GET).unwrap();
    hear(&mut stream, "event\r\n");
    drop(stream);
    assert!(matches!(told.recv_timeout(SOON).unwrap(), Event::Gone(_)));
    double.stop(Shutdown::Quick);
}

#[test]
fn a_response_that_outruns_its_client_waits_for_room() {
    const CHUNK: usize = 100_000;
    let (tell, told) = mpsc::channel();
    let mut open: HashMap<ExchangeId, (Call, usize)> = HashMap::new();
    let double = Double::looped(&Config::default(), move |look| {
        let mut due = Vec::new();
        for mut exchange in look.calls {
            exchange.reply.start(ok());
            due.push(exchange.id());
            open.insert(exchange.id(), (exchange, 0));
        }
        due.extend(look.events.iter().filter_map(|event| match event {
            Event::Room(id) => Some(*id),
            Event::Body(_) | Event::Message(_) | Event::Gone(_) | Event::Overdue(_) => None,
        }));
        for id in due {
            let (mut exchange, mut sent) = open.remove(&id).unwrap();
            while sent < 200 {
                sent += 1;
                if exchange.reply.push(&[b'x'; CHUNK]).unwrap() == Room::Full {
                    tell.send(sent).unwrap();
                    open.insert(id, (exchange, sent));
                    return;
                }
            }
            exchange.reply.finish().unwrap();
        }
    });
    let mut stream = double.connect();
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
    hear(&mut stream, "\r\n\r\n");
    assert!(told.recv_timeout(SOON).unwrap() < 200, "it was held up");
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).unwrap();
    assert_eq!(rest.len(), 200 * CHUNK);
    double.stop(Shutdown::Quick);
}

#[test]
fn a_client_that_leaves_with_its_request_is_noticed() {
    let (tell, told): (Sender<bool>, _) = mpsc::channel();
    let (open, gate): (Sender<()>, _) = mpsc::channel();
    let double = Double::looped(&Config::default(), move |look| {
        for mut exchange in look.calls {
            tell.send(exchange.watch_gone()).unwrap();
            gate.recv().unwrap();
            exchange.respond(&ok(), b"ok").unwrap();
        }
    });
    let (mut leaver, mut other) = (double.connect(), double.connect());
    leaver.write_all(GET).unwrap();
    assert!(!told.recv_timeout(SOON).unwrap());
    open.send(()).unwrap();
    hear(&mut leaver, "\r\n\r\nok");
    // While the loop is busy with another request, this one comes with the end of the stream: one report for both.
    other.write_all(GET).unwrap();
    assert!(!told.recv_timeout(SOON).unwrap());
    leaver.write_all(GET).unwrap();
    leaver.shutdown(Side::Write).unwrap();
    open.send(()).unwrap();
    assert!(told.recv_timeout(SOON).unwrap(), "the client has left");
    open.send(()).unwrap();
    hear(&mut leaver, "\r\n\r\nok");
    double.stop(Shutdown::Quick);
}
