//! What goes out, what becomes of the connection, and what is counted, for each kind of request and each way to answer.

use std::io::{Read, Write};

use settings::Config;
use socket2::Socket;

use super::*;
use crate::fixtures::{dispatcher, link, request};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const HEAD: &str = "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n";
const LAST: &str = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
const OLD: &str = "GET / HTTP/1.0\r\n\r\n";

/// A reply to `request`, and the client's end of its connection.
fn reply(head: &str) -> (Reply, Socket) {
    let request = request(head);
    let (link, far) = link();
    let asked = Asked {
        version: request.version(),
        content: Content::of(&request),
        keep_alive: request.keep_alive(),
    };
    let dispatcher = dispatcher(&Config::default());
    let reply = Reply::new(
        dispatcher,
        ExchangeId::default(),
        Sink::h1(link),
        asked,
        None,
    );
    (reply, far)
}

fn head(status: &str, fields: &[(&str, &str)]) -> ResponseHead {
    let mut head = ResponseHead::default();
    head.set_status(status.as_bytes()).unwrap();
    for (name, value) in fields {
        head.push(name.as_bytes(), value.as_bytes()).unwrap();
    }
    head
}

/// What has arrived, without the fields that the server adds to every response.
fn arrived(reply: &Reply, far: &mut Socket) -> String {
    reply.sink.link().shut_write();
    let mut bytes = Vec::new();
    far.read_to_end(&mut bytes).unwrap();
    let text = String::from_utf8(bytes).unwrap();
    text.split_inclusive("\r\n")
        .filter(|line| !line.starts_with("Server: ") && !line.starts_with("Date: "))
        .collect()
}

/// Answers `request` by `answer`: this goes out, so much of it is the body, and that becomes of the connection.
fn check(
    request: &str,
    answer: impl FnOnce(&mut Reply),
    expected: &str,
    bytes: u64,
    outcome: Outcome,
) {
    let (mut reply, mut far) = reply(request);
    answer(&mut reply);
    assert_eq!(arrived(&reply, &mut far), expected, "to {request:?}");
    assert_eq!(reply.sent().bytes, bytes, "of {expected:?}");
    assert_eq!(reply.outcome(), outcome, "after {expected:?}");
}

fn file(content: &[u8]) -> FilePart {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(content).unwrap();
    FilePart::new(file, 0, content.len() as u64)
}

/// States a head and gives the pieces.
fn pieces(head: ResponseHead, pieces: &'static [&'static str]) -> impl FnOnce(&mut Reply) {
    move |reply| {
        reply.start(head);
        for piece in pieces {
            reply.write(piece.as_bytes()).unwrap();
        }
        reply.finish().unwrap();
    }
}

fn whole(head: ResponseHead, body: &'static str) -> impl FnOnce(&mut Reply) {
    move |reply| {
        reply.start(head);
        reply.respond(body.as_bytes()).unwrap();
    }
}

#[test]
fn a_whole_body_has_its_length() {
    let ok = || head("200 OK", &[]);
    let long = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n";
    let keep = Outcome::KeepAlive;
    check(GET, whole(ok(), "ab"), &format!("{long}ab"), 2, keep);
    check(HEAD, whole(ok(), "ab"), long, 0, keep);
    let closed = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nab";
    check(LAST, whole(ok(), "ab"), closed, 2, Outcome::Close);
    check(OLD, whole(ok(), "ab"), closed, 2, Outcome::Close);
    let empty = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    check(GET, whole(ok(), ""), empty, 0, keep);
    // An empty answer to HEAD does not say that GET would have none.
    check(HEAD, whole(ok(), ""), "HTTP/1.1 200 OK\r\n\r\n", 0, keep);
}

#[test]
fn pieces_are_chunks_or_end_with_the_connection() {
    let ok = || head("200 OK", &[]);
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let both = &["ab", "", "c"];
    check(
        GET,
        pieces(ok(), both),
        &format!("{chunked}2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"),
        3,
        Outcome::KeepAlive,
    );
    check(
        OLD,
        pieces(ok(), both),
        "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabc",
        3,
        Outcome::Close,
    );
    let none = "HTTP/1.1 200 OK\r\n\r\n";
    check(HEAD, pieces(ok(), both), none, 0, Outcome::KeepAlive);
}

#[test]
fn a_response_that_has_no_body_gets_none_from_anybody() {
    for status in ["204 No Content", "304 Not Modified"] {
        let expected = format!("HTTP/1.1 {status}\r\n\r\n");
        let keep = Outcome::KeepAlive;
        check(GET, whole(head(status, &[]), "ab"), &expected, 0, keep);
        check(
            GET,
            pieces(head(status, &[]), &["ab", "c"]),
            &expected,
            0,
            keep,
        );
        let from_file = |reply: &mut Reply| {
            reply.start(head(status, &[]));
            reply.respond_file(file(b"abc")).unwrap();
        };
        check(GET, from_file, &expected, 0, keep);
    }
    // The length that GET would have is told; of 204 there is none to tell.
    let stated = |status| head(status, &[("Content-Length", "5")]);
    let told = "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n";
    check(
        GET,
        whole(stated("304 Not Modified"), ""),
        told,
        0,
        Outcome::KeepAlive,
    );
    let told = "HTTP/1.1 204 No Content\r\n\r\n";
    check(
        GET,
        whole(stated("204 No Content"), ""),
        told,
        0,
        Outcome::KeepAlive,
    );
}

