"""Two hundred kept connections lose no request, whatever happens to the workers."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from signal import SIGHUP, SIGTERM

from harness import Crowd, Serve, eventually, processes

ASGI = ["-k", "asgi", "-w", "2"]


def everybody(crowd: Crowd) -> bool:
    """All are connected and have asked more than once."""
    return crowd.present == crowd.clients and crowd.total > 3 * crowd.clients


def test_at_a_reload(serve: Serve) -> None:
    server = serve("asgi_lab", *ASGI)
    serve.wait_serving(server, 2)
    with Crowd(server, target="/pid") as crowd:
        eventually(lambda: everybody(crowd), within=20)
        for _ in range(3):
            old = server.workers()
            server.signal(SIGHUP)
            new = server.wait_replaced(old, 2)
            eventually(lambda: sum(crowd.answers[str(pid)] for pid in new) > 200, within=20)  # noqa: B023
    assert crowd.lost == []


def test_a_new_client_goes_to_whoever_has_fewer(serve: Serve) -> None:
    """A connection stays where it went, so chance must not decide it."""
    server = serve("asgi_lab", *ASGI)
    serve.wait_serving(server, 2)
    first, second = server.workers()
    with ExitStack() as stack:

        def connect() -> int:
            """The worker that a new client got."""
            return int(stack.enter_context(server.connect()).get("/pid").body)

        with processes.stopped(second):
            held = Counter(connect() for _ in range(40))
        assert held == {first: 40}
        for _ in range(100):
            held[connect()] += 1
            if 8 * held[first] <= 9 * held[second]:
                break
        assert 8 * held[first] <= 9 * held[second], f"the other one catches up: {held}"


def test_a_reload_shares_the_connections_out(serve: Serve) -> None:
    server = serve("asgi_lab", *ASGI)
    old = serve.wait_serving(server, 2)
    with ExitStack() as stack:
        wires = [stack.enter_context(server.connect()) for _ in range(100)]
        for wire in wires:
            assert wire.get("/pid").status == 200
        server.signal(SIGHUP)
        server.wait_replaced(old, 2)
        shares = Counter(int(wire.get("/pid").body) for wire in wires)
        assert min(shares.values()) >= 25, shares
        assert len(shares) == 2


def test_at_max_requests(serve: Serve) -> None:
    server = serve("asgi_lab", *ASGI, "--max-requests", "1000")
    serve.wait_serving(server, 2)
    with Crowd(server, target="/pid") as crowd:
        eventually(lambda: len(crowd.answers) >= 5, within=40, what=lambda: str(crowd.answers))
    assert crowd.lost == []


def test_at_the_end(serve: Serve) -> None:
    """Everybody may ask once more, and is told that it was the last time."""
    server = serve("asgi_lab", *ASGI)
    serve.wait_serving(server, 2)
    with Crowd(server, target="/pid", returns=False) as crowd:
        eventually(lambda: everybody(crowd), within=20)
        server.signal(SIGTERM)
        assert server.wait_exit() == 0
        eventually(lambda: crowd.gone)
    assert crowd.lost == []
