//! A WebSocket client for the tests: written from the RFCs, sharing no code with the server's side but the DEFLATE
//! library.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

/// What the client was told in the handshake.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Parameters {
    pub(crate) server_takeover: bool,
    pub(crate) client_takeover: bool,
    pub(crate) server_bits: u8,
    pub(crate) client_bits: u8,
}

impl Parameters {
    /// Reads the value of Sec-WebSocket-Extensions in an answer.
    pub(crate) fn parse(answer: &str) -> Self {
        let mut parameters = Self {
            server_takeover: true,
            client_takeover: true,
            server_bits: 15,
            client_bits: 15,
        };
        let mut parts = answer.split("; ");
        assert_eq!(parts.next(), Some("permessage-deflate"));
        for part in parts {
            match part.split_once('=').unwrap_or((part, "")) {
                ("server_no_context_takeover", "") => parameters.server_takeover = false,
                ("client_no_context_takeover", "") => parameters.client_takeover = false,
                ("server_max_window_bits", bits) => parameters.server_bits = bits.parse().unwrap(),
                ("client_max_window_bits", bits) => parameters.client_bits = bits.parse().unwrap(),
                _ => panic!("{part} is no parameter"),
            }
        }
        parameters
    }
}

/// A frame of the server.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) opcode: u8,
    pub(crate) compressed: bool,
    pub(crate) payload: Vec<u8>,
}

pub(crate) struct Client {
    parameters: Option<Parameters>,
    deflate: Option<Compress>,
    inflate: Option<Decompress>,
    key: u32,
}

impl Client {
    pub(crate) fn new(parameters: Option<Parameters>) -> Self {
        Self {
            parameters,
            deflate: None,
            inflate: None,
            key: 0x1234_5678,
        }
    }

    /// One frame with that first byte.
    pub(crate) fn frame(&mut self, first: u8, payload: &[u8], out: &mut Vec<u8>) {
        self.key = self.key.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let key = self.key.to_be_bytes();
        out.push(first);
        match payload.len() {
            length @ 0..=125 => out.push(0x80 | length as u8),
            length @ 126..=65535 => {
                out.push(0xfe);
                out.extend((length as u16).to_be_bytes());
            }
            length => {
                out.push(0xff);
                out.extend((length as u64).to_be_bytes());
            }
        }
        out.extend(key);
        out.extend(
            payload
                .iter()
                .enumerate()
                .map(|(at, byte)| byte ^ key[at % 4]),
        );
    }

    /// A message in fragments of at most that size, compressed where that was negotiated.
    pub(crate) fn message(&mut self, opcode: u8, data: &[u8], fragment: usize, out: &mut Vec<u8>) {
        let payload = match self.parameters {
            Some(parameters) => self.compress(parameters, data),
            None => data.to_vec(),
        };
        let rsv1 = if self.parameters.is_some() { 0x40 } else { 0 };
        let count = payload.len().div_ceil(fragment).max(1);
        for index in 0..count {
            let end = payload.len().min((index + 1) * fragment);
            let last = if index + 1 == count { 0x80 } else { 0 };
            let begin = if index == 0 { opcode | rsv1 } else { 0 };
            self.frame(last | begin, &payload[index * fragment..end], out);
        }
    }

    fn compress(&mut self, parameters: Parameters, data: &[u8]) -> Vec<u8> {
        // zlib does not flush twice where nothing came in between (RFC 7692, section 7.2.3.6).
        if data.is_empty() {
            return vec![0];
        }
        let new_engine = || {
            Compress::new_with_window_bits(
                Compression::new(6),
                false,
                parameters.client_bits.max(9),
            )
        };
        let engine = self.deflate.get_or_insert_with(new_engine);
        let mut out = Vec::with_capacity(data.len() * 2 + 100);
        let before = engine.total_in();
        engine
            .compress_vec(data, &mut out, FlushCompress::Sync)
            .unwrap();
        assert_eq!(engine.total_in() - before, data.len() as u64);
        assert!(out.ends_with(&[0, 0, 0xff, 0xff]));
        out.truncate(out.len() - 4);
        if !parameters.client_takeover {
            self.deflate = None;
        }
        out
    }

    /// Reads one frame of the server and says how long it is.
    pub(crate) fn read(&mut self, bytes: &[u8]) -> (Frame, usize) {
        assert_eq!(bytes[0] & 0xb0, 0x80, "final, without other reserved bits");
        let (length, start) = match bytes[1] {
            127 => (
                u64::from_be_bytes(bytes[2..10].try_into().unwrap()) as usize,
                10,
            ),
            126 => (
                u16::from_be_bytes(bytes[2..4].try_into().unwrap()).into(),
                4,
            ),
            length => (usize::from(length), 2),
        };
        let frame = Frame {
            opcode: bytes[0] & 0x0f,
            compressed: bytes[0] & 0x40 != 0,
            payload: bytes[start..start + length].to_vec(),
        };
        (frame, start + length)
    }

    /// The message that a frame holds.
    pub(crate) fn open(&mut self, frame: &Frame) -> Vec<u8> {
        if !frame.compressed {
            return frame.payload.clone();
        }
        let parameters = self.parameters.expect("compression was negotiated");
        let new_engine = || Decompress::new_with_window_bits(false, parameters.server_bits.max(9));
        let engine = self.inflate.get_or_insert_with(new_engine);
        let input = [&frame.payload, [0, 0, 0xff, 0xff].as_slice()].concat();
        let message = inflate_in_small_steps(engine, &input);
        if !parameters.server_takeover {
            self.inflate = None;
        }
        message
    }
}

/// Room for what comes out at first, a byte at a time: every reference then goes through the window, so one that
/// reaches beyond it fails. All of a large message in this way would take too long.
const STRICT_BYTES: usize = 3000;

fn inflate_in_small_steps(engine: &mut Decompress, input: &[u8]) -> Vec<u8> {
    let mut message = Vec::new();
    let mut buffer = [0; 4096];
    let mut rest = input;
    loop {
        let room = if message.len() < STRICT_BYTES {
            1
        } else {
            buffer.len()
        };
        let before = (engine.total_in(), engine.total_out());
        let status = engine
            .decompress(rest, &mut buffer[..room], FlushDecompress::Sync)
            .unwrap();
        assert_ne!(status, Status::StreamEnd);
        rest = &rest[(engine.total_in() - before.0) as usize..];
        let written = (engine.total_out() - before.1) as usize;
        message.extend_from_slice(&buffer[..written]);
        if written == 0 && rest.is_empty() {
            return message;
        }
    }
}
