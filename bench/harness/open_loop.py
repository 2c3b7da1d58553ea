"""A client that sends at a constant rate, however slow the server is, over kept connections, as many as that takes.

A latency is counted from the moment at which the request was due, not from when it could be sent: a client that waits
for a slow server before it sends again would leave out the very requests that had to wait.
"""

from __future__ import annotations

import contextlib
import dataclasses
import heapq
import selectors
import socket
import time
from collections.abc import Iterator

from harness.process import MeasurementError

CONNECT_TIMEOUT_S = 5.0
# An open loop against a server that cannot follow opens one connection after the other.
MOST_CONNECTIONS = 2_000
# How long answers are waited for when all is sent.
DRAIN_S = 10.0
ANSWER_END = b"Hello, world!"


@dataclasses.dataclass(frozen=True)
class Mixture:
    """Of so many requests one goes to `/block`; the others are quick."""

    one_in: int

    def blocks(self, number: int) -> bool:
        """Whether a request is one of those. Multiplied by a number without common divisors, they do not come in step
        with anything that counts.
        """
        return number * 7_919 % self.one_in == 0


@dataclasses.dataclass
class Latencies:
    """Seconds from due to answered, of the quick requests."""

    quick: list[float]
    answered: int
    seconds: float


def _request(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()


QUICK, BLOCKING = _request("/"), _request("/block")


class _Client:
    """The connections of one run."""

    def __init__(self, port: int, mixture: Mixture) -> None:
        self.port = port
        self.mixture = mixture
        self.free: list[socket.socket] = []
        self.selector = selectors.DefaultSelector()
        self.open = 0
        self.found = Latencies([], 0, 0.0)

    def send(self, number: int, due: float) -> None:
        """Send one request, over a connection that is free or a new one."""
        blocks = self.mixture.blocks(number)
        request = BLOCKING if blocks else QUICK
        while self.free:
            wire = self.free.pop()
            with contextlib.suppress(OSError):
                wire.sendall(request)
                self.selector.modify(wire, selectors.EVENT_READ, (due, blocks))
                return
            self.drop(wire)
        if self.open >= MOST_CONNECTIONS:
            raise MeasurementError(f"leaves {MOST_CONNECTIONS} requests unanswered at this rate")
        try:
            wire = socket.create_connection(("127.0.0.1", self.port), CONNECT_TIMEOUT_S)
            wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            wire.sendall(request)
        except OSError as error:
            raise MeasurementError(f"does not take a connection: {error!r}") from error
        self.open += 1
        self.selector.register(wire, selectors.EVENT_READ, (due, blocks))

    def drop(self, wire: socket.socket) -> None:
        """Forget a connection that has ended."""
        self.selector.unregister(wire)
        wire.close()
        self.open -= 1

    def read(self, wait_s: float) -> int:
        """Take the answers that have come; says how many."""
        count = 0
        for key, _ in self.selector.select(wait_s):
            wire: socket.socket = key.fileobj  # type: ignore[assignment]
            # An answer of two hundred bytes arrives in one piece on the loopback.
            answer = wire.recv(4096) if key.data else b""
            if key.data is None or not answer:
                if key.data is not None:
                    raise MeasurementError("closes a connection without an answer")
                self.drop(wire)
                continue
            if not answer.startswith(b"HTTP/1.1 200 ") or not answer.endswith(ANSWER_END):
                raise MeasurementError(f"answers wrongly: {answer[:200]!r}")
            due, blocks = key.data
            self.found.answered += 1
            count += 1
            if not blocks:
                self.found.quick.append(time.perf_counter() - due)
            if b"connection: close" in answer.lower():
                self.drop(wire)
            else:
                # Whatever is readable before the next request is the end of the connection.
                self.selector.modify(wire, selectors.EVENT_READ, None)
                self.free.append(wire)
        return count


@contextlib.contextmanager
def _client(port: int, mixture: Mixture) -> Iterator[_Client]:
    client = _Client(port, mixture)
    try:
        yield client
    finally:
        for key in list(client.selector.get_map().values()):
            key.fileobj.close()  # type: ignore[union-attr]
        client.selector.close()


def saturate(port: int, mixture: Mixture, connections: int, seconds: float) -> float:
    """Answers a second when `connections` clients each send again as soon as they are answered."""
    with _client(port, mixture) as client:
        begun = time.perf_counter()
        number = waiting = 0
        while (now := time.perf_counter()) < begun + seconds:
            while waiting < connections:
                client.send(number, now)
                number += 1
                waiting += 1
            waiting -= client.read(0.1)
        return client.found.answered / (time.perf_counter() - begun)


def send_at(port: int, mixture: Mixture, rate: float, seconds: float) -> Latencies:
    """Send at `rate` a second for so long, and wait for the last answers."""
    with _client(port, mixture) as client:
        count = int(rate * seconds)
        begun = time.perf_counter()
        sent = answered = 0
        while answered < count:
            now = time.perf_counter()
            while sent < count and begun + sent / rate <= now:
                client.send(sent, begun + sent / rate)
                sent += 1
            if sent == count and now > begun + seconds + DRAIN_S:
                raise MeasurementError(f"leaves {count - answered} of {count} requests unanswered")
            until_next = begun + sent / rate - now if sent < count else 0.1
            answered += client.read(max(0.0, until_next))
        client.found.seconds = time.perf_counter() - begun
        return client.found


def ideal(mixture: Mixture, rate: float, count: int, threads: int, quick_s: float, blocking_s: float) -> list[float]:
    """What the quick requests would wait for and take with one queue for all threads, of which none is ever idle while
    a request waits.
    """
    free = [0.0] * threads
    found = []
    for number in range(count):
        due = number / rate
        begun = max(due, heapq.heappop(free))
        blocks = mixture.blocks(number)
        heapq.heappush(free, begun + (blocking_s if blocks else quick_s))
        if not blocks:
            found.append(begun + quick_s - due)
    return found
