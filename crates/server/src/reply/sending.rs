//! The sending half of a response: the head with the first piece, how much of each piece may go out, and what became of
//! it on the way.

use std::sync::atomic::Ordering;

use proto::h1::{ResponseContext, ResponseFraming};

use super::Reply;
use super::compressing::First;
use super::state::{Mismatch, Progress, Remaining, ReplyError, State};
use crate::burst::Timing;
use crate::http2::Last;
use crate::link::Delivery;
use crate::sink::{EncodedHead, FilePart, Room, SinkError};

/// Pieces of a response that an event loop sends at once in a turn: more than most responses have.
const FIRST_PARTS: u32 = 8;

impl Reply {
    /// When the next part of those that an event loop sends is to leave.
    pub(super) fn timing(&mut self) -> Timing {
        let turn = self.dispatcher.turns.load(Ordering::Relaxed);
        self.burst.next(turn, FIRST_PARTS)
    }

    /// Leaves a part to the end of the turn where the other answers of the turn leave then.
    pub(super) fn with_others(&self, timing: Timing, length: usize) -> Timing {
        match self.dispatcher.held.admits(length) {
            true => Timing::EndOfTurn,
            false => timing,
        }
    }

    pub(super) fn room(&mut self) -> Result<Room, ReplyError> {
        self.ask_for_room(self.burst.limit())
    }

    /// Whether no more than `limit` bytes of memory wait for the client; an event tells when that is so again.
    pub(super) fn ask_for_room(&mut self, limit: usize) -> Result<Room, ReplyError> {
        let room = self.sink.outlet().ask_for_room(limit);
        if let Err(error) = room {
            self.state = State::Lost(error);
        }
        Ok(room?)
    }

    /// Waits where too much waits for the client, if it may not go to disk.
    pub(super) fn make_room(&mut self) -> Result<(), SinkError> {
        if !self.has_room_on_disk() {
            let room = self.dispatcher.wait_for_room(&self.sink.outlet());
            self.note(room.map(|()| Delivery::Done))?;
        }
        Ok(())
    }

    /// Whether there is room for more, in memory or after what waits has gone to disk.
    pub(super) fn has_room_on_disk(&self) -> bool {
        self.sink.has_room() || {
            let outlet = self.sink.outlet();
            outlet.spill(self.dispatcher.options.response_spool());
            outlet.has_room()
        }
    }

    /// Makes the head and decides with it what may follow. `first` is what comes first of the body.
    fn begin(&mut self, known_length: Option<u64>, first: First<'_>) -> (EncodedHead, Remaining) {
        let coded = self.decide_coding(known_length, first);
        let length = match coded {
            Some(_) => self.coded_length(),
            None => known_length,
        };
        let dispatcher = &self.dispatcher;
        let context = ResponseContext {
            version: self.asked.version,
            content: self.asked.content,
            keep_alive: self.keep_alive
                && self
                    .upload
                    .as_ref()
                    .is_none_or(|upload| upload.allows_next())
                && dispatcher.stopping().is_none()
                && dispatcher.options.session.keep_alive > 0,
        };
        let date = dispatcher.date.now();
        let added = dispatcher.options.additions(&date);
        if let (Some(id), Some(ids)) = (&self.request_id, &dispatcher.options.request_ids) {
            let told = |(name, _): (&[u8], &[u8])| name.eq_ignore_ascii_case(ids.field());
            if !self.head.fields().any(told) {
                // Both were judged with the request.
                let _ = self.head.push(ids.field(), id);
            }
        }
        let head = &self.head;
        let (encoded, framing, keep_alive) = self.sink.head(head, &context, length, added);
        // A client takes 1xx for a promise of the real answer (RFC 9110, section 15.2), and would find it in the next
        // one.
        self.keep_alive = keep_alive && !matches!(head.status(), 100..=199);
        self.status = head.status();
        if dispatcher.access_log.wants_response_fields() {
            self.fields = head.encoded_fields().to_vec();
        }
        let remaining = match (coded, framing) {
            (Some(Some(total)), framing) if framing != ResponseFraming::NoBody => {
                Remaining::Bytes(total)
            }
            (_, framing) => framing.into(),
        };
        (encoded, remaining)
    }

