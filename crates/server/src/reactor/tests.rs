//! Turns of a reactor that no thread but the test's turns: who is accepted, whose connection is whose, and the end.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use settings::{Address, Config};
use sys::fdpass::Queue;
use sys::scoreboard::{Scoreboard, Slot, State};
use sys::shared_flag::SharedFlag;

use super::*;
use crate::accept::Listener;
use crate::connection::tests::dispatcher;
use crate::descriptors::Descriptors;
use crate::dispatcher::Outcome;
use crate::handover::Siblings;
use crate::options::Service;

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// A worker that the test turns.
struct Worker {
    reactor: Reactor,
    address: SocketAddr,
}

/// What the workers of these tests share.
struct Arbiter {
    socket: TcpListener,
    /// Of that socket.
    ending: SharedFlag,
    board: Scoreboard,
    queue: Queue,
}

fn slot(arbiter: &Arbiter, number: usize) -> Slot {
    let slot = arbiter.board.slot(number);
    slot.claim(1, 1);
    slot.set_state(State::Ready);
    slot
}

impl Arbiter {
    fn new() -> Arbiter {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        socket.set_nonblocking(true).unwrap();
        Arbiter {
            socket,
            ending: SharedFlag::new().unwrap(),
            board: Scoreboard::new(2).unwrap(),
            queue: Queue::new().unwrap(),
        }
    }

    /// One of two workers.
    fn worker(&self, number: usize) -> Worker {
        let siblings = Siblings {
            board: self.board.clone(),
            queue: self.queue.clone(),
        };
        let handover = Handover::new(siblings, slot(self, number), 1);
        self.listening(Some(handover), 1000)
    }
}

impl Arbiter {
    /// A worker that listens at the socket of the arbiter, which keeps it.
    fn listening(&self, handover: Option<Handover>, connections: u32) -> Worker {
        let socket = self.socket.try_clone().unwrap();
        Worker::new(socket, self.ending.clone(), handover, connections)
    }
}

impl Worker {
    fn alone() -> Worker {
        Worker::limited(1000)
    }

    /// A worker that may have so many connections.
    fn limited(connections: u32) -> Worker {
        let Arbiter { socket, ending, .. } = Arbiter::new();
        Worker::new(socket, ending, None, connections)
    }

    fn new(
        socket: TcpListener,
        ending: SharedFlag,
        handover: Option<Handover>,
        connections: u32,
    ) -> Worker {
        let address = socket.local_addr().unwrap();
        let listener = Listener {
            socket: OwnedFd::from(socket).into(),
            address: Address::Tcp {
                host: "127.0.0.1".into(),
                port: address.port(),
            },
            ending,
        };
        let poll = Poll::new().unwrap();
        let dispatcher = dispatcher(&Config::default(), Service::threads(4), &poll);
        let listen = Listen::new(vec![listener], Descriptors::share(connections));
        Worker {
            reactor: Reactor::new(poll, dispatcher, listen, handover),
            address,
        }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        stream
    }

    fn turn(&mut self, free: u32) {
        self.reactor.turn(free, Patience::Look);
    }

    /// Turns until something is so.
    fn until(&mut self, free: u32, condition: impl Fn(&Reactor) -> bool) {
        let begun = Instant::now();
        while !condition(&self.reactor) {
            assert!(
                begun.elapsed() < Duration::from_secs(10),
                "it never came so"
            );
            self.turn(free);
        }
    }

    /// The name of the exchange that waits for a thread.
    fn waiting(&self) -> ExchangeId {
        self.reactor.turn.ready[0].id()
    }

    /// A client whose request is there.
    fn asked(&mut self) -> TcpStream {
        let mut stream = self.connect();
        stream.write_all(GET).unwrap();
        self.until(4, |reactor| reactor.turn.ready.len() == 1);
        stream
    }

    /// An exchange ends as if it had been answered.
    fn finish(&mut self, id: ExchangeId, outcome: Outcome) {
        self.reactor.read_message(Message::Finished(id, outcome));
    }
}

fn is_closed(stream: &mut TcpStream) -> bool {
    match stream.read(&mut [0]) {
        Ok(count) => count == 0,
        Err(error) => error.kind() == ErrorKind::ConnectionReset,
    }
}

#[test]
fn a_worker_without_a_free_thread_accepts_nobody() {
    let mut worker = Worker::alone();
    let _first = worker.connect();
    for _ in 0..10 {
        worker.turn(0);
    }
    assert!(worker.reactor.connections.is_empty() && !worker.reactor.listen.is_on());
    worker.until(1, |reactor| reactor.connections.len() == 1);
    assert!(worker.reactor.listen.is_on());
}

