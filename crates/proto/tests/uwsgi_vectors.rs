//! Every case of `vectors/uwsgi`: read whole, by every beginning of it, and with other bytes behind it.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests say what they expect, and read files, which the crate does not"
)]

#[path = "cases/blocks.rs"]
mod blocks;

use std::collections::HashSet;

use blocks::{Block, blocks, files_of};
use proto::uwsgi::read_packet;
use proto::{Limits, Request, Violation};

type Outcome = Result<Option<(Request, usize)>, Violation>;

fn read(input: &[u8]) -> Outcome {
    read_packet(input, &Limits::default())
}

fn shown(outcome: &Outcome) -> String {
    let request = match outcome {
        Err(violation) => return format!("refused {} {}\n", violation.status(), violation.name()),
        Ok(None) => return "incomplete head\n".to_owned(),
        Ok(Some((request, _))) => request,
    };
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let mut shown = format!("accepted {}\n", text(request.line()));
    for (name, value) in request.fields() {
        shown += &format!("field {}: {}\n", text(name), text(value));
    }
    if !request.keep_alive() {
        shown += "keep_alive no\n";
    }
    shown
}

fn expected(block: &Block<'_>) -> String {
    let lines = block.lines.iter();
    lines
        .filter(|(keyword, _)| !matches!(*keyword, "case" | "note" | "send"))
        .map(|(keyword, value)| format!("{keyword} {value}\n"))
        .collect()
}

fn check(block: &Block<'_>) {
    let name = String::from_utf8(block.bytes("case").unwrap()).unwrap();
    let input = block.all("send").concat();
    let outcome = read(&input);
    assert_eq!(shown(&outcome), expected(block), "{name}");
    for length in 0..input.len() {
        let part = read(&input[..length]);
        let is_open = matches!(part, Ok(None)) || shown(&part) == shown(&outcome);
        assert!(is_open, "{name}: {length} bytes give {part:?}");
    }
    if matches!(outcome, Ok(None)) {
        return;
    }
    let longer = read(&[&input[..], b"body\r\n\0\0"].concat());
    assert_eq!(shown(&longer), shown(&outcome), "{name}");
    if let Ok(Some((_, length))) = longer {
        assert_eq!(length, input.len(), "{name}");
    }
}

#[test]
fn every_case_has_its_outcome() {
    let files = files_of("uwsgi");
    let mut names = HashSet::new();
    for block in files.iter().flat_map(|file| blocks(file)) {
        check(&block);
        assert!(names.insert(block.text("case").unwrap().to_owned()));
    }
    let broken: HashSet<_> = files
        .iter()
        .flat_map(|file| {
            blocks(file)
                .filter_map(|block| block.text("refused"))
                .collect::<Vec<_>>()
        })
        .collect();
    for violation in Violation::ALL
        .iter()
        .filter(|rule| rule.name().starts_with("Uwsgi"))
    {
        let refused = format!("{} {}", violation.status(), violation.name());
        assert!(
            broken.contains(&*refused),
            "no case is refused with {refused}"
        );
    }
}

#[test]
fn what_the_front_server_says_of_the_client_is_known() {
    let packet = |pairs: &[(&str, &str)]| {
        let mut block = Vec::new();
        for text in pairs.iter().flat_map(|pair| [pair.0, pair.1]) {
            block.extend_from_slice(&u16::try_from(text.len()).unwrap().to_le_bytes());
            block.extend_from_slice(text.as_bytes());
        }
        let size = u16::try_from(block.len()).unwrap().to_le_bytes();
        [&[0, size[0], size[1], 0], &block[..]].concat()
    };
    let told = packet(&[
        ("HTTP_HOST", "h"),
        ("REMOTE_ADDR", "192.0.2.7"),
        ("REMOTE_PORT", "5"),
        ("HTTPS", "on"),
        ("SCRIPT_NAME", "/app/"),
        ("REMOTE_USER", "anna"),
        ("lower", "x"),
    ]);
    let (request, _) = read(&told).unwrap().unwrap();
    let variables = request.variables().unwrap();
    assert_eq!(variables.client(), Some("192.0.2.7:5".parse().unwrap()));
    assert!(variables.is_https());
    assert_eq!(variables.script_name(), b"/app");
    let further: Vec<_> = variables.further().collect();
    assert_eq!(
        further,
        [(&b"HTTPS"[..], &b"on"[..]), (b"REMOTE_USER", b"anna")]
    );
    let (request, _) = read(&packet(&[("REMOTE_ADDR", "unix:"), ("HTTPS", "off")]))
        .unwrap()
        .unwrap();
    let variables = request.variables().unwrap();
    assert!(variables.client().is_none() && !variables.is_https());
}
