//! Performs what the supervisor decides: the one place of this crate where processes are forked, signalled and reaped.

mod attending;
mod generations;

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::ops::ControlFlow;
use std::os::fd::AsFd;
use std::time::Duration;

use settings::Config;
use sys::clock;
use sys::fdpass::Queue;
use sys::memory::OomWatch;
use sys::pipe::{Notifier, Pipe};
use sys::poll::Interest;
use sys::process::{End, Exit};
use sys::rate_table::RateTable;
use sys::scoreboard::Scoreboard;
use sys::signals::{Signal, SignalPipe};

use crate::EXIT_START;
use crate::failure::Failure;
use crate::generation::Generation;
use crate::host::{Host, Moment, Outcome};
use crate::measure::Measures;
use crate::pidfile::Pidfile;
use crate::service_manager::ServiceManager;
use crate::start::{self, Launcher, Started};
use crate::supervisor::{Action, Event, Level, Observation, Stand, Supervisor, slots_for};

/// The kernel counts a kill before its victim is gone, and may kill several for one shortage: so long after the count
/// grew, SIGKILL is put down to it.
const OOM_WINDOW: Duration = Duration::from_secs(5);

/// How often a master that was started by another looks whether that one is still there. Gunicorn's interval; it
/// matters only during an upgrade.
const PARENT_INTERVAL: Duration = Duration::from_secs(1);

/// Runs a server: binds, forks the workers, looks after them until a signal stops it.
///
/// It returns in several processes, once in each: see [`Outcome`]. The configuration's directory must be the current
/// one, and its environment set.
pub fn run(config: Config, host: &mut dyn Host) -> Outcome {
    let errorlog = config.errorlog.clone();
    let started = match start::start(config, host) {
        Ok(started) => started,
        Err(outcome) => return outcome,
    };
    match Driver::new(started, host) {
        Ok(driver) => driver.drive(),
        Err(error) => {
            let reason = sys::files::sentence(&error);
            Failure::new(format!("the workers cannot be looked after: {reason}")).report(&errorlog);
            Outcome::Exit(EXIT_START)
        }
    }
}

pub(crate) struct Driver<'host> {
    pub(crate) host: &'host mut dyn Host,
    pub(crate) supervisor: Supervisor,
    pub(crate) scoreboard: Scoreboard,
    pub(crate) rates: RateTable,
    /// Closed at the first sign of the end: the workers then keep their clients instead of giving them to each other.
    pub(crate) handover: Queue,
    pub(crate) notifier: Notifier,
    /// The workers read its end when this process is gone.
    pub(crate) lifeline: Pipe,
    /// `None` only in a child, which has no use for them.
    pub(crate) signals: Option<SignalPipe>,
    pidfile: Option<Pidfile>,
    manager: ServiceManager,
    measures: Measures,
    /// Who sent the last signal that ends the server.
    stopped_by: Option<i32>,
    /// By number. The supervisor says when one is not needed any more.
    pub(crate) generations: BTreeMap<u64, Generation>,
    last_generation: u64,
    /// Configurations that were read since workers last came to serve with one.
    unsettled: u32,
    out_of_memory: OomWatch,
    killed_for_memory_at: Option<Duration>,
    pub(crate) pid: i32,
    since: Duration,
    parent: Option<i32>,
    /// Where the server detached: until workers serve, or none will.
    pub(crate) launcher: Option<Launcher>,
}

/// What the current process does next.
pub(crate) type Flow<T = ()> = ControlFlow<Outcome, T>;

