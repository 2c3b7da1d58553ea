//! What belongs to a whole process: signal dispositions, forks, and memory that survives them.
//!
//! One test only, and libtest runs it on a thread of its own, so the parts that fork do so in a child that this file
//! starts from its own binary, where the test runs on the main thread (`--test-threads=1`).

#![allow(
    clippy::expect_used,
    reason = "helpers of a test may say what they expect"
)]

use std::os::fd::AsFd;
use std::process::Command;
use std::time::Duration;

use sys::process::{End, Fork};
use sys::scoreboard::{Scoreboard, State};
use sys::signals::{Disposition, Received, Signal, SignalPipe, block_all, dispose};

/// Set in the process that the test starts from itself.
const INNER: &str = "OXICORN_TEST_INNER";

#[test]
fn signals_and_shared_memory_survive_forks_as_they_should() {
    if std::env::var_os(INNER).is_some() {
        return inner();
    }
    let name = "signals_and_shared_memory_survive_forks_as_they_should";
    let output = Command::new(std::env::current_exe().expect("this binary"))
        .args(["--exact", name, "--test-threads=1", "--nocapture"])
        .env(INNER, "1")
        .output()
        .expect("the inner process");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

fn inner() {
    a_signal_arrives_with_its_sender();
    a_blocked_signal_arrives_later();
    a_child_does_not_speak_for_its_parent();
    the_scoreboard_is_shared_with_a_child();
}

fn wait_readable(pipe: &SignalPipe) -> bool {
    // The wait ends early when the signal itself interrupts it.
    let mut tries = 0..100;
    tries.any(|_| {
        sys::poll::readable([pipe.as_fd()], Some(Duration::from_millis(20))).expect("poll")[0]
    })
}

fn a_signal_arrives_with_its_sender() {
    let me = sys::process::pid();
    let mut pipe = SignalPipe::install(&[Signal::HUP, Signal::CHLD]).expect("install");
    sys::process::kill(me, Signal::HUP).expect("kill");
    assert!(wait_readable(&pipe));
    assert_eq!(
        pipe.take(),
        [Received {
            signal: Signal::HUP,
            sender: Some(me)
        }]
    );
    assert_eq!(pipe.take(), []);
    drop(pipe);
    sys::process::kill(me, Signal::HUP).expect("a signal after the end is discarded");
}

fn a_blocked_signal_arrives_later() {
    let me = sys::process::pid();
    let mut pipe = SignalPipe::install(&[Signal::USR1]).expect("install");
    let blocked = block_all();
    sys::process::kill(me, Signal::USR1).expect("kill");
    assert_eq!(pipe.take(), []);
    drop(blocked);
    assert_eq!(pipe.take().len(), 1);
}

fn a_child_does_not_speak_for_its_parent() {
    let mut pipe = SignalPipe::install(&[Signal::TERM, Signal::USR1]).expect("install");
    let blocked = block_all();
    match sys::process::fork().expect("fork") {
        Fork::Child => {
            pipe.abandon();
            dispose(Signal::USR1, Disposition::Swallow).expect("dispose");
            drop(blocked);
            let me = sys::process::pid();
            sys::process::kill(me, Signal::USR1).expect("swallowed");
            sys::process::kill(me, Signal::TERM).expect("the default ends us here");
            sys::process::exit_at_once(9);
        }
        Fork::Parent(child) => {
            drop(blocked);
            let exit = sys::process::wait(child).expect("wait").expect("a child");
            assert_eq!(
                exit.end,
                End::Signalled {
                    signal: Signal::TERM,
                    core: false
                }
            );
            assert_eq!(pipe.take(), []);
        }
    }
}

fn the_scoreboard_is_shared_with_a_child() {
    let board = Scoreboard::new(2).expect("mmap");
    let slot = board.slot(1);
    slot.claim(0, 1);
    match sys::process::fork().expect("fork") {
        Fork::Child => {
            slot.set_state(State::Ready);
            slot.add_request();
            drop(board);
            drop(slot);
            sys::process::exit_at_once(0);
        }
        Fork::Parent(child) => {
            sys::process::wait(child).expect("wait");
            assert_eq!((slot.state(), slot.requests()), (State::Ready, 1));
        }
    }
}
