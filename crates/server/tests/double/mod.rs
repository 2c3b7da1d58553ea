//! What stands in for the interpreter: threads that pull exchanges and answer them by a closure.

#![allow(dead_code, reason = "each test crate uses a part of it")]

pub(crate) mod wire;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use proto::h1::ResponseHead;
use server::{
    Call, Exchange, Listener, Look, Next, ReplyError, Seat, Server, Service, Shutdown, Siblings,
};
use settings::{Address, Config};
use sys::fdpass::Queue;
use sys::pipe::Notifier;
use sys::scoreboard::{Scoreboard, Slot, State};
use sys::shared_flag::SharedFlag;

/// Answers in one go.
pub(crate) trait Respond {
    fn respond(&mut self, head: &ResponseHead, body: &[u8]) -> Result<(), ReplyError>;
}

impl Respond for Exchange {
    fn respond(&mut self, head: &ResponseHead, body: &[u8]) -> Result<(), ReplyError> {
        self.reply.start(head.clone());
        self.reply.respond(body)
    }
}

/// A server on a port of its own, with threads that answer.
pub(crate) struct Double {
    pub(crate) server: Arc<Server>,
    pub(crate) address: SocketAddr,
    /// The server listens at two.
    pub(crate) second_address: SocketAddr,
    pub(crate) slot: Slot,
    threads: Vec<JoinHandle<()>>,
}

/// What the workers of one arbiter share.
pub(crate) struct Shared {
    socket: TcpListener,
    board: Scoreboard,
    queue: Queue,
}

impl Shared {
    pub(crate) fn new() -> Shared {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        socket.set_nonblocking(true).unwrap();
        Shared {
            socket,
            board: Scoreboard::new(2).unwrap(),
            queue: Queue::new().unwrap(),
        }
    }

    /// What the arbiter does when it ends all workers.
    pub(crate) fn close_queue(&self) {
        self.queue.close();
    }

    /// A worker that is there and has no thread free, as far as the others can see.
    pub(crate) fn another_is_saturated(&self, number: usize) {
        let slot = self.board.slot(number);
        slot.claim(1, 1);
        slot.set_state(State::Ready);
        slot.set_in_flight(1);
    }

    /// That worker has died.
    pub(crate) fn another_is_gone(&self, number: usize) {
        self.board.slot(number).clear();
    }

    /// One worker of several.
    pub(crate) fn worker(
        &self,
        number: usize,
        answer: impl Fn(Call) + Send + Sync + 'static,
    ) -> Double {
        self.worker_with(&Config::default(), number, answer)
    }

    /// One worker of several, with other settings than the usual ones.
    pub(crate) fn worker_with(
        &self,
        config: &Config,
        number: usize,
        answer: impl Fn(Call) + Send + Sync + 'static,
    ) -> Double {
        let siblings = Siblings {
            board: self.board.clone(),
            queue: self.queue.clone(),
        };
        let slot = self.board.slot(number);
        slot.claim(1, 1);
        let socket = self.socket.try_clone().unwrap();
        let double = Double::launch(socket, slot.clone(), Some(siblings), config, 1, answer);
        slot.set_state(State::Ready);
        double
    }
}

impl Double {
    pub(crate) fn start(
        config: &Config,
        threads: u32,
        answer: impl Fn(Call) + Send + Sync + 'static,
    ) -> Double {
        let Shared { socket, board, .. } = Shared::new();
        Double::launch(socket, board.slot(0), None, config, threads, answer)
    }

    /// A server that an event loop drives. `handle` gets what each look brought.
    pub(crate) fn looped(config: &Config, mut handle: impl FnMut(Look) + Send + 'static) -> Double {
        let Shared { socket, board, .. } = Shared::new();
        let address = socket.local_addr().unwrap();
        let slot = board.slot(0);
        let seat = Seat {
            rates: None,
            slot: slot.clone(),
            notifier: Notifier::new().unwrap(),
            max_requests: 0,
            service: Service::EVENT_LOOP,
            siblings: None,
            access_file: None,
            tls: None,
        };
        let server = Server::new(vec![listener(socket)], config, seat).unwrap();
        let looped = Arc::clone(&server);
        let thread = std::thread::spawn(move || {
            let poller = looped.with_poller(|poller| poller.try_clone_to_owned().unwrap());
            loop {
                let look = looped.look();
                let done = look.done;
                handle(look);
                if done {
                    return;
                }
                sys::poll::readable([poller.as_fd()], None).unwrap();
            }
        });
        Double {
            threads: vec![thread],
            server,
            address,
            second_address: address,
            slot,
        }
    }

    fn launch(
        socket: TcpListener,
        slot: Slot,
        siblings: Option<Siblings>,
        config: &Config,
        threads: u32,
        answer: impl Fn(Call) + Send + Sync + 'static,
    ) -> Double {
        let address = socket.local_addr().unwrap();
        let second = TcpListener::bind("127.0.0.1:0").unwrap();
        second.set_nonblocking(true).unwrap();
        let second_address = second.local_addr().unwrap();
        let listeners = vec![listener(socket), listener(second)];
        let seat = Seat {
            rates: None,
            slot: slot.clone(),
            notifier: Notifier::new().unwrap(),
            max_requests: 0,
            service: Service::threads(threads),
            siblings,
            access_file: None,
            tls: None,
        };
        let server = Server::new(listeners, config, seat).unwrap();
        server.start_watchdog().unwrap();
        let answer = Arc::new(answer);
        let threads = (0..threads).map(|_| {
            let (server, answer) = (Arc::clone(&server), Arc::clone(&answer));
            std::thread::spawn(move || {
                loop {
                    match server.next() {
                        Next::Call(exchange) => answer(exchange),
                        Next::Interrupted => {}
                        Next::Done => return,
                    }
                }
            })
        });
        Double {
            threads: threads.collect(),
            server,
            address,
            second_address,
            slot,
        }
    }

    /// A connection whose reads give up before a hanging test would.
    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        stream
    }

    /// Sends `request` on a connection of its own and reads to the end of the stream.
    pub(crate) fn ask(&self, request: &[u8]) -> String {
        let mut stream = self.connect();
        stream.write_all(request).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        String::from_utf8(answer).unwrap()
    }

    pub(crate) fn stop(self, how: Shutdown) {
        self.server.shut_down(how);
        for thread in self.threads {
            thread.join().unwrap();
        }
    }
}

fn listener(socket: TcpListener) -> Listener {
    let port = socket.local_addr().unwrap().port();
    Listener {
        socket: OwnedFd::from(socket).into(),
        address: Address::Tcp {
            host: "127.0.0.1".into(),
            port,
        },
        ending: SharedFlag::new().unwrap(),
    }
}
