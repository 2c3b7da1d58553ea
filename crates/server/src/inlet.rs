//! The body of a request on its way to an application that reads it while it arrives, and the news that its client
//! left. The reactor fills it within a bound; the application takes out what has arrived and is told when there is
//! more.

use parking_lot::Mutex;
use proto::h1::session::may_discard;

use crate::exchange::ExchangeId;

/// Bytes that are read ahead of the application. TCP's own window holds the client beyond it.
const WINDOW: usize = 64 * 1024;

/// What there is of a body.
#[derive(Debug, PartialEq, Eq)]
pub enum Read {
    /// Some of it.
    Chunk {
        /// The bytes; may be empty at the end.
        data: Vec<u8>,
        /// Whether more will come.
        more: bool,
    },
    /// Nothing yet; an [`crate::Event::Body`] tells when there is.
    Pending,
    /// The client left before the end.
    Gone,
    /// What the client sent, or that it fell silent, is answered with an error.
    Refused {
        /// The status.
        status: u16,
        /// The rule that was broken.
        rule: &'static str,
    },
}

/// Something that an exchange waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A body that was [`Read::Pending`] has something, or has come to its end.
    Body(ExchangeId),
    /// A WebSocket has a message.
    Message(ExchangeId),
    /// A response that had too much queued may go on.
    Room(ExchangeId),
    /// The client left, or a WebSocket has come to its end.
    Gone(ExchangeId),
    /// A request was answered in place of its application, which is to end it.
    Overdue(ExchangeId),
}

#[derive(Debug, Default)]
pub(crate) struct Inlet(Mutex<InletState>);

#[derive(Debug, Default)]
struct InletState {
    data: Vec<u8>,
    end: End,
    departure: Departure,
    /// The holder of the exchange waits for bytes.
    awaits_body: bool,
    /// … and for the client to leave: told when its side has ended, and again when it is known to be gone.
    awaits_gone: bool,
    /// The reactor has stopped reading until there is room.
    paused: bool,
    /// The client waits for permission to send its body (RFC 9110, section 10.1.1).
    awaits_permission: bool,
}