impl<'host> Driver<'host> {
    fn new(started: Started, host: &'host mut dyn Host) -> io::Result<Self> {
        let terms = started.generation.terms();
        let slots = slots_for(terms.workers);
        let scoreboard = Scoreboard::with_counters(slots, host.counters())?;
        Ok(Self {
            host,
            since: clock::monotonic(),
            supervisor: Supervisor::new(terms, slots, started.parent),
            scoreboard,
            rates: RateTable::new()?,
            handover: Queue::new()?,
            notifier: Notifier::new()?,
            lifeline: sys::pipe::pipe()?,
            signals: Some(started.signals),
            pidfile: started.pidfile,
            manager: match started.parent {
                // The manager knows only the other master.
                Some(_) => ServiceManager::default(),
                None => service_manager(),
            },
            stopped_by: None,
            measures: Measures::default(),
            generations: BTreeMap::from([(0, started.generation)]),
            last_generation: 0,
            unsettled: 0,
            out_of_memory: OomWatch::start(),
            killed_for_memory_at: None,
            pid: sys::process::pid(),
            parent: started.parent,
            launcher: started.launcher,
        })
    }

    fn drive(mut self) -> Outcome {
        match self.drive_on() {
            ControlFlow::Break(outcome) => outcome,
            ControlFlow::Continue(never) => match never {},
        }
    }

    fn drive_on(&mut self) -> Flow<std::convert::Infallible> {
        // A stop that was asked for during the start comes before the first fork.
        self.take_signals()?;
        self.feed(Event::Start)?;
        loop {
            self.wait();
            self.notifier.drain();
            // Before the workers: a terminal signals all of them too, and one that leaves by itself would be replaced.
            self.take_signals()?;
            // Before the deaths: a worker that served and then died did serve.
            self.observe()?;
            self.reap()?;
            self.look_for_the_parent()?;
            self.feed(Event::Tick)?;
            self.show_life();
            self.measure();
            self.attend()?;
            self.host.upkeep(clock::monotonic());
        }
    }

    fn wait(&mut self) {
        let Some(signals) = &self.signals else { return };
        let now = clock::monotonic();
        let deadline = self
            .supervisor
            .deadline()
            .map(|deadline| deadline.saturating_sub(now));
        let parent = self.supervisor.has_parent().then_some(PARENT_INTERVAL);
        let life = self.manager.deadline().map(|due| due.saturating_sub(now));
        let measure = self.measures.deadline().map(|due| due.saturating_sub(now));
        let upkeep = self.host.upkeep_due();
        let upkeep = upkeep.map(|due| due.saturating_sub(now));
        let (mut interests, asked) = match self.host.admin() {
            Some(admin) => (admin.interests(), admin.deadline()),
            None => (Vec::new(), None),
        };
        let asked = asked.map(|due| due.saturating_sub(now));
        let timeout = [deadline, parent, life, measure, asked, upkeep];
        let timeout = timeout.into_iter().flatten().min();
        interests.extend(
            [signals.as_fd(), self.notifier.as_fd()].map(|source| Interest {
                source,
                readable: true,
                writable: false,
            }),
        );
        if let Err(error) = sys::poll::any(&interests, timeout) {
            log::error!("The arbiter cannot wait: {error}");
            // It must not become a busy loop.
            std::thread::sleep(PARENT_INTERVAL);
        }
    }

    fn observe(&mut self) -> Flow {
        let all = self.supervisor.seats().map(|(pid, index)| {
            let slot = self.scoreboard.slot(index);
            let busy_since = Some(slot.busy_since_ms()).filter(|since| *since != 0);
            Observation {
                pid,
                state: slot.state(),
                busy_since: busy_since.map(Duration::from_millis),
            }
        });
        let all = all.collect();
        self.feed(Event::Observed(all))
    }

    fn take_signals(&mut self) -> Flow {
        let received = self
            .signals
            .as_mut()
            .map(SignalPipe::take)
            .unwrap_or_default();
        received.into_iter().try_for_each(|received| {
            match received.signal {
                Signal::TERM | Signal::INT | Signal::QUIT => self.stopped_by = received.sender,
                // Which worker goes depends on which of them serve by now.
                Signal::TTOU if self.supervisor.seats().next().is_some() => self.observe()?,
                // The other master may have ended just before, and whether there is one decides what the signal means.
                Signal::USR2 => {
                    self.reap()?;
                    self.look_for_the_parent()?;
                }
                _ => {}
            }
            self.feed(Event::Signal(received))
        })
    }

