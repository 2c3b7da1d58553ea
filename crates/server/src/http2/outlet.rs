//! A stream as the thread that answers sees it. It needs no reactor to send; what the client does not take at once
//! waits with the stream, and the reactor sends it on.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use h2::Reason;
use parking_lot::MutexGuard;

use super::fields::{self, Fields};
use super::shared::{Http2State, STALLED, STALLED_MOST, SharedHttp2};
use super::stream::{Ending, Last, Stream, StreamFlags};
use crate::backlog::{HIGH_WATER, LOW_WATER, Spool};
use crate::burst::Timing;
use crate::link::{Delivery, Link};
use crate::sink::{FilePart, Room, SinkError};

/// The sending side of one stream.
#[derive(Debug, Clone)]
pub(crate) struct StreamOutlet {
    shared: Arc<SharedHttp2>,
    flags: Arc<StreamFlags>,
    number: u64,
}

/// A piece of a response.
#[derive(Debug)]
pub(crate) enum ResponsePiece<'a> {
    Bytes(&'a [u8]),
    File(FilePart),
}

impl StreamOutlet {
    pub(super) fn new(
        shared: &Arc<SharedHttp2>,
        flags: &Arc<StreamFlags>,
        number: u64,
    ) -> StreamOutlet {
        StreamOutlet {
            shared: Arc::clone(shared),
            flags: Arc::clone(flags),
            number,
        }
    }

    /// The connection of the stream.
    pub(crate) fn link(&self) -> &Arc<Link> {
        &self.shared.link
    }

    pub(crate) fn is_same(&self, other: &StreamOutlet) -> bool {
        self.number == other.number
    }

    /// Its exchange waits for a thread.
    pub(crate) fn note_queued(&self) {
        self.shared.queued.fetch_add(1, Ordering::SeqCst);
    }

    /// A thread has taken its exchange, or none will.
    pub(crate) fn note_taken(&self) {
        self.shared.queued.fetch_sub(1, Ordering::SeqCst);
    }

    /// How often something was sent; `None` where nothing can be sent any more.
    pub(crate) fn taken(&self) -> Option<u64> {
        match self.is_gone() {
            true => None,
            false => Some(self.flags.sent.load(Ordering::SeqCst)),
        }
    }

    /// Whether nothing can be sent any more.
    pub(crate) fn is_gone(&self) -> bool {
        self.flags.gone.load(Ordering::SeqCst)
    }

    /// Whether the request was answered in place of its thread.
    pub(crate) fn is_overdue(&self) -> bool {
        self.flags.overdue.load(Ordering::SeqCst)
    }

    /// Does something with the stream, and sends what comes of it.
    fn act(&self, timing: Timing, act: impl FnOnce(&mut Stream)) -> Result<Delivery, SinkError> {
        self.act_counted(timing, 1, act)
    }

    /// The same; `counts` is 0 for what is no part of the response.
    fn act_counted(
        &self,
        timing: Timing,
        counts: u64,
        act: impl FnOnce(&mut Stream),
    ) -> Result<Delivery, SinkError> {
        let shared = &self.shared;
        let mut state = shared.state();
        let Some(stream) = state.streams.get_mut(&self.number) else {
            return Err(SinkError::Disconnected);
        };
        if let Some(error) = stream.failure {
            return Err(error);
        }
        // What the socket does not take had better wait here, where it counts, than in the h2 crate.
        stream.holds = shared.link.has_pending();
        act(stream);
        if let Some(error) = stream.failure {
            return Err(error);
        }
        self.flags.sent.fetch_add(counts, Ordering::SeqCst);
        let is_over = matches!(stream.ending, Ending::Done);
        state.note_waiting(self.number);
        self.bound(&mut state);
        let others_follow = is_over && shared.queued.load(Ordering::SeqCst) > 0;
        if timing == Timing::EndOfTurn || others_follow {
            // What the next requests of the client are answered leaves together; where that takes long, the reactor
            // comes first.
            return Ok(match std::mem::replace(&mut state.told, true) {
                true => Delivery::Waiting,
                false => Delivery::Untold,
            });
        }
        shared.pump(&mut state);
        Ok(shared.tell(&mut state, self.number))
    }

    /// Sends what is there of the response, which may begin or end with it.
    pub(crate) fn send(
        &self,
        head: Option<Fields>,
        piece: ResponsePiece<'_>,
        last: Last,
        timing: Timing,
    ) -> Result<Delivery, SinkError> {
        self.act(timing, |stream| {
            let is_empty = matches!(piece, ResponsePiece::Bytes([]));
            if let Some(head) = head {
                let alone = match is_empty {
                    true => last,
                    false => Last::No,
                };
                stream.begin(head, alone);
            }
            match piece {
                ResponsePiece::Bytes(bytes) => stream.push(bytes, last),
                ResponsePiece::File(part) => stream.push_file(part, last),
            }
        })
    }

    /// Ends the response, with trailer fields as `h1::encode_trailer` writes them.
    pub(crate) fn finish(&self, trailers: &[u8], timing: Timing) -> Result<Delivery, SinkError> {
        let trailers = fields::trailers(trailers);
        self.act(timing, |stream| stream.finish(trailers))
    }

    /// Sends an interim response.
    pub(crate) fn interim(&self, fields: Fields, timing: Timing) -> Result<Delivery, SinkError> {
        self.act(timing, |stream| stream.interim(fields))
    }

