"""Starting servers with one line; the fixtures `serve` and `serve_module` hand it out."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from .gates import Gates
from .poll import eventually
from .server import Refusal, Server, run

#: The applications that the tests serve.
APPS = Path(__file__).parent.parent / "apps"

#: Options of the two worker classes, for promises that hold for both.
KINDS = {"sync": ["-k", "sync"], "gthread": ["-k", "gthread", "--threads", "4"]}


class Serve:
    """Starts servers, which end with the fixture that gave it."""

    def __init__(self, folder: Path, stack: ExitStack, started: list[Server]) -> None:
        """`folder` is for logs and gates; every server is noted in `started`."""
        self.folder, self._stack, self._started = folder, stack, started
        self.gates = Gates(folder / "gates")
        self._rounds = 0

    def __call__(
        self,
        app: str | None = "lab",
        *options: str,
        ready: bool = True,
        probe: str = "/",
        kind: str | None = None,
        cwd: Path = APPS,
        env: Mapping[str, str] | None = None,
        bind: str | None = "127.0.0.1",
        pass_fds: tuple[int, ...] = (),
        prefix: tuple[str, ...] = (),
        trust: ssl.SSLContext | None = None,
    ) -> Server:
        """Start a server for `app`, and with `ready` wait until it answers GET `probe`.

        `trust` is the context of clients where the options make it speak TLS.
        `prefix` are words before the command, for a program that executes it.
        """
        words = [*([app] if app else []), *(KINDS[kind] if kind else []), *options]
        log = self.folder / f"server-{len(self._started)}"
        environment = {**self.gates.environment, **(env or {})}
        server = Server(
            *words,
            cwd=cwd,
            log=log,
            bind=bind,
            env=environment,
            pass_fds=pass_fds,
            prefix=prefix,
        )
        server.trust = trust
        self._started.append(self._stack.enter_context(server))
        return server.wait_ready(probe) if ready else server

    def wait_serving(self, server: Server, number: int) -> list[int]:
        """Wait until `number` workers have imported the laboratory, which is more than existing."""

        def serving() -> list[int]:
            found = server.workers()
            imported = all(self.gates.marked(f"imported-{pid}") for pid in found)
            return found if len(found) == number and imported else []

        return eventually(
            serving, within=20, what=lambda: f"{number} workers with {self.gates.marks()}; log:\n{server.log}"
        )

    def occupy(self, server: Server, slots: int) -> None:
        """Fill `slots` places with requests at the same time and let them go.

        With as many as all workers have together, this shows that every worker serves.
        """
        self._rounds += 1
        with ExitStack() as stack:
            names = [f"slot-{self._rounds}-{number}" for number in range(slots)]
            wires = []
            for name in names:
                wires.append(stack.enter_context(server.connect()).request(f"/gate/{name}"))
                self.gates.wait_entered(name, within=20)
            for name in names:
                self.gates.open(name)
            for wire in wires:
                assert wire.reply().status == 200

    def refused(
        self,
        *options: str,
        cwd: Path = APPS,
        env: Mapping[str, str] | None = None,
        bind: str | None = "127.0.0.1:0",
    ) -> Refusal:
        """Run a server that does not come up, to its end."""
        words = [*options, *(["--bind", bind] if bind else [])]
        return run(*words, cwd=cwd, env={**self.gates.environment, **(env or {})})
