//! The life of a WebSocket: who closes, who answers, and what happens when neither side does. Time is a value.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests say what they expect"
)]

use std::time::Duration;

use proto::ws::{
    Closure, FrameViolation, Incoming, Received, SendError, Timing, WebSocketMisuse,
    WebSocketSession,
};

const PING: &[u8] = b"\x89\x80\0\0\0\0";
const PONG: &[u8] = b"\x8a\x80\0\0\0\0";
const TEXT: &[u8] = b"\x81\x82\0\0\0\0hi";
const CLOSE: &[u8] = b"\x88\x85\0\0\0\0\x03\xe9bye";

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// The session begins at second 100.
const START: Duration = seconds(100);

const TIMING: Timing = Timing {
    ping_interval: seconds(20),
    ping_timeout: seconds(5),
    close_timeout: seconds(10),
};

struct Fixture {
    session: WebSocketSession,
    out: Vec<u8>,
}

fn open_with(timing: Timing) -> Fixture {
    Fixture {
        session: WebSocketSession::new(100, None, timing, START),
        out: Vec::new(),
    }
}

fn open() -> Fixture {
    open_with(TIMING)
}

impl Fixture {
    /// What the input brings; it has to be taken whole.
    fn receive(&mut self, input: &[u8]) -> Option<Incoming> {
        let Received { consumed, incoming } = self.session.receive(input, &mut self.out);
        assert_eq!(consumed, input.len());
        incoming
    }

    fn close(&mut self, code: u16, reason: &str) -> Result<(), SendError> {
        self.session.close(code, reason, START, &mut self.out)
    }

    fn at(&mut self, second: u64) -> Option<Closure> {
        self.session.handle_timeout(seconds(second), &mut self.out)
    }

    fn sent(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }
}

fn by_peer() -> Incoming {
    Incoming::Closed(Closure::ByPeer {
        code: Some(1001),
        reason: "bye".to_owned(),
    })
}

fn by_application() -> Closure {
    Closure::ByApplication {
        code: 4000,
        reason: "done".to_owned(),
    }
}

#[test]
fn messages_go_both_ways() {
    let mut it = open();
    assert_eq!(it.receive(TEXT), Some(Incoming::Text("hi".to_owned())));
    assert_eq!(
        it.receive(b"\x82\x81\0\0\0\0\xff"),
        Some(Incoming::Binary(vec![0xff]))
    );
    it.session.send_text("ho", &mut it.out).unwrap();
    it.session.send_binary(b"\xfe", &mut it.out).unwrap();
    assert_eq!(it.sent(), b"\x81\x02ho\x82\x01\xfe");
}

#[test]
fn one_thing_is_received_at_a_time() {
    let mut it = open();
    let input = [PING, TEXT, PING, TEXT, PING].concat();
    let received = it.session.receive(&input, &mut it.out);
    assert_eq!(received.consumed, PING.len() + TEXT.len());
    assert_eq!(it.sent(), b"\x8a\0");
    let rest = &input[received.consumed..];
    let received = it.session.receive(rest, &mut it.out);
    assert_eq!(received.consumed, PING.len() + TEXT.len());
    assert_eq!(it.receive(PING), None);
    assert_eq!(it.sent(), b"\x8a\0\x8a\0");
}

#[test]
fn the_peer_s_close_is_answered_with_its_code() {
    let mut it = open();
    assert_eq!(it.receive(CLOSE), Some(by_peer()));
    assert_eq!(it.sent(), b"\x88\x02\x03\xe9");
    assert!(it.session.is_over());
    assert_eq!(it.receive(TEXT), None);
    assert_eq!(
        it.session.send_text("late", &mut it.out),
        Err(SendError::Disconnected)
    );
    assert_eq!(it.close(1000, ""), Err(SendError::Disconnected));
    assert_eq!(it.session.disconnected(), None);
    assert_eq!(it.session.poll_timeout(), None);
    assert_eq!(it.sent(), b"");
}

#[test]
fn a_close_without_code_is_answered_without_code() {
    let mut it = open();
    let Some(Incoming::Closed(closure)) = it.receive(b"\x88\x80\0\0\0\0") else {
        panic!()
    };
    assert_eq!((closure.code(), closure.reason()), (1005, ""));
    assert_eq!(it.sent(), b"\x88\0");
}

