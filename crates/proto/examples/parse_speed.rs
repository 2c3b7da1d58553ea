//! Prints what one `parse_request` costs. Run it with `cargo run --release -p oxicorn-proto --example parse_speed`.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::print_stdout,
    reason = "a measurement needs the clock and an output, which the crate itself is denied"
)]

use std::hint::black_box;
use std::time::Instant;

use proto::Limits;
use proto::h1::parse_request;

const HEAD: &[u8] = b"GET /articles/2024/a-page?tag=server&page=2 HTTP/1.1\r\n\
    Host: www.example.org\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:126.0) Gecko/20100101 Firefox/126.0\r\n\
    Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n\
    Accept-Language: en-US,en;q=0.5\r\n\
    Accept-Encoding: gzip, deflate, br\r\n\
    Referer: https://www.example.org/articles/\r\n\
    Connection: keep-alive\r\n\
    Cookie: session=0123456789abcdef0123456789abcdef; theme=dark\r\n\
    Upgrade-Insecure-Requests: 1\r\n\
    Cache-Control: max-age=0\r\n\
    \r\n";

const RUNS: u32 = 400;
const ROUNDS: u32 = 5_000;

fn measure(name: &str, mut once: impl FnMut()) {
    // The best of many short runs: what disturbs a measurement only ever makes it slower.
    let best = (0..RUNS).map(|_| {
        let start = Instant::now();
        (0..ROUNDS).for_each(|_| once());
        start.elapsed().as_nanos() / u128::from(ROUNDS)
    });
    println!("{name:<40} {:>6} ns", best.min().unwrap_or_default());
}

fn main() {
    let limits = Limits::default();
    println!("a head of {} bytes with 10 fields", HEAD.len());
    measure("httparse alone", || {
        let mut headers = [httparse::EMPTY_HEADER; 32];
        let mut request = httparse::Request::new(&mut headers);
        let _ = black_box(request.parse(black_box(HEAD)));
    });
    measure("parse_request", || {
        let _ = black_box(parse_request(black_box(HEAD), &limits));
    });
    measure("parse_request, a head without its end", || {
        let _ = black_box(parse_request(black_box(&HEAD[..HEAD.len() - 2]), &limits));
    });
}
