//! What the supervisor does in one situation after the other. Chance is in `simulation`.

use super::*;
use settings::WorkerReplacement;
use sys::signals::{Received, Signal};

mod replacement;

const SECOND: Duration = Duration::from_secs(1);

/// A supervisor, a clock, and children that do what the test says.
struct Bench {
    supervisor: Supervisor,
    now: Duration,
    next_pid: i32,
    /// Everything since it was last looked at, except lines below warning.
    actions: Vec<Action>,
    lines: Vec<String>,
    generation: u64,
}

fn terms(workers: u32) -> Terms {
    Terms {
        workers,
        timeout: 30 * SECOND,
        boot_timeout: Duration::ZERO,
        drain_delay: Duration::ZERO,
        graceful_timeout: 20 * SECOND,
        daemon: false,
        reload: false,
        replacement: WorkerReplacement::Overlap,
    }
}

impl Bench {
    fn new(workers: u32) -> Self {
        Self::with(terms(workers), None)
    }

    fn with(terms: Terms, parent: Option<i32>) -> Self {
        Self {
            supervisor: Supervisor::new(terms, slots_for(terms.workers), parent),
            now: 100 * SECOND,
            next_pid: 1000,
            actions: Vec::new(),
            lines: Vec::new(),
            generation: 0,
        }
    }

    /// Started, and all workers serve.
    fn serving(workers: u32) -> Self {
        let mut bench = Self::new(workers);
        bench.feed(Event::Start);
        bench.all(State::Ready);
        bench.clear();
        bench
    }

    fn clear(&mut self) {
        self.actions.clear();
        self.lines.clear();
    }

    fn feed(&mut self, event: Event) {
        let mut events = vec![event];
        while let Some(event) = events.pop() {
            for action in self.supervisor.handle(event, self.now) {
                match &action {
                    Action::Log(_, line) => self.lines.push(line.clone()),
                    Action::Spawn { age, .. } => {
                        self.next_pid += 1;
                        events.push(Event::Spawned {
                            age: *age,
                            pid: self.next_pid,
                        });
                        self.actions.push(action);
                    }
                    _ => self.actions.push(action),
                }
            }
        }
    }

    fn signal(&mut self, signal: Signal) {
        self.feed(Event::Signal(Received {
            signal,
            sender: None,
        }));
    }

    fn pids(&self) -> Vec<i32> {
        self.supervisor.seats().map(|(pid, _)| pid).collect()
    }

    fn one(&mut self, pid: i32, state: State) {
        self.feed(Event::Observed(vec![Observation {
            pid,
            state,
            busy_since: None,
        }]));
    }

    fn all(&mut self, state: State) {
        for pid in self.pids() {
            self.one(pid, state);
        }
    }

    fn hang(&mut self, pid: i32) {
        let busy_since = Some(self.now);
        self.feed(Event::Observed(vec![Observation {
            pid,
            state: State::Ready,
            busy_since,
        }]));
    }

    fn exit(&mut self, pid: i32, code: i32) {
        self.feed(Event::Died {
            pid,
            end: End::Exited(code),
            out_of_memory: None,
        });
    }

    fn pass(&mut self, span: Duration) {
        self.now += span;
        self.feed(Event::Tick);
    }

    fn reload(&mut self, workers: u32) {
        self.generation += 1;
        self.feed(Event::Reloaded {
            generation: self.generation,
            terms: terms(workers),
        });
    }

    /// The signals that were sent since the last look.
    fn kills(&mut self) -> Vec<(i32, Signal)> {
        let sent = |action: &Action| match action {
            Action::Kill { pid, signal } => Some((*pid, *signal)),
            _ => None,
        };
        let kills = self.actions.iter().filter_map(sent).collect();
        self.actions.retain(|action| sent(action).is_none());
        kills
    }

    /// How many workers were forked since the last look.
    fn spawns(&mut self) -> usize {
        let before = self.actions.len();
        self.actions
            .retain(|action| !matches!(action, Action::Spawn { .. }));
        before - self.actions.len()
    }

