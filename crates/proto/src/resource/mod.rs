//! What a request asks of a resource whose representations are known: whether its conditions hold, which bytes it
//! wants, in which content coding, and how long the answer may be kept. And which file a path may name at all, and
//! which responses of an application may be compressed.
//! Nothing here opens a file.

mod coding;
mod compression;
mod conditions;
mod freshness;
mod media_type;
mod path;
mod ranges;

pub use coding::{Acceptable, Coding};
pub use compression::{
    CompressionRules, CompressionVerdict, CompressionWish, Secrets, carries_forgery_token,
};
pub use conditions::{Validators, Verdict, evaluate, range_applies};
pub use freshness::{CacheRule, is_hashed};
pub use media_type::{MediaType, is_compressible, is_font};
pub use path::{decode_path, is_servable, redirect_to};
pub use ranges::{ByteRange, ByteRanges, Multipart, content_range, unsatisfied_range};
