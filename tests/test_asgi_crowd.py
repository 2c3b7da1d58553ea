"""Two hundred kept connections lose no request, whatever happens to the workers."""

from __future__ import annotations

from signal import SIGHUP, SIGTERM

from harness import Crowd, Serve, eventually

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
            # Whoever keeps his connection stays where it went: one of the two may have got them all.
            eventually(lambda: sum(crowd.answers[str(pid)] for pid in new) > 200, within=20)  # noqa: B023
    assert crowd.lost == []


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
