//! Both sides of one WebSocket, without a reactor and without an application.

use std::io::Read;

use proto::ws::Timing;
use socket2::Socket;

use super::*;
use crate::fixtures::link;

const LIMIT: usize = 1 << 20;

/// A WebSocket, and the client's end of its connection.
fn open() -> (SharedWebSocket, Socket) {
    let (link, far) = link();
    far.set_nonblocking(true).unwrap();
    let session = |now| WebSocketSession::new(LIMIT, None, Timing::default(), now);
    (SharedWebSocket::new(link, session, Instant::now()), far)
}

/// A frame of a client, with a mask that changes nothing.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match u16::try_from(payload.len()) {
        Ok(length @ 0..126) => frame.push(0x80 | length as u8),
        Ok(length) => {
            frame.push(0x80 | 126);
            frame.extend_from_slice(&length.to_be_bytes());
        }
        Err(_) => {
            frame.push(0x80 | 127);
            frame.extend_from_slice(&(payload.len() as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(&[0; 4]);
    frame.extend_from_slice(payload);
    frame
}

fn heard(far: &mut Socket) -> Vec<u8> {
    let mut buffer = vec![0; 1 << 20];
    let count = far.read(&mut buffer).unwrap_or(0);
    buffer.truncate(count);
    buffer
}

fn text(shared: &SharedWebSocket) -> Option<String> {
    match shared.receive().0 {
        Some(Incoming::Text(text)) => Some(text),
        None => None,
        other => panic!("{other:?}"),
    }
}

#[test]
fn messages_are_taken_in_their_order_and_told_of_where_they_are_awaited() {
    let (shared, _far) = open();
    let taken = shared.take(&frame(0x81, b"early"));
    assert!(!taken.awaited && !taken.ended, "nobody waits yet");
    assert_eq!(text(&shared).as_deref(), Some("early"));
    assert_eq!(text(&shared), None);
    let two = [frame(0x81, b"one"), frame(0x81, b"two")].concat();
    let taken = shared.take(&two);
    assert_eq!((taken.consumed, taken.awaited), (two.len(), true));
    assert!(!shared.take(&frame(0x81, b"three")).awaited, "it was told");
    for expected in ["one", "two", "three"] {
        assert_eq!(text(&shared).as_deref(), Some(expected));
    }
}

#[test]
fn a_frame_in_pieces_is_one_message() {
    let (shared, _far) = open();
    for byte in frame(0x82, &[7; 300]) {
        assert_eq!(shared.take(&[byte]).consumed, 1);
    }
    assert!(matches!(shared.receive().0, Some(Incoming::Binary(data)) if data == [7; 300]));
}

#[test]
fn no_more_is_read_than_the_application_follows() {
    let (shared, _far) = open();
    let message = frame(0x82, &[0; 1000]);
    let many = message.repeat(100);
    let taken = shared.take(&many);
    assert!(taken.consumed < many.len() && taken.consumed > WINDOW / 10 * 9);
    assert!(!shared.may_read());
    let mut resumed = false;
    while !resumed {
        let (incoming, resume) = shared.receive();
        assert!(incoming.is_some());
        resumed = resume;
    }
    assert!(shared.may_read(), "half of it has been taken");
}

#[test]
fn empty_messages_take_room_too() {
    let (shared, _far) = open();
    let many = frame(0x81, b"").repeat(10_000);
    assert!(shared.take(&many).consumed < many.len());
    assert!(!shared.may_read());
}

#[test]
fn one_message_is_taken_however_long_it_is() {
    let (shared, _far) = open();
    let long = frame(0x82, &vec![1; LIMIT]);
    assert_eq!(shared.take(&long).consumed, long.len());
    assert!(!shared.may_read());
}

#[test]
fn a_ping_is_answered_without_the_application() {
    let (shared, mut far) = open();
    let taken = shared.take(&frame(0x89, b"hi"));
    assert!(!taken.awaited && !taken.ended);
    assert_eq!(heard(&mut far), b"\x8a\x02hi");
}

#[test]
fn a_close_frame_is_answered_when_what_came_before_has_been() {
    let (shared, mut far) = open();
    shared.take(&[frame(0x81, b"last"), frame(0x88, &[3, 232])].concat());
    assert!(shared.is_parting() && !shared.is_over());
    assert_eq!(heard(&mut far), b"");
    assert_eq!(text(&shared).as_deref(), Some("last"));
    assert!(shared.timeout().is_some_and(|timeout| timeout <= LAST_WORD));
    let (closed, tell) = shared.receive();
    assert!(tell, "the reactor ends the connection");
    assert!(matches!(
        closed,
        Some(Incoming::Closed(Closure::ByPeer {
            code: Some(1000),
            ..
        }))
    ));
    assert_eq!(heard(&mut far), [0x88, 2, 3, 232]);
    assert!(shared.is_over());
}

#[test]
fn a_close_frame_that_finds_nothing_to_answer_is_answered_at_once() {
    let (shared, mut far) = open();
    assert!(shared.receive().0.is_none());
    let taken = shared.take(&frame(0x88, &[3, 232]));
    assert!(taken.ended);
    assert_eq!(heard(&mut far), [0x88, 2, 3, 232]);
    assert!(shared.is_over());
}

#[test]
fn a_violation_ends_it_with_its_code() {
    let (shared, mut far) = open();
    assert!(
        shared.take(b"\x81\x02hi").ended,
        "a client's frame is masked"
    );
    assert_eq!(heard(&mut far)[..1], [0x88]);
    let closed = shared.receive().0;
    assert!(
        matches!(closed, Some(Incoming::Closed(Closure::Violation(_)))),
        "{closed:?}"
    );
}

#[test]
fn the_application_closes_it_and_waits_for_nothing() {
    let (shared, mut far) = open();
    shared.take(&frame(0x81, b"unread"));
    shared.close(1000, "bye").unwrap();
    assert_eq!(heard(&mut far), b"\x88\x05\x03\xe8bye");
    let closed = shared.receive().0;
    assert!(matches!(
        closed,
        Some(Incoming::Closed(Closure::ByApplication { code: 1000, .. }))
    ));
    assert!(shared.close(1000, "again").is_err());
    assert!(!shared.is_over(), "the client may answer");
    assert!(shared.may_read() && shared.take(&frame(0x88, &[3, 232])).consumed > 0);
    assert!(shared.is_over());
}

#[test]
fn a_close_code_that_cannot_be_sent_closes_nothing() {
    let (shared, mut far) = open();
    assert!(matches!(
        shared.close(1005, ""),
        Err(SendFailure::Misuse(_))
    ));
    assert_eq!(heard(&mut far), b"");
    shared.take(&frame(0x81, b"still open"));
    assert_eq!(text(&shared).as_deref(), Some("still open"));
}

#[test]
fn a_connection_that_is_lost_is_news_once() {
    let (shared, _far) = open();
    assert!(shared.lose() && !shared.lose());
    assert!(matches!(
        shared.receive().0,
        Some(Incoming::Closed(Closure::Lost))
    ));
}

#[test]
fn a_server_that_ends_it_says_why_and_that_is_news_once() {
    let (shared, mut far) = open();
    assert!(shared.close_by_server(1001, "going away"));
    assert!(!shared.close_by_server(1001, "going away"));
    assert_eq!(heard(&mut far)[..4], [0x88, 12, 3, 233]);
    assert!(!shared.lose(), "the application knows that it has ended");
}

#[test]
fn a_client_that_is_silent_is_pinged_in_time() {
    let (shared, _far) = open();
    let timeout = shared.timeout().expect("a ping");
    assert!(timeout > Duration::from_secs(1), "{timeout:?}");
    assert!(!shared.handle_timeout(), "too early it does nothing");
}
