"""`oxicorn ctl`: sends a command to the control socket of a running server and shows the answer."""

from __future__ import annotations

import argparse
import json
import os
import socket
import struct
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

#: How long the server may take to answer. The arbiter answers between two steps of its own work.
PATIENCE_S = 30.0
#: The most that an answer may be, Gunicorn's number.
MOST_BYTES = 16 * 1024 * 1024

DESCRIPTION = """\
Sends a command to a running server and shows the answer. The server has to be started with
--control-socket PATH; `help` lists its commands."""


class ControlError(Exception):
    """The server did not answer, or answered that it will not."""


class Control:
    """A connection to a control socket. It speaks Gunicorn's protocol: a length of four bytes, then JSON."""

    def __init__(self, path: str) -> None:
        """Connect to the socket at `path`."""
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(PATIENCE_S)
        self._last_id = 0
        try:
            self._socket.connect(path)
        except OSError as error:
            self._socket.close()
            raise ControlError(f"{path}: {error.strerror or error}") from None

    def __enter__(self) -> Control:
        """Use it as a context manager."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connection."""
        self._socket.close()

    def send(self, command: str) -> Any:
        """Return what the server answers to a command such as `show workers`."""
        self._last_id += 1
        text = json.dumps({"id": self._last_id, "command": command, "args": []}).encode()
        try:
            self._socket.sendall(struct.pack(">I", len(text)) + text)
            (length,) = struct.unpack(">I", self._exactly(4))
            if length > MOST_BYTES:
                raise ControlError(f"the answer has {length} bytes, {MOST_BYTES} are expected at most")
            answer = json.loads(self._exactly(length))
        except OSError as error:
            raise ControlError(f"the server does not answer: {error.strerror or error}") from None
        if answer.get("status") != "ok":
            raise ControlError(answer.get("error") or "the server refused without a reason")
        return answer.get("data")

    def _exactly(self, count: int) -> bytes:
        parts = bytearray()
        while len(parts) < count:
            part = self._socket.recv(min(count - len(parts), 65536))
            if not part:
                raise ControlError("the server closed the connection")
            parts += part
        return bytes(parts)


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Objects of the same shape as lines below their names."""
    if not rows:
        return "(none)"
    names = list(rows[0])
    lines = [[name.upper() for name in names]]
    lines += [["-" if row.get(name) is None else str(row[name]) for name in names] for row in rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(names))]
    padded = ("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)
    return "\n".join(line.rstrip() for line in padded)


def shown(data: Any) -> str:
    """An answer as a person reads it: names and values, lists of objects as tables."""
    if not isinstance(data, dict):
        return json.dumps(data, indent=2)
    if set(data) == {"stacks"}:
        return "\n".join(f"Worker {each['pid']}:\n{each.get('text', each.get('error'))}" for each in data["stacks"])
    if set(data) == {"commands"}:
        width = max(map(len, data["commands"]))
        return "\n".join(f"{name.ljust(width)}  {does}" for name, does in data["commands"].items())
    plain = {name: value for name, value in data.items() if not _is_table(value)}
    width = max(map(len, plain), default=0)
    parts = ["\n".join(f"{name.ljust(width)}  {_value(value)}" for name, value in plain.items())]
    parts += [f"{name}:\n{table(value)}" for name, value in data.items() if _is_table(value)]
    return "\n\n".join(part for part in parts if part)


def _is_table(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, dict) for item in value)


def _value(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if isinstance(value, dict):
        return ", ".join(f"{name}={item}" for name, item in value.items()) or "-"
    return "-" if value is None else str(value)


def parser_of(command: str, description: str) -> argparse.ArgumentParser:
    """Return the parser of a command that needs a control socket, with the option that names it."""
    parser = argparse.ArgumentParser(prog=command, description=description)
    parser.add_argument(
        "-s",
        "--socket",
        metavar="PATH",
        default=os.environ.get("OXICORN_CONTROL_SOCKET"),
        help="the control socket; without it, what OXICORN_CONTROL_SOCKET names",
    )
    return parser


def main(arguments: list[str]) -> int:
    """Run `oxicorn ctl ARGUMENTS` and return its exit code."""
    parser = parser_of("oxicorn ctl", DESCRIPTION)
    parser.add_argument("-j", "--json", action="store_true", help="show the answer as JSON")
    parser.add_argument("command", nargs="*", metavar="COMMAND", help="such as: show workers; help lists all")
    given = parser.parse_args(arguments)
    if not given.socket:
        parser.error("which server? -s PATH, the path that it was started with as --control-socket PATH")
    try:
        with Control(given.socket) as control:
            answer = control.send(" ".join(given.command) or "help")
    except ControlError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    sys.stdout.write((json.dumps(answer, indent=2) if given.json else shown(answer)) + "\n")
    return 0 if not isinstance(answer, dict) or answer.get("success", True) else 1
