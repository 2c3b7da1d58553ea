//! `--reload`: a thread of the worker that watches the files behind the application and has the worker leave when one
//! has changed. It lives in the worker because the arbiter never starts a thread, and touches Python only to call a
//! hook.

mod engine;
mod watched;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use pyo3::prelude::*;
use pyo3::types::{PyCFunction, PyDict, PyTuple};
use server::{Shutdown, or_abort};
use settings::Config;
use sys::scoreboard::{Scoreboard, Slot, State};
use sys::signals::Signal;

use crate::lock::{Lock, Plain};
use crate::signals::{self, Addressee};

use engine::{Engine, Hint, Waiter};
pub(crate) use watched::{Stamp, stamp};

use watched::Watched;

/// Editors save in several steps, and tools many files at once: so long nothing may happen before a change is a change.
const QUIET: Duration = Duration::from_millis(50);
/// The longest wait for quiet. A developer who waits for new code gets some.
const UNREST: Duration = Duration::from_millis(500);
/// How long a worker that was told to leave may still be there.
const LEAVING: Duration = Duration::from_millis(200);

/// What the reloader needs to know of its worker.
pub(crate) struct WorkerPlace {
    pub(crate) addressee: Arc<Addressee>,
    pub(crate) board: Scoreboard,
    pub(crate) slot: Slot,
    /// The arbiter.
    pub(crate) ppid: i32,
    /// The file that only the arbiter reads, and how it was when the arbiter last did.
    pub(crate) conf_file: Option<(PathBuf, Stamp)>,
}

/// Watches files from before the application is imported: what is saved meanwhile counts as a change.
pub(crate) struct Reloader {
    files: Arc<Files>,
    waiter: Waiter,
    place: WorkerPlace,
    /// Python's end: tells which files the importer reads.
    note: Py<PyAny>,
}

/// What is watched, and how. Importing threads add to it.
struct Files {
    watched: Lock<Watched>,
    engine: Lock<Engine>,
}

impl Plain for Watched {}
impl Plain for Engine {}

impl Files {
    /// Watches one file more. The engine comes first, so that no change falls between its beginning and the look at the
    /// file.
    fn note(&self, path: &Path) {
        for path in names(path) {
            if let Some(directory) = path.parent() {
                self.engine.with(|engine| engine.watch_directory(directory));
            }
            self.watched.with(|watched| watched.note(path));
        }
    }

    /// Watches a file that was read earlier, when it was so.
    fn note_as(&self, path: &Path, before: Stamp) {
        self.note(path);
        let stamps = names(path).map(|path| (path, before)).collect();
        self.watched.with(|watched| watched.accept(stamps));
    }
}

/// The file by its name and, behind a link, by that of its target: who edits that changes nothing in the directory of
/// the link.
fn names(path: &Path) -> impl Iterator<Item = PathBuf> {
    let path = std::path::absolute(path).ok();
    let target = path.as_ref().and_then(|path| path.canonicalize().ok());
    target
        .filter(|target| Some(target) != path.as_ref())
        .into_iter()
        .chain(path)
}

impl Reloader {
    /// Begins to watch the files of all modules that there are, and of those that will be imported.
    ///
    /// # Errors
    ///
    /// Python's importer is not as it should be.
    pub(crate) fn begin(py: Python<'_>, config: &Config, place: WorkerPlace) -> PyResult<Reloader> {
        let (engine, waiter) = Engine::open(config.reload_engine);
        let files = Arc::new(Files {
            watched: Lock::default(),
            engine: Lock::new(engine),
        });
        for entry in &config.reload_extra_files {
            match watched::pattern(entry) {
                Some(pattern) => {
                    files.engine.with(|engine| engine.watch_pattern(&pattern));
                    files.watched.with(|watched| watched.add_pattern(pattern));
                }
                None => files.note(Path::new(entry)),
            }
        }
        if let Some((conf_file, read)) = &place.conf_file {
            files.note_as(conf_file, *read);
        }
        let note = note_function(py, Arc::clone(&files))?;
        py.import("oxicorn.reloader")?
            .call_method1("watch_imports", (&note,))?;
        Ok(Reloader {
            files,
            waiter,
            place,
            note,
        })
    }

