//! A world of workers that boot slowly, hang, die and are asked for things by an impatient operator, all by chance and
//! under a clock that costs no time. After every step it checks the promises that always hold.
//!
//! A seed is a life. A failure names its seed and the last steps; the same seed fails again.

use std::collections::{BTreeMap, VecDeque};

use super::*;
use settings::WorkerReplacement;
use sys::signals::{Received, Signal};

/// Seeds of an ordinary run. More with OXICORN_SEEDS.
const SEEDS: u64 = 1000;
/// Steps of one life before the world calms down.
const STEPS: usize = 160;
const GRACEFUL: Duration = Duration::from_secs(5);
const TIMEOUT: Duration = Duration::from_secs(7);
const MASTER: i32 = 2;

/// SplitMix64 (Steele, Lea, Flood 2014): small, and good enough to be surprised by.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn one_in(&mut self, bound: u64) -> bool {
        self.below(bound) == 0
    }

    fn millis(&mut self, bound: u64) -> Duration {
        Duration::from_millis(self.below(bound))
    }
}

/// A simulated process.
#[derive(Clone, Debug)]
struct Process {
    age: u64,
    slot: usize,
    generation: u64,
    state: State,
    busy_since: Option<Duration>,
    /// When it says that it serves; `None` if it never will.
    boots_at: Option<Duration>,
    /// How it ends by itself, and when.
    dies_at: Option<(Duration, End)>,
    /// Whether it minds TERM, QUIT and ABRT.
    is_deaf: bool,
    told_to_go: bool,
}

/// How the code of a generation behaves.
#[derive(Clone, Copy, Debug)]
struct Code {
    boots: Boots,
    crashes: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Boots {
    Well,
    Sometimes,
    Never(i32),
    Hangs,
}

/// Something to remember, formatted only when a promise was broken.
#[derive(Debug)]
#[allow(
    dead_code,
    reason = "read by the derived Debug, which is what it is for"
)]
enum Note {
    Happened(Event),
    Done(Action),
    Loaded(u64, Code, Terms),
}