    fn exit_code(&self) -> Option<i32> {
        self.actions.iter().find_map(|action| match action {
            Action::Exit { code } => Some(*code),
            _ => None,
        })
    }

    fn has_logged(&self, line: &str) -> bool {
        self.lines.iter().any(|logged| logged == line)
    }

    fn has_done(&self, action: &Action) -> bool {
        self.actions.contains(action)
    }
}

#[test]
fn as_many_workers_as_asked_for_are_forked_and_told_of_once_they_serve() {
    let mut bench = Bench::new(3);
    bench.feed(Event::Start);
    assert_eq!(bench.spawns(), 3);
    assert!(!bench.has_done(&Action::Tell(Moment::Serving { workers: 3 })));
    bench.all(State::Ready);
    assert!(bench.has_done(&Action::Adopt { generation: 0 }));
    assert!(bench.has_done(&Action::Tell(Moment::Serving { workers: 3 })));
    bench.clear();
    bench.all(State::Ready);
    assert_eq!(bench.actions, []);
}

#[test]
fn a_worker_that_dies_is_replaced() {
    let mut bench = Bench::serving(2);
    bench.pass(60 * SECOND);
    let pid = bench.pids()[0];
    let end = End::Signalled {
        signal: Signal::SEGV,
        core: false,
    };
    bench.feed(Event::Died {
        pid,
        end,
        out_of_memory: None,
    });
    assert_eq!(bench.spawns(), 1, "at once, because it had lived");
    assert!(bench.has_logged(&format!("Worker (pid:{pid}) was sent SIGSEGV!")));
    assert!(bench.has_done(&Action::Tell(Moment::ChildExit { pid, age: 1 })));
}

#[test]
fn a_first_generation_that_does_not_boot_ends_the_server_with_its_code() {
    for (code, reason) in [
        (3, "Reason: Worker failed to boot."),
        (4, "Reason: App failed to load."),
    ] {
        let mut bench = Bench::new(3);
        bench.feed(Event::Start);
        let pids = bench.pids();
        pids.iter().for_each(|pid| bench.exit(*pid, code));
        assert_eq!(
            bench.exit_code(),
            Some(code),
            "with several workers failing alike"
        );
        assert!(bench.has_logged("Shutting down: Master"));
        assert!(bench.has_logged(reason));
        assert_eq!(bench.spawns(), 3, "no more than the first three");
    }
}

#[test]
fn exit_code_3_of_a_server_that_serves_is_a_death_like_any_other() {
    let mut bench = Bench::serving(2);
    bench.pass(60 * SECOND);
    for _ in 0..2 {
        bench.exit(bench.pids()[0], 3);
    }
    assert_eq!(bench.exit_code(), None);
    assert_eq!(bench.spawns(), 2);
    // And those forked for them that fail to boot do not end it either: it has served.
    bench.exit(bench.pids()[0], 4);
    assert_eq!(bench.exit_code(), None);
}

#[test]
fn workers_that_keep_dying_are_forked_ever_more_slowly() {
    let mut bench = Bench::new(1);
    bench.feed(Event::Start);
    let mut pauses = Vec::new();
    for _ in 0..12 {
        bench.spawns();
        bench.exit(bench.pids()[0], 1);
        assert_eq!(bench.spawns(), 0);
        let due = bench.supervisor.deadline().expect("a deadline");
        pauses.push(due - bench.now);
        bench.now = due;
        bench.feed(Event::Tick);
        assert_eq!(bench.spawns(), 1);
    }
    assert_eq!(pauses[..4], [100, 200, 400, 800].map(Duration::from_millis));
    assert_eq!(pauses[11], 10 * SECOND);
    assert!(bench.has_logged("Workers keep dying: the next one starts in 1.6 s"));
    bench.all(State::Ready);
    bench.pass(LIVED);
    bench.spawns();
    bench.exit(bench.pids()[0], 1);
    assert_eq!(bench.spawns(), 1, "a worker has lived");
}

