//! The files that are watched, and how they were when the application got to see them.

use std::collections::HashMap;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Python's rules, which these patterns are written for: a star stops at a slash and does not stand for a leading dot.
const RULES: glob::MatchOptions = glob::MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: true,
};

/// What makes a word of `reload_extra_files` a pattern.
const WILD: [char; 3] = ['*', '?', '['];

/// How a file was; `None` where there was none.
pub(crate) type Stamp = Option<(i64, i64, u64, u64)>;

/// A pattern of files.
#[derive(Debug)]
pub(super) struct Pattern {
    /// With the directory that it is relative to.
    text: String,
    compiled: glob::Pattern,
    /// The directory that all of its files are below.
    pub(super) base: PathBuf,
    /// Whether its files may be in directories below that one.
    pub(super) is_deep: bool,
}

/// Reads a word of `reload_extra_files`; `None` where it is the name of one file.
pub(super) fn pattern(word: &str) -> Option<Pattern> {
    let wild = word.find(WILD)?;
    let cut = word[..wild].rfind('/').map_or(0, |slash| slash + 1);
    let (base, rest) = word.split_at(cut);
    let base = std::path::absolute(if base.is_empty() { "." } else { base }).ok()?;
    // `absolute` keeps no slash at the end, and the names before the wild part mean themselves.
    let text = format!(
        "{}/{rest}",
        glob::Pattern::escape(base.to_str()?.trim_end_matches('/'))
    );
    let compiled = match glob::Pattern::new(&text) {
        Ok(compiled) => compiled,
        Err(error) => {
            log::warn!("reload_extra_files: {word} is no pattern: {error}");
            return None;
        }
    };
    Some(Pattern {
        text,
        compiled,
        base,
        is_deep: rest.contains('/'),
    })
}

/// All that is watched.
#[derive(Debug, Default)]
pub(super) struct Watched {
    known: HashMap<PathBuf, Stamp>,
    patterns: Vec<Pattern>,
}

impl Watched {
    /// Takes a file in as it is now, unless it is known.
    pub(super) fn note(&mut self, path: PathBuf) {
        self.known
            .entry(path)
            .or_insert_with_key(|path| stamp(path));
    }

    /// Takes in all files of a pattern, now and later.
    pub(super) fn add_pattern(&mut self, pattern: Pattern) {
        for path in pattern.files() {
            self.note(path);
        }
        self.patterns.push(pattern);
    }

    /// Whether this file is watched and not as it was known. One that is new to a pattern is not.
    pub(super) fn has_changed(&self, path: &Path) -> bool {
        match self.known.get(path) {
            Some(before) => stamp(path) != *before,
            None => {
                self.patterns.iter().any(|pattern| pattern.matches(path)) && stamp(path).is_some()
            }
        }
    }

    /// Looks at all files and names one that has changed.
    pub(super) fn look(&self) -> Option<PathBuf> {
        let new = self.patterns.iter().flat_map(Pattern::files);
        self.known
            .keys()
            .cloned()
            .chain(new)
            .find(|path| self.has_changed(path))
    }

    /// How everything is now.
    pub(super) fn stamps(&self) -> HashMap<PathBuf, Stamp> {
        let new = self.patterns.iter().flat_map(Pattern::files);
        let all = self.known.keys().cloned().chain(new);
        all.map(|path| (stamp(&path), path))
            .map(|(stamp, path)| (path, stamp))
            .collect()
    }

    /// Knows everything as it was then.
    pub(super) fn accept(&mut self, stamps: HashMap<PathBuf, Stamp>) {
        self.known.extend(stamps);
    }
}

impl Pattern {
    fn files(&self) -> impl Iterator<Item = PathBuf> {
        // A directory that cannot be read has no files for us.
        let found = glob::glob_with(&self.text, RULES).into_iter().flatten();
        found
            .filter_map(Result::ok)
            .filter(|path| stamp(path).is_some())
    }

    fn matches(&self, path: &Path) -> bool {
        self.compiled.matches_path_with(path, RULES)
    }
}

/// Modification time to the nanosecond, size and inode. Directories have none: they change with every file that Python
/// caches in them.
pub(crate) fn stamp(path: &Path) -> Stamp {
    let metadata = path.metadata().ok().filter(Metadata::is_file)?;
    Some((
        metadata.mtime(),
        metadata.mtime_nsec(),
        metadata.size(),
        metadata.ino(),
    ))
}
