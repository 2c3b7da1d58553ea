//! What the operator's signals mean. The texts and the meanings are Gunicorn's.

use std::time::Duration;

use sys::process::End;
use sys::signals::{Received, Signal};

use super::event::{Action, Level};
use super::{How, Stage, Supervisor};

impl Supervisor {
    pub(super) fn is_running(&self) -> bool {
        matches!(self.stage, Stage::Running)
    }

    pub(super) fn signalled(&mut self, received: Received, now: Duration) {
        let Some(name) = received.signal.short_name() else {
            return;
        };
        let level = if received.signal == Signal::CHLD {
            Level::Debug
        } else {
            Level::Info
        };
        self.log(level, format!("Handling signal: {name}"));
        if let Some(sender) = received.sender.filter(|_| level == Level::Info) {
            self.log(
                Level::Debug,
                format!("{} came from pid {sender}", received.signal),
            );
        }
        match (received.signal, self.stage) {
            (Signal::USR1, _) => self.reopen_logs(),
            (Signal::INT | Signal::QUIT, Stage::Stopping { .. }) => self.hurry(now),
            (_, Stage::Stopping { .. } | Stage::Ended) => {}
            (Signal::TERM, Stage::Running) => self.withdraw(now),
            (Signal::INT | Signal::QUIT, Stage::Running) => self.stop(How::Quick, 0, None, now),
            (Signal::HUP, Stage::Running) => {
                self.log(Level::Info, format!("Hang up: {}", self.name()));
                self.actions.push(Action::Load);
            }
            (Signal::TTIN, Stage::Running) => self.set_number(self.target().saturating_add(1)),
            (Signal::TTOU, Stage::Running) if self.target() > 1 => {
                self.set_number(self.target() - 1)
            }
            (Signal::USR2, Stage::Running) => self.upgrade(),
            (Signal::WINCH, Stage::Running) => self.window_changed(),
            _ => {}
        }
    }

    /// The server is to stop, after `drain_delay`: until then it serves on, and load balancers that ask whether it is
    /// ready learn that it is not. A second TERM does not wait.
    fn withdraw(&mut self, now: Duration) {
        self.actions.push(Action::Withdraw);
        let delay = self.current.terms.drain_delay;
        if delay.is_zero() || self.drain_until.is_some() {
            return self.stop(How::Graceful, 0, None, now);
        }
        self.drain_until = Some(now + delay);
        let line = format!(
            "Serving on for {} s before the stop (drain_delay)",
            delay.as_secs_f32()
        );
        self.log(Level::Info, line);
    }

    /// The delay is over.
    pub(super) fn end_drain(&mut self, now: Duration) {
        if self.is_running() && self.drain_until.is_some_and(|until| until <= now) {
            self.stop(How::Graceful, 0, None, now);
        }
    }

    fn reopen_logs(&mut self) {
        self.actions.push(Action::ReopenLogs);
        let pids: Vec<_> = self.fleet.iter().filter_map(|worker| worker.pid).collect();
        self.actions
            .extend(pids.into_iter().map(|pid| Action::Kill {
                pid,
                signal: Signal::USR1,
            }));
    }

    fn upgrade(&mut self) {
        if self.upgrade.is_some() {
            self.log(Level::Warning, "USR2 signal ignored. Child exists.");
        } else if self.parent.is_some() {
            self.log(Level::Warning, "USR2 signal ignored. Parent exists.");
        } else {
            self.actions.push(Action::Upgrade);
        }
    }

    fn window_changed(&mut self) {
        if self.current.terms.daemon {
            self.log(Level::Info, "graceful stop of workers");
            self.set_number(0);
        } else {
            self.log(Level::Debug, "SIGWINCH ignored. Not daemonized");
        }
    }

    pub(super) fn upgrade_ended(&mut self, pid: i32, end: End) {
        self.upgrade = None;
        let level = if end == End::Exited(0) {
            Level::Info
        } else {
            Level::Error
        };
        self.log(
            level,
            format!("The new master (pid:{pid}) has ended ({end}); this one goes on."),
        );
    }

    pub(super) fn promoted(&mut self) {
        if self.parent.take().is_some() {
            self.log(Level::Info, "Master has been promoted.");
            self.actions.push(Action::Promote);
        }
    }
}
