//! The error log: Gunicorn's lines, from Rust and from Python, each in one write to one place.
//!
//! `[2026-11-22 10:17:00 +0000] [4211] [INFO] message`. The place is standard error or a file, which is opened again on
//! USR1. It is global because the `log` facade is, and because a process has one error log. Where the operator has
//! configured Python's `logging`, lines take the way through it instead (`relay`).

mod files;
mod json;
mod relay;

use std::fmt::{Display, Write as _};
use std::fs::File;
use std::io::{self, IsTerminal as _, Write as _};
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::SystemTime;

use log::{Level, LevelFilter, Log, Metadata, Record};
use pyo3::prelude::*;
use settings::{Config, LogLevel, os_text};
use sys::local_time::local_time;
use sys::output::{Lost, Output};

use crate::lock::{Plain, Shared};
use crate::metrics;
pub(crate) use files::{access_log, belong_to, give_away, open_with};
pub(crate) use relay::{
    Access, deliver, follow, has_waiting, hold_lines, leave_access_lines, logger, ring_on,
};

/// The target that makes an error critical: the `log` facade has no such level.
pub(crate) const CRITICAL_TARGET: &str = "critical";

/// The target of a line that may be the worker's last: it does not wait for Python.
pub(crate) const URGENT_TARGET: &str = "urgent";

/// The numbers of Python's `logging`.
const CRITICAL: u32 = 50;
const ERROR: u32 = 40;
const WARNING: u32 = 30;
const INFO: u32 = 20;
const DEBUG: u32 = 10;

/// How Gunicorn's lines of the start begin.
const START_LINES: [&str; 4] = [
    "Starting oxicorn",
    "Listening at:",
    "Using worker:",
    "Booting worker with pid:",
];

/// What a worker's coming and going is told with. To a person who edits files, the line that names the file says it
/// all.
const RELOAD_LINES: [(&str, &str); 3] = [
    ("Booting worker with pid:", ""),
    ("Worker exiting (pid:", ""),
    ("Worker (pid:", "exited with code 0."),
];

/// The standard streams' numbers.
const STDOUT: i32 = 1;
const STDERR: i32 = 2;

/// Where lines go.
enum LogPlace {
    Stderr,
    File { path: PathBuf, file: File },
}

impl Plain for LogPlace {}

static PLACE: Shared<LogPlace> = Shared::new(LogPlace::Stderr);
/// The least severe level that is written, in Python's numbers.
static THRESHOLD: AtomicU32 = AtomicU32::new(INFO);
/// Whether level names are coloured.
static COLOURED: AtomicBool = AtomicBool::new(false);
/// Whether lines are JSON objects.
static JSON: AtomicBool = AtomicBool::new(false);
/// Whether standard output and error go where the log goes.
static CAPTURING: AtomicBool = AtomicBool::new(false);
/// Lines that could not be written since the last that could.
static LOST: AtomicU64 = AtomicU64::new(0);
/// The way to the log, which never waits: a pipe that nothing reads must not stop a worker.
static OUTPUT: Output = Output::new();
/// Whether the banner stands in for the arbiter's lines of information.
static BANNER: AtomicBool = AtomicBool::new(false);
/// Whether workers come and go with every file that a person at the terminal saves.
static RELOADS: AtomicBool = AtomicBool::new(false);

/// The facade's end.
struct ErrorLog;

static ERROR_LOG: ErrorLog = ErrorLog;

impl Log for ErrorLog {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        level_of(metadata) >= THRESHOLD.load(Ordering::Relaxed)
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let level = level_of(record.metadata());
        if relay::is_on() && record.target() != URGENT_TARGET {
            relay::pass(level, record.args().to_string());
        } else if !is_told_otherwise(record) {
            metrics::count_line(record.level(), record.target());
            tell(level, record.args());
        }
    }

    fn flush(&self) {}
}