/// How far the client has left.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Departure {
    #[default]
    None,
    /// Its side has ended. It may have left altogether, or it may still take what is sent: both look the same.
    Ended,
    /// It takes nothing any more.
    Lost,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum End {
    #[default]
    Complete,
    /// More is to come, so much where that is known.
    Open {
        rest: Option<u64>,
    },
    Broken,
    Refused(u16, &'static str),
}

impl InletState {
    fn is_open(&self) -> bool {
        matches!(self.end, End::Open { .. })
    }
}

/// The reactor's side.
impl Inlet {
    /// For a body that has arrived.
    pub(crate) fn whole(data: Vec<u8>) -> Inlet {
        Inlet::of(data, End::Complete)
    }

    /// For a body of which `data` has arrived and `rest` is to come, as far as that is known.
    pub(crate) fn open(data: Vec<u8>, rest: Option<u64>) -> Inlet {
        Inlet::of(data, End::Open { rest })
    }

    /// The same, of which nothing comes before the client has been told to send it.
    pub(crate) fn awaiting_permission(self) -> Inlet {
        self.0.lock().awaits_permission = true;
        self
    }

    fn of(data: Vec<u8>, end: End) -> Inlet {
        Inlet(Mutex::new(InletState {
            data,
            end,
            ..InletState::default()
        }))
    }

    /// Adds bytes, with what is known to follow them; says whether the application waits for them.
    pub(crate) fn push(&self, data: &[u8], rest: Option<u64>) -> bool {
        let mut state = self.0.lock();
        state.data.extend_from_slice(data);
        state.awaits_permission = false;
        if state.is_open() {
            state.end = End::Open { rest };
        }
        !data.is_empty() && std::mem::take(&mut state.awaits_body)
    }

    /// The body is complete; says whether the application waits for it.
    pub(crate) fn complete(&self) -> bool {
        self.end(End::Complete)
    }

    /// The rest of the body will not come; says whether the application waits for it.
    pub(crate) fn break_off(&self) -> bool {
        self.end(End::Broken)
    }

    /// The rest of the body is refused; says whether the application waits for it.
    pub(crate) fn refuse(&self, status: u16, rule: &'static str) -> bool {
        self.end(End::Refused(status, rule))
    }

    fn end(&self, end: End) -> bool {
        let mut state = self.0.lock();
        if state.is_open() {
            state.end = end;
        }
        std::mem::take(&mut state.awaits_body)
    }

    /// The client left; says whether the application waits for that and does not know it yet.
    pub(crate) fn leave(&self, how: Departure) -> bool {
        let mut state = self.0.lock();
        let is_news = how > state.departure;
        state.departure = state.departure.max(how);
        is_news && state.awaits_gone
    }

    /// Whether more may be read. If not, the application's side will say when.
    pub(crate) fn has_room(&self) -> bool {
        let mut state = self.0.lock();
        state.paused = state.data.len() >= WINDOW;
        !state.paused
    }
}

/// The side of the application.
impl Inlet {
    /// Whether the body has come to its end.
    pub(crate) fn is_whole(&self) -> bool {
        self.0.lock().end == End::Complete
    }

    /// Whether a response that begins now lets the client send its next request: not where that stands behind a body of
    /// which too much, or an unknown part, is still to come.
    pub(crate) fn allows_next(&self) -> bool {
        let state = self.0.lock();
        match state.end {
            End::Complete => true,
            // A client that was not told to send its body may leave it out, so what it sends next could be either.
            End::Open { rest } => may_discard(rest) && !state.awaits_permission,
            End::Broken | End::Refused(..) => false,
        }
    }

    /// Whether the client has to be told to send its body: once, where it waits for that.
    pub(crate) fn take_permission(&self) -> bool {
        std::mem::take(&mut self.0.lock().awaits_permission)
    }

    /// Takes what has arrived. The second value says that the reactor waits to be told to go on.
    pub(crate) fn read(&self) -> (Read, bool) {
        let mut state = self.0.lock();
        let resume = std::mem::take(&mut state.paused);
        let data = std::mem::take(&mut state.data);
        let read = match state.end {
            End::Complete => Read::Chunk { data, more: false },
            _ if !data.is_empty() => Read::Chunk { data, more: true },
            End::Broken => Read::Gone,
            End::Refused(status, rule) => Read::Refused { status, rule },
            End::Open { .. } => {
                state.awaits_body = true;
                Read::Pending
            }
        };
        (read, resume)
    }

    /// Asks to be told when the client leaves; says whether it has left already.
    pub(crate) fn await_gone(&self) -> bool {
        let mut state = self.0.lock();
        state.awaits_gone = true;
        state.departure != Departure::None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_arrives_is_read_in_order_and_then_the_end() {
        let inlet = Inlet::open(b"ab".to_vec(), None);
        let chunk = |data: &[u8], more| Read::Chunk {
            data: data.to_vec(),
            more,
        };
        assert_eq!(inlet.read(), (chunk(b"ab", true), false));
        assert_eq!(inlet.read(), (Read::Pending, false));
        assert!(inlet.push(b"c", None), "the application waits");
        assert!(!inlet.push(b"d", None), "and is told once");
        assert!(!inlet.complete());
        assert_eq!(inlet.read(), (chunk(b"cd", false), false));
    }

    #[test]
    fn a_departure_is_told_at_each_step_once() {
        let inlet = Inlet::whole(Vec::new());
        assert!(!inlet.leave(Departure::None) && !inlet.await_gone());
        assert!(inlet.leave(Departure::Ended));
        assert!(!inlet.leave(Departure::Ended) && inlet.await_gone());
        assert!(inlet.leave(Departure::Lost));
        assert!(!inlet.leave(Departure::Ended) && !inlet.leave(Departure::Lost));
    }

    #[test]
    fn a_response_keeps_the_connection_where_little_of_the_body_is_to_come() {
        use proto::h1::session::DISCARDED;
        let allows = |rest| Inlet::open(Vec::new(), rest).allows_next();
        assert!(allows(Some(0)) && allows(Some(DISCARDED)) && !allows(Some(DISCARDED + 1)));
        assert!(!allows(None), "a chunked body may be of any length");
        assert!(Inlet::whole(Vec::new()).allows_next());
        let inlet = Inlet::open(Vec::new(), Some(DISCARDED + 1));
        inlet.push(b"x", Some(DISCARDED));
        assert!(inlet.allows_next(), "so much has come");
        inlet.refuse(413, "");
        inlet.push(b"x", Some(1));
        assert!(!inlet.allows_next(), "what is refused is not read on");
        let inlet = Inlet::open(Vec::new(), Some(1));
        inlet.break_off();
        assert!(!inlet.allows_next(), "there is no next request");
    }

    #[test]
    fn a_body_that_waits_for_permission_may_never_come() {
        let inlet = Inlet::open(Vec::new(), Some(1)).awaiting_permission();
        assert!(!inlet.allows_next());
        assert!(inlet.take_permission() && !inlet.take_permission());
        assert!(inlet.allows_next());
        let inlet = Inlet::open(Vec::new(), Some(2)).awaiting_permission();
        inlet.push(b"x", Some(1));
        assert!(!inlet.take_permission(), "it comes without");
    }

    #[test]
    fn a_full_inlet_stops_the_reactor_until_it_is_read() {
        let inlet = Inlet::open(vec![0; WINDOW], None);
        assert!(!inlet.has_room());
        assert!(inlet.read().1, "the reactor waits to be told");
        assert!(inlet.has_room());
    }

    #[test]
    fn a_body_that_breaks_off_gives_what_there_was_first() {
        let inlet = Inlet::open(b"ab".to_vec(), None);
        inlet.break_off();
        assert!(matches!(inlet.read().0, Read::Chunk { more: true, .. }));
        assert_eq!(inlet.read().0, Read::Gone);
    }
}
