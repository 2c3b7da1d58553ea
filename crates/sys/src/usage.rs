//! What a process uses, as procfs tells it.

use std::fs;
use std::time::Duration;

/// What a process uses at the moment, and has used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Its resident memory, that which it shares with others included.
    pub resident_bytes: u64,
    /// Its CPU time, user and system.
    pub cpu: Duration,
}

/// What the process `pid` uses; `None` where there is no such process, or no procfs.
#[must_use]
pub fn usage(pid: i32) -> Option<Usage> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let page = u64::try_from(rustix::param::page_size()).ok()?;
    parse(&stat, page, rustix::param::clock_ticks_per_second())
}

/// `/proc/PID/stat` of proc(5). The name of the program, the second field, may hold blanks and parentheses, so counting
/// begins behind its end.
fn parse(stat: &str, page_bytes: u64, ticks_per_second: u64) -> Option<Usage> {
    let (_, fields) = stat.rsplit_once(')')?;
    // The third field is the first here.
    let field = |number: usize| {
        let text = fields.split_ascii_whitespace().nth(number - 3)?;
        text.parse::<u64>().ok()
    };
    let ticks = field(14)? + field(15)?;
    Some(Usage {
        resident_bytes: field(24)? * page_bytes,
        cpu: Duration::from_secs_f64(ticks as f64 / ticks_per_second.max(1) as f64),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_may_have_any_name() {
        let stat =
            "77 (a) b (c) S 1 77 77 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 1 0 999 1000000 42 1";
        let expected = Usage {
            resident_bytes: 42 * 4096,
            cpu: Duration::from_secs(3),
        };
        assert_eq!(parse(stat, 4096, 100), Some(expected));
        assert_eq!(parse("77 (a) S 1", 4096, 100), None);
    }

    #[test]
    fn this_process_uses_memory_and_a_missing_one_does_not() {
        let own = usage(crate::process::pid()).expect("procfs");
        assert!(own.resident_bytes > 0);
        assert_eq!(usage(-1), None);
    }
}
