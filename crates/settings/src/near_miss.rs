//! Names in a conf file, and options, that look like a setting and are none. A conf file is Python, so a name of its
//! own is legal; only what is almost certainly a slip is worth a line.

use strsim::damerau_levenshtein;

use crate::table::table;
use crate::uvicorn::ALIASES;

/// The setting that `name` was probably meant to be, or `None` when it is a setting or nothing like one.
pub fn near_miss(name: &str) -> Option<&'static str> {
    if table().iter().any(|setting| setting.name == name) {
        return None;
    }
    let lower = name.to_lowercase();
    let candidates = table()
        .iter()
        .map(|setting| (damerau_levenshtein(&lower, setting.name), setting.name));
    let (distance, nearest) = candidates.min_by_key(|(distance, _)| *distance)?;
    (distance <= tolerance(nearest)).then_some(nearest)
}

/// The long option that `option` was probably meant to be.
pub(crate) fn near_option(option: &str) -> Option<&'static str> {
    let long = table()
        .iter()
        .flat_map(|setting| setting.flags)
        .chain(ALIASES.iter().map(|alias| &alias.flag))
        .filter(|flag| flag.starts_with("--"));
    let candidates = long.map(|flag| (damerau_levenshtein(option, flag), *flag));
    let (distance, nearest) = candidates.min_by_key(|(distance, _)| *distance)?;
    (distance <= tolerance(nearest)).then_some(nearest)
}

/// How many slips of the finger a name can have: short names are close to words that mean something else.
fn tolerance(name: &str) -> usize {
    match name.len() {
        0..=4 => 0,
        5..=9 => 1,
        _ => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_finds_its_setting() {
        let check =
            |name: &str, expected: Option<&str>| assert_eq!(near_miss(name), expected, "{name}");
        check("wrokers", Some("workers"));
        check("WORKERS", Some("workers"));
        check("worker", Some("workers"));
        check("keep_alive", Some("keepalive"));
        check("time_out", Some("timeout"));
        check("log_level", Some("loglevel"));
        check("max_request", Some("max_requests"));
        check("forwarded_allow_ip", Some("forwarded_allow_ips"));
        check("BIND", Some("bind"));
    }

    #[test]
    fn names_of_the_files_own_are_left_alone() {
        // The last ones are from conf files that people publish.
        let own = [
            "workers",
            "bind",
            "host",
            "port",
            "cores",
            "os",
            "max_workers_str",
            "use_loglevel",
            "web_concurrency",
        ];
        for name in own {
            assert_eq!(near_miss(name), None, "{name}");
        }
    }
}
