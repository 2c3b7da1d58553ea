//! Which metrics there are. Those of all workers are one number: the counters lie in shared memory and outlive the
//! workers that counted, so none of them ever falls.

use arbiter::{Status, WorkerPhase};
use server::request_metrics::{self, BUCKET_ENDS_US, Histogram};
use sys::usage::{Usage, usage};

use crate::text_format::{Dialect, Exposition, Family, Kind, Labels};

const DURATION: Family = Family {
    name: "http_server_request_duration_seconds",
    kind: Kind::Histogram,
    unit: "seconds",
    help: "From the first byte of a request to the end of its response.",
};
const ACTIVE: Family = Family {
    name: "http_server_active_requests",
    kind: Kind::Gauge,
    unit: "",
    help: "Requests that the application has.",
};
const QUEUE: Family = Family {
    name: "oxicorn_request_queue_seconds",
    kind: Kind::Histogram,
    unit: "seconds",
    help: "How long requests waited for a thread, or for the event loop.",
};
const SENT: Family = Family {
    name: "oxicorn_response_body_bytes",
    kind: Kind::Counter,
    unit: "bytes",
    help: "Bytes of response bodies.",
};
const WORKERS: Family = Family {
    name: "oxicorn_workers",
    kind: Kind::Gauge,
    unit: "",
    help: "Workers by state.",
};
const BUSY: Family = Family {
    name: "oxicorn_workers_busy",
    kind: Kind::Gauge,
    unit: "",
    help: "Serving workers that can take no further request at the moment.",
};
const TARGET: Family = Family {
    name: "oxicorn_workers_target",
    kind: Kind::Gauge,
    unit: "",
    help: "The number of workers that there shall be.",
};
const SPAWNED: Family = Family {
    name: "oxicorn_workers_spawned",
    kind: Kind::Counter,
    unit: "",
    help: "Workers that were started.",
};
const EXITS: Family = Family {
    name: "oxicorn_worker_exits",
    kind: Kind::Counter,
    unit: "",
    help: "Workers that have ended, by reason.",
};
const RELOADS: Family = Family {
    name: "oxicorn_reloads",
    kind: Kind::Counter,
    unit: "",
    help: "Reloads by result.",
};
const CONNECTIONS: Family = Family {
    name: "oxicorn_connections",
    kind: Kind::Gauge,
    unit: "",
    help: "Open connections of clients.",
};
const ACCEPT_QUEUE: Family = Family {
    name: "oxicorn_accept_queue_clients",
    kind: Kind::Gauge,
    unit: "",
    help: "Clients that wait to be accepted, by listener.",
};
const SPOOLED: Family = Family {
    name: "oxicorn_temporary_file_bytes",
    kind: Kind::Gauge,
    unit: "bytes",
    help: "Bytes of request and response bodies in temporary files.",
};
const MEMORY: Family = Family {
    name: "oxicorn_resident_memory_bytes",
    kind: Kind::Gauge,
    unit: "bytes",
    help: "Resident memory of a process. Memory that processes share counts in each of them.",
};
const CPU: Family = Family {
    name: "oxicorn_cpu_seconds",
    kind: Kind::Gauge,
    unit: "seconds",
    help: "CPU time that a process has used since it started.",
};
const INFO: Family = Family {
    name: "oxicorn_info",
    kind: Kind::Gauge,
    unit: "",
    help: "The version of the server.",
};

/// Reasons for which there is a line from the start, so that an alert on an increase sees the first one.
const EXIT_REASONS: [&str; 12] = [
    "boot",
    "error",
    "exit",
    "graceful_timeout",
    "max_requests",
    "order",
    "out_of_memory",
    "reload",
    "signal",
    "stop",
    "surplus",
    "timeout",
];

/// What has to be asked of the system.
#[derive(Debug)]
pub(crate) struct Snapshot {
    /// The arbiter and the workers by age, as far as they are there.
    processes: Vec<(String, Usage)>,
}

impl Snapshot {
    pub(crate) fn take(status: &Status<'_>) -> Snapshot {
        let workers = status.workers.iter();
        let all = workers.map(|worker| (worker.slot.to_string(), worker.pid));
        let all = std::iter::once(("arbiter".to_owned(), status.pid)).chain(all);
        Snapshot {
            processes: all
                .filter_map(|(name, pid)| Some((name, usage(pid)?)))
                .collect(),
        }
    }
}

