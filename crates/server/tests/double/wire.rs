//! What clients and applications of these tests say to each other, and how they wait for it.

use std::io::Read;
use std::time::{Duration, Instant};

use proto::h1::ResponseHead;

/// A request after which the connection stays.
pub(crate) const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";
/// A request that is its connection's last.
pub(crate) const LAST_GET: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

/// A `header_timeout` to wait for, and enough for a client to connect and to speak on a machine that does other things.
pub(crate) const HEADER_TIMEOUT: Duration = Duration::from_secs(1);

/// The head of an answer that has nothing special.
pub(crate) fn ok() -> ResponseHead {
    let mut head = ResponseHead::new();
    head.set_status(b"200 OK").unwrap();
    head
}

/// Reads until the stream has brought `end`, not a byte more, and returns all of it.
pub(crate) fn hear(stream: &mut impl Read, end: &str) -> String {
    let mut read = Vec::new();
    let mut byte = [0];
    while !read.ends_with(end.as_bytes()) {
        stream.read_exact(&mut byte).unwrap();
        read.push(byte[0]);
    }
    String::from_utf8(read).unwrap()
}

/// Waits for what another thread makes true.
pub(crate) fn until(condition: impl Fn() -> bool) {
    let begun = Instant::now();
    while !condition() {
        let waited = begun.elapsed();
        assert!(waited < Duration::from_secs(10), "it never came true");
        std::thread::yield_now();
    }
}
