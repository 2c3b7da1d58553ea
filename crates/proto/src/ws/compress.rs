//! Deflated of messages (RFC 7692, section 7.2.1).

use flate2::{Compress, Compression, FlushCompress};

use super::deflate::Deflate;

/// What a flush ends with, and what is not sent.
const TAIL: &[u8] = &[0, 0, 0xff, 0xff];

/// Shortest message that is compressed where each one stands alone. Half a kilobyte of JSON shrinks to a third, but a
/// packet that is not full costs the network as much as one that is, and a compressor costs 10 µs to set up.
const ALONE_BYTES: usize = 1024;

/// Shortest message that is compressed where the window remembers those before it. Here 128 bytes of JSON shrink to a
/// quarter in half a microsecond; what a still shorter one could save is less than its heads.
const IN_CONTEXT_BYTES: usize = 128;

/// Smallest window that zlib can write with.
const LEAST_WINDOW_BITS: u8 = 9;

/// The compressing side of a connection.
#[derive(Debug)]
pub(super) struct Deflater {
    /// There from the first compressed message on; 200 to 300 KiB. Without context takeover only during a message, for
    /// a broadcast to ten thousand connections must not leave ten thousand of them behind.
    engine: Option<Compress>,
    context_takeover: bool,
    window_bits: u8,
}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Deflated {
    Compressed,
    /// It is sent as it is; nothing was appended.
    NotWorthIt,
}

impl Deflater {
    pub(super) fn new(deflate: &Deflate) -> Self {
        Self {
            engine: None,
            context_takeover: deflate.server_context_takeover,
            // The compressor never refers further back than its window less 262 bytes, so one with 512 bytes suits a
            // peer that keeps 256.
            window_bits: deflate.server_window_bits.clamp(LEAST_WINDOW_BITS, 15),
        }
    }

    /// Appends the message in compressed form, if that is shorter.
    pub(super) fn compress(&mut self, message: &[u8], out: &mut Vec<u8>) -> Deflated {
        if message.len() < self.least_bytes() {
            return Deflated::NotWorthIt;
        }
        let start = out.len();
        let new_engine = || {
            // The fastest level: it makes JSON 30 % longer than the default, and takes a third to a tenth of the time.
            Compress::new_with_window_bits(Compression::fast(), false, self.window_bits)
        };
        let engine = self.engine.get_or_insert_with(new_engine);
        let whole = run(engine, message, out);
        if !self.context_takeover || whole.is_none() {
            // Also right with takeover: a window that begins anew refers to nothing that the peer could lack.
            self.engine = None;
        }
        let grew = out.len() - start >= message.len();
        // With takeover the window holds the message already, so the peer has to see it in this form.
        if whole.is_none() || (grew && !self.context_takeover) {
            out.truncate(start);
            return Deflated::NotWorthIt;
        }
        Deflated::Compressed
    }

    fn least_bytes(&self) -> usize {
        if self.context_takeover {
            IN_CONTEXT_BYTES
        } else {
            ALONE_BYTES
        }
    }
}

/// Compresses and flushes, without the tail. `None` when the library fails, which it does only on a state that is
/// broken.
fn run(engine: &mut Compress, message: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let mut rest = message;
    loop {
        if out.len() == out.capacity() {
            out.reserve(message.len() / 4 + 64);
        }
        let before = engine.total_in();
        engine.compress_vec(rest, out, FlushCompress::Sync).ok()?;
        rest = rest.get((engine.total_in() - before) as usize..)?;
        // Memory that is left over says that the flush is complete.
        if rest.is_empty() && out.len() < out.capacity() {
            break;
        }
    }
    out.ends_with(TAIL)
        .then(|| out.truncate(out.len() - TAIL.len()))
}
