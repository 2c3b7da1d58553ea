//! The state of the server as JSON: for `/status`, and in the shapes of Gunicorn's control protocol.

use std::time::Duration;

use arbiter::{Status, WorkerPhase, WorkerStatus};
use serde_json::{Value, json};
use server::request_metrics::{self, BUCKET_ENDS_US};

/// Everything, in Oxicorn's own shape.
pub(crate) fn status(status: &Status<'_>, now: Duration) -> Value {
    let workers: Vec<Value> = status
        .workers
        .iter()
        .map(|worker| {
            let slot = status.scoreboard.slot(worker.slot);
            json!({
                "pid": worker.pid,
                "age": worker.age,
                "state": worker.phase.name(),
                "uptime_seconds": seconds(now, worker.since),
                "busy_seconds": worker.busy_since.map(|since| seconds(now, since)),
                "requests": slot.requests(),
                "in_flight": slot.in_flight(),
                "connections": slot.connections(),
            })
        })
        .collect();
    let listeners: Vec<Value> = status
        .listeners
        .iter()
        .map(|listener| json!({"address": listener.address, "queued": listener.queued}))
        .collect();
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "pid": status.pid,
        "uptime_seconds": seconds(now, status.since),
        "ready": is_ready(status),
        "stopping": status.is_stopping,
        "workers_target": status.target,
        "workers_spawned": status.totals.spawned,
        "worker_exits": status.totals.exits,
        "reloads": status.totals.reloads,
        "failed_reloads": status.totals.failed_reloads,
        "workers": workers,
        "listeners": listeners,
        "durations": durations(status),
    })
}

/// How long the requests since the start took: how many within each bucket and not within the one before. The last has
/// no end.
fn durations(status: &Status<'_>) -> Value {
    let mut counts = vec![0; BUCKET_ENDS_US.len() + 1];
    for series in request_metrics::requests(status.scoreboard) {
        let buckets = series.durations.buckets;
        counts
            .iter_mut()
            .zip(buckets)
            .for_each(|(all, one)| *all += one);
    }
    let ends: Vec<f64> = BUCKET_ENDS_US.iter().map(|end| *end as f64 / 1e6).collect();
    json!({"ends_s": ends, "counts": counts})
}

/// Whether clients are served, and go on being served.
pub(crate) fn is_ready(status: &Status<'_>) -> bool {
    let serves = |worker: &WorkerStatus| worker.phase == WorkerPhase::Serving;
    !status.is_stopping && status.workers.iter().any(serves)
}

/// `show workers` of Gunicorn.
pub(crate) fn workers(status: &Status<'_>, now: Duration) -> Value {
    let workers: Vec<Value> = status
        .workers
        .iter()
        .map(|worker| one(worker, now))
        .collect();
    json!({"count": workers.len(), "workers": workers})
}

/// `show all` of Gunicorn.
pub(crate) fn all(status: &Status<'_>, now: Duration) -> Value {
    let mut workers: Vec<Value> = status
        .workers
        .iter()
        .map(|worker| one(worker, now))
        .collect();
    for worker in &mut workers {
        worker["type"] = json!("web");
    }
    json!({
        "arbiter": {"pid": status.pid, "type": "arbiter", "role": "master"},
        "web_workers": workers,
        "web_worker_count": status.workers.len(),
        "dirty_arbiter": null,
        "dirty_workers": [],
        "dirty_worker_count": 0,
    })
}

/// Gunicorn's heartbeat is the last sign of life; a worker here has none while it is free, and is well then.
fn one(worker: &WorkerStatus, now: Duration) -> Value {
    let silent = worker.busy_since.map_or(0.0, |since| seconds(now, since));
    json!({
        "pid": worker.pid,
        "age": worker.age,
        "booted": worker.phase != WorkerPhase::Booting,
        "aborted": worker.phase == WorkerPhase::Dying,
        "last_heartbeat": silent,
    })
}

/// `show stats` of Gunicorn.
pub(crate) fn stats(status: &Status<'_>, now: Duration) -> Value {
    let exits: u64 = status.totals.exits.values().sum();
    json!({
        "uptime": seconds(now, status.since),
        "pid": status.pid,
        "workers_current": status.workers.len(),
        "workers_target": status.target,
        "workers_spawned": status.totals.spawned,
        "workers_killed": exits,
        "reloads": status.totals.reloads,
        "dirty_arbiter_pid": null,
    })
}

/// `show listeners` of Gunicorn.
pub(crate) fn listeners(status: &Status<'_>) -> Value {
    let listeners: Vec<Value> = status
        .listeners
        .iter()
        .map(|listener| {
            let kind = match () {
                () if listener.address.starts_with("unix:") => "unix",
                () if listener.address.contains('[') => "tcp6",
                () => "tcp",
            };
            json!({
                "address": listener.address,
                "fd": listener.descriptor,
                "type": kind,
                "queued": listener.queued,
            })
        })
        .collect();
    json!({"count": listeners.len(), "listeners": listeners})
}

fn seconds(now: Duration, since: Duration) -> f64 {
    let span = now.saturating_sub(since);
    (span.as_secs_f64() * 100.0).round() / 100.0
}
