//! Requests that are with the application: who waits, for what and since when. When the arbiter gives the
//! worker up, those that are stuck are told of and answered, without the thread or the event loop that they are stuck in.

use std::sync::Arc;
use std::time::Instant;

use proto::Request;
use proto::forwarded::Scheme;
use proto::h1;

use crate::access_log::Record;
use crate::dispatcher::Dispatcher;
use crate::exchange::ExchangeId;
use crate::link::Link;
use crate::peer::{Ends, Peer};

/// What the client of a stuck request reads.
const RULE: &str = "The application did not answer in time.";

/// The most of a target that a line of the log shows.
const SHOWN: usize = 200;

/// A request that is with the application.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) id: ExchangeId,
    pub(crate) arrived: Instant,
    pub(crate) scheme: Scheme,
    pub(crate) ends: Arc<Ends>,
    pub(crate) link: Arc<Link>,
    /// What [`Link::taken`] said when the call began: while it says so, the response has not begun.
    pub(crate) taken: u64,
    /// The request head.
    pub(crate) head: Vec<u8>,
}

/// The most requests that lines of the log are written for: an event loop may have thousands.
const TOLD: usize = 20;

/// Heads that are over and whose memory is kept: an event loop has many requests under way.
const SPARE: usize = 64;
/// Longer heads are rare, and their memory is better given back.
const SPARE_BYTES: usize = 4096;

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct UnderWay {
    /// By the key of the connection, which has one at a time.
    calls: Vec<Option<Call>>,
    /// The buffers of heads that are over, so that a call costs a copy and no allocation.
    spare: Vec<Vec<u8>>,
}

impl UnderWay {
    /// A buffer for a head.
    pub(crate) fn buffer(&mut self) -> Vec<u8> {
        self.spare.pop().unwrap_or_default()
    }

    pub(crate) fn begin(&mut self, call: Call) {
        let key = call.id.key;
        if key >= self.calls.len() {
            self.calls.resize_with(key + 1, || None);
        }
        self.calls[key] = Some(call);
    }

    pub(crate) fn end(&mut self, id: ExchangeId) {
        let Some(place) = self.calls.get_mut(id.key) else {
            return;
        };
        let Some(mut over) = place.take_if(|call| call.id == id) else {
            return;
        };
        if self.spare.len() < SPARE && over.head.capacity() <= SPARE_BYTES {
            over.head.clear();
            self.spare.push(over.head);
        }
    }

    pub(crate) fn take(&mut self) -> Vec<Call> {
        std::mem::take(&mut self.calls)
            .into_iter()
            .flatten()
            .collect()
    }
}

impl Dispatcher {
    /// Does what [`Dispatcher::answer_overdue`] does where the arbiter has given the worker up.
    pub(crate) fn answer_if_given_up(&self) {
        if self.slot.is_given_up() {
            self.answer_overdue();
        }
    }

    /// Tells of every request that is with the application, and answers those whose response has not begun. Their threads
    /// find the connection gone, should they ever come back.
    pub(crate) fn answer_overdue(&self) {
        let calls = self.state().under_way.take();
        for (number, call) in calls.iter().enumerate() {
            let line = self.answer_for(call);
            if number < TOLD {
                log::error!(target: "urgent", "{line}");
            }
        }
        if calls.len() > TOLD {
            log::error!(target: "urgent", "No answer for {} more requests", calls.len() - TOLD);
        }
        self.access_log.flush();
    }

    /// Says what became of it.
    fn answer_for(&self, call: &Call) -> String {
        let took = call.arrived.elapsed();
        // It was read before by the same rules.
        let request = h1::parse_request(&call.head, &self.options.session.limits)
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
        let answered = call.link.answer_overdue(call.taken, &page);
        let outcome = match answered {
            true => "its client got 504",
            false => "its response is cut off",
        };
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
        format!(
            "No answer within {:.1} s: {}, from {}; {outcome}",
            took.as_secs_f64(),
            shown(request.as_ref()),
            client(&call.ends.peer),
        )
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
