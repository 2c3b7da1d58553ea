//! Requests that files answer: which directory a path belongs to and which file of it is meant. The reactor asks before
//! a request goes to the application, so a worker all of whose threads are busy serves files too. It lists no
//! directory.

mod answer;
mod named;
mod store;

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, RwLock};
use proto::resource::{
    self, Acceptable, CacheRule, Coding, MediaType, decode_path, is_hashed, is_servable,
};
use proto::{Request, TargetForm};
use settings::{Config, Mount, StaticMissing, StaticSymlinks};
use sys::beneath::{Directory, Kind, Links};

pub(crate) use answer::Answer;
use answer::{Found, Framed};
use named::Download;
pub(crate) use named::Named;
use store::{FileStore, Key, Stored};

/// What a directory is answered with.
const INDEX: &[u8] = b"index.html";
/// How often it is looked whether a directory of the site is still the one that its path names: one that a deployment
/// exchanges is served from then on.
const RECHECK: Duration = Duration::from_secs(1);
/// What clients may keep for ever: the longest time that RFC 9111 speaks of, a year.
const IMMUTABLE: &str = "public, max-age=31536000, immutable";
/// Pages name the files that belong to them, so an old one would ask for files that are gone.
const REVALIDATED: &str = "no-cache";

/// The files of a server.
#[derive(Debug)]
pub(crate) struct Site {
    /// There is a directory to look into.
    is_on: AtomicBool,
    /// Longest prefixes first.
    mounts: RwLock<Vec<Arc<Mounted>>>,
    /// Directories whose files the application may name. Longest prefixes first.
    downloads: Vec<Download>,
    policy: Policy,
    store: Mutex<FileStore>,
    /// Numbers the bodies of several parts.
    bodies: AtomicU64,
}

/// What holds for all directories.
#[derive(Debug)]
struct Policy {
    missing: StaticMissing,
    links: Links,
    max_age: u32,
    rules: Vec<CacheRule>,
    except: Vec<Vec<u8>>,
}

/// What becomes of a page view that names no file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fallback {
    Nothing,
    Index,
}

/// A directory and its prefix.
#[derive(Debug)]
struct Mounted {
    number: usize,
    prefix: Vec<u8>,
    root: Root,
    fallback: Fallback,
}

/// A directory, which may be exchanged while the server runs.
#[derive(Debug)]
struct Root {
    path: PathBuf,
    open: Mutex<(Arc<Directory>, Instant)>,
}

impl Root {
    fn open(path: PathBuf) -> io::Result<Root> {
        let directory = Arc::new(Directory::open(&path)?);
        Ok(Root {
            path,
            open: Mutex::new((directory, Instant::now())),
        })
    }

    fn directory(&self) -> Arc<Directory> {
        let mut open = self.open.lock();
        let (directory, checked) = &mut *open;
        if checked.elapsed() >= RECHECK {
            *checked = Instant::now();
            // Between two deployments there may be none for a moment; the old one is as good as ever then.
            if !directory.is_at(&self.path)
                && let Ok(other) = Directory::open(&self.path)
            {
                *directory = Arc::new(other);
            }
        }
        Arc::clone(directory)
    }
}

/// A path within a directory.
struct Located<'a> {
    mounted: &'a Mounted,
    directory: Arc<Directory>,
    relative: &'a [u8],
}

impl Site {
    /// Opens the directories that the settings name.
    ///
    /// # Errors
    /// One of them cannot be opened.
    pub(crate) fn open(config: &Config) -> io::Result<Site> {
        let rule = |(pattern, value): &(String, String)| CacheRule {
            pattern: pattern.clone(),
            value: value.clone(),
        };
        let site = Site {
            is_on: AtomicBool::new(false),
            mounts: RwLock::default(),
            downloads: downloads(config)?,
            policy: Policy {
                missing: config.static_missing,
                links: match config.static_symlinks {
                    StaticSymlinks::Beneath => Links::Beneath,
                    StaticSymlinks::Anywhere => Links::Anywhere,
                },
                max_age: config.static_max_age,
                rules: config.static_cache_control.iter().map(rule).collect(),
                except: config
                    .spa_except
                    .iter()
                    .map(|path| path.clone().into_bytes())
                    .collect(),
            },
            store: Mutex::default(),
            bodies: AtomicU64::new(0),
        };
        for mount in &config.static_files {
            site.mount(mount, Fallback::Nothing)?;
        }
        for mount in &config.spa {
            site.mount(mount, Fallback::Index)?;
        }
        Ok(site)
    }

