//! What belongs to a whole process: signal dispositions, forks, and memory that survives them.
//!
//! libtest runs tests on threads, and a process with threads may not fork. So this file has its own `main`, which does
//! everything on the one thread there is.

#![allow(
    clippy::expect_used,
    reason = "helpers of a test may say what they expect"
)]

use std::os::fd::AsFd;
use std::time::Duration;

use sys::process::{End, Fork};
use sys::scoreboard::{Scoreboard, State};
use sys::signals::{Disposition, Received, Signal, SignalPipe, block_all, dispose};

fn main() {
    a_signal_arrives_with_its_sender();
    a_blocked_signal_arrives_later();
    a_child_does_not_speak_for_its_parent();
    the_scoreboard_is_shared_with_a_child();
    a_stray_child_holds_nothing_of_its_parent();
    a_child_of_the_servers_own_is_not_stray();
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
            let from_the_child = |received: &Received| received.signal != Signal::CHLD;
            assert!(!pipe.take().iter().any(from_the_child));
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

/// Forks, has the child exit with what `judge` says, and returns that.
fn judged_by_a_child(judge: impl FnOnce() -> i32) -> i32 {
    match sys::process::fork().expect("fork") {
        Fork::Child => sys::process::exit_at_once(judge()),
        Fork::Parent(child) => match sys::process::wait(child).expect("wait").expect("child").end {
            End::Exited(code) => code,
            End::Signalled { .. } => -1,
        },
    }
}

fn a_stray_child_holds_nothing_of_its_parent() {
    sys::forks::claim().expect("handlers");
    let board = Scoreboard::new(2).expect("mmap");
    let slot = board.slot(1);
    slot.claim(0, 7);
    slot.set_state(State::Ready);
    let notifier = sys::pipe::Notifier::new().expect("eventfd");
    let signals = SignalPipe::install(&[Signal::TERM]).expect("install");
    let code = judged_by_a_child(|| {
        let is_empty = slot.state() == State::Empty;
        slot.set_state(State::Stopping);
        notifier.notify();
        match (sys::forks::is_stray(), is_empty) {
            (true, true) => 1,
            _ => 2,
        }
    });
    assert_eq!(code, 1);
    assert_eq!(
        slot.state(),
        State::Ready,
        "the child wrote to pages of its own"
    );
    assert!(!notifier.drain(), "the child rang nothing");
    let code = judged_by_a_child(|| {
        sys::process::kill(sys::process::pid(), Signal::TERM).expect("kill");
        3
    });
    assert_eq!(code, -1, "the signal has its default meaning in the child");
    assert!(!sys::forks::is_stray());
    drop(signals);
}

fn a_child_of_the_servers_own_is_not_stray() {
    let notifier = sys::pipe::Notifier::new().expect("eventfd");
    let expected = sys::forks::expect();
    let code = judged_by_a_child(|| {
        notifier.notify();
        i32::from(sys::forks::is_stray())
    });
    drop(expected);
    assert_eq!(code, 0);
    assert!(notifier.drain());
}
