//! What a service manager such as systemd is told: readiness, reloads, the end, a line on how things are, and signs of
//! life for its watchdog (sd_notify(3)). Nothing here is ever a reason to fail.

use std::ffi::OsString;
use std::time::Duration;

use sys::notify::NotifySocket;

use crate::supervisor::{Condition, Stand};

/// The address of the manager's socket.
const SOCKET: &str = "NOTIFY_SOCKET";
/// The watchdog's patience in microseconds, and the process that is to show signs of life.
const WATCHDOG_USEC: &str = "WATCHDOG_USEC";
const WATCHDOG_PID: &str = "WATCHDOG_PID";

/// The longest reason of a failed reload that is repeated; a status is one line.
const REASON_MAX: usize = 200;

/// A service manager, if there is one.
#[derive(Debug, Default)]
pub(crate) struct ServiceManager {
    socket: Option<NotifySocket>,
    watchdog: Option<Watchdog>,
    /// What it was told last.
    told: Option<Condition>,
    /// Whether a failure to tell it anything has been logged.
    reported: bool,
}

/// When the manager wants to hear that the server is alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Watchdog {
    interval: Duration,
    due: Duration,
}

impl ServiceManager {
    /// Reads what the manager has left in the environment of process `pid`.
    pub(crate) fn find(variable: impl Fn(&str) -> Option<OsString>, pid: i32) -> Self {
        let Some(address) = variable(SOCKET).filter(|address| !address.is_empty()) else {
            return Self::default();
        };
        let number = |name: &str| -> Option<u64> { variable(name)?.to_str()?.trim().parse().ok() };
        let is_ours =
            variable(WATCHDOG_PID).is_none() || number(WATCHDOG_PID) == u64::try_from(pid).ok();
        let patience = number(WATCHDOG_USEC).filter(|microseconds| *microseconds > 0 && is_ours);
        let mut manager = Self {
            watchdog: patience.map(|microseconds| Watchdog {
                // sd_watchdog_enabled(3) recommends half of it.
                interval: Duration::from_micros(microseconds) / 2,
                due: Duration::ZERO,
            }),
            ..Self::default()
        };
        match NotifySocket::new(&address) {
            Ok(socket) => manager.socket = Some(socket),
            Err(error) => manager.report(&error),
        }
        manager
    }

    /// When [`ServiceManager::show_life`] is due.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        self.socket.as_ref()?;
        self.watchdog.map(|watchdog| watchdog.due)
    }

    /// Says that the server is alive, if it is time to.
    pub(crate) fn show_life(&mut self, is_well: bool, now: Duration) {
        let Some(watchdog) = &mut self.watchdog else {
            return;
        };
        if now < watchdog.due {
            return;
        }
        watchdog.due = now + watchdog.interval;
        if is_well {
            self.send("WATCHDOG=1");
        }
    }

    /// A reload begins, which the manager has to know before the first of it is done.
    pub(crate) fn reloading(&mut self, condition: Condition, now: Duration) {
        // A server that is starting is not ready yet, and that is what the manager waits for.
        if condition.stand == Stand::Serving || condition.stand == Stand::Reloading {
            self.tell(
                Condition {
                    stand: Stand::Reloading,
                    ..condition
                },
                now,
            );
        }
    }

    /// Tells how the server is, where that is news.
    pub(crate) fn update(&mut self, condition: Condition, now: Duration) {
        if self.told.as_ref() != Some(&condition) {
            self.tell(condition, now);
        }
    }

    /// This process ends, and the service goes on as another one.
    pub(crate) fn hand_over(&mut self, pid: i32) {
        self.send(&format!("MAINPID={pid}\nSTATUS=Another master takes over"));
    }

    fn tell(&mut self, condition: Condition, now: Duration) {
        if self.socket.is_none() {
            return;
        }
        let status = status(&condition);
        let is_news = self.told.as_ref().map(|told| told.stand) != Some(condition.stand);
        let message = match condition.stand {
            Stand::Serving if is_news => format!("READY=1\n{status}"),
            Stand::Stopping if is_news => format!("STOPPING=1\n{status}"),
            Stand::Reloading if is_news => {
                format!("RELOADING=1\nMONOTONIC_USEC={}\n{status}", now.as_micros())
            }
            _ => status,
        };
        if self.send(&message) {
            self.told = Some(condition);
        }
    }

    fn send(&mut self, message: &str) -> bool {
        let Some(socket) = &self.socket else {
            return false;
        };
        match socket.send(message) {
            Ok(()) => true,
            Err(error) => {
                self.report(&error);
                false
            }
        }
    }

    fn report(&mut self, error: &std::io::Error) {
        if !std::mem::replace(&mut self.reported, true) {
            log::warn!("The service manager cannot be told how the server is ({SOCKET}): {error}");
        }
    }
}

fn status(condition: &Condition) -> String {
    let Condition {
        serving, target, ..
    } = condition;
    let workers = match u32::try_from(*serving) {
        Ok(serving) if serving < *target => format!("{serving} of {target} serving"),
        _ => format!("{serving} serving"),
    };
    let stand = match condition.stand {
        Stand::Starting => "Starting",
        Stand::Serving => "Running",
        Stand::Reloading => "Reloading",
        Stand::Stopping => "Stopping",
    };
    let failure = condition
        .failure
        .as_deref()
        .and_then(|reason| reason.lines().next());
    let failure = failure.map_or_else(String::new, |reason| {
        let reason: String = reason.chars().take(REASON_MAX).collect();
        format!("; the last reload failed: {reason}")
    });
    format!("STATUS={stand}, workers: {workers}{failure}")
}

