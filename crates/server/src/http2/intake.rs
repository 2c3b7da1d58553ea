//! The bodies of requests of one connection of HTTP/2: they are collected, or passed on to applications that read them
//! while they arrive, as fast as those read; and what becomes of streams that their clients break off.

use std::task::Poll;

use proto::Violation;

use super::shared::{Http2State, context};
use super::stream::{Collected, Intake, Stream};
use crate::disk::Disk;
use crate::exchange::ExchangeId;
use crate::inlet::{Departure, Event, Inlet};
use crate::refusal::{BODY_TIMEOUT, Refusal};
use crate::sink::SinkError;
use crate::timers::Millis;

/// The bounds of bodies.
#[derive(Debug, Clone, Copy)]
pub(super) struct BodyBounds<'a> {
    pub(super) disk: &'a Disk,
    /// Bytes of one; 0 for no limit.
    pub(super) limit: u64,
    /// How long a client may be silent within one.
    pub(super) timeout: Millis,
    pub(super) now: Millis,
}

/// What came of reading bodies.
#[derive(Debug, Default)]
pub(super) struct Intakes {
    /// Requests that are complete.
    pub(super) complete: Vec<(ExchangeId, Box<Collected>)>,
    /// Requests that are not served.
    pub(super) refused: Vec<(ExchangeId, Box<Collected>, Refusal)>,
    /// Requests whose clients have left before they were complete.
    pub(super) left: Vec<(ExchangeId, Box<Collected>)>,
    /// What applications have to be told.
    pub(super) events: Vec<Event>,
}

/// What a look at one body brought.
enum Step {
    Waiting,
    Ended,
    Gone,
    Refused(Refusal),
}

impl Http2State {
    /// Reads what has arrived of the bodies.
    pub(super) fn read_bodies(&mut self, bounds: BodyBounds<'_>, intakes: &mut Intakes) {
        let uploads = std::mem::take(&mut self.uploads);
        for number in uploads {
            let Some(stream) = self.streams.get_mut(&number) else {
                continue;
            };
            match read_body(stream, bounds, intakes) {
                Step::Waiting => self.uploads.push(number),
                Step::Ended => stream.end_body(None, intakes),
                Step::Refused(refusal) => stream.end_body(Some(refusal), intakes),
                Step::Gone => stream.lose(SinkError::Disconnected, intakes),
            }
        }
    }

    /// Looks which streams their clients have broken off.
    pub(super) fn look_for_resets(&mut self, intakes: &mut Intakes) {
        for stream in self.streams.values_mut() {
            if stream.failure.is_none() && stream.was_reset() {
                stream.lose(SinkError::Disconnected, intakes);
            }
        }
    }

    /// Nothing can be sent to any stream any more.
    pub(super) fn lose_all(&mut self, intakes: &mut Intakes) {
        self.end();
        for stream in self.streams.values_mut() {
            stream.lose(SinkError::Disconnected, intakes);
        }
    }

    /// Tells of the streams that have failed since, each once.
    pub(super) fn tell_failed(&mut self, intakes: &mut Intakes) {
        for stream in self.streams.values_mut() {
            if let Some(error) = stream.failure {
                stream.lose(error, intakes);
            }
        }
    }

    /// Ends the streams whose time is over.
    pub(super) fn expire(&mut self, now: Millis, intakes: &mut Intakes) {
        for stream in self.streams.values_mut() {
            if stream.read_by <= now {
                stream.end_body(Some(BODY_TIMEOUT), intakes);
            }
            if stream.send_by <= now {
                log::debug!("a stream is broken off: its client took too little for send_timeout");
                stream.reset(h2::Reason::CANCEL);
                stream.lose(SinkError::TimedOut, intakes);
            }
        }
    }
}