#[test]
fn our_close_waits_for_the_peer_s() {
    let mut it = open();
    it.close(4000, "done").unwrap();
    assert_eq!(it.sent(), b"\x88\x06\x0f\xa0done");
    assert!(!it.session.is_over() && !it.session.is_open());
    // What crosses it is passed over, and nothing is sent.
    assert_eq!(it.receive(&[TEXT, PING].concat()), None);
    assert_eq!(
        it.session.send_text("late", &mut it.out),
        Err(WebSocketMisuse::AfterClose.into())
    );
    assert_eq!(it.close(1000, ""), Err(WebSocketMisuse::AfterClose.into()));
    assert_eq!(it.receive(CLOSE), Some(Incoming::Closed(by_application())));
    assert_eq!(it.sent(), b"");
    assert!(it.session.is_over());
    assert_eq!(it.close(1000, ""), Err(WebSocketMisuse::AfterClose.into()));
}

#[test]
fn a_peer_that_does_not_close_is_left() {
    let mut it = open();
    it.close(4000, "done").unwrap();
    assert_eq!(it.session.poll_timeout(), Some(seconds(110)));
    assert_eq!(it.at(109), None);
    assert_eq!(it.at(110), Some(by_application()));
    assert!(it.session.is_over());
    assert_eq!(it.at(200), None);
}

#[test]
fn what_breaks_a_rule_after_our_close_changes_nothing() {
    let mut it = open();
    it.close(4000, "done").unwrap();
    it.sent();
    assert_eq!(
        it.receive(b"\xff\xff"),
        Some(Incoming::Closed(by_application()))
    );
    assert_eq!(it.sent(), b"");
}

#[test]
fn a_violation_is_named_to_the_peer_and_ends_it() {
    let mut it = open();
    let input = [b"\x83".as_slice(), TEXT].concat();
    assert_eq!(
        it.receive(&input),
        Some(Incoming::Closed(Closure::Violation(FrameViolation::Opcode)))
    );
    let sent = it.sent();
    let rule = FrameViolation::Opcode.rule().as_bytes();
    assert_eq!(sent[..4], [0x88, 2 + rule.len() as u8, 0x03, 0xea]);
    assert_eq!(&sent[4..], rule);
    assert!(it.session.is_over());
    assert_eq!(it.session.disconnected(), None);
}

#[test]
fn a_lost_connection_is_1006() {
    let mut it = open();
    let closure = it.session.disconnected().unwrap();
    assert_eq!((closure.code(), closure.reason()), (1006, ""));
    assert_eq!(it.session.disconnected(), None);
    assert_eq!(
        it.session.send_binary(b"", &mut it.out),
        Err(SendError::Disconnected)
    );

    let mut it = open();
    it.close(4000, "done").unwrap();
    assert_eq!(it.session.disconnected(), Some(by_application()));
}

#[test]
fn a_close_that_cannot_be_sent_changes_nothing() {
    let mut it = open();
    for code in [0, 999, 1004, 1005, 1006, 1015, 2999, 5000] {
        assert_eq!(
            it.close(code, ""),
            Err(WebSocketMisuse::CloseCode { code }.into())
        );
    }
    assert_eq!(
        it.close(1000, &"é".repeat(62)),
        Err(WebSocketMisuse::ReasonTooLong { length: 124 }.into())
    );
    assert!(it.session.is_open());
    assert_eq!(it.sent(), b"");
    it.close(1000, &"é".repeat(61)).unwrap();
}

#[test]
fn a_peer_is_asked_at_intervals_and_any_byte_is_an_answer() {
    let mut it = open();
    assert_eq!(it.session.poll_timeout(), Some(seconds(120)));
    assert_eq!(it.at(119), None);
    assert_eq!(it.sent(), b"");
    assert_eq!(it.at(120), None);
    assert_eq!(it.sent(), b"\x89\0");
    assert_eq!(it.session.poll_timeout(), Some(seconds(125)));
    assert_eq!(it.receive(PONG), None);
    assert_eq!(it.session.poll_timeout(), Some(seconds(140)));
    assert_eq!(it.at(141), None);
    assert_eq!(it.sent(), b"\x89\0");
    // The beginning of a message proves as much as a pong.
    assert_eq!(it.receive(&TEXT[..1]), None);
    assert_eq!(it.session.poll_timeout(), Some(seconds(161)));
}

