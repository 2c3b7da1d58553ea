//! What stands for the reactor and the threads round one connection: a clock that the test moves, the client's end of
//! the socket, and an application that answers when the test says so.

use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::sync::Arc;

use mio::{Poll, Token, Waker};
use settings::Config;
use socket2::{Domain, Socket, Type};
use sys::pipe::Notifier;
use sys::scoreboard::Scoreboard;

use crate::access_log::{AccessLog, Colours};
use crate::call::Call;
use crate::codec::Codec;
use crate::connection::{Connection, ConnectionId, Fate, Readiness};
use crate::dispatcher::{Dispatcher, Message, Outcome, Parts};
use crate::inlet::Event;
use crate::link::Link;
use crate::options::{Options, Seat, Service};
use crate::peer::{Ends, Local, Peer};
use crate::site::Site;
use crate::timers::{Due, Millis};
use crate::turn::Turn;

/// How a thread has a request.
pub(super) type Taken = Call;

pub(super) const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
pub(super) const LAST_GET: &str = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

/// A connection, and both sides of it.
pub(super) struct Driver {
    pub(super) turn: Turn,
    pub(super) connection: Connection,
    far: Socket,
}

/// The dispatcher of a worker that has no threads.
pub(crate) fn dispatcher(config: &Config, service: Service, poll: &Poll) -> Arc<Dispatcher> {
    let seat = Seat {
        rates: None,
        slot: Scoreboard::new(1).unwrap().slot(0),
        notifier: Notifier::new().unwrap(),
        max_requests: 0,
        service,
        siblings: None,
        access_file: None,
        tls: None,
    };
    Arc::new(Dispatcher::new(Parts {
        waker: Waker::new(poll.registry(), Token(usize::MAX)).unwrap(),
        registry: poll.registry().try_clone().unwrap(),
        options: Options::new(config, &seat),
        site: Site::open(&Config::default()).unwrap(),
        access_log: AccessLog::open(None, "", Colours::Off, None),
        slot: seat.slot,
        notifier: seat.notifier,
    }))
}

impl Driver {
    /// A connection that threads answer, with the usual settings.
    pub(super) fn new() -> Driver {
        Driver::with(&Config::default(), Service::threads(4))
    }

    /// A connection that an event loop answers.
    pub(super) fn looped() -> Driver {
        Driver::with(&Config::default(), Service::EVENT_LOOP)
    }

    pub(super) fn with(config: &Config, service: Service) -> Driver {
        let poll = Poll::new().unwrap();
        let mut turn = Turn::new(dispatcher(config, service, &poll));
        turn.clock.now = 1_000_000;
        turn.admission.free = 4;
        let (near, far) = Socket::pair(Domain::UNIX, Type::STREAM, None).unwrap();
        near.set_nonblocking(true).unwrap();
        far.set_nonblocking(true).unwrap();
        let ends = Ends {
            peer: Peer::Unix,
            local: Local::Unix("/run/a".into()),
            trusted: true,
            scheme: proto::forwarded::Scheme::Http,
            proxied: None,
            tls: None,
        };
        let id = ConnectionId { key: 0, serial: 1 };
        let read_by = turn.now() + turn.settings.header_timeout;
        let link = Arc::new(Link::new(near));
        let codec = Codec::accepted(read_by, &ends, &link, &turn);
        let mut connection = Connection::new(link, Arc::new(ends), id, Vec::new(), codec, &turn);
        connection.schedule(&mut turn);
        Driver {
            turn,
            connection,
            far,
        }
    }

    /// Does what the reactor does round a step of a connection.
    fn step(&mut self, step: impl FnOnce(&mut Connection, &mut Turn) -> Fate) -> Fate {
        let fate = step(&mut self.connection, &mut self.turn);
        match fate {
            Fate::Open => self.connection.schedule(&mut self.turn),
            Fate::Closed => self.connection.closed(&mut self.turn),
            Fate::Detached => {}
        }
        fate
    }

    /// The poller reports.
    pub(super) fn report(&mut self, readiness: Readiness) -> Fate {
        self.step(|connection, turn| connection.report(readiness, turn))
    }

    /// The client sends.
    pub(super) fn sends(&mut self, bytes: impl AsRef<[u8]>) -> Fate {
        self.far.write_all(bytes.as_ref()).unwrap();
        self.report(READABLE)
    }

    /// The client sends, and no word of it comes from the poller.
    pub(super) fn sends_unreported(&mut self, bytes: impl AsRef<[u8]>) {
        self.far.write_all(bytes.as_ref()).unwrap();
    }

