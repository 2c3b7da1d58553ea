//! The ids that requests carry through proxies, application and logs.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use proto::Request;
use settings::Config;

/// The longest id that is taken over.
const LONGEST: usize = 128;

/// Where they are carried, and how they are made.
#[derive(Debug)]
pub(crate) struct RequestIds {
    field: String,
    /// Makes ids that cannot be guessed. Processes that were forked may share its keys.
    keys: RandomState,
    /// Distinguishes this process from those.
    seed: u128,
    made: AtomicU64,
}

impl RequestIds {
    pub(crate) fn new(config: &Config) -> Option<RequestIds> {
        let field = config.request_id.clone()?;
        let time = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let nanos = time.map_or(0, |time| time.as_nanos());
        Some(RequestIds {
            field,
            keys: RandomState::new(),
            seed: nanos << 32 | u128::from(std::process::id()),
            made: AtomicU64::new(0),
        })
    }

    /// The field that carries them.
    pub(crate) fn field(&self) -> &[u8] {
        self.field.as_bytes()
    }

    /// The same request with its id: the one that a trusted peer has sent, or a new one.
    pub(crate) fn identify(&self, request: &Request, is_trusted: impl FnOnce() -> bool) -> Request {
        let sent = request.field(self.field()).filter(|id| is_id(id));
        if let Some(id) = sent.filter(|_| is_trusted()) {
            let id = id.to_vec();
            return request.with_field(self.field(), &id);
        }
        request.with_field(self.field(), self.make().as_bytes())
    }

    fn make(&self) -> String {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        let half = |half: u8| {
            let mut hasher = self.keys.build_hasher();
            hasher.write_u128(self.seed);
            hasher.write_u64(number);
            hasher.write_u8(half);
            hasher.finish()
        };
        format!("{:016x}{:016x}", half(0), half(1))
    }
}

/// Nothing that a log or a header could take for something else.
fn is_id(id: &[u8]) -> bool {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.=+/:".contains(byte);
    (1..=LONGEST).contains(&id.len()) && id.iter().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_differ() {
        let config = Config {
            request_id: Some("X-Request-ID".to_owned()),
            ..Config::default()
        };
        let ids = RequestIds::new(&config).unwrap();
        let (one, two) = (ids.make(), ids.make());
        assert!(one != two && one.len() == 32);
        assert!(is_id(one.as_bytes()) && !is_id(b"") && !is_id(b"a b") && !is_id(&[b'a'; 129]));
    }
}
