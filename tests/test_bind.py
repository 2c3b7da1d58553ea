"""The addresses: TCP in both versions, unix sockets, inherited descriptors, several at once."""

from __future__ import annotations

import re
import socket
import stat
import sys
from pathlib import Path
from signal import SIGTERM

import pytest
from harness import APPS, Serve, Wire, better, free_port, parity, processes


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


@parity
def test_ipv4(serve: Serve) -> None:
    server = serve("lab", bind="127.0.0.1")
    host, port = server.address
    assert f"Listening at: http://{host}:{port} ({server.pid})" in server.log


@parity
@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 on this machine")
def test_ipv6(serve: Serve) -> None:
    server = serve("lab", bind="::1")
    environ = server.get("/environ").json()
    assert environ["REMOTE_ADDR"] == "::1"
    assert environ["SERVER_NAME"] == "::1"
    assert f"http://[::1]:{server.address[1]}" in server.log


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 on this machine")
def test_an_ipv4_client_of_a_socket_for_both_sees_ipv4_at_both_ends(serve: Serve) -> None:
    server = serve("lab", bind="::")
    with Wire(("127.0.0.1", server.address[1])) as wire:
        environ = wire.get("/environ").json()
    assert (environ["REMOTE_ADDR"], environ["SERVER_NAME"]) == ("127.0.0.1", "127.0.0.1")


@parity
def test_a_name(serve: Serve) -> None:
    port = free_port()
    server = serve("lab", "--bind", f"localhost:{port}", bind=None, ready=False)
    server.address = ("localhost", port)
    assert server.wait_ready().get().text == "Hello, world!"


@parity
def test_port_0_is_told_in_the_log(serve: Serve) -> None:
    server = serve("lab", "-b", "127.0.0.1:0", bind=None, ready=False)
    [match] = server.wait_log(r"Listening at: http://127\.0\.0\.1:(\d+)")
    assert int(match[1]) > 0
    server.address = ("127.0.0.1", int(match[1]))
    assert server.get().text == "Hello, world!"


@parity
def test_a_unix_socket(serve: Serve, tmp_path: Path) -> None:
    path = tmp_path / "oxi corn.sock"
    server = serve("lab", bind=f"unix:{path}")
    assert server.get().text == "Hello, world!"
    assert f"Listening at: unix:{path} ({server.pid})" in server.log
    assert stat.S_IMODE(path.stat().st_mode) == 0o777, "umask is 0 by default"


@parity
def test_the_umask_is_the_mode_of_a_unix_socket(serve: Serve, tmp_path: Path) -> None:
    path = tmp_path / "sock"
    serve("lab", "-m", "007", bind=f"unix:{path}")
    assert stat.S_IMODE(path.stat().st_mode) == 0o770


@parity
def test_a_stale_socket_is_replaced(serve: Serve, tmp_path: Path) -> None:
    path = tmp_path / "sock"
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))
    assert serve("lab", bind=f"unix:{path}").get().text == "Hello, world!"


def test_a_file_that_is_no_socket_is_left_alone(serve: Serve, tmp_path: Path) -> None:
    path = tmp_path / "precious"
    path.write_text("content")
    refusal = serve.refused("lab", bind=f"unix:{path}")
    assert refusal.code == 1
    assert str(path) in refusal.text and "Traceback" not in refusal.text
    assert path.read_text() == "content"


@parity
def test_a_socket_in_a_folder_that_is_not_there(serve: Serve, tmp_path: Path) -> None:
    refusal = serve.refused("lab", bind=f"unix:{tmp_path}/not/there")
    assert refusal.code == 1
    assert "not/there" in refusal.text and "Traceback" not in refusal.text


@parity
def test_an_inherited_descriptor(serve: Serve) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        number = listener.fileno()
        server = serve("lab", "--bind", f"fd://{number}", bind=None, pass_fds=(number,), ready=False)
        server.address = listener.getsockname()
        assert server.wait_ready().get("/environ").json()["REMOTE_ADDR"] == "127.0.0.1"


@better
def test_an_inherited_unix_socket_is_not_removed(serve: Serve, tmp_path: Path) -> None:
    path = tmp_path / "sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        number = listener.fileno()
        server = serve("lab", "--bind", f"fd://{number}", bind=None, pass_fds=(number,), ready=False)
        server.address = str(path)
        assert server.wait_ready().stop() == 0
    assert path.exists(), "its owner is who made it"


