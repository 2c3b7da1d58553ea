//! The coding of a body on its way out. It is decided with the head; from then on pieces are counted as the application
//! gave them, and sent as they are coded.

use std::io;
use std::os::unix::fs::FileExt;

use proto::Version;
use proto::h1::Content;
use proto::resource::{CompressionVerdict, CompressionWish};

use super::Reply;
use super::state::{Remaining, ReplyError, State};
use crate::burst::Timing;
use crate::coder::Coder;
use crate::compression::{Compression, FirstPiece};
use crate::sink::{FilePart, SinkError, Unfinished};

/// A file up to this length is read and compressed where the rules say so; a longer one goes out as it is, by the
/// kernel.
const FILE_LENGTH: u64 = 1024 * 1024;

/// A file behind pieces that are compressed is read by so many bytes.
const FILE_BLOCK: u64 = 64 * 1024;

/// What becomes of the body.
#[derive(Debug)]
pub(super) enum BodyCoding {
    /// It goes out as it is.
    Plain,
    /// The head decides.
    Undecided(Box<CompressionWish>),
    /// This is all of it.
    Whole(Vec<u8>),
    /// Piece by piece.
    Pieces(Coder),
}

/// What comes first of a body.
#[derive(Debug, Clone, Copy)]
pub(super) enum First<'a> {
    Bytes(&'a [u8]),
    /// A file of this length.
    File(u64),
}

impl Reply {
    /// The same, whose body may be compressed as the request wishes.
    pub(crate) fn with_compression(self, wish: Option<CompressionWish>) -> Reply {
        let coding = wish.map_or(BodyCoding::Plain, |wish| {
            BodyCoding::Undecided(Box::new(wish))
        });
        Reply { coding, ..self }
    }

    /// Its body goes out as it is.
    pub(crate) fn leave_uncompressed(&mut self) {
        self.coding = BodyCoding::Plain;
    }

    /// Decides, and has the head say so. Afterwards `Some` is the length that the body has before it is coded, where
    /// that is known, in place of its length on the wire.
    pub(super) fn decide_coding(
        &mut self,
        known_length: Option<u64>,
        first: First<'_>,
    ) -> Option<Option<u64>> {
        let BodyCoding::Undecided(wish) = &self.coding else {
            return None;
        };
        let total = self.head.content_length().or(known_length);
        let verdict = self.judge(wish, total, first);
        let mut coded = None;
        if let CompressionVerdict::Coded(_) = verdict {
            coded = self.code_first(verdict, total, first);
        }
        let verdict = match (verdict, &coded) {
            (CompressionVerdict::Coded(_), None) => CompressionVerdict::Varies,
            (verdict, _) => verdict,
        };
        if verdict != CompressionVerdict::Untouched {
            self.state_operators_vary();
        }
        verdict.apply(&mut self.head);
        self.coding = coded.unwrap_or(BodyCoding::Plain);
        matches!(verdict, CompressionVerdict::Coded(_)).then_some(total)
    }

    /// What the operator adds where a response states none of its own would be lost behind our `Vary`.
    fn state_operators_vary(&mut self) {
        let is_vary = |name: &[u8]| name.eq_ignore_ascii_case(b"vary");
        if self.head.fields().any(|(name, _)| is_vary(name)) {
            return;
        }
        for (name, value) in self.dispatcher.options.additions(b"").fields {
            if is_vary(name.as_bytes()) {
                // It was judged with the settings.
                let _ = self.head.push(name.as_bytes(), value.as_bytes());
            }
        }
    }

    fn judge(
        &self,
        wish: &CompressionWish,
        total: Option<u64>,
        first: First<'_>,
    ) -> CompressionVerdict {
        let Some(compression) = &self.dispatcher.options.compression else {
            return CompressionVerdict::Untouched;
        };
        if matches!(first, First::File(length) if length > FILE_LENGTH) {
            return CompressionVerdict::Untouched;
        }
        // An application that leaves the body out of its answer to HEAD has not said that GET would have none.
        let length = match self.asked.content {
            Content::Left => total.filter(|length| *length > 0),
            Content::Tunnel => return CompressionVerdict::Untouched,
            Content::Sent => total,
        };
        compression.rules.judge(&self.head, wish, length)
    }

