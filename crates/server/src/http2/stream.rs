//! One stream: the body of its request on the way in, and its response on the way out. What the windows of the client
//! do not admit waits here, in a backlog as a connection of HTTP/1 has one, and not in the h2 crate.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use super::fields::Fields;
use super::outlet::StreamOutlet;
use super::shared::SharedHttp2;
use crate::backlog::{Backlog, Range};
use crate::exchange::ExchangeId;
use crate::inlet::Inlet;
use crate::sink::{FilePart, SinkError};
use crate::timers::Millis;
use crate::upload::Upload;
use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::HeaderMap;

/// What the thread that answers looks at without a lock.
#[derive(Debug, Default)]
pub(crate) struct StreamFlags {
    /// Nothing that is sent reaches the client any more.
    pub(super) gone: AtomicBool,
    /// How often something was sent.
    pub(super) sent: AtomicU64,
    /// The request was answered in place of its thread.
    pub(super) overdue: AtomicBool,
}

/// What becomes of the body of a request.
#[derive(Debug)]
pub(super) enum Intake {
    /// There is none, or it has come to its end, or it is not wanted.
    Nothing,
    /// It is read before the application is called.
    Collect(Box<Collected>),
    /// The application reads it while it arrives.
    Pass(Arc<Inlet>),
}

/// A request whose body is being read before the application is called.
#[derive(Debug)]
pub(super) struct Collected {
    pub(super) upload: Upload,
    pub(super) arrived: Instant,
}

/// How the response ends.
#[derive(Debug)]
pub(super) enum Ending {
    /// More may come.
    Open,
    /// With what waits, and these trailer fields.
    Due(Option<HeaderMap>),
    /// It has ended, or was broken off.
    Done,
}

/// Whether something is the last of its response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Last {
    Yes,
    No,
}

#[derive(Debug)]
pub(super) struct Stream {
    pub(super) id: ExchangeId,
    pub(super) flags: Arc<StreamFlags>,
    respond: SendResponse<Bytes>,
    send: Option<SendStream<Bytes>>,
    pub(super) body: Option<RecvStream>,
    pub(super) intake: Intake,
    /// Bytes of the body so far.
    pub(super) received: u64,
    pub(super) backlog: Backlog,
    pub(super) ending: Ending,
    pub(super) failure: Option<SinkError>,
    /// A task wants to be told when there is room.
    pub(super) awaits_room: bool,
    /// The thread that waits for room has something else to look at.
    pub(super) interrupted: bool,
    /// The socket is full: what comes now waits.
    pub(super) holds: bool,
    /// Its exchange is over.
    pub(super) released: bool,
    /// When the client has to have sent more of the body.
    pub(super) read_by: Millis,
    /// When it has to have taken something of what waits for it.
    pub(super) send_by: Millis,
    /// What it has taken since `send_by` was set.
    pub(super) moved: u64,
}

impl Stream {
    pub(super) fn new(id: ExchangeId, respond: SendResponse<Bytes>, body: RecvStream) -> Stream {
        let is_whole = body.is_end_stream();
        Stream {
            id,
            flags: Arc::default(),
            respond,
            send: None,
            body: (!is_whole).then_some(body),
            intake: Intake::Nothing,
            received: 0,
            backlog: Backlog::default(),
            ending: Ending::Open,
            failure: None,
            awaits_room: false,
            interrupted: false,
            holds: false,
            released: false,
            read_by: Millis::MAX,
            send_by: Millis::MAX,
            moved: 0,
        }
    }

    /// The sending side, as the thread that answers has it.
    pub(super) fn outlet(&self, shared: &Arc<SharedHttp2>) -> StreamOutlet {
        StreamOutlet::new(shared, &self.flags, self.id.number)
    }

    /// Sends an interim response.
    pub(super) fn interim(&mut self, fields: Fields) {
        if self.send.is_none() && self.respond.send_informational(fields).is_err() {
            self.fail(SinkError::Disconnected);
        }
    }

    /// Sends the head of the response.
    pub(super) fn begin(&mut self, fields: Fields, last: Last) {
        if fields.status().is_informational() {
            // An application that gives an interim status for a whole response: the client would go on waiting.
            return self.reset(Reason::INTERNAL_ERROR);
        }
        match self.respond.send_response(fields, last == Last::Yes) {
            Ok(send) => {
                self.send = Some(send);
                if last == Last::Yes {
                    self.ending = Ending::Done;
                }
            }
            Err(error) => self.refused_by_h2(&error),
        }
    }

