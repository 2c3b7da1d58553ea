//! Bodies in a content coding, piece by piece or as a whole. What it makes of a piece can be decoded to that piece at
//! once: an event that was sent arrives.

use std::fmt;
use std::io::{self, Write};

use brotli::CompressorWriter;
use brotli::enc::BrotliEncoderParams;
use flate2::write::GzEncoder;
use flate2::{Compression as GzipLevel, GzBuilder};
use proto::resource::Coding;
use zstd::stream::raw::{CParameter, Encoder, InBuffer, Operation, OutBuffer};

/// The longest distance, as the power of two, over which a response is searched for what repeats. A response that
/// streams holds so much memory for as long as it lasts: 128 KiB, four times what gzip has.
const STREAM_WINDOW: u32 = 17;
/// The same for a body that is there as a whole: 1 MiB. Clients take up to 8 MiB (RFC 9659).
const WHOLE_WINDOW: u32 = 20;
/// What brotli hands on at once.
const BROTLI_BLOCK: usize = 16 * 1024;
/// The room in which zstd puts its output, again and again.
const ZSTD_BLOCK: usize = 32 * 1024;

/// A coding with all that decides on its output.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CoderPlan {
    pub(crate) coding: Coding,
    pub(crate) level: u32,
    /// The length of a body that comes as one piece.
    pub(crate) whole: Option<usize>,
    /// The length of what is put into the header for nothing but its length, where the coding has a place for it.
    pub(crate) padding: u8,
}

/// A body on its way.
pub(crate) enum Coder {
    Gzip(Box<GzEncoder<Vec<u8>>>),
    Brotli(Box<CompressorWriter<Vec<u8>>>),
    Zstd(Box<Encoder<'static>>),
}

impl fmt::Debug for Coder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Coder::Gzip(_) => "Gzip",
            Coder::Brotli(_) => "Brotli",
            Coder::Zstd(_) => "Zstd",
        })
    }
}

impl Coder {
    /// # Errors
    /// There is no memory.
    pub(crate) fn new(plan: CoderPlan) -> io::Result<Coder> {
        let window = match plan.whole {
            Some(_) => WHOLE_WINDOW,
            None => STREAM_WINDOW,
        };
        Ok(match plan.coding {
            Coding::Gzip => {
                let header = match plan.padding {
                    0 => GzBuilder::new(),
                    length => GzBuilder::new().filename(vec![b'-'; usize::from(length)]),
                };
                let encoder = header.write(Vec::new(), GzipLevel::new(plan.level));
                Coder::Gzip(Box::new(encoder))
            }
            Coding::Brotli => {
                let params = BrotliEncoderParams {
                    quality: i32::try_from(plan.level).unwrap_or_default(),
                    lgwin: i32::try_from(window).unwrap_or_default(),
                    size_hint: plan.whole.unwrap_or_default(),
                    ..BrotliEncoderParams::default()
                };
                let writer = CompressorWriter::with_params(Vec::new(), BROTLI_BLOCK, &params);
                Coder::Brotli(Box::new(writer))
            }
            Coding::Zstd => {
                let mut encoder = Encoder::new(i32::try_from(plan.level).unwrap_or_default())?;
                encoder.set_parameter(CParameter::WindowLog(window))?;
                if let Some(length) = plan.whole {
                    // With it, tables are as large as the body needs.
                    encoder.set_pledged_src_size(Some(length as u64))?;
                }
                Coder::Zstd(Box::new(encoder))
            }
        })
    }

    /// A piece of the body, so that the client can decode all of it. Nothing for no bytes.
    ///
    /// # Errors
    /// There is no memory.
    pub(crate) fn piece(&mut self, piece: &[u8]) -> io::Result<Vec<u8>> {
        if piece.is_empty() {
            return Ok(Vec::new());
        }
        match self {
            Coder::Gzip(encoder) => {
                encoder.write_all(piece)?;
                encoder.flush()?;
                Ok(std::mem::take(encoder.get_mut()))
            }
            Coder::Brotli(writer) => {
                writer.write_all(piece)?;
                writer.flush()?;
                Ok(std::mem::take(writer.get_mut()))
            }
            Coder::Zstd(encoder) => {
                let mut coded = Vec::new();
                take_in(encoder, piece, &mut coded)?;
                drain(&mut coded, |room| encoder.flush(room))?;
                Ok(coded)
            }
        }
    }

