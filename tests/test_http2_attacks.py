"""What hostile clients of HTTP/2 do ends their connections, or waits; others are served, and memory is bounded.

The bounds stand in docs/http2.md.
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator

import pytest
from harness import Serve, Server
from harness.http2 import Http2, connect
from harness.processes import memory_kib
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    PriorityFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)
from test_http2 import H2C, WORKERS

ENHANCE_YOUR_CALM = 11


SHORT = ("--send-timeout", "2", "--header-timeout", "2", "-w", "1")


@pytest.fixture(params=["sync", "asyncio"])
def worker(request: pytest.FixtureRequest) -> str:
    """A thread, and an event loop."""
    return request.param


@pytest.fixture
def server(serve: Serve) -> Server:
    return serve(*WORKERS["sync"], *H2C, *SHORT)


@contextlib.contextmanager
def attacker(server: Server, *, receive_buffer: int | None = None, **settings: int) -> Iterator[Http2]:
    """A client whose frames the test makes."""
    assert isinstance(server.address, tuple)
    host, port = server.address[:2]
    with connect(host, port, reads=False, receive_buffer=receive_buffer, **settings) as client:
        yield client


def head(client: Http2, number: int, path: str = "/", *, method: str = "GET", flags: tuple[str, ...] = ()) -> Frame:
    """The fields of a request, in a frame that the test may change."""
    pairs = [(":method", method), (":scheme", "http"), (":authority", "test"), (":path", path)]
    frame = HeadersFrame(number, data=client.h2.encoder.encode(pairs))
    for flag in ("END_HEADERS", *flags):
        frame.flags.add(flag)
    return frame


def pour(client: Http2, data: bytes, *, most: int = 10_000_000) -> None:
    """Send the same again and again, until the server ends the connection or takes nothing more, or up to `most` bytes:
    what comes behind its GOAWAY it reads and drops for a while."""
    client.sock.settimeout(1.0)
    block, sent = data * max(1, 65536 // len(data)), 0
    with contextlib.suppress(TimeoutError, ConnectionError):
        while sent < most:
            sent += client.sock.send(block)


def end_of(client: Http2) -> int | None:
    """The reason with which the server ends the connection; `None` where a reset has destroyed it. Nothing is
    answered to what it sends."""
    client.sock.settimeout(10.0)
    received = b""
    with contextlib.suppress(ConnectionError):
        while block := client.sock.recv(65536):
            received += block
    while len(received) >= 9:
        frame, length = Frame.parse_frame_header(memoryview(received[:9]))
        if isinstance(frame, GoAwayFrame):
            frame.parse_body(memoryview(received[9 : 9 + length]))
            return frame.error_code
        received = received[9 + length :]
    return None


def serves_others(server: Server) -> None:
    """Another client is answered at once."""
    begun = time.monotonic()
    assert server.get().status == 200
    assert time.monotonic() - begun < 3


def memory(server: Server) -> int:
    """What the worker holds, in KiB."""
    [pid] = server.workers()
    return memory_kib(pid)["Private_Dirty"]


def test_rapid_reset(server: Server) -> None:
    with attacker(server) as client:
        for number in range(1, 2001, 2):
            reset = RstStreamFrame(number, error_code=8)
            with contextlib.suppress(ConnectionError):
                client.sock.sendall(head(client, number, flags=("END_STREAM",)).serialize() + reset.serialize())
        assert end_of(client) == ENHANCE_YOUR_CALM
    serves_others(server)


def test_resets_of_requests_that_have_begun(server: Server) -> None:
    with attacker(server) as client:
        with contextlib.suppress(ConnectionError):
            for number in range(1, 1001, 2):
                client.sock.sendall(head(client, number, flags=("END_STREAM",)).serialize())
                time.sleep(0.001)
                client.sock.sendall(RstStreamFrame(number, error_code=8).serialize())
        assert end_of(client) == ENHANCE_YOUR_CALM
    serves_others(server)


@pytest.mark.parametrize("form", ["window", "zero", "data"])
def test_made_you_reset(server: Server, form: str) -> None:
    """The client breaks a rule of each stream, so that it is the server that resets it."""
    with attacker(server) as client:
        with contextlib.suppress(ConnectionError):
            for number in range(1, 1001, 2):
                frames = {
                    "window": [WindowUpdateFrame(number, window_increment=2**31 - 1)],
                    "zero": [WindowUpdateFrame(number, window_increment=1)],
                    "data": [DataFrame(number, data=b"more than nothing")],
                }[form]
                data = b"".join(frame.serialize() for frame in frames)
                if form == "zero":
                    data = data[:-4] + b"\0\0\0\0"
                client.sock.sendall(head(client, number, flags=("END_STREAM",)).serialize() + data)
        assert end_of(client) is not None
    serves_others(server)


@pytest.mark.parametrize("piece", [b"", b"x" * 1000])
def test_a_flood_of_continuation(server: Server, piece: bytes) -> None:
    before = memory(server)
    with attacker(server) as client:
        first = HeadersFrame(1, data=client.h2.encoder.encode([(":method", "GET")]))
        with contextlib.suppress(ConnectionError):
            client.sock.sendall(first.serialize())
        pour(client, ContinuationFrame(1, data=piece).serialize())
        assert memory(server) - before < 8192
        assert end_of(client) != 0
    serves_others(server)


@pytest.mark.parametrize(
    "frame",
    [PingFrame(0, opaque_data=b"12345678"), SettingsFrame(0), PriorityFrame(1, depends_on=0, stream_weight=1)],
    ids=["ping", "settings", "priority"],
)
def test_a_flood_of_frames_that_bring_nothing(server: Server, frame: Frame) -> None:
    before = memory(server)
    with attacker(server, receive_buffer=4096) as client:
        pour(client, frame.serialize())
        assert memory(server) - before < 8192
        assert end_of(client) in (ENHANCE_YOUR_CALM, None)
    serves_others(server)


def test_a_flood_of_empty_data(server: Server) -> None:
    with attacker(server) as client:
        client.sock.sendall(head(client, 1, "/echo", method="POST").serialize())
        pour(client, DataFrame(1).serialize())
        assert end_of(client) in (ENHANCE_YOUR_CALM, None)
    serves_others(server)


def test_an_hpack_bomb(server: Server) -> None:
    """One field of 4,000 bytes in the table, named again and again at a byte each."""
    before = memory(server)
    with attacker(server) as client:
        pairs = [(":method", "GET"), (":scheme", "http"), (":authority", "a"), (":path", "/"), ("x", "y" * 3900)]
        block = client.h2.encoder.encode(pairs)
        again = block + bytes([0x80 | 62]) * 15_000
        frame = HeadersFrame(1, data=again[:16384])
        frame.flags.add("END_HEADERS")
        frame.flags.add("END_STREAM")
        with contextlib.suppress(ConnectionError):
            client.sock.sendall(frame.serialize())
        client.sock.settimeout(10)
        with contextlib.suppress(TimeoutError):
            while not client.closed and client.h2.streams == {}:
                client.read()
        assert memory(server) - before < 8192
    serves_others(server)


def test_more_fields_than_are_allowed(server: Server) -> None:
    with attacker(server) as client:
        fields = [(f"x-{number}", "") for number in range(101)]
        assert client.wait(client.begin(fields=fields)).status == 431
        assert client.wait(client.begin(method="HEAD")).status == 200


def test_more_streams_than_are_allowed(server: Server) -> None:
    with attacker(server) as client:
        for number in range(1, 401, 2):
            client.sock.sendall(head(client, number, "/echo", method="POST").serialize())
        resets = set()
        client.sock.settimeout(5)
        with contextlib.suppress(TimeoutError):
            while len(resets) < 50 and not client.closed:
                data = client.sock.recv(65536)
                if not data:
                    break
                resets |= {data.count(b"\0\0\4\3\0")}
        assert resets
    serves_others(server)


@pytest.mark.parametrize("window", [0, 1])
def test_windows_that_stay_shut(serve: Serve, worker: str, window: int) -> None:
    """Responses wait for windows that their client does not open."""
    server = serve(*WORKERS[worker], *H2C, *SHORT)
    path = "/block/1000000" if worker == "sync" else "/big/1048576"
    assert server.get(path).status == 200
    before = memory(server)
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(attacker(server, initial_window_size=window)) for _ in range(4)]
        for client in clients:
            for _ in range(25):
                client.begin(path)
        serves_others(server)
        time.sleep(1.0)
        # 100 MB of responses.
        assert memory(server) - before < 4 * 10 * 1024
        serves_others(server)
        # send_timeout ends the streams.
        for client in clients:
            for number in client.streams:
                assert client.wait(number).reset is not None


def test_a_socket_that_is_not_read(serve: Serve, worker: str) -> None:
    server = serve(*WORKERS[worker], *H2C, *SHORT)
    path = "/block/1000000" if worker == "sync" else "/big/1048576"
    assert server.get(path).status == 200
    before = memory(server)
    with attacker(server, receive_buffer=4096, initial_window_size=2**31 - 1) as client:
        client.h2.increment_flow_control_window(2**30)
        client.flush()
        for _ in range(50):
            client.begin(path)
        serves_others(server)
        time.sleep(1.0)
        assert memory(server) - before < 24 * 1024
        serves_others(server)
        # send_timeout cuts the connection.
        time.sleep(4.0)
        client.sock.settimeout(10)
        with contextlib.suppress(ConnectionError):
            while client.sock.recv(65536):
                pass


def test_a_head_that_is_not_finished(server: Server) -> None:
    with attacker(server) as client:
        first = HeadersFrame(1, data=client.h2.encoder.encode([(":method", "GET")]))
        client.sock.sendall(first.serialize())
        begun = time.monotonic()
        assert end_of(client) is not None
        assert 1 < time.monotonic() - begun < 10
    serves_others(server)


def test_a_preface_that_is_not_finished(server: Server) -> None:
    assert isinstance(server.address, tuple)
    with socket.create_connection(server.address[:2]) as sock:
        sock.sendall(b"PRI * HTTP/2.0\r\n")
        sock.settimeout(10)
        assert sock.recv(100) == b""
