"""A server on a terminal: a pseudo-terminal of which the test is the other end."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
from collections.abc import Mapping
from pathlib import Path
from signal import SIGKILL

from .poll import eventually
from .server import command, environment


class Terminal:
    """Runs the command with its three streams on a terminal."""

    def __init__(self, *options: str, cwd: Path, env: Mapping[str, str] | None = None, columns: int = 0) -> None:
        self._master, slave = pty.openpty()
        if columns:
            fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        self._seen = b""
        self.process = subprocess.Popen(
            [*command(), *options],
            cwd=cwd,
            env=environment({"TERM": "xterm-256color", **(env or {})}),
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
        )
        os.close(slave)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, SIGKILL)
        self.process.wait(10)
        os.close(self._master)

    @property
    def screen(self) -> str:
        """Everything that was written up to now."""
        while select.select([self._master], [], [], 0)[0]:
            try:
                data = os.read(self._master, 65536)
            except OSError:
                break  # The other end was closed by its last process.
            if not data:
                break
            self._seen += data
        return self._seen.decode(errors="replace").replace("\r\n", "\n")

    @property
    def text(self) -> str:
        """The screen without its colours."""
        return re.sub(r"\x1b\[[0-9;]*m", "", self.screen)

    def wait_for(self, text: str, within: float = 20.0) -> str:
        """The text of the screen once it contains `text`."""
        return eventually(
            lambda: text in self.text and self.text,
            within=within,
            what=lambda: f"{text!r} on the screen:\n{self.screen}",
        )
