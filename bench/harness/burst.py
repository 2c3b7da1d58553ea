"""A client that sends requests in bursts over kept connections and reads every answer: the same work in each run."""

from __future__ import annotations

import socket
import time

from harness.cases import Case
from harness.process import MeasurementError

# Under callgrind a server starts fifty times slower than it does by itself.
START_DEADLINE_S = 120.0
ANSWER_TIMEOUT_S = 60.0


def _request(case: Case, port: int) -> bytes:
    body = case.request_body
    fields = [f"{case.method} / HTTP/1.1", f"Host: 127.0.0.1:{port}"]
    if body is not None:
        fields += ["Content-Type: application/octet-stream", f"Content-Length: {len(body)}"]
    return "\r\n".join([*fields, "", ""]).encode() + (body or b"")


def _connect(port: int) -> socket.socket:
    deadline = time.monotonic() + START_DEADLINE_S
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), ANSWER_TIMEOUT_S)
        except OSError as error:
            if time.monotonic() > deadline:
                raise MeasurementError(f"did not listen within {START_DEADLINE_S:.0f} s") from error
            time.sleep(0.1)


def _read_answer(connection: socket.socket, case: Case) -> None:
    received = b""
    while (end := received.find(b"\r\n\r\n")) < 0 or len(received) < end + 4 + len(case.answer):
        piece = connection.recv(65536)
        if not piece:
            break
        received += piece
    if not received.startswith(b"HTTP/1.1 200 ") or not received.endswith(case.answer):
        raise MeasurementError(f"answers wrongly: {received[:200]!r}")


def send_bursts(port: int, case: Case, requests: int, burst: int) -> None:
    """Send `requests` requests, `burst` at a time on as many connections."""
    connections = [_connect(port) for _ in range(burst)]
    try:
        for _ in range(requests // burst):
            for connection in connections:
                connection.sendall(_request(case, port))
            for connection in connections:
                _read_answer(connection, case)
    except OSError as error:
        raise MeasurementError(f"does not answer: {error!r}") from error
    finally:
        for connection in connections:
            connection.close()
