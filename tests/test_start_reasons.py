"""A start that fails for a reason of the machine names the reason."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from harness import APPS, Refusal, Serve, free_port
from harness.server import command, environment

ROOT = os.geteuid() == 0 and os.environ.get("CI") != "true"
need_root = pytest.mark.skipif(not ROOT, reason="only root can set this up")


def start(*words: str, prefix: tuple[str, ...], cwd: Path = APPS) -> Refusal:
    said = subprocess.run(
        [*prefix, *command(), *words],
        cwd=cwd,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    return Refusal(said.returncode, said.stdout, said.stderr)


@pytest.mark.parametrize("limit", [8, 12])
def test_too_few_open_files(limit: int) -> None:
    prefix = ("prlimit", f"--nofile={limit}:{limit}")
    refusal = start("lab", "--bind", f"127.0.0.1:{free_port()}", prefix=prefix)
    assert refusal.code != 0
    assert f"too many open files: the limit of this process is {limit} (ulimit -n" in refusal.text, refusal.text


@pytest.mark.parametrize("option", ["--user", "--group"])
def test_a_user_that_the_namespace_does_not_have(option: str) -> None:
    if subprocess.run(["unshare", "-Ur", "true"], check=False, capture_output=True).returncode:
        pytest.skip("no user namespaces here")
    name = "nobody" if option == "--user" else "65534"
    refusal = start("lab", option, name, "--bind", "127.0.0.1:0", prefix=("unshare", "-Ur"))
    assert refusal.code == 1
    assert option in refusal.text
    assert "the user namespace of this process does not have the" in refusal.text, refusal.text


@need_root
def test_root_without_the_right_to_become_another(tmp_path: Path) -> None:
    if shutil.which("setpriv") is None:
        pytest.skip("setpriv is not installed")
    prefix = ("setpriv", "--bounding-set=-setuid,-setgid", "--inh-caps=-setuid,-setgid")
    refusal = start("lab", "--user", "nobody", "--bind", f"127.0.0.1:{free_port()}", prefix=prefix)
    assert refusal.code == 3
    assert "root needs CAP_SETUID and CAP_SETGID" in refusal.text, refusal.text


@pytest.mark.parametrize("first", ["0.0.0.0", "[::]"])
def test_all_addresses_of_both_families(serve: Serve, first: str) -> None:
    port = free_port()
    second = "[::]" if first == "0.0.0.0" else "0.0.0.0"
    refusal = serve.refused("lab", "--bind", f"{first}:{port}", "--bind", f"{second}:{port}", bind=None)
    assert refusal.code == 1
    assert f"{second}:{port} is already in use by this server" in refusal.text
    assert f"[::] serves IPv4 as well: --bind '[::]:{port}' alone is enough" in refusal.text


@need_root
def test_localhost_without_ipv4(tmp_path: Path) -> None:
    if subprocess.run(["unshare", "-n", "ip", "link", "set", "lo", "up"], check=False, capture_output=True).returncode:
        pytest.skip("no network namespaces here")
    port = free_port()
    words = " ".join([*command(), "lab", "--bind", f"localhost:{port}"])
    script = f"""
        ip link set lo up && ip addr del 127.0.0.1/8 dev lo || exit 99
        {words} 2>{tmp_path}/log & server=$!
        for attempt in $(seq 200); do
            if {command()[0]} -c "import socket; socket.create_connection(('::1', {port})).close()" 2>/dev/null; then
                kill $server; wait $server; exit 0
            fi
            kill -0 $server 2>/dev/null || exit 98
            sleep 0.05
        done
        kill $server; exit 97
    """
    said = subprocess.run(["unshare", "-n", "sh", "-c", script], cwd=APPS, env=environment(), timeout=60, check=False)
    assert said.returncode == 0, (said.returncode, (tmp_path / "log").read_text())
    assert f"Listening at: http://[::1]:{port}" in (tmp_path / "log").read_text()


def test_an_address_of_another_machine(serve: Serve) -> None:
    refusal = serve.refused("lab", bind="192.0.2.1:8000")
    assert refusal.code == 1
    assert "this machine has no such address" in refusal.text