    /// The client ends its side.
    pub(super) fn ends(&mut self) -> Fate {
        self.far.shutdown(Shutdown::Write).unwrap();
        self.report(Readiness {
            read_closed: true,
            ..READABLE
        })
    }

    /// The client takes what there is.
    pub(super) fn hears(&mut self) -> String {
        String::from_utf8(self.hears_bytes()).unwrap()
    }

    /// As [`Driver::hears`], where it is no text.
    pub(super) fn hears_bytes(&mut self) -> Vec<u8> {
        let mut heard = Vec::new();
        let mut buffer = [0; 65536];
        loop {
            match self.far.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => heard.extend_from_slice(&buffer[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => panic!("{error}"),
            }
        }
        heard
    }

    /// Whether the client sees the end of the stream, with nothing before it.
    pub(super) fn is_ended(&mut self) -> bool {
        matches!(self.far.read(&mut [0]), Ok(0))
    }

    /// The socket takes bytes again.
    pub(super) fn takes_more(&mut self) -> Fate {
        self.report(Readiness {
            readable: false,
            writable: true,
            ..READABLE
        })
    }

    /// Time passes, and the deadlines of it.
    pub(super) fn later(&mut self, span: Millis) -> Fate {
        self.turn.clock.now += span;
        while let Some(entry) = self.turn.timers.pop(self.turn.clock.now) {
            let now = self.turn.clock.now;
            let due = self
                .turn
                .timers
                .judge(self.connection.deadline(), entry, now);
            if due == Due::Expired {
                let fate = self.step(Connection::expire);
                if fate != Fate::Open {
                    return fate;
                }
            }
        }
        Fate::Open
    }

    /// How long until something is overdue; `None` where nothing is awaited.
    pub(super) fn patience(&self) -> Option<Millis> {
        let timeout = self.connection.codec.timeout();
        (timeout != Millis::MAX).then(|| timeout - self.turn.clock.now)
    }

    /// What the reactor does at the end of a turn.
    pub(super) fn go_on(&mut self) -> Fate {
        while !std::mem::take(&mut self.turn.again).is_empty() {
            let fate = self.step(Connection::go_on);
            if fate != Fate::Open {
                return fate;
            }
        }
        Fate::Open
    }

    /// What exchanges were told since the last look.
    pub(super) fn events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.turn.events)
    }

    /// A thread takes the next request, if there is one.
    pub(super) fn take(&mut self) -> Option<Taken> {
        let dispatcher = Arc::clone(&self.turn.dispatcher);
        let mut state = dispatcher.state();
        state.ready.extend(self.turn.ready.drain(..));
        // A thread that took many would look at the listeners first.
        dispatcher.looked(&mut state);
        dispatcher.depart(&mut state)
    }

    /// The reactor reads what threads have told.
    pub(super) fn read_inbox(&mut self) -> Fate {
        for message in self.turn.dispatcher.take_messages() {
            let fate = match message {
                Message::Finished(id, outcome) if id == self.connection.exchange => {
                    self.step(|connection, turn| connection.finished(id, outcome, turn))
                }
                Message::Upgraded(_, shared) => {
                    self.step(|connection, turn| connection.upgrade(shared, None, turn))
                }
                Message::Abandoned(mut exchange) => {
                    exchange.note_abandoned();
                    let id = exchange.id();
                    self.step(|connection, turn| connection.finished(id, Outcome::Close, turn))
                }
                Message::Pending(id) => {
                    self.turn.again.push(id.connection());
                    Fate::Open
                }
                _ => Fate::Open,
            };
            if fate != Fate::Open {
                return fate;
            }
        }
        self.go_on()
    }

    /// A thread answers a request in one go.
    pub(super) fn answer(&mut self, mut taken: Taken, body: &[u8]) -> Fate {
        let mut head = proto::h1::ResponseHead::new();
        head.set_status(b"200 OK").unwrap();
        taken.reply.start(head);
        let _ = taken.reply.respond(body);
        drop(taken);
        self.read_inbox()
    }

    /// Sends a request and answers it.
    pub(super) fn exchange(&mut self, request: &str, body: &[u8]) -> Fate {
        assert_eq!(self.sends(request), Fate::Open);
        let taken = self.take().expect("a request");
        self.answer(taken, body)
    }
}

pub(super) const READABLE: Readiness = Readiness {
    readable: true,
    writable: false,
    read_closed: false,
    broken: false,
};