#[test]
fn a_pause_that_passes_before_the_arbiter_waits_is_not_forgotten() {
    let mut bench = Bench::new(1);
    bench.feed(Event::Start);
    bench.spawns();
    bench.exit(bench.pids()[0], 1);
    let due = bench.supervisor.deadline().expect("a deadline");
    // The arbiter was with its other work meanwhile.
    bench.now = due + SECOND;
    assert_eq!(bench.supervisor.deadline(), Some(due));
    bench.feed(Event::Tick);
    assert_eq!(bench.spawns(), 1);
}

#[test]
fn a_worker_that_hangs_is_aborted_and_then_killed() {
    let mut bench = Bench::serving(1);
    let pid = bench.pids()[0];
    bench.hang(pid);
    assert_eq!(bench.supervisor.deadline(), Some(bench.now + 30 * SECOND));
    bench.pass(30 * SECOND - Duration::from_millis(1));
    assert_eq!(bench.kills(), []);
    bench.pass(Duration::from_millis(1));
    assert_eq!(bench.kills(), [(pid, Signal::ABRT)]);
    assert!(bench.has_logged(&format!("WORKER TIMEOUT (pid:{pid})")));
    assert_eq!(bench.spawns(), 1, "its successor need not wait for its end");
    bench.pass(SECOND);
    assert_eq!(bench.kills(), [(pid, Signal::KILL)]);
    let end = End::Signalled {
        signal: Signal::KILL,
        core: false,
    };
    bench.feed(Event::Died {
        pid,
        end,
        out_of_memory: Some(false),
    });
    let line = format!("Worker (pid:{pid}) was sent SIGKILL! By the arbiter: it had timed out.");
    assert!(bench.has_logged(&line), "{:?}", bench.lines);
}

#[test]
fn a_worker_that_is_busy_again_and_again_is_not_aborted() {
    let mut bench = Bench::serving(1);
    let pid = bench.pids()[0];
    for _ in 0..10 {
        bench.hang(pid);
        bench.pass(29 * SECOND);
    }
    assert_eq!(bench.kills(), []);
}

#[test]
fn a_boot_that_takes_too_long_is_a_timeout() {
    let mut bench = Bench::new(1);
    bench.feed(Event::Start);
    let pid = bench.pids()[0];
    bench.pass(30 * SECOND);
    assert_eq!(bench.kills(), [(pid, Signal::ABRT)]);
}

#[test]
fn a_boot_has_a_limit_of_its_own() {
    let terms = Terms {
        boot_timeout: 60 * SECOND,
        ..terms(1)
    };
    let mut bench = Bench::with(terms, None);
    bench.feed(Event::Start);
    let pid = bench.pids()[0];
    bench.pass(59 * SECOND);
    assert_eq!(bench.kills(), []);
    bench.pass(SECOND);
    assert_eq!(bench.kills(), [(pid, Signal::ABRT)]);
}

#[test]
fn without_a_timeout_nothing_is_aborted_and_nobody_looks() {
    let mut bench = Bench::with(
        Terms {
            timeout: Duration::ZERO,
            boot_timeout: Duration::ZERO,
            ..terms(1)
        },
        None,
    );
    bench.feed(Event::Start);
    bench.all(State::Ready);
    bench.hang(bench.pids()[0]);
    bench.pass(100_000 * SECOND);
    assert_eq!(bench.kills(), []);
    assert_eq!(bench.supervisor.deadline(), None);
}

#[test]
fn a_recycled_worker_goes_when_its_successor_serves() {
    let mut bench = Bench::serving(2);
    let (first, second) = (bench.pids()[0], bench.pids()[1]);
    bench.one(first, State::Recycling);
    bench.one(second, State::Recycling);
    assert_eq!(bench.spawns(), 1, "one at a time");
    assert_eq!(bench.kills(), []);
    let successor = bench.pids()[2];
    bench.one(successor, State::Ready);
    assert_eq!(bench.kills(), [(first, Signal::TERM)]);
    assert_eq!(
        bench.spawns(),
        0,
        "the second waits until the first is gone"
    );
    bench.exit(first, 0);
    assert_eq!(bench.spawns(), 1);
    bench.one(bench.pids()[2], State::Ready);
    assert_eq!(bench.kills(), [(second, Signal::TERM)]);
    bench.exit(second, 0);
    assert_eq!((bench.spawns(), bench.kills()), (0, vec![]));
}