struct World {
    supervisor: Supervisor,
    chance: Chance,
    seed: u64,
    now: Duration,
    processes: BTreeMap<i32, Process>,
    codes: BTreeMap<u64, Code>,
    terms: BTreeMap<u64, Terms>,
    next_pid: i32,
    generation: u64,
    /// Whether the operator and fate keep still.
    is_calm: bool,
    stop_by: Option<Duration>,
    ended: Option<i32>,
    /// Generations that had a worker that served.
    served: Vec<u64>,
    history: VecDeque<(Duration, Note)>,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut chance = Chance(seed);
        let terms = some_terms(&mut chance);
        let slots = slots_for(terms.workers);
        let mut world = Self {
            supervisor: Supervisor::new(terms, slots, None),
            chance,
            seed,
            now: Duration::from_secs(1000),
            processes: BTreeMap::new(),
            codes: BTreeMap::new(),
            terms: BTreeMap::from([(0, terms)]),
            next_pid: 100,
            generation: 0,
            is_calm: false,
            stop_by: None,
            ended: None,
            served: Vec::new(),
            history: VecDeque::new(),
        };
        let code = world.some_code();
        world.codes.insert(0, code);
        world
    }

    fn some_code(&mut self) -> Code {
        let boots = match self.chance.below(10) {
            0 => Boots::Never(3),
            1 => Boots::Never(4),
            2 => Boots::Never(1),
            3 => Boots::Hangs,
            4 => Boots::Sometimes,
            _ => Boots::Well,
        };
        Code {
            boots,
            crashes: self.chance.one_in(3),
        }
    }

    fn fail(&self, promise: &str) -> ! {
        let line = |(at, note): &(Duration, Note)| format!("{:>10.3} {note:?}", at.as_secs_f64());
        let history: Vec<_> = self.history.iter().map(line).collect();
        panic!(
            "seed {}: {promise}\n{}\n{:#?}",
            self.seed,
            history.join("\n"),
            self.supervisor
        );
    }

    fn check(&self, holds: bool, promise: &str) {
        if !holds {
            self.fail(promise);
        }
    }

    fn note(&mut self, note: Note) {
        const REMEMBERED: usize = 60;
        if self.history.len() == REMEMBERED {
            self.history.pop_front();
        }
        self.history.push_back((self.now, note));
    }

    fn feed(&mut self, event: Event) {
        if !matches!(event, Event::Tick | Event::Observed(_)) {
            self.note(Note::Happened(event.clone()));
        }
        let mut queue = VecDeque::from(self.supervisor.handle(event, self.now));
        while let Some(action) = queue.pop_front() {
            if self.ended.is_some() && !matches!(action, Action::Log(..)) {
                self.fail("nothing is done after the end");
            }
            if let Some(answer) = self.perform(action) {
                queue.extend(self.supervisor.handle(answer, self.now));
            }
        }
        self.check_state();
    }

    fn perform(&mut self, action: Action) -> Option<Event> {
        if !matches!(action, Action::Log(Level::Debug | Level::Info, _)) {
            self.note(Note::Done(action.clone()));
        }
        match action {
            Action::Spawn {
                age,
                slot,
                generation,
            } => return Some(self.spawn(age, slot, generation)),
            Action::Kill { pid, signal } => self.deliver(pid, signal),
            Action::Load => return Some(self.load()),
            Action::Forget { generation } => {
                let used = self
                    .processes
                    .values()
                    .any(|process| process.generation == generation);
                self.check(
                    !used,
                    "a generation is forgotten only when its workers are gone",
                );
                let was_known = self.terms.remove(&generation).is_some();
                let is_current = generation == self.supervisor.generation();
                self.check(
                    was_known && !is_current,
                    "a generation is forgotten once, and never the current one",
                );
            }
            Action::Abandon { generation } => {
                self.check(
                    !self.served.contains(&generation),
                    "a generation that served is not given up",
                );
            }
            Action::Upgrade => return Some(Event::UpgradeFailed("not here".to_owned())),
            Action::Exit { code } => self.ended = Some(code),
            Action::Release { slot } => {
                let taken = self.processes.values().any(|process| process.slot == slot);
                self.check(!taken, "a slot is released only when its worker is gone");
            }
            Action::Log(..)
            | Action::Tell(_)
            | Action::Adopt { .. }
            | Action::ReopenLogs
            | Action::Withdraw
            | Action::Promote => {}
        }
        None
    }

    fn spawn(&mut self, age: u64, slot: usize, generation: u64) -> Event {
        self.check(
            self.stop_by.is_none(),
            "nobody is forked while the server stops",
        );
        self.check(
            self.terms.contains_key(&generation),
            "only a generation that is known is forked",
        );
        let free = self
            .processes
            .values()
            .all(|process| process.slot != slot && process.age != age);
        self.check(free, "every worker has a slot and an age of its own");
        // A fork that was decided before its generation was given up still happens.
        if self.is_one_by_one() && generation == self.supervisor.generation() {
            let target = usize::try_from(self.supervisor.target()).expect("small");
            self.check(
                self.processes.len() < target,
                "one by one, a worker is forked only when the one before it is gone",
            );
        }
        if !self.is_calm && self.chance.one_in(40) {
            return Event::SpawnFailed {
                age,
                reason: "fork".to_owned(),
            };
        }
        self.next_pid += 1;
        let pid = self.next_pid;
        let code = self.codes[&generation];
        let process = self.born(age, slot, generation, code);
        self.processes.insert(pid, process);
        Event::Spawned { age, pid }
    }

    fn born(&mut self, age: u64, slot: usize, generation: u64, code: Code) -> Process {
        let boots_at = Some(self.now + self.chance.millis(3000));
        let early = self.now + self.chance.millis(1000);
        let (boots_at, dies_at) = match code.boots {
            Boots::Never(exit) => (None, Some((early, End::Exited(exit)))),
            Boots::Hangs => (None, None),
            Boots::Sometimes if self.chance.one_in(2) => (None, Some((early, End::Exited(1)))),
            Boots::Well | Boots::Sometimes if code.crashes && !self.is_calm => {
                let end = self.some_end();
                (boots_at, Some((self.now + self.chance.millis(30_000), end)))
            }
            Boots::Well | Boots::Sometimes => (boots_at, None),
        };
        Process {
            age,
            slot,
            generation,
            state: State::Booting,
            busy_since: Some(self.now),
            boots_at,
            dies_at,
            is_deaf: !self.is_calm && self.chance.one_in(6),
            told_to_go: false,
        }
    }

    fn some_end(&mut self) -> End {
        match self.chance.below(4) {
            0 => End::Exited(3),
            1 => End::Exited(0),
            2 => End::Signalled {
                signal: Signal::KILL,
                core: false,
            },
            _ => End::Signalled {
                signal: Signal::SEGV,
                core: true,
            },
        }
    }

    fn deliver(&mut self, pid: i32, signal: Signal) {
        self.check(
            self.processes.contains_key(&pid),
            "no signal goes to a process that is not ours",
        );
        let delay = self.chance.millis(2000);
        let (now, stopping) = (self.now, self.stop_by.is_some());
        let target = self.supervisor.target();
        let others_serve = self.processes.iter().any(|(other, process)| {
            *other != pid
                && process.generation == self.supervisor.generation()
                && is_serving(process)
        });
        let Some(process) = self.processes.get_mut(&pid) else {
            return;
        };
        let end = match signal {
            Signal::KILL => Some((
                now,
                End::Signalled {
                    signal,
                    core: false,
                },
            )),
            Signal::USR1 => None,
            _ if process.is_deaf => None,
            Signal::ABRT => Some((now + delay / 4, End::Exited(1))),
            _ => Some((now + delay, End::Exited(0))),
        };
        let was_serving = is_serving(process) && !process.told_to_go;
        process.told_to_go |= signal != Signal::USR1;
        if let Some(end) = end {
            process.dies_at = Some(end);
        }
        if signal == Signal::TERM && was_serving && !stopping && target > 0 && !self.is_one_by_one()
        {
            self.check(
                others_serve,
                "a worker that serves is told to go only when another one serves",
            );
        }
    }

    fn is_one_by_one(&self) -> bool {
        self.supervisor.current.terms.replacement == WorkerReplacement::OneByOne
    }

    fn load(&mut self) -> Event {
        if self.chance.one_in(4) {
            return Event::ReloadFailed("a broken configuration".to_owned());
        }
        self.generation += 1;
        let terms = some_terms(&mut self.chance);
        let code = self.some_code();
        self.codes.insert(self.generation, code);
        self.terms.insert(self.generation, terms);
        self.note(Note::Loaded(self.generation, code, terms));
        Event::Reloaded {
            generation: self.generation,
            terms,
        }
    }

    /// What holds after every step.
    fn check_state(&self) {
        let ours: Vec<_> = self.supervisor.seats().map(|(pid, _)| pid).collect();
        self.check(
            ours.len() == self.processes.len()
                && ours.iter().all(|pid| self.processes.contains_key(pid)),
            "the supervisor knows every worker and no other",
        );
        let leaving_for_recycling = self.supervisor.fleet.count(|worker| {
            worker.sent.is_some_and(|sent| sent.why == Why::Recycled)
                && worker.generation == self.supervisor.generation()
        });
        self.check(
            leaving_for_recycling <= 1,
            "at most one worker is being recycled",
        );
        if let Some(deadline) = self.supervisor.deadline() {
            self.check(
                deadline > self.now,
                "a deadline lies ahead, or the driver would spin",
            );
        }
        if let (Some(stop_by), None) = (self.stop_by, self.ended) {
            self.check(
                self.now <= stop_by,
                "a stop ends within the graceful timeout",
            );
        }
        if let Some(code) = self.ended {
            self.check(self.processes.is_empty(), "the end waits for the workers");
            let failed = matches!(code, 3 | 4);
            self.check(
                !failed || self.served.is_empty(),
                "a server that has served does not end because of a worker",
            );
        }
    }

    /// What the driver does whenever it wakes: slots, then deaths, then the clock.
    fn wake(&mut self) {
        let observed = |(pid, process): (&i32, &Process)| Observation {
            pid: *pid,
            state: process.state,
            busy_since: process.busy_since,
        };
        self.feed(Event::Observed(
            self.processes.iter().map(observed).collect(),
        ));
        let dead = |process: &Process| process.dies_at.filter(|(at, _)| *at <= self.now);
        let deaths: Vec<_> = self
            .processes
            .iter()
            .filter_map(|(pid, process)| Some((*pid, dead(process)?.1)))
            .collect();
        for (pid, end) in deaths {
            self.processes.remove(&pid);
            self.feed(Event::Died {
                pid,
                end,
                out_of_memory: Some(false),
            });
        }
        if self.ended.is_none() {
            self.feed(Event::Tick);
        }
    }

    /// Goes on to the next moment at which something happens by itself, at most by `most`.
    fn pass(&mut self, most: Duration) {
        let limit = self.now + most;
        let fates = self.processes.values().flat_map(|process| {
            let boots = process
                .boots_at
                .filter(|_| process.state == State::Booting && !process.told_to_go);
            [boots, process.dies_at.map(|(at, _)| at)]
        });
        let next = fates.flatten().chain(self.supervisor.deadline()).min();
        self.now = next.unwrap_or(limit).min(limit).max(self.now);
        let now = self.now;
        let mut newly_served = Vec::new();
        for process in self.processes.values_mut() {
            // Who is told to go while it boots goes.
            let is_dead = process.told_to_go || process.dies_at.is_some_and(|(at, _)| at < now);
            if process.state == State::Booting
                && !is_dead
                && process.boots_at.is_some_and(|at| at <= now)
            {
                process.state = State::Ready;
                process.busy_since = None;
                newly_served.push(process.generation);
            }
        }
        self.served.extend(newly_served);
        self.wake();
    }

    /// Something that only chance or an operator does.
    fn mischief(&mut self) {
        let pick = usize::try_from(self.chance.below(1 << 20)).expect("small");
        let pid = self
            .processes
            .keys()
            .nth(pick % self.processes.len().max(1))
            .copied();
        let what = self.chance.below(20);
        let end = self.some_end();
        let now = self.now;
        if let Some(process) = pid.and_then(|pid| self.processes.get_mut(&pid)) {
            match what {
                0 => process.dies_at = Some((now, end)),
                1 | 2 if is_serving(process) => process.busy_since = Some(now),
                3 | 4 if is_serving(process) => process.busy_since = None,
                5 | 6 if process.state == State::Ready => process.state = State::Recycling,
                7 if is_serving(process) && !process.told_to_go => {
                    process.state = State::Stopping;
                    process.dies_at = Some((now + Duration::from_secs(1), End::Exited(0)));
                }
                _ => {}
            }
        }
        match what {
            8 | 9 => self.signal(Signal::HUP),
            10 => self.signal(Signal::TTIN),
            11 => self.signal(Signal::TTOU),
            12 => self.signal(Signal::USR1),
            13 if self.chance.one_in(4) => self.signal(Signal::WINCH),
            14 => self.signal(Signal::USR2),
            15 => self.feed(Event::Died {
                pid: 1,
                end,
                out_of_memory: None,
            }),
            16 if self.chance.one_in(10) => self.begin_stop(),
            _ => {}
        }
    }

    fn signal(&mut self, signal: Signal) {
        self.feed(Event::Signal(Received {
            signal,
            sender: Some(MASTER),
        }));
    }

    fn begin_stop(&mut self) {
        let signal = [Signal::TERM, Signal::INT, Signal::QUIT];
        let index = usize::try_from(self.chance.below(3)).expect("small");
        // Set before, because the first thing that a stop does is checked against it.
        self.stop_by
            .get_or_insert(self.now + GRACEFUL + care::GONE_AFTER_KILL);
        self.signal(signal[index]);
    }

    /// A life: a start, turmoil, calm, and a stop.
    fn live(&mut self) {
        self.feed(Event::Start);
        for _ in 0..STEPS {
            if self.ended.is_some() {
                return;
            }
            let span = self.chance.millis(2500);
            self.pass(span);
            if self.ended.is_none() {
                self.mischief();
            }
            self.stop_by = self.stop_by.or_else(|| self.halts());
        }
        self.calm_down();
        if self.ended.is_none() && self.stop_by.is_none() {
            self.check_converged();
            self.begin_stop();
        }
        for _ in 0..200 {
            if self.ended.is_none() {
                self.pass(Duration::from_secs(1));
            }
        }
        self.check(self.ended.is_some(), "a stop ends");
    }

    /// A server may stop by itself: because its first generation does not boot.
    fn halts(&self) -> Option<Duration> {
        match self.supervisor.stage {
            Stage::Stopping { kill_at, .. } => {
                self.check(
                    self.served.is_empty(),
                    "a server that has served does not stop by itself",
                );
                Some(kill_at + care::GONE_AFTER_KILL)
            }
            _ => None,
        }
    }

    /// From here on every fork boots, without interference.
    fn calm_down(&mut self) {
        self.is_calm = true;
        let now = self.now;
        for code in self.codes.values_mut() {
            *code = Code {
                boots: Boots::Well,
                crashes: false,
            };
        }
        for process in self.processes.values_mut() {
            process.busy_since = process
                .busy_since
                .filter(|_| process.state == State::Booting);
            process.state = if process.state == State::Recycling {
                State::Ready
            } else {
                process.state
            };
            if process.state == State::Booting
                && process.boots_at.is_none()
                && process.dies_at.is_none()
            {
                process.dies_at = Some((now, End::Exited(1)));
            }
        }
        // The longest pause, a boot, a timeout, a graceful timeout: several times over.
        let until = now + Duration::from_secs(120);
        while self.ended.is_none() && self.now < until {
            self.pass(Duration::from_secs(10));
            self.stop_by = self.stop_by.or_else(|| self.halts());
        }
    }

    fn check_converged(&self) {
        let target = usize::try_from(self.supervisor.target()).expect("small");
        let serving = self
            .processes
            .values()
            .filter(|process| is_serving(process))
            .count();
        let all = self.processes.len();
        self.check(
            serving == target && all == target,
            "left alone, as many workers serve as shall",
        );
        let current = self.supervisor.generation();
        let all_current = self
            .processes
            .values()
            .all(|process| process.generation == current);
        self.check(
            all_current,
            "left alone, only the current generation is there",
        );
    }
}

