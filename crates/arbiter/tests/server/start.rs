//! What happens before the first worker serves, and when none ever does.

use std::fs;
use std::net::TcpListener;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::Command;

use crate::bench::{self, Server, ask, eventually};

/// Runs a server that does not come to serve, and returns its exit code and its log.
fn fail(behaviour: &str, options: &str) -> (Option<i32>, String, Vec<String>) {
    let mut server = Server::start(behaviour, options);
    let status = server.wait();
    (status.code(), server.log(), server.left_behind())
}

#[test]
fn the_first_lines_are_gunicorns() {
    let server = Server::serving(1, "");
    let log = server.log();
    let (pid, port) = (server.pid(), server.port());
    let lines: Vec<_> = log.lines().filter(|line| line.contains("[INFO]")).collect();
    let worker = server.ask_pid();
    assert_eq!(
        lines,
        [
            format!(
                "[{pid}] [INFO] Starting oxicorn {}",
                env!("CARGO_PKG_VERSION")
            ),
            format!("[{pid}] [INFO] Listening at: http://127.0.0.1:{port} ({pid})"),
            format!("[{pid}] [INFO] Using worker: sync"),
            format!("[{worker}] [INFO] Booting worker with pid: {worker}"),
        ]
    );
}

#[test]
fn the_hooks_come_in_gunicorns_order() {
    let mut server = Server::serving(1, "");
    server.stop();
    let log = server.log();
    let places = [
        "NworkersChanged",
        "OnStarting",
        "Listening",
        "WhenReady",
        "PreFork",
        "Serving",
        "ChildExit",
        "OnExit",
    ];
    let found: Vec<_> = places
        .iter()
        .map(|place| log.find(place).expect(place))
        .collect();
    assert!(found.is_sorted(), "{found:?}\n{log}");
}

#[test]
fn workers_that_do_not_boot_end_the_server_with_their_code_and_leave_nothing() {
    for (code, reason) in [
        (3, "Reason: Worker failed to boot."),
        (4, "Reason: App failed to load."),
    ] {
        for workers in [1, 3, 8] {
            let options = format!("-w {workers} --bind unix:app.sock --pid app.pid");
            let (status, log, left) = fail(&format!("exit {code}"), &options);
            assert_eq!(status, Some(code), "{workers} workers\n{log}");
            assert!(log.contains(reason), "{log}");
            assert_eq!(left, Vec::<String>::new());
        }
    }
}

#[test]
fn a_preloaded_application_that_cannot_be_imported_ends_the_start() {
    for (behaviour, code) in [("exit 3", 3), ("exit 4", 4)] {
        let (status, log, left) = fail(behaviour, "--preload --bind unix:app.sock --pid app.pid");
        assert_eq!(status, Some(code), "{log}");
        assert!(log.contains("error: the"), "{log}");
        assert_eq!(left, Vec::<String>::new());
    }
}

#[test]
fn a_port_that_is_taken_is_told_at_once_with_its_holder() {
    let other = TcpListener::bind("127.0.0.1:0").expect("bind");
    let port = other.local_addr().expect("address").port();
    let (status, log, left) = fail("serve", &format!("--bind 127.0.0.1:{port} --pid app.pid"));
    assert_eq!(status, Some(1));
    let (pid, name) = (
        sys::process::pid(),
        sys::holder::name_of(sys::process::pid()),
    );
    let next = port.checked_add(1).unwrap_or(8000);
    assert!(
        log.contains(&format!(
            "error: 127.0.0.1:{port} is already in use by pid {pid} ({name})\n"
        )),
        "{log}"
    );
    assert!(
        log.contains(&format!(
            "  hint: stop it, or use --bind 127.0.0.1:{next}\n"
        )),
        "{log}"
    );
    assert_eq!(left, Vec::<String>::new());
}

