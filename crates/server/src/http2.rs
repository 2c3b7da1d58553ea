//! A connection that speaks HTTP/2, as the reactor sees it: what it reads becomes exchanges, one for each stream; what
//! waits for the client is sent on; and the time of each stream and of the connection is watched.
//!
//! ```text
//!              the last stream ends            keep-alive is over, the server ends
//!   Active ◄────────────────────────► Idle ──────────────────────────────────────► GOAWAY ──► the end of a
//!      │       a stream begins          │     a rule is broken, a bound exceeded              connection of
//!      └────────────────────────────────┴───────────────────────────────────────────────────► HTTP/1
//! ```

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use h2::Reason;
use proto::Request;
use proto::h2::{FrameWatch, PREFACE, SWITCHING, first_stream, settings_frame, upgrade_settings};

use crate::codec::Codec;
use crate::connection::{Connection, Fate, READS};
use crate::exchange::Exchange;
use crate::http1::Http1;
use crate::link::Flushed;
use crate::sink::SinkError;
use crate::timers::Millis;
use crate::turn::Turn;

mod fields;
mod intake;
mod outlet;
mod pipe;
mod requests;
mod shared;
mod stream;

pub(crate) use fields::{Fields, page, response};
use intake::{BodyBounds, Intakes};
pub(crate) use outlet::{ResponsePiece, StreamOutlet};
use shared::Pumped;
pub(crate) use shared::SharedHttp2;
pub(crate) use stream::Last;

/// How long a client may take to end a connection after it was told to go, in milliseconds.
const FAREWELL: Millis = 2000;

/// A connection of HTTP/2.
#[derive(Debug)]
pub(crate) struct Http2 {
    pub(crate) shared: Arc<SharedHttp2>,
    watch: FrameWatch,
    /// Requests that are complete and not in the queue of the worker yet.
    pending: VecDeque<Box<Exchange>>,
    /// When the client has to begin a request; `Millis::MAX` while there is one.
    read_by: Millis,
    /// When the fields that it has begun to send have to be complete.
    fields_by: Millis,
    /// When the socket has to have taken something.
    send_by: Millis,
    /// When the connection ends, even where the client goes on.
    leave_by: Millis,
    /// When the first stream is overdue.
    streams_by: Millis,
    /// Bytes of the preface that are still to come, where it has been presented already.
    preface_left: usize,
    /// The server ends, and the connection with it once its streams have.
    winding_down: bool,
}

impl Http2 {
    fn new(shared: SharedHttp2, read_by: Millis) -> Http2 {
        Http2 {
            shared: Arc::new(shared),
            watch: FrameWatch::default(),
            pending: VecDeque::new(),
            read_by,
            fields_by: Millis::MAX,
            send_by: Millis::MAX,
            leave_by: Millis::MAX,
            streams_by: Millis::MAX,
            preface_left: 0,
            winding_down: false,
        }
    }

    /// When something is overdue.
    pub(crate) fn timeout(&self) -> Millis {
        let times = [self.read_by, self.fields_by, self.send_by, self.leave_by];
        times
            .into_iter()
            .min()
            .unwrap_or(Millis::MAX)
            .min(self.streams_by)
    }

    /// Whether it can be closed to make room: no request is under way.
    pub(crate) fn is_idle(&self) -> bool {
        self.read_by != Millis::MAX
    }
}

impl Connection {
    /// The client has sent the preface, and perhaps more, which is unread.
    pub(crate) fn begin_h2(&mut self, read_by: Millis, turn: &mut Turn) -> Fate {
        let link = Arc::clone(&self.link);
        let beginning = std::mem::take(&mut self.inbound);
        let Some(shared) = SharedHttp2::open(link, &turn.dispatcher, &beginning) else {
            return Fate::Closed;
        };
        let mut http2 = Http2::new(shared, read_by);
        let excess = http2.watch.hear(&beginning, turn.now());
        if let Err(excess) = excess {
            log::debug!("a connection of HTTP/2 is ended: {excess}");
            return Fate::Closed;
        }
        self.charge = None;
        self.codec = Codec::H2(Box::new(http2));
        self.move_on_h2(turn)
    }

    /// The settings of the client, where a request of HTTP/1.1 asks for HTTP/2 and may.
    pub(crate) fn asks_for_h2(&self, request: &Request, turn: &Turn) -> Option<Vec<u8>> {
        let is_allowed = turn.dispatcher.options.http2.cleartext.takes_upgrade();
        match is_allowed && self.ends.trusted {
            true => upgrade_settings(request),
            false => None,
        }
    }

