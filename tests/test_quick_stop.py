"""A quick stop waits for no view: INT and QUIT end a server at once, in order, whatever its threads do."""

from __future__ import annotations

import os
import time
from signal import SIGINT, SIGQUIT, Signals

import pytest
from harness import APPS, Serve, better

#: A view that is not waited for may take for ever; this is for a busy machine.
AT_ONCE_S = 10.0


@pytest.mark.parametrize("signal", [SIGINT, SIGQUIT])
@pytest.mark.parametrize("view", ["gate", "spin"])
def test_a_view_is_not_waited_for(serve: Serve, kind: str, view: str, signal: Signals) -> None:
    server = serve("lab", "--graceful-timeout", "60", kind=kind)
    with server.connect() as wire:
        wire.request(f"/{view}/long")
        serve.gates.wait_entered("long")
        begun = time.monotonic()
        server.signal(signal)
        assert server.wait_exit() == 0
        assert time.monotonic() - begun < AT_ONCE_S
    assert "SIGABRT" not in server.log and "SIGKILL" not in server.log
    assert "Traceback" not in server.log


@better
@pytest.mark.parametrize("signal", [SIGINT, SIGQUIT])
@pytest.mark.parametrize("whom", ["arbiter", "worker"])
def test_a_view_that_is_interrupted_answers_nothing(serve: Serve, signal: Signals, whom: str) -> None:
    """A 500 would tell a proxy that the request was served; a closed connection says that it may be tried elsewhere."""
    server = serve("lab", "-w", "1")
    with server.connect() as wire:
        wire.request("/gate/long")
        serve.gates.wait_entered("long")
        [worker] = server.workers()
        os.kill(server.pid if whom == "arbiter" else worker, signal)
        wire.assert_closed()


def test_exit_functions_run_all_the_same(serve: Serve, write, kind: str) -> None:
    write(
        "farewell.py",
        """
        import atexit
        from lab import application, mark

        atexit.register(mark, "farewell")
        """,
    )
    server = serve("farewell", "--pythonpath", str(APPS), kind=kind, cwd=serve.folder)
    with server.connect() as wire:
        wire.request("/gate/long")
        serve.gates.wait_entered("long")
        server.signal(SIGQUIT)
        assert server.wait_exit() == 0
    serve.gates.wait_marked("farewell")