#[test]
fn a_pid_file_of_a_living_server_is_respected() {
    let server = Server::serving(1, "--pid app.pid");
    let mut second = bench::command(
        server.path("").as_path(),
        "serve",
        "--bind 127.0.0.1:0 --pid app.pid",
    );
    let status = second.status().expect("the second server");
    assert_eq!(status.code(), Some(1));
    server.wait_for_log(&format!("Already running on PID {}", server.pid()));
    assert_eq!(
        fs::read_to_string(server.path("app.pid")).expect("read"),
        format!("{}\n", server.pid())
    );
}

#[test]
fn several_addresses_are_served() {
    let mut server = Server::start("serve", "--bind unix:app.sock --bind 127.0.0.1:0");
    server.wait_for_log("Serving");
    let unix = ask(
        UnixStream::connect(server.path("app.sock")).expect("connect"),
        "pid",
    )
    .expect("answer");
    let port = eventually("a port", || {
        let log = server.log();
        let (_, rest) = log.split_once(",http://127.0.0.1:")?;
        rest.split_once(' ')?.0.parse::<u16>().ok()
    });
    let tcp = ask(
        std::net::TcpStream::connect(("127.0.0.1", port)).expect("connect"),
        "pid",
    );
    assert_eq!(unix, tcp.expect("answer"));
    server.stop();
    assert_eq!(server.left_behind(), Vec::<String>::new());
}

#[test]
fn sockets_of_a_service_manager_are_used_and_their_names_left() {
    let directory = bench::directory();
    let path = directory.path().join("app.sock");
    let socket = UnixListener::bind(&path).expect("bind");
    sys::fds::set_on_exec(socket.as_fd(), sys::fds::OnExec::Keep).expect("fcntl");
    let number = socket.as_raw_fd();
    let server = bench::command(directory.path(), "serve", "--bind 127.0.0.1:1");
    let script = format!(
        "LISTEN_FDS=1 LISTEN_PID=$$ exec {} behaviour --bind 127.0.0.1:1 3<&{number}",
        server.get_program().to_string_lossy()
    );
    let log = fs::File::create(directory.path().join("log")).expect("a log");
    let mut shell = Command::new("bash")
        .args(["-c", &script])
        .current_dir(directory.path())
        .stderr(log)
        .spawn()
        .expect("bash");
    drop(socket);
    let answer = ask(UnixStream::connect(&path).expect("connect"), "age").expect("an answer");
    assert_eq!(answer, "1");
    let pid = i32::try_from(shell.id()).expect("a pid");
    sys::process::kill(pid, sys::signals::Signal::TERM).expect("kill");
    assert_eq!(shell.wait().expect("wait").code(), Some(0));
    assert!(path.exists(), "the name is the service manager's");
    let log = fs::read_to_string(directory.path().join("log")).expect("a log");
    assert!(log.contains("bind is not used"), "{log}");
}

#[test]
fn a_daemon_is_told_of_when_it_listens() {
    let directory = bench::directory();
    let mut command = bench::command(
        directory.path(),
        "serve",
        "-D --bind unix:app.sock --pid app.pid",
    );
    assert_eq!(command.status().expect("the launcher").code(), Some(0));
    let text = fs::read_to_string(directory.path().join("app.pid")).expect("it is written by now");
    let daemon: i32 = text.trim().parse().expect("a pid");
    assert_ne!(sys::process::parent_pid(), daemon);
    let path = directory.path().join("app.sock");
    assert_eq!(
        ask(UnixStream::connect(&path).expect("connect"), "age").expect("an answer"),
        "1"
    );
    sys::process::kill(daemon, sys::signals::Signal::TERM).expect("kill");
    eventually("the end of the daemon", || {
        (!bench::is_alive(daemon)).then_some(())
    });
    assert!(!path.exists() && !directory.path().join("app.pid").exists());
}

#[test]
fn a_daemon_that_cannot_start_fails_in_the_terminal() {
    let other = TcpListener::bind("127.0.0.1:0").expect("bind");
    let port = other.local_addr().expect("address").port();
    let (status, log, left) = fail(
        "serve",
        &format!("-D --bind 127.0.0.1:{port} --pid app.pid"),
    );
    assert_eq!((status, left), (Some(1), Vec::new()), "{log}");
    assert!(log.contains("is already in use by pid"), "{log}");
}
