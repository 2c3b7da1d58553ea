"""Serve one request from the installed package and stop it: exits 0 when every step went as it must."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

EXAMPLE = Path(__file__).parent.parent / "examples" / "hello"
PATIENCE = 20.0


def free_port() -> int:
    """Return a TCP port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def fetch(url: str) -> bytes:
    """Return the body at `url`, trying again while the server boots."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            with urllib.request.urlopen(url, timeout=PATIENCE) as response:
                return bytes(response.read())
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def main() -> int:
    """Boot, ask, stop."""
    bind = f"127.0.0.1:{free_port()}"
    command = [sys.executable, "-m", "oxicorn", "--chdir", str(EXAMPLE), "--bind", bind, "wsgi"]
    with subprocess.Popen(command) as server:
        try:
            body = fetch(f"http://{bind}/")
        finally:
            server.send_signal(signal.SIGTERM)
            status = server.wait(PATIENCE)
    if (body, status) != (b"Hello from Oxicorn!\n", 0):
        print(f"smoke test failed: answered {body!r}, exit status {status}")
        return 1
    print("1 passed, 0 failed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
