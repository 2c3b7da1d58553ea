//! The requests that are with the application, as operators are shown them: JSON, the oldest first.

use std::time::Instant;

use crate::access_log::json::{name, text};
use crate::access_log::pieces::{number, print};
use crate::dispatcher::Dispatcher;
use crate::overdue::CallRecord;

/// The most requests that are shown: an event loop may have thousands. About half of what an answer to the arbiter
/// holds.
const SHOWN: usize = 200;

/// The most bytes of a target that are shown.
const TARGET_BYTES: usize = 200;

impl Dispatcher {
    /// The requests that are with the application.
    pub(crate) fn requests_in_flight(&self) -> Vec<u8> {
        let now = Instant::now();
        let state = self.state();
        let mut calls: Vec<&CallRecord> = state.calls.iter().collect();
        calls.sort_by_key(|call| call.arrived());
        let mut report = b"{\"total\":".to_vec();
        number(calls.len() as u64, &mut report);
        report.extend_from_slice(b",\"requests\":[");
        for (index, call) in calls.into_iter().take(SHOWN).enumerate() {
            if index > 0 {
                report.push(b',');
            }
            write(call, now, &mut report);
        }
        report.extend_from_slice(b"]}");
        report
    }
}

fn write(call: &CallRecord, now: Instant, report: &mut Vec<u8>) {
    let request = call.request();
    let age = now.saturating_duration_since(call.arrived());
    print(report, format_args!("{{\"age_s\":{:.3}", age.as_secs_f64()));
    text("method", request.method(), report);
    let target = request.target();
    text("target", &target[..target.len().min(TARGET_BYTES)], report);
    text("protocol", request.version().as_str().as_bytes(), report);
    text("client", call.client().as_bytes(), report);
    text("phase", call.phase().as_bytes(), report);
    name("thread", report);
    number(call.thread(), report);
    report.push(b'}');
}