fn is_serving(process: &Process) -> bool {
    matches!(process.state, State::Ready | State::Recycling)
}

fn some_terms(chance: &mut Chance) -> Terms {
    Terms {
        workers: u32::try_from(1 + chance.below(6)).expect("small"),
        timeout: if chance.one_in(5) {
            Duration::ZERO
        } else {
            TIMEOUT
        },
        boot_timeout: Duration::ZERO,
        drain_delay: Duration::ZERO,
        graceful_timeout: GRACEFUL,
        daemon: chance.one_in(2),
        reload: chance.one_in(4),
        replacement: match chance.one_in(3) {
            true => WorkerReplacement::OneByOne,
            false => WorkerReplacement::Overlap,
        },
    }
}

#[test]
fn the_promises_hold_whatever_happens() {
    let seeds = std::env::var("OXICORN_SEEDS")
        .ok()
        .and_then(|seeds| seeds.parse().ok())
        .unwrap_or(SEEDS);
    let (mut served, mut halted) = (0, 0);
    for seed in 0..seeds {
        let mut world = World::new(seed);
        world.live();
        served += u64::from(!world.served.is_empty());
        halted += u64::from(world.ended.is_some_and(|code| code != 0));
    }
    // A simulation that shows nothing would be quiet too.
    assert!(served > seeds / 2, "only {served} of {seeds} lives served");
    assert!(
        halted > seeds / 50,
        "only {halted} of {seeds} lives failed to boot"
    );
}
