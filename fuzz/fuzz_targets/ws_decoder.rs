//! Frames of a WebSocket client: the outcome depends on the bytes alone, not on how they were cut, and is bounded.
#![no_main]

use libfuzzer_sys::fuzz_target;
use proto::ws::{Decoder, Deflate, Encoder, Event, FrameViolation};

type Outcome = (Vec<Event>, Option<FrameViolation>);

/// Small limits, so that small inputs reach them.
const LIMITS: [usize; 4] = [16, 200, 3000, 100_000];

/// The first byte of the input chooses.
fn decoder(choice: u8) -> (Decoder, usize) {
    let deflate = Deflate {
        server_context_takeover: true,
        client_context_takeover: choice & 2 == 0,
        server_window_bits: 15,
        client_window_bits: 15,
    };
    let limit = LIMITS[usize::from(choice >> 2) % LIMITS.len()];
    (
        Decoder::new(limit, (choice & 1 != 0).then_some(deflate)),
        limit,
    )
}

fn run(choice: u8, input: &[u8], piece: usize) -> Outcome {
    let (mut decoder, limit) = decoder(choice);
    let mut events = Vec::new();
    for mut rest in input.chunks(piece) {
        while !rest.is_empty() {
            match decoder.decode(rest) {
                Ok((consumed, event)) => {
                    assert!(consumed <= rest.len());
                    assert!(event.is_some() || consumed == rest.len());
                    if let Some(event) = event {
                        check(&event, limit);
                        events.push(event);
                    }
                    rest = &rest[consumed..];
                }
                Err(violation) => {
                    assert_eq!(decoder.decode(b"more"), Err(violation));
                    return (events, Some(violation));
                }
            }
        }
    }
    (events, None)
}

/// No event holds more than is allowed, nor memory for much more.
fn check(event: &Event, limit: usize) {
    let (length, capacity, most) = match event {
        Event::Text(text) => (text.len(), text.capacity(), limit),
        Event::Binary(data) => (data.len(), data.capacity(), limit),
        Event::Ping(payload) | Event::Pong(payload) => (payload.len(), payload.capacity(), 125),
        Event::Close { code, reason } => {
            assert!(code.is_some() || reason.is_empty());
            assert!(code.is_none_or(proto::ws::is_close_code));
            (reason.len(), reason.capacity(), 123)
        }
    };
    assert!(length <= most);
    assert!(capacity <= 2 * most + 64);
}

/// What arrived can be sent back.
fn echo(events: &[Event]) {
    let mut encoder = Encoder::new(None);
    let mut out = Vec::new();
    for event in events {
        match event {
            Event::Text(text) => encoder.text(text, &mut out),
            Event::Binary(data) => encoder.binary(data, &mut out),
            Event::Ping(payload) => encoder.pong(payload, &mut out).unwrap(),
            Event::Pong(payload) => encoder.ping(payload, &mut out).unwrap(),
            Event::Close { code, reason } => encoder.close(*code, reason, &mut out).unwrap(),
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((&choice, input)) = data.split_first() else {
        return;
    };
    let whole = run(choice, input, usize::MAX);
    assert_eq!(whole, run(choice, input, 1));
    assert_eq!(whole, run(choice, input, 5 + usize::from(choice)));
    echo(&whole.0);
});