#[test]
fn a_successor_that_does_not_boot_leaves_the_old_worker_alone() {
    let mut bench = Bench::serving(1);
    let old = bench.pids()[0];
    bench.one(old, State::Recycling);
    bench.exit(bench.pids()[1], 3);
    assert_eq!((bench.kills(), bench.exit_code()), (vec![], None));
    bench.pass(SECOND);
    bench.one(bench.pids()[1], State::Ready);
    assert_eq!(bench.kills(), [(old, Signal::TERM)]);
}

#[test]
fn a_worker_that_leaves_by_itself_is_replaced_at_once() {
    let mut bench = Bench::serving(1);
    let pid = bench.pids()[0];
    bench.one(pid, State::Stopping);
    assert_eq!((bench.spawns(), bench.kills()), (1, vec![]));
    bench.pass(20 * SECOND);
    assert_eq!(bench.kills(), [(pid, Signal::KILL)], "but it has to leave");
}

#[test]
fn term_waits_for_the_graceful_timeout_and_then_kills() {
    let mut bench = Bench::serving(2);
    let pids = bench.pids();
    bench.signal(Signal::TERM);
    assert_eq!(
        bench.kills(),
        [(pids[0], Signal::TERM), (pids[1], Signal::TERM)]
    );
    bench.exit(pids[0], 0);
    assert_eq!(bench.exit_code(), None);
    bench.pass(20 * SECOND);
    assert_eq!(bench.kills(), [(pids[1], Signal::KILL)]);
    let end = End::Signalled {
        signal: Signal::KILL,
        core: false,
    };
    bench.feed(Event::Died {
        pid: pids[1],
        end,
        out_of_memory: None,
    });
    assert_eq!((bench.exit_code(), bench.spawns()), (Some(0), 0));
    assert!(bench.has_logged("Handling signal: term"));
    assert!(bench.has_logged("Shutting down: Master"));
}

#[test]
fn int_and_quit_stop_quickly_and_shorten_a_stop_that_has_begun() {
    for signal in [Signal::INT, Signal::QUIT] {
        let mut bench = Bench::serving(1);
        let pid = bench.pids()[0];
        bench.signal(signal);
        assert_eq!(bench.kills(), [(pid, Signal::QUIT)]);

        let mut bench = Bench::serving(1);
        let pid = bench.pids()[0];
        bench.signal(Signal::TERM);
        bench.signal(signal);
        assert_eq!(bench.kills(), [(pid, Signal::TERM), (pid, Signal::QUIT)]);
        assert!(bench.has_logged("Quick shutdown requested"));
        bench.pass(2 * SECOND);
        assert_eq!(bench.kills(), [(pid, Signal::KILL)]);
    }
}

#[test]
fn a_stop_does_not_wait_for_ever_for_what_cannot_be_killed() {
    let mut bench = Bench::serving(1);
    bench.signal(Signal::TERM);
    bench.pass(20 * SECOND);
    bench.pass(care::GONE_AFTER_KILL);
    assert_eq!(bench.exit_code(), Some(0));
}

#[test]
fn a_stop_before_the_start_forks_nobody() {
    let mut bench = Bench::new(4);
    bench.signal(Signal::TERM);
    bench.feed(Event::Start);
    assert_eq!((bench.spawns(), bench.exit_code()), (0, Some(0)));
}

#[test]
fn a_reload_retires_the_old_one_by_one_as_the_new_come_to_serve() {
    let mut bench = Bench::serving(2);
    let old = bench.pids();
    bench.signal(Signal::HUP);
    assert!(bench.has_done(&Action::Load));
    assert!(bench.has_logged("Hang up: Master"));
    bench.reload(2);
    assert_eq!((bench.spawns(), bench.kills()), (2, vec![]));
    let new = bench.pids()[2..].to_vec();
    bench.one(new[0], State::Ready);
    assert_eq!(bench.kills(), [(old[0], Signal::TERM)]);
    assert!(bench.has_done(&Action::Adopt { generation: 1 }));
    bench.one(new[1], State::Ready);
    assert_eq!(bench.kills(), [(old[1], Signal::TERM)]);
    bench.exit(old[0], 0);
    assert!(!bench.has_done(&Action::Forget { generation: 0 }));
    bench.exit(old[1], 0);
    assert!(bench.has_done(&Action::Forget { generation: 0 }));
    assert_eq!(bench.pids(), new);
}

