//! Listeners on real sockets.

use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd, IntoRawFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::atomic::{AtomicI32, Ordering};

use super::*;

fn config(bind: &[Address]) -> Config {
    Config {
        bind: bind.to_vec(),
        ..Config::default()
    }
}

fn local(port: u16) -> Address {
    Address::Tcp {
        host: "127.0.0.1".to_owned(),
        port,
    }
}

fn port_of(listener: &Listener) -> u16 {
    match listener.address() {
        Address::Tcp { port, .. } => *port,
        other => panic!("{other:?} has no port"),
    }
}

/// Moves a socket to a number that no other test has used: a number is adopted once in the life of a process.
fn passed(socket: impl AsFd) -> i32 {
    static NEXT: AtomicI32 = AtomicI32::new(500);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let copy = rustix::io::fcntl_dupfd_cloexec(socket, number).expect("dup");
    assert_eq!(copy.as_raw_fd(), number);
    // As one that was passed to this process.
    sys::fds::set_on_exec(copy.as_fd(), sys::fds::OnExec::Keep).expect("fcntl");
    sys::fds::note_inherited();
    copy.into_raw_fd()
}

fn open_one(address: Address) -> Listener {
    let mut all = open(&config(&[address]), &Inherited::Nothing).expect("a listener");
    assert_eq!(all.len(), 1);
    all.remove(0)
}

fn refused(address: Address) -> String {
    open(&config(&[address]), &Inherited::Nothing)
        .expect_err("refused")
        .to_string()
}

#[test]
fn a_port_that_the_system_chooses_is_told() {
    let listener = open_one(local(0));
    let port = port_of(&listener);
    assert_ne!(port, 0);
    assert_eq!(
        listener.address().to_string(),
        format!("http://127.0.0.1:{port}")
    );
    TcpStream::connect(("127.0.0.1", port)).expect("it listens");
}

#[test]
fn ipv6_is_bound_where_there_is_any() {
    if TcpListener::bind("[::1]:0").is_err() {
        return;
    }
    let listener = open_one(Address::Tcp {
        host: "::1".to_owned(),
        port: 0,
    });
    let port = port_of(&listener);
    assert_eq!(
        listener.address().to_string(),
        format!("http://[::1]:{port}")
    );
    TcpStream::connect(("::1", port)).expect("it listens");
}

#[test]
fn a_port_that_is_taken_names_its_holder_and_the_way_out() {
    let other = TcpListener::bind("127.0.0.1:0").expect("bind");
    let port = other.local_addr().expect("address").port();
    // The holder is this very process, which has words of its own; another one is in tests/server.rs.
    assert_eq!(
        refused(local(port)),
        format!("error: 127.0.0.1:{port} is already in use by this server")
    );
}

#[test]
fn an_address_of_another_machine_is_explained() {
    let elsewhere = Address::Tcp {
        host: "192.0.2.1".to_owned(),
        port: 8000,
    };
    assert_eq!(
        refused(elsewhere),
        "error: cannot listen on 192.0.2.1:8000: this machine has no such address"
    );
}

#[test]
fn a_unix_socket_has_the_mode_of_the_umask_and_goes_with_its_listener() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("app.sock");
    let config = Config {
        umask: 0o117,
        ..config(&[Address::Unix(path.clone())])
    };
    let listeners = open(&config, &Inherited::Nothing).expect("a listener");
    let metadata = std::fs::symlink_metadata(&path).expect("stat");
    assert!(metadata.file_type().is_socket());
    assert_eq!(metadata.permissions().mode() & 0o777, 0o660);
    assert_eq!(
        listeners[0].address().to_string(),
        format!("unix:{}", path.display())
    );
    UnixStream::connect(&path).expect("it listens");
    let copy = listeners.clone();
    drop(listeners);
    assert!(path.exists(), "a copy is left");
    drop(copy);
    assert!(!path.exists());
}

