//! Replays `vectors/static`: what conditions, ranges, codings and paths come to. The names of the files say which.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests say what they expect"
)]
#![allow(clippy::disallowed_methods, reason = "the vectors are files")]

#[path = "cases/blocks.rs"]
#[allow(dead_code, reason = "each test crate uses a part of it")]
mod blocks;

use blocks::{Block, blocks};
use httpdate::HttpDate;
use proto::resource::{
    Acceptable, ByteRange, ByteRanges, CacheRule, Coding, MediaType, Multipart, Validators,
    Verdict, decode_path, evaluate, is_compressible, is_hashed, is_servable, range_applies,
    redirect_to,
};

const ETAG: &[u8] = b"\"v1\"";
const MODIFIED: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
const LENGTH: u64 = 10;

/// The cases of one file.
fn each(file: &str, check: impl Fn(&str, &Block<'_>)) {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../vectors/static");
    let text = std::fs::read_to_string(format!("{folder}/{file}.txt")).unwrap();
    let mut count = 0;
    for block in blocks(&text) {
        check(block.text("case").unwrap(), &block);
        count += 1;
    }
    assert!(count > 20, "{file} has {count} cases");
}

fn fields(block: &Block<'_>) -> Vec<(Vec<u8>, Vec<u8>)> {
    let split = |line: Vec<u8>| {
        let colon = line.iter().position(|&byte| byte == b':').unwrap();
        (line[..colon].to_vec(), line[colon + 2..].to_vec())
    };
    block.all("field").into_iter().map(split).collect()
}

/// The status and the ranges that a server answers with.
fn answer(method: &[u8], fields: &[(Vec<u8>, Vec<u8>)]) -> (u16, Vec<ByteRange>) {
    let fields = fields
        .iter()
        .map(|(name, value)| (name.as_slice(), value.as_slice()));
    let validators = Validators {
        etag: ETAG,
        modified: MODIFIED.parse::<HttpDate>().unwrap(),
    };
    match evaluate(fields.clone(), validators) {
        Verdict::NotModified => return (304, Vec::new()),
        Verdict::Failed => return (412, Vec::new()),
        Verdict::Proceed => {}
    }
    let range = fields.clone().find(|(name, _)| *name == b"Range");
    let ranges = match range {
        Some((_, value)) if method == b"GET" && range_applies(fields, validators) => {
            ByteRanges::select(value, LENGTH)
        }
        _ => ByteRanges::Whole,
    };
    match ranges {
        ByteRanges::Whole => (200, Vec::new()),
        ByteRanges::One(range) => (206, vec![range]),
        ByteRanges::Several(ranges) => (206, ranges),
        ByteRanges::Unsatisfiable => (416, Vec::new()),
    }
}

fn check_answer(case: &str, block: &Block<'_>) {
    let (status, ranges) = answer(&block.bytes("method").unwrap(), &fields(block));
    assert_eq!(status.to_string(), block.text("status").unwrap(), "{case}");
    let spelled = |range: &ByteRange| {
        format!("{}-{}", range.first, range.first + range.length - 1).into_bytes()
    };
    let ranges: Vec<_> = ranges.iter().map(spelled).collect();
    assert_eq!(ranges, block.all("range"), "{case}");
}

#[test]
fn conditions_are_judged_as_the_vectors_say() {
    each("conditions", check_answer);
}

#[test]
fn ranges_are_selected_as_the_vectors_say() {
    each("ranges", check_answer);
}

#[test]
fn codings_are_chosen_as_the_vectors_say() {
    each("codings", |case, block| {
        let lines = block.all("accept");
        let fields = lines
            .iter()
            .map(|line| (&b"Accept-Encoding"[..], line.as_slice()));
        let chosen = Acceptable::read(fields).choose(Coding::ALL);
        let name = chosen.map_or("identity", Coding::name);
        assert_eq!(name, block.text("coding").unwrap(), "{case}");
    });
}

#[test]
fn paths_name_the_files_that_the_vectors_say() {
    each("paths", |case, block| {
        let path = block.bytes("path").unwrap();
        let file = decode_path(&path).filter(|path| is_servable(path));
        assert_eq!(file, block.bytes("file"), "{case}");
    });
}

#[test]
fn a_part_of_nothing_is_nothing() {
    let check = |value: &[u8], expected: ByteRanges| {
        assert_eq!(
            ByteRanges::select(value, 0),
            expected,
            "{}",
            value.escape_ascii()
        );
    };
    check(b"bytes=0-", ByteRanges::Unsatisfiable);
    check(b"bytes=-5", ByteRanges::Whole);
    check(b"bytes=-0", ByteRanges::Unsatisfiable);
}

#[test]
fn a_body_of_several_parts_is_as_long_as_it_says() {
    let range = |first, length| ByteRange { first, length };
    let body = Multipart::new(&[range(0, 2), range(8, 2)], LENGTH, "text/plain", 7);
    let boundary = body.content_type.split_once("boundary=").unwrap().1;
    let mut bytes = Vec::new();
    for (head, range) in &body.parts {
        bytes.extend_from_slice(head);
        bytes.extend(std::iter::repeat_n(
            b'x',
            usize::try_from(range.length).unwrap(),
        ));
    }
    bytes.extend_from_slice(&body.end);
    assert_eq!(bytes.len() as u64, body.length());
    let expected = format!(
        "\r\n--{boundary}\r\nContent-Type: text/plain\r\nContent-Range: bytes 0-1/10\r\n\r\nxx\
         \r\n--{boundary}\r\nContent-Type: text/plain\r\nContent-Range: bytes 8-9/10\r\n\r\nxx\
         \r\n--{boundary}--\r\n"
    );
    assert_eq!(String::from_utf8(bytes).unwrap(), expected);
}

#[test]
fn types_are_known_by_their_extension() {
    let check = |path: &str, expected: &str| {
        assert_eq!(
            MediaType::of(path.as_bytes()).content_type(),
            expected,
            "{path}"
        );
    };
    check("a/app.js", "text/javascript; charset=utf-8");
    check("app.MJS", "text/javascript; charset=utf-8");
    check("style.css", "text/css; charset=utf-8");
    check("index.html", "text/html; charset=utf-8");
    check("data.json", "application/json");
    check("image.svg", "image/svg+xml");
    check("image.png", "image/png");
    check("font.woff2", "font/woff2");
    check("module.wasm", "application/wasm");
    check("video.mp4", "video/mp4");
    check("site.webmanifest", "application/manifest+json");
    check("archive.tar.gz", "application/gzip");
    check("README", "application/octet-stream");
    check("a.b/README", "application/octet-stream");
}

#[test]
fn text_shrinks_and_pictures_do_not() {
    let check = |content_type: &str, expected: bool| {
        assert_eq!(
            is_compressible(content_type.as_bytes()),
            expected,
            "{content_type}"
        );
    };
    check("text/html; charset=utf-8", true);
    check("TEXT/Plain", true);
    check("application/json", true);
    check("application/json;charset=utf-8", true);
    check("image/svg+xml", true);
    check("image/png", false);
    check("video/mp4", false);
    check("application/octet-stream", false);
    check("", false);
}

#[test]
fn a_name_with_a_hash_is_told_from_one_with_a_word_or_a_date() {
    let check = |path: &str, expected: bool| {
        assert_eq!(is_hashed(path.as_bytes()), expected, "{path}");
    };
    check("app.3f2a9c1b.js", true);
    check("css/base.55e7cbb9ba48.css", true);
    check("assets/index-BqX3kT_a.js", true);
    check("main-3f2a9c1b7d.css", true);
    check("app.3f2a9c1b.js.map", true);
    check("app.js", false);
    check("jquery-3.7.1.min.js", false);
    check("report-20240131.pdf", false);
    check("photo.20240131.jpg", false);
    check("logo-FaceBook.svg", false);
    check("my-homepage.html", false);
    check("bootstrap.bundle.js", false);
    check("deadbeef.js", false);
    check("3f2a9c1b", false);
    check("", false);
}

#[test]
fn a_rule_is_about_the_names_that_its_pattern_matches() {
    let check = |pattern: &str, path: &str, expected: bool| {
        let rule = CacheRule {
            pattern: pattern.to_owned(),
            value: String::new(),
        };
        assert_eq!(rule.matches(path.as_bytes()), expected, "{pattern} {path}");
    };
    check("*.pdf", "a/b.pdf", true);
    check("*.pdf", "a/b.pdf.gz", false);
    check("sw.js", "sw.js", true);
    check("sw.js", "deep/sw.js", true);
    check("assets/*", "assets/deep/a.js", true);
    check("assets/*", "other/assets/a.js", false);
    check("*/fonts/*", "a/fonts/b", true);
    check("*", "", true);
    check("a*b*c", "axxbyyc", true);
    check("a*b*c", "axxbyy", false);
}

#[test]
fn a_redirect_stays_on_its_host() {
    let check = |path: &str, query: &str, expected: &str| {
        let target = redirect_to(path.as_bytes(), query.as_bytes());
        assert_eq!(String::from_utf8(target).unwrap(), expected);
    };
    check("/static/sub", "", "/static/sub/");
    check("/static/sub", "a=1", "/static/sub/?a=1");
    check("//evil.example/sub", "", "/evil.example/sub/");
    check("/\\evil.example", "", "/evil.example/");
}
