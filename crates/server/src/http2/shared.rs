//! What the reactor and the threads that answer share of one connection of HTTP/2: the connection of the h2 crate, and
//! the streams. Each side does under one short lock what it has to do; what is to be sent leaves under the same lock,
//! because frames have an order.
//!
//! Three bounds hold the memory of a connection whose client does not take what it is sent: [`OUTPUT`] for frames that
//! are made, [`STALLED`] for what waits for windows, and the window of the connection for what the client sends.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use h2::Reason;
use h2::server::{Connection, SendResponse};
use parking_lot::{Condvar, Mutex, MutexGuard};
use proto::h2::PREFACE;

use super::pipe::Pipe;
use super::stream::{Ending, Stream};
use crate::dispatcher::Dispatcher;
use crate::exchange::ExchangeId;
use crate::inlet::Event;
use crate::link::{Delivery, Link};
use crate::options::Http2Options;
use crate::sink::SinkError;
use crate::timers::Millis;

/// Bytes of frames that are made ahead of the socket: a few full frames, so that a system call is worth its cost.
/// Beyond it the h2 crate neither sends nor reads.
pub(super) const OUTPUT: usize = 64 * 1024;

/// What one stream sends before the next one has its turn: the longest frame that every client takes.
const QUANTUM: usize = 16 * 1024;

/// What is sent in one go, so that a fast download does not hold up other connections.
const FLUSH_BYTES: usize = 1024 * 1024;

/// The memory of what waits for the windows of a client, over all streams of a connection: as much as one connection of
/// HTTP/1 may hold. Beyond it what waits goes to disk.
pub(super) const STALLED: usize = 1024 * 1024;

/// The same where there is no disk for it: the stream that would exceed it is broken off.
pub(super) const STALLED_MOST: usize = 8 * STALLED;

/// What a stream may always hold, however much the others do: a client that stalls some streams must not stop those
/// that it reads.
pub(super) const STREAM_SHARE: usize = 16 * 1024;

/// How much of what waits a client has to take within `send_timeout`, if there is as much: one that takes a byte now
/// and then would hold the rest for ever.
const PROGRESS: u64 = 4096;

/// What the h2 crate buffers of one stream. It is given no more than the windows admit, so this never waits for them.
const SEND_BUFFER: usize = 64 * 1024;

/// The window of a connection: what a client may have sent, over all streams, that no application has taken.
const CONNECTION_WINDOW: u32 = 1024 * 1024;

/// Streams that the server breaks off because the client breaks rules, before the connection ends ("MadeYouReset",
/// CVE-2025-8671).
const LOCAL_ERRORS: usize = 100;

/// What the h2 crate answers to the settings of a client.
const SETTINGS_ACK: &[u8] = &[0, 0, 0, 4, 1, 0, 0, 0, 0];

/// The table of HPACK, in bytes: the initial value of RFC 9113, section 6.5.2.
const HEADER_TABLE: u32 = 4096;

/// The longest list of fields where the operator sets no limit.
const HEADER_LIST: u32 = 1024 * 1024;

/// One connection.
pub(crate) struct SharedHttp2 {
    pub(super) link: Arc<Link>,
    pub(super) dispatcher: Arc<Dispatcher>,
    state: Mutex<Http2State>,
    /// Some of what a stream waits for has been sent.
    pub(super) drained: Condvar,
    /// Exchanges that wait for a thread.
    pub(super) queued: AtomicUsize,
}

/// The part that the lock guards.
pub(super) struct Http2State {
    connection: Connection<Pipe, Bytes>,
    pipe: Pipe,
    /// By the numbers of their exchanges.
    pub(super) streams: HashMap<u64, Stream>,
    /// Those that have something in their backlogs, the next one to send first.
    pub(super) waiting: Vec<u64>,
    /// Those whose request is still coming.
    pub(super) uploads: Vec<u64>,
    /// The reactor has been told that it has something to do, and has not looked since.
    pub(super) told: bool,
    /// Nothing more is read or sent.
    over: bool,
    going_away: bool,
}

/// A stream that has begun.
pub(super) struct Arrived {
    pub(super) head: http::request::Parts,
    pub(super) body: h2::RecvStream,
    pub(super) respond: SendResponse<Bytes>,
}

/// How far sending came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pumped {
    /// As far as it can.
    Done,
    /// To the bound of one go.
    More,
}

impl std::fmt::Debug for SharedHttp2 {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("SharedHttp2")
            .finish_non_exhaustive()
    }
}

/// Nothing is ever woken: each side looks after what it has done.
pub(super) fn context() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