/// Directs the log to where the settings say. Called again at every reload of the settings.
///
/// # Errors
///
/// When the file cannot be opened. The log then stays where it was.
pub(crate) fn set_up(config: &Config) -> io::Result<()> {
    let place = LogPlace::open(&config.errorlog)?;
    let terminal = matches!(place, LogPlace::Stderr) && io::stderr().is_terminal();
    let json = config.error_log_format == "json";
    JSON.store(json, Ordering::Relaxed);
    let coloured = matches!(place, LogPlace::Stderr) && !json && takes_colours(config, terminal);
    COLOURED.store(coloured, Ordering::Relaxed);
    RELOADS.store(terminal && config.reload, Ordering::Relaxed);
    set_level(threshold(config.loglevel));
    PLACE.change(|current| *current = place);
    files::open_access_log(config.accesslog.as_deref());
    // The facade keeps the first logger for good, and that is this one.
    let _ = log::set_logger(&ERROR_LOG);
    // Without a file there is nothing to put the output into, as with Gunicorn.
    let capturing = config.capture_output && config.errorlog != "-";
    CAPTURING.store(capturing, Ordering::Relaxed);
    Ok(())
}

/// Whether a stream is coloured: the settings decide, else the terminal and its environment (no-color.org, terminfo).
pub(crate) fn takes_colours(config: &Config, is_terminal: bool) -> bool {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    config.use_colors.unwrap_or_else(|| {
        is_terminal
            && variable("NO_COLOR").is_none()
            && variable("TERM").is_none_or(|kind| kind != "dumb")
    })
}

/// Sets the least severe level, a number of Python's, that goes on its way.
fn set_level(level: u32) {
    THRESHOLD.store(level, Ordering::Relaxed);
    const BEYOND: [(u32, LevelFilter); 3] = [
        (WARNING, LevelFilter::Error),
        (INFO, LevelFilter::Warn),
        (DEBUG, LevelFilter::Info),
    ];
    // The threshold tells error and critical apart.
    let filter = BEYOND.iter().find(|(least, _)| level > *least);
    log::set_max_level(filter.map_or(LevelFilter::Debug, |(_, filter)| *filter));
}

/// Whether lines are read by a person: the log goes to a terminal, and nowhere else.
pub(crate) fn is_on_terminal() -> bool {
    is_on_stderr() && io::stderr().is_terminal() && !is_json()
}

/// Whether lines are JSON objects.
pub(crate) fn is_json() -> bool {
    JSON.load(Ordering::Relaxed)
}

/// Whether lines go to standard error, and nowhere else.
pub(crate) fn is_on_stderr() -> bool {
    PLACE.with(|place| matches!(place, LogPlace::Stderr)) && !relay::is_on()
}

/// Whether colours may be used.
pub(crate) fn is_coloured() -> bool {
    COLOURED.load(Ordering::Relaxed)
}

/// While the banner stands, Gunicorn's lines of the start would say the same again.
pub(crate) fn banner_stands_in(shown: Banner) {
    BANNER.store(matches!(shown, Banner::Standing), Ordering::Relaxed);
}

/// Whether it does.
pub(crate) fn is_banner_standing() -> bool {
    BANNER.load(Ordering::Relaxed)
}

/// What [`banner_stands_in`] is told.
#[derive(Clone, Copy)]
pub(crate) enum Banner {
    /// It tells what the lines would.
    Standing,
    /// From here on lines are lines.
    Done,
}

/// Whether the banner, or the line that names the changed file, says what this line of information would.
fn is_told_otherwise(record: &Record<'_>) -> bool {
    let (banner, reloads) = (
        BANNER.load(Ordering::Relaxed),
        RELOADS.load(Ordering::Relaxed),
    );
    if !(banner || reloads) || record.level() != Level::Info {
        return false;
    }
    let text = record.args().to_string();
    let told_by_banner = || START_LINES.iter().any(|start| text.starts_with(start));
    let is_a_reload = |(start, end): &(&str, &str)| text.starts_with(start) && text.ends_with(end);
    (banner && told_by_banner()) || (reloads && RELOAD_LINES.iter().any(is_a_reload))
}

/// Opens the file again, for USR1: something else has moved it away. Where that fails the old file stays in use.
pub(crate) fn reopen(py: Python<'_>) {
    reopen_file();
    files::reopen_access_log();
    if let Err(error) = capture_output(py) {
        log::error!("The output cannot be captured: {error}");
    }
    let reopened = logger(py).map(|logger| logger.call_method0("reopen_files"));
    if let Some(Err(error)) = reopened {
        log::error!("The files of the logger could not be opened again: {error}");
    }
}