#[test]
fn a_reload_with_a_broken_configuration_changes_nothing() {
    let mut bench = Bench::serving(2);
    bench.signal(Signal::HUP);
    bench.clear();
    bench.feed(Event::ReloadFailed("gunicorn.conf.py:3: no".to_owned()));
    assert_eq!(bench.actions, []);
    assert!(bench.has_logged("Reload failed: gunicorn.conf.py:3: no"));
}

#[test]
fn a_new_generation_that_does_not_boot_is_given_up() {
    for code in [3, 4] {
        let mut bench = Bench::serving(2);
        let old = bench.pids();
        bench.reload(5);
        let new = bench.pids()[2..].to_vec();
        bench.clear();
        new.iter().for_each(|pid| bench.exit(*pid, code));
        assert!(bench.has_done(&Action::Abandon { generation: 1 }));
        assert!(bench.has_done(&Action::Forget { generation: 1 }));
        assert!(bench.kills().iter().all(|(pid, _)| !old.contains(pid)));
        assert_eq!((bench.exit_code(), bench.spawns()), (None, 0));
        assert_eq!((bench.pids(), bench.supervisor.target()), (old, 2));
    }
}

#[test]
fn a_generation_that_came_to_serve_during_a_reload_has_served() {
    let mut bench = Bench::new(2);
    bench.feed(Event::Start);
    bench.reload(2);
    bench.one(bench.pids()[0], State::Ready);
    bench.exit(bench.pids()[2], 3);
    assert!(bench.has_done(&Action::Abandon { generation: 1 }));
    bench.kills();
    bench.exit(bench.pids()[1], 3);
    assert_eq!(
        bench.kills(),
        [],
        "the first worker serves, and goes on doing so"
    );
}

#[test]
fn a_worker_whose_fork_was_decided_before_its_generation_was_given_up_is_told_to_go() {
    let mut bench = Bench::new(1);
    bench.feed(Event::Start);
    let reloaded = Event::Reloaded {
        generation: 1,
        terms: terms(4),
    };
    let actions = bench.supervisor.handle(reloaded, bench.now);
    let forks = actions.iter().filter_map(|action| match action {
        Action::Spawn { age, .. } => Some(*age),
        _ => None,
    });
    let ages: Vec<_> = forks.collect();
    for age in &ages[..3] {
        let reason = "Resource temporarily unavailable".to_owned();
        bench.feed(Event::SpawnFailed { age: *age, reason });
    }
    assert!(bench.has_done(&Action::Abandon { generation: 1 }));
    bench.feed(Event::Spawned {
        age: ages[3],
        pid: 4242,
    });
    assert_eq!(bench.kills(), [(4242, Signal::TERM)]);
}

#[test]
fn a_new_generation_that_hangs_or_keeps_dying_while_it_boots_is_given_up() {
    let mut bench = Bench::serving(1);
    let old = bench.pids()[0];
    bench.reload(1);
    let new = bench.pids()[1];
    bench.now += 30 * SECOND;
    let busy_since = Some(bench.now - 30 * SECOND);
    bench.one(old, State::Ready);
    bench.feed(Event::Observed(vec![Observation {
        pid: new,
        state: State::Booting,
        busy_since,
    }]));
    bench.exit(new, 1);
    assert!(bench.has_done(&Action::Abandon { generation: 1 }));

    let mut bench = Bench::serving(1);
    bench.reload(1);
    for _ in 0..3 {
        bench.exit(bench.pids()[1], 1);
        bench.pass(SECOND);
    }
    assert!(bench.has_done(&Action::Abandon { generation: 1 }));
    assert_eq!(bench.pids().len(), 1);
}