impl SharedHttp2 {
    /// A connection whose client has sent `beginning`: the preface, and perhaps more. `None` where that breaks a rule.
    pub(super) fn open(
        link: Arc<Link>,
        dispatcher: &Arc<Dispatcher>,
        beginning: &[u8],
    ) -> Option<SharedHttp2> {
        let pipe = Pipe::default();
        pipe.set_room(OUTPUT);
        pipe.feed(beginning);
        let builder = builder(&dispatcher.options.http2);
        let handshake = std::pin::pin!(builder.handshake(pipe.clone()));
        let Poll::Ready(Ok(connection)) = handshake.poll(&mut context()) else {
            return None;
        };
        Some(SharedHttp2 {
            link,
            dispatcher: Arc::clone(dispatcher),
            state: Mutex::new(Http2State {
                connection,
                pipe,
                streams: HashMap::new(),
                waiting: Vec::new(),
                uploads: Vec::new(),
                told: false,
                over: false,
                going_away: false,
            }),
            drained: Condvar::new(),
            queued: AtomicUsize::new(0),
        })
    }

    /// A connection that has asked for HTTP/2 in a request of HTTP/1.1, with these settings. That the server changed
    /// protocols is their acknowledgement (RFC 7540, section 3.2.1), so that of the h2 crate does not go out.
    pub(super) fn upgrade(
        link: Arc<Link>,
        dispatcher: &Arc<Dispatcher>,
        settings: &[u8],
    ) -> Option<SharedHttp2> {
        let beginning = [PREFACE.as_slice(), settings].concat();
        let shared = SharedHttp2::open(link, dispatcher, &beginning)?;
        let mut state = shared.state();
        state.poll();
        let mut output = state.pipe.take_output();
        if output.ends_with(SETTINGS_ACK) {
            output.truncate(output.len() - SETTINGS_ACK.len());
        }
        let is_sent = shared.link.send(&[&output]).is_ok() && !state.over;
        drop(state);
        is_sent.then_some(shared)
    }

    pub(super) fn state(&self) -> MutexGuard<'_, Http2State> {
        self.state.lock()
    }

    /// Sends what there is to be sent, and reads what can be read.
    pub(super) fn pump(&self, state: &mut Http2State) -> Pumped {
        let mut sent = 0;
        let pumped = loop {
            let blocked = self.link.has_pending();
            state.pipe.set_room(if blocked { 0 } else { OUTPUT });
            if !blocked {
                state.refill(OUTPUT);
            }
            state.poll();
            let output = state.pipe.take_output();
            if output.is_empty() {
                break Pumped::Done;
            }
            sent += output.len();
            if self.link.send(&[&output]).is_err() {
                state.end();
                break Pumped::Done;
            }
            state.pipe.give_back(output);
            if sent >= FLUSH_BYTES {
                break Pumped::More;
            }
        };
        state.drop_done();
        self.drained.notify_all();
        pumped
    }

    /// Whether the client may be read from: what was read before has been taken.
    pub(super) fn may_read(&self) -> bool {
        let state = self.state();
        !state.over && !state.pipe.has_input()
    }

    /// Notes what the thread that answers leaves to the reactor: says whether it has to be told.
    pub(super) fn tell(&self, state: &mut Http2State, stream: u64) -> Delivery {
        let waits = |stream: &Stream| !stream.backlog.is_empty();
        let waits = state.streams.get(&stream).is_some_and(waits);
        let rest = self.link.has_pending() || state.pipe.has_input() || state.over;
        if !waits && !rest && !state.owes_room() {
            return Delivery::Done;
        }
        match std::mem::replace(&mut state.told, true) {
            true => Delivery::Waiting,
            false => Delivery::Untold,
        }
    }
}

fn builder(options: &Http2Options) -> h2::server::Builder {
    let mut builder = h2::server::Builder::new();
    builder
        .initial_window_size(options.window)
        .initial_connection_window_size(CONNECTION_WINDOW.max(options.window))
        .max_frame_size(options.frame)
        .max_concurrent_streams(options.streams)
        .max_header_list_size(match options.header_list {
            0 => HEADER_LIST,
            list => list,
        })
        .header_table_size(HEADER_TABLE)
        .max_send_buffer_size(SEND_BUFFER)
        .max_local_error_reset_streams(Some(LOCAL_ERRORS));
    builder
}

impl Http2State {
    fn poll(&mut self) {
        if !self.over && self.connection.poll_closed(&mut context()).is_ready() {
            self.end();
        }
    }

    /// Nothing more is read or sent.
    pub(super) fn end(&mut self) {
        self.over = true;
        self.waiting.clear();
        for stream in self.streams.values_mut() {
            if !matches!(stream.ending, Ending::Done) || stream.body.is_some() {
                stream.fail(SinkError::Disconnected);
            }
        }
    }

    /// The next stream that has begun.
    pub(super) fn accept(&mut self) -> Option<Arrived> {
        if self.over {
            return None;
        }
        match self.connection.poll_accept(&mut context()) {
            Poll::Ready(Some(Ok((request, respond)))) => {
                let (head, body) = request.into_parts();
                Some(Arrived {
                    head,
                    body,
                    respond,
                })
            }
            Poll::Ready(Some(Err(error))) => {
                log::debug!("a connection of HTTP/2 has ended: {error}");
                self.end();
                None
            }
            Poll::Ready(None) => {
                self.end();
                None
            }
            Poll::Pending => None,
        }
    }

