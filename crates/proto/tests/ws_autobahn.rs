//! The case families of the Autobahn test suite that a codec decides, as an echo server in memory: 1 (messages), 2
//! (pings), 3 (reserved bits), 4 (opcodes), 5 (fragments), 6 (UTF-8), 7 (closing), 9 (sizes), 12 and 13 (compression).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests say what they expect"
)]

mod ws_client;

use std::time::Duration;

use proto::ws::{Deflate, Incoming, MESSAGE_BYTES, Timing, WebSocketSession};
use ws_client::{Client, Frame, Parameters};

/// A frame that a case sends: first byte and payload.
type Sent<'a> = (u8, &'a [u8]);

/// An echo server and its client.
struct Echo {
    session: WebSocketSession,
    client: Client,
    /// What the server has sent and the client has not read.
    wire: Vec<u8>,
}

impl Echo {
    fn new(compression: Option<(Deflate, Parameters)>) -> Self {
        let (deflate, parameters) = compression.unzip();
        Self {
            session: WebSocketSession::new(
                MESSAGE_BYTES,
                deflate,
                Timing::default(),
                Duration::ZERO,
            ),
            client: Client::new(parameters),
            wire: Vec::new(),
        }
    }

    fn receive(&mut self, bytes: &[u8], piece: usize) {
        for mut rest in bytes.chunks(piece) {
            while !rest.is_empty() {
                let received = self.session.receive(rest, &mut self.wire);
                rest = &rest[received.consumed..];
                match received.incoming {
                    Some(Incoming::Text(text)) => {
                        self.session.send_text(&text, &mut self.wire).unwrap()
                    }
                    Some(Incoming::Binary(data)) => {
                        self.session.send_binary(&data, &mut self.wire).unwrap()
                    }
                    Some(Incoming::Closed(_)) => assert!(self.session.is_over()),
                    None => assert_eq!(rest.len(), 0),
                }
            }
        }
    }

    fn frames(&mut self) -> Vec<Frame> {
        let bytes = std::mem::take(&mut self.wire);
        let mut rest = bytes.as_slice();
        let mut frames = Vec::new();
        while !rest.is_empty() {
            let (frame, length) = self.client.read(rest);
            frames.push(frame);
            rest = &rest[length..];
        }
        frames
    }
}

/// What a case expects back, in order: opcode and payload. A close frame is compared by its code alone.
fn check(case: &str, sent: &[Sent<'_>], expected: &[Sent<'_>]) {
    for piece in [usize::MAX, 1, 997] {
        let mut echo = Echo::new(None);
        let mut bytes = Vec::new();
        for (first, payload) in sent {
            echo.client.frame(*first, payload, &mut bytes);
        }
        echo.receive(&bytes, piece.min(bytes.len()));
        let frames = echo.frames();
        let seen: Vec<Sent<'_>> = frames
            .iter()
            .map(|frame| match frame.opcode {
                8 => (8, frame.payload.get(..2).unwrap_or_default()),
                opcode => (opcode, frame.payload.as_slice()),
            })
            .collect();
        assert!(seen == expected, "{case} in pieces of {piece}: {seen:?}");
        assert_eq!(
            echo.session.is_over(),
            expected.iter().any(|frame| frame.0 == 8),
            "{case}"
        );
    }
}

const PROTOCOL_ERROR: Sent<'static> = (8, &1002_u16.to_be_bytes());
const INVALID_PAYLOAD: Sent<'static> = (8, &1007_u16.to_be_bytes());
const NORMAL: &[u8] = &1000_u16.to_be_bytes();

#[test]
fn family_1_messages_of_all_sizes() {
    for size in [0, 125, 126, 127, 128, 65535, 65536] {
        let data = vec![b'*'; size];
        check("1.1", &[(0x81, &data)], &[(1, &data)]);
        let data = vec![0xfe; size];
        check("1.2", &[(0x82, &data)], &[(2, &data)]);
    }
}

