"""`--preload` imports once, in the arbiter, and the workers share its memory."""

from __future__ import annotations

import os
from signal import SIGHUP, SIGKILL, SIGTERM, Signals

import pytest
from harness import APPS, Serve, better, eventually, parity, processes
from harness.server import NAME

#: Some 60 MiB of small objects, whose reference counts the collector would touch.
HEAVY = """
import gc, os
from lab import GATES, application as lab, plain

with (GATES / "imports").open("a") as file:
    file.write(f"{os.getpid()}\\n")

DATA = [[number, "x" * 200 + str(number)] for number in range(100_000)]

def application(environ, start_response):
    if environ["PATH_INFO"] == "/frozen":
        return plain(start_response, b"%d" % gc.get_freeze_count())
    gc.collect()
    return lab(environ, start_response)
"""


@pytest.fixture
def heavy(serve: Serve, write):
    write("heavy.py", HEAVY)

    def start(*options: str, **more):
        return serve("heavy", "--pythonpath", str(APPS), *options, cwd=serve.folder, **more)

    return start


def imports(serve: Serve) -> list[int]:
    return [int(line) for line in (serve.gates.folder / "imports").read_text().split()]


@parity
def test_the_module_is_imported_once_by_the_arbiter(serve: Serve, heavy) -> None:
    server = heavy("--preload", "-w", "2")
    server.wait_workers(2)
    assert imports(serve) == [server.pid]


@parity
def test_without_it_each_worker_imports(serve: Serve, heavy) -> None:
    server = heavy("-w", "2")
    workers = server.wait_workers(2)
    eventually(lambda: sorted(imports(serve)) == sorted(workers), what=lambda: str(imports(serve)))


@parity
def test_a_replaced_worker_imports_nothing(serve: Serve, heavy) -> None:
    server = heavy("--preload", "-w", "2")
    first, _ = server.wait_workers(2)
    os.kill(first, SIGKILL)
    server.wait_replaced([first], 2)
    assert server.get("/pid").status == 200
    assert imports(serve) == [server.pid]


@better
def test_the_objects_are_frozen(heavy) -> None:
    assert int(heavy("--preload").get("/frozen").text) > 100_000


@parity
def test_memory_is_shared(serve: Serve, heavy) -> None:
    """After a collection in each worker, what is private to one is a small part of what it maps."""
    server = heavy("--preload", "-w", "2", kind="sync")
    workers = server.wait_workers(2)
    if NAME == "oxicorn":
        # What a worker has read while it is the only one that serves waits for its thread.
        server.wait_log("Ready: 2 sync workers serve")
    with server.connect() as one, server.connect() as two:
        for name, wire in (("one", one), ("two", two)):
            wire.request(f"/gate/{name}")
            serve.gates.wait_entered(name)
        for name in ("one", "two"):
            serve.gates.open(name)
        assert one.reply().text != two.reply().text
    for worker in workers:
        memory = processes.memory_kib(worker)
        private = memory["Private_Dirty"] + memory["Private_Clean"]
        assert memory["Rss"] > 40 * 1024
        assert private < memory["Rss"] / 3, memory


@better
def test_an_import_that_fails_exits_at_once(serve: Serve, write) -> None:
    write("broken.py", "raise RuntimeError('no database')\n")
    refusal = serve.refused("broken", "--preload", cwd=serve.folder)
    assert refusal.code == 3
    assert "RuntimeError: no database" in refusal.text
    assert "Booting worker" not in refusal.text


@parity
def test_it_stops_cleanly(heavy) -> None:
    server = heavy("--preload", "-w", "2")
    assert server.stop(SIGTERM) == 0


@parity
def test_the_environment_is_set_before_the_import(serve: Serve, write) -> None:
    write(
        "reads.py",
        """
        import os
        from lab import plain
        COLOUR = os.environ["LAB_COLOUR"].encode()

        def application(environ, start_response):
            return plain(start_response, COLOUR)
        """,
    )
    options = ("--preload", "-e", "LAB_COLOUR=red", "--pythonpath", str(APPS))
    assert serve("reads", *options, cwd=serve.folder).get().text == "red"


@better
def test_an_import_that_finds_no_application_has_code_4(serve: Serve, write) -> None:
    write("broken.py", "application = None\n")
    assert serve.refused("broken", "--preload", cwd=serve.folder).code == 4


def test_with_reload_it_says_which_of_them_counts(serve: Serve) -> None:
    server = serve("lab", "--preload", "--reload")
    server.wait_log(r"\[WARNING\] .*(preload.*reload|reload.*preload)")
    assert server.get().text == "Hello, world!"


@parity
@pytest.mark.parametrize("number", [SIGTERM, SIGHUP])
def test_signal_handlers_of_the_application_are_not_the_arbiters(serve: Serve, write, number: Signals) -> None:
    write("shop.py", f"import signal\nfrom lab import application\nsignal.signal({number:d}, lambda *_: None)\n")
    server = serve("shop", "--preload", "-w", "1", "--pythonpath", str(APPS), cwd=serve.folder)
    server.signal(number)
    server.wait_log(f"Handling signal: {number.name.removeprefix('SIG').lower()}")