    /// What has to go out before the next piece, and what may follow; `None` where nothing may.
    fn next(&mut self, first: First<'_>) -> Result<Option<(EncodedHead, Remaining)>, ReplyError> {
        match self.state {
            State::Unstarted => Err(ReplyError::Headless),
            State::Stated { known_length } => match self.send_named()? {
                true => Ok(None),
                false => Ok(Some(self.begin(known_length, first))),
            },
            State::Streaming(remaining) => Ok(Some((EncodedHead::None, remaining))),
            State::Lost(error) => Err(ReplyError::Lost(error)),
            State::Trailing
            | State::Complete { .. }
            | State::Refused
            | State::Cut
            | State::Hijacked
            | State::Upgraded => Ok(None),
        }
    }

    /// Sends a piece of the body, as [`Reply::write`] does but without waiting.
    pub(crate) fn send(&mut self, piece: &[u8], timing: Timing) -> Result<Progress, ReplyError> {
        let length = piece.len() as u64;
        let allowed = match self.next(First::Bytes(piece))? {
            Some((head, remaining)) => {
                let allowed = self.admit(remaining, length);
                let piece = &piece[..allowed as usize];
                let coded = self.encode(piece)?;
                let piece = coded.as_deref().unwrap_or(piece);
                self.sent += piece.len() as u64;
                if !head.is_none() || !piece.is_empty() {
                    let timing = self.with_others(timing, head.len() + piece.len());
                    let sent = self.sink.data(head, piece, self.last(), timing);
                    self.note(sent)?;
                }
                allowed
            }
            None => 0,
        };
        Ok(self.exceed(length - allowed))
    }

    /// A file is cut to the Content-Length without a word: what asks for a part of one may state the length of the
    /// part.
    pub(crate) fn send_file(&mut self, part: FilePart) -> Result<(), ReplyError> {
        if self.is_read(&part) {
            return self.send_read(&part);
        }
        let Some((head, remaining)) = self.next(First::File(part.length))? else {
            return Ok(());
        };
        let length = self.admit(remaining, part.length);
        self.sent += length;
        let sent = match length {
            0 => self.sink.data(head, &[], self.last(), Timing::AtOnce),
            length => {
                let part = FilePart { length, ..part };
                self.sink.file(head, part, self.last())
            }
        };
        Ok(self.note(sent)?)
    }

    /// Counts a piece before it is sent: says how much of it may go out.
    fn admit(&mut self, remaining: Remaining, length: u64) -> u64 {
        let (allowed, state) = match remaining {
            Remaining::Nothing => (0, State::Complete { full: false }),
            Remaining::Bytes(left) if length >= left => (left, State::Complete { full: true }),
            Remaining::Bytes(left) => (length, State::Streaming(Remaining::Bytes(left - length))),
            Remaining::Unknown => (length, State::Streaming(Remaining::Unknown)),
        };
        self.state = state;
        allowed
    }

    /// Whether what was admitted is the last of the response.
    fn last(&self) -> Last {
        match self.state {
            State::Complete { .. } => Last::Yes,
            _ => Last::No,
        }
    }

    /// Notes bytes that could not be sent.
    fn exceed(&mut self, excess: u64) -> Progress {
        match (self.state, self.mismatch) {
            _ if excess == 0 => return Progress::More,
            (State::Complete { full: true }, Some(Mismatch::Longer(before))) => {
                self.mismatch = Some(Mismatch::Longer(before + excess));
            }
            (State::Complete { full: true }, _) => self.mismatch = Some(Mismatch::Longer(excess)),
            _ => {}
        }
        Progress::Enough
    }

    /// What became of an attempt to send: the reactor sends on what waits, and a client that is gone ends the response.
    pub(super) fn note(&mut self, sent: Result<Delivery, SinkError>) -> Result<(), SinkError> {
        match sent {
            Ok(Delivery::Done | Delivery::Waiting) => Ok(()),
            Ok(Delivery::Untold) => {
                self.dispatcher.note_waiting(self.sink.outlet(), self.id);
                Ok(())
            }
            Err(error) => {
                self.state = State::Lost(error);
                Err(error)
            }
        }
    }
}
