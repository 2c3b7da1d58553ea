//! USR2: a new master beside the old one.

use std::fs;
use std::os::unix::net::UnixStream;

use sys::signals::Signal;

use crate::bench::{Server, ask, eventually, is_alive};

/// A server with a new master beside it, and that one's pid.
fn upgraded() -> (Server, i32) {
    let mut server = Server::start("serve", "--bind unix:app.sock --pid app.pid");
    server.wait_for_log("Serving");
    server.signal(Signal::USR2);
    let pid = eventually("the second pid file", || {
        fs::read_to_string(server.path("app.pid.2"))
            .ok()?
            .trim()
            .parse()
            .ok()
    });
    server.also_end(pid);
    eventually("the new master's worker", || {
        (server.log().matches("Serving").count() == 2).then_some(())
    });
    (server, pid)
}

fn asks(server: &Server) -> String {
    ask(
        UnixStream::connect(server.path("app.sock")).expect("connect"),
        "pid",
    )
    .expect("an answer")
}

#[test]
fn the_new_master_serves_on_when_the_old_one_ends_and_cleans_up_at_its_own_end() {
    let (mut server, new) = upgraded();
    assert_eq!(
        fs::read_to_string(server.path("app.pid"))
            .expect("read")
            .trim(),
        server.pid().to_string()
    );
    server.signal(Signal::USR2);
    server.wait_for_log("USR2 signal ignored. Child exists.");
    sys::process::kill(new, Signal::USR2).expect("kill");
    server.wait_for_log("USR2 signal ignored. Parent exists.");
    assert_eq!(server.stop().code(), Some(0));
    server.wait_for_log(&format!("[{new}] [INFO] Master has been promoted."));
    eventually("the first name", || {
        (!server.path("app.pid.2").exists()).then_some(())
    });
    assert_eq!(
        fs::read_to_string(server.path("app.pid"))
            .expect("read")
            .trim(),
        new.to_string()
    );
    asks(&server);
    sys::process::kill(new, Signal::TERM).expect("kill");
    eventually("the end of the new master", || {
        (!is_alive(new)).then_some(())
    });
    assert_eq!(server.left_behind(), Vec::<String>::new());
}

#[test]
fn the_old_master_serves_on_when_the_new_one_ends() {
    let (mut server, new) = upgraded();
    sys::process::kill(new, Signal::TERM).expect("kill");
    server.wait_for_log(&format!(
        "The new master (pid:{new}) has ended (code 0); this one goes on."
    ));
    assert!(server.path("app.sock").exists() && !server.path("app.pid.2").exists());
    asks(&server);
    server.stop();
    assert_eq!(server.left_behind(), Vec::<String>::new());
}

#[test]
fn a_new_master_that_does_not_boot_leaves_the_old_one_alone() {
    let mut server = Server::start("serve", "--bind unix:app.sock --pid app.pid");
    server.wait_for_log("Serving");
    let old = asks(&server);
    server.write("behaviour", "exit 3");
    server.signal(Signal::USR2);
    server.wait_for_log("has ended (code 3); this one goes on.");
    assert_eq!(asks(&server), old);
    server.stop();
    assert_eq!(server.left_behind(), Vec::<String>::new());
}