    /// Serves one more directory. A prefix that is taken stays as it is.
    ///
    /// # Errors
    /// It cannot be opened.
    pub(crate) fn add(&self, mount: &Mount) -> io::Result<()> {
        self.mount(mount, Fallback::Nothing)
    }

    fn mount(&self, mount: &Mount, fallback: Fallback) -> io::Result<()> {
        let prefix = mount.prefix.clone().into_bytes();
        let mut mounts = self.mounts.write();
        if mounts.iter().any(|mounted| mounted.prefix == prefix) {
            return Ok(());
        }
        let number = mounts.len();
        mounts.push(Arc::new(Mounted {
            number,
            prefix,
            root: Root::open(mount.directory.clone()).map_err(|error| naming(mount, &error))?,
            fallback,
        }));
        mounts.sort_by_key(|mounted| std::cmp::Reverse(mounted.prefix.len()));
        self.is_on.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Whether there is a directory to look into.
    pub(crate) fn is_on(&self) -> bool {
        self.is_on.load(Ordering::Relaxed)
    }

    /// The answer to a request, where it is not the application's.
    pub(crate) fn find(&self, request: &Request) -> Option<Answer> {
        if !self.is_on() || !matches!(request.method(), b"GET" | b"HEAD") {
            return None;
        }
        if !matches!(request.form(), TargetForm::Origin | TargetForm::Absolute) {
            return None;
        }
        let mounts = self.mounts.read();
        let path = request.path();
        if !mounts.iter().any(|mounted| mounted.may_hold(path)) {
            return None;
        }
        let decoded = decode_path(path);
        let path = decoded.as_deref().unwrap_or(path);
        let mounted = mounts
            .iter()
            .find(|mounted| path.starts_with(&mounted.prefix))?;
        let found = decoded
            .as_deref()
            .and_then(|path| self.look_up(mounted, path, request));
        found.or_else(|| self.miss(mounted, path, request))
    }

    /// Whether a file answers the request whose first bytes are these, as far as they can tell: not every request that
    /// a file answers is known by them, and a directory may turn out to have no index.
    pub(crate) fn expects(&self, bytes: &[u8]) -> bool {
        let target = bytes
            .strip_prefix(b"GET ")
            .or_else(|| bytes.strip_prefix(b"HEAD "));
        let Some(target) = target.filter(|_| self.is_on()) else {
            return false;
        };
        let Some(end) = target.iter().position(|byte| matches!(byte, b' ' | b'?')) else {
            return false;
        };
        let Some(path) = decode_path(&target[..end]) else {
            return false;
        };
        let mounts = self.mounts.read();
        let mounted = mounts
            .iter()
            .find(|mounted| path.starts_with(&mounted.prefix));
        mounted
            .and_then(|mounted| mounted.locate(&path))
            .is_some_and(|located| {
                let relative = located.relative;
                let name = if relative.is_empty() { INDEX } else { relative };
                located.directory.facts(name).is_ok()
            })
    }

    fn look_up(&self, mounted: &Mounted, path: &[u8], request: &Request) -> Option<Answer> {
        let located = mounted.locate(path)?;
        let relative = located.relative;
        if relative.is_empty() || relative.ends_with(b"/") {
            let index = [relative, INDEX].concat();
            return self.file(&located, &index, request).map(Answer::File);
        }
        match located.directory.facts(relative).ok()?.kind {
            Kind::Regular => self.file(&located, relative, request).map(Answer::File),
            Kind::Directory => {
                let index = [relative, b"/", INDEX].concat();
                self.file(&located, &index, request)?;
                let target = resource::redirect_to(request.path(), request.query());
                Some(Answer::Redirect(target))
            }
            Kind::Special => None,
        }
    }

    /// There is no such file.
    fn miss(&self, mounted: &Mounted, path: &[u8], request: &Request) -> Option<Answer> {
        let is_excepted = || {
            self.policy
                .except
                .iter()
                .any(|prefix| path.starts_with(prefix))
        };
        if mounted.fallback == Fallback::Index && is_page_view(path, request) && !is_excepted() {
            let located = mounted.locate(&mounted.prefix)?;
            if let Some(found) = self.file(&located, INDEX, request) {
                return Some(Answer::File(found));
            }
        }
        match self.policy.missing {
            StaticMissing::NotFound if mounted.fallback == Fallback::Nothing => {
                Some(Answer::NotFound)
            }
            _ => None,
        }
    }

    /// The representation of a file that the client prefers.
    fn file(&self, located: &Located<'_>, relative: &[u8], request: &Request) -> Option<Found> {
        let mut store = self.store.lock();
        let plain = self.stored(&mut store, located, relative)?;
        let siblings = store.siblings(&plain, || {
            let is_there = |coding: &Coding| {
                let name = sibling(relative, *coding);
                let facts = located.directory.facts(&name);
                facts.is_ok_and(|facts| facts.kind == Kind::Regular)
            };
            Coding::ALL.iter().copied().filter(is_there).collect()
        });
        let media_type = MediaType::of(relative);
        let mut found = Found {
            coding: None,
            varies: !siblings.is_empty(),
            content_type: media_type.content_type(),
            is_font: resource::is_font(media_type.essence()),
            cache_control: self.cache_control(relative, media_type),
            framed: Framed::Own,
            file: plain,
        };
        if found.varies {
            let chosen = Acceptable::read(request.fields()).choose(siblings);
            let coded = chosen.and_then(|coding| {
                let name = sibling(relative, coding);
                Some((coding, self.stored(&mut store, located, &name)?))
            });
            if let Some((coding, file)) = coded {
                found.coding = Some(coding);
                found.file = file;
            }
        }
        Some(found)
    }

    fn stored(
        &self,
        store: &mut FileStore,
        located: &Located<'_>,
        relative: &[u8],
    ) -> Option<Arc<Stored>> {
        let key = Key {
            mount: located.mounted.number,
            path: relative.into(),
        };
        let found = store.file(key, &located.directory, self.policy.links);
        found
            .inspect_err(|error| {
                if error.kind() == io::ErrorKind::PermissionDenied {
                    let place = located.mounted.root.path.join(OsStr::from_bytes(relative));
                    log::warn!(
                        "a file of the site cannot be read: {}: {error}",
                        place.display()
                    );
                }
            })
            .ok()
    }

    fn cache_control(&self, relative: &[u8], media_type: MediaType) -> Option<String> {
        let rule = self.policy.rules.iter().find(|rule| rule.matches(relative));
        if let Some(rule) = rule {
            return Some(rule.value.clone()).filter(|value| !value.is_empty());
        }
        if media_type.essence() == "text/html" {
            return Some(REVALIDATED.to_owned());
        }
        if is_hashed(relative) {
            return Some(IMMUTABLE.to_owned());
        }
        match self.policy.max_age {
            0 => Some(REVALIDATED.to_owned()),
            seconds => Some(format!("public, max-age={seconds}")),
        }
    }

    /// A number that no other body has.
    pub(crate) fn next_body(&self) -> u64 {
        self.bodies.fetch_add(1, Ordering::Relaxed) + 1
    }
}

impl Mounted {
    /// Whether a path, as it was sent, may lie beneath the prefix.
    fn may_hold(&self, path: &[u8]) -> bool {
        path.starts_with(&self.prefix) || path.contains(&b'%')
    }

