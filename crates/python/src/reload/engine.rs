//! How changes are noticed: by the kernel (inotify), or by a look once a second.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use notify::event::CreateKind;
use notify::{ErrorKind, Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use settings::ReloadEngine;

use super::watched::Pattern;

/// How often all files are looked at where the kernel does not tell: quick enough for a person, cheap enough for
/// thousands of files.
const INTERVAL: Duration = Duration::from_secs(1);

/// Where a change may be.
#[derive(Debug)]
pub(super) enum Hint {
    /// In one of these.
    Paths(Vec<PathBuf>),
    /// Anywhere.
    Anything,
}

/// What files are announced to.
pub(super) struct Engine {
    /// `None` where the kernel does not tell.
    watcher: Option<RecommendedWatcher>,
    directories: HashSet<PathBuf>,
    polls: Arc<AtomicBool>,
    hints: Sender<Hint>,
}

/// What changes are waited for at.
pub(super) struct Waiter {
    polls: Arc<AtomicBool>,
    hints: Receiver<Hint>,
}

impl Engine {
    /// The engine that the setting asks for, or polling where the kernel cannot tell.
    pub(super) fn open(wanted: ReloadEngine) -> (Engine, Waiter) {
        let (sender, receiver) = channel();
        let polls = Arc::new(AtomicBool::new(wanted == ReloadEngine::Poll));
        let mut engine = Engine {
            watcher: None,
            directories: HashSet::new(),
            polls: Arc::clone(&polls),
            hints: sender.clone(),
        };
        if wanted != ReloadEngine::Poll {
            let tell = move |event: notify::Result<Event>| {
                // The receiver is gone when the worker is about to leave.
                let _ = sender.send(hint(event));
            };
            match notify::recommended_watcher(tell) {
                Ok(watcher) => engine.watcher = Some(watcher),
                Err(error) => engine.fall_back(&error),
            }
        }
        (
            engine,
            Waiter {
                polls,
                hints: receiver,
            },
        )
    }

    /// Watches the files in a directory, and not the files themselves: editors put a new file in the place of the old
    /// one.
    pub(super) fn watch_directory(&mut self, directory: &Path) {
        self.watch(directory, RecursiveMode::NonRecursive);
    }

    pub(super) fn watch_pattern(&mut self, pattern: &Pattern) {
        let mode = match pattern.is_deep {
            true => RecursiveMode::Recursive,
            false => RecursiveMode::NonRecursive,
        };
        // Before single directories, of which some may be below this one.
        self.watch(&pattern.base, mode);
    }

    fn watch(&mut self, directory: &Path, mode: RecursiveMode) {
        let Some(watcher) = &mut self.watcher else {
            return;
        };
        if !self.directories.insert(directory.to_owned()) {
            return;
        }
        match watcher.watch(directory, mode) {
            Ok(()) => {}
            // Modules from archives name directories that are none.
            Err(error) if !directory.is_dir() => log::debug!("{}: {error}", directory.display()),
            Err(error) => self.fall_back(&error),
        }
    }

    fn fall_back(&mut self, error: &notify::Error) {
        let hint = match error.kind {
            ErrorKind::MaxFilesWatch => "; fs.inotify.max_user_watches is too small",
            _ => "",
        };
        log::warn!(
            "reload: the kernel cannot watch the files ({error}{hint}); they are looked at once a second"
        );
        self.watcher = None;
        self.polls.store(true, Ordering::Relaxed);
        // A wait without an end has to begin anew.
        let _ = self.hints.send(Hint::Anything);
    }
}

impl Waiter {
    /// Waits until something may have changed.
    pub(super) fn wait(&mut self) -> Hint {
        let told = match self.polls.load(Ordering::Relaxed) {
            true => self.hints.recv_timeout(INTERVAL),
            false => self
                .hints
                .recv()
                .map_err(|_| RecvTimeoutError::Disconnected),
        };
        match told {
            Ok(hint) => hint,
            Err(RecvTimeoutError::Timeout) => Hint::Anything,
            Err(RecvTimeoutError::Disconnected) => {
                // The engine lives as long as this thread; were it not so, looking would still be right.
                std::thread::sleep(INTERVAL);
                Hint::Anything
            }
        }
    }
}

fn hint(event: notify::Result<Event>) -> Hint {
    match event {
        // The kernel does not report what was put into a new directory before it was watched.
        Ok(event) if event.need_rescan() || event.kind == EventKind::Create(CreateKind::Folder) => {
            Hint::Anything
        }
        Ok(event) => Hint::Paths(event.paths),
        Err(_) => Hint::Anything,
    }
}