#[test]
fn family_2_pings_and_pongs() {
    check("2.1", &[(0x89, b"")], &[(10, b"")]);
    check(
        "2.2",
        &[(0x89, b"Hello, world!")],
        &[(10, b"Hello, world!")],
    );
    let data = [0, 0xff, 0xfe, 0xfd, 0xfc, 0xfb, 0, 0xff];
    check("2.3", &[(0x89, &data)], &[(10, &data)]);
    check("2.4", &[(0x89, &[0xfe; 125])], &[(10, &[0xfe; 125])]);
    check("2.5", &[(0x89, &[0xfe; 126])], &[PROTOCOL_ERROR]);
    check("2.7", &[(0x8a, b"")], &[]);
    check("2.8", &[(0x8a, b"unsolicited")], &[]);
    check("2.9", &[(0x8a, b"x"), (0x89, b"ping")], &[(10, b"ping")]);
    let payloads: Vec<_> = (0..10).map(|number| format!("payload-{number}")).collect();
    let pings: Vec<Sent<'_>> = payloads
        .iter()
        .map(|payload| (0x89, payload.as_bytes()))
        .collect();
    let pongs: Vec<Sent<'_>> = payloads
        .iter()
        .map(|payload| (10, payload.as_bytes()))
        .collect();
    check("2.10 and 2.11", &pings, &pongs);
}

#[test]
fn family_3_reserved_bits() {
    check("3.1", &[(0xc1, b"Hello")], &[PROTOCOL_ERROR]);
    for first in [0xa1, 0xb1, 0xd1, 0xe1, 0xf1, 0xb2, 0xd9, 0xf8] {
        check(
            "3.2 to 3.7",
            &[(0x81, b"Hello"), (first, b"Hello"), (0x89, b"")],
            &[(1, b"Hello"), PROTOCOL_ERROR],
        );
    }
}

#[test]
fn family_4_opcodes() {
    for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
        for payload in [b"".as_slice(), b"reserved opcode"] {
            check(
                "4",
                &[(0x80 | opcode, payload), (0x89, b"")],
                &[PROTOCOL_ERROR],
            );
            check(
                "4",
                &[(0x81, b"Hello"), (0x80 | opcode, payload), (0x89, b"")],
                &[(1, b"Hello"), PROTOCOL_ERROR],
            );
        }
    }
}

#[test]
fn family_5_fragments() {
    check(
        "5.1",
        &[(0x09, b"fragment1"), (0x80, b"fragment2")],
        &[PROTOCOL_ERROR],
    );
    check(
        "5.2",
        &[(0x0a, b"fragment1"), (0x80, b"fragment2")],
        &[PROTOCOL_ERROR],
    );
    check(
        "5.3 to 5.5",
        &[(0x01, b"fragment1"), (0x80, b"fragment2")],
        &[(1, b"fragment1fragment2")],
    );
    check(
        "5.6 to 5.8",
        &[(0x01, b"fragment1"), (0x89, b"ping"), (0x80, b"fragment2")],
        &[(10, b"ping"), (1, b"fragment1fragment2")],
    );
    check(
        "5.9 and 5.10",
        &[(0x80, b"nothing"), (0x81, b"Hello")],
        &[PROTOCOL_ERROR],
    );
    check(
        "5.12 to 5.14",
        &[(0x00, b"nothing"), (0x81, b"Hello")],
        &[PROTOCOL_ERROR],
    );
    check(
        "5.15",
        &[(0x01, b"1"), (0x80, b"2"), (0x00, b"3"), (0x81, b"4")],
        &[(1, b"12"), PROTOCOL_ERROR],
    );
    check(
        "5.16 and 5.17",
        &[(0x00, b"1"), (0x01, b"2"), (0x80, b"3")],
        &[PROTOCOL_ERROR],
    );
    check("5.18", &[(0x01, b"1"), (0x81, b"2")], &[PROTOCOL_ERROR]);
    check(
        "5.19 and 5.20",
        &[
            (0x01, b"1"),
            (0x00, b"2"),
            (0x89, b"a"),
            (0x00, b"3"),
            (0x00, b"4"),
            (0x89, b"b"),
            (0x80, b"5"),
        ],
        &[(10, b"a"), (10, b"b"), (1, b"12345")],
    );
}

const VALID: &[&str] = &[
    "Hello-µ@ßöäüàá-UTF-8!!",
    "\0",
    "\u{80}",
    "\u{800}",
    "\u{10000}",
    "\u{7f}",
    "\u{7ff}",
    "\u{ffff}",
    "\u{10ffff}",
    "\u{d7ff}",
    "\u{e000}",
    "\u{fffd}",
    "\u{fffe}",
    "\u{1fffe}",
    "\u{10fffe}",
    "κόσμε",
];