    /// A decoded path that begins with the prefix, if it may name a file at all.
    fn locate<'a>(&'a self, path: &'a [u8]) -> Option<Located<'a>> {
        let relative = path.strip_prefix(self.prefix.as_slice())?;
        is_servable(relative).then(|| Located {
            mounted: self,
            directory: self.root.directory(),
            relative,
        })
    }
}

/// The directories of `sendfile_root`.
fn downloads(config: &Config) -> io::Result<Vec<Download>> {
    let mounts = config.sendfile_root.iter().enumerate();
    let opened = mounts.map(|(number, mount)| {
        Download::open(number, mount).map_err(|error| naming(mount, &error))
    });
    let mut downloads = opened.collect::<io::Result<Vec<_>>>()?;
    downloads.sort_by_key(|download| std::cmp::Reverse(download.prefix_length()));
    Ok(downloads)
}

/// The error with the directory in question.
fn naming(mount: &Mount, error: &io::Error) -> io::Error {
    let reason = sys::files::reason(&mount.directory, error);
    let place = mount.directory.display();
    io::Error::new(error.kind(), format!("{place} cannot be served: {reason}"))
}

fn sibling(relative: &[u8], coding: Coding) -> Vec<u8> {
    [relative, coding.extension().as_bytes()].concat()
}

/// Whether a browser asks for a page and not for something within one: scripts that are missing must not be answered
/// with HTML.
fn is_page_view(path: &[u8], request: &Request) -> bool {
    let name = path.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
    let accepts_pages = |(name, value): (&[u8], &[u8])| {
        name.eq_ignore_ascii_case(b"accept")
            && value
                .to_ascii_lowercase()
                .windows(b"text/html".len())
                .any(|part| part == b"text/html")
    };
    !name.contains(&b'.') && request.fields().any(accepts_pages)
}

#[cfg(test)]
mod tests;