fn read_body(stream: &mut Stream, bounds: BodyBounds<'_>, intakes: &mut Intakes) -> Step {
    loop {
        if let Intake::Pass(inlet) = &stream.intake
            && !inlet.has_room()
        {
            stream.read_by = Millis::MAX;
            return Step::Waiting;
        }
        let Some(body) = &mut stream.body else {
            return Step::Ended;
        };
        match body.poll_data(&mut context()) {
            Poll::Pending => {
                if stream.read_by == Millis::MAX {
                    stream.read_by = bounds.now.saturating_add(bounds.timeout);
                }
                return Step::Waiting;
            }
            Poll::Ready(None) => return Step::Ended,
            Poll::Ready(Some(Err(error))) => {
                log::debug!("the body of a request breaks off: {error}");
                return Step::Gone;
            }
            Poll::Ready(Some(Ok(data))) => {
                // The window of the stream is as large as what the client may send ahead of us; the inlet of an
                // application that does not read fills, and then nothing is taken here.
                let _ = body.flow_control().release_capacity(data.len());
                stream.received += data.len() as u64;
                stream.read_by = bounds.now.saturating_add(bounds.timeout);
                if bounds.limit != 0 && stream.received > bounds.limit {
                    log::warn!(
                        "a request body is refused with 413: it is longer than limit_request_body, {} bytes",
                        bounds.limit
                    );
                    return Step::Refused(too_large());
                }
                if let Err(refusal) = stream.take(&data, bounds, intakes) {
                    return Step::Refused(refusal);
                }
            }
        }
    }
}

/// A body that is longer than the operator allows.
pub(super) fn too_large() -> Refusal {
    Violation::BodyTooLarge.into()
}

impl Stream {
    /// Takes a piece of the body.
    fn take(
        &mut self,
        data: &[u8],
        bounds: BodyBounds<'_>,
        intakes: &mut Intakes,
    ) -> Result<(), Refusal> {
        match &mut self.intake {
            Intake::Nothing => Ok(()),
            Intake::Collect(collected) => collected.upload.push(data, bounds.disk),
            Intake::Pass(inlet) => {
                if inlet.push(data, None) {
                    intakes.events.push(Event::Body(self.id));
                }
                Ok(())
            }
        }
    }

    /// The body is complete, or is refused.
    fn end_body(&mut self, refusal: Option<Refusal>, intakes: &mut Intakes) {
        self.read_by = Millis::MAX;
        if refusal.is_none() {
            self.body = None;
        }
        match (
            std::mem::replace(&mut self.intake, Intake::Nothing),
            refusal,
        ) {
            (Intake::Collect(collected), None) => intakes.complete.push((self.id, collected)),
            (Intake::Collect(collected), Some(refusal)) => {
                intakes.refused.push((self.id, collected, refusal));
            }
            (Intake::Pass(inlet), refusal) => {
                let awaited = match refusal {
                    None => inlet.complete(),
                    Some(refusal) => inlet.refuse(refusal.status, refusal.rule),
                };
                if awaited {
                    intakes.events.push(Event::Body(self.id));
                }
                // It is the way to tell the application that its client has left.
                self.intake = Intake::Pass(inlet);
            }
            (Intake::Nothing, _) => {}
        }
    }

    /// The client has left.
    pub(super) fn lose(&mut self, error: SinkError, intakes: &mut Intakes) {
        self.fail(error);
        self.read_by = Millis::MAX;
        self.send_by = Millis::MAX;
        self.body = None;
        match std::mem::replace(&mut self.intake, Intake::Nothing) {
            Intake::Nothing => {}
            Intake::Collect(collected) => intakes.left.push((self.id, collected)),
            Intake::Pass(inlet) => {
                self.tell_gone(&inlet, intakes);
                self.intake = Intake::Pass(inlet);
            }
        }
        if std::mem::take(&mut self.awaits_room) {
            intakes.events.push(Event::Room(self.id));
        }
    }

    fn tell_gone(&self, inlet: &Inlet, intakes: &mut Intakes) {
        if inlet.break_off() {
            intakes.events.push(Event::Body(self.id));
        }
        if inlet.leave(Departure::Lost) {
            intakes.events.push(Event::Gone(self.id));
        }
    }
}