#[test]
fn a_silent_peer_is_given_up() {
    let mut it = open();
    it.at(120);
    it.sent();
    assert_eq!(it.at(124), None);
    assert_eq!(it.at(125), Some(Closure::Silence));
    assert_eq!(it.sent(), b"\x88\x0e\x03\xf3ping timeout");
    assert!(it.session.is_over());
    assert_eq!(
        it.session.send_text("", &mut it.out),
        Err(SendError::Disconnected)
    );
}

#[test]
fn pings_and_their_time_out_can_be_off() {
    let mut it = open_with(Timing {
        ping_interval: Duration::ZERO,
        ..TIMING
    });
    assert_eq!(it.session.poll_timeout(), None);
    it.session.pause();
    it.session.resume(START);
    assert_eq!(it.session.poll_timeout(), None);

    let mut it = open_with(Timing {
        ping_timeout: Duration::ZERO,
        ..TIMING
    });
    for second in [120, 140, 160] {
        assert_eq!(it.session.poll_timeout(), Some(seconds(second)));
        assert_eq!(it.at(second), None);
        assert_eq!(it.sent(), b"\x89\0");
    }
}

#[test]
fn a_peer_that_is_not_read_from_is_not_called_silent() {
    let mut it = open();
    it.at(120);
    it.session.pause();
    assert_eq!(it.session.poll_timeout(), None);
    assert_eq!(it.at(1000), None);
    it.session.resume(seconds(1000));
    assert_eq!(it.session.poll_timeout(), Some(seconds(1020)));
    // Resuming what was not paused moves nothing.
    it.session.resume(seconds(1010));
    assert_eq!(it.session.poll_timeout(), Some(seconds(1020)));
    // A close frame keeps its time-out.
    it.close(4000, "done").unwrap();
    it.session.pause();
    assert_eq!(it.at(110), Some(by_application()));
}

// The last word

#[test]
fn the_application_can_answer_before_our_close_frame() {
    for (end, closed) in [
        (CLOSE, by_peer()),
        (
            b"\x83\x80\0\0\0\0".as_slice(),
            Incoming::Closed(Closure::Violation(FrameViolation::Opcode)),
        ),
    ] {
        let mut fixture = open();
        let input = [TEXT, end, PING].concat();
        let first = fixture.session.hear(&input, &mut fixture.out);
        assert_eq!(first.incoming, Some(Incoming::Text("hi".to_owned())));
        let rest = &input[first.consumed..];
        let second = fixture.session.hear(rest, &mut fixture.out);
        assert_eq!(second.incoming, Some(closed));
        assert!(fixture.session.is_parting() && !fixture.session.is_over());
        fixture.receive_while_parting(PING);
        assert_eq!(fixture.sent(), b"");
        fixture.session.send_text("yes", &mut fixture.out).unwrap();
        assert_eq!(fixture.sent(), b"\x81\x03yes");
        fixture.session.part(&mut fixture.out);
        assert_eq!(fixture.sent()[0], 0x88);
        assert!(fixture.session.is_over());
        assert_eq!(
            fixture.session.send_text("no", &mut fixture.out),
            Err(SendError::Disconnected)
        );
    }
}

impl Fixture {
    /// Bytes that come too late.
    fn receive_while_parting(&mut self, input: &[u8]) {
        let received = self.session.hear(input, &mut self.out);
        assert_eq!((received.consumed, received.incoming), (input.len(), None));
    }
}

#[test]
fn closing_after_the_peer_has_closed_sends_what_is_owed() {
    let mut fixture = open();
    fixture.session.hear(CLOSE, &mut fixture.out);
    fixture.close(4000, "mine").unwrap();
    assert_eq!(fixture.sent(), b"\x88\x02\x03\xe9");
    assert!(fixture.session.is_over());
    assert_eq!(fixture.session.disconnected(), None);
}
