//! How long an application may go without sending anything of its response, by the path of the request.

use std::time::Duration;

use proto::Request;
use settings::Config;

/// The limits of a server.
#[derive(Debug)]
pub(crate) struct RequestLimits {
    /// The limit of all other paths.
    usual: Option<Duration>,
    /// Beginnings of paths, the longest first.
    by_prefix: Vec<(Vec<u8>, Option<Duration>)>,
}

impl RequestLimits {
    pub(crate) fn new(config: &Config) -> RequestLimits {
        let limit = |duration: Duration| Some(duration).filter(|duration| !duration.is_zero());
        let mut by_prefix: Vec<_> = config
            .request_timeout_paths
            .iter()
            .map(|path| (path.prefix.clone().into_bytes(), limit(path.timeout)))
            .collect();
        by_prefix.sort_by_key(|(prefix, _)| std::cmp::Reverse(prefix.len()));
        RequestLimits {
            usual: limit(config.request_timeout),
            by_prefix,
        }
    }

    /// The limit of a request, if it has one. The path is compared as it was sent: a client that spells it otherwise
    /// gets the usual limit.
    pub(crate) fn limit(&self, request: &Request) -> Option<Duration> {
        if self.by_prefix.is_empty() {
            return self.usual;
        }
        let path = request.path();
        let special = self
            .by_prefix
            .iter()
            .find(|(prefix, _)| path.starts_with(prefix));
        special.map_or(self.usual, |(_, limit)| *limit)
    }
}

#[cfg(test)]
mod tests {
    use settings::PathTimeout;

    use super::*;
    use crate::fixtures::request;

    #[test]
    fn the_longest_prefix_decides() {
        let path = |prefix: &str, seconds| PathTimeout {
            prefix: prefix.to_owned(),
            timeout: Duration::from_secs(seconds),
        };
        let limits = RequestLimits::new(&Config {
            request_timeout: Duration::from_secs(10),
            request_timeout_paths: vec![path("/a", 1), path("/a/events", 0), path("/a/b", 2)],
            ..Config::default()
        });
        let check = |target: &str, expected: Option<u64>| {
            let request = request(&format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"));
            let limit = limits.limit(&request).map(|limit| limit.as_secs());
            assert_eq!(limit, expected, "{target}");
        };
        check("/", Some(10));
        check("/a?b", Some(1));
        check("/a/bc", Some(2));
        check("/a/events/1", None);
        check("http://a/a/b", Some(2));
        check("/?/a", Some(10));
    }
}