#[test]
fn no_more_requests_are_accepted_than_threads_are_free() {
    let mut worker = Worker::alone();
    let mut clients: Vec<TcpStream> = (0..5).map(|_| worker.connect()).collect();
    clients
        .iter_mut()
        .for_each(|client| client.write_all(GET).unwrap());
    worker.until(2, |reactor| reactor.turn.ready.len() == 2);
    // No thread takes them, so the next turn takes no more on than it may.
    assert!(
        worker.reactor.connections.len() <= 3,
        "{}",
        worker.reactor.connections.len()
    );
}

#[test]
fn at_the_limit_of_connections_the_one_idle_for_longest_makes_room() {
    let mut worker = Worker::limited(2);
    let mut first = worker.asked();
    let id = worker.waiting();
    worker.reactor.turn.ready.clear();
    worker.finish(id, Outcome::KeepAlive);
    let mut second = worker.asked();
    let id = worker.waiting();
    worker.reactor.turn.ready.clear();
    worker.finish(id, Outcome::KeepAlive);
    let mut third = worker.connect();
    third.write_all(GET).unwrap();
    worker.until(4, |reactor| reactor.turn.ready.len() == 1);
    assert_eq!(worker.reactor.connections.len(), 2);
    assert!(is_closed(&mut first));
    second.set_nonblocking(true).unwrap();
    assert_eq!(
        second.read(&mut [0]).unwrap_err().kind(),
        ErrorKind::WouldBlock
    );
}

#[test]
fn where_no_connection_is_idle_nobody_is_accepted_for_a_while() {
    let mut worker = Worker::limited(1);
    let _busy = worker.asked();
    let _waits = worker.connect();
    worker.until(4, |reactor| {
        reactor.listen.pause(reactor.turn.now()).is_some()
    });
    assert_eq!(worker.reactor.connections.len(), 1);
    assert!(!worker.reactor.listen.is_on());
}

#[test]
fn a_connection_that_has_the_key_of_another_is_not_that_one() {
    let mut worker = Worker::alone();
    let first = worker.asked();
    let gone = worker.waiting();
    worker.reactor.turn.ready.clear();
    worker.reactor.close(gone.key);
    drop(first);
    let _second = worker.asked();
    let here = worker.waiting();
    assert_eq!((here.key, gone.key), (0, 0));
    assert_ne!(here.serial, gone.serial);
    worker
        .reactor
        .with_current(gone.connection(), |_, _| panic!("it is another"));
    worker.finish(gone, Outcome::Close);
    worker.reactor.read_message(Message::Pending(gone));
    assert!(worker.reactor.turn.again.is_empty());
    assert_eq!(
        worker.reactor.connections.len(),
        1,
        "it has not ended with the other"
    );
    assert!(worker.reactor.current(here.connection()).is_some());
}

#[test]
fn the_end_of_an_exchange_is_not_that_of_the_next_on_its_connection() {
    let mut worker = Worker::alone();
    let mut client = worker.asked();
    let first = worker.waiting();
    worker.reactor.turn.ready.clear();
    worker.finish(first, Outcome::KeepAlive);
    client.write_all(GET).unwrap();
    worker.until(4, |reactor| reactor.turn.ready.len() == 1);
    let second = worker.waiting();
    assert_eq!(second.connection(), first.connection());
    assert_ne!(second, first);
    worker.finish(first, Outcome::Close);
    assert_eq!(worker.reactor.connections.len(), 1, "it is in the second");
    worker.finish(second, Outcome::Close);
    worker.until(4, |reactor| reactor.connections.is_empty());
}

#[test]
fn a_socket_that_the_application_took_is_forgotten_and_left_open() {
    let mut worker = Worker::alone();
    let mut client = worker.asked();
    let id = worker.waiting();
    let exchange = worker.reactor.turn.ready.pop();
    worker.finish(id, Outcome::Hijacked);
    assert!(worker.reactor.connections.is_empty());
    client.set_nonblocking(true).unwrap();
    assert_eq!(
        client.read(&mut [0]).unwrap_err().kind(),
        ErrorKind::WouldBlock
    );
    drop(exchange);
    client.set_nonblocking(false).unwrap();
    assert!(is_closed(&mut client));
}

#[test]
fn a_turn_does_not_wait_while_something_is_left_to_be_done() {
    let mut worker = Worker::alone();
    let _client = worker.asked();
    assert_eq!(
        worker.reactor.wait(Patience::Wait),
        Some(Duration::ZERO),
        "a request is ready"
    );
    let id = worker.waiting();
    worker.reactor.turn.ready.clear();
    worker.reactor.turn.again.push(id.connection());
    assert_eq!(
        worker.reactor.wait(Patience::Wait),
        Some(Duration::ZERO),
        "a connection goes on"
    );
    worker.reactor.turn.again.clear();
    worker.finish(id, Outcome::KeepAlive);
    let wait = worker.reactor.wait(Patience::Wait).unwrap();
    assert!(
        wait > Duration::from_secs(9) && wait < Duration::from_secs(76),
        "{wait:?}"
    );
    assert_eq!(worker.reactor.wait(Patience::Look), Some(Duration::ZERO));
}