const INVALID: &[&[u8]] = &[
    b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited",
    b"\xce",
    b"\xce\xba\xe1",
    b"\xce\xba\xe1\xbd",
    b"\x80",
    b"\xbf",
    b"\x80\xbf\x80",
    b"\xc0 ",
    b"\xe0 ",
    b"\xf0 ",
    b"\xf8 ",
    b"\xfc ",
    b"\xc0",
    b"\xe0\x80",
    b"\xf0\x80\x80",
    b"\xdf",
    b"\xef\xbf",
    b"\xf7\xbf\xbf",
    b"\xfe",
    b"\xff",
    b"\xfe\xfe\xff\xff",
    b"\xc0\xaf",
    b"\xe0\x80\xaf",
    b"\xf0\x80\x80\xaf",
    b"\xf8\x80\x80\x80\xaf",
    b"\xfc\x80\x80\x80\x80\xaf",
    b"\xc1\xbf",
    b"\xe0\x9f\xbf",
    b"\xf0\x8f\xbf\xbf",
    b"\xed\xa0\x80",
    b"\xed\xaf\xbf",
    b"\xed\xb0\x80",
    b"\xed\xbf\xbf",
    b"\xed\xa0\x80\xed\xb0\x80",
    b"\xf4\x90\x80\x80",
    b"\xf8\x88\x80\x80\x80",
    b"\xfc\x84\x80\x80\x80\x80",
];

#[test]
fn family_6_text() {
    check(
        "6.1",
        &[(0x01, b""), (0x00, b"middle"), (0x80, b"")],
        &[(1, b"middle")],
    );
    for text in VALID {
        let bytes = text.as_bytes();
        check(text, &[(0x81, bytes)], &[(1, bytes)]);
        let mut frames: Vec<Sent<'_>> = bytes.chunks(1).map(|byte| (0x00, byte)).collect();
        frames[0].0 |= 0x01;
        frames.push((0x80, b""));
        check(text, &frames, &[(1, bytes)]);
    }
    for bytes in INVALID {
        let case = bytes.escape_ascii().to_string();
        check(&case, &[(0x81, bytes)], &[INVALID_PAYLOAD]);
        check(&case, &[(0x01, bytes), (0x80, b"")], &[INVALID_PAYLOAD]);
    }
}

#[test]
fn family_6_4_text_fails_fast() {
    let valid = "κόσμε".as_bytes();
    let whole = [valid, b"\xf4\x90\x80\x80", b"edited"].concat();
    for (first, second) in [
        (valid.len(), valid.len() + 4),
        (valid.len() + 1, valid.len() + 2),
    ] {
        let parts = [&whole[..first], &whole[first..second], &whole[second..]];
        let mut echo = Echo::new(None);
        let mut bytes = Vec::new();
        // As frames, where the second one is refused.
        for (index, part) in parts.iter().enumerate() {
            assert_eq!(echo.session.is_over(), index == 2);
            bytes.clear();
            echo.client
                .frame([0x01, 0x00, 0x80][index], part, &mut bytes);
            echo.receive(&bytes, bytes.len());
        }
        // As chops of one frame, where the second one is refused.
        let mut echo = Echo::new(None);
        bytes.clear();
        echo.client.frame(0x81, &whole, &mut bytes);
        let payload = bytes.len() - whole.len();
        echo.receive(&bytes[..payload + first], usize::MAX >> 1);
        assert!(echo.session.is_open());
        echo.receive(&bytes[payload + first..payload + second], usize::MAX >> 1);
        assert!(echo.session.is_over());
        assert_eq!(echo.frames()[0].payload[..2], 1007_u16.to_be_bytes());
    }
}

