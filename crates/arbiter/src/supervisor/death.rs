//! Why a worker died, as far as it is known, in Gunicorn's words where it has any.

use sys::process::End;
use sys::signals::Signal;

use super::event::Level;
use super::worker::{Sent, Why, Worker};

/// The line for the log. `pid` is the one that the worker had.
pub(super) fn describe(
    worker: &Worker,
    pid: i32,
    end: End,
    out_of_memory: Option<bool>,
) -> (Level, String) {
    match end {
        End::Exited(code) => (level_of_code(worker, code), of_code(worker, pid, code)),
        End::Signalled { signal, core } => {
            let cause = cause_of(worker.sent, signal, out_of_memory);
            let core = if core { " A core was dumped." } else { "" };
            let line = format!("Worker (pid:{pid}) was sent {signal}!{cause}{core}");
            (level_of_signal(worker.sent, signal), line)
        }
    }
}

/// The word for it in metrics.
pub(super) fn reason(worker: &Worker, end: End, out_of_memory: Option<bool>) -> &'static str {
    match (worker.sent.map(|sent| sent.why), end) {
        (Some(Why::Timeout), _) => "timeout",
        (Some(Why::Overdue), _) => "graceful_timeout",
        (Some(Why::Recycled), _) => "max_requests",
        (Some(Why::Reload), _) => "reload",
        (Some(Why::Surplus), _) => "surplus",
        (Some(Why::Stop), _) => "stop",
        (Some(Why::Unwanted), _) => "order",
        (
            None,
            End::Signalled {
                signal: Signal::KILL,
                ..
            },
        ) if out_of_memory == Some(true) => "out_of_memory",
        (None, End::Signalled { .. }) => "signal",
        (None, End::Exited(_)) if worker.ready_since.is_none() => "boot",
        (None, End::Exited(0)) => "exit",
        (None, End::Exited(_)) => "error",
    }
}

fn of_code(worker: &Worker, pid: i32, code: i32) -> String {
    let when = match worker.sent {
        Some(Sent {
            why: Why::Timeout, ..
        }) => " It had timed out.",
        None if worker.ready_since.is_none() => " It had not finished booting.",
        _ => "",
    };
    format!("Worker (pid:{pid}) exited with code {code}.{when}")
}

fn level_of_code(worker: &Worker, code: i32) -> Level {
    match (code, worker.sent, worker.ready_since) {
        (0, Some(_), _) => Level::Debug,
        (0, None, Some(_)) => Level::Info,
        // An application that ends its process while it is imported is as broken as one that raises.
        _ => Level::Error,
    }
}

fn level_of_signal(sent: Option<Sent>, signal: Signal) -> Level {
    let by_us = sent.is_some_and(|sent| sent.signal == signal);
    match signal {
        Signal::KILL => Level::Error,
        Signal::TERM => Level::Info,
        Signal::QUIT if by_us => Level::Info,
        _ => Level::Warning,
    }
}

fn cause_of(sent: Option<Sent>, signal: Signal, out_of_memory: Option<bool>) -> String {
    match (sent, signal, out_of_memory) {
        (Some(sent), _, _) if sent.signal == signal => format!(" By the arbiter: {}.", sent.why),
        (_, Signal::KILL, Some(true)) => {
            " Out of memory: the kernel killed a process of this control group.".to_owned()
        }
        (_, Signal::KILL, Some(false)) => {
            " Neither the arbiter nor the kernel's out-of-memory killer sent it.".to_owned()
        }
        (_, Signal::KILL, None) => " The arbiter did not send it.".to_owned(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::worker::Phase;
    use super::*;

    fn worker(sent: Option<Sent>, ready: bool) -> Worker {
        Worker {
            age: 1,
            slot: 0,
            generation: 0,
            born: Duration::ZERO,
            pid: Some(7),
            phase: Phase::Killed,
            ready_since: ready.then_some(Duration::ZERO),
            busy_since: None,
            looked_at: Duration::ZERO,
            sent,
        }
    }

    fn check(worker: &Worker, end: End, memory: Option<bool>, level: Level, line: &str) {
        assert_eq!(describe(worker, 7, end, memory), (level, line.to_owned()));
    }

    fn killed(signal: Signal) -> End {
        End::Signalled {
            signal,
            core: false,
        }
    }

    #[test]
    fn an_out_of_memory_kill_is_claimed_only_with_proof() {
        let other = worker(None, true);
        let kill = killed(Signal::KILL);
        let line = "Worker (pid:7) was sent SIGKILL! Out of memory: the kernel killed a process of this control group.";
        check(&other, kill, Some(true), Level::Error, line);
        let line = "Worker (pid:7) was sent SIGKILL! Neither the arbiter nor the kernel's out-of-memory killer sent it.";
        check(&other, kill, Some(false), Level::Error, line);
        check(
            &other,
            kill,
            None,
            Level::Error,
            "Worker (pid:7) was sent SIGKILL! The arbiter did not send it.",
        );
        let ours = worker(
            Some(Sent {
                signal: Signal::KILL,
                why: Why::Overdue,
            }),
            true,
        );
        let line = "Worker (pid:7) was sent SIGKILL! By the arbiter: it did not leave within the graceful timeout.";
        check(&ours, kill, Some(true), Level::Error, line);
    }

    #[test]
    fn other_signals_have_gunicorns_words() {
        let other = worker(None, true);
        let segv = End::Signalled {
            signal: Signal::SEGV,
            core: true,
        };
        check(
            &other,
            segv,
            None,
            Level::Warning,
            "Worker (pid:7) was sent SIGSEGV! A core was dumped.",
        );
        check(
            &other,
            killed(Signal::TERM),
            None,
            Level::Info,
            "Worker (pid:7) was sent SIGTERM!",
        );
        let ours = worker(
            Some(Sent {
                signal: Signal::ABRT,
                why: Why::Timeout,
            }),
            true,
        );
        let line = "Worker (pid:7) was sent SIGABRT! By the arbiter: it had timed out.";
        check(&ours, killed(Signal::ABRT), None, Level::Warning, line);
    }

    #[test]
    fn exit_codes_have_gunicorns_words() {
        let told = worker(
            Some(Sent {
                signal: Signal::TERM,
                why: Why::Stop,
            }),
            true,
        );
        check(
            &told,
            End::Exited(0),
            None,
            Level::Debug,
            "Worker (pid:7) exited with code 0.",
        );
        let serving = worker(None, true);
        check(
            &serving,
            End::Exited(0),
            None,
            Level::Info,
            "Worker (pid:7) exited with code 0.",
        );
        check(
            &serving,
            End::Exited(1),
            None,
            Level::Error,
            "Worker (pid:7) exited with code 1.",
        );
        let booting = worker(None, false);
        let line = "Worker (pid:7) exited with code 3. It had not finished booting.";
        check(&booting, End::Exited(3), None, Level::Error, line);
    }
}
