//! What is counted of requests, in the counters of a worker's slot: how many there were and how long they took, by
//! method, class of status and protocol. The workers count; the admin listener reads.

use std::time::Duration;

use proto::{Request, Version};
use sys::scoreboard::{Scoreboard, Slot};

/// The upper ends of the buckets in microseconds; a last one has no end. They are those that OpenTelemetry's semantic
/// conventions advise for `http.server.request.duration`.
pub const BUCKET_ENDS_US: [u64; 14] = [
    5_000, 10_000, 25_000, 50_000, 75_000, 100_000, 250_000, 500_000, 750_000, 1_000_000,
    2_500_000, 5_000_000, 7_500_000, 10_000_000,
];

/// The values of the label `http_request_method`: those of RFC 9110 and PATCH, and one for all others, so that clients
/// cannot make up labels.
const METHODS: [&str; 10] = [
    "GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "CONNECT", "TRACE", "_OTHER",
];
/// The first digit of the status; requests without a response have none.
const STATUS_CLASSES: [&str; 6] = ["1xx", "2xx", "3xx", "4xx", "5xx", "none"];
const PROTOCOLS: [&str; 3] = ["1.0", "1.1", "2"];

const BUCKETS: usize = BUCKET_ENDS_US.len() + 1;
/// Each bucket, and the sum of all durations in microseconds.
const HISTOGRAM: usize = BUCKETS + 1;
const SERIES: usize = METHODS.len() * STATUS_CLASSES.len() * PROTOCOLS.len();
/// Where the durations end and the time in the ready queue begins.
const QUEUE: usize = SERIES * HISTOGRAM;
const BYTES_SENT: usize = QUEUE + HISTOGRAM;

/// How many counters a slot needs.
pub const COUNTERS: usize = BYTES_SENT + 1;

/// A request that is over.
#[derive(Debug)]
pub(crate) struct Ended<'a> {
    /// Absent where its head could not be read.
    pub(crate) request: Option<&'a Request>,
    /// 0 for no response.
    pub(crate) status: u16,
    pub(crate) took: Duration,
    /// Body bytes sent.
    pub(crate) bytes: u64,
}

/// Counts a request.
pub(crate) fn note(slot: &Slot, ended: &Ended<'_>) {
    if slot.counters() == 0 {
        return;
    }
    let method = ended.request.map_or(METHODS.len() - 1, method_of);
    let protocol = ended.request.map_or(1, protocol_of);
    let class = match ended.status / 100 {
        class @ 1..=5 => usize::from(class) - 1,
        _ => STATUS_CLASSES.len() - 1,
    };
    let series = (method * STATUS_CLASSES.len() + class) * PROTOCOLS.len() + protocol;
    note_duration(slot, series * HISTOGRAM, ended.took);
    slot.count(BYTES_SENT, ended.bytes);
}

/// Counts how long a complete request waited for a thread, or for the event loop.
pub(crate) fn note_queued(slot: &Slot, waited: Duration) {
    note_duration(slot, QUEUE, waited);
}

fn note_duration(slot: &Slot, histogram: usize, took: Duration) {
    let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    let bucket = BUCKET_ENDS_US.partition_point(|end| *end < micros);
    slot.count(histogram + bucket, 1);
    slot.count(histogram + BUCKETS, micros);
}

fn method_of(request: &Request) -> usize {
    let method = request.method();
    METHODS
        .iter()
        .position(|known| known.as_bytes() == method)
        .unwrap_or(METHODS.len() - 1)
}

fn protocol_of(request: &Request) -> usize {
    match request.version() {
        Version::Http10 => 0,
        Version::Http11 => 1,
        Version::Http2 => 2,
    }
}

/// How often something took how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Histogram {
    /// How many fell into each bucket of [`BUCKET_ENDS_US`] and not into one before it; the last has no end.
    pub buckets: [u64; BUCKETS],
    /// All durations together, in microseconds.
    pub sum_us: u64,
}

impl Histogram {
    fn read(scoreboard: &Scoreboard, start: usize) -> Histogram {
        Histogram {
            buckets: std::array::from_fn(|bucket| scoreboard.total(start + bucket)),
            sum_us: scoreboard.total(start + BUCKETS),
        }
    }

    /// How many there were.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }
}

