//! What the frames of a client amount to, beside what they say: how many of those that cost much and bring nothing it
//! sends, and whether it has begun something that it does not finish. Reads the heads of frames alone.

use super::PREFACE;
use crate::h1::session::Millis;

/// The time in which the bounds below hold, Gunicorn's.
const SPAN: Millis = 10_000;

/// Streams that a client may reset in [`SPAN`] ("rapid reset", CVE-2023-44487): each may have cost a call of the
/// application, and a browser that leaves a page resets what it had open once. Gunicorn's number.
const RESETS: u32 = 200;

/// Frames that bring nothing: PING, SETTINGS, PRIORITY, unknown ones, and DATA that is empty. Gunicorn's number.
const EMPTY: u32 = 1000;

/// The length of the head of a frame (RFC 9113, section 4.1).
const HEAD: usize = 9;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const PUSH_PROMISE: u8 = 5;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// Which bound a client has exceeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Excess {
    /// It resets too many streams.
    Resets,
    /// It sends too many frames that bring nothing.
    EmptyFrames,
}

impl std::fmt::Display for Excess {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Resets => write!(formatter, "more than {RESETS} streams reset in 10 seconds"),
            Self::EmptyFrames => {
                write!(
                    formatter,
                    "more than {EMPTY} frames without content in 10 seconds"
                )
            }
        }
    }
}

/// Watches the frames of one connection, from the preface on.
#[derive(Debug)]
pub struct FrameWatch {
    head: [u8; HEAD],
    /// Bytes of `head` that have come.
    known: usize,
    /// Bytes of the preface, or of the payload of a frame, that are to come.
    rest: usize,
    /// The block of fields that has begun goes on.
    in_block: bool,
    resets: Count,
    empty: Count,
    /// Frames that ended streams before their time, since the last look.
    saw_reset: bool,
}

/// How often something came in a span.
#[derive(Debug, Default)]
struct Count {
    since: Millis,
    count: u32,
}

impl Count {
    /// Whether one more is too many.
    fn exceeds(&mut self, limit: u32, now: Millis) -> bool {
        if now >= self.since.saturating_add(SPAN) {
            *self = Self {
                since: now,
                count: 0,
            };
        }
        self.count += 1;
        self.count > limit
    }
}

impl Default for FrameWatch {
    fn default() -> Self {
        Self {
            head: [0; HEAD],
            known: 0,
            rest: PREFACE.len(),
            in_block: false,
            resets: Count::default(),
            empty: Count::default(),
            saw_reset: false,
        }
    }
}

impl FrameWatch {
    /// Looks at bytes that were read.
    ///
    /// # Errors
    /// The bound that they exceed; the connection has to end.
    pub fn hear(&mut self, mut input: &[u8], now: Millis) -> Result<(), Excess> {
        loop {
            let skipped = self.rest.min(input.len());
            self.rest -= skipped;
            input = &input[skipped..];
            if self.rest > 0 || input.is_empty() {
                return Ok(());
            }
            let taken = input.len().min(HEAD - self.known);
            self.head[self.known..self.known + taken].copy_from_slice(&input[..taken]);
            self.known += taken;
            input = &input[taken..];
            if self.known < HEAD {
                return Ok(());
            }
            self.known = 0;
            self.note_frame(now)?;
        }
    }

    fn note_frame(&mut self, now: Millis) -> Result<(), Excess> {
        let [a, b, c, kind, flags, ..] = self.head;
        self.rest = u32::from_be_bytes([0, a, b, c]) as usize;
        match kind {
            HEADERS | CONTINUATION => self.in_block = flags & END_HEADERS == 0,
            RST_STREAM => {
                self.saw_reset = true;
                if self.resets.exceeds(RESETS, now) {
                    return Err(Excess::Resets);
                }
            }
            DATA if self.rest > 0 || flags & END_STREAM != 0 => {}
            // These have bounds of their own: the first two end the connection, and of the third there is one for
            // each piece that the server sends.
            PUSH_PROMISE | GOAWAY | WINDOW_UPDATE => {}
            _ => {
                if self.empty.exceeds(EMPTY, now) {
                    return Err(Excess::EmptyFrames);
                }
            }
        }
        Ok(())
    }

    /// Whether the client is in the middle of the fields of a request: nothing else can come before their end.
    #[must_use]
    pub fn is_within_fields(&self) -> bool {
        let is_block = matches!(self.head[3], HEADERS | CONTINUATION);
        self.in_block || (is_block && self.rest > 0)
    }

    /// Whether a stream was reset since the last look.
    pub fn take_reset(&mut self) -> bool {
        std::mem::take(&mut self.saw_reset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
        frame.extend_from_slice(&[kind, flags, 0, 0, 0, 1]);
        frame.extend_from_slice(payload);
        frame
    }

    fn watch() -> FrameWatch {
        let mut watch = FrameWatch::default();
        watch.hear(PREFACE, 0).unwrap();
        watch
    }

    #[test]
    fn frames_are_counted_however_they_are_cut() {
        let resets = frame(RST_STREAM, 0, &[0; 4]).repeat(RESETS as usize);
        for step in [1, 2, 7, 13, 4096] {
            let mut watch = FrameWatch::default();
            let bytes = [PREFACE.as_slice(), &resets].concat();
            for piece in bytes.chunks(step) {
                watch.hear(piece, 5).unwrap();
            }
            assert!(watch.take_reset() && !watch.take_reset());
            let one_more = frame(RST_STREAM, 0, &[0; 4]);
            assert_eq!(watch.hear(&one_more, 6), Err(Excess::Resets));
        }
    }

    #[test]
    fn each_span_has_its_own_count() {
        let mut watch = watch();
        let pings = frame(6, 0, &[0; 8]).repeat(EMPTY as usize);
        watch.hear(&pings, 0).unwrap();
        watch.hear(&pings, SPAN).unwrap();
        let excess = watch.hear(&pings, 2 * SPAN - 1);
        assert_eq!(excess, Err(Excess::EmptyFrames));
    }

    #[test]
    fn data_counts_where_it_is_empty_and_does_not_end_the_stream() {
        let mut watch = watch();
        let full = frame(DATA, 0, b"x").repeat(2 * EMPTY as usize);
        let last = frame(DATA, END_STREAM, b"").repeat(2 * EMPTY as usize);
        let updates = frame(WINDOW_UPDATE, 0, &[0, 0, 0, 1]).repeat(2 * EMPTY as usize);
        for harmless in [full, last, updates] {
            watch.hear(&harmless, 0).unwrap();
        }
        let empty = frame(DATA, 0, b"").repeat(EMPTY as usize + 1);
        assert_eq!(watch.hear(&empty, 0), Err(Excess::EmptyFrames));
    }

    #[test]
    fn fields_last_until_their_last_frame() {
        let mut watch = watch();
        let head = frame(HEADERS, 0, b"abc");
        watch.hear(&head[..11], 0).unwrap();
        assert!(watch.is_within_fields());
        watch.hear(&head[11..], 0).unwrap();
        assert!(watch.is_within_fields());
        watch.hear(&frame(CONTINUATION, 0, b""), 0).unwrap();
        assert!(watch.is_within_fields());
        watch
            .hear(&frame(CONTINUATION, END_HEADERS, b"d"), 0)
            .unwrap();
        assert!(!watch.is_within_fields());
        let data = frame(DATA, 0, b"abc");
        watch.hear(&data[..10], 0).unwrap();
        assert!(!watch.is_within_fields());
    }
}
