//! Messages in both directions between the codec and a client of its own, with every combination of parameters.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests say what they expect"
)]

mod ws_client;

use proto::Limits;
use proto::h1::{ResponseHead, parse_request};
use proto::ws::handshake::{Acceptance, judge};
use proto::ws::{Decoder, Deflate, DeflatePolicy, Encoder, Event, MESSAGE_BYTES};
use ws_client::{Client, Parameters};

/// A generator of numbers that needs no library and always gives the same ones.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % end
    }

    /// Text that repeats itself over short and long distances, or noise, of any length.
    fn text(&mut self) -> String {
        let words = [
            "{\"id\": ",
            "naïve",
            "😀",
            "message",
            "\n",
            ", ",
            "0123456789",
            "κόσμε",
            "aaaaaaaaaaaaaaaaaaaaaaaa",
        ];
        let length = match self.below(6) {
            0 => self.below(8),
            1 => self.below(200),
            2 => self.below(1200),
            3 => 1000 + self.below(1200),
            4 => self.below(9000),
            _ => self.below(90_000),
        };
        let noise = self.below(4) == 0;
        let mut text = String::new();
        while text.len() < length {
            if noise || self.below(5) == 0 {
                text.push(char::from_u32(self.below(0xd7ff) as u32).unwrap());
            } else {
                text.push_str(words[self.below(words.len())]);
            }
        }
        text
    }
}

/// The whole handshake, as both sides see it.
fn shake_hands(offer: &str, policy: &DeflatePolicy) -> (Option<Deflate>, Option<Parameters>) {
    let head = format!(
        "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Extensions: {offer}\r\n\r\n"
    );
    let (request, _) = parse_request(head.as_bytes(), &Limits::default())
        .unwrap()
        .unwrap();
    let handshake = judge(&request).unwrap().unwrap();
    let deflate = handshake.negotiate(policy);
    let fields = ResponseHead::new();
    let mut out = Vec::new();
    let acceptance = Acceptance {
        protocol: None,
        deflate,
        fields: &fields,
    };
    handshake.encode(&acceptance, &mut out).unwrap();
    let answer = String::from_utf8(out).unwrap();
    let said = answer
        .lines()
        .find_map(|line| line.strip_prefix("Sec-WebSocket-Extensions: "));
    (deflate, said.map(Parameters::parse))
}

/// Sends messages both ways. Returns how many of the server's were compressed.
fn converse(
    deflate: Option<Deflate>,
    parameters: Option<Parameters>,
    rounds: usize,
    dice: &mut Dice,
) -> usize {
    let mut client = Client::new(parameters);
    let mut decoder = Decoder::new(MESSAGE_BYTES, deflate);
    let mut encoder = Encoder::new(deflate);
    let mut compressed = 0;
    for _ in 0..rounds {
        let text = dice.text();
        let (opcode, event) = match dice.below(2) {
            0 => (1, Event::Text(text.clone())),
            _ => (2, Event::Binary(text.clone().into_bytes())),
        };
        let mut wire = Vec::new();
        let fragment = 1 + dice.below(text.len() / 2 + 100);
        client.message(opcode, text.as_bytes(), fragment, &mut wire);
        assert_eq!(decode(&mut decoder, &wire, 1 + dice.below(3000)), [event]);

        let mut out = b"before".to_vec();
        match opcode {
            1 => encoder.text(&text, &mut out),
            _ => encoder.binary(text.as_bytes(), &mut out),
        }
        let (frame, length) = client.read(&out[b"before".len()..]);
        assert_eq!(
            (frame.opcode, length + b"before".len()),
            (opcode, out.len())
        );
        compressed += usize::from(frame.compressed);
        assert!(client.open(&frame) == text.as_bytes());
    }
    compressed
}

fn decode(decoder: &mut Decoder, wire: &[u8], piece: usize) -> Vec<Event> {
    let mut events = Vec::new();
    for mut rest in wire.chunks(piece) {
        while !rest.is_empty() {
            let (consumed, event) = decoder.decode(rest).unwrap();
            events.extend(event);
            rest = &rest[consumed..];
        }
    }
    events
}

#[test]
fn messages_survive_without_compression() {
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    assert_eq!(converse(None, None, 40, &mut dice), 0);
}

#[test]
fn messages_survive_every_combination_of_parameters() {
    let mut dice = Dice(0xdead_beef_cafe_f00d);
    let flags = [false, true];
    let mut compressed = 0;
    for server_bits in [8, 9, 10, 12, 15] {
        for client_bits in [8, 9, 13, 15] {
            for (server_takeover, client_takeover) in flags
                .iter()
                .flat_map(|one| flags.map(|other| (*one, other)))
            {
                let policy = DeflatePolicy {
                    server_context_takeover: true,
                    client_context_takeover: true,
                    server_window_bits: 15,
                    client_window_bits: 15,
                };
                let mut offer = format!(
                    "permessage-deflate; server_max_window_bits={server_bits}; client_max_window_bits={client_bits}"
                );
                if !server_takeover {
                    offer.push_str("; server_no_context_takeover");
                }
                if !client_takeover {
                    offer.push_str("; client_no_context_takeover");
                }
                let (deflate, parameters) = shake_hands(&offer, &policy);
                let said = parameters.unwrap();
                assert_eq!(
                    (said.server_takeover, said.client_takeover),
                    (server_takeover, client_takeover)
                );
                assert_eq!(
                    (said.server_bits, said.client_bits),
                    (server_bits, client_bits)
                );
                compressed += converse(deflate, parameters, 5, &mut dice);
            }
        }
    }
    // Of 400; the others are short, or noise that stands alone.
    assert!((120..380).contains(&compressed), "{compressed}");
}