#[test]
fn a_unix_socket_that_root_makes_belongs_to_the_workers_user() {
    if sys::users::effective_uid() != 0 {
        return;
    }
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("app.sock");
    let (user, group) = (Some("12345".to_owned()), Some("23456".to_owned()));
    let config = Config {
        user,
        group,
        ..config(&[Address::Unix(path.clone())])
    };
    let listeners = open(&config, &Inherited::Nothing).expect("a listener");
    let metadata = std::fs::symlink_metadata(&path).expect("stat");
    assert_eq!((metadata.uid(), metadata.gid()), (12345, 23456));
    drop(listeners);

    let config = Config {
        user: Some("no such user".to_owned()),
        ..config
    };
    let failure = open(&config, &Inherited::Nothing).expect_err("refused");
    assert!(failure.sentence().contains("'no such user'"), "{failure}");
}

#[test]
fn a_stale_unix_socket_is_replaced_and_anything_else_is_not() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("app.sock");
    drop(UnixListener::bind(&path).expect("bind"));
    assert!(path.exists(), "std leaves the name behind");
    drop(open_one(Address::Unix(path.clone())));

    let live = UnixListener::bind(&path).expect("bind");
    assert!(refused(Address::Unix(path.clone())).contains("already in use by pid"));
    drop(live);
    std::fs::remove_file(&path).expect("unlink");

    std::fs::File::create(&path)
        .and_then(|mut file| file.write_all(b"precious"))
        .expect("write");
    assert!(refused(Address::Unix(path.clone())).contains("exists and is not a socket"));
    assert_eq!(std::fs::read(&path).expect("read"), b"precious");
}

#[test]
fn a_name_that_somebody_else_has_taken_is_not_removed() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("app.sock");
    let listener = open_one(Address::Unix(path.clone()));
    std::fs::remove_file(&path).expect("unlink");
    let _other = UnixListener::bind(&path).expect("bind");
    drop(listener);
    assert!(path.exists());
}

#[test]
fn a_name_that_was_left_to_another_master_is_not_removed() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("app.sock");
    let listener = open_one(Address::Unix(path.clone()));
    listener.leave_name();
    drop(listener);
    assert!(path.exists());
}

#[test]
fn a_reload_keeps_what_stays_and_binds_what_is_new() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("app.sock");
    let before = open(
        &config(&[local(0), Address::Unix(path)]),
        &Inherited::Nothing,
    )
    .expect("listeners");
    let after = reopen(&config(&[local(0), local(port_of(&before[0]))]), &before);
    // The first takes the listener that is there; the second would need it again.
    assert!(after.is_err());
    let after = reopen(&config(&[local(0)]), &before).expect("listeners");
    assert_eq!(
        after[0].socket().as_raw_fd(),
        before[0].socket().as_raw_fd()
    );
    assert_eq!(after.len(), 1);
}

#[test]
fn a_socket_of_ours_is_adopted_by_number() {
    let other = TcpListener::bind("127.0.0.1:0").expect("bind");
    let port = other.local_addr().expect("address").port();
    let number = passed(other);
    let listener = open_one(Address::Fd(number));
    assert_eq!(port_of(&listener), port);
    let again = reopen(&config(&[Address::Fd(number)]), &[listener]).expect("it is there already");
    assert_eq!(again[0].socket().as_raw_fd(), number);
}

#[test]
fn a_number_that_is_no_socket_is_explained() {
    assert_eq!(
        refused(Address::Fd(98_765)),
        "error: cannot listen on fd://98765: it is not open"
    );
}

#[test]
fn a_new_master_takes_what_it_is_passed_and_binds_the_rest() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("app.sock");
    let tcp = TcpListener::bind("127.0.0.1:0").expect("bind");
    let port = tcp.local_addr().expect("address").port();
    let unix = UnixListener::bind(&path).expect("bind");
    let numbers = vec![passed(tcp), passed(unix)];
    let bind = [Address::Unix(path.clone()), local(port), local(0)];
    let listeners =
        open(&config(&bind), &Inherited::FromMaster(numbers.clone())).expect("listeners");
    assert_eq!(listeners[0].socket().as_raw_fd(), numbers[1]);
    assert_eq!(listeners[1].socket().as_raw_fd(), numbers[0]);
    assert_ne!(port_of(&listeners[2]), port);
    drop(listeners);
    assert!(path.exists(), "the name is the other master's");
}

