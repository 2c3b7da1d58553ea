//! The generations of the configuration: what a reload makes, and what becomes of it.

use std::path::PathBuf;

use settings::Config;

use super::Driver;
use crate::failure::Failure;
use crate::generation::Generation;
use crate::host::Moment;
use crate::listeners;
use crate::owner;
use crate::pidfile::Pidfile;
use crate::supervisor::Event;

impl Driver<'_> {
    /// The one that new workers belong to.
    pub(crate) fn current(&self) -> Option<Generation> {
        self.generations.get(&self.supervisor.generation()).cloned()
    }

    pub(super) fn reload(&mut self) -> Event {
        match self.load() {
            Ok(generation) => {
                self.last_generation += 1;
                let terms = generation.terms();
                self.generations.insert(self.last_generation, generation);
                Event::Reloaded {
                    generation: self.last_generation,
                    terms,
                }
            }
            Err(failure) => Event::ReloadFailed(failure.sentence().to_owned()),
        }
    }

    fn load(&mut self) -> Result<Generation, Failure> {
        let config = self.host.load_config().map_err(Failure::new)?;
        let generation = self.prepare(config);
        match generation {
            Ok(_) => self.unsettled += 1,
            Err(_) => {
                self.host.abandon_config();
                self.show_listeners();
            }
        }
        generation
    }

    fn prepare(&mut self, config: Config) -> Result<Generation, Failure> {
        let before = self.current();
        let existing = before
            .as_ref()
            .map(|before| before.listeners.as_slice())
            .unwrap_or_default();
        let listeners = listeners::reopen(&config, existing)?;
        self.host.listening(&listeners);
        let generation = Generation::new(config, listeners);
        self.preload(&generation.config)?;
        self.host.reopen_logs();
        let (old, new) = (self.supervisor.target(), generation.config.workers);
        // Also where it stays the same: Gunicorn sets the number anew, and conf files count on the call.
        self.tell(Moment::NworkersChanged {
            new,
            old: Some(old),
        });
        self.host.hook(Moment::OnReload).map_err(Failure::new)?;
        if before.is_some_and(|before| before.addresses() != generation.addresses()) {
            log::info!("Listening at: {}", generation.addresses());
        }
        Ok(generation)
    }

    /// The current generation is given up, and with it every configuration that was read since one served.
    pub(super) fn abandon(&mut self) {
        for _ in 0..std::mem::take(&mut self.unsettled) {
            self.host.abandon_config();
        }
        self.show_listeners();
    }

    /// Shows the listeners of what is in force again.
    fn show_listeners(&mut self) {
        if let Some(current) = self.current() {
            self.host.listening(&current.listeners);
        }
    }

    /// An application that the arbiter has imported stays as it is: Python cannot import it a second time. Turning
    /// `preload_app` on imports it now.
    fn preload(&mut self, config: &Config) -> Result<(), Failure> {
        let was_preloaded = self
            .generations
            .values()
            .any(|known| known.config.preload_app);
        match (config.preload_app, was_preloaded) {
            (true, true) => {
                log::warn!(
                    "preload_app: the application is not imported again by a reload; USR2 does that"
                );
            }
            (true, false) => self.host.preload().map_err(|boot| match boot {
                crate::Boot::Raised(reason) | crate::Boot::NotFound(reason) => Failure::new(reason),
            })?,
            (false, _) => {}
        }
        Ok(())
    }

    /// What the configuration in force does not name any more ends with the workers that still serve it.
    fn end_listeners_beside(&self, current: &Generation) {
        if self.shares_listeners() {
            return;
        }
        let all = self.generations.values();
        all.flat_map(|generation| &generation.listeners)
            .filter(|listener| !current.listeners.iter().any(|kept| kept.is(listener)))
            .for_each(crate::Listener::end);
    }

    /// The server as a whole follows the configuration of a generation that serves.
    pub(super) fn adopt(&mut self, number: u64) {
        let Some(generation) = self.generations.get(&number) else {
            return;
        };
        self.unsettled = 0;
        self.host.settle_config();
        // A master that is to replace another keeps its second name until then.
        if self.parent.is_some() {
            return;
        }
        self.end_listeners_beside(generation);
        let wanted = generation
            .config
            .pidfile
            .as_deref()
            .map(std::path::absolute)
            .and_then(Result::ok);
        if self.pidfile.as_ref().map(Pidfile::path) == wanted.as_deref() {
            return;
        }
        let made = owner::with_fewer_rights(&generation.config).and_then(|rights| {
            let create = |path: PathBuf| Pidfile::create(&path, rights);
            wanted.map(create).transpose()
        });
        match made {
            Ok(pidfile) => self.pidfile = pidfile,
            Err(failure) => log::error!("{}", failure.sentence()),
        }
    }
}
