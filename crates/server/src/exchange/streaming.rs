//! The exchange as an event loop uses it: the body is read while it arrives, and nothing waits.

use super::Exchange;
use crate::dispatcher::Message;
use crate::inlet::Read;
use crate::peer::Local;

/// What is known of a client whose side has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// It takes nothing any more.
    Lost,
    /// It can be told at the next look.
    Doubtful,
    /// Nothing says that it does not wait for its response.
    Here,
}

impl Exchange {
    /// Looks whether a client that has ended its side still takes its response. TCP does not tell whether it has left
    /// altogether before something is sent to it, which a client that has left answers with a reset: before the
    /// response an interim one is, which every client of HTTP/1.1 has to expect (RFC 9110, section 15.2); later it is
    /// the response itself, and a client to which nothing is sent for so long counts as gone. Of a Unix socket the
    /// kernel tells the two apart. To be called twice, with a pause that is longer than the way to the client and back.
    pub fn probe(&mut self) -> Presence {
        if self.is_lost() {
            return Presence::Lost;
        }
        // A client of HTTP/2 that leaves says so, or its connection is gone.
        let is_told =
            matches!(self.ends.local, Local::Unix(_)) || !self.reply.sink().has_connection();
        if is_told {
            return Presence::Here;
        }
        let probed = std::mem::replace(&mut self.probed, true);
        let is_silent = self.reply.sent().bytes == self.sent_before;
        match (self.reply.is_started(), probed) {
            (true, _) if is_silent => Presence::Lost,
            (false, _) if !self.reply.takes_interim() => Presence::Here,
            (_, true) => Presence::Here,
            (true, false) => Presence::Doubtful,
            (false, false) => match self.reply.permit_body() {
                Ok(()) => Presence::Doubtful,
                Err(_) => Presence::Lost,
            },
        }
    }

    /// Notes how much the client has been sent when its side ended, for [`Exchange::probe`].
    pub fn note_departure(&mut self) {
        self.sent_before = self.reply.sent().bytes;
    }

    /// What there is of the body of a server whose bodies are streamed.
    pub fn read_body(&mut self) -> Read {
        let Some(inlet) = &self.inlet else {
            return Read::Gone;
        };
        let (read, resume) = inlet.read();
        if resume {
            self.dispatcher().tell(Message::Pending(self.id()));
        }
        if read == Read::Pending && !self.reply.is_started() && inlet.take_permission() {
            // A client that is gone is noticed by the reactor.
            let _ = self.reply.permit_body();
        }
        read
    }

    /// Whether the client is known to be gone. One that has only ended its own side may still take the response.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.reply.sink().is_lost()
    }

    /// Asks for an [`crate::Event::Gone`] when the client leaves, and another when it is known to be gone. Says whether
    /// it has left already.
    pub fn watch_gone(&mut self) -> bool {
        self.inlet.as_ref().is_some_and(|inlet| inlet.await_gone())
    }
}
