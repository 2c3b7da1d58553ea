"""A service manager is told how the server is, and passes its sockets on."""

from __future__ import annotations

import os
import re
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from signal import SIGHUP, SIGKILL, SIGTERM, SIGUSR2

import pytest
from harness import Serve, Server, eventually, processes
from harness.poll import still

SOURCE = """
import os, time
while not os.path.exists("go"):
    time.sleep(0.01)

def application(environ, start_response):
    text = " ".join(sorted(set(os.environ) & {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS"}))
    start_response("200 OK", [("Content-Length", str(len(text)))])
    return [text.encode()]
"""

#: Room for the credentials of one sender: pid, uid, gid.
CREDENTIALS = struct.Struct("3i")


class Manager:
    """The end of `NOTIFY_SOCKET` at which a service manager listens."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.heard: list[tuple[int, str]] = []
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self.socket.setblocking(False)
        self.socket.bind(address.replace("@", "\0", 1))

    @property
    def environment(self) -> dict[str, str]:
        return {"NOTIFY_SOCKET": self.address}

    def listen(self) -> list[tuple[int, str]]:
        """All messages so far, each with the pid of its sender."""
        while True:
            try:
                message, ancillary, _, _ = self.socket.recvmsg(4096, socket.CMSG_SPACE(CREDENTIALS.size))
            except BlockingIOError:
                return self.heard
            pid, _, _ = CREDENTIALS.unpack(ancillary[0][2])
            self.heard.append((pid, message.decode()))

    def forget(self) -> None:
        self.listen().clear()

    def wait(self, pattern: str) -> tuple[int, str]:
        """The first message that holds `pattern`."""

        def found() -> tuple[int, str] | None:
            return next((told for told in self.listen() if re.search(pattern, told[1], re.MULTILINE)), None)

        told = eventually(found, within=20, what=lambda: f"{pattern!r}; heard: {self.heard}")
        assert told is not None
        return told


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    manager = Manager(str(tmp_path / "notify"))
    with manager.socket:
        yield manager


@pytest.fixture
def code(tmp_path: Path) -> Path:
    (tmp_path / "service.py").write_text(SOURCE)
    (tmp_path / "go").touch()
    return tmp_path


def start(serve: Serve, manager: Manager, *options: str, ready: bool = True, **env: str) -> Server:
    return serve("service", *options, cwd=serve.folder, env={**manager.environment, **env}, ready=ready)


def test_it_is_ready_when_its_workers_serve(serve: Serve, manager: Manager, code: Path) -> None:
    (code / "go").unlink()
    server = start(serve, manager, "-w", "2", ready=False)
    server.wait_workers(2)
    manager.wait("STATUS=Starting, workers: 0 of 2 serving")
    assert not any("READY" in message for _, message in manager.listen())
    (code / "go").touch()
    pid, message = manager.wait("READY=1")
    assert (pid, message) == (server.pid, "READY=1\nSTATUS=Running, workers: 2 serving")
    assert server.stop() == 0
    assert manager.wait("STOPPING=1")[1].startswith("STOPPING=1\nSTATUS=Stopping")


def test_a_name_in_the_abstract_namespace(serve: Serve, code: Path) -> None:
    manager = Manager(f"@oxicorn-test-{os.getpid()}")
    with manager.socket:
        start(serve, manager)
        manager.wait("READY=1")


def test_nobody_at_the_socket_is_no_reason_to_fail(serve: Serve, code: Path) -> None:
    server = serve("service", cwd=serve.folder, env={"NOTIFY_SOCKET": str(code / "nobody")})
    server.wait_log("service manager cannot be told")
    assert server.get().status == 200
    assert server.stop() == 0
    assert server.log.count("service manager cannot be told") == 1


def test_a_reload_begins_and_ends(serve: Serve, manager: Manager, code: Path) -> None:
    server = start(serve, manager)
    manager.wait("READY=1")
    manager.forget()
    server.signal(SIGHUP)
    _, message = manager.wait("RELOADING=1")
    assert re.match(r"RELOADING=1\nMONOTONIC_USEC=\d+\nSTATUS=Reloading", message)
    manager.wait("READY=1")


def test_a_reload_that_fails_says_so(serve: Serve, manager: Manager, code: Path) -> None:
    server = start(serve, manager)
    manager.wait("READY=1")
    (code / "service.py").write_text("1 / 0\n")
    manager.forget()
    server.signal(SIGHUP)
    manager.wait("RELOADING=1")
    _, message = manager.wait("READY=1")
    assert "the last reload failed: Worker failed to boot." in message
    assert server.get().status == 200


def test_the_watchdog_hears_of_a_server_that_serves(serve: Serve, manager: Manager, code: Path) -> None:
    server = start(serve, manager, WATCHDOG_USEC="100000")
    manager.wait("READY=1")
    manager.forget()
    for _ in range(3):
        manager.wait("WATCHDOG=1")
        manager.forget()
    # No worker boots any more.
    (code / "service.py").write_text("1 / 0\n")
    os.kill(server.workers()[0], SIGKILL)
    manager.wait("STATUS=Running, workers: 0 of 1 serving")
    manager.forget()
    still(
        lambda: not any("WATCHDOG" in message for _, message in manager.listen()),
        throughout=0.3,
        what="silence while no worker serves",
    )
    (code / "service.py").write_text(SOURCE)
    manager.wait("WATCHDOG=1")


def test_the_application_does_not_speak_for_the_server(serve: Serve, manager: Manager, code: Path) -> None:
    server = start(serve, manager, WATCHDOG_USEC="30000000")
    assert server.get().text == ""


def test_the_service_goes_on_as_the_new_master(serve: Serve, manager: Manager, code: Path) -> None:
    pidfile = code / "pid"
    server = start(serve, manager, "--pid", str(pidfile), WATCHDOG_USEC="100000")
    manager.wait("READY=1")
    server.signal(SIGUSR2)
    second = code / "pid.2"
    new = int(eventually(lambda: second.exists() and second.read_text().strip(), within=20))
    eventually(lambda: processes.children(new), within=20)
    manager.forget()
    # A shell's, as an operator's would be: the manager itself would stop the service as a whole.
    subprocess.run(["/bin/sh", "-c", f"kill -TERM {server.pid}"], check=True)
    assert server.wait_exit() == 0
    assert manager.wait("MAINPID")[0] == server.pid
    assert f"MAINPID={new}\n" in manager.wait("MAINPID")[1]
    assert not any("STOPPING" in message for _, message in manager.listen())
    assert manager.wait("READY=1")[0] == new
    assert manager.wait(r"\AWATCHDOG=1\Z")[0] in (server.pid, new)
    manager.forget()
    assert manager.wait(r"\AWATCHDOG=1\Z")[0] == new
    os.kill(new, SIGTERM)
    assert manager.wait("STOPPING=1")[0] == new
    eventually(lambda: not processes.alive(new), within=15)


def test_several_sockets_of_the_manager_outlive_an_upgrade(serve: Serve, code: Path) -> None:
    name = str(code / "passed.sock")
    starter = code / "start.py"
    starter.write_text(
        "import os, sys\n"
        "for number, inherited in enumerate(sys.argv[1:3], 3):\n"
        "    os.dup2(int(inherited), number)\n"
        "os.environ.update(LISTEN_FDS='2', LISTEN_FDNAMES='a:b', LISTEN_PID=str(os.getpid()))\n"
        "os.execv(sys.argv[3], sys.argv[3:])\n"
    )
    with socket.create_server(("127.0.0.1", 0)) as tcp, socket.socket(socket.AF_UNIX) as unix:
        unix.bind(name)
        unix.listen()
        # Out of the way of the numbers from three on.
        numbers = [os.dup(tcp.fileno()), os.dup(unix.fileno())]
        high = [os.dup2(number, 40 + index) for index, number in enumerate(numbers)]
        pidfile = code / "pid"
        server = serve(
            "service",
            "--pid",
            str(pidfile),
            prefix=(sys.executable, str(starter), *map(str, high)),
            pass_fds=high,
            bind=None,
            cwd=code,
            ready=False,
        )
        for number in {*numbers, *high}:
            os.close(number)

        def all_serve() -> None:
            for address in (tcp.getsockname(), name):
                server.address = address
                assert server.wait_ready().get().text == ""

        all_serve()
        server.signal(SIGUSR2)
        second = code / "pid.2"
        new = int(eventually(lambda: second.exists() and second.read_text().strip(), within=20))
        eventually(lambda: processes.children(new), within=20)
        assert server.stop(SIGTERM) == 0
        for address in (tcp.getsockname(), name):
            server.address = address
            assert server.get().text == ""
        os.kill(new, SIGTERM)
        eventually(lambda: not processes.alive(new), within=15)
        assert Path(name).exists(), "a name that is the manager's"