#[test]
fn an_answer_that_grants_a_tunnel_has_no_body() {
    let connect = "CONNECT b:1 HTTP/1.1\r\nHost: b:1\r\n\r\n";
    let granted = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n";
    let ok = || head("200 OK", &[]);
    check(connect, whole(ok(), "ab"), granted, 0, Outcome::Close);
    check(
        connect,
        pieces(ok(), &["a", "b"]),
        granted,
        0,
        Outcome::Close,
    );
}

#[test]
fn a_body_never_exceeds_its_content_length() {
    let stated = || head("200 OK", &[("Content-Length", "3")]);
    let expected = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc";
    let keep = Outcome::KeepAlive;
    check(GET, whole(stated(), "abcd"), expected, 3, keep);
    check(
        GET,
        pieces(stated(), &["ab", "cd", "ef"]),
        expected,
        3,
        keep,
    );
    check(GET, pieces(stated(), &["abc", "d"]), expected, 3, keep);
    let (mut reply, _far) = reply(GET);
    reply.start(stated());
    assert_eq!(reply.write(b"ab"), Ok(Progress::More));
    assert_eq!(reply.write(b"c"), Ok(Progress::More));
    assert_eq!(reply.stage(), Stage::Complete);
    assert_eq!(reply.mismatch(), None);
    assert_eq!(reply.write(b"de"), Ok(Progress::Enough));
    assert_eq!(reply.write(b"f"), Ok(Progress::Enough));
    assert_eq!(reply.mismatch(), Some(Mismatch::Longer(3)));
}

#[test]
fn a_body_that_is_too_short_ends_the_connection() {
    let stated = || head("200 OK", &[("Content-Length", "3")]);
    let close = Outcome::Close;
    // Where it is known before the head goes out, the head says so.
    let known = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 3\r\n\r\nab";
    check(GET, whole(stated(), "ab"), known, 2, close);
    let from_file = |reply: &mut Reply| {
        reply.start(stated());
        reply.respond_file(file(b"ab")).unwrap();
    };
    check(GET, from_file, known, 2, close);
    let unknown = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab";
    check(GET, pieces(stated(), &["a", "b"]), unknown, 2, close);
    let (mut reply, _far) = reply(GET);
    pieces(stated(), &["ab"])(&mut reply);
    assert_eq!(reply.mismatch(), Some(Mismatch::Shorter));
}

#[test]
fn a_file_is_cut_to_the_content_length_without_a_word() {
    let stated = head("206 Partial Content", &[("Content-Length", "2")]);
    let (mut reply, mut far) = reply(GET);
    reply.start(stated);
    reply.respond_file(file(b"abc")).unwrap();
    assert_eq!(reply.mismatch(), None);
    let expected = "HTTP/1.1 206 Partial Content\r\nContent-Length: 2\r\n\r\nab";
    assert_eq!(arrived(&reply, &mut far), expected);
}

#[test]
fn pieces_of_a_file_are_chunks_like_any_other() {
    let answer = |reply: &mut Reply| {
        reply.start(head("200 OK", &[]));
        reply.push(b"<").unwrap();
        reply.push_file(file(b"ab")).unwrap();
        reply.push_file(file(b"")).unwrap();
        reply.finish_with(b"X: 1\r\n").unwrap();
    };
    let expected = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
                    1\r\n<\r\n2\r\nab\r\n0\r\nX: 1\r\n\r\n";
    check(GET, answer, expected, 3, Outcome::KeepAlive);
}

#[test]
fn trailer_fields_leave_as_they_come_and_only_behind_chunks() {
    let give = |reply: &mut Reply| {
        reply.start(head("200 OK", &[]));
        reply.write(b"abc").unwrap();
        for field in [&b"A: 1\r\n"[..], b"B: 2\r\n"] {
            assert_eq!(reply.push_trailers(field).unwrap(), Room::Enough);
        }
        // The body has ended with the first of them.
        reply.write(b"lost").unwrap();
    };
    check(
        GET,
        |reply| {
            give(reply);
            reply.finish_with(b"C: 3\r\n").unwrap();
            reply.finish().unwrap();
        },
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
         3\r\nabc\r\n0\r\nA: 1\r\nB: 2\r\nC: 3\r\n\r\n",
        3,
        Outcome::KeepAlive,
    );
    check(
        OLD,
        |reply| {
            reply.start(head("200 OK", &[]));
            reply.write(b"abc").unwrap();
            reply.push_trailers(b"A: 1\r\n").unwrap();
            reply.finish().unwrap();
        },
        "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabc",
        3,
        Outcome::Close,
    );
    let (mut cut, mut far) = reply(GET);
    give(&mut cut);
    cut.abort();
    assert_eq!((cut.stage(), cut.outcome()), (Stage::Cut, Outcome::Close));
    assert!(arrived(&cut, &mut far).ends_with("B: 2\r\n"));
    let (mut early, _far) = reply(GET);
    let refused = early.push_trailers(b"A: 1\r\n");
    assert_eq!(refused, Err(ReplyError::Headless));
}

