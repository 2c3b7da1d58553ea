//! HUP.

use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use sys::signals::Signal;

use crate::bench::{Server, ask, eventually, is_alive};

fn wait_for_new_workers(server: &Server, old: &[i32], count: usize) {
    eventually("a new generation", || {
        let live = server.live_workers();
        (live.len() == count && live.iter().all(|pid| !old.contains(pid))).then_some(())
    });
}

#[test]
fn a_reload_under_load_loses_no_request() {
    let server = Server::serving(2, "");
    let port = server.port();
    let is_over = AtomicBool::new(false);
    let asked = thread::scope(|scope| {
        let client = scope.spawn(|| {
            let mut asked = 0;
            while !is_over.load(Ordering::Relaxed) {
                let connection = TcpStream::connect(("127.0.0.1", port)).expect("connect");
                let answer = ask(connection, "pid").expect("an answer");
                assert!(answer.parse::<i32>().is_ok(), "{answer:?}");
                asked += 1;
            }
            asked
        });
        for _ in 0..3 {
            let old = server.live_workers();
            server.signal(Signal::HUP);
            wait_for_new_workers(&server, &old, 2);
        }
        is_over.store(true, Ordering::Relaxed);
        client.join().expect("no request failed")
    });
    assert!(asked > 3);
}

#[test]
fn a_new_generation_that_does_not_boot_leaves_the_old_one_serving() {
    for behaviour in ["exit 3", "exit 4", "exit 1"] {
        let server = Server::serving(2, "");
        let old = server.live_workers();
        server.write("behaviour", behaviour);
        server.signal(Signal::HUP);
        server.wait_for_log("The new workers are given up; those from before go on serving.");
        eventually("only the old ones", || {
            (server.live_workers() == old).then_some(())
        });
        assert!(old.contains(&server.ask_pid()));
        server.write("behaviour", "serve");
        server.signal(Signal::HUP);
        wait_for_new_workers(&server, &old, 2);
    }
}

#[test]
fn a_broken_configuration_changes_nothing() {
    let server = Server::serving(1, "");
    let old = server.ask_pid();
    server.write("behaviour.args", "--workers many");
    server.signal(Signal::HUP);
    server.wait_for_log("[ERROR] Reload failed: ");
    assert_eq!(server.ask_pid(), old);
    assert!(is_alive(server.pid()));
}

#[test]
fn a_reload_follows_the_number_of_workers_and_the_pid_file() {
    let mut server = Server::serving(1, "--pid first.pid");
    let old = server.live_workers();
    server.write("behaviour.args", "--workers 3 --pid second.pid");
    server.signal(Signal::HUP);
    wait_for_new_workers(&server, &old, 3);
    assert!(!server.path("first.pid").exists() && server.path("second.pid").exists());
    server.stop();
    assert_eq!(server.left_behind(), Vec::<String>::new());
}

#[test]
fn addresses_that_stay_are_kept_and_others_come_and_go() {
    let server = Server::start_with_file("serve", "--bind 127.0.0.1:0 --bind unix:old.sock");
    server.wait_for_log("Serving");
    let (port, old) = (server.port(), server.live_workers());
    server.write(
        "behaviour.args",
        &format!("--bind 127.0.0.1:{port} --bind unix:new.sock"),
    );
    server.signal(Signal::HUP);
    wait_for_new_workers(&server, &old, 1);
    server.ask("pid").expect("the port is still there");
    eventually("the end of the old socket", || {
        (!server.path("old.sock").exists()).then_some(())
    });
    assert!(server.path("new.sock").exists());
}

#[test]
fn an_address_that_cannot_be_bound_changes_nothing() {
    let server = Server::serving(1, "");
    let old = server.ask_pid();
    let other = std::net::TcpListener::bind("127.0.0.1:0").expect("bind");
    let taken = other.local_addr().expect("address");
    server.write(
        "behaviour.args",
        &format!("--bind {taken} --bind unix:new.sock"),
    );
    server.signal(Signal::HUP);
    server.wait_for_log(&format!("Reload failed: {taken} is already in use by pid"));
    assert_eq!(server.ask_pid(), old);
    assert!(!server.path("new.sock").exists());
}