#[test]
fn family_7_closing() {
    check(
        "7.1.1",
        &[(0x81, b"Hello World!"), (0x88, NORMAL)],
        &[(1, b"Hello World!"), (8, NORMAL)],
    );
    check("7.1.2", &[(0x88, NORMAL), (0x88, NORMAL)], &[(8, NORMAL)]);
    check("7.1.3", &[(0x88, NORMAL), (0x89, b"ping")], &[(8, NORMAL)]);
    check("7.1.4", &[(0x88, NORMAL), (0x81, b"text")], &[(8, NORMAL)]);
    check(
        "7.1.5",
        &[(0x01, b"fragment1"), (0x88, NORMAL), (0x80, b"fragment2")],
        &[(8, NORMAL)],
    );
    let large = vec![b'*'; 256 << 10];
    check(
        "7.1.6",
        &[(0x81, &large), (0x88, NORMAL), (0x89, b"")],
        &[(1, &large), (8, NORMAL)],
    );
    check("7.3.1", &[(0x88, b"")], &[(8, b"")]);
    check("7.3.2", &[(0x88, b"a")], &[PROTOCOL_ERROR]);
    check("7.3.4", &[(0x88, b"\x03\xe8Hello World!")], &[(8, NORMAL)]);
    let longest = [NORMAL, &[b'*'; 123]].concat();
    check("7.3.5", &[(0x88, &longest)], &[(8, NORMAL)]);
    let too_long = [NORMAL, &[b'*'; 124]].concat();
    check("7.3.6", &[(0x88, &too_long)], &[PROTOCOL_ERROR]);
    check(
        "7.5.1",
        &[(0x88, b"\x03\xe8\xce\xba\xed\xa0\x80")],
        &[INVALID_PAYLOAD],
    );
    for code in 0..=u16::MAX {
        let payload = code.to_be_bytes();
        let valid = matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999);
        // All codes that Autobahn tries (7.7 and 7.9), their neighbours, and every 97th.
        if valid && code < 3010
            || code % 97 == 0
            || matches!(code, 0..=1100 | 2000 | 2999 | 3000 | 3999..=5000 | 65535)
        {
            let expected = if valid {
                (8, payload.as_slice())
            } else {
                PROTOCOL_ERROR
            };
            check(
                &format!("7.7 and 7.9: {code}"),
                &[(0x88, &payload)],
                &[expected],
            );
        }
    }
}

#[test]
fn family_9_sizes() {
    let data = vec![b'*'; MESSAGE_BYTES];
    let mut echo = Echo::new(None);
    let mut bytes = Vec::new();
    echo.client.message(1, &data, usize::MAX, &mut bytes);
    echo.client.message(2, &data, 64 << 10, &mut bytes);
    echo.receive(&bytes, 64 << 10);
    let frames = echo.frames();
    assert!(frames.len() == 2 && frames.iter().all(|frame| frame.payload == data));
    bytes.clear();
    echo.client
        .message(2, &[&data, b"1".as_slice()].concat(), 64 << 10, &mut bytes);
    echo.receive(&bytes, 64 << 10);
    assert_eq!(echo.frames()[0].payload[..2], 1009_u16.to_be_bytes());

    let mut echo = Echo::new(None);
    bytes.clear();
    echo.client.message(1, &data[..100_000], 64, &mut bytes);
    echo.receive(&bytes, 100);
    assert_eq!(echo.frames()[0].payload, data[..100_000]);
}

/// Family 12 and 13: sizes, and sizes of fragments.
const SIZES: [(usize, usize); 12] = [
    (16, usize::MAX),
    (64, usize::MAX),
    (256, usize::MAX),
    (1024, usize::MAX),
    (4096, usize::MAX),
    (8192, usize::MAX),
    (32768, usize::MAX),
    (131_072, usize::MAX),
    (8192, 256),
    (131_072, 256),
    (131_072, 4096),
    (131_072, 32768),
];

#[test]
fn families_12_and_13_compression() {
    let lines = (0..9000).map(|number| {
        format!(
            "{{\"id\":{},\"name\":\"naïve {}\"}},",
            number * 7919 % 1009,
            number % 13
        )
    });
    let text: String = lines.collect();
    for (takeover, bits) in [
        (true, 15),
        (false, 15),
        (true, 9),
        (false, 9),
        (true, 8),
        (false, 8),
    ] {
        let deflate = Deflate {
            server_context_takeover: takeover,
            client_context_takeover: takeover,
            server_window_bits: bits,
            client_window_bits: bits,
        };
        let mut echo = Echo::new(Some((deflate, Parameters::parse(&deflate.to_string()))));
        for (size, fragment) in SIZES {
            for round in 0..if size > 10_000 { 1 } else { 4 } {
                let start = text.ceil_char_boundary(round * size / 3);
                let message = &text[start..text.floor_char_boundary(start + size)];
                let mut bytes = Vec::new();
                echo.client
                    .message(1, message.as_bytes(), fragment, &mut bytes);
                echo.receive(&bytes, 1400);
                let frames = echo.frames();
                assert_eq!(frames.len(), 1);
                assert!(
                    echo.client.open(&frames[0]) == message.as_bytes(),
                    "{deflate} {size}"
                );
            }
        }
    }
}