#[test]
fn the_length_of_a_body_in_pieces_can_be_told_first() {
    let answer = |reply: &mut Reply| {
        reply.start(head("200 OK", &[]));
        reply.expect(3).unwrap();
        reply.write(b"ab").unwrap();
        reply.write(b"c").unwrap();
        reply.finish().unwrap();
    };
    let expected = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n";
    check(
        GET,
        answer,
        &format!("{expected}abc"),
        3,
        Outcome::KeepAlive,
    );
    check(HEAD, answer, expected, 0, Outcome::KeepAlive);
}

#[test]
fn interim_responses_come_before_the_head_and_only_where_they_are_understood() {
    let hint = || head("103 Early Hints", &[("Link", "</a>")]);
    let answer = |reply: &mut Reply| {
        reply.interim(&hint()).unwrap();
        reply.start(head("200 OK", &[]));
        reply.interim(&hint()).unwrap();
        reply.respond(b"a").unwrap();
        reply.interim(&hint()).unwrap();
    };
    let hints = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
    let expected = format!("{hints}{hints}HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na");
    check(GET, answer, &expected, 1, Outcome::KeepAlive);
    let expected = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\na";
    check(OLD, answer, expected, 1, Outcome::Close);
}

#[test]
fn giving_up_is_a_page_before_the_head_and_a_cut_after_it() {
    let page = |reply: &mut Reply| {
        reply.start(head("200 OK", &[]));
        reply.refuse(500, "why");
        assert_eq!(reply.stage(), Stage::Refused);
        // The application may not know yet.
        assert_eq!(reply.write(b"more"), Ok(Progress::Enough));
        reply.finish().unwrap();
    };
    let (mut refused, mut far) = reply(GET);
    page(&mut refused);
    let text = arrived(&refused, &mut far);
    assert!(text.starts_with("HTTP/1.1 500 Internal Server Error\r\nConnection: close\r\n"));
    assert!(text.ends_with("</html>\n"), "{text}");
    assert_eq!(
        (refused.sent().status, refused.outcome()),
        (500, Outcome::Close)
    );
    let (mut refused, mut far) = reply(HEAD);
    page(&mut refused);
    assert!(arrived(&refused, &mut far).ends_with("\r\n\r\n"));
    assert_eq!(refused.sent().bytes, 0);

    let cut = |reply: &mut Reply| {
        reply.start(head("200 OK", &[]));
        reply.write(b"ab").unwrap();
        reply.refuse(500, "why");
        assert_eq!(reply.stage(), Stage::Cut);
    };
    let expected = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n";
    check(GET, cut, expected, 2, Outcome::Close);
    // What is complete stays so.
    let late = |reply: &mut Reply| {
        reply.start(head("200 OK", &[]));
        reply.respond(b"ab").unwrap();
        reply.refuse(500, "why");
    };
    let expected = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab";
    check(GET, late, expected, 2, Outcome::KeepAlive);
}

#[test]
fn a_head_can_be_replaced_until_it_is_out() {
    let answer = |reply: &mut Reply| {
        reply.start(head("200 OK", &[]));
        reply.start(head("404 Not Found", &[]));
        reply.respond(b"").unwrap();
        reply.start(head("500 Too Late", &[]));
    };
    let expected = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
    check(GET, answer, expected, 0, Outcome::KeepAlive);
}

#[test]
fn nothing_is_sent_before_a_head_is_stated() {
    let (mut reply, mut far) = reply(GET);
    assert_eq!(reply.respond(b"ab"), Err(ReplyError::Headless));
    assert_eq!(reply.write(b"ab"), Err(ReplyError::Headless));
    assert_eq!(reply.finish(), Err(ReplyError::Headless));
    reply.start(head("200 OK", &[]));
    reply.take_head();
    assert_eq!(reply.write(b"ab"), Err(ReplyError::Headless));
    assert_eq!(arrived(&reply, &mut far), "");
}

#[test]
fn a_client_that_is_gone_ends_the_response() {
    let (mut reply, far) = reply(GET);
    drop(far);
    let lost = Err(ReplyError::Lost(SinkError::Disconnected));
    reply.start(head("200 OK", &[]));
    assert_eq!(reply.respond(b"ab"), lost);
    assert_eq!(
        (reply.stage(), reply.outcome()),
        (Stage::Lost, Outcome::Close)
    );
    assert_eq!(reply.respond(b"ab"), lost);
}

#[test]
fn a_final_1xx_answer_ends_the_connection() {
    let status = head("199 Odd", &[]);
    let expected = "HTTP/1.1 199 Odd\r\n\r\n";
    check(GET, whole(status, "ab"), expected, 0, Outcome::Close);
}