    /// Codes what there is; `None` where that cannot be done, or would take too long.
    fn code_first(
        &self,
        verdict: CompressionVerdict,
        total: Option<u64>,
        first: First<'_>,
    ) -> Option<BodyCoding> {
        let (Some(compression), CompressionVerdict::Coded(coding)) =
            (&self.dispatcher.options.compression, verdict)
        else {
            return None;
        };
        let piece = match (first, self.asked.content) {
            (_, Content::Left | Content::Tunnel) => return Some(BodyCoding::Plain),
            (First::File(_), Content::Sent) => return None,
            (First::Bytes(piece), Content::Sent) => piece,
        };
        let lead = self.dispatcher.options.lead();
        let whole = total.and_then(|total| piece.get(..usize::try_from(total).ok()?));
        // A head that goes ahead of its body tells how long a piece may yet come.
        let length = match (piece.is_empty(), total) {
            (true, Some(total)) => usize::try_from(total).unwrap_or(usize::MAX),
            _ => whole.unwrap_or(piece).len(),
        };
        if !Compression::is_bearable(length, lead) {
            return None;
        }
        let first = FirstPiece {
            length,
            is_whole: whole.is_some(),
        };
        // Only a Content-Length keeps a connection of HTTP/1.0.
        if whole.is_none() && self.asked.version == Version::Http10 {
            return None;
        }
        let coder = Coder::new(compression.plan(coding, first, lead)).ok()?;
        match whole {
            Some(whole) => coder.last(whole).ok().map(BodyCoding::Whole),
            None => Some(BodyCoding::Pieces(coder)),
        }
    }

    /// The length on the wire of a body that is coded and whole.
    pub(super) fn coded_length(&self) -> Option<u64> {
        match &self.coding {
            BodyCoding::Whole(coded) => Some(coded.len() as u64),
            _ => None,
        }
    }

    /// Whether the end of the body is the coding's to tell.
    pub(super) fn is_coded(&self) -> bool {
        matches!(self.coding, BodyCoding::Pieces(_))
    }

    /// A piece as it goes out, once it is admitted; `None` for as it is.
    pub(super) fn encode(&mut self, piece: &[u8]) -> Result<Option<Vec<u8>>, ReplyError> {
        let is_last = matches!(self.state, State::Complete { .. });
        let coded = match std::mem::replace(&mut self.coding, BodyCoding::Plain) {
            BodyCoding::Whole(coded) => Ok(coded),
            BodyCoding::Pieces(coder) if is_last => coder.last(piece),
            BodyCoding::Pieces(mut coder) => {
                let coded = coder.piece(piece);
                self.coding = BodyCoding::Pieces(coder);
                coded
            }
            plain => {
                self.coding = plain;
                return Ok(None);
            }
        };
        match coded {
            Ok(coded) => Ok(Some(coded)),
            Err(error) => {
                log::error!("A response could not be compressed: {error}");
                Err(self.give_up_coding())
            }
        }
    }

    /// What ends a body of unknown length that is coded.
    pub(super) fn encode_end(&mut self) -> Result<Vec<u8>, ReplyError> {
        self.state = State::Complete { full: false };
        Ok(self.encode(&[])?.unwrap_or_default())
    }

    /// The client gets no more, and can tell.
    fn give_up_coding(&mut self) -> ReplyError {
        self.sink.break_off(Unfinished::Endless);
        self.keep_alive = false;
        let lost = SinkError::Disconnected;
        self.state = State::Lost(lost);
        ReplyError::Lost(lost)
    }

    /// Reads a file and sends it as bytes. This never waits for the client, so a response of which more waits than may
    /// is broken off.
    pub(super) fn send_read(&mut self, part: &FilePart) -> Result<(), ReplyError> {
        let (length, block) = match self.state {
            State::Stated { .. } => (self.head.content_length(), FILE_LENGTH),
            State::Streaming(Remaining::Bytes(left)) => (Some(left), FILE_BLOCK),
            _ => (None, FILE_BLOCK),
        };
        let length = length.unwrap_or(u64::MAX).min(part.length);
        let mut from = 0;
        while from < length {
            let most = usize::try_from(block.min(length - from)).unwrap_or_default();
            let bytes = match read_at(part, from, most) {
                Ok(bytes) => bytes,
                Err(error) => {
                    log::error!("A file that is sent could not be read: {error}");
                    return Err(self.give_up_coding());
                }
            };
            if bytes.is_empty() {
                break; // It was truncated meanwhile, and the body is shorter than its length.
            }
            self.send(&bytes, Timing::AtOnce)?;
            from += bytes.len() as u64;
            if from < length && !self.has_room_on_disk() {
                return Err(self.give_up_coding());
            }
        }
        Ok(())
    }

    /// Whether a file that would be the first of the body is better read, to be compressed.
    pub(super) fn is_read(&self, part: &FilePart) -> bool {
        match (self.state, &self.coding) {
            (State::Stated { known_length }, BodyCoding::Undecided(wish)) => {
                let total = self.head.content_length().or(known_length);
                let first = First::File(part.length);
                let verdict = self.judge(wish, total, first);
                self.asked.content == Content::Sent
                    && matches!(verdict, CompressionVerdict::Coded(_))
            }
            (_, coding) => matches!(coding, BodyCoding::Pieces(_)),
        }
    }
}

/// Bytes of a file, as many as are asked for where it does not end before.
fn read_at(part: &FilePart, from: u64, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    let mut read = 0;
    while read < length {
        let offset = part.offset + from + read as u64;
        match part.file.read_at(&mut bytes[read..], offset) {
            Ok(0) => break,
            Ok(count) => read += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(read);
    Ok(bytes)
}
