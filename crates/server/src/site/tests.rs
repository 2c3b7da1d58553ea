use std::fs;
use std::io::{Read, Write};

use settings::Layers;

use super::*;
use crate::fixtures::{dispatcher, exchange, link, request};

const BIG: usize = 100_000;

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, content: &[u8]| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    };
    write("app.js", b"let a = 1;");
    write("app.js.gz", b"gzip");
    write("app.js.br", b"br");
    write("sub/index.html", b"<p>");
    write("big.bin", &vec![b'x'; BIG]);
    write("font.woff2", b"font");
    write("main.3f2a9c1b.css", b"a{}");
    write(".env", b"secret");
    folder
}

fn config(folder: &tempfile::TempDir, more: &[(&str, settings::Value)]) -> Config {
    let mut config = Layers::new().resolve().unwrap();
    config.static_files = vec![Mount::new("/s", folder.path().into()).unwrap()];
    for (name, value) in more {
        match *name {
            "spa" => config.spa = vec![Mount::new("/", folder.path().join("sub")).unwrap()],
            "missing" => config.static_missing = StaticMissing::NotFound,
            other => panic!("{other}: {value}"),
        }
    }
    config
}

/// What a request is answered with; `None` where it is the application's.
fn answer(config: &Config, head: &str) -> Option<(String, Vec<u8>)> {
    let dispatcher = dispatcher(config);
    let (link, mut far) = link();
    let answer = dispatcher.site.find(&request(head))?;
    let mut exchange = exchange(&dispatcher, &link, head);
    exchange.serve_site(&answer);
    drop(exchange);
    drop(link);
    far.flush().unwrap();
    let mut bytes = Vec::new();
    // A file larger than the buffer of the socket would need a reactor.
    drop(dispatcher);
    far.read_to_end(&mut bytes).unwrap();
    let end = bytes
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .unwrap()
        + 4;
    let body = bytes.split_off(end);
    Some((String::from_utf8(bytes).unwrap(), body))
}

fn get(config: &Config, path: &str, fields: &str) -> Option<(String, Vec<u8>)> {
    answer(
        config,
        &format!("GET {path} HTTP/1.1\r\nHost: a\r\n{fields}\r\n"),
    )
}

#[test]
fn a_file_is_found_by_its_path_and_nothing_else_is() {
    let folder = folder();
    let config = config(&folder, &[]);
    let check = |path: &str, expected: Option<&str>| {
        let status = get(&config, path, "").map(|(head, _)| head[9..12].to_owned());
        assert_eq!(status.as_deref(), expected, "{path}");
    };
    check("/s/app.js", Some("200"));
    check("/%73/%61pp.js", Some("200"));
    check("/s/app.js?v=1", Some("200"));
    check("/s/sub/", Some("200"));
    check("/s/sub", Some("301"));
    check("/s/none", None);
    check("/s/.env", None);
    check("/s/%2eenv", None);
    check("/s/sub/../app.js", None);
    check("/s/sub%2findex.html", None);
    check("/s//app.js", None);
    check("/s/app.js/", None);
    check("/s/app.js%00", None);
    check("/s", None);
    check("/other", None);
}

