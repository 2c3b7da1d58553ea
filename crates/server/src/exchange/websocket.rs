//! The exchange that becomes a WebSocket, as its holder sees it. Frames are `proto`'s; the two sides meet in
//! [`SharedWebSocket`], and what the reactor does with it is in `websockets.rs`.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use proto::h1::ResponseHead;
use proto::ws::handshake::{self, Acceptance, Handshake};
use proto::ws::{
    Incoming, Refusal, SendError, WebSocketMisuse, WebSocketSession, fitting_reason, is_close_code,
};

use super::Exchange;
use crate::call::Call;
use crate::dispatcher::Message;
use crate::link::Delivery;
use crate::request_metrics::Ended;
use crate::shared_websocket::{SendFailure, SharedWebSocket};
use crate::sink::{Page, Room, SinkError};

/// The close code for an application that goes without closing (RFC 6455, section 7.4.1: an unexpected condition).
const ABANDONED: u16 = 1011;

/// One WebSocket. It belongs to one thread at a time, needs no reactor to send, and is closed when it is dropped.
#[derive(Debug)]
pub struct WebSocket {
    call: Call,
    shared: Arc<SharedWebSocket>,
}

/// Why a handshake was not completed.
#[derive(Debug)]
pub enum AcceptFailure {
    /// The client is gone.
    Lost(SinkError),
    /// The application asked for what cannot be; the exchange can still be answered.
    Misuse(Box<Call>, WebSocketMisuse),
}

impl Exchange {
    /// Whether the request asks for a WebSocket. One that does not is answered as any other.
    ///
    /// # Errors
    /// The rule of the handshake that the request breaks.
    pub fn handshake(&self) -> Result<Option<Handshake>, Refusal> {
        handshake::judge(&self.request)
    }

    /// Answers a handshake that breaks a rule.
    pub fn refuse_handshake(&mut self, refusal: Refusal) {
        let mut page = Vec::with_capacity(512);
        let date = self.dispatcher().date.now();
        let added = self.dispatcher().options.additions(&date);
        let length = refusal.encode(added, &mut page);
        let page = Page::of_lines(page, length);
        self.reply.answer_with(refusal.status(), page);
    }
}

impl Call {
    /// Completes the handshake.
    ///
    /// # Errors
    /// See [`AcceptFailure`].
    pub fn accept(
        mut self,
        handshake: &Handshake,
        protocol: Option<&str>,
        fields: &ResponseHead,
    ) -> Result<WebSocket, AcceptFailure> {
        let settings = &self.dispatcher().options.websockets;
        let deflate = settings
            .deflate
            .as_ref()
            .and_then(|policy| handshake.negotiate(policy));
        let acceptance = Acceptance {
            protocol,
            deflate,
            fields,
        };
        let (message_bytes, timing) = (settings.message_bytes, settings.timing);
        let mut head = Vec::with_capacity(256);
        if let Err(misuse) = handshake.encode(&acceptance, &mut head) {
            return Err(AcceptFailure::Misuse(Box::new(self), misuse));
        }
        let session = |now| WebSocketSession::new(message_bytes, deflate, timing, now);
        let link = Arc::clone(self.link());
        let shared = Arc::new(SharedWebSocket::new(link, session, Instant::now()));
        self.reply
            .upgrade(&head, fields)
            .map_err(AcceptFailure::Lost)?;
        self.lift_limit();
        // Metrics tell how long answers take, and this was the answer; the access line tells how long it lasted.
        let status = self.reply.sent().status;
        self.dispatcher().measure(&Ended {
            request: Some(&self.request),
            status,
            took: self.arrived.elapsed(),
            bytes: 0,
        });
        self.dispatcher()
            .tell(Message::Upgraded(self.id(), Arc::clone(&shared)));
        Ok(WebSocket { call: self, shared })
    }
}

impl WebSocket {
    /// The next message, or how it ended. Where there is neither, an [`crate::Event::Message`] or
    /// [`crate::Event::Gone`] with the number of the exchange tells when there is.
    pub fn receive(&mut self) -> Option<Incoming> {
        let (incoming, resume) = self.shared.receive();
        if resume {
            self.tell();
        }
        incoming
    }

    /// Sends a text message. Never waits: what the client does not take at once stays with the reactor.
    ///
    /// # Errors
    /// See [`SendFailure`].
    pub fn send_text(&mut self, text: &str) -> Result<Room, SendFailure> {
        self.send(text.len(), |session, frames| {
            session.send_text(text, frames)
        })
    }

    /// Sends a binary message. Never waits.
    ///
    /// # Errors
    /// See [`SendFailure`].
    pub fn send_binary(&mut self, data: &[u8]) -> Result<Room, SendFailure> {
        self.send(data.len(), |session, frames| {
            session.send_binary(data, frames)
        })
    }

    fn send(
        &mut self,
        length: usize,
        make: impl FnOnce(&mut WebSocketSession, &mut Vec<u8>) -> Result<(), SendError>,
    ) -> Result<Room, SendFailure> {
        let turn = self.call.dispatcher().turns.load(Ordering::Relaxed);
        let (delivery, limit) = self.shared.say(turn, make)?;
        self.call.reply.count(length as u64);
        match delivery {
            Delivery::Done => return Ok(Room::Enough),
            Delivery::Waiting => {}
            Delivery::Untold => self.tell(),
        }
        Ok(self.call.link().ask_for_room(limit)?)
    }

    /// Closes it. The client has some seconds to answer, which no thread waits for: all that is left to do is to drop
    /// it.
    ///
    /// # Errors
    /// See [`SendFailure`]; after a misuse it is as open as before.
    pub fn close(&mut self, code: u16, reason: &str) -> Result<(), SendFailure> {
        self.shared.close(code, reason)?;
        self.tell();
        Ok(())
    }

    /// Closes it for an application that wanted to, with a code or a reason that cannot be sent: with as much of both
    /// as can be.
    ///
    /// # Errors
    /// See [`SendFailure`].
    pub fn close_as_far_as_possible(&mut self, code: u16, reason: &str) -> Result<(), SendFailure> {
        let code = Some(code).filter(|code| is_close_code(*code));
        self.shared.close_with(code, fitting_reason(reason))?;
        self.tell();
        Ok(())
    }

    /// There is something to do for the reactor that the poller will not report.
    fn tell(&self) {
        let message = Message::Pending(self.call.id());
        self.call.dispatcher().tell(message);
    }
}

impl Drop for WebSocket {
    fn drop(&mut self) {
        if sys::forks::is_stray() {
            return; // As for an exchange.
        }
        // Fails where it is closed already.
        let _ = self.close(ABANDONED, "");
    }
}