    fn look_for_the_parent(&mut self) -> Flow {
        if self
            .parent
            .is_some_and(|parent| parent != sys::process::parent_pid())
        {
            self.parent = None;
            self.feed(Event::ParentGone)?;
        }
        Flow::Continue(())
    }

    fn reap(&mut self) -> Flow {
        loop {
            match sys::process::reap() {
                Ok(Some(exit)) => self.bury(exit)?,
                Ok(None) => return Flow::Continue(()),
                Err(error) => {
                    log::error!("Ended workers cannot be collected: {error}");
                    return Flow::Continue(());
                }
            }
        }
    }

    fn bury(&mut self, Exit { pid, end }: Exit) -> Flow {
        // It may have come to serve since the last look, and whether it ever did decides what its death means.
        self.observe()?;
        let out_of_memory = match end {
            End::Signalled {
                signal: Signal::KILL,
                ..
            } => self.was_out_of_memory(),
            End::Signalled { .. } | End::Exited(_) => None,
        };
        self.feed(Event::Died {
            pid,
            end,
            out_of_memory,
        })
    }

    /// Whether the kernel has just killed for memory; `None` where that cannot be known.
    fn was_out_of_memory(&mut self) -> Option<bool> {
        let now = clock::monotonic();
        if self.out_of_memory.killed_since()? {
            self.killed_for_memory_at = Some(now);
        }
        Some(
            self.killed_for_memory_at
                .is_some_and(|at| now.saturating_sub(at) < OOM_WINDOW),
        )
    }

    /// Tells the supervisor, and does what it wants, until there is nothing left to do.
    fn feed(&mut self, event: Event) -> Flow {
        let mut queue = VecDeque::from(self.supervisor.handle(event, clock::monotonic()));
        if self.supervisor.is_stopping() {
            self.end_listeners();
            self.handover.close();
        }
        while let Some(action) = queue.pop_front() {
            if let Some(answer) = self.perform(action)? {
                queue.extend(self.supervisor.handle(answer, clock::monotonic()));
            }
        }
        self.tell_manager();
        Flow::Continue(())
    }

    fn perform(&mut self, action: Action) -> Flow<Option<Event>> {
        match action {
            Action::Spawn {
                age,
                slot,
                generation,
            } => return self.spawn(age, slot, generation).map_continue(Some),
            Action::Upgrade => return self.start_upgrade().map_continue(Some),
            Action::Exit { code } => return Flow::Break(self.end(code)),
            Action::Load => {
                self.manager
                    .reloading(self.supervisor.condition(), clock::monotonic());
                return Flow::Continue(Some(self.reload()));
            }
            Action::Kill { pid, signal } => {
                self.note_signal(pid, signal);
                return Flow::Continue(kill(pid, signal));
            }
            Action::Release { slot } => self.scoreboard.slot(slot).clear(),
            Action::Log(level, line) => write_log(level, &line),
            Action::Tell(moment) => self.tell(moment),
            Action::Adopt { generation } => {
                if let Some(launcher) = self.launcher.take() {
                    launcher.tell(0);
                }
                self.adopt(generation);
            }
            Action::Abandon { generation: _ } => self.abandon(),
            Action::Forget { generation } => {
                self.generations.remove(&generation);
            }
            Action::ReopenLogs => self.host.reopen_logs(),
            Action::Promote => self.promote(),
            Action::Withdraw => self.scoreboard.withdraw(),
        }
        Flow::Continue(None)
    }

    fn tell(&mut self, moment: Moment) {
        self.host.staying(&self.supervisor.staying());
        if let Err(error) = self.host.hook(moment) {
            log::error!("{error}");
        }
    }
}

fn kill(pid: i32, signal: Signal) -> Option<Event> {
    match sys::process::kill(pid, signal) {
        Ok(()) => None,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Some(Event::Vanished { pid }),
        Err(error) => {
            log::error!("Worker (pid:{pid}) could not be sent {signal}: {error}");
            None
        }
    }
}

