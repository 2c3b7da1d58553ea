use std::io::Read;

use socket2::{Domain, Type};

use super::*;

fn pair() -> (Link, Socket) {
    let (near, far) = Socket::pair(Domain::UNIX, Type::STREAM, None).unwrap();
    near.set_nonblocking(true).unwrap();
    (Link::new(near), far)
}

#[test]
fn what_the_client_does_not_take_is_queued_and_arrives_in_order() {
    let (link, mut far) = pair();
    let body: Vec<u8> = (0..4_000_000u32).map(|index| index as u8).collect();
    assert_eq!(link.send(&[b"head", &body]), Ok(Delivery::Untold));
    let reader = std::thread::spawn(move || {
        let mut read = Vec::new();
        far.read_to_end(&mut read).unwrap();
        read
    });
    while link.has_pending() {
        link.unblock();
        link.flush();
    }
    link.shut_write();
    let read = reader.join().unwrap();
    assert_eq!(read.len(), 4 + body.len());
    assert!(read[4..] == body[..]);
}

#[test]
fn a_thread_that_waits_for_room_is_told_when_the_client_is_gone() {
    let (link, far) = pair();
    link.send(&[&vec![0; 8 * HIGH_WATER]]).unwrap();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| link.wait_for_room().0);
        drop(far);
        while link.flush().0 != Flushed::Broken {
            link.unblock();
        }
        assert_eq!(waiting.join().unwrap(), Err(SinkError::Disconnected));
    });
}

#[test]
fn the_reactor_is_told_once_of_many_small_pieces() {
    let (link, mut far) = pair();
    let mut untold = 0;
    for _ in 0..100_000 {
        untold += u32::from(link.send(&[b"3\r\n", b"abc", b"\r\n"]) == Ok(Delivery::Untold));
    }
    assert_eq!(untold, 1);
    assert_eq!(link.flush(), (Flushed::Blocked, false));
    link.unblock();
    let mut block = vec![0; 1 << 20];
    while link.has_pending() {
        let _ = far.read(&mut block).unwrap();
        link.unblock();
        link.flush();
    }
    let whole = vec![0; 8 * HIGH_WATER];
    assert_eq!(
        link.send(&[&whole]),
        Ok(Delivery::Untold),
        "it has drained since"
    );
}

#[test]
fn a_socket_that_is_full_is_not_tried_before_it_reports() {
    let (link, mut far) = pair();
    while link.send(&[b"x"]) == Ok(Delivery::Done) {}
    far.read_exact(&mut [0; 100]).unwrap();
    assert_eq!(link.flush(), (Flushed::Blocked, false));
    link.unblock();
    assert_eq!(link.flush(), (Flushed::Empty, true));
}
