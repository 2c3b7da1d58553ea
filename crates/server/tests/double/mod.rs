//! What stands in for the interpreter: threads that pull exchanges and answer them by a closure.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use server::{Exchange, Listener, Next, Seat, Server, Shutdown};
use settings::{Address, Config};
use sys::pipe::Notifier;
use sys::scoreboard::{Scoreboard, Slot};

/// A server on a port of its own, with threads that answer.
pub(crate) struct Double {
    pub(crate) server: Arc<Server>,
    pub(crate) address: SocketAddr,
    pub(crate) slot: Slot,
    threads: Vec<JoinHandle<()>>,
}

impl Double {
    pub(crate) fn start(
        config: &Config,
        threads: u32,
        answer: impl Fn(Exchange) + Send + Sync + 'static,
    ) -> Double {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        socket.set_nonblocking(true).unwrap();
        let address = socket.local_addr().unwrap();
        let slot = Scoreboard::new(1).unwrap().slot(0);
        let listeners = vec![Listener {
            socket: OwnedFd::from(socket),
            address: Address::Tcp {
                host: "127.0.0.1".into(),
                port: address.port(),
            },
        }];
        let seat = Seat {
            slot: slot.clone(),
            notifier: Notifier::new().unwrap(),
            max_requests: 0,
            threads,
        };
        let server = Server::new(listeners, config, seat).unwrap();
        server.start_watchdog().unwrap();
        let answer = Arc::new(answer);
        let threads = (0..threads).map(|_| {
            let (server, answer) = (Arc::clone(&server), Arc::clone(&answer));
            std::thread::spawn(move || {
                loop {
                    match server.next() {
                        Next::Exchange(exchange) => answer(exchange),
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
