//! In which order workers and their successors come and go, and what becomes of a server that can make none.

use super::*;

fn one_by_one(workers: u32) -> Bench {
    let replacement = WorkerReplacement::OneByOne;
    let mut bench = Bench::with(
        Terms {
            replacement,
            ..terms(workers)
        },
        None,
    );
    bench.feed(Event::Start);
    bench.all(State::Ready);
    bench.clear();
    bench
}

#[test]
fn one_by_one_a_worker_that_is_recycled_is_gone_before_its_successor_is_forked() {
    let mut bench = one_by_one(2);
    let pids = bench.pids();
    bench.all(State::Recycling);
    assert_eq!(bench.kills(), [(pids[0], Signal::TERM)]);
    assert_eq!(bench.spawns(), 0);
    bench.exit(pids[0], 0);
    assert_eq!(bench.spawns(), 1);
    let successor = *bench.pids().last().expect("forked");
    assert_eq!(
        bench.kills(),
        [],
        "the other waits until the successor serves"
    );
    bench.one(successor, State::Ready);
    assert_eq!(bench.kills(), [(pids[1], Signal::TERM)]);
}

#[test]
fn one_by_one_a_reload_replaces_each_worker_in_its_turn() {
    let mut bench = one_by_one(2);
    let old = bench.pids();
    bench.generation += 1;
    let generation = bench.generation;
    let terms = Terms {
        replacement: WorkerReplacement::OneByOne,
        ..terms(2)
    };
    bench.feed(Event::Reloaded { generation, terms });
    for pid in old {
        assert_eq!(bench.kills(), [(pid, Signal::TERM)]);
        assert_eq!(bench.spawns(), 0);
        bench.exit(pid, 0);
        assert_eq!(bench.spawns(), 1);
        let new = *bench.pids().last().expect("forked");
        bench.one(new, State::Ready);
    }
    assert_eq!(bench.kills(), []);
    assert_eq!(bench.pids().len(), 2);
}

#[test]
fn one_by_one_new_workers_that_do_not_boot_cost_one_place() {
    let mut bench = one_by_one(3);
    let old = bench.pids();
    bench.generation += 1;
    let generation = bench.generation;
    let terms = Terms {
        replacement: WorkerReplacement::OneByOne,
        ..terms(3)
    };
    bench.feed(Event::Reloaded { generation, terms });
    bench.exit(old[0], 0);
    let new = *bench.pids().last().expect("forked");
    bench.clear();
    bench.exit(new, EXIT_WORKER_BOOT);
    assert!(bench.has_done(&Action::Abandon { generation }));
    assert_eq!(bench.kills(), [], "the others go on serving");
    assert_eq!(bench.spawns(), 1, "with the configuration from before");
}

#[test]
fn one_by_one_a_worker_that_leaves_by_itself_is_replaced_when_it_is_gone() {
    let mut bench = one_by_one(1);
    let [pid] = bench.pids()[..] else { panic!() };
    bench.one(pid, State::Stopping);
    assert_eq!(bench.spawns(), 0);
    bench.exit(pid, 0);
    bench.pass(SECOND);
    assert_eq!(bench.spawns(), 1);
}

#[test]
fn a_worker_that_is_to_go_does_not_stay_when_its_successor_is_forked() {
    let mut bench = Bench::serving(2);
    let pids = bench.pids();
    assert_eq!(bench.supervisor.staying(), pids);
    bench.one(pids[0], State::Recycling);
    assert_eq!(bench.spawns(), 1);
    assert!(!bench.supervisor.staying().contains(&pids[0]));
    bench.reload(2);
    let staying = bench.supervisor.staying();
    assert!(pids.iter().all(|pid| !staying.contains(pid)));
}

#[test]
fn a_server_none_of_whose_workers_can_ever_be_made_gives_up() {
    let mut supervisor = Supervisor::new(terms(2), 8, None);
    let begun = 100 * SECOND;
    let mut now = begun;
    let mut actions = supervisor.handle(Event::Start, now);
    while !actions
        .iter()
        .any(|action| matches!(action, Action::Exit { .. }))
    {
        assert!(now < begun + 60 * SECOND, "it is tried for ever");
        let wishes = actions.iter().filter_map(|action| match action {
            Action::Spawn { age, .. } => Some(*age),
            _ => None,
        });
        let wishes: Vec<u64> = wishes.collect();
        actions = Vec::new();
        for age in wishes {
            let reason = "Resource temporarily unavailable".to_owned();
            actions.extend(supervisor.handle(Event::SpawnFailed { age, reason }, now));
        }
        if !actions
            .iter()
            .any(|action| matches!(action, Action::Exit { .. }))
        {
            now = supervisor.deadline().expect("a deadline");
            actions.extend(supervisor.handle(Event::Tick, now));
        }
    }
    assert!(now >= begun + LACK, "a shortage may be over soon");
    let code = EXIT_WORKER_BOOT;
    assert!(actions.contains(&Action::Exit { code }), "{actions:?}");
}

#[test]
fn a_server_that_has_served_waits_for_ever_for_what_a_worker_needs() {
    let mut bench = Bench::serving(1);
    for _ in 0..20 {
        let [pid] = bench.pids()[..] else { panic!() };
        bench.exit(pid, EXIT_WORKER_MEANS);
        bench.pass(11 * SECOND);
    }
    assert_eq!(bench.exit_code(), None);
}

#[test]
fn a_worker_that_is_left_with_stuck_requests_is_aborted_once_its_successor_serves() {
    let mut bench = Bench::serving(1);
    let old = bench.pids()[0];
    bench.one(old, State::Recycling);
    bench.one(bench.pids()[1], State::Ready);
    assert_eq!(bench.kills(), [(old, Signal::TERM)]);
    bench.one(old, State::Stopping);
    assert_eq!(bench.kills(), []);
    bench.one(old, State::Stuck);
    assert_eq!(bench.kills(), [(old, Signal::ABRT)]);
    bench.one(old, State::Stuck);
    bench.pass(2 * SECOND);
    assert_eq!(bench.kills(), [(old, Signal::KILL)]);
}
