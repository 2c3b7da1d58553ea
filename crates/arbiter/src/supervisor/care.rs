//! Ending workers: those that hang, those that were told to go, and all of them when the server stops.

use std::time::Duration;

use sys::signals::Signal;

use super::event::{Action, Level};
use super::worker::{Phase, Sent, Why};
use super::{How, Stage, Supervisor};

/// What a worker that hung has between ABRT and KILL: enough to write down where it hangs. Gunicorn's master looks once
/// a second, so this is what its users know.
const ABORT_GRACE: Duration = Duration::from_secs(1);

/// What is left for the workers when a second signal asks for a quick stop. Gunicorn's number.
const IMPATIENCE: Duration = Duration::from_secs(2);

/// How long killed workers may take to be reaped. A process in an uninterruptible system call dies only after it, and
/// the server must not wait for that for ever.
pub(super) const GONE_AFTER_KILL: Duration = Duration::from_secs(2);

impl Supervisor {
    /// Acts on everything whose time has come.
    pub(super) fn expire(&mut self, now: Duration) {
        let terms = self.current.terms;
        for age in self.fleet.ages(|worker| worker.has_timed_out(&terms, now)) {
            self.abort(age, now);
        }
        for age in self.fleet.ages(|worker| worker.is_overdue(now)) {
            self.kill(age);
        }
    }

    pub(super) fn abort(&mut self, age: u64, now: Duration) {
        let Some(worker) = self.fleet.get_mut(age) else {
            return;
        };
        // Without a pid it is just being forked; the next look finds it again.
        let Some(pid) = worker.pid else { return };
        worker.phase = Phase::Aborting {
            kill_at: now + ABORT_GRACE,
        };
        worker.sent = Some(Sent {
            signal: Signal::ABRT,
            why: Why::Timeout,
        });
        self.log(Level::Critical, format!("WORKER TIMEOUT (pid:{pid})"));
        self.actions.push(Action::Kill {
            pid,
            signal: Signal::ABRT,
        });
    }

    fn kill(&mut self, age: u64) {
        let Some(worker) = self.fleet.get_mut(age) else {
            return;
        };
        let Some(pid) = worker.pid else { return };
        let why = match worker.phase {
            Phase::Aborting { .. } => Why::Timeout,
            _ => Why::Overdue,
        };
        worker.phase = Phase::Killed;
        worker.sent = Some(Sent {
            signal: Signal::KILL,
            why,
        });
        if why == Why::Overdue {
            let line = format!("WORKER TIMEOUT (pid:{pid}): it does not leave");
            self.log(Level::Critical, line);
        }
        self.actions.push(Action::Kill {
            pid,
            signal: Signal::KILL,
        });
    }

    /// Tells a worker to go, and sees to it that it has gone by `kill_at`.
    pub(super) fn dismiss(&mut self, age: u64, how: How, why: Why, kill_at: Duration) {
        let Some(worker) = self.fleet.get_mut(age) else {
            return;
        };
        let signal = match how {
            How::Graceful => Signal::TERM,
            How::Quick => Signal::QUIT,
        };
        let is_news = worker.sent.is_none_or(|sent| sent.signal != signal);
        let kill_at = match worker.phase {
            Phase::Booting | Phase::Serving { .. } => kill_at,
            Phase::Leaving { kill_at: before } => before.min(kill_at),
            // Nothing stronger is left to send.
            Phase::Aborting { .. } | Phase::Killed => return,
        };
        let Some(pid) = worker.pid else { return };
        worker.phase = Phase::Leaving { kill_at };
        if is_news {
            worker.sent = Some(Sent { signal, why });
            self.actions.push(Action::Kill { pid, signal });
        }
    }

    /// Begins the stop of the server.
    pub(super) fn stop(
        &mut self,
        how: How,
        code: i32,
        reason: Option<&'static str>,
        now: Duration,
    ) {
        let kill_at = now + self.current.terms.graceful_timeout;
        self.stage = Stage::Stopping {
            code,
            reason,
            how,
            kill_at,
        };
        self.recycling = None;
        self.dismiss_all(how, kill_at);
    }

    /// A quick end is asked for, of a stop that has begun.
    pub(super) fn hurry(&mut self, now: Duration) {
        let Stage::Stopping { how, kill_at, .. } = &mut self.stage else {
            return;
        };
        *how = How::Quick;
        *kill_at = (*kill_at).min(now + IMPATIENCE);
        let kill_at = *kill_at;
        self.log(Level::Info, "Quick shutdown requested");
        self.dismiss_all(How::Quick, kill_at);
    }

    fn dismiss_all(&mut self, how: How, kill_at: Duration) {
        for age in self.fleet.ages(|_| true) {
            self.dismiss(age, how, Why::Stop, kill_at);
        }
    }

    /// Ends the arbiter as soon as its workers are gone, or cannot be waited for any longer.
    pub(super) fn finish(&mut self, now: Duration) {
        let Stage::Stopping {
            code,
            reason,
            kill_at,
            ..
        } = self.stage
        else {
            return;
        };
        if !self.fleet.is_empty() {
            if now < kill_at + GONE_AFTER_KILL {
                return;
            }
            let pids: Vec<_> = self.fleet.iter().filter_map(|worker| worker.pid).collect();
            self.log(
                Level::Error,
                format!("Workers that even SIGKILL does not end are left behind: {pids:?}"),
            );
        }
        let level = if code == 0 { Level::Info } else { Level::Error };
        self.log(level, format!("Shutting down: {}", self.name()));
        if let Some(reason) = reason {
            self.log(level, format!("Reason: {reason}"));
        }
        self.stage = Stage::Ended;
        self.actions.push(Action::Exit { code });
    }
}