    /// Takes what was read.
    pub(super) fn feed(&mut self, input: &[u8]) {
        self.pipe.feed(input);
    }

    /// The client has ended its side.
    pub(super) fn end_input(&mut self) {
        self.pipe.end();
    }

    pub(super) fn is_over(&self) -> bool {
        self.over
    }

    /// Asks the client to begin no more streams (RFC 9113, section 6.8): first for all that it has not begun, then,
    /// when it has answered a PING, for those behind the last that has arrived.
    pub(super) fn go_away(&mut self) {
        if !std::mem::replace(&mut self.going_away, true) {
            self.connection.graceful_shutdown();
        }
    }

    pub(super) fn is_going_away(&self) -> bool {
        self.going_away
    }

    /// Ends the connection because of what its client does.
    pub(super) fn abort(&mut self, reason: Reason) {
        self.going_away = true;
        self.connection.abrupt_shutdown(reason);
    }

    /// Moves what waits on, each stream in its turn, until `most` bytes are under way.
    fn refill(&mut self, most: usize) {
        let mut left = most;
        for _ in 0..self.waiting.len() {
            if left == 0 || self.waiting.is_empty() {
                break;
            }
            let number = self.waiting.remove(0);
            let Some(stream) = self.streams.get_mut(&number) else {
                continue;
            };
            left -= stream.refill(QUANTUM.min(left));
            if !stream.backlog.is_empty() {
                self.waiting.push(number);
            }
        }
    }

    /// Notes that a stream may have something that waits.
    pub(super) fn note_waiting(&mut self, number: u64) {
        let waits = |stream: &Stream| !stream.backlog.is_empty();
        if self.streams.get(&number).is_some_and(waits) && !self.waiting.contains(&number) {
            self.waiting.push(number);
        }
    }

    /// The memory of all that waits.
    pub(super) fn stalled(&self) -> usize {
        let streams = self
            .waiting
            .iter()
            .filter_map(|number| self.streams.get(number));
        streams.map(|stream| stream.backlog.memory()).sum()
    }

    /// Forgets the streams of which nothing is left.
    fn drop_done(&mut self) {
        self.streams.retain(|_, stream| !stream.is_done());
    }

    /// Whether a stream that may hold `limit` bytes of memory may go on.
    pub(super) fn has_room(&self, stream: &Stream, limit: usize) -> bool {
        let memory = stream.backlog.memory();
        memory <= STREAM_SHARE.min(limit) || (memory <= limit && self.stalled() <= STALLED)
    }

    /// Whether a stream that asked for room can be told that there is some.
    fn owes_room(&self) -> bool {
        let owed = |stream: &Stream| stream.awaits_room && self.may_tell_room(stream);
        self.streams.values().any(owed)
    }

    fn may_tell_room(&self, stream: &Stream) -> bool {
        stream.failure.is_some() || self.has_room(stream, crate::backlog::LOOP_LOW_WATER)
    }

    /// The streams that have to be told that there is room, or that there will never be.
    pub(super) fn take_room(&mut self, events: &mut Vec<Event>) {
        let told: Vec<u64> = self
            .streams
            .iter()
            .filter(|(_, stream)| stream.awaits_room && self.may_tell_room(stream))
            .map(|(number, _)| *number)
            .collect();
        for number in told {
            if let Some(stream) = self.streams.get_mut(&number) {
                stream.awaits_room = false;
                events.push(Event::Room(stream.id));
            }
        }
    }

    /// Adds a stream, under the number of its exchange.
    pub(super) fn insert(&mut self, id: ExchangeId, arrived: Arrived) -> &mut Stream {
        let stream = Stream::new(id, arrived.respond, arrived.body);
        self.streams
            .entry(id.number)
            .insert_entry(stream)
            .into_mut()
    }

    /// The exchange of a stream is over.
    pub(super) fn release(&mut self, number: u64) {
        if let Some(stream) = self.streams.get_mut(&number) {
            stream.released = true;
            if matches!(stream.ending, Ending::Open) {
                stream.reset(Reason::INTERNAL_ERROR);
            }
        }
        self.uploads.retain(|upload| *upload != number);
        self.drop_done();
    }

    /// Gives the clients of streams that wait their time, anew where they have taken enough.
    pub(super) fn watch_sending(&mut self, now: Millis, send_timeout: Millis) {
        for stream in self.streams.values_mut() {
            if stream.backlog.is_empty() {
                stream.send_by = Millis::MAX;
            } else if stream.send_by == Millis::MAX || stream.moved >= PROGRESS {
                stream.send_by = now.saturating_add(send_timeout);
                stream.moved = 0;
            }
        }
    }

    /// When the first stream is overdue.
    pub(super) fn timeout(&self) -> Millis {
        let due = |stream: &Stream| stream.read_by.min(stream.send_by);
        self.streams.values().map(due).min().unwrap_or(Millis::MAX)
    }
}