@parity
def test_sockets_of_systemd(serve: Serve) -> None:
    """LISTEN_FDS: the descriptors from 3 on are the addresses, whatever `--bind` says."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        # LISTEN_PID must be the server's own, which only the process itself knows.
        starter = serve.folder / "start.py"
        starter.write_text(
            "import os, sys\n"
            "os.dup2(int(sys.argv[1]), 3)\n"
            "os.environ.update(LISTEN_FDS='1', LISTEN_PID=str(os.getpid()))\n"
            "os.execv(sys.argv[2], sys.argv[2:])\n"
        )
        number = listener.fileno()
        server = serve(
            "lab",
            prefix=(sys.executable, str(starter), str(number)),
            pass_fds=(number,),
            bind=None,
            ready=False,
        )
        server.address = listener.getsockname()
        assert server.wait_ready().get().text == "Hello, world!"
        assert server.stop(SIGTERM) == 0


@better
def test_a_descriptor_that_is_none(serve: Serve) -> None:
    refusal = serve.refused("lab", bind="fd://77")
    assert refusal.code == 1
    assert "77" in refusal.text and "Traceback" not in refusal.text


@parity
def test_several_at_once(serve: Serve, tmp_path: Path) -> None:
    path, port = tmp_path / "sock", free_port()
    server = serve("lab", "--bind", f"unix:{path}", "-b", f"127.0.0.1:{port}")
    for address in (server.address, str(path), ("127.0.0.1", port)):
        with Wire(address) as wire:
            assert wire.get().text == "Hello, world!"
    assert len(re.findall("Listening at", server.log)) == 1
    assert server.stop() == 0
    assert not path.exists()


@parity
def test_several_serve_beside_each_other(serve: Serve) -> None:
    """A listener without clients must not keep the worker from the other."""
    port = free_port()
    server = serve("lab", "-b", f"127.0.0.1:{port}", "-w", "2", kind="sync")
    for _ in range(20):
        for address in (server.address, ("127.0.0.1", port)):
            with Wire(address) as wire:
                assert wire.patience(5).get().status == 200


@parity
def test_the_backlog_takes_what_workers_do_not(serve: Serve) -> None:
    server = serve("lab", "--backlog", "64", kind="sync")
    with server.connect() as busy:
        busy.request("/gate/busy")
        serve.gates.wait_entered("busy")
        wires = [server.connect() for _ in range(60)]
        for wire in wires:
            wire.request("/pid")
        serve.gates.open("busy")
        assert busy.reply().status == 200
        for wire in wires:
            assert wire.reply().status == 200
            wire.close()


@parity
def test_nobody_but_the_arbiter_and_its_workers_holds_the_listener(serve: Serve, write) -> None:
    """A child that the application starts must not keep the port."""
    write(
        "starts.py",
        """
        import subprocess, sys
        from lab import plain

        LIST = (
            "import os; names = [f'/proc/self/fd/{n}' for n in range(3, 40)];"
            "print([os.readlink(name) for name in names if os.path.exists(name)])"
        )

        def application(environ, start_response):
            out = subprocess.run([sys.executable, "-c", LIST], stdout=subprocess.PIPE, close_fds=False).stdout
            return plain(start_response, out)
        """,
    )
    server = serve("starts", "--pythonpath", str(APPS), cwd=serve.folder)
    assert server.get().text == "[]\n", "standard streams, and nothing of the server"


def test_nothing_is_written_but_what_was_asked_for(serve: Serve, tmp_path: Path) -> None:
    """No heartbeat file, no control socket: the server runs where no directory is writable."""
    home = tmp_path / "home"
    home.mkdir()
    folders = {"HOME": str(home), "XDG_RUNTIME_DIR": str(home), "TMPDIR": str(home)}
    server = serve("lab", "--worker-tmp-dir", str(home), "--no-control-socket", env=folders)
    assert server.get().text == "Hello, world!"
    assert list(home.iterdir()) == []
    for pid in (server.pid, *server.workers()):
        assert [name for name in processes.open_files(pid) if str(home) in name or "/dev/shm" in name] == []
    server.wait_log("worker.tmp.dir has no effect")