    /// Sends a piece of the body as far as the windows admit it; the rest waits.
    pub(super) fn push(&mut self, piece: &[u8], last: Last) {
        if !matches!(self.ending, Ending::Open) || (piece.is_empty() && last == Last::No) {
            return;
        }
        let granted = match self.backlog.is_empty() && !self.holds {
            true => self.grant(piece.len()),
            false => 0,
        };
        let (now, rest) = piece.split_at(granted);
        let is_whole = rest.is_empty() && self.backlog.is_empty();
        if !now.is_empty() || (is_whole && last == Last::Yes) {
            let ends = is_whole && last == Last::Yes;
            self.send_data(Bytes::copy_from_slice(now), ends);
        }
        self.backlog.push(&[rest], 0);
        if last == Last::Yes {
            self.finish(None);
        }
    }

    /// As [`Stream::push`], with a range of a file.
    pub(super) fn push_file(&mut self, part: FilePart, last: Last) {
        if matches!(self.ending, Ending::Open) {
            self.backlog.push_file(Range::of(part));
            if last == Last::Yes {
                self.finish(None);
            }
        }
    }

    /// Ends the response behind what waits.
    pub(super) fn finish(&mut self, trailers: Option<HeaderMap>) {
        if matches!(self.ending, Ending::Open) {
            self.ending = Ending::Due(trailers);
            self.end_if_due();
        }
    }

    fn end_if_due(&mut self) {
        if !self.backlog.is_empty() || !matches!(self.ending, Ending::Due(_)) {
            return;
        }
        let Ending::Due(trailers) = std::mem::replace(&mut self.ending, Ending::Done) else {
            return;
        };
        match (trailers, &mut self.send) {
            (Some(fields), Some(send)) => {
                if let Err(error) = send.send_trailers(fields) {
                    self.refused_by_h2(&error);
                }
            }
            (None, _) => {
                self.ending = Ending::Open;
                self.send_data(Bytes::new(), true);
            }
            (Some(_), None) => {}
        }
    }

    /// How much of `wanted` bytes the windows admit now.
    fn grant(&mut self, wanted: usize) -> usize {
        match &mut self.send {
            Some(send) if wanted > 0 => {
                send.reserve_capacity(wanted);
                send.capacity().min(wanted)
            }
            _ => 0,
        }
    }

    fn send_data(&mut self, data: Bytes, ends: bool) {
        let Some(send) = &mut self.send else {
            return;
        };
        if ends {
            self.ending = Ending::Done;
        }
        if let Err(error) = send.send_data(data, ends) {
            self.refused_by_h2(&error);
        }
    }

    /// Moves up to `most` bytes of what waits on, as far as the windows admit it. Returns how many.
    pub(super) fn refill(&mut self, most: usize) -> usize {
        let mut moved = 0;
        while moved < most && !self.backlog.is_empty() {
            let wanted = self.backlog.left().min((most - moved) as u64);
            let granted = self.grant(wanted as usize);
            if granted == 0 {
                break;
            }
            let data = match self.backlog.take(granted) {
                Ok(data) => data,
                Err(error) => {
                    log::error!("a file that was being sent has changed: {error}");
                    self.reset(Reason::INTERNAL_ERROR);
                    break;
                }
            };
            moved += data.len();
            let ends = self.backlog.is_empty() && matches!(self.ending, Ending::Due(None));
            self.send_data(Bytes::from(data), ends);
        }
        self.moved += moved as u64;
        self.end_if_due();
        moved
    }

    /// Breaks the stream off.
    pub(super) fn reset(&mut self, reason: Reason) {
        match &mut self.send {
            Some(send) => send.send_reset(reason),
            None => self.respond.send_reset(reason),
        }
        self.ending = Ending::Done;
        self.backlog.clear();
    }

    /// Whether the client has broken it off.
    pub(super) fn was_reset(&mut self) -> bool {
        let mut context = Context::from_waker(Waker::noop());
        let polled = match &mut self.send {
            Some(send) => send.poll_reset(&mut context),
            None => self.respond.poll_reset(&mut context),
        };
        matches!(polled, Poll::Ready(_))
    }

    /// Nothing more can be sent.
    pub(super) fn fail(&mut self, error: SinkError) {
        self.failure.get_or_insert(error);
        self.flags.gone.store(true, Ordering::SeqCst);
        self.ending = Ending::Done;
        self.backlog.clear();
    }

    fn refused_by_h2(&mut self, error: &h2::Error) {
        log::debug!("a stream has gone: {error}");
        self.fail(SinkError::Disconnected);
    }

    /// Whether nothing keeps it here.
    pub(super) fn is_done(&self) -> bool {
        self.released && matches!(self.ending, Ending::Done)
    }
}

#[cfg(test)]
mod tests;