fn shared(address: Address, workers: u32) -> Config {
    Config {
        reuse_port: true,
        workers,
        ..config(&[address])
    }
}

#[test]
fn with_reuse_port_there_is_a_socket_for_each_worker() {
    let listeners = open(&shared(local(0), 3), &Inherited::Nothing).expect("listeners");
    let port = port_of(&listeners[0]);
    assert_eq!(listeners.iter().map(port_of).collect::<Vec<_>>(), [port; 3]);
    // A reload keeps them, however many workers there are from then on.
    for workers in [1, 3, 5] {
        let reopened = reopen(&shared(local(port), workers), &listeners).expect("listeners");
        let descriptors =
            |of: &[Listener]| -> Vec<_> { of.iter().map(|one| one.socket().as_raw_fd()).collect() };
        assert_eq!(descriptors(&reopened), descriptors(&listeners), "{workers}");
    }
    // The next start decides anew; a reload without the setting loses no queue.
    let reopened = reopen(&config(&[local(port)]), &listeners).expect("listeners");
    assert_eq!(reopened.len(), 3);
}

#[test]
fn unix_sockets_are_not_multiplied() {
    let folder = tempfile::tempdir().expect("a folder");
    let address = Address::Unix(folder.path().join("socket"));
    let listeners = open(&shared(address, 3), &Inherited::Nothing).expect("a listener");
    assert_eq!(listeners.len(), 1);
}

#[test]
fn a_reload_may_go_to_an_address_that_overlaps_and_back() {
    let listeners = open(&config(&[local(0)]), &Inherited::Nothing).expect("a listener");
    let port = port_of(&listeners[0]);
    let everywhere = Address::Tcp {
        host: "0.0.0.0".to_owned(),
        port,
    };
    let wider = reopen(&config(std::slice::from_ref(&everywhere)), &listeners).expect("a listener");
    assert_eq!(wider[0].address(), &everywhere);
    TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    // No other socket can share the port because these two have done so for a moment.
    assert!(refused(everywhere.clone()).contains("in use"));
    // The narrower one stays, so that no client in its queue is reset.
    assert_eq!(wider.len(), 2);
    let narrower = reopen(&config(&[local(port)]), &wider).expect("a listener");
    let number = |one: &[Listener]| one[0].socket().as_raw_fd();
    assert_eq!((narrower.len(), number(&narrower)), (1, number(&listeners)));
    // The other way round there is nothing to keep.
    drop((wider, narrower, listeners));
    let wider = open(&config(&[everywhere]), &Inherited::Nothing).expect("a listener");
    let narrower = reopen(&config(&[local(port)]), &wider).expect("a listener");
    drop(wider);
    assert_eq!(narrower.len(), 1);
    assert_eq!(narrower[0].address(), &local(port));
    TcpStream::connect(("127.0.0.1", port)).expect("it listens");
}

#[test]
fn one_address_twice_is_in_use() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    drop(listener);
    let twice = config(&[local(port), local(port)]);
    let refusal = open(&twice, &Inherited::Nothing).expect_err("refused");
    assert!(
        refusal.to_string().contains("in use by this server"),
        "{refusal}"
    );
    let first = open(&config(&[local(port)]), &Inherited::Nothing).expect("a listener");
    let refusal = reopen(&twice, &first).expect_err("refused");
    assert!(
        refusal.to_string().contains("in use by this server"),
        "{refusal}"
    );
}

#[test]
fn a_port_that_a_policy_forbids_is_not_called_a_low_one() {
    let check = |port: u16, error: i32, expected: &str| {
        let address = Address::Tcp {
            host: "127.0.0.1".to_owned(),
            port,
        };
        let wanted = SocketAddr::from(([127, 0, 0, 1], port));
        let error = std::io::Error::from_raw_os_error(error);
        let refusal = tcp::refusal_of_tcp(&address, wanted, &error);
        let said = refusal.failure.to_string();
        assert!(said.contains(expected), "{said}");
    };
    let (not_permitted, denied) = (1, 13);
    check(8000, not_permitted, "the system does not permit this port");
    check(8000, denied, "a policy of security says so");
    check(
        80,
        denied,
        "port 80 needs rights that this user does not have",
    );
}