#[test]
fn a_reload_during_a_reload_replaces_the_one_on_trial() {
    let mut bench = Bench::serving(1);
    let old = bench.pids()[0];
    bench.reload(1);
    let on_trial = bench.pids()[1];
    bench.clear();
    bench.reload(1);
    assert_eq!(bench.kills(), [(on_trial, Signal::TERM)]);
    bench.exit(on_trial, 3);
    assert!(
        !bench.has_done(&Action::Abandon { generation: 2 }),
        "it was told to go"
    );
    bench.exit(bench.pids()[1], 3);
    assert!(bench.has_done(&Action::Abandon { generation: 2 }));
    assert_eq!(bench.pids(), [old]);
}

#[test]
fn a_reload_to_fewer_workers_keeps_the_old_until_a_new_one_serves() {
    let mut bench = Bench::serving(4);
    let old = bench.pids();
    bench.reload(1);
    assert_eq!(bench.kills(), []);
    bench.one(bench.pids()[4], State::Ready);
    assert_eq!(
        bench.kills(),
        old.iter()
            .map(|pid| (*pid, Signal::TERM))
            .collect::<Vec<_>>()
    );
}

#[test]
fn ttin_and_ttou_change_the_number_of_workers() {
    let mut bench = Bench::serving(1);
    bench.signal(Signal::TTIN);
    assert_eq!(bench.spawns(), 1);
    assert!(bench.has_done(&Action::Tell(Moment::NworkersChanged {
        new: 2,
        old: Some(1)
    })));
    bench.all(State::Ready);
    let oldest = bench.pids()[0];
    bench.signal(Signal::TTOU);
    assert_eq!(bench.kills(), [(oldest, Signal::TERM)]);
    bench.signal(Signal::TTOU);
    assert_eq!(bench.kills(), [], "not below one");
}

#[test]
fn ttin_beyond_the_slots_is_refused_with_a_line() {
    let mut bench = Bench::serving(1);
    for _ in 0..100 {
        bench.signal(Signal::TTIN);
    }
    let most = u32::try_from(slots_for(1) - SPARE_SLOTS).expect("fits");
    assert_eq!(bench.supervisor.target(), most);
    assert!(bench.has_logged(&format!(
        "{most} workers are as many as this arbiter has room for"
    )));
}

#[test]
fn a_reload_to_more_workers_than_there_are_slots_is_cut_with_a_line() {
    let mut bench = Bench::serving(1);
    bench.reload(1000);
    assert_eq!(
        usize::try_from(bench.supervisor.target()).expect("fits"),
        slots_for(1) - SPARE_SLOTS
    );
    assert!(
        bench
            .lines
            .iter()
            .any(|line| line.contains("more than this arbiter has room for"))
    );
}

#[test]
fn winch_stops_the_workers_of_a_daemon_only() {
    let mut bench = Bench::serving(1);
    bench.signal(Signal::WINCH);
    assert_eq!(bench.kills(), []);
    assert!(bench.has_logged("SIGWINCH ignored. Not daemonized"));

    let mut bench = Bench::with(
        Terms {
            daemon: true,
            ..terms(1)
        },
        None,
    );
    bench.feed(Event::Start);
    bench.all(State::Ready);
    let pid = bench.pids()[0];
    bench.signal(Signal::WINCH);
    assert_eq!(bench.kills(), [(pid, Signal::TERM)]);
    bench.exit(pid, 0);
    assert_eq!((bench.pids(), bench.exit_code()), (vec![], None));
}

#[test]
fn usr1_reopens_the_logs_everywhere() {
    let mut bench = Bench::serving(2);
    let pids = bench.pids();
    bench.signal(Signal::USR1);
    assert!(bench.has_done(&Action::ReopenLogs));
    assert_eq!(
        bench.kills(),
        [(pids[0], Signal::USR1), (pids[1], Signal::USR1)]
    );
}

#[test]
fn usr2_starts_one_new_master_at_a_time() {
    let mut bench = Bench::serving(1);
    bench.signal(Signal::USR2);
    assert!(bench.has_done(&Action::Upgrade));
    bench.clear();
    bench.feed(Event::Upgrading { pid: 77 });
    bench.signal(Signal::USR2);
    assert!(!bench.has_done(&Action::Upgrade));
    assert!(bench.has_logged("USR2 signal ignored. Child exists."));
    bench.exit(77, 1);
    bench.signal(Signal::USR2);
    assert!(bench.has_done(&Action::Upgrade), "the first one has ended");
}

