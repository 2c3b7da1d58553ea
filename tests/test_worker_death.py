"""A worker that dies is replaced and the log says why; one that cannot boot stops the server."""

from __future__ import annotations

import os
import re
from pathlib import Path
from signal import SIGKILL, SIGSEGV, SIGTERM

import pytest
from harness import APPS, Load, Serve, better, eventually, parity, processes, still


@parity
def test_a_killed_worker_is_replaced(serve: Serve, kind: str) -> None:
    server = serve("lab", "-w", "2", kind=kind)
    first, second = server.wait_workers(2)
    os.kill(first, SIGKILL)
    server.wait_replaced([first], 2)
    assert second in server.workers()
    assert server.get().text == "Hello, world!"
    server.wait_log(rf"\[(ERROR|WARNING)\].*{first}.*SIGKILL")


@better
def test_nobody_blames_the_memory_without_proof(serve: Serve) -> None:
    server = serve("lab")
    [worker] = server.wait_workers(1)
    os.kill(worker, SIGKILL)
    server.wait_replaced([worker], 1)
    # To say that the kernel did *not* do it is fine; to guess that it did is not.
    assert not re.search(r"perhaps|out of memory\?|ran out of memory", server.log.lower())


@parity
@pytest.mark.parametrize(("number", "said"), [(SIGSEGV, "SIGSEGV"), (SIGTERM, None)])
def test_the_signal_is_named(serve: Serve, number: int, said: str | None) -> None:
    server = serve("lab")
    [worker] = server.wait_workers(1)
    os.kill(worker, number)
    server.wait_replaced([worker], 1)
    if said:
        server.wait_log(rf"{worker}.*{said}")
    else:
        assert "SIGTERM" not in server.log, "that one went as it was told"


@parity
def test_an_exit_code_is_named(serve: Serve, kind: str) -> None:
    server = serve("lab", kind=kind)
    [worker] = server.wait_workers(1)
    with server.connect() as wire:
        wire.request("/leave/7").assert_closed()
    server.wait_replaced([worker], 1)
    server.wait_log(rf"{worker}.*code:? 7")


@pytest.mark.parametrize("code", [3, 4])
def test_a_booted_worker_cannot_halt_the_server(serve: Serve, code: int) -> None:
    """3 and 4 mean "failed to boot" only of a worker that did not boot."""
    server = serve("lab")
    [worker] = server.wait_workers(1)
    with server.connect() as wire:
        wire.request(f"/leave/{code}").assert_closed()
    server.wait_replaced([worker], 1)
    assert server.get().text == "Hello, world!"


@parity
def test_other_workers_serve_meanwhile(serve: Serve) -> None:
    server = serve("lab", "-w", "2")
    first, _ = server.wait_workers(2)
    with Load(server, clients=4, keep_alive=False) as load:
        os.kill(first, SIGKILL)
        server.wait_replaced([first], 2)
        seen = load.total
        eventually(lambda: load.total > seen + 20)
    # What was inside the worker is lost with it; what waited is served by the others.
    assert len(load.failures) <= 4


@parity
@pytest.mark.parametrize("workers", ["1", pytest.param("3", marks=better(always=False))])
@pytest.mark.parametrize(
    ("source", "code", "said"),
    [
        ("raise RuntimeError('no database')\n", 3, "RuntimeError: no database"),
        ("import not_there\n", 3, "No module named 'not_there'"),
        ("app = 1\n", 4, "application"),
        ("application = None\n", 4, "application"),
        pytest.param("application = 5\n", 4, "int", marks=better),
    ],
    ids=["raises", "imports", "attribute", "none", "not-callable"],
)
def test_a_boot_failure_stops_the_server(serve: Serve, write, workers: str, source: str, code: int, said: str) -> None:
    write("broken.py", source)
    pidfile = serve.folder / "pid"
    refusal = serve.refused("broken", "-w", workers, "--pid", str(pidfile), cwd=serve.folder)
    assert refusal.code == code, refusal.text
    assert said in refusal.text
    assert not pidfile.exists()


@parity
def test_a_module_that_is_not_there(serve: Serve) -> None:
    refusal = serve.refused("no_such_module", cwd=serve.folder)
    assert refusal.code == 3
    assert "no_such_module" in refusal.text


@better
def test_a_crash_loop_is_slowed_down(serve: Serve, write) -> None:
    """Gunicorn boots such a worker twenty times a second and fills the disk."""
    write(
        "crashes.py",
        """
        import os, pathlib, lab
        with (lab.GATES / "boots").open("a") as file:
            file.write("boot\\n")
        os._exit(1)
        """,
    )
    server = serve("crashes", "-w", "2", "--pythonpath", str(APPS), cwd=serve.folder, ready=False)
    boots = serve.gates.folder / "boots"
    eventually(boots.exists, within=20)

    def number() -> int:
        return len(boots.read_text().splitlines())

    eventually(lambda: number() >= 2 or not server.running)
    begun = number()
    still(lambda: number() - begun < 12, throughout=3, what="fewer than 12 boots in 3 s")
    if server.running:
        assert server.stop(SIGTERM) == 0


@parity
def test_the_crash_loop_ends_with_its_cause(serve: Serve, write) -> None:
    flag = serve.folder / "fixed"
    write(
        "sometimes.py",
        f"""
        import os, pathlib, lab
        if pathlib.Path({str(flag)!r}).exists():
            application = lab.application
        else:
            lab.mark("crashed")
            os._exit(1)
        """,
    )
    flag.touch()
    server = serve("sometimes", "--pythonpath", str(APPS), cwd=serve.folder)
    flag.unlink()
    [worker] = server.wait_workers(1)
    os.kill(worker, SIGKILL)
    serve.gates.wait_marked("crashed")
    flag.touch()
    server.wait_ready(within=30)
    assert server.get().text == "Hello, world!"


@parity("gthread")
def test_workers_leave_when_their_arbiter_is_killed(serve: Serve, kind: str) -> None:
    server = serve("lab", "-w", "2", kind=kind)
    workers = server.wait_workers(2)
    server.stop(SIGKILL)
    eventually(
        lambda: not any(processes.alive(worker) for worker in workers),
        what=lambda: f"the end of {workers}",
    )


@parity
def test_a_worker_finishes_its_request_when_its_arbiter_is_killed(serve: Serve, kind: str) -> None:
    server = serve("lab", kind=kind)
    [worker] = server.wait_workers(1)
    with server.connect() as wire:
        wire.request("/gate/last")
        serve.gates.wait_entered("last")
        server.stop(SIGKILL)
        serve.gates.open("last")
        assert wire.reply().text == str(worker)
    eventually(lambda: not processes.alive(worker), what="the end of the worker")


@parity
def test_no_zombie_is_left(serve: Serve) -> None:
    server = serve("lab", "-w", "2")
    for _ in range(2):
        first, _ = server.wait_workers(2)
        os.kill(first, SIGKILL)
        server.wait_replaced([first], 2)
        listed = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
        assert len(listed) == 2