/// Requests that are alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Series {
    /// The method; `_OTHER` for those that are not standard, and where it could not be read.
    pub method: &'static str,
    /// `2xx`, or `none` where there was no response.
    pub status_class: &'static str,
    /// The version of HTTP, as OpenTelemetry's `network.protocol.version`.
    pub protocol: &'static str,
    /// How long they took, from the first byte of the request to the end of the response.
    pub durations: Histogram,
}

/// The requests of all workers, the present ones and those before them. Series without a request are left out.
pub fn requests(scoreboard: &Scoreboard) -> impl Iterator<Item = Series> + '_ {
    let labels = METHODS.iter().flat_map(|method| {
        STATUS_CLASSES.iter().flat_map(move |class| {
            PROTOCOLS
                .iter()
                .map(move |protocol| (*method, *class, *protocol))
        })
    });
    let all = labels
        .enumerate()
        .map(|(index, (method, status_class, protocol))| Series {
            method,
            status_class,
            protocol,
            durations: Histogram::read(scoreboard, index * HISTOGRAM),
        });
    all.filter(|series| series.durations.count() > 0)
}

/// How long complete requests waited before the application was called.
#[must_use]
pub fn queue_time(scoreboard: &Scoreboard) -> Histogram {
    Histogram::read(scoreboard, QUEUE)
}

/// The body bytes of all responses.
#[must_use]
pub fn bytes_sent(scoreboard: &Scoreboard) -> u64 {
    scoreboard.total(BYTES_SENT)
}

#[cfg(test)]
mod tests {
    use proto::Limits;
    use proto::h1::parse_request;

    use super::*;

    fn request(head: &str) -> Request {
        let parsed = parse_request(head.as_bytes(), &Limits::default());
        parsed.expect("a request").expect("whole").0
    }

    fn note_one(slot: &Slot, head: &str, status: u16, micros: u64) {
        let request = request(head);
        let ended = Ended {
            request: Some(&request),
            status,
            took: Duration::from_micros(micros),
            bytes: 10,
        };
        note(slot, &ended);
    }

    #[test]
    fn requests_of_all_slots_are_one_series_where_they_are_alike() {
        let board = Scoreboard::with_counters(2, COUNTERS).expect("mmap");
        note_one(
            &board.slot(0),
            "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            200,
            5_000,
        );
        note_one(
            &board.slot(1),
            "GET /x HTTP/1.1\r\nHost: a\r\n\r\n",
            204,
            5_001,
        );
        note_one(&board.slot(1), "POST / HTTP/1.0\r\n\r\n", 500, 20_000_000);
        let seen: Vec<_> = requests(&board)
            .map(|series| {
                (
                    series.method,
                    series.status_class,
                    series.protocol,
                    series.durations,
                )
            })
            .collect();
        let histogram = |filled: &[usize], sum_us| {
            let mut buckets = [0; BUCKETS];
            filled.iter().for_each(|bucket| buckets[*bucket] += 1);
            Histogram { buckets, sum_us }
        };
        assert_eq!(
            seen,
            [
                ("GET", "2xx", "1.1", histogram(&[0, 1], 10_001)),
                ("POST", "5xx", "1.0", histogram(&[14], 20_000_000)),
            ]
        );
        assert_eq!(bytes_sent(&board), 30);
    }

    #[test]
    fn what_a_client_makes_up_is_no_label() {
        let board = Scoreboard::with_counters(1, COUNTERS).expect("mmap");
        let slot = board.slot(0);
        note_one(&slot, "BREW / HTTP/1.1\r\nHost: a\r\n\r\n", 999, 1);
        let unread = Ended {
            request: None,
            status: 0,
            took: Duration::ZERO,
            bytes: 0,
        };
        note(&slot, &unread);
        let seen: Vec<_> = requests(&board)
            .map(|series| (series.method, series.status_class, series.durations.count()))
            .collect();
        assert_eq!(seen, [("_OTHER", "none", 2)]);
    }

    #[test]
    fn nothing_is_counted_where_there_are_no_counters() {
        let board = Scoreboard::new(1).expect("mmap");
        note_one(&board.slot(0), "GET / HTTP/1.1\r\nHost: a\r\n\r\n", 200, 1);
        assert_eq!(requests(&board).count(), 0);
    }
}