/// All metrics.
pub(crate) fn render(snapshot: &Snapshot, status: &Status<'_>, dialect: Dialect) -> String {
    let mut out = Exposition::new(dialect);
    write_requests(status, &mut out);
    write_workers(status, &mut out);
    write_clients(status, &mut out);
    write_processes(snapshot, &mut out);
    out.family(&INFO);
    out.number(&INFO, &[("version", env!("CARGO_PKG_VERSION"))], 1);
    out.finish()
}

fn write_requests(status: &Status<'_>, out: &mut Exposition) {
    out.family(&DURATION);
    for series in request_metrics::requests(status.scoreboard) {
        let labels = [
            ("http_request_method", series.method),
            ("http_response_status_class", series.status_class),
            ("network_protocol_version", series.protocol),
        ];
        write_histogram(&DURATION, &labels, &series.durations, out);
    }
    out.family(&ACTIVE);
    let slots = status
        .workers
        .iter()
        .map(|worker| status.scoreboard.slot(worker.slot));
    let active: u64 = slots.map(|slot| u64::from(slot.in_flight())).sum();
    out.number(&ACTIVE, &[], active);
    out.family(&QUEUE);
    let waited = request_metrics::queue_time(status.scoreboard);
    write_histogram(&QUEUE, &[], &waited, out);
    out.family(&SENT);
    out.number(&SENT, &[], request_metrics::bytes_sent(status.scoreboard));
}

fn write_histogram(
    family: &Family,
    labels: Labels<'_>,
    histogram: &Histogram,
    out: &mut Exposition,
) {
    let mut below = 0;
    let ends = BUCKET_ENDS_US.iter().map(|end| seconds(*end));
    let ends = ends.chain(std::iter::once("+Inf".to_owned()));
    for (end, count) in ends.zip(histogram.buckets) {
        below += count;
        let labels: Vec<_> = labels
            .iter()
            .copied()
            .chain([("le", end.as_str())])
            .collect();
        out.sample(family.name, "_bucket", &labels, below);
    }
    out.sample(family.name, "_sum", labels, seconds(histogram.sum_us));
    out.sample(family.name, "_count", labels, below);
}

/// As OpenMetrics writes the ends of buckets: with a decimal point.
fn seconds(micros: u64) -> String {
    format!("{:?}", micros as f64 / 1e6)
}

fn write_workers(status: &Status<'_>, out: &mut Exposition) {
    out.family(&WORKERS);
    for phase in WorkerPhase::ALL {
        let count = status
            .workers
            .iter()
            .filter(|worker| worker.phase == phase)
            .count();
        out.number(&WORKERS, &[("state", phase.name())], count);
    }
    out.family(&BUSY);
    let is_busy = |worker: &&arbiter::WorkerStatus| {
        worker.phase == WorkerPhase::Serving && worker.busy_since.is_some()
    };
    out.number(&BUSY, &[], status.workers.iter().filter(is_busy).count());
    out.family(&TARGET);
    out.number(&TARGET, &[], status.target);
    out.family(&SPAWNED);
    out.number(&SPAWNED, &[], status.totals.spawned);
    out.family(&EXITS);
    for reason in EXIT_REASONS {
        let count = status.totals.exits.get(reason).copied().unwrap_or_default();
        out.number(&EXITS, &[("reason", reason)], count);
    }
    out.family(&RELOADS);
    out.number(&RELOADS, &[("result", "done")], status.totals.reloads);
    out.number(
        &RELOADS,
        &[("result", "failed")],
        status.totals.failed_reloads,
    );
}

fn write_clients(status: &Status<'_>, out: &mut Exposition) {
    let slots = || {
        status
            .workers
            .iter()
            .map(|worker| status.scoreboard.slot(worker.slot))
    };
    out.family(&CONNECTIONS);
    let connections: u64 = slots().map(|slot| u64::from(slot.connections())).sum();
    out.number(&CONNECTIONS, &[], connections);
    out.family(&ACCEPT_QUEUE);
    for listener in &status.listeners {
        if let Some(queued) = listener.queued {
            out.number(&ACCEPT_QUEUE, &[("listener", &listener.address)], queued);
        }
    }
    out.family(&SPOOLED);
    out.number(
        &SPOOLED,
        &[],
        slots().map(|slot| slot.spooled()).sum::<u64>(),
    );
}

fn write_processes(snapshot: &Snapshot, out: &mut Exposition) {
    out.family(&MEMORY);
    for (name, usage) in &snapshot.processes {
        out.number(&MEMORY, &[("process", name)], usage.resident_bytes);
    }
    out.family(&CPU);
    for (name, usage) in &snapshot.processes {
        out.number(&CPU, &[("process", name)], usage.cpu.as_secs_f64());
    }
}
