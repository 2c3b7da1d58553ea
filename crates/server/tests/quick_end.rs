//! A quick end while the application does not come back. Alone in its file, because it measures a thread by its name.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests say what they expect"
)]

mod double;

use std::fs;
use std::io::Write;
use std::sync::Mutex;
use std::sync::mpsc;
use std::time::Duration;

use double::Double;
use double::wire::{GET, until};
use server::{Call, Shutdown};
use settings::Config;

/// Nanoseconds of processor time that the watchdog has used (`/proc/<pid>/schedstat`, first number).
fn used_by_the_watchdog() -> u64 {
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    let used = tasks.filter_map(|task| {
        let path = task.unwrap().path();
        let name = fs::read_to_string(path.join("comm")).ok()?;
        let used = fs::read_to_string(path.join("schedstat")).ok()?;
        (name.trim() == "oxicorn-io").then(|| used.split(' ').next().unwrap().parse::<u64>())
    });
    used.map(Result::unwrap).sum()
}

#[test]
fn a_quick_end_waits_for_the_application_without_turning_in_circles() {
    let (release, released) = mpsc::channel::<()>();
    let released = Mutex::new(released);
    let double = Double::start(&Config::default(), 1, move |_: Call| {
        released.lock().unwrap().recv().unwrap();
    });
    let mut stream = double.connect();
    stream.write_all(GET).unwrap();
    until(|| double.slot.in_flight() != 0);
    double.server.shut_down(Shutdown::Quick);
    // The connection is closed by the watchdog, which has the reactor from then on.
    until(|| double.slot.connections() == 0);
    let before = used_by_the_watchdog();
    std::thread::sleep(Duration::from_millis(300));
    let used = Duration::from_nanos(used_by_the_watchdog() - before);
    assert!(used < Duration::from_millis(30), "{used:?}");
    release.send(()).unwrap();
    double.stop(Shutdown::Quick);
}
