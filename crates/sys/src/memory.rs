//! Whether the kernel's out-of-memory killer was at work.
//!
//! A process that got SIGKILL does not know why, and neither does its parent. The control group knows: it counts the
//! processes in it that were killed for memory. Only that count is proof.

use std::fs;
use std::path::{Path, PathBuf};

/// Where control groups are mounted (file-hierarchy(7) of systemd, and every container runtime).
const MOUNT: &str = "/sys/fs/cgroup";

/// The memory that this process and its relatives may use, in bytes: the machine's, or what the control group allows.
/// `None` where neither is known.
#[must_use]
pub fn limit() -> Option<u64> {
    let machine = fs::read_to_string("/proc/meminfo").ok();
    let machine = machine.as_deref().and_then(total);
    let membership = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let groups = counters(&membership, Path::new(MOUNT)).into_iter();
    let group = groups.filter_map(|file| {
        let names = ["memory.max", "memory.limit_in_bytes"];
        let mut read = names
            .iter()
            .map(|name| fs::read_to_string(file.with_file_name(name)));
        read.find_map(|text| text.ok()?.trim().parse().ok())
    });
    machine.into_iter().chain(group).min()
}

/// The total of `/proc/meminfo`, which counts kibibytes.
fn total(meminfo: &str) -> Option<u64> {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

/// The count of out-of-memory kills in this process's control group, and what it was when it was last read.
#[derive(Debug)]
pub struct OomWatch {
    file: Option<PathBuf>,
    seen: u64,
}

impl OomWatch {
    /// Starts to watch the control group of this process. Where there is none that counts, nothing is ever proven.
    #[must_use]
    pub fn start() -> Self {
        let membership = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let file = counters(&membership, Path::new(MOUNT))
            .into_iter()
            .find(|file| kills(file).is_some());
        Self::of(file)
    }

    fn of(file: Option<PathBuf>) -> Self {
        let seen = file.as_deref().and_then(kills).unwrap_or(0);
        Self { file, seen }
    }

    /// Whether a process of the control group has been killed for memory since the last call. `None` where that cannot
    /// be known.
    pub fn killed_since(&mut self) -> Option<bool> {
        let kills = kills(self.file.as_deref()?)?;
        let more = kills > self.seen;
        self.seen = kills;
        Some(more)
    }
}

/// The files that may hold the count, from the lines `hierarchy:controllers:path` of `/proc/self/cgroup`. Inside a
/// container the path may be the host's while the mount shows only our own group, so the mount's root is tried too.
fn counters(membership: &str, mount: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for line in membership.lines() {
        let mut parts = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(path)) = (parts.next(), parts.next(), parts.next())
        else {
            continue;
        };
        let path = path.trim_start_matches('/');
        if controllers.is_empty() {
            files.push(mount.join(path).join("memory.events"));
            files.push(mount.join("memory.events"));
        } else if controllers
            .split(',')
            .any(|controller| controller == "memory")
        {
            files.push(mount.join("memory").join(path).join("memory.oom_control"));
            files.push(mount.join("memory").join("memory.oom_control"));
        }
    }
    files
}

/// The value behind `oom_kill` in `memory.events` (version 2) or `memory.oom_control` (version 1).
fn kills(file: &Path) -> Option<u64> {
    let text = fs::read_to_string(file).ok()?;
    let value = text
        .lines()
        .find_map(|line| line.strip_prefix("oom_kill "))?;
    value.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_is_read_in_bytes() {
        let text = "MemTotal:       24614844 kB\nMemFree:        22614844 kB\n";
        assert_eq!(total(text), Some(24_614_844 * 1024));
        assert_eq!(total("MemFree: 1 kB\n"), None);
        assert!(limit().is_some_and(|bytes| bytes > 1 << 20));
    }

    fn check(membership: &str, expected: &[&str]) {
        let expected: Vec<_> = expected.iter().map(PathBuf::from).collect();
        assert_eq!(counters(membership, Path::new("/cg")), expected);
    }

    #[test]
    fn the_count_is_looked_for_where_the_group_is() {
        check(
            "0::/app.slice/web\n",
            &["/cg/app.slice/web/memory.events", "/cg/memory.events"],
        );
        check(
            "4:memory:/docker/1\n3:cpuset:/\n",
            &[
                "/cg/memory/docker/1/memory.oom_control",
                "/cg/memory/memory.oom_control",
            ],
        );
        check("5:memory_other:/\nnonsense\n", &[]);
    }

    #[test]
    fn a_kill_is_proven_once_and_only_by_a_count_that_grew() {
        let file = std::env::temp_dir().join(format!("oxicorn-oom-{}", std::process::id()));
        fs::write(&file, "low 0\noom 3\noom_kill 2\noom_group_kill 0\n").expect("write");
        let mut watch = OomWatch::of(Some(file.clone()));
        assert_eq!(watch.killed_since(), Some(false));
        fs::write(&file, "oom_kill 3\n").expect("write");
        assert_eq!(watch.killed_since(), Some(true));
        assert_eq!(watch.killed_since(), Some(false));
        fs::remove_file(&file).expect("unlink");
        assert_eq!(watch.killed_since(), None);
    }

    #[test]
    fn without_a_control_group_nothing_is_known() {
        assert_eq!(OomWatch::of(None).killed_since(), None);
    }
}
