//! Every case of `vectors/proxy`: read whole, by every beginning of it, and with other bytes behind it. What was read
//! is written and read again.
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
use proto::proxy::{
    ProxyHeader, ProxyOpening, ProxyRoute, ProxyTransport, ProxyVersions, ProxyViolation,
    read_opening,
};

/// What may stand behind a header.
const NEXT: [&[u8]; 3] = [b"GET / HTTP/1.1\r\n", b"\x16\x03\x01", b"PROXY TCP4 \r\n"];

type Outcome = Result<ProxyOpening, ProxyViolation>;

fn expected(block: &Block<'_>) -> String {
    let texts = ["refused", "more", "absent", "route", "authority", "tls"].map(|keyword| {
        let value = block.bytes(keyword)?;
        Some(format!("{keyword} {}\n", String::from_utf8(value).unwrap()))
    });
    texts.into_iter().flatten().collect()
}

fn shown(outcome: &Outcome) -> String {
    match outcome {
        Err(violation) => format!("refused {} {}\n", violation.status(), violation.name()),
        Ok(ProxyOpening::NeedMore) => "more yes\n".to_owned(),
        Ok(ProxyOpening::Absent) => "absent yes\n".to_owned(),
        Ok(ProxyOpening::Header { header, .. }) => shown_header(header),
    }
}

fn shown_header(header: &ProxyHeader) -> String {
    let mut shown = format!("route {}", header.protocol());
    if let ProxyRoute::Inet {
        source,
        destination,
        ..
    } = header.route
    {
        shown += &format!(" {source} {destination}");
    }
    shown += "\n";
    if let Some(authority) = &header.authority {
        shown += &format!("authority {authority}\n");
    }
    if let Some(tls) = &header.tls {
        let text = |text: &Option<String>| text.clone().unwrap_or("-".to_owned());
        shown += &format!(
            "tls {} {} {:?} {}\n",
            text(&tls.version),
            text(&tls.cipher),
            tls.certificate,
            text(&tls.client_name)
        );
    }
    shown
}

fn check(block: &Block<'_>) {
    let name = block.text("case").unwrap();
    let versions = match block.text("versions") {
        None => ProxyVersions::Both,
        Some("v1") => ProxyVersions::V1,
        Some("v2") => ProxyVersions::V2,
        Some(other) => panic!("{name}: no version is called {other}"),
    };
    let input = block.all("send").concat();
    let outcome = read_opening(&input, versions);
    assert_eq!(shown(&outcome), expected(block), "{name}");
    // The first beginning that decides decides the same.
    let beginnings = (1..=input.len()).map(|length| read_opening(&input[..length], versions));
    let first = beginnings
        .into_iter()
        .find(|outcome| *outcome != Ok(ProxyOpening::NeedMore));
    assert_eq!(first.as_ref().unwrap_or(&outcome), &outcome, "{name}");
    if outcome == Ok(ProxyOpening::NeedMore) {
        return;
    }
    for next in NEXT {
        let longer = [&input, next].concat();
        assert_eq!(read_opening(&longer, versions), outcome, "{name}");
    }
    if let Ok(ProxyOpening::Header { header, length }) = outcome {
        assert_eq!(length, input.len(), "{name}");
        let mut written = Vec::new();
        header.write(&mut written);
        let length = written.len();
        let again = read_opening(&written, ProxyVersions::V2);
        assert_eq!(
            again,
            Ok(ProxyOpening::Header { header, length }),
            "{name}: written"
        );
    }
}

#[test]
fn every_case_has_its_outcome() {
    let files = files_of("proxy");
    let mut names = HashSet::new();
    let mut broken = HashSet::new();
    for block in files.iter().flat_map(|file| blocks(file)) {
        let name = block.text("case").unwrap().to_owned();
        check(&block);
        broken.extend(block.text("refused").map(str::to_owned));
        assert!(names.insert(name.clone()), "{name} is there twice");
    }
    // These are the server's to find out.
    let of_the_server = [
        ProxyViolation::Incomplete,
        ProxyViolation::Late,
        ProxyViolation::Forbidden,
    ];
    for violation in ProxyViolation::ALL {
        let refused = format!("{} {}", violation.status(), violation.name());
        assert!(
            broken.contains(&refused) || of_the_server.contains(violation),
            "no case is refused with {refused}"
        );
    }
}

#[test]
fn a_transport_is_told() {
    let input = b"\r\n\r\n\0\r\nQUIT\n\x21\x12\0\x0c\x01\x02\x03\x04\x05\x06\x07\x08\0\x01\0\x02";
    let Ok(ProxyOpening::Header { header, .. }) = read_opening(input, ProxyVersions::V2) else {
        panic!("it is a header");
    };
    let ProxyRoute::Inet { transport, .. } = header.route else {
        panic!("it has addresses");
    };
    assert_eq!(transport, ProxyTransport::Datagram);
}
