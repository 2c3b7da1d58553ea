"""With `--reload`, an application that cannot be imported shows its traceback to clients of this machine alone."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from harness import Serve, Wire

SECRET = "SECRET_IN_THE_SOURCE"
KINDS = [("wsgi", []), ("asgi", ["-k", "asgi"])]


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    (tmp_path / "broken.py").write_text(f"raise ValueError({SECRET!r})\n")
    return tmp_path


def own_address() -> str | None:
    """An address of this machine that is no loopback address, where it has one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return None
        address = probe.getsockname()[0]
    return None if address.startswith("127.") else address


@pytest.mark.parametrize(("name", "options"), KINDS, ids=[name for name, _ in KINDS])
def test_a_client_of_this_machine_sees_it(serve: Serve, broken: Path, name: str, options: list[str]) -> None:
    server = serve("broken", "--reload", *options, cwd=broken)
    reply = server.get()
    assert reply.status == 500
    assert SECRET in reply.text


@pytest.mark.parametrize("field", ["X-Forwarded-For", "Forwarded", "X-Real-IP"])
@pytest.mark.parametrize(("name", "options"), KINDS, ids=[name for name, _ in KINDS])
def test_whom_a_proxy_has_forwarded_does_not(
    serve: Serve, broken: Path, name: str, options: list[str], field: str
) -> None:
    server = serve("broken", "--reload", *options, cwd=broken)
    reply = server.get(fields=[(field, "203.0.113.7")])
    assert reply.status == 500
    assert SECRET not in reply.text and "Traceback" not in reply.text
    assert SECRET in server.log


@pytest.mark.parametrize(("name", "options"), KINDS, ids=[name for name, _ in KINDS])
def test_a_client_of_a_unix_socket_does_not(serve: Serve, broken: Path, name: str, options: list[str]) -> None:
    server = serve("broken", "--reload", *options, cwd=broken, bind=f"unix:{broken / 'sock'}")
    reply = server.get()
    assert reply.status == 500 and SECRET not in reply.text


@pytest.mark.parametrize(("name", "options"), KINDS, ids=[name for name, _ in KINDS])
def test_nor_does_a_client_of_another_address(serve: Serve, broken: Path, name: str, options: list[str]) -> None:
    address = own_address()
    if address is None:
        pytest.skip("this machine has only the loopback address")
    server = serve("broken", "--reload", *options, cwd=broken, bind="0.0.0.0", ready=False)
    port = server.address[1]
    server.address = ("127.0.0.1", port)
    server.wait_ready()
    with Wire((address, port)) as wire:
        reply = wire.get("/")
    assert reply.status == 500 and SECRET not in reply.text


@pytest.mark.parametrize(("name", "options"), KINDS, ids=[name for name, _ in KINDS])
def test_all_see_it_where_that_is_asked_for(serve: Serve, broken: Path, name: str, options: list[str]) -> None:
    server = serve("broken", "--reload", "--reload-show-errors", *options, cwd=broken)
    assert SECRET in server.get(fields=[("X-Forwarded-For", "203.0.113.7")]).text
