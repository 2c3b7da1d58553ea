//! Decompression of messages (RFC 7692, section 7.2.2), with a bound that holds while the data comes out.

use flate2::{Decompress, FlushDecompress, Status};

use super::violation::FrameViolation;

/// What the sender has cut off the end of the compressed message.
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];

/// The window is always the largest: zlib-rs asks for 32 KiB for any size, and a large window reads what was
/// written with a small one.
const WINDOW_BITS: u8 = 15;

/// The first piece of memory for a message whose size is not known.
const FIRST_BYTES: usize = 64;

/// The decompressing side of a connection.
#[derive(Debug)]
pub(super) struct Inflater {
    /// There from the first compressed message on; about 48 KiB. Without context takeover only during a message.
    engine: Option<Decompress>,
    context_takeover: bool,
    /// Whether the engine has been given bytes since the message, or the last DEFLATE stream in it, began.
    fed: bool,
}

impl Inflater {
    pub(super) fn new(context_takeover: bool) -> Self {
        Self {
            engine: None,
            context_takeover,
            fed: false,
        }
    }

    /// Appends what `input` decompresses to, until `out` is longer than `limit`.
    ///
    /// A block that is marked as the final one ends a DEFLATE stream, and what follows it begins another (RFC 7692,
    /// section 7.2.3.5). The new one cannot refer to the old one: a sender that ends streams has forgotten it too.
    pub(super) fn inflate(
        &mut self,
        input: &[u8],
        out: &mut Vec<u8>,
        limit: usize,
    ) -> Result<(), FrameViolation> {
        let new_engine = || Decompress::new_with_window_bits(false, WINDOW_BITS);
        let engine = self.engine.get_or_insert_with(new_engine);
        let mut rest = input;
        loop {
            if out.len() == out.capacity() {
                make_room(out, rest.len(), limit)?;
            }
            self.fed |= !rest.is_empty();
            let before = (engine.total_in(), out.len());
            let outcome = engine.decompress_vec(rest, out, FlushDecompress::Sync);
            let taken = (engine.total_in() - before.0) as usize;
            rest = rest.get(taken..).unwrap_or_default();
            let stuck = taken == 0 && out.len() == before.1;
            if out.len() > limit {
                return Err(FrameViolation::MessageTooBig);
            }
            match outcome {
                Err(_) => return Err(FrameViolation::CompressedData),
                Ok(Status::StreamEnd) => {
                    engine.reset(false);
                    self.fed = false;
                }
                Ok(_) if stuck && !rest.is_empty() => return Err(FrameViolation::CompressedData),
                Ok(_) => {}
            }
            if rest.is_empty() && out.len() < out.capacity() {
                return Ok(());
            }
        }
    }

    /// Ends the message.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>, limit: usize) -> Result<(), FrameViolation> {
        // After a final block, or in a message of no bytes, there is no block that the tail could end.
        if std::mem::replace(&mut self.fed, false) {
            self.inflate(&TAIL, out, limit)?;
            self.fed = false;
        }
        if !self.context_takeover {
            self.engine = None;
        }
        Ok(())
    }
}

/// Doubles the memory, but never for more than one byte beyond the limit: that one byte proves that it is exceeded.
fn make_room(out: &mut Vec<u8>, input: usize, limit: usize) -> Result<(), FrameViolation> {
    let room = limit.saturating_add(1).saturating_sub(out.len());
    if room == 0 {
        return Err(FrameViolation::MessageTooBig);
    }
    let wanted = out.len().max(input.saturating_mul(4)).max(FIRST_BYTES);
    out.reserve_exact(wanted.min(room));
    Ok(())
}
