"""Clients that keep asking while a test does something to the server."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable

from .server import Server
from .wire import Closed, Reply, Wire


class Load:
    """A number of clients in threads, each asking again as soon as it has its answer.

    A client that keeps its connection does what RFC 9112, section 9.3.1 tells it: after a response
    with `Connection: close` it opens a new one, and it repeats a request once whose kept connection
    was closed before a byte of the response came, because an idle connection may be closed at any
    time. `strict` clients do not repeat even that: for what promises not to close under a request.
    """

    def __init__(
        self,
        server: Server,
        *,
        clients: int = 4,
        target: str = "/",
        keep_alive: bool = True,
        strict: bool = False,
        good: Callable[[Reply], bool] = lambda reply: reply.status == 200,
    ) -> None:
        self.server, self.target = server, target
        self.keep_alive, self.strict, self.good = keep_alive, strict, good
        self.answers: Counter[str] = Counter()
        self.failures: list[str] = []
        self.repeats = 0
        self.longest_s = 0.0
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._client, daemon=True) for _ in range(clients)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(20)
            assert not thread.is_alive(), "a client is still waiting for its answer"

    @property
    def total(self) -> int:
        return sum(self.answers.values())

    def _client(self) -> None:
        wire: Wire | None = None
        while not self._stop.is_set():
            begun = time.monotonic()
            try:
                wire = self._ask(wire)
            except (OSError, AssertionError) as error:
                with self._lock:
                    self.failures.append(f"{type(error).__name__}: {error}")
                wire = None
            with self._lock:
                self.longest_s = max(self.longest_s, time.monotonic() - begun)
        if wire is not None:
            wire.close()

    def _ask(self, wire: Wire | None) -> Wire | None:
        kept = wire is not None
        if wire is None:
            wire = self.server.connect()
        fields = () if self.keep_alive else (("Connection", "close"),)
        try:
            reply = wire.request(self.target, fields=fields).reply()
        except (Closed, ConnectionResetError, BrokenPipeError):
            if not kept or self.strict or wire.buffer:
                raise
            with self._lock:
                self.repeats += 1
            wire.close()
            return self._ask(None)
        with self._lock:
            if self.good(reply) and reply.complete:
                self.answers[reply.body.decode("latin-1")] += 1
            else:
                self.failures.append(f"{reply.status} {reply.reason} {reply.body[:100]!r}")
        if self.keep_alive and reply.keeps_alive:
            return wire
        wire.close()
        return None
