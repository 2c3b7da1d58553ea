//! A connection that becomes a WebSocket, and what is left of it afterwards.

use proto::h1::ResponseHead;
use proto::ws::{Closure, Incoming};

use super::Fate;
use super::driver::{Driver, READABLE};
use crate::connection::Readiness;
use crate::exchange::WebSocket;
use crate::inlet::Event;
use crate::websockets::CloseReason;

const HANDSHAKE: &str = "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// A short frame of a client, with a mask that changes nothing.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let head = [first, 0x80 | payload.len() as u8, 0, 0, 0, 0];
    [&head, payload].concat()
}

/// An open WebSocket; the client has sent `more` behind its handshake.
fn open(more: &[u8]) -> (Driver, WebSocket) {
    let mut driver = Driver::looped();
    assert_eq!(
        driver.sends([HANDSHAKE.as_bytes(), more].concat()),
        Fate::Open
    );
    let taken = driver.take().unwrap();
    let handshake = taken.handshake().unwrap().unwrap();
    let socket = taken
        .accept(&handshake, None, &ResponseHead::default())
        .unwrap();
    assert_eq!(driver.read_inbox(), Fate::Open);
    assert!(driver.hears().starts_with("HTTP/1.1 101 "));
    (driver, socket)
}

#[test]
fn messages_go_both_ways() {
    let (mut driver, mut socket) = open(b"");
    assert!(socket.receive().is_none());
    assert_eq!(driver.sends(frame(0x81, b"hello")), Fate::Open);
    assert_eq!(driver.events().len(), 1, "it is told of the message");
    assert!(matches!(socket.receive(), Some(Incoming::Text(text)) if text == "hello"));
    socket.send_text("world").unwrap();
    assert_eq!(driver.read_inbox(), Fate::Open);
    assert_eq!(driver.hears_bytes(), b"\x81\x05world");
}

#[test]
fn what_came_behind_the_handshake_is_its_first_message() {
    let (_driver, mut socket) = open(&frame(0x81, b"early"));
    assert!(matches!(socket.receive(), Some(Incoming::Text(text)) if text == "early"));
}

#[test]
fn a_client_that_closes_gets_our_close_frame_and_then_the_end() {
    let (mut driver, mut socket) = open(b"");
    assert!(socket.receive().is_none());
    assert_eq!(driver.sends(frame(0x88, &[3, 232])), Fate::Open);
    let closed = socket.receive();
    assert!(matches!(
        closed,
        Some(Incoming::Closed(Closure::ByPeer {
            code: Some(1000),
            ..
        }))
    ));
    assert_eq!(driver.read_inbox(), Fate::Open);
    assert_eq!(driver.go_on(), Fate::Open);
    assert!(driver.hears_bytes().starts_with(&[0x88]));
    assert!(driver.is_ended(), "our side is shut");
    assert_eq!(driver.later(2000), Fate::Closed);
}

#[test]
fn a_client_that_leaves_without_a_word_is_lost() {
    let (mut driver, mut socket) = open(b"");
    assert!(socket.receive().is_none());
    let id = driver.connection.exchange;
    assert_eq!(driver.ends(), Fate::Closed);
    assert_eq!(driver.events(), [Event::Gone(id)]);
    assert!(matches!(
        socket.receive(),
        Some(Incoming::Closed(Closure::Lost))
    ));
}

#[test]
fn a_connection_that_breaks_is_lost() {
    let (mut driver, mut socket) = open(b"");
    let broken = Readiness {
        broken: true,
        ..READABLE
    };
    assert_eq!(driver.report(broken), Fate::Closed);
    assert!(matches!(
        socket.receive(),
        Some(Incoming::Closed(Closure::Lost))
    ));
}

#[test]
fn a_server_that_ends_says_so_and_waits_no_longer_than_it_may() {
    let (mut driver, mut socket) = open(b"");
    let fate = driver
        .connection
        .close_websocket(CloseReason::GoingAway, &mut driver.turn);
    assert_eq!(fate, Fate::Open);
    assert_eq!(driver.go_on(), Fate::Open);
    let bytes = driver.hears_bytes();
    assert_eq!(bytes[..4], [0x88, bytes[1], 3, 233], "1001");
    let closed = socket.receive();
    assert!(matches!(
        closed,
        Some(Incoming::Closed(Closure::ByApplication { code: 1001, .. }))
    ));
    assert!(driver.patience().is_some_and(|patience| patience <= 5001));
    assert_eq!(driver.later(10_000), Fate::Closed);
}

#[test]
fn a_handshake_that_is_accepted_at_the_end_of_the_server_is_closed_at_once() {
    let mut driver = Driver::looped();
    assert_eq!(driver.sends(HANDSHAKE), Fate::Open);
    let taken = driver.take().unwrap();
    let handshake = taken.handshake().unwrap().unwrap();
    let mut socket = taken
        .accept(&handshake, None, &ResponseHead::default())
        .unwrap();
    for message in driver.turn.dispatcher.take_messages() {
        if let crate::dispatcher::Message::Upgraded(_, shared) = message {
            let reason = Some(CloseReason::Restart);
            let fate = driver.connection.upgrade(shared, reason, &mut driver.turn);
            assert_eq!(fate, Fate::Open);
        }
    }
    let closed = socket.receive();
    assert!(matches!(
        closed,
        Some(Incoming::Closed(Closure::ByApplication { code: 1012, .. }))
    ));
}

#[test]
fn a_websocket_is_neither_idle_nor_deferred() {
    let (driver, _socket) = open(b"");
    assert!(!driver.connection.codec.is_idle() && !driver.connection.may_travel());
}
