//! What a process is called in process lists.

use std::fs;
use std::os::unix::ffi::OsStrExt as _;

use pyo3::prelude::*;
use settings::{Config, os_text};

use crate::{imports, text};

/// The fields of `/proc/self/stat` behind the process's name, counted from the state, that say where the kernel has
/// laid the arguments: proc(5) has them as fields 48 and 49, the state as field 3.
const ARGUMENTS_START: usize = 45;
const ARGUMENTS_END: usize = 46;

/// Shows this process as `oxicorn: ROLE [NAME]`, the name being `proc_name`, `default_proc_name` or the
/// application's.
///
/// The `setproctitle` package does it where it is installed, as for Gunicorn. Elsewhere the title replaces the command
/// line as far as that is long, and the fifteen bytes of the kernel's own name tell the role.
pub(crate) fn set(py: Python<'_>, role: &str, config: &Config) {
    let app = config.app.as_ref();
    let app = app.filter(|_| !config.origins.is_given("default_proc_name"));
    // An embedding program has no application string, and Gunicorn's default for it is `gunicorn`.
    let fallback = app.unwrap_or(&config.default_proc_name);
    let name = config.proc_name.as_ref().unwrap_or(fallback);
    let program = match config.as_gunicorn {
        true => "gunicorn",
        false => "oxicorn",
    };
    let title = format!("{program}: {role} [{name}]");
    let titled = imports::setproctitle(py).and_then(|module| match module {
        Some(module) => module
            .call_method1("setproctitle", (text::to_python(py, &title)?,))
            .map(Some),
        None => Ok(None),
    });
    if !matches!(titled, Ok(Some(_))) {
        replace_arguments(os_text::to_os(&title).as_bytes());
    }
    // Without a space: from 3.12 on CPython looks for the number of threads in `/proc/self/stat`, word by word, and
    // with a space in the name it takes the niceness for that number and warns of `fork`.
    sys::process::set_name(&format!("{program}:{role}"));
}

/// Overwrites the process's arguments, which is what `ps` shows.
fn replace_arguments(title: &[u8]) {
    let Some((start, length)) = fs::read_to_string("/proc/self/stat")
        .ok()
        .and_then(|stat| arguments(&stat))
    else {
        return;
    };
    let mut line = vec![0; length];
    // The last byte stays zero: without it the kernel takes the environment for a part of the title.
    for (place, byte) in line.iter_mut().take(length - 1).zip(title) {
        *place = *byte;
    }
    let area = std::ptr::with_exposed_provenance_mut::<u8>(start);
    // SAFETY: the kernel says that the `length` bytes from `start` are this process's arguments. They lie on its first
    // stack, writable, for as long as it lives. CPython has copies of them; Rust, whose `std::env::args` would read
    // them where they lie, is never asked.
    unsafe { std::ptr::copy_nonoverlapping(line.as_ptr(), area, length) };
}

/// Where the arguments are and how many bytes they take, out of a line of `/proc/PID/stat`.
fn arguments(stat: &str) -> Option<(usize, usize)> {
    // The name in parentheses may hold spaces and parentheses.
    let (_, fields) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let number = |index: usize| fields.get(index)?.parse::<usize>().ok();
    let (start, end) = (number(ARGUMENTS_START)?, number(ARGUMENTS_END)?);
    let length = end.checked_sub(start)?;
    // Zeros stand there where the kernel hides the addresses.
    (start > 0 && length > 1).then_some((start, length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_are_found_behind_any_name() {
        let fields: Vec<String> = (3..=52).map(|field: u32| field.to_string()).collect();
        let stat = format!("1 (a) b (c) {}", fields.join(" "));
        assert_eq!(arguments(&stat), None, "one byte has no room for a title");
        let stat = stat.replace(" 49 ", " 148 ");
        assert_eq!(arguments(&stat), Some((48, 100)));
    }

    #[test]
    fn hidden_addresses_are_no_addresses() {
        assert_eq!(arguments(&format!("1 (a) {}", "0 ".repeat(50))), None);
        assert_eq!(arguments("1 (a) S"), None);
    }
}