#[test]
fn the_default_policy_compresses_what_is_large_enough() {
    let (deflate, parameters) = shake_hands(
        "permessage-deflate; client_max_window_bits",
        &DeflatePolicy::default(),
    );
    let mut client = Client::new(parameters);
    let mut encoder = Encoder::new(deflate);
    for (length, compressed) in [(0, false), (1023, false), (1024, true), (100_000, true)] {
        let text = "a".repeat(length);
        let mut out = Vec::new();
        encoder.text(&text, &mut out);
        let (frame, taken) = client.read(&out);
        assert_eq!(
            (frame.compressed, taken),
            (compressed, out.len()),
            "{length}"
        );
        assert_eq!(client.open(&frame), text.as_bytes());
        assert!(
            !compressed || out.len() < length / 20,
            "{length}: {}",
            out.len()
        );
    }
}

#[test]
fn noise_is_sent_as_it_is_where_each_message_stands_alone() {
    let mut dice = Dice(1);
    let noise: Vec<u8> = (0..5000).map(|_| dice.below(256) as u8).collect();
    for (takeover, compressed) in [(false, false), (true, true)] {
        let policy = DeflatePolicy {
            server_context_takeover: takeover,
            ..DeflatePolicy::default()
        };
        let (deflate, parameters) = shake_hands("permessage-deflate", &policy);
        let mut client = Client::new(parameters);
        let mut encoder = Encoder::new(deflate);
        for _ in 0..3 {
            let mut out = Vec::new();
            encoder.binary(&noise, &mut out);
            let (frame, _) = client.read(&out);
            assert_eq!(client.open(&frame), noise);
            // With takeover the first is compressed though it grows, and the others refer to it if the window reaches.
            assert_eq!(frame.compressed, compressed);
        }
    }
}

/// The distances of references in DEFLATE data that consists of stored blocks and blocks with the fixed codes (RFC
/// 1951, section 3.2). `None` when there are other blocks.
fn distances(data: &[u8]) -> Option<Vec<usize>> {
    let mut bits = Bits { data, at: 0 };
    let mut found = Vec::new();
    while bits.at + 3 <= data.len() * 8 {
        let _last = bits.number(1);
        match bits.number(2) {
            0 => {
                bits.at = bits.at.next_multiple_of(8);
                if bits.at + 32 > data.len() * 8 {
                    break;
                }
                let length = bits.number(16);
                bits.at += 16 + length * 8;
            }
            1 => {
                while let Some(length_code) = bits.fixed_symbol()? {
                    let Some(code) = length_code.checked_sub(257) else {
                        continue;
                    };
                    let extra = [
                        0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5,
                        5, 5, 5, 0,
                    ];
                    bits.number(extra[code]);
                    let code = bits.code(5);
                    let extra = (code / 2).saturating_sub(1);
                    let base = if code < 4 {
                        code + 1
                    } else {
                        ((2 + code % 2) << extra) + 1
                    };
                    found.push(base + bits.number(extra));
                }
            }
            _ => return None,
        }
    }
    Some(found)
}

struct Bits<'a> {
    data: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    fn bit(&mut self) -> usize {
        let bit = self.data[self.at / 8] >> (self.at % 8) & 1;
        self.at += 1;
        bit.into()
    }

    /// A number, its lowest bit first.
    fn number(&mut self, bits: usize) -> usize {
        (0..bits).fold(0, |number, place| number | self.bit() << place)
    }

    /// A code, its highest bit first.
    fn code(&mut self, bits: usize) -> usize {
        (0..bits).fold(0, |code, _| code << 1 | self.bit())
    }

    /// The next symbol of the fixed literal and length code; `Some(None)` at the end of the block.
    fn fixed_symbol(&mut self) -> Option<Option<usize>> {
        let symbol = match self.code(7) {
            code @ 0..=0x17 => code + 256,
            code => match code << 1 | self.bit() {
                code @ 0x30..=0xbf => code - 0x30,
                code @ 0xc0..=0xc7 => code - 0xc0 + 280,
                code => (code << 1 | self.bit()) - 0x190 + 144,
            },
        };
        match symbol {
            256 => Some(None),
            0..=285 => Some(Some(symbol)),
            _ => None,
        }
    }
}

#[test]
fn a_window_of_256_bytes_is_never_exceeded() {
    let mut dice = Dice(77);
    let policy = DeflatePolicy {
        server_context_takeover: true,
        ..DeflatePolicy::default()
    };
    let (deflate, parameters) =
        shake_hands("permessage-deflate; server_max_window_bits=8", &policy);
    let mut client = Client::new(parameters);
    let mut encoder = Encoder::new(deflate);
    let mut longest = 0;
    for _ in 0..200 {
        let mut out = Vec::new();
        encoder.text(&dice.text(), &mut out);
        let (frame, _) = client.read(&out);
        if frame.compressed {
            let whole = [&frame.payload, [0, 0, 0xff, 0xff].as_slice()].concat();
            longest = longest.max(
                distances(&whole)
                    .expect("fixed codes")
                    .into_iter()
                    .max()
                    .unwrap_or(0),
            );
        }
    }
    assert!((200..=256).contains(&longest), "{longest}");
}
