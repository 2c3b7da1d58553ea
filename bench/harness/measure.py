"""One measurement: a server is started, checked, warmed and loaded; what that window cost."""

from __future__ import annotations

import dataclasses
import pathlib

from harness.broadcast import check_room, run_room
from harness.cases import APPS, Case
from harness.load import Counted, Load, check_answer, run_wrk
from harness.process import TICKS_PER_SECOND, MeasurementError, Running, free_port, running
from harness.servers import Server

# Above this share of failed requests a window is no measurement. It is not 0, because a server may close
# a connection between two requests, as HTTP allows.
TOLERATED_ERRORS = 0.001


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is the same for every measurement of a run."""

    server_core: int
    warmup: Load
    load: Load


@dataclasses.dataclass(frozen=True)
class Sample:
    """What one window showed. The shares are of the time of the server's core."""

    round: int
    server: str
    case: str
    cpu_us: float
    requests_per_s: float
    keep_alive: bool
    busy: float
    foreign: float
    steal: float
    counted: Counted


@dataclasses.dataclass(frozen=True)
class CoreTicks:
    """A line `cpuN` of /proc/stat."""

    busy: int
    idle: int
    steal: int

    @classmethod
    def parse(cls, text: str, core: int) -> CoreTicks:
        """Read the line of a core: user nice system idle iowait irq softirq steal …"""
        for line in text.splitlines():
            name, *fields = line.split()
            if name == f"cpu{core}":
                user, nice, system, idle, iowait, irq, softirq, steal = map(int, fields[:8])
                return cls(user + nice + system + irq + softirq, idle + iowait, steal)
        raise MeasurementError(f"/proc/stat knows no core {core}")

    @classmethod
    def now(cls, core: int) -> CoreTicks:
        """The ticks of a core until this moment."""
        return cls.parse(pathlib.Path("/proc/stat").read_text(), core)

    def since(self, earlier: CoreTicks) -> CoreTicks:
        """The ticks between two moments."""
        return CoreTicks(self.busy - earlier.busy, self.idle - earlier.idle, self.steal - earlier.steal)

    def total(self) -> int:
        """All the time that passed."""
        return max(1, self.busy + self.idle + self.steal)


def refuse_bad_window(counted: Counted, case: Case) -> None:
    """Refuse a window in which the server did something else than answer rightly."""
    if counted.requests == 0:
        raise MeasurementError("no request was completed in the window")
    if counted.status:
        raise MeasurementError(f"{counted.status} of {counted.requests} answers had an error status")
    if counted.socket_errors() > TOLERATED_ERRORS * counted.requests:
        raise MeasurementError(f"{counted.socket_errors()} socket errors, {counted.requests} requests: {counted}")
    # wrk does not look at bodies, but it counts bytes: a short answer under load is noticed here.
    if counted.bytes < counted.requests * len(case.answer):
        raise MeasurementError(f"{counted.bytes} bytes are too few for {counted.requests} answers")


def _load(load: Load, port: int, case: Case) -> Counted:
    load = load.for_case(case)
    return run_room(load, port, case) if case.is_room else run_wrk(load, port, case)


def _window(server: Running, port: int, case: Case, plan: Plan) -> tuple[int, CoreTicks, Counted]:
    core_before = CoreTicks.now(plan.server_core)
    ticks_before, family_before = server.cpu_ticks()
    counted = _load(plan.load, port, case)
    ticks_after, family_after = server.cpu_ticks()
    core = CoreTicks.now(plan.server_core).since(core_before)
    if family_after != family_before:
        raise MeasurementError(f"its processes changed during the window:\n{server.log_tail()}")
    refuse_bad_window(counted, case)
    return ticks_after - ticks_before, core, counted


def measure(server: Server, python: pathlib.Path, case: Case, plan: Plan, round_number: int) -> Sample:
    """Measure one server on one case once. Raises `MeasurementError` with the reason when it cannot."""
    port = free_port()
    command = server.command(python, case.application, port)
    with running(command, APPS, plan.server_core) as started:
        started.wait_until_listening(port)
        try:
            keep_alive = check_room(port, case) if case.is_room else check_answer(port, case)
        except MeasurementError as refusal:
            raise MeasurementError(f"{refusal}\n{started.log_tail()}") from refusal
        _load(plan.warmup, port, case)
        ticks, core, counted = _window(started, port, case, plan)
    return Sample(
        round=round_number,
        server=server.name,
        case=case.name,
        cpu_us=ticks * 1e6 / TICKS_PER_SECOND / counted.requests,
        requests_per_s=counted.requests * 1e6 / counted.duration_us,
        keep_alive=keep_alive,
        busy=ticks / core.total(),
        foreign=max(0.0, (core.busy - ticks) / core.total()),
        steal=core.steal / core.total(),
        counted=counted,
    )
