use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::time::Duration;

use proto::h1::ResponseHead;
use settings::Address;
use sys::pipe::Notifier;
use sys::scoreboard::Scoreboard;
use sys::shared_flag::SharedFlag;

use super::*;

/// A server that an event loop turns, and where it listens.
fn beside_a_loop() -> (Arc<Server>, SocketAddr) {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    socket.set_nonblocking(true).unwrap();
    let address = socket.local_addr().unwrap();
    let seat = Seat {
        rates: None,
        slot: Scoreboard::new(1).unwrap().slot(0),
        notifier: Notifier::new().unwrap(),
        max_requests: 0,
        siblings: None,
        service: Service::EVENT_LOOP,
        access_file: None,
        tls: None,
    };
    let listener = Listener {
        socket: OwnedFd::from(socket).into(),
        address: Address::Tcp {
            host: "127.0.0.1".into(),
            port: address.port(),
        },
        ending: SharedFlag::new().unwrap(),
    };
    let server = Server::new(vec![listener], &Config::default(), seat).unwrap();
    server.look();
    (server, address)
}

/// Looks as an event loop does, each time that the poller is readable, until `found` says that it is enough.
fn look_until<T>(server: &Server, mut found: impl FnMut(Look) -> Option<T>) -> T {
    loop {
        let readable = server.with_poller(|poller| {
            sys::poll::readable([poller], Some(Duration::from_secs(10))).unwrap()
        });
        assert_eq!(readable, [true], "the loop is never told");
        if let Some(found) = found(server.look()) {
            return found;
        }
    }
}

#[test]
fn a_loop_beside_which_the_reactor_was_turned_looks_again() {
    let (server, address) = beside_a_loop();
    let mut client = TcpStream::connect(address).unwrap();
    client
        .write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        .unwrap();
    let mut call = look_until(&server, |mut look| look.calls.pop());
    // The loop is blocked, answers, and has not come back to look when the watchdog does.
    let _second = TcpStream::connect(address).unwrap();
    let mut head = ResponseHead::new();
    head.set_status(b"204 No Content").unwrap();
    call.reply.start(head);
    call.reply.respond(b"").unwrap();
    drop(call);
    client.read_exact(&mut [0; 12]).unwrap();
    let looks = server.dispatcher.state().looks;
    assert!(server.turn_beside_loop(looks));
    let open = |server: &Server| server.dispatcher.slot.connections();
    assert_eq!(open(&server), 1, "no client is accepted beside the loop");
    look_until(&server, |_| (open(&server) == 2).then_some(()));
}
