"""A piece is on the wire before the next is asked for, and `close()` is always called."""

from __future__ import annotations

import pytest
from harness import Serve, Server, eventually, parity
from harness.wire import head


@parity
@pytest.mark.parametrize("framing", ["chunked", "length"])
def test_each_piece_is_on_the_wire_before_the_next_is_asked_for(serve: Serve, kind: str, framing: str) -> None:
    server = serve("responses", kind=kind)
    with server.connect() as wire:
        wire.request(f"/stepwise?{framing}")
        for number in range(3):
            wire.until(b"piece %d\n" % number)
            assert not serve.gates.marked(f"asked-{number + 2}")
            serve.gates.open(f"step-{number + 1}")


@parity
def test_pieces_to_an_http_1_0_client_end_with_the_connection(serve: Serve, kind: str) -> None:
    server = serve("responses", kind=kind)
    for number in (1, 2):
        serve.gates.open(f"step-{number}")
    with server.connect() as wire:
        reply = wire.send(head("/stepwise", version="HTTP/1.0")).reply()
        assert reply.text == "piece 0\npiece 1\npiece 2\n"
        assert reply.header("Transfer-Encoding") is None
        assert not reply.keeps_alive


@pytest.fixture(scope="module")
def server(serve_module: Serve, kind: str) -> Server:
    return serve_module("responses", kind=kind)


@parity("gthread")
@pytest.mark.parametrize(
    ("view", "name", "status"),
    [
        ("closing", "whole", 200),
        ("closing_sized", "sized", 200),
        ("closing_empty", "empty", 204),
        ("closing_without_start", "without-start", 500),
        ("closing_large", "large", 200),
        ("closing_after_error", "error", 200),
    ],
)
def test_close_is_called_once(serve_module: Serve, server: Server, view: str, name: str, status: int) -> None:
    mark = serve_module.gates.folder / f"closed-{name}"
    mark.unlink(missing_ok=True)
    with server.connect() as wire:
        assert wire.get(f"/{view}").status == status
    serve_module.gates.wait_marked(f"closed-{name}")
    # The file is there a moment before its line is.
    eventually(mark.read_text)
    server.get("/")
    assert len(mark.read_text().splitlines()) == 1


@parity
def test_close_is_called_for_head(serve_module: Serve, server: Server) -> None:
    mark = serve_module.gates.folder / "closed-whole"
    mark.unlink(missing_ok=True)
    with server.connect() as wire:
        assert wire.request("/closing", method="HEAD").reply(to="HEAD").status == 200
    serve_module.gates.wait_marked("closed-whole")


@parity
def test_a_close_that_fails_is_logged_and_the_answer_stands(server: Server) -> None:
    with server.connect() as wire:
        assert wire.get("/closing_wrong").text == "a"
    server.wait_log("RuntimeError: close\\(\\) failed")


@parity
@pytest.mark.parametrize("leave", ["close", "reset"])
def test_close_is_called_when_the_client_goes(serve_module: Serve, server: Server, leave: str) -> None:
    mark = serve_module.gates.folder / "closed-endless"
    mark.unlink(missing_ok=True)
    wire = server.connect()
    wire.request("/closing_endless").exactly(100_000)
    getattr(wire, leave)()
    serve_module.gates.wait_marked("closed-endless")
    assert server.get("/").text == "Hello, world!"


@parity
def test_a_client_that_goes_is_no_error_in_the_log(serve: Serve, kind: str) -> None:
    server = serve("responses", kind=kind)
    wire = server.connect()
    wire.request("/closing_endless").exactly(100_000)
    wire.reset()
    serve.gates.wait_marked("closed-endless")
    server.get("/")
    assert "Traceback" not in server.log and "[ERROR]" not in server.log


@parity
def test_an_echo_as_a_stream(server: Server) -> None:
    body = bytes(range(256)) * 2000
    assert server.post("/read_after_write", body).body == body


@parity
def test_a_generator_that_outruns_its_reader_waits(serve: Serve, kind: str) -> None:
    """A body without end fills the kernel's buffers and the server's bound, no more."""
    from harness import processes

    server = serve("responses", kind=kind)
    [worker] = server.wait_workers(1)
    before = processes.memory_kib(worker)["Rss"]
    with server.connect(receive_buffer=8192) as wire:
        wire.request("/closing_endless").exactly(10_000)
        seen: list[float] = []

        def is_quiet() -> bool:
            seen.append(processes.cpu_seconds(worker))
            return len(seen) > 30 and seen[-1] == seen[-30]

        eventually(is_quiet, what=lambda: f"a generator that waits; CPU {seen[-3:]}")
        assert processes.memory_kib(worker)["Rss"] - before < 32 * 1024
