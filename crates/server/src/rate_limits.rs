//! How often each client may ask, and the answer to one that asks more often.

use std::net::IpAddr;

use percent_encoding::percent_decode;
use proto::Request;
use settings::{Config, RateRule};
use sys::rate_table::{Rate, RateTable};

use crate::own_answer::{Logged, OwnAnswer};
use crate::peer::Peer;

/// The rules, with what each client has used.
#[derive(Debug)]
pub(crate) struct RateLimits {
    rules: Vec<RateRule>,
    used: RateTable,
}

impl RateLimits {
    /// `None` where clients may ask as often as they like. What clients have used is counted in `shared`, if there is
    /// one, for all workers together.
    pub(crate) fn new(config: &Config, shared: Option<RateTable>) -> Option<RateLimits> {
        if config.rate_limit.is_empty() {
            return None;
        }
        let used = match shared {
            Some(shared) => shared,
            None => RateTable::new()
                .inspect_err(|error| log::error!("rate_limit: nothing can be counted: {error}"))
                .ok()?,
        };
        let mut rules: Vec<RateRule> = Vec::new();
        for rule in &config.rate_limit {
            // A rule that is there twice would count each request twice.
            if !rules.contains(rule) {
                rules.push(rule.clone());
            }
        }
        Some(RateLimits { rules, used })
    }

    /// The answer to a request that comes too soon. A client of a unix socket has no address, and no limit.
    pub(crate) fn answer(
        &self,
        request: &Request,
        client: impl FnOnce() -> Peer,
    ) -> Option<OwnAnswer> {
        // As the application gets it: a client that spells a path in another way reaches the same view.
        let path: Vec<u8> = percent_decode(request.path()).collect();
        let holds = |rule: &&RateRule| path.starts_with(rule.prefix.as_bytes());
        let mut rules = self.rules.iter().filter(holds).peekable();
        rules.peek()?;
        let Peer::Inet(address) = client() else {
            return None;
        };
        let client = bucket(address.ip());
        let now_us = u64::try_from(sys::clock::monotonic().as_micros()).unwrap_or(u64::MAX);
        // Counted by what a rule says, not by its place, which a reload may give to another one; and what one rule
        // refuses counts for none.
        let refused = rules.clone().find_map(|rule| {
            let permitted = self.used.look((rule, client), rate(rule), now_us);
            permitted.err().map(|wait_us| refusal(rule, wait_us))
        });
        refused.or_else(|| {
            rules.find_map(|rule| {
                let taken = self.used.take((rule, client), rate(rule), now_us);
                taken.err().map(|wait_us| refusal(rule, wait_us))
            })
        })
    }
}

/// Whom an address stands for: a client of IPv6 has a network of its own, /64, to take addresses from.
fn bucket(address: IpAddr) -> [u8; 8] {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();
            // No network of IPv6 that is routed begins so.
            [0, 0, 0, 0, a, b, c, d]
        }
        IpAddr::V6(address) => {
            let mut network = [0; 8];
            network.copy_from_slice(&address.octets()[..8]);
            network
        }
    }
}

fn rate(rule: &RateRule) -> Rate {
    Rate {
        interval_us: u64::from(rule.seconds) * 1_000_000 / u64::from(rule.count.max(1)),
        burst: u64::from(rule.burst),
    }
}

/// The fields are those of draft-ietf-httpapi-ratelimit-headers: the quota, what is left of it, and when there is more.
fn refusal(rule: &RateRule, wait_us: u64) -> OwnAnswer {
    let seconds = wait_us.div_ceil(1_000_000).max(1);
    let policy = format!("\"default\";q={};w={}", rule.count, rule.seconds);
    let left = format!("\"default\";r=0;t={seconds}");
    OwnAnswer {
        status: b"429 Too Many Requests",
        fields: vec![
            (b"Content-Type", b"text/plain; charset=utf-8".to_vec()),
            (b"Retry-After", seconds.to_string().into_bytes()),
            (b"RateLimit-Policy", policy.into_bytes()),
            (b"RateLimit", left.into_bytes()),
        ],
        body: b"Too many requests have come from this address.\n".to_vec(),
        log: Logged::Yes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_an_address_or_a_network() {
        let of = |text: &str| bucket(text.parse().unwrap());
        assert_eq!(of("10.0.0.1"), of("::ffff:10.0.0.1"));
        assert_ne!(of("10.0.0.1"), of("10.0.0.2"));
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:1"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
    }
}