#[test]
fn a_quick_end_closes_everything_at_once() {
    let mut worker = Worker::alone();
    let mut idle = worker.connect();
    worker.until(4, |reactor| reactor.connections.len() == 1);
    let mut asked = worker.asked();
    worker.reactor.turn.dispatcher.shut_down(Shutdown::Quick);
    worker.turn(4);
    assert!(worker.reactor.is_finished());
    assert!(is_closed(&mut idle) && is_closed(&mut asked));
}

#[test]
fn a_graceful_end_serves_those_who_wait_and_gives_idle_clients_a_while() {
    let mut worker = Worker::alone();
    let mut idle = worker.asked();
    let id = worker.waiting();
    worker.reactor.turn.ready.clear();
    worker.finish(id, Outcome::KeepAlive);
    let mut late = worker.connect();
    late.write_all(GET).unwrap();
    worker.reactor.turn.dispatcher.shut_down(Shutdown::Graceful);
    worker.until(4, |reactor| reactor.turn.ready.len() == 1);
    let id = worker.waiting();
    worker.reactor.turn.ready.clear();
    worker.until(4, |reactor| reactor.life.is_closing());
    assert!(!worker.reactor.is_finished(), "two are connected");
    assert!(
        TcpStream::connect(worker.address).is_err(),
        "the socket is closed"
    );
    let deadline = worker.reactor.turn.timers.next().unwrap();
    assert!(
        deadline <= worker.reactor.turn.now() + 2000,
        "the idle one has two seconds"
    );
    worker.finish(id, Outcome::Close);
    worker.until(4, |reactor| reactor.connections.len() == 1);
    // Its last request.
    idle.write_all(GET).unwrap();
    worker.until(4, |reactor| reactor.turn.ready.len() == 1);
    let id = worker.waiting();
    worker.reactor.turn.ready.clear();
    worker.finish(id, Outcome::Close);
    worker.until(4, Reactor::is_finished);
}

fn is_refused(worker: &Worker) -> bool {
    match TcpStream::connect(worker.address) {
        Ok(_) => false,
        Err(error) => error.kind() == ErrorKind::ConnectionRefused,
    }
}

#[test]
fn a_listener_that_ends_is_closed_for_every_process_that_has_it() {
    let arbiter = Arbiter::new();
    let mut worker = arbiter.listening(None, 1000);
    arbiter.ending.raise();
    let _busy = worker.asked();
    worker.reactor.turn.dispatcher.shut_down(Shutdown::Graceful);
    worker.until(3, |reactor| reactor.life.is_closing());
    assert!(is_refused(&worker));
    assert_eq!(worker.reactor.turn.ready.len(), 1, "the request is there");
}

#[test]
fn one_that_another_process_serves_stays_open() {
    let arbiter = Arbiter::new();
    let mut worker = arbiter.listening(None, 1000);
    worker.reactor.turn.dispatcher.shut_down(Shutdown::Graceful);
    worker.until(3, |reactor| reactor.life.is_closing());
    assert!(!is_refused(&worker));
    arbiter.socket.accept().unwrap();
}

#[test]
fn who_is_in_the_queue_of_a_listener_that_ends_is_accepted_without_a_free_thread() {
    let arbiter = Arbiter::new();
    let mut worker = arbiter.listening(None, 1000);
    arbiter.ending.raise();
    let mut waiting = worker.connect();
    waiting.write_all(GET).unwrap();
    worker.reactor.turn.dispatcher.shut_down(Shutdown::Graceful);
    worker.turn(0);
    assert!(worker.reactor.connections.is_empty() && worker.reactor.life.is_draining());
    // As when half of the time is over.
    worker.reactor.begin_closing();
    assert_eq!(worker.reactor.turn.ready.len(), 1);
    assert!(worker.reactor.life.is_closing() && is_refused(&worker));
}

#[test]
fn a_worker_forgets_a_listener_that_another_has_closed() {
    let arbiter = Arbiter::new();
    let (mut first, mut second) = (arbiter.worker(0), arbiter.worker(1));
    second.turn(1);
    arbiter.ending.raise();
    first.reactor.turn.dispatcher.shut_down(Shutdown::Graceful);
    first.until(1, |reactor| reactor.life.is_closing());
    assert!(is_refused(&second), "a reload has given the address up");
    // It would report for ever, and keep the worker from waiting.
    second.until(1, |reactor| !reactor.has_news());
    assert!(second.reactor.life.is_serving());
}

