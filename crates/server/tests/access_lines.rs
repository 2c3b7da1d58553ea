//! The access log has one line for each request that a client has begun to send.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests say what they expect"
)]

mod double;

use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::Mutex;
use std::sync::mpsc;

use double::wire::{HEADER_TIMEOUT, LAST_GET, hear, ok, until};
use double::{Double, Respond};
use server::{Call, Shutdown};
use settings::Config;

fn config(log: &Path) -> Config {
    Config {
        accesslog: Some(log.to_str().unwrap().to_owned()),
        access_log_format: "%(r)s %(s)s %(B)s".to_owned(),
        header_timeout: HEADER_TIMEOUT,
        ..Config::default()
    }
}

/// Waits for the lines; there are no others behind them once the server has ended.
fn lines(log: &Path, count: usize) -> Vec<String> {
    let read = || fs::read_to_string(log).unwrap_or_default();
    until(|| read().lines().count() >= count);
    read().lines().map(str::to_owned).collect()
}

#[test]
fn requests_that_no_application_sees_have_a_line() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("access");
    let double = Double::start(&config(&log), 1, |mut call: Call| {
        let _ = call.respond(&ok(), b"hello");
    });
    let refused = double.ask(b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n");
    assert!(refused.starts_with("HTTP/1.1 400 "), "{refused}");
    let late = double.ask(b"GET / HT");
    assert!(late.starts_with("HTTP/1.1 408 "), "{late}");
    let mut left = double.connect();
    left.write_all(b"POST /left HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab")
        .unwrap();
    drop(left);
    let shown = lines(&log, 3);
    assert!(shown[0].starts_with("- 400 "), "{shown:?}");
    assert!(shown[1].starts_with("- 408 "), "{shown:?}");
    assert_eq!(shown[2], "POST /left HTTP/1.1 400 0");
    double.stop(Shutdown::Graceful);
    assert_eq!(lines(&log, 3).len(), 3);
}

#[test]
fn a_request_that_is_answered_in_place_of_its_thread_has_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("access");
    let (go, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let double = Double::start(&config(&log), 2, move |mut call: Call| {
        wait.lock().unwrap().recv().unwrap();
        // The client has its answer already.
        let _ = call.respond(&ok(), b"hello");
    });
    let mut stuck = double.connect();
    stuck.write_all(LAST_GET).unwrap();
    until(|| double.slot.in_flight() == 1);
    double.server.answer_overdue();
    assert!(hear(&mut stuck, "</html>\n").starts_with("HTTP/1.1 504 "));
    go.send(()).unwrap();
    until(|| double.slot.in_flight() == 0);
    double.stop(Shutdown::Graceful);
    let shown = lines(&log, 1);
    assert_eq!(shown.len(), 1, "{shown:?}");
    assert!(shown[0].starts_with("GET / HTTP/1.1 504 "), "{shown:?}");
}
