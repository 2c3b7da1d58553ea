//! What an operator permits beyond RFC 9112 changes how a head is spelled and never where a message ends: random heads
//! of the pieces that matter, read with the licences and without.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests say what they expect"
)]

use proto::h1::{HeadParser, parse_request};
use proto::{Limits, Request, Violation};

type Outcome = Result<Option<(Request, usize)>, Violation>;

/// What heads are made of; folds, blanks and the fields that frame are frequent.
const PIECES: [&str; 26] = [
    "\r\n",
    "\r\n",
    "\r\n",
    "\r\n ",
    "\r\n\t",
    " ",
    "\t",
    ":",
    ": ",
    " : ",
    "Host: a",
    "Host : a",
    "X",
    "Content-Length",
    "content-length : 5",
    "Transfer-Encoding",
    "chunked",
    "5",
    "identity",
    "\n",
    "\r",
    "Connection: close",
    "\r\nX: 1",
    "\r\nY : 2",
    "\r\nY \t: 2\r\n 3",
    "\r\nContent-Length: 3",
];

/// A small generator with a fixed seed: the same heads in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % sides
    }

    fn head(&mut self) -> Vec<u8> {
        let mut head = b"POST / HTTP/1.1\r\nHost: b".to_vec();
        if self.roll(4) == 0 {
            head.truncate(b"POST / HTTP/1.1".len());
        }
        for _ in 0..self.roll(14) {
            head.extend_from_slice(PIECES[self.roll(PIECES.len())].as_bytes());
        }
        head.extend_from_slice(b"\r\n\r\n");
        head
    }
}

fn byte_by_byte(input: &[u8], limits: &Limits) -> Outcome {
    let mut parser = HeadParser::default();
    for length in 0..=input.len() {
        if let Some(head) = parser.parse(&input[..length], limits)? {
            return Ok(Some(head));
        }
    }
    Ok(None)
}

/// All that a request says to those who read it.
fn said(request: &Request) -> String {
    let fields: Vec<_> = request
        .fields()
        .map(|(name, value)| format!("{}={}", name.escape_ascii(), value.escape_ascii()))
        .collect();
    format!(
        "{fields:?} {:?} {} {:?}",
        request.framing(),
        request.keep_alive(),
        request.host().escape_ascii().to_string()
    )
}

fn summary(outcome: &Outcome) -> Result<Option<(String, usize)>, Violation> {
    let read = outcome.as_ref().map_err(|violation| *violation)?;
    Ok(read
        .as_ref()
        .map(|(request, consumed)| (said(request), *consumed)))
}

#[test]
fn the_licences_move_no_end_of_a_message() {
    let strict = Limits::default();
    let mut dice = Dice(1);
    let (mut straightened, mut accepted) = (0, 0);
    for round in 0..60_000 {
        let tolerant = Limits {
            obsolete_folding: round % 3 != 0,
            space_before_colon: round % 3 != 1,
            ..strict
        };
        let head = dice.head();
        let context = head.escape_ascii().to_string();
        let with = parse_request(&head, &tolerant);
        assert_eq!(
            summary(&with),
            summary(&byte_by_byte(&head, &tolerant)),
            "{context}"
        );
        let without = parse_request(&head, &strict);
        match (&without, &with) {
            // Who uses no licence is read as without any.
            (Ok(_), _) => assert_eq!(summary(&with), summary(&without), "{context}"),
            (Err(Violation::ObsoleteFolding | Violation::SpaceBeforeColon), _) => {}
            (Err(violation), Err(same)) => assert_eq!(violation, same, "{context}"),
            (Err(violation), Ok(_)) => panic!("{violation:?} is accepted: {context}"),
        }
        let Ok(Some((request, _))) = &with else {
            continue;
        };
        accepted += 1;
        straightened += usize::from(without.is_err());
        // What the application is told needs no licence any more, and means the same.
        let again = [request.line(), b"\r\n", request.field_block(), b"\r\n"].concat();
        let (again, _) = parse_request(&again, &strict).unwrap().unwrap();
        assert_eq!(said(&again), said(request), "{context}");
    }
    assert!(
        accepted > 1_000 && straightened > 500,
        "{accepted}, {straightened}"
    );
}
