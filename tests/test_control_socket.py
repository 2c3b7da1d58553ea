"""The control socket: Gunicorn's protocol and commands, spoken by Gunicorn's own client where it is there."""

from __future__ import annotations

import json
import os
import socket
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from harness import Serve, Server, eventually, run
from harness.server import environment
from oxicorn.ctl import Control, ControlError

GUNICORNC = Path(sys.prefix + "-gunicorn/bin/gunicornc")


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "control")


def start(serve: Serve, path: str, *options: str) -> Server:
    return serve("lab", "--control-socket", path, *options)


def ctl(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "oxicorn", "ctl", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment(env), timeout=30)


def test_the_number_of_workers_follows_the_commands(serve: Serve, path: str) -> None:
    server = start(serve, path, "-w", "2")
    with Control(path) as control:
        assert control.send("worker add 2") == {"added": 2, "previous": 2, "total": 4}
        server.wait_workers(4)
        assert control.send("worker remove 3") == {"removed": 3, "previous": 4, "total": 1}
        (last,) = server.wait_workers(1)
        assert control.send("worker remove 1")["total"] == 1
        assert control.send(f"worker kill {last}") == {"success": True, "killed": last}
        server.wait_replaced([last], 1)
        assert control.send("worker kill 1") == {"success": False, "error": "Worker 1 not found"}


def test_what_it_shows(serve: Serve, path: str) -> None:
    server = start(serve, path, "-w", "2", "--threads", "3")
    workers = server.wait_workers(2)
    with Control(path) as control:
        shown = control.send("show workers")
        assert shown["count"] == 2
        assert sorted(worker["pid"] for worker in shown["workers"]) == sorted(workers)
        eventually(lambda: all(worker["booted"] for worker in control.send("show workers")["workers"]))
        assert control.send("show all")["arbiter"]["pid"] == server.pid
        stats = control.send("show stats")
        assert (stats["pid"], stats["workers_target"], stats["reloads"]) == (server.pid, 2, 0)
        (listener,) = control.send("show listeners")["listeners"]
        assert listener["type"] == "tcp" and listener["address"].startswith("http://127.0.0.1:")
        config = control.send("show config")
        assert (config["workers"], config["threads"], config["control_socket"]) == (2, 3, path)
        assert "show workers" in control.send("help")["commands"]


def test_a_reload_and_a_stop(serve: Serve, path: str) -> None:
    server = start(serve, path, "-w", "1")
    old = server.workers()
    with Control(path) as control:
        assert control.send("reload") == {"status": "reloading"}
        server.wait_replaced(old, 1)
        eventually(lambda: control.send("show stats")["reloads"] == 1)
        assert control.send("reopen") == {"status": "reopening"}
        assert control.send("shutdown") == {"status": "shutting_down", "mode": "graceful"}
    assert server.wait_exit() == 0
    assert not Path(path).exists()


def test_a_wrong_command_is_an_error_and_not_the_end(serve: Serve, path: str) -> None:
    start(serve, path)
    with Control(path) as control:
        with pytest.raises(ControlError, match="Unknown command: sing"):
            control.send("sing")
        with pytest.raises(ControlError, match="no number of workers"):
            control.send("worker add many")
        assert control.send("show stats")["workers_target"] == 1


def test_messages_come_in_pieces_together_and_malformed(serve: Serve, path: str) -> None:
    server = start(serve, path)
    message = json.dumps({"id": 9, "command": "show", "args": ["stats"]}).encode()
    framed = struct.pack(">I", len(message)) + message
    with socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(10)
        peer.connect(path)
        for position in range(len(framed)):
            peer.sendall(framed[position : position + 1])
        answers = peer.makefile("rb")

        def answer() -> dict[str, object]:
            (length,) = struct.unpack(">I", answers.read(4))
            return dict(json.loads(answers.read(length)))

        assert (answer()["id"], answer)[0] == 9
        peer.sendall(framed * 3)
        assert [answer()["id"] for _ in range(3)] == [9, 9, 9]
        peer.sendall(struct.pack(">I", 2) + b"{]")
        assert answer()["status"] == "error"
        peer.sendall(struct.pack(">I", 0xFFFFFFFF))
        assert answer()["error"] == "the message is too long"
        assert answers.read() == b""
    assert server.get("/").status == 200


def test_the_socket_is_the_owners_alone(serve: Serve, path: str) -> None:
    start(serve, path)
    assert os.stat(path).st_mode & 0o777 == 0o600


def test_a_mode_of_ones_own_and_none_at_all(serve: Serve, path: str, tmp_path: Path) -> None:
    start(serve, path, "--control-socket-mode", "0660")
    assert os.stat(path).st_mode & 0o777 == 0o660
    other = tmp_path / "other"
    start(serve, str(other), "--no-control-socket")
    assert not other.exists()


def test_two_servers_do_not_share_a_path(serve: Serve, path: str, tmp_path: Path) -> None:
    first = start(serve, path)
    refused = run("--control-socket", path, "--bind", "127.0.0.1:0", "x:y", cwd=tmp_path)
    assert refused.code == 1
    assert f"control_socket: cannot listen on unix:{path}" in refused.text
    with Control(path) as control:
        assert control.send("show stats")["pid"] == first.pid


def test_the_command_shows_tables_and_json(serve: Serve, path: str) -> None:
    server = start(serve, path)
    shown = ctl("-s", path, "show", "workers")
    assert shown.returncode == 0
    assert "PID" in shown.stdout and str(server.workers()[0]) in shown.stdout
    as_json = ctl("-j", "show", "stats", OXICORN_CONTROL_SOCKET=path)
    assert json.loads(as_json.stdout)["pid"] == server.pid
    assert "show workers" in ctl("-s", path).stdout


def test_the_command_says_what_is_wrong(tmp_path: Path) -> None:
    missing = ctl("-s", str(tmp_path / "none"), "help")
    assert (missing.returncode, missing.stderr) == (1, f"error: {tmp_path / 'none'}: No such file or directory\n")
    nameless = ctl("help")
    assert nameless.returncode == 2
    assert "-s PATH" in nameless.stderr


@pytest.mark.skipif(not GUNICORNC.exists(), reason="Gunicorn is not installed beside the tests")
def test_gunicorns_own_client(serve: Serve, path: str) -> None:
    server = start(serve, path)

    def gunicornc(command: str) -> str:
        done = subprocess.run([GUNICORNC, "-s", path, "-c", command], capture_output=True, text=True, timeout=30)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert str(server.workers()[0]) in gunicornc("show workers")
    assert f"PID:              {server.pid}" in gunicornc("show stats")
    for command in ("show all", "show listeners", "show config", "show dirty", "help", "worker add 1", "reopen"):
        assert gunicornc(command)
    server.wait_workers(2)
    gunicornc("shutdown quick")
    assert server.wait_exit() == 0
