//! Chunked bodies: the outcome depends on the bytes alone, and what was encoded is decoded.
#![no_main]

use libfuzzer_sys::fuzz_target;
use proto::h1::{BodyDecoder, LAST_CHUNK, encode_chunk};
use proto::{Framing, Limits, Violation};

const LIMITS: Limits = Limits {
    request_line: 100,
    fields: 3,
    field_size: 30,
    unconventional_method: false,
    casefold_method: false,
    unconventional_version: false,
    obsolete_folding: false,
    space_before_colon: false,
};

/// The body, its trailers, how many bytes it took, and whether it is complete.
#[derive(Debug, PartialEq, Eq)]
struct Body {
    data: Vec<u8>,
    trailers: Vec<(Vec<u8>, Vec<u8>)>,
    consumed: usize,
    done: bool,
}

fuzz_target!(|data: &[u8]| {
    let Some((&step, input)) = data.split_first() else {
        return;
    };
    let whole = decode(input, usize::MAX);
    assert_eq!(whole, decode(input, 1));
    assert_eq!(whole, decode(input, 1 + usize::from(step)));
    if let Ok(body) = &whole {
        check(input, body);
    }
    round_trip(input, 1 + usize::from(step));
});

/// Feeds at most `step` bytes at a time.
fn decode(input: &[u8], step: usize) -> Result<Body, Violation> {
    let mut decoder = BodyDecoder::new(Framing::Chunked, &LIMITS);
    let (mut data, mut consumed) = (Vec::new(), 0);
    while consumed < input.len() && !decoder.is_done() {
        let end = consumed.saturating_add(step).min(input.len());
        let decoded = decoder.decode(&input[consumed..end])?;
        assert!(decoded.consumed > 0 && decoded.consumed <= end - consumed);
        data.extend_from_slice(decoded.data);
        consumed += decoded.consumed;
    }
    let trailers = decoder
        .trailers()
        .map(|(name, value)| (name.to_vec(), value.to_vec()))
        .collect();
    Ok(Body {
        data,
        trailers,
        consumed,
        done: decoder.is_done(),
    })
}

fn check(input: &[u8], body: &Body) {
    assert!(body.consumed <= input.len() && body.data.len() <= body.consumed);
    if body.done {
        assert!(input[..body.consumed].ends_with(b"\r\n"));
        assert_eq!(
            decode(&input[..body.consumed], usize::MAX).as_ref(),
            Ok(body)
        );
    } else {
        assert_eq!(body.consumed, input.len());
    }
}

fn round_trip(data: &[u8], step: usize) {
    let mut encoded = Vec::new();
    data.chunks(step)
        .for_each(|chunk| encode_chunk(chunk, &mut encoded));
    encoded.extend_from_slice(LAST_CHUNK);
    let body = decode(&encoded, usize::MAX).unwrap();
    assert!(body.done && body.data == data && body.consumed == encoded.len());
}
