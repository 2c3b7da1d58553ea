//! Every case of `vectors/websocket`: frames are fed whole, byte by byte, and in pieces; handshakes are judged and
//! answered.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests say what they expect, and read files, which the crate does not"
)]

#[path = "cases/blocks.rs"]
mod blocks;

use blocks::{Block, blocks, files_of, unescape};
use proto::Limits;
use proto::h1::{ResponseHead, parse_request};
use proto::ws::handshake::{Acceptance, judge};
use proto::ws::{Decoder, Deflate, DeflatePolicy, Event, FrameViolation, MESSAGE_BYTES, Refusal};

/// Sizes of the pieces in which the bytes of a case are fed.
const PIECES: [usize; 5] = [usize::MAX, 1, 2, 3, 7];

/// What a decoder makes of bytes: its events, and the rule that was broken in the end.
type Outcome = (Vec<Event>, Option<FrameViolation>);

fn decoder(options: &str) -> Decoder {
    let mut limit = MESSAGE_BYTES;
    let mut deflate = None;
    let mut takeover = true;
    for option in options.split_whitespace() {
        match option.split_once('=') {
            Some(("limit", bytes)) => limit = bytes.parse().unwrap(),
            None if option == "deflate" => deflate = Some(()),
            None if option == "client_no_context_takeover" => takeover = false,
            _ => panic!("no option is called {option}"),
        }
    }
    let deflate = deflate.map(|()| Deflate {
        server_context_takeover: true,
        client_context_takeover: takeover,
        server_window_bits: 15,
        client_window_bits: 15,
    });
    Decoder::new(limit, deflate)
}

fn run(decoder: &mut Decoder, input: &[u8], piece: usize) -> Outcome {
    let mut events = Vec::new();
    for mut rest in input.chunks(piece.min(input.len().max(1))) {
        while !rest.is_empty() {
            match decoder.decode(rest) {
                Ok((consumed, event)) => {
                    assert!(event.is_some() || consumed == rest.len());
                    events.extend(event);
                    rest = &rest[consumed..];
                }
                Err(violation) => {
                    assert_eq!(decoder.decode(b"more").unwrap_err(), violation);
                    return (events, Some(violation));
                }
            }
        }
    }
    (events, None)
}

fn expected(block: &Block<'_>) -> Outcome {
    let events = block.lines.iter().filter_map(|(keyword, value)| {
        let bytes = || unescape(value);
        Some(match *keyword {
            "text" => Event::Text(String::from_utf8(bytes()).unwrap()),
            "binary" => Event::Binary(bytes()),
            "ping" => Event::Ping(bytes()),
            "pong" => Event::Pong(bytes()),
            "close" => close(&String::from_utf8(bytes()).unwrap()),
            _ => return None,
        })
    });
    let refused = block.text("refused").map(|refused| {
        let found = FrameViolation::ALL
            .iter()
            .find(|violation| refused == format!("{} {}", violation.code(), violation.name()));
        *found.unwrap_or_else(|| panic!("no violation is called {refused}"))
    });
    (events.collect(), refused)
}

fn close(value: &str) -> Event {
    let (code, reason) = value.split_once(' ').unwrap_or((value, ""));
    Event::Close {
        code: code.parse().ok(),
        reason: reason.to_owned(),
    }
}

fn check_frames(block: &Block<'_>) {
    let input = block.all("send").concat();
    for piece in PIECES {
        let mut decoder = decoder(block.text("options").unwrap_or_default());
        let seen = run(&mut decoder, &input, piece);
        assert!(
            seen == expected(block),
            "{:?} in pieces of {piece}: {seen:?}",
            block.text("case")
        );
    }
}

fn check_handshake(block: &Block<'_>) {
    let name = block.text("case").unwrap();
    let input = block.all("request").concat();
    let (request, _) = parse_request(&input, &Limits::default()).unwrap().unwrap();
    let refusal = |refused: &Refusal| format!("{} {}", refused.status(), refused.name());
    let handshake = match judge(&request) {
        Ok(Some(handshake)) => handshake,
        Ok(None) => return assert_eq!(block.text("plain"), Some("yes"), "{name}"),
        Err(refused) => {
            return assert_eq!(block.text("refused"), Some(&*refusal(&refused)), "{name}");
        }
    };
    assert_eq!(
        handshake.protocols().join(" "),
        block.text("protocols").unwrap_or_default(),
        "{name}"
    );
    let mut out = Vec::new();
    let acceptance = Acceptance {
        protocol: handshake.protocols().first().map(String::as_str),
        deflate: handshake.negotiate(&DeflatePolicy::default()),
        fields: &ResponseHead::new(),
    };
    handshake.encode(&acceptance, &mut out).unwrap();
    let answer = block.all("answer").concat();
    assert!(out == answer, "{name}: {}", out.escape_ascii());
}

#[test]
fn every_case_has_its_outcome_however_it_is_cut() {
    for text in files_of("websocket") {
        for block in blocks(&text) {
            if block.text("request").is_some() {
                check_handshake(&block);
            } else {
                check_frames(&block);
            }
        }
    }
}

#[test]
fn names_of_cases_are_unique() {
    let files = files_of("websocket");
    let mut names: Vec<_> = files
        .iter()
        .flat_map(|text| blocks(text))
        .map(|block| block.bytes("case").unwrap())
        .collect();
    let count = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), count);
    assert!(count >= 120, "the vectors have become {count}");
}

#[test]
fn every_rule_is_broken_by_a_case() {
    let files = files_of("websocket");
    let refused: Vec<_> = files
        .iter()
        .flat_map(|text| blocks(text))
        .filter_map(|block| block.text("refused"))
        .filter_map(|refused| refused.split_once(' '))
        .map(|(_, name)| name)
        .collect();
    let rules = FrameViolation::ALL.iter().map(|violation| violation.name());
    for name in rules.chain(Refusal::ALL.iter().map(|refusal| refusal.name())) {
        assert!(refused.contains(&name), "no case for {name}");
    }
}