fn reopen_file() {
    let opened = PLACE.change(|place| {
        let LogPlace::File { path, .. } = place else {
            return Ok(());
        };
        match LogPlace::open_file(path) {
            Ok(opened) => *place = opened,
            Err(error) => return Err((path.display().to_string(), error)),
        }
        Ok(())
    });
    if let Err((path, error)) = opened {
        log::error!("The error log {path} could not be opened again: {error}");
    }
}

/// A copy of the descriptor that lines are written to, for Python's use.
///
/// # Errors
///
/// The process has no descriptor left.
pub(crate) fn descriptor() -> io::Result<OwnedFd> {
    PLACE.with(|place| with_descriptor_of(place, |log| log.try_clone_to_owned()))
}

fn with_descriptor_of<T>(place: &LogPlace, use_it: impl FnOnce(BorrowedFd<'_>) -> T) -> T {
    match place {
        LogPlace::Stderr => use_it(io::stderr().as_fd()),
        LogPlace::File { file, .. } => use_it(file.as_fd()),
    }
}

/// Writes a line that is already formatted, in one write, the level's name in its colour where that is wanted.
pub(crate) fn write_line(level: u32, line: &str) {
    let mut text = if is_coloured() {
        paint(level, line)
    } else {
        line.to_owned()
    };
    text.push('\n');
    write_text(&text);
}

/// Writes a message as a line of the server's own, directly.
pub(crate) fn tell(level: u32, message: impl Display) {
    write_line(level, &format_line(level, message));
}

/// Writes what an application has left for the operator: as it is, or as the message of an object.
pub(crate) fn write_message(text: &str) {
    match is_json() {
        true if text.trim().is_empty() => {}
        true => tell(ERROR, text),
        false => write_text(text),
    }
}

/// Writes text as it is, in one write. A file that cannot be written is told of on standard error, once, and any log
/// says itself how many lines it lost when it can be written again.
pub(crate) fn write_text(text: &str) {
    let text = &*os_text::shown(text);
    PLACE.with(|place| write_to(place, text));
}

fn write_to(place: &LogPlace, text: &str) {
    let written = with_descriptor_of(place, |log| OUTPUT.write(log, text.as_bytes()));
    if let Err(Lost { lines, error }) = written {
        let is_first = LOST.fetch_add(lines, Ordering::Relaxed) == 0;
        // A standard error that takes nothing has no other place to say so.
        if let (true, LogPlace::File { path, .. }) = (is_first, place) {
            let path = path.display();
            let notice = format!(
                "The error log {path} cannot be written: {error}; lines are lost until it can"
            );
            let notice = format_line(ERROR, notice) + "\n";
            let _ = OUTPUT.write(io::stderr().as_fd(), notice.as_bytes());
        }
        return;
    }
    if LOST.load(Ordering::Relaxed) > 0 {
        let lost = LOST.swap(0, Ordering::Relaxed);
        let notice = format!("The error log can be written again; {lost} lines were lost");
        let notice = format_line(WARNING, notice) + "\n";
        if with_descriptor_of(place, |log| OUTPUT.write(log, notice.as_bytes())).is_err() {
            LOST.fetch_add(lost, Ordering::Relaxed);
        }
    }
}

/// Writes lines that are for a person at a terminal, without the log's format.
pub(crate) fn write_plain(text: &str) {
    let _ = io::stderr().write_all(os_text::shown(text).as_bytes());
}

/// Writes an answer to standard output, and returns the exit code for having done so.
pub(crate) fn say(text: &str) -> i32 {
    match io::stdout()
        .write_all(os_text::shown(text).as_bytes())
        .and_then(|()| io::stdout().flush())
    {
        Ok(()) => 0,
        Err(_) => crate::failure::CONFIGURATION,
    }
}

impl LogPlace {
    fn open(name: &str) -> io::Result<Self> {
        match name {
            "-" => Ok(Self::Stderr),
            path => Self::open_file(Path::new(&os_text::to_os(path))),
        }
    }

    fn open_file(path: &Path) -> io::Result<Self> {
        Ok(Self::File {
            // The directory may change (--chdir, --daemon) before the file is opened again.
            path: std::path::absolute(path)?,
            file: files::open_log(path)?,
        })
    }
}

/// Lets standard output and error go where the log goes, where the settings say so (`capture_output`).
///
/// # Errors
///
/// What `dup2(2)` says.
pub(crate) fn capture_output(py: Python<'_>) -> PyResult<()> {
    if !CAPTURING.load(Ordering::Relaxed) {
        return Ok(());
    }
    let os = py.import("os")?;
    let log = descriptor()?;
    os.call_method1("dup2", (log.as_raw_fd(), STDOUT))?;
    os.call_method1("dup2", (log.as_raw_fd(), STDERR)).map(drop)
}

fn format_line(level: u32, message: impl Display) -> String {
    if is_json() {
        return json::line(name(level), &message.to_string());
    }
    let now = local_time(SystemTime::now());
    let (sign, offset) = if now.offset_minutes < 0 {
        ('-', -now.offset_minutes)
    } else {
        ('+', now.offset_minutes)
    };
    let mut line = String::with_capacity(128);
    // Writing to a string cannot fail.
    let _ = write!(
        line,
        "[{:04}-{:02}-{:02} {:02}:{:02}:{:02} {sign}{:02}{:02}] [{}] [{}] {}",
        now.year,
        now.month,
        now.day,
        now.hour,
        now.minute,
        now.second,
        offset / 60,
        offset % 60,
        std::process::id(),
        name(level),
        message,
    );
    line
}

fn level_of(metadata: &Metadata<'_>) -> u32 {
    match metadata.level() {
        Level::Error if metadata.target() == CRITICAL_TARGET => CRITICAL,
        Level::Error => ERROR,
        Level::Warn => WARNING,
        Level::Info => INFO,
        Level::Debug | Level::Trace => DEBUG,
    }
}

fn name(level: u32) -> &'static str {
    match level {
        CRITICAL.. => "CRITICAL",
        ERROR.. => "ERROR",
        WARNING.. => "WARNING",
        INFO.. => "INFO",
        _ => "DEBUG",
    }
}