#[test]
fn a_worker_that_has_successors_leaves_its_clients_to_them() {
    let arbiter = Arbiter::new();
    let (mut old, mut new) = (arbiter.worker(0), arbiter.worker(1));
    let mut idle = old.asked();
    let id = old.waiting();
    old.reactor.turn.ready.clear();
    old.finish(id, Outcome::KeepAlive);
    old.reactor.turn.dispatcher.shut_down(Shutdown::Graceful);
    old.turn(4);
    assert!(old.reactor.life.is_closing() && old.reactor.connections.is_empty());
    idle.write_all(GET).unwrap();
    new.until(4, |reactor| reactor.turn.ready.len() == 1);
    assert_eq!(new.reactor.connections.len(), 1, "it travelled");
}

#[test]
fn a_request_that_waits_for_a_thread_travels_to_a_worker_that_has_one() {
    let arbiter = Arbiter::new();
    let (mut full, mut free) = (arbiter.worker(0), arbiter.worker(1));
    let mut client = full.asked();
    let id = full.waiting();
    full.reactor.turn.ready.clear();
    full.finish(id, Outcome::KeepAlive);
    // Another request takes the one thread, as the next turn sees it.
    arbiter.board.slot(1).set_in_flight(1);
    client.write_all(GET).unwrap();
    full.until(0, |reactor| !reactor.turn.admission.deferred.is_empty());
    assert!(full.reactor.turn.ready.is_empty(), "it is not read");
    full.turn(0);
    assert_eq!(full.reactor.connections.len(), 1, "nobody is free");
    arbiter.board.slot(1).set_in_flight(0);
    full.until(0, |reactor| reactor.connections.is_empty());
    free.until(4, |reactor| reactor.turn.ready.len() == 1);
}

#[test]
fn a_request_that_waits_is_read_when_a_thread_is_free_here() {
    let arbiter = Arbiter::new();
    let mut worker = arbiter.worker(0);
    slot(&arbiter, 1).set_in_flight(1);
    let mut client = worker.asked();
    let id = worker.waiting();
    worker.reactor.turn.ready.clear();
    worker.finish(id, Outcome::KeepAlive);
    client.write_all(GET).unwrap();
    worker.until(0, |reactor| !reactor.turn.admission.deferred.is_empty());
    worker.turn(1);
    assert_eq!(worker.reactor.turn.ready.len(), 1);
    assert!(worker.reactor.turn.admission.deferred.is_empty());
}

#[test]
fn requests_that_wait_are_read_when_no_other_worker_is_left() {
    let arbiter = Arbiter::new();
    let mut worker = arbiter.worker(0);
    slot(&arbiter, 1).set_in_flight(1);
    let mut client = worker.asked();
    let id = worker.waiting();
    worker.reactor.turn.ready.clear();
    worker.finish(id, Outcome::KeepAlive);
    client.write_all(GET).unwrap();
    worker.until(0, |reactor| !reactor.turn.admission.deferred.is_empty());
    arbiter.queue.close();
    worker.reactor.turn.dispatcher.shut_down(Shutdown::Graceful);
    worker.until(0, |reactor| reactor.turn.ready.len() == 1);
    assert!(worker.reactor.handover.is_none());
}

#[test]
fn a_descriptor_of_the_driver_interrupts_and_the_end_of_the_arbiter_ends() {
    let mut worker = Worker::alone();
    let interruption = sys::pipe::pipe().unwrap();
    let lifeline = sys::pipe::pipe().unwrap();
    worker
        .reactor
        .watch(interruption.read, Watched::Interruption)
        .unwrap();
    worker
        .reactor
        .watch(lifeline.read, Watched::Lifeline)
        .unwrap();
    worker.turn(1);
    assert!(!worker.reactor.take_interruption());
    sys::pipe::write_byte(interruption.write.as_fd(), 1);
    worker.turn(1);
    assert!(worker.reactor.take_interruption() && !worker.reactor.take_interruption());
    assert!(worker.reactor.turn.dispatcher.stopping().is_none());
    drop(lifeline.write);
    worker.turn(1);
    assert_eq!(
        worker.reactor.turn.dispatcher.stopping(),
        Some(Shutdown::Graceful)
    );
}

#[test]
fn the_alarm_makes_the_poller_readable_at_the_next_deadline() {
    let mut worker = Worker::alone();
    let _client = worker.connect();
    worker.until(1, |reactor| reactor.connections.len() == 1);
    worker.turn(1);
    worker.reactor.set_alarm();
    assert!(!worker.reactor.has_news(), "the deadline is far");
    let mut soon = Worker::alone();
    soon.reactor.turn.settings.header_timeout = 1;
    let mut client = soon.connect();
    soon.until(1, |reactor| reactor.connections.len() == 1);
    soon.reactor.set_alarm();
    let begun = Instant::now();
    while !soon.reactor.has_news() {
        assert!(begun.elapsed() < Duration::from_secs(10));
    }
    soon.until(1, |reactor| reactor.connections.is_empty());
    assert!(is_closed(&mut client));
}
