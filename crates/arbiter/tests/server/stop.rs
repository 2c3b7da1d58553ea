//! How a server ends.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use sys::signals::Signal;

use crate::bench::{Server, eventually, is_alive};

#[test]
fn term_ends_with_0_and_leaves_nothing() {
    let mut server = Server::start("serve", "-w 2 --bind unix:app.sock --pid app.pid");
    server.wait_for_log("Serving");
    let workers = server.live_workers();
    assert_eq!(server.left_behind().len(), 2);
    assert_eq!(server.stop().code(), Some(0));
    assert_eq!(server.left_behind(), Vec::<String>::new());
    assert!(workers.iter().all(|pid| !is_alive(*pid)));
    let log = server.log();
    assert!(
        log.contains("[INFO] Handling signal: term")
            && log.contains("[INFO] Shutting down: Master"),
        "{log}"
    );
}

#[test]
fn int_and_quit_end_with_0() {
    for signal in [Signal::INT, Signal::QUIT] {
        let mut server = Server::serving(2, "");
        server.signal(signal);
        assert_eq!(server.wait().code(), Some(0));
    }
}

#[test]
fn clients_that_wait_to_be_accepted_are_served_first() {
    let mut server = Server::serving(1, "");
    let port = server.port();
    let worker = server.ask_pid();
    sys::process::kill(worker, Signal::STOP).expect("stop");
    let waiting: Vec<_> = (0..10)
        .map(|_| {
            let mut connection = TcpStream::connect(("127.0.0.1", port)).expect("connect");
            writeln!(connection, "pid").expect("write");
            connection
        })
        .collect();
    server.signal(Signal::TERM);
    server.wait_for_log("Handling signal: term");
    sys::process::kill(worker, Signal::CONT).expect("continue");
    for connection in waiting {
        let mut answer = String::new();
        BufReader::new(connection)
            .read_line(&mut answer)
            .expect("an answer");
        assert_eq!(answer.trim(), worker.to_string());
    }
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn a_worker_that_does_not_leave_is_killed_after_the_graceful_timeout() {
    let mut server = Server::serving(1, "--graceful-timeout 1");
    let pid = server.ask_pid();
    let mut hanging = TcpStream::connect(("127.0.0.1", server.port())).expect("connect");
    writeln!(hanging, "hang").expect("write");
    // It is in the worker's hands.
    let mut said = [0; 8];
    hanging.read_exact(&mut said).expect("read");
    assert_eq!(&said, b"hanging\n");
    let start = Instant::now();
    assert_eq!(server.stop().code(), Some(0));
    assert!(start.elapsed() >= Duration::from_secs(1));
    server.wait_for_log(&format!(
        "Worker (pid:{pid}) was sent SIGKILL! By the arbiter: it did not leave within the graceful timeout."
    ));
}

#[test]
fn a_second_thought_shortens_the_wait() {
    let mut server = Server::serving(1, "--graceful-timeout 60");
    let pid = server.ask_pid();
    sys::process::kill(pid, Signal::STOP).expect("stop");
    server.signal(Signal::TERM);
    server.wait_for_log("Handling signal: term");
    server.signal(Signal::INT);
    let start = Instant::now();
    assert_eq!(server.wait().code(), Some(0));
    assert!(start.elapsed() < Duration::from_secs(20));
    server.wait_for_log("Quick shutdown requested");
}

#[test]
fn a_stop_while_the_workers_boot_ends_with_0() {
    let mut server = Server::start("hang", "-w 3 --bind unix:app.sock --pid app.pid");
    eventually("three boots", || (server.booted().len() == 3).then_some(()));
    assert_eq!(server.stop().code(), Some(0));
    assert_eq!(server.left_behind(), Vec::<String>::new());
}
