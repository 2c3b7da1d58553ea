//! The commands of the control protocol. Names, arguments and the shapes of the answers are Gunicorn's.

use std::time::Duration;

use arbiter::{Order, Status};
use serde_json::{Value, json};

use crate::json;

/// Every command with what it does.
const COMMANDS: &[(&str, &str)] = &[
    ("show all", "the arbiter and all workers"),
    ("show workers", "the workers"),
    ("show stats", "totals since the start"),
    ("show config", "the settings in force"),
    ("show listeners", "where clients are accepted"),
    (
        "show status",
        "the whole state of the server, as /status of the admin listener shows it",
    ),
    (
        "show requests",
        "the requests that are with the application, the oldest first",
    ),
    (
        "stacks [PID]",
        "where the threads, tasks and greenlets of all workers stand, or of one",
    ),
    ("show dirty", "nothing: there are no dirty workers"),
    ("worker add [N]", "N more workers, or one"),
    (
        "worker remove [N]",
        "N workers less, or one; one always stays",
    ),
    (
        "worker kill PID",
        "ends one worker gracefully; another takes its place",
    ),
    (
        "reload",
        "reads the settings and loads the application again (HUP)",
    ),
    ("reopen", "opens the log files again (USR1)"),
    ("shutdown [graceful|quick]", "ends the server (TERM, INT)"),
    ("help", "this list"),
];

/// The settings that Gunicorn shows.
const SHOWN: &[&str] = &[
    "bind",
    "workers",
    "worker_class",
    "threads",
    "timeout",
    "graceful_timeout",
    "keepalive",
    "max_requests",
    "max_requests_jitter",
    "worker_connections",
    "preload_app",
    "daemon",
    "pidfile",
    "proc_name",
    "reload",
    "control_socket",
    "control_socket_disable",
    "admin_bind",
];

/// What is answered, and what is ordered.
pub(crate) type Performed = (Value, Option<Order>);

/// Performs a command.
///
/// # Errors
///
/// A sentence on what is wrong with it.
pub(crate) fn perform(
    words: &[String],
    status: &Status<'_>,
    now: Duration,
) -> Result<Performed, String> {
    let lower: Vec<String> = words.iter().map(|word| word.to_ascii_lowercase()).collect();
    let words: Vec<&str> = lower.iter().map(String::as_str).collect();
    let told = |data: Value| Ok((data, None));
    match words.as_slice() {
        ["show", "all"] => told(json::all(status, now)),
        ["show", "workers"] => told(json::workers(status, now)),
        ["show", "stats"] => told(json::stats(status, now)),
        ["show", "config"] => told(config(status)),
        ["show", "listeners"] => told(json::listeners(status)),
        ["show", "status"] => told(json::status(status, now)),
        ["show", "dirty"] => {
            told(json!({"enabled": false, "pid": null, "workers": [], "apps": []}))
        }
        ["worker", "add", rest @ ..] => Ok(resize(status, i64::from(number(rest)?), "added")),
        ["worker", "remove", rest @ ..] => Ok(resize(status, -i64::from(number(rest)?), "removed")),
        ["worker", "kill", pid] => kill(pid, status),
        ["reload"] => Ok((json!({"status": "reloading"}), Some(Order::Reload))),
        ["reopen"] => Ok((json!({"status": "reopening"}), Some(Order::ReopenLogs))),
        ["shutdown"] | ["shutdown", "graceful"] => Ok(stop("graceful", Order::Stop)),
        ["shutdown", "quick"] => Ok(stop("quick", Order::StopNow)),
        ["help"] => told(help()),
        ["dirty", ..] => Err("this server has no dirty workers".to_owned()),
        _ => Err(format!(
            "Unknown command: {}; help lists what there is",
            words.join(" ")
        )),
    }
}

fn help() -> Value {
    let commands = COMMANDS
        .iter()
        .map(|(name, does)| ((*name).to_owned(), json!(does)));
    json!({"commands": Value::Object(commands.collect())})
}

fn stop(mode: &str, order: Order) -> Performed {
    (
        json!({"status": "shutting_down", "mode": mode}),
        Some(order),
    )
}

/// The number that a command ends with; one where it has none.
fn number(rest: &[&str]) -> Result<u32, String> {
    match rest {
        [] => Ok(1),
        [text] => match text.parse() {
            Ok(number @ 1..) => Ok(number),
            _ => Err(format!("{text:?} is no number of workers: 1 or more is")),
        },
        _ => Err("one number is enough".to_owned()),
    }
}