    /// Tells a client that waits for it to send the body of its request.
    pub(crate) fn permit_body(&self) -> Result<Delivery, SinkError> {
        self.act_counted(Timing::AtOnce, 0, |stream| {
            stream.interim(fields::permission());
        })
    }

    /// Breaks the response off: the client is told that what it has is not whole, and its other streams go on.
    pub(crate) fn break_off(&self) {
        let broken = self.act(Timing::AtOnce, |stream| {
            if !matches!(stream.ending, Ending::Done) {
                stream.reset(Reason::INTERNAL_ERROR);
            }
        });
        log::debug!("a response was broken off: {broken:?}");
    }

    /// Answers in place of a thread that does not, if nothing was sent since [`StreamOutlet::taken`] said `mark`; says
    /// whether that was so. Either way the thread finds the client gone.
    pub(crate) fn answer_in_place(&self, mark: u64, head: Fields, body: &[u8]) -> bool {
        let mut state = self.shared.state();
        let Some(stream) = state.streams.get_mut(&self.number) else {
            return false;
        };
        let silent = stream.failure.is_none() && self.flags.sent.load(Ordering::SeqCst) == mark;
        if silent {
            let last = match body {
                [] => Last::Yes,
                _ => Last::No,
            };
            stream.begin(head, last);
            stream.push(body, Last::Yes);
            self.flags.overdue.store(true, Ordering::SeqCst);
        } else if !matches!(stream.ending, Ending::Done) {
            stream.reset(Reason::INTERNAL_ERROR);
        }
        // What waits still goes out, but the thread can add nothing.
        stream.failure.get_or_insert(SinkError::TimedOut);
        self.flags.gone.store(true, Ordering::SeqCst);
        state.note_waiting(self.number);
        self.shared.pump(&mut state);
        silent
    }

    /// Holds what waits for the windows of the client within its bounds.
    fn bound(&self, state: &mut MutexGuard<'_, Http2State>) {
        if state.stalled() <= STALLED {
            return;
        }
        let spool = self.shared.dispatcher.options.response_spool();
        for number in state.waiting.clone() {
            if let Some(stream) = state.streams.get_mut(&number) {
                stream.backlog.spill(spool, LOW_WATER);
            }
        }
        if state.stalled() > STALLED_MOST
            && let Some(stream) = state.streams.get_mut(&self.number)
        {
            log::warn!(
                "a response is broken off: its client takes nothing, and there is no room for it"
            );
            stream.reset(Reason::ENHANCE_YOUR_CALM);
            stream.fail(SinkError::TimedOut);
        }
    }

    /// Looks at the stream, if it is still there.
    fn look<R>(&self, look: impl FnOnce(&Http2State, &Stream) -> R) -> Option<R> {
        let state = self.shared.state();
        let stream = state.streams.get(&self.number)?;
        Some(look(&state, stream))
    }

    /// Whether a thread that streams may go on without waiting.
    pub(crate) fn has_room(&self) -> bool {
        self.look(|state, stream| stream.failure.is_none() && state.has_room(stream, HIGH_WATER))
            .unwrap_or(false)
    }

    /// Whether something waits for the client.
    pub(crate) fn has_pending(&self) -> bool {
        self.look(|_, stream| !stream.backlog.is_empty())
            .unwrap_or(false)
    }

    /// Makes room in memory for a stream whose client is slow.
    pub(crate) fn spill(&self, spool: Spool<'_>) {
        if let Some(stream) = self.shared.state().streams.get_mut(&self.number) {
            stream.backlog.spill(spool, LOW_WATER);
        }
    }

    /// Holds the calling thread while too much waits. Says also whether [`StreamOutlet::interrupt`] ended the wait.
    pub(crate) fn wait_for_room(&self) -> (Result<(), SinkError>, bool) {
        let shared = &self.shared;
        let mut state = shared.state();
        loop {
            let Some(stream) = state.streams.get(&self.number) else {
                return (Err(SinkError::Disconnected), false);
            };
            if let Some(error) = stream.failure {
                return (Err(error), false);
            }
            if state.has_room(stream, LOW_WATER) {
                return (Ok(()), false);
            }
            if let Some(stream) = state.streams.get_mut(&self.number)
                && std::mem::take(&mut stream.interrupted)
            {
                return (Ok(()), true);
            }
            shared.drained.wait(&mut state);
        }
    }

    /// Ends the wait of the thread that waits for room.
    pub(crate) fn interrupt(&self) {
        if let Some(stream) = self.shared.state().streams.get_mut(&self.number) {
            stream.interrupted = true;
        }
        self.shared.drained.notify_all();
    }

    /// Whether a task may go on that waits where more than `limit` bytes of memory are held. If not, the reactor tells
    /// when it may.
    pub(crate) fn ask_for_room(&self, limit: usize) -> Result<Room, SinkError> {
        let mut state = self.shared.state();
        let Some(stream) = state.streams.get(&self.number) else {
            return Err(SinkError::Disconnected);
        };
        if let Some(error) = stream.failure {
            return Err(error);
        }
        let room = match state.has_room(stream, limit) {
            true => Room::Enough,
            false => Room::Full,
        };
        if let Some(stream) = state.streams.get_mut(&self.number) {
            stream.awaits_room = room == Room::Full;
        }
        Ok(room)
    }

    /// Sends what was held for the end of a turn. Says whether the reactor has something to do for it.
    pub(crate) fn send_held(&self) -> bool {
        let mut state = self.shared.state();
        state.told = false;
        self.shared.pump(&mut state);
        self.shared.tell(&mut state, self.number) == Delivery::Untold
    }
}
