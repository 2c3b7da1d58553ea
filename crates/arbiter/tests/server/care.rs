//! Workers that die, hang, or have served long enough.

use std::time::Duration;

use sys::signals::Signal;

use crate::bench::{Server, eventually, is_alive};

fn wait_for_live_workers(server: &Server, count: usize) -> Vec<i32> {
    eventually(&format!("{count} workers"), || {
        Some(server.live_workers()).filter(|live| live.len() == count)
    })
}

#[test]
fn a_killed_worker_is_replaced_and_the_log_says_what_is_known() {
    let server = Server::serving(2, "");
    let pid = server.ask_pid();
    sys::process::kill(pid, Signal::KILL).expect("kill");
    server.wait_for_log(&format!("[ERROR] Worker (pid:{pid}) was sent SIGKILL!"));
    assert!(!server.log().contains("Out of memory"), "{}", server.log());
    eventually("a third boot", || {
        (server.booted().len() == 3).then_some(())
    });
    wait_for_live_workers(&server, 2);
}

#[test]
fn exit_code_3_from_a_worker_that_served_does_not_stop_the_server() {
    let server = Server::serving(1, "");
    let _ = server.ask("exit 3");
    server.wait_for_log("exited with code 3.");
    eventually("a second boot", || {
        (server.booted().len() == 2).then_some(())
    });
    assert_eq!(server.ask("age").expect("an answer"), "2");
}

#[test]
fn a_worker_that_hangs_is_aborted_and_replaced() {
    let server = Server::serving(1, "--timeout 1");
    let pid = server.ask_pid();
    let _ = server.ask("hang");
    server.wait_for_log(&format!("[CRITICAL] WORKER TIMEOUT (pid:{pid})"));
    server.wait_for_log("was sent SIGABRT! By the arbiter: it had timed out.");
    assert_ne!(server.ask_pid(), pid);
}

#[test]
fn a_boot_that_hangs_is_aborted_too() {
    let server = Server::start("hang", "--timeout 1 --bind 127.0.0.1:0");
    server.wait_for_log("WORKER TIMEOUT");
    server.write("behaviour", "serve");
    server.wait_for_log("Serving");
}

#[test]
fn a_recycled_worker_goes_when_its_successor_serves() {
    let server = Server::serving(1, "");
    let old = server.ask_pid();
    server.ask("recycle").expect("an answer");
    eventually("the successor", || (server.ask_pid() != old).then_some(()));
    wait_for_live_workers(&server, 1);
    assert!(
        server
            .log()
            .contains(&format!("Worker exiting (pid: {old})"))
    );
}

#[test]
fn ttin_and_ttou_change_the_number() {
    let server = Server::serving(1, "");
    server.signal(Signal::TTIN);
    wait_for_live_workers(&server, 2);
    server.signal(Signal::TTOU);
    wait_for_live_workers(&server, 1);
    server.wait_for_log("Handling signal: ttou");
}

#[test]
fn a_signal_for_the_master_does_not_kill_a_worker() {
    let server = Server::serving(1, "");
    let pid = server.ask_pid();
    for signal in [
        Signal::HUP,
        Signal::USR1,
        Signal::USR2,
        Signal::TTIN,
        Signal::TTOU,
        Signal::WINCH,
    ] {
        sys::process::kill(pid, signal).expect("kill");
    }
    assert_eq!(server.ask_pid(), pid);
}

#[test]
fn usr1_reopens_the_logs_and_kills_nobody() {
    let server = Server::serving(1, "");
    let pid = server.ask_pid();
    server.signal(Signal::USR1);
    server.wait_for_log("logs reopened");
    assert_eq!(server.ask_pid(), pid);
}

#[test]
fn workers_follow_a_master_that_is_killed() {
    let mut server = Server::serving(2, "");
    let workers = server.live_workers();
    server.signal(Signal::KILL);
    server.wait();
    eventually("the end of the workers", || {
        workers.iter().all(|pid| !is_alive(*pid)).then_some(())
    });
}

#[test]
fn an_idle_master_does_nothing() {
    let server = Server::serving(2, "");
    let switches = || {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", server.pid())).expect("status");
        let line = status
            .lines()
            .find(|line| line.starts_with("voluntary_ctxt_switches"));
        line.and_then(|line| line.split_whitespace().last()?.parse::<u64>().ok())
            .expect("a count")
    };
    // The last notice of a worker may still be on its way.
    eventually("two seconds without a step", || {
        let before = switches();
        std::thread::sleep(Duration::from_secs(2));
        (switches() == before).then_some(())
    });
}

#[test]
fn a_crash_loop_is_slowed_down() {
    let mut server = Server::start("exit 1", "--bind 127.0.0.1:0");
    server.wait_for_log("Workers keep dying: the next one starts in 1.6 s");
    assert_eq!(server.booted().len(), 5, "0, 0.1, 0.3, 0.7 and 1.5 s");
    assert_eq!(server.stop().code(), Some(0));
}