    /// The last piece, with what ends the body.
    ///
    /// # Errors
    /// There is no memory.
    pub(crate) fn last(self, piece: &[u8]) -> io::Result<Vec<u8>> {
        match self {
            Coder::Gzip(mut encoder) => {
                encoder.write_all(piece)?;
                encoder.finish()
            }
            Coder::Brotli(mut writer) => {
                writer.write_all(piece)?;
                Ok(writer.into_inner())
            }
            Coder::Zstd(mut encoder) => {
                let mut coded = Vec::new();
                take_in(&mut encoder, piece, &mut coded)?;
                drain(&mut coded, |room| encoder.finish(room, true))?;
                Ok(coded)
            }
        }
    }
}

fn take_in(encoder: &mut Encoder<'static>, piece: &[u8], coded: &mut Vec<u8>) -> io::Result<()> {
    let mut input = InBuffer::around(piece);
    while input.pos() < piece.len() {
        drain_once(coded, |room| encoder.run(&mut input, room))?;
    }
    Ok(())
}

type OutputRoom<'a> = OutBuffer<'a, [u8]>;

/// Takes what an encoder gives until it says that there is nothing left.
fn drain(
    coded: &mut Vec<u8>,
    mut give: impl FnMut(&mut OutputRoom<'_>) -> io::Result<usize>,
) -> io::Result<()> {
    while drain_once(coded, &mut give)? > 0 {}
    Ok(())
}

fn drain_once(
    coded: &mut Vec<u8>,
    give: impl FnOnce(&mut OutputRoom<'_>) -> io::Result<usize>,
) -> io::Result<usize> {
    let mut block = [0; ZSTD_BLOCK];
    let mut room = OutBuffer::around(&mut block[..]);
    let left = give(&mut room)?;
    coded.extend_from_slice(room.as_slice());
    Ok(left)
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    /// What a client makes of the bytes that have arrived, whether or not more follow.
    fn decoded(coding: Coding, coded: &[u8]) -> Vec<u8> {
        let mut reader: Box<dyn Read + '_> = match coding {
            Coding::Gzip => Box::new(flate2::read::GzDecoder::new(coded)),
            Coding::Brotli => Box::new(brotli::Decompressor::new(coded, 4096)),
            Coding::Zstd => Box::new(zstd::stream::read::Decoder::new(coded).unwrap()),
        };
        let mut body = Vec::new();
        let mut block = [0; 100];
        while let Ok(read @ 1..) = reader.read(&mut block) {
            body.extend_from_slice(&block[..read]);
        }
        body
    }

    fn plan(coding: Coding, whole: Option<usize>) -> CoderPlan {
        CoderPlan {
            coding,
            level: 3,
            whole,
            padding: 0,
        }
    }

    #[test]
    fn each_piece_can_be_decoded_at_once() {
        for coding in Coding::ALL {
            let mut coder = Coder::new(plan(coding, None)).unwrap();
            let mut coded = Vec::new();
            let mut sent = Vec::new();
            let long = b"0123456789abcdef".repeat(10_000);
            for piece in [&b"data: one\n\n"[..], b"", b"data: two\n\n", &long] {
                sent.extend_from_slice(piece);
                coded.extend(coder.piece(piece).unwrap());
                assert!(decoded(coding, &coded) == sent, "{coding:?}");
            }
            coded.extend(coder.last(b"end").unwrap());
            sent.extend_from_slice(b"end");
            assert!(decoded(coding, &coded) == sent, "{coding:?}");
        }
    }

    #[test]
    fn a_whole_body_shrinks() {
        let body = b"{\"name\": \"value\"}".repeat(1000);
        for coding in Coding::ALL {
            let coder = Coder::new(plan(coding, Some(body.len()))).unwrap();
            let coded = coder.last(&body).unwrap();
            assert!(coded.len() < body.len() / 20, "{coding:?}");
            assert!(decoded(coding, &coded) == body, "{coding:?}");
        }
    }

    #[test]
    fn padding_changes_the_length_alone() {
        let padded = |padding| {
            let plan = CoderPlan {
                padding,
                ..plan(Coding::Gzip, None)
            };
            Coder::new(plan).unwrap().last(b"secret").unwrap()
        };
        // A name ends with a zero byte.
        assert_eq!(padded(9).len(), padded(0).len() + 10);
        assert_eq!(decoded(Coding::Gzip, &padded(9)), b"secret");
    }
}
