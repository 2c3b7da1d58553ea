//! The settings of compression, as responses need them: which requests allow it, which coding gets which level.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

use proto::Request;
use proto::resource::{Coding, CompressionRules, CompressionWish, Secrets, carries_forgery_token};
use settings::{Config, ContentCoding};

use crate::coder::CoderPlan;
use crate::options::Lead;

/// An event loop does nothing else while it compresses: a body that is longer than this gets the fastest level, which
/// takes some 10 ms for 2 MiB.
const FASTEST_FROM: usize = 1024 * 1024;
/// One that is longer than this goes out as it is: half a second of an event loop is worth more than some bandwidth.
const LOOP_LENGTH: usize = 8 * 1024 * 1024;
/// Padding differs by up to so many bytes, less one.
const PADDING: u64 = 64;

/// What is compressed, and how.
#[derive(Debug)]
pub(crate) struct Compression {
    pub(crate) rules: CompressionRules,
    levels: Vec<(Coding, u32)>,
    /// Paths below which cookies do not matter.
    permitted: Vec<String>,
    keys: RandomState,
    made: AtomicU64,
}

impl Compression {
    /// `None` where nothing is compressed.
    pub(crate) fn new(config: &Config) -> Option<Compression> {
        if config.compress.is_empty() {
            return None;
        }
        let levels = config.compress.iter().map(|coded| {
            let coding = match coded.coding {
                ContentCoding::Zstd => Coding::Zstd,
                ContentCoding::Brotli => Coding::Brotli,
                ContentCoding::Gzip => Coding::Gzip,
            };
            (coding, coded.level)
        });
        let levels: Vec<_> = levels.collect();
        Some(Compression {
            rules: CompressionRules {
                codings: levels.iter().map(|(coding, _)| *coding).collect(),
                least_length: config.compress_min_length,
                types: config.compress_types.clone(),
            },
            levels,
            permitted: config.compress_with_cookies.clone(),
            keys: RandomState::new(),
            made: AtomicU64::new(0),
        })
    }

    /// What a request says of the coding of its response.
    pub(crate) fn wish(&self, request: &Request) -> CompressionWish {
        let is_permitted = |prefix: &String| request.path().starts_with(prefix.as_bytes());
        let secrets = if self.permitted.iter().any(is_permitted) {
            Secrets::Permitted
        } else if carries_forgery_token(request) {
            Secrets::Likely
        } else {
            Secrets::Unlikely
        };
        CompressionWish::of(request, secrets)
    }

    /// Whether a body of which so much is there at once may hold up who leads.
    pub(crate) fn is_bearable(length: usize, lead: Lead) -> bool {
        lead == Lead::Threads || length <= LOOP_LENGTH
    }

    /// How a body is coded of which `length` bytes are there at once, and all if it is whole.
    pub(crate) fn plan(&self, coding: Coding, piece: FirstPiece, lead: Lead) -> CoderPlan {
        let chosen = self.levels.iter().find(|(known, _)| *known == coding);
        let level = match lead {
            Lead::EventLoop if piece.length > FASTEST_FROM => 1,
            _ => chosen.map_or(1, |(_, level)| *level),
        };
        CoderPlan {
            coding,
            level,
            whole: piece.is_whole.then_some(piece.length),
            padding: self.padding(),
        }
    }

    /// A few bytes more or less, so that the length tells little. Gzip has a place for them.
    fn padding(&self) -> u8 {
        if self.permitted.is_empty() {
            return 0;
        }
        let mut hasher = self.keys.build_hasher();
        hasher.write_u32(std::process::id());
        hasher.write_u64(self.made.fetch_add(1, Ordering::Relaxed));
        u8::try_from(hasher.finish() % PADDING).unwrap_or_default()
    }
}

/// The first piece of a body.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FirstPiece {
    pub(crate) length: usize,
    /// There is no other.
    pub(crate) is_whole: bool,
}
