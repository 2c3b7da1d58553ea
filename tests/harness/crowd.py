"""Many clients that keep their connections and think between requests, in one thread."""

from __future__ import annotations

import asyncio
import random
import threading
from collections import Counter

from .server import Server

#: Until when an answer has to be there.
ANSWER_S = 15.0


class Crowd:
    """Clients of a server, each with a connection of its own, that never repeat a request.

    A request is lost when it was sent, and no whole answer with status 200 came. A connection that is closed while
    nothing was asked on it costs nothing: the client opens another, as it does after `Connection: close`. With
    `returns=False` it goes home then, which is right where the server itself goes.
    """

    def __init__(
        self, server: Server, *, target: str = "/", clients: int = 200, think_s: float = 0.1, returns: bool = True
    ) -> None:
        self.server, self.target = server, target
        self.clients, self.think_s, self.returns = clients, think_s, returns
        self.answers: Counter[str] = Counter()
        self.lost: list[str] = []
        self.present = 0
        self._leave = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._all()), daemon=True)

    def __enter__(self) -> Crowd:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._leave.set()
        self._thread.join(2 * ANSWER_S)
        assert not self._thread.is_alive(), "a client is still waiting for its answer"

    @property
    def total(self) -> int:
        return sum(self.answers.values())

    @property
    def gone(self) -> bool:
        """Whether all clients went home by themselves."""
        return not self._thread.is_alive()

    async def _all(self) -> None:
        await asyncio.gather(*(self._client(random.Random(seed)) for seed in range(self.clients)))

    async def _client(self, chance: random.Random) -> None:
        while not self._leave.is_set():
            try:
                await self._connection(chance)
            except (OSError, asyncio.IncompleteReadError, asyncio.TimeoutError, ValueError) as error:
                self.lost.append(f"{type(error).__name__}: {error}")
            if not self.returns:
                return

    async def _connection(self, chance: random.Random) -> None:
        """Ask on one connection until one side ends it."""
        host, port = self.server.address[:2]
        reader, writer = await asyncio.open_connection(host, port)
        self.present += 1
        try:
            keeps = True
            while keeps and not reader.at_eof() and not self._leave.is_set():
                writer.write(f"GET {self.target} HTTP/1.1\r\nHost: test.example\r\n\r\n".encode())
                keeps = await asyncio.wait_for(self._answer(reader), ANSWER_S)
                if keeps:
                    await asyncio.sleep(chance.uniform(0, self.think_s))
        finally:
            self.present -= 1
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader) -> bool:
        """Read an answer. Whether the connection may be used again."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        status, *lines = head.rstrip().split("\r\n")
        fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body = await reader.readexactly(int(fields["content-length"]))
        if status.split(" ")[1] != "200":
            raise ValueError(status)
        self.answers[body.decode("latin-1")] += 1
        return fields.get("connection", "").lower() != "close"
