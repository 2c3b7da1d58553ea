//! A message on its way in: frames joined, unmasked, decompressed, and, where it is text, judged as it comes.

use super::decoder::Event;
use super::frame::Kind;
use super::inflate::Inflater;
use super::mask::Mask;
use super::violation::FrameViolation;

/// Compressed bytes are unmasked in pieces of this size, on the stack, since the input is not ours to change.
const PIECE_BYTES: usize = 1024;

/// What has come of a message so far.
#[derive(Debug)]
pub(super) struct Message {
    kind: Kind,
    pub(super) compressed: bool,
    data: Vec<u8>,
    /// How much of the data is known to be UTF-8.
    checked: usize,
}

impl Message {
    pub(super) fn new(kind: Kind, compressed: bool) -> Self {
        Self {
            kind,
            compressed,
            data: Vec::new(),
            checked: 0,
        }
    }

    /// How long the message is so far.
    pub(super) fn length(&self) -> usize {
        self.data.len()
    }

    /// Appends bytes as the client sent them. The length of a message that is not compressed was judged by the heads of
    /// its frames.
    pub(super) fn append(
        &mut self,
        masked: &[u8],
        mask: &mut Mask,
        inflater: &mut Inflater,
        limit: usize,
    ) -> Result<(), FrameViolation> {
        if !self.compressed {
            let start = self.data.len();
            self.data.extend_from_slice(masked);
            mask.apply(&mut self.data[start..]);
            return Ok(());
        }
        let mut buffer = [0; PIECE_BYTES];
        for piece in masked.chunks(PIECE_BYTES) {
            let plain = &mut buffer[..piece.len()];
            plain.copy_from_slice(piece);
            mask.apply(plain);
            let inflated = inflater.inflate(plain, &mut self.data, limit);
            self.rank(inflated, limit)?;
        }
        Ok(())
    }

    /// Fails as soon as no continuation could make the text valid, not only at its end.
    pub(super) fn check(&mut self) -> Result<(), FrameViolation> {
        self.check_within(usize::MAX)
    }

    fn check_within(&mut self, limit: usize) -> Result<(), FrameViolation> {
        if self.kind == Kind::Binary {
            return Ok(());
        }
        let end = self.data.len().min(limit);
        match std::str::from_utf8(self.data.get(self.checked..end).unwrap_or_default()) {
            Ok(_) => self.checked = end,
            Err(error) if error.error_len().is_none() => self.checked += error.valid_up_to(),
            Err(_) => return Err(FrameViolation::TextNotUtf8),
        }
        Ok(())
    }

    /// Of two broken rules the one counts that was broken first in the text, however the bytes were cut: what came out
    /// before the decompression failed is judged before the failure.
    fn rank(
        &mut self,
        inflated: Result<(), FrameViolation>,
        limit: usize,
    ) -> Result<(), FrameViolation> {
        inflated.or_else(|violation| self.check_within(limit).and(Err(violation)))
    }

    /// The whole message.
    pub(super) fn finish(
        mut self,
        inflater: &mut Inflater,
        limit: usize,
    ) -> Result<Event, FrameViolation> {
        if self.compressed {
            let inflated = inflater.finish(&mut self.data, limit);
            self.rank(inflated, limit)?;
        }
        match self.kind {
            Kind::Binary => Ok(Event::Binary(self.data)),
            Kind::Text => match String::from_utf8(self.data) {
                Ok(text) => Ok(Event::Text(text)),
                Err(_) => Err(FrameViolation::TextNotUtf8),
            },
        }
    }
}