fn threshold(level: LogLevel) -> u32 {
    match level {
        LogLevel::Debug => DEBUG,
        LogLevel::Info => INFO,
        LogLevel::Warning => WARNING,
        LogLevel::Error => ERROR,
        LogLevel::Critical => CRITICAL,
    }
}

/// Colours the level's name where the line has it.
fn paint(level: u32, line: &str) -> String {
    let colour = match level {
        ERROR.. => "31",
        WARNING.. => "33",
        INFO.. => "32",
        _ => "36",
    };
    let name = name(level);
    line.replacen(
        &format!("[{name}]"),
        &format!("[\u{1b}[{colour}m{name}\u{1b}[0m]"),
        1,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_gunicorns() {
        let record = Record::builder()
            .args(format_args!("Listening"))
            .level(Level::Warn)
            .build();
        let line = format_line(level_of(record.metadata()), record.args());
        let fields: Vec<&str> = line.split(['[', ']']).collect();
        assert_eq!(fields[1].len(), "2026-11-22 10:17:00 +0000".len(), "{line}");
        assert_eq!(fields[3], std::process::id().to_string());
        assert_eq!((fields[5], fields[6]), ("WARNING", " Listening"));
    }

    #[test]
    fn an_error_of_the_target_critical_is_critical() {
        let critical = Metadata::builder()
            .level(Level::Error)
            .target(CRITICAL_TARGET)
            .build();
        let error = Metadata::builder()
            .level(Level::Error)
            .target("arbiter")
            .build();
        assert_eq!(
            (name(level_of(&critical)), name(level_of(&error))),
            ("CRITICAL", "ERROR")
        );
    }

    #[test]
    fn only_the_level_is_coloured() {
        assert_eq!(
            paint(ERROR, "[1] [ERROR] [ERROR]"),
            "[1] [\u{1b}[31mERROR\u{1b}[0m] [ERROR]"
        );
        assert_eq!(paint(INFO, "no level"), "no level");
    }
}
