"""The protocol vectors, replayed against a running server: whole, byte by byte, and pipelined.

The same files feed the parser's own tests; here they show that nothing between the socket and the
application undoes what the parser decided.
"""

from __future__ import annotations

from contextlib import ExitStack

import pytest
from harness import Reply, Serve, Server, Wire
from harness.vectors import Vector, read
from harness.wire import Closed, head

VECTORS = read()
FINISHED = [each for each in VECTORS if "incomplete" not in each.values]
INCOMPLETE = [each for each in VECTORS if "incomplete" in each.values and not each.options]
#: A request that no case contains, to be sent behind one.
NEXT = head("/behind?the=case", fields=[("Connection", "close")])


@pytest.fixture(scope="module")
def servers(serve_module: Serve) -> dict[tuple[str, ...], Server]:
    """A server for each set of limits, started when a case first needs it."""

    class Servers(dict):
        def __missing__(self, options: tuple[str, ...]) -> Server:
            self[options] = serve_module("mirror", *options, kind="sync")
            return self[options]

    return Servers()


@pytest.mark.parametrize("feeding", ["whole", "bytewise"])
@pytest.mark.parametrize("vector", FINISHED, ids=str)
def test_vector(servers: dict[tuple[str, ...], Server], vector: Vector, feeding: str) -> None:
    with servers[tuple(vector.options)].connect() as wire:
        try:
            if feeding == "whole":
                wire.send(vector.sent + NEXT)
            else:
                wire.send_bytewise(vector.sent)
        except (BrokenPipeError, ConnectionResetError):
            # A refusal may come, and its lingering end, before the last byte has gone out.
            assert "refused" in vector.values, "the server closed before the case was sent"
        if "refused" in vector.values:
            refused(wire, vector)
        else:
            accepted(wire, vector, wire if feeding == "whole" else None)


def refused(wire: Wire, vector: Vector) -> None:
    """An answer with the status of the case, and an end."""
    reply = wire.reply()
    assert reply.status == int((vector.text("refused") or "").split()[0]), reply
    assert reply.header("Connection") == "close"
    assert wire.rest_or_reset() == b"", "and no further answer"


def accepted(wire: Wire, vector: Vector, pipelined: Wire | None) -> None:
    """The application saw the request of the case; the next one is served if it may be."""
    method, target, version = (vector.text("accepted") or "").split(" ")
    reply = wire.reply(to=method)
    if method == "CONNECT":
        # No tunnel is to be had: the answer is a refusal, or the application's own.
        assert reply.status < 600
        return
    assert reply.status == 200, reply
    if method != "HEAD":
        check_seen(reply, vector, method, target, version)
    assert reply.keeps_alive == vector.keeps_alive, reply.fields
    if not vector.keeps_alive:
        assert wire.rest() == b""
        return
    if pipelined is None:
        wire.send(NEXT)
    assert wire.reply().json()["target"] == "/behind?the=case"
    assert wire.rest() == b""


def check_seen(reply: Reply, vector: Vector, method: str, target: str, version: str) -> None:
    seen = reply.json()
    expected = {"method": method, "target": target, "version": version}
    expected["body"] = vector.text("body") or ""
    for name in ("host", "query"):
        said = vector.text(name)
        if said is not None:
            expected[name] = said
    assert {name: seen[name] or "" for name in expected} == expected


def test_incomplete_vectors_are_waited_for(serve: Serve) -> None:
    """No answer but the 408 of the timeout; all of them at the same time."""
    times = ("--header-timeout", "2", "--body-timeout", "2")
    server = serve("mirror", *times, "--limit-request-body", "0", kind="sync")
    with ExitStack() as stack:
        wires = [(each, stack.enter_context(server.connect())) for each in INCOMPLETE]
        for vector, wire in wires:
            wire.send(vector.sent)
        answers = {str(vector): first_status(wire) for vector, wire in wires}
    assert {name: status for name, status in answers.items() if status not in (None, 408)} == {}
    assert 408 in answers.values()


def first_status(wire: Wire) -> int | None:
    """The status of the first final answer, or None where the connection just ended."""
    try:
        return wire.reply().status
    except (Closed, ConnectionResetError):
        return None


def test_every_file_has_its_cases() -> None:
    assert len(VECTORS) > 100 and len({each.name for each in VECTORS}) == len(VECTORS)