fn resize(status: &Status<'_>, change: i64, word: &str) -> Performed {
    let old = i64::from(status.target);
    // Gunicorn keeps one worker.
    let new = u32::try_from((old + change).max(1)).unwrap_or(u32::MAX);
    let changed = (i64::from(new) - old).abs();
    let data = json!({word: changed, "previous": old, "total": new});
    (data, Some(Order::SetWorkers(new)))
}

fn kill(pid: &str, status: &Status<'_>) -> Result<Performed, String> {
    let pid: i32 = pid
        .parse()
        .map_err(|_| format!("{pid:?} is no process id"))?;
    match status.workers.iter().any(|worker| worker.pid == pid) {
        true => Ok((
            json!({"success": true, "killed": pid}),
            Some(Order::EndWorker(pid)),
        )),
        false => {
            let error = format!("Worker {pid} not found");
            Ok((json!({"success": false, "error": error}), None))
        }
    }
}

/// The settings that say nothing secret.
fn config(status: &Status<'_>) -> Value {
    let shown = SHOWN.iter().filter_map(|name| {
        let value = status.config.value(name)?;
        Some(((*name).to_owned(), plain(&value)))
    });
    Value::Object(shown.collect())
}

fn plain(value: &settings::Value) -> Value {
    match value {
        settings::Value::None => Value::Null,
        settings::Value::Bool(flag) => json!(flag),
        settings::Value::Int(number) => json!(number),
        settings::Value::Float(number) => json!(number),
        settings::Value::Str(text) => json!(text),
        settings::Value::List(items) => items.iter().map(plain).collect(),
        settings::Value::Map(_) | settings::Value::Other(_) => json!("…"),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::time::Duration;

    use arbiter::{Totals, WorkerPhase, WorkerStatus};
    use settings::Config;
    use sys::scoreboard::Scoreboard;

    use super::*;

    /// A server with two workers.
    pub(crate) fn with_status(check: impl FnOnce(&Status<'_>)) {
        let scoreboard =
            Scoreboard::with_counters(2, server::request_metrics::COUNTERS).expect("mmap");
        let (config, totals) = (Config::default(), Totals::default());
        let worker = |pid, slot| WorkerStatus {
            pid,
            age: slot as u64 + 1,
            slot,
            phase: WorkerPhase::Serving,
            since: Duration::from_secs(90),
            busy_since: None,
        };
        check(&Status {
            pid: 10,
            since: Duration::from_secs(88),
            target: 2,
            is_stopping: false,
            workers: vec![worker(11, 0), worker(12, 1)],
            listeners: Vec::new(),
            totals: &totals,
            scoreboard: &scoreboard,
            config: &config,
        });
    }

    fn check(command: &str, data: Value, order: Option<Order>) {
        with_status(|status| {
            let words: Vec<String> = command.split(' ').map(str::to_owned).collect();
            let performed = perform(&words, status, Duration::from_secs(100));
            assert_eq!(performed, Ok((data, order)), "{command}");
        });
    }

    fn refused(command: &str, expected: &str) {
        with_status(|status| {
            let words: Vec<String> = command.split(' ').map(str::to_owned).collect();
            let refused = perform(&words, status, Duration::ZERO).expect_err(command);
            assert_eq!(refused, expected);
        });
    }

    #[test]
    fn the_number_of_workers_changes_as_gunicorns_does() {
        check(
            "worker add 3",
            json!({"added": 3, "previous": 2, "total": 5}),
            Some(Order::SetWorkers(5)),
        );
        check(
            "worker remove",
            json!({"removed": 1, "previous": 2, "total": 1}),
            Some(Order::SetWorkers(1)),
        );
        check(
            "worker remove 9",
            json!({"removed": 1, "previous": 2, "total": 1}),
            Some(Order::SetWorkers(1)),
        );
        refused(
            "worker add 0",
            "\"0\" is no number of workers: 1 or more is",
        );
        refused("worker add 1 2", "one number is enough");
    }

    #[test]
    fn only_a_worker_of_this_server_is_ended() {
        let killed = json!({"success": true, "killed": 12});
        check("worker kill 12", killed, Some(Order::EndWorker(12)));
        let error = json!({"success": false, "error": "Worker 1 not found"});
        check("worker kill 1", error, None);
        refused("worker kill all", "\"all\" is no process id");
    }

    #[test]
    fn orders_are_those_of_the_signals() {
        check(
            "reload",
            json!({"status": "reloading"}),
            Some(Order::Reload),
        );
        let quick = json!({"status": "shutting_down", "mode": "quick"});
        check("shutdown quick", quick, Some(Order::StopNow));
        refused("dirty add", "this server has no dirty workers");
        refused("sing", "Unknown command: sing; help lists what there is");
    }
}