    /// Turns the connection into one of HTTP/2, whose first stream is the request. The client sends its preface yet.
    pub(crate) fn upgrade_to_h2(
        &mut self,
        request: &Request,
        settings: &[u8],
        turn: &mut Turn,
    ) -> Fate {
        if self.link.send(&[SWITCHING]).is_err() {
            return Fate::Closed;
        }
        let link = Arc::clone(&self.link);
        let settings = settings_frame(settings);
        let Some(shared) = SharedHttp2::upgrade(link, &turn.dispatcher, &settings) else {
            return Fate::Closed;
        };
        shared.state().feed(&first_stream(request));
        let mut http2 = Http2::new(shared, Millis::MAX);
        http2.preface_left = PREFACE.len();
        self.codec = Codec::H2(Box::new(http2));
        self.charge = None;
        let unread = std::mem::take(&mut self.inbound);
        match self.hear_h2(&unread, turn) {
            Fate::Open => self.progress_h2(turn),
            fate => fate,
        }
    }

    /// Reads what there is.
    pub(crate) fn progress_h2(&mut self, turn: &mut Turn) -> Fate {
        for _ in 0..READS {
            let Codec::H2(http2) = &mut self.codec else {
                return Fate::Open;
            };
            let shared = Arc::clone(&http2.shared);
            if !self.readable || !shared.may_read() {
                return Fate::Open;
            }
            let mut scratch = std::mem::take(&mut turn.scratch);
            let received = self.receive(&mut scratch);
            let fate = match received {
                Ok(0) => {
                    shared.state().end_input();
                    self.readable = false;
                    self.move_on_h2(turn)
                }
                Ok(count) => self.hear_h2(&scratch[..count], turn),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.readable = false;
                    Fate::Open
                }
                Err(_) => Fate::Closed,
            };
            turn.scratch = scratch;
            if fate != Fate::Open {
                return fate;
            }
        }
        turn.again.push(self.id);
        Fate::Open
    }

    fn hear_h2(&mut self, input: &[u8], turn: &mut Turn) -> Fate {
        let Codec::H2(http2) = &mut self.codec else {
            return Fate::Open;
        };
        let verdict = http2.watch.hear(input, turn.now());
        let (preface, rest) = input.split_at(http2.preface_left.min(input.len()));
        let expected = &PREFACE[PREFACE.len() - http2.preface_left..][..preface.len()];
        http2.preface_left -= preface.len();
        let mut state = http2.shared.state();
        match verdict {
            Ok(()) if preface != expected => state.abort(Reason::PROTOCOL_ERROR),
            Ok(()) => state.feed(rest),
            Err(excess) => {
                log::debug!("a connection of HTTP/2 is ended: {excess}");
                state.abort(Reason::ENHANCE_YOUR_CALM);
            }
        }
        drop(state);
        let within_fields = http2.watch.is_within_fields();
        http2.fields_by = match (within_fields, http2.fields_by) {
            (false, _) => Millis::MAX,
            (true, Millis::MAX) => turn.now().saturating_add(turn.settings.header_timeout),
            (true, began) => began,
        };
        self.move_on_h2(turn)
    }

    /// Does what follows from what was read, answered or sent: streams that have begun become exchanges, bodies are
    /// read, and what can be sent is.
    pub(crate) fn move_on_h2(&mut self, turn: &mut Turn) -> Fate {
        let Codec::H2(http2) = &mut self.codec else {
            return Fate::Open;
        };
        let shared = Arc::clone(&http2.shared);
        let saw_reset = http2.watch.take_reset();
        let mut intakes = Intakes::default();
        let mut begun = Vec::new();
        let mut state = shared.state();
        state.told = false;
        let mut pumped = shared.pump(&mut state);
        while let Some(arrived) = state.accept() {
            begun.push(arrived);
        }
        if saw_reset {
            state.look_for_resets(&mut intakes);
        }
        drop(state);
        for arrived in begun {
            self.begin_stream(&shared, arrived, turn);
        }
        let mut state = shared.state();
        let options = &turn.dispatcher.options;
        let bounds = BodyBounds {
            disk: &options.disk,
            limit: turn.settings.body_limit,
            timeout: turn.settings.body_timeout,
            now: turn.clock.now,
        };
        state.read_bodies(bounds, &mut intakes);
        if shared.pump(&mut state) == Pumped::More {
            pumped = Pumped::More;
        }
        state.take_room(&mut intakes.events);
        state.tell_failed(&mut intakes);
        drop(state);
        if pumped == Pumped::More {
            turn.again.push(self.id);
        }
        self.take_bodies(&shared, intakes, turn);
        self.settle_h2(turn)
    }

    /// Sets the times, and ends a connection that is over.
    fn settle_h2(&mut self, turn: &mut Turn) -> Fate {
        self.feed_threads(turn);
        let Codec::H2(http2) = &mut self.codec else {
            return Fate::Open;
        };
        let now = turn.clock.now;
        let mut state = http2.shared.state();
        let is_over = state.is_over();
        let is_idle = state.streams.is_empty() && http2.pending.is_empty();
        if is_idle && http2.read_by == Millis::MAX {
            http2.read_by = now.saturating_add(turn.settings.keep_alive);
        } else if !is_idle {
            http2.read_by = Millis::MAX;
        }
        if http2.winding_down && !state.is_going_away() {
            state.go_away();
            turn.again.push(self.id);
        }
        if is_idle && state.is_going_away() && http2.leave_by == Millis::MAX {
            http2.leave_by = now.saturating_add(FAREWELL);
        }
        state.watch_sending(now, turn.settings.send_timeout);
        http2.streams_by = state.timeout();
        drop(state);
        if self.link.has_pending() && http2.send_by == Millis::MAX {
            http2.send_by = now.saturating_add(turn.settings.send_timeout);
            self.unsent = self.link.unsent();
        }
        match is_over {
            true => self.end_h2(turn),
            false => Fate::Open,
        }
    }

    /// Nothing more is read or sent: what waits in the link still goes out, and the client has a while to end its side.
    fn end_h2(&mut self, turn: &mut Turn) -> Fate {
        self.lose_h2(turn);
        let mut http = Http1::ending();
        let step = match self.link.has_pending() {
            true => None,
            false => Some(http.session.sent(&turn.settings, turn.clock.now)),
        };
        self.codec = Codec::H1(http);
        turn.again.push(self.id);
        match step {
            Some(step) => self.follow(step, turn),
            None => {
                self.watch_sending(turn);
                Fate::Open
            }
        }
    }

    /// The connection is gone: no stream can be answered.
    pub(crate) fn lose_h2(&mut self, turn: &mut Turn) {
        let Codec::H2(http2) = &mut self.codec else {
            return;
        };
        let shared = Arc::clone(&http2.shared);
        let mut intakes = Intakes::default();
        shared.state().lose_all(&mut intakes);
        shared.drained.notify_all();
        self.take_bodies(&shared, intakes, turn);
        self.abandon_pending();
    }

    /// Sends on what waits, and watches that the client takes something now and then.
    pub(crate) fn flush_h2(&mut self, turn: &mut Turn) -> Fate {
        let (flushed, moved) = self.link.flush();
        let Codec::H2(http2) = &mut self.codec else {
            return Fate::Open;
        };
        if moved || flushed == Flushed::Empty {
            http2.send_by = Millis::MAX;
        }
        match flushed {
            Flushed::Broken => return Fate::Closed,
            Flushed::More => turn.again.push(self.id),
            Flushed::Empty | Flushed::Blocked => {}
        }
        self.move_on_h2(turn)
    }

    /// A deadline has passed.
    pub(crate) fn expire_h2(&mut self, turn: &mut Turn) -> Fate {
        let now = turn.now();
        let Codec::H2(http2) = &mut self.codec else {
            return Fate::Open;
        };
        if http2.leave_by <= now {
            return Fate::Closed;
        }
        if http2.send_by <= now {
            http2.send_by = Millis::MAX;
            let before = std::mem::replace(&mut self.unsent, self.link.unsent());
            if self.link.has_pending() && self.unsent >= before {
                self.link.cut(SinkError::TimedOut);
                return Fate::Closed;
            }
        }
        let mut intakes = Intakes::default();
        let shared = Arc::clone(&http2.shared);
        let mut state = shared.state();
        if http2.fields_by <= now {
            log::debug!("a connection of HTTP/2 is ended: a request head did not arrive in time");
            http2.fields_by = Millis::MAX;
            state.abort(Reason::ENHANCE_YOUR_CALM);
        } else if http2.read_by <= now {
            http2.read_by = now.saturating_add(FAREWELL);
            http2.leave_by = http2.read_by;
            state.go_away();
        }
        if http2.streams_by <= now {
            state.expire(now, &mut intakes);
        }
        drop(state);
        self.take_bodies(&shared, intakes, turn);
        self.move_on_h2(turn)
    }

    /// The server comes to its end: the client is to begin nothing more, and what it has begun is finished.
    pub(crate) fn wind_down_h2(&mut self, turn: &mut Turn) -> Fate {
        if let Codec::H2(http2) = &mut self.codec {
            http2.winding_down = true;
        }
        self.move_on_h2(turn)
    }
}