    /// The application has been imported, or could not be: from here on a change has the worker leave.
    ///
    /// # Errors
    ///
    /// The system has no thread left.
    pub(crate) fn start(self, py: Python<'_>) -> PyResult<()> {
        py.import("oxicorn.reloader")?
            .call_method1("note_modules", (&self.note,))?;
        // Signals are the main thread's.
        let _blocked = sys::signals::block_all_but_faults();
        thread::Builder::new()
            .name("oxicorn-reload".to_owned())
            .spawn(move || or_abort(|| self.run()))?;
        Ok(())
    }

    fn run(mut self) {
        // The conf file may have changed before anybody watched it.
        let mut changed = self.files.watched.with(|watched| watched.look());
        loop {
            if let Some(path) = changed {
                self.wait_for_quiet();
                if !self.is_conf_file(&path) {
                    return self.leave(&path);
                }
                self.reload_settings(&path);
            }
            let hint = self.waiter.wait();
            changed = self.changed(&hint);
        }
    }

    fn changed(&self, hint: &Hint) -> Option<PathBuf> {
        if matches!(hint, Hint::Anything) {
            // A new directory is about to be watched.
            thread::sleep(QUIET);
        }
        self.files.watched.with(|watched| match hint {
            Hint::Paths(paths) => paths.iter().find(|path| watched.has_changed(path)).cloned(),
            Hint::Anything => watched.look(),
        })
    }

    fn wait_for_quiet(&self) {
        let begun = Instant::now();
        let mut before = self.files.watched.with(|watched| watched.stamps());
        while begun.elapsed() < UNREST {
            thread::sleep(QUIET);
            let now = self.files.watched.with(|watched| watched.stamps());
            if now == before {
                break;
            }
            before = now;
        }
        self.files.watched.with(|watched| watched.accept(before));
    }

    /// This worker makes room for one with the new code.
    fn leave(&self, changed: &Path) {
        let Addressee { server, hooks, .. } = &*self.place.addressee;
        log::info!("Worker reloading: {} modified", shown(changed));
        if hooks.get("worker_int").is_some() {
            Python::attach(|py| signals::call_hook(py, &self.place.addressee, "worker_int"));
        }
        server.shut_down(Shutdown::Graceful);
    }

    fn is_conf_file(&self, changed: &Path) -> bool {
        let conf_file = self.place.conf_file.as_ref();
        conf_file.is_some_and(|(path, _)| names(path).any(|name| name == changed))
    }

    /// What the conf file says is the arbiter's to read. One of its workers asks for that.
    fn reload_settings(&self, changed: &Path) {
        if !self.is_eldest() {
            // The elder may have been told to leave, and be gone before it asks. If it has asked, there are younger
            // workers.
            let youngest = self.ages().max();
            thread::sleep(LEAVING);
            if !self.is_eldest() || self.ages().max() != youngest {
                return;
            }
        }
        log::info!("Settings reloading: {} modified", shown(changed));
        if let Err(error) = sys::process::kill(self.place.ppid, Signal::HUP) {
            log::error!(
                "The arbiter (pid:{}) cannot be told: {error}",
                self.place.ppid
            );
        }
    }

    fn is_eldest(&self) -> bool {
        let age = self.place.slot.age();
        !self.ages().any(|other| other < age)
    }

    /// Of the workers that are to stay.
    fn ages(&self) -> impl Iterator<Item = u64> {
        let board = &self.place.board;
        (0..board.slots())
            .map(|index| board.slot(index))
            .filter(|slot| !matches!(slot.state(), State::Empty | State::Stopping))
            .map(|slot| slot.age())
    }
}

/// The name relative to the current directory, as its developer knows it.
fn shown(path: &Path) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(here)
        .unwrap_or(path)
        .display()
        .to_string()
}

fn note_function(py: Python<'_>, files: Arc<Files>) -> PyResult<Py<PyAny>> {
    let worker = std::process::id();
    let note =
        move |arguments: &Bound<'_, PyTuple>, _: Option<&Bound<'_, PyDict>>| -> PyResult<()> {
            // A process that the application has forked imports too, and there the watcher has no thread.
            if std::process::id() == worker
                && let Ok(path) = arguments.get_item(0)?.extract::<PathBuf>()
            {
                files.note(&path);
            }
            Ok(())
        };
    Ok(PyCFunction::new_closure(py, None, None, note)?
        .into_any()
        .unbind())
}