#[test]
fn a_new_master_is_promoted_when_the_old_one_ends() {
    let mut bench = Bench::with(terms(1), Some(55));
    bench.feed(Event::Start);
    bench.signal(Signal::USR2);
    assert!(bench.has_logged("USR2 signal ignored. Parent exists."));
    bench.feed(Event::ParentGone);
    assert!(bench.has_done(&Action::Promote));
    assert!(bench.has_logged("Master has been promoted."));
    bench.signal(Signal::USR2);
    assert!(bench.has_done(&Action::Upgrade));
}

#[test]
fn somebody_elses_child_changes_nothing() {
    let mut bench = Bench::serving(1);
    bench.exit(4242, 3);
    assert_eq!(bench.actions, []);
    assert!(bench.has_logged("Reaped unknown child process (pid:4242, status:code 3)"));
}

#[test]
fn a_worker_that_somebody_else_has_collected_is_replaced() {
    let mut bench = Bench::serving(1);
    bench.pass(60 * SECOND);
    bench.feed(Event::Vanished {
        pid: bench.pids()[0],
    });
    assert_eq!(bench.spawns(), 1);
}

#[test]
fn a_pre_fork_that_raises_ends_a_server_that_has_never_served() {
    let mut supervisor = Supervisor::new(terms(1), 8, None);
    let now = 100 * SECOND;
    let Some(Action::Spawn { age, .. }) = supervisor.handle(Event::Start, now).pop() else {
        panic!("no worker was asked for");
    };
    let reason = "the hook pre_fork raised".to_owned();
    let actions = supervisor.handle(Event::SpawnRefused { age, reason }, now);
    let code = EXIT_WORKER_BOOT;
    assert!(actions.contains(&Action::Exit { code }), "{actions:?}");
}

#[test]
fn a_fork_that_fails_is_tried_again_after_a_pause() {
    let mut supervisor = Supervisor::new(terms(1), 8, None);
    let now = 100 * SECOND;
    let Some(Action::Spawn { age, .. }) = supervisor.handle(Event::Start, now).pop() else {
        panic!("no worker was asked for");
    };
    let reason = "Resource temporarily unavailable".to_owned();
    let actions = supervisor.handle(Event::SpawnFailed { age, reason }, now);
    assert!(
        !actions
            .iter()
            .any(|action| matches!(action, Action::Spawn { .. }))
    );
    let due = supervisor.deadline().expect("a deadline");
    let actions = supervisor.handle(Event::Tick, due);
    assert!(
        actions
            .iter()
            .any(|action| matches!(action, Action::Spawn { .. }))
    );
}

#[test]
fn a_server_that_is_told_to_stop_serves_on_for_its_delay() {
    let terms = Terms {
        drain_delay: 5 * SECOND,
        ..terms(2)
    };
    let mut bench = Bench::with(terms, None);
    bench.feed(Event::Start);
    bench.all(State::Ready);
    bench.signal(Signal::TERM);
    assert!(bench.has_done(&Action::Withdraw));
    bench.pass(4 * SECOND);
    assert_eq!(bench.kills(), []);
    let pids = bench.pids();
    bench.pass(SECOND);
    assert_eq!(
        bench.kills(),
        [(pids[0], Signal::TERM), (pids[1], Signal::TERM)]
    );
}

#[test]
fn a_second_signal_ends_the_delay() {
    for (second, sent) in [(Signal::TERM, Signal::TERM), (Signal::INT, Signal::QUIT)] {
        let terms = Terms {
            drain_delay: 500 * SECOND,
            ..terms(1)
        };
        let mut bench = Bench::with(terms, None);
        bench.feed(Event::Start);
        bench.all(State::Ready);
        bench.signal(Signal::TERM);
        assert_eq!(bench.kills(), []);
        let pid = bench.pids()[0];
        bench.signal(second);
        assert_eq!(bench.kills(), [(pid, sent)]);
    }
}