#[test]
fn fields_say_what_the_file_is_and_how_long_it_may_be_kept() {
    let folder = folder();
    let config = config(&folder, &[]);
    let check = |path: &str, fields: &str, expected: &[&str], body: &[u8]| {
        let (head, got) = get(&config, path, fields).unwrap();
        for line in expected {
            assert!(
                head.contains(&format!("\r\n{line}\r\n")),
                "{line} in {head}"
            );
        }
        assert_eq!(got, body);
    };
    let script = "Content-Type: text/javascript; charset=utf-8";
    check(
        "/s/app.js",
        "",
        &[script, "Vary: Accept-Encoding"],
        b"let a = 1;",
    );
    check(
        "/s/app.js",
        "Accept-Encoding: gzip, br\r\n",
        &[script, "Vary: Accept-Encoding", "Content-Encoding: br"],
        b"br",
    );
    check(
        "/s/app.js",
        "Accept-Encoding: gzip, br;q=0.5\r\n",
        &["Content-Encoding: gzip"],
        b"gzip",
    );
    check(
        "/s/app.js",
        "",
        &["Cache-Control: public, max-age=60"],
        b"let a = 1;",
    );
    check(
        "/s/main.3f2a9c1b.css",
        "",
        &["Cache-Control: public, max-age=31536000, immutable"],
        b"a{}",
    );
    check("/s/sub/", "", &["Cache-Control: no-cache"], b"<p>");
    check(
        "/s/font.woff2",
        "",
        &["Access-Control-Allow-Origin: *"],
        b"font",
    );
}

#[test]
fn what_is_kept_of_a_file_is_not_served_once_it_has_changed() {
    let folder = folder();
    let config = config(&folder, &[]);
    let dispatcher = dispatcher(&config);
    let site = &dispatcher.site;
    let etag = || {
        let head = "GET /s/app.js HTTP/1.1\r\nHost: a\r\n\r\n";
        match site.find(&request(head)) {
            Some(Answer::File(found)) => found.file.etag(None),
            other => panic!("{other:?}"),
        }
    };
    let first = etag();
    assert_eq!(etag(), first);
    fs::write(folder.path().join("app.js"), "let b = 2;").unwrap();
    assert_ne!(etag(), first);
    fs::remove_file(folder.path().join("app.js")).unwrap();
    assert!(
        site.find(&request("GET /s/app.js HTTP/1.1\r\nHost: a\r\n\r\n"))
            .is_none()
    );
}

#[test]
fn page_views_of_a_single_page_application_get_its_index() {
    let folder = folder();
    let mut config = config(&folder, &[("spa", settings::Value::None)]);
    config.spa_except = vec!["/api".to_owned()];
    let check = |path: &str, fields: &str, expected: Option<&[u8]>| {
        let body = get(&config, path, fields).map(|(_, body)| body);
        assert_eq!(body.as_deref(), expected, "{path} {fields}");
    };
    let page = "Accept: text/html,application/xhtml+xml;q=0.9,*/*;q=0.8\r\n";
    check("/", "", Some(b"<p>"));
    check("/users/7", page, Some(b"<p>"));
    check("/users/7", "Accept: */*\r\n", None);
    check("/chunk-1.js", page, None);
    check("/api/users", page, None);
    check("/s/app.js", page, Some(b"let a = 1;"));
}

#[test]
fn a_missing_file_is_answered_by_the_server_where_that_is_asked_for() {
    let folder = folder();
    let config = config(&folder, &[("missing", settings::Value::None)]);
    let (head, _) = get(&config, "/s/none", "").unwrap();
    assert!(head.starts_with("HTTP/1.1 404 Not Found\r\n"), "{head}");
    assert!(!head.contains("Connection: close"), "{head}");
    assert!(get(&config, "/other", "").is_none());
}

#[test]
fn a_file_that_changes_while_it_is_sent_cuts_the_connection() {
    let folder = folder();
    let config = config(&folder, &[]);
    let dispatcher = dispatcher(&config);
    let (link, mut far) = link();
    let head = "GET /s/big.bin HTTP/1.1\r\nHost: a\r\n\r\n";
    let answer = dispatcher.site.find(&request(head)).unwrap();
    fs::write(folder.path().join("big.bin"), vec![b'y'; BIG]).unwrap();
    let mut exchange = exchange(&dispatcher, &link, head);
    exchange.serve_site(&answer);
    drop(exchange);
    drop((link, dispatcher));
    let mut bytes = Vec::new();
    far.read_to_end(&mut bytes).unwrap();
    assert!(
        !bytes.windows(2).any(|two| two == b"yy"),
        "it got what was written since"
    );
}
