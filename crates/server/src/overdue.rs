//! Requests that are with the threads of the application: who waits, for what and since when. When the arbiter gives the
//! worker up, those that are stuck are told of and answered, without the thread that they are stuck in.

use std::sync::Arc;
use std::time::Instant;

use proto::forwarded::Scheme;
use proto::h1::{self, Request};

use crate::access_log::Record;
use crate::crew::Crew;
use crate::outlet::Outlet;
use crate::peer::{Ends, Peer};

/// What the client of a stuck request reads.
const RULE: &str = "The application did not answer in time.";

/// The most of a target that a line of the log shows.
const SHOWN: usize = 200;

/// A request that is with the application.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) key: usize,
    pub(crate) serial: u64,
    pub(crate) arrived: Instant,
    pub(crate) scheme: Scheme,
    pub(crate) ends: Arc<Ends>,
    pub(crate) outlet: Arc<Outlet>,
    /// What [`Outlet::taken`] said when the call began: while it says so, the response has not begun.
    pub(crate) taken: u64,
    /// The request head.
    pub(crate) head: Vec<u8>,
}

/// All of them, at most one for each thread.
#[derive(Debug, Default)]
pub(crate) struct UnderWay {
    calls: Vec<Call>,
    /// The buffers of heads that are over, so that a call costs a copy and no allocation.
    spare: Vec<Vec<u8>>,
}

impl UnderWay {
    /// A buffer for a head.
    pub(crate) fn buffer(&mut self) -> Vec<u8> {
        self.spare.pop().unwrap_or_default()
    }

    pub(crate) fn begin(&mut self, call: Call) {
        self.calls.push(call);
    }

    pub(crate) fn end(&mut self, key: usize, serial: u64) {
        let same = |call: &Call| call.key == key && call.serial == serial;
        let Some(index) = self.calls.iter().position(same) else {
            return;
        };
        let mut head = self.calls.swap_remove(index).head;
        /// Longer heads are rare, and their memory is better given back.
        const KEPT: usize = 4096;
        if head.capacity() <= KEPT {
            head.clear();
            self.spare.push(head);
        }
    }

    pub(crate) fn take(&mut self) -> Vec<Call> {
        std::mem::take(&mut self.calls)
    }
}

impl Crew {
    /// Tells of every request that is with the application, and answers those whose response has not begun. Their threads
    /// find the connection gone, should they ever come back.
    pub(crate) fn answer_overdue(&self) {
        let calls = self.roll().under_way.take();
        for call in calls {
            self.answer_for(&call);
        }
        self.access_log.flush();
    }

    fn answer_for(&self, call: &Call) {
        let took = call.arrived.elapsed();
        // It was read before by the same rules.
        let request = h1::parse_request(&call.head, &self.options.head)
            .ok()
            .flatten();
        let request = request.map(|(request, _)| request);
        let mut page = Vec::with_capacity(512);
        let date = self.date.now();
        let mut length = h1::encode_error(504, RULE, self.options.additions(&date), &mut page);
        if request.as_ref().is_some_and(Request::is_head) {
            page.truncate(page.len() - length);
            length = 0;
        }
        let answered = call.outlet.answer_overdue(call.taken, &page);
        let outcome = match answered {
            true => "its client got 504",
            false => "its response is cut off",
        };
        log::error!(
            target: "urgent",
            "No answer within {:.1} s: {}, from {}; {outcome}",
            took.as_secs_f64(),
            shown(request.as_ref()),
            client(&call.ends.peer),
        );
        if answered {
            self.measure(504, took);
            self.access_log.note(&Record {
                request: request.as_ref(),
                ends: &call.ends,
                status: 504,
                sent: length as u64,
                took,
                response_fields: &[],
                scheme: call.scheme,
                variables: &[],
            });
        }
    }
}

/// Method and target.
fn shown(request: Option<&Request>) -> String {
    let Some(request) = request else {
        return "a request".to_owned();
    };
    let target = request.target();
    let cut = &target[..target.len().min(SHOWN)];
    let dots = if cut.len() < target.len() { "…" } else { "" };
    format!(
        "{} {}{dots}",
        String::from_utf8_lossy(request.method()),
        String::from_utf8_lossy(cut)
    )
}

fn client(peer: &Peer) -> String {
    match peer {
        Peer::Inet(address) => address.to_string(),
        Peer::Unix => "a unix socket".to_owned(),
    }
}