/// What a master that is to replace this one has to find in its environment. It keeps the rest of what the manager
/// left, but the watchdog's would be meant for another process.
pub(crate) fn environment(pid: i32) -> Option<(String, String)> {
    std::env::var_os(WATCHDOG_PID).map(|_| (WATCHDOG_PID.to_owned(), pid.to_string()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixDatagram;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// A manager's end of the socket.
    struct Ears {
        socket: UnixDatagram,
        _folder: tempfile::TempDir,
    }

    impl Ears {
        fn open(extra: &[(&'static str, &str)]) -> (Ears, ServiceManager) {
            let folder = tempfile::tempdir().expect("folder");
            let path = folder.path().join("notify");
            let socket = UnixDatagram::bind(&path).expect("bind");
            socket.set_nonblocking(true).expect("fcntl");
            let find = |name: &str| match name {
                SOCKET => Some(path.clone().into_os_string()),
                name => extra
                    .iter()
                    .find(|(known, _)| *known == name)
                    .map(|(_, value)| value.into()),
            };
            let manager = ServiceManager::find(find, 42);
            (
                Ears {
                    socket,
                    _folder: folder,
                },
                manager,
            )
        }

        fn heard(&self) -> Option<String> {
            let mut message = [0; 512];
            let length = self.socket.recv(&mut message).ok()?;
            Some(String::from_utf8(message[..length].to_vec()).expect("text"))
        }
    }

    fn condition(stand: Stand, serving: usize) -> Condition {
        Condition {
            stand,
            serving,
            target: 2,
            failure: None,
        }
    }

    #[test]
    fn each_stand_is_told_once_and_changes_within_it_as_a_status() {
        let (ears, mut manager) = Ears::open(&[]);
        let mut check = |stand, serving, expected: Option<&str>| {
            manager.update(condition(stand, serving), SECOND);
            assert_eq!(ears.heard().as_deref(), expected);
        };
        check(
            Stand::Starting,
            0,
            Some("STATUS=Starting, workers: 0 of 2 serving"),
        );
        check(Stand::Starting, 0, None);
        check(
            Stand::Serving,
            2,
            Some("READY=1\nSTATUS=Running, workers: 2 serving"),
        );
        check(
            Stand::Serving,
            1,
            Some("STATUS=Running, workers: 1 of 2 serving"),
        );
        check(
            Stand::Reloading,
            3,
            Some("RELOADING=1\nMONOTONIC_USEC=1000000\nSTATUS=Reloading, workers: 3 serving"),
        );
        check(
            Stand::Serving,
            2,
            Some("READY=1\nSTATUS=Running, workers: 2 serving"),
        );
        check(
            Stand::Stopping,
            2,
            Some("STOPPING=1\nSTATUS=Stopping, workers: 2 serving"),
        );
        check(Stand::Stopping, 2, None);
    }

    #[test]
    fn a_reload_that_fails_at_once_is_told_as_well() {
        let (ears, mut manager) = Ears::open(&[]);
        manager.update(condition(Stand::Serving, 2), SECOND);
        ears.heard();
        manager.reloading(condition(Stand::Serving, 2), SECOND);
        assert!(
            ears.heard()
                .is_some_and(|message| message.starts_with("RELOADING=1\n"))
        );
        let failure = Some("a.conf.py, line 3: no\nTraceback".to_owned());
        manager.update(
            Condition {
                failure,
                ..condition(Stand::Serving, 2)
            },
            SECOND,
        );
        let status =
            "STATUS=Running, workers: 2 serving; the last reload failed: a.conf.py, line 3: no";
        assert_eq!(ears.heard(), Some(format!("READY=1\n{status}")));
    }

    #[test]
    fn the_watchdog_hears_of_a_server_that_is_well_twice_in_its_time() {
        let (ears, mut manager) = Ears::open(&[(WATCHDOG_USEC, "4000000"), (WATCHDOG_PID, "42")]);
        manager.show_life(true, 10 * SECOND);
        assert_eq!(ears.heard().as_deref(), Some("WATCHDOG=1"));
        assert_eq!(manager.deadline(), Some(12 * SECOND));
        manager.show_life(true, 11 * SECOND);
        manager.show_life(false, 12 * SECOND);
        assert_eq!(ears.heard(), None);
        manager.show_life(true, 14 * SECOND);
        assert_eq!(ears.heard().as_deref(), Some("WATCHDOG=1"));
    }

    #[test]
    fn a_watchdog_that_watches_another_process_or_nobody_is_left_alone() {
        for extra in [
            &[(WATCHDOG_USEC, "4000000"), (WATCHDOG_PID, "41")][..],
            &[(WATCHDOG_USEC, "0")],
            &[(WATCHDOG_USEC, "soon")],
            &[],
        ] {
            let (_, manager) = Ears::open(extra);
            assert_eq!(manager.deadline(), None, "{extra:?}");
        }
    }

    #[test]
    fn what_could_not_be_told_is_told_again() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("notify");
        let find = |name: &str| (name == SOCKET).then(|| path.clone().into_os_string());
        let mut manager = ServiceManager::find(find, 42);
        manager.update(condition(Stand::Serving, 2), SECOND);
        let socket = UnixDatagram::bind(&path).expect("bind");
        manager.update(condition(Stand::Serving, 2), SECOND);
        let mut message = [0; 512];
        let length = socket.recv(&mut message).expect("recv");
        assert!(message[..length].starts_with(b"READY=1\n"));
    }
}