fn write_log(level: Level, line: &str) {
    match level {
        Level::Debug => log::debug!("{line}"),
        Level::Info => log::info!("{line}"),
        Level::Warning => log::warn!("{line}"),
        Level::Error => log::error!("{line}"),
        Level::Critical => log::error!(target: "critical", "{line}"),
    }
}

/// The other master, and the end of this one.
impl Driver<'_> {
    /// Whether another master serves the same listeners.
    pub(crate) fn shares_listeners(&self) -> bool {
        self.supervisor.has_parent() || self.supervisor.upgrade_pid().is_some()
    }

    /// The workers are the last to accept from the listeners, unless another master does. To be said before they learn
    /// of the end.
    fn end_listeners(&self) {
        if self.shares_listeners() {
            return;
        }
        let generations = self.generations.values();
        generations
            .flat_map(|generation| &generation.listeners)
            .for_each(crate::Listener::end);
    }

    /// Tells a worker by the scoreboard too what a signal is about: a process that hangs may not see it.
    fn note_signal(&self, pid: i32, signal: Signal) {
        let slots = (0..self.scoreboard.slots()).map(|index| self.scoreboard.slot(index));
        for slot in slots.filter(|slot| slot.pid() == pid) {
            match signal {
                Signal::ABRT => slot.give_up(),
                Signal::TERM => slot.dismiss(),
                _ => {}
            }
        }
    }

    /// The other master is gone: what was its is now this one's.
    fn promote(&mut self) {
        self.manager = service_manager();
        let Some(generation) = self.current() else {
            return;
        };
        generation
            .listeners
            .iter()
            .for_each(crate::Listener::take_name);
        if let (Some(pidfile), Some(path)) = (&mut self.pidfile, &generation.config.pidfile)
            && let Err(failure) = pidfile.rename(path)
        {
            log::error!("{}", failure.sentence());
        }
    }

    /// The end of the arbiter. What it has made in the file system goes when its owner is dropped.
    fn end(&mut self, code: i32) -> Outcome {
        if self.shares_listeners() {
            let listeners = self
                .generations
                .values()
                .flat_map(|generation| &generation.listeners);
            listeners.for_each(crate::Listener::leave_name);
        }
        // In Gunicorn's order: on_exit finds no pidfile any more.
        self.pidfile = None;
        if let Some(launcher) = self.launcher.take() {
            launcher.tell(code);
        }
        self.tell(Moment::OnExit);
        if let Some(heir) = self.heir() {
            self.manager.hand_over(heir);
        }
        Outcome::Exit(code)
    }
}

/// Metrics.
impl Driver<'_> {
    fn measure(&mut self) {
        if let Some(metric) = self.measures.workers(self.supervisor.seats().count()) {
            self.host.measured(metric);
        }
        let generation = self.generations.get(&self.supervisor.generation());
        let wanted = generation.filter(|generation| generation.config.enable_backlog_metric);
        let listeners = wanted.map(|generation| generation.listeners.as_slice());
        if let Some(metric) = self.measures.backlog(listeners, clock::monotonic()) {
            self.host.measured(metric);
        }
    }
}

/// The service manager.
impl Driver<'_> {
    fn tell_manager(&mut self) {
        let condition = self.supervisor.condition();
        // Where another master goes on, the service does not stop.
        if condition.stand != Stand::Stopping || self.heir().is_none() {
            self.manager.update(condition, clock::monotonic());
        }
    }

    fn show_life(&mut self) {
        let is_well = self.supervisor.is_well();
        self.manager.show_life(is_well, clock::monotonic());
    }

    /// The master that the service goes on as. A manager that has stopped this one itself means the service, and would
    /// wait for the other in vain.
    fn heir(&self) -> Option<i32> {
        let by_manager = self.stopped_by == Some(sys::process::parent_pid());
        self.supervisor.upgrade_pid().filter(|_| !by_manager)
    }
}

fn service_manager() -> ServiceManager {
    ServiceManager::find(|name| std::env::var_os(name), sys::process::pid())
}
