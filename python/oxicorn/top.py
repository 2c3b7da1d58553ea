"""`oxicorn top`: what a running server does, live in the terminal, over its control socket."""

from __future__ import annotations

import argparse
import json
import os
import select
import sys
import termios
import time
import tty
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oxicorn.ctl import Control, ControlError, parser_of

if TYPE_CHECKING:
    from collections.abc import Callable

DESCRIPTION = """\
Shows the workers of a running server and the requests in flight, until q is pressed. The server has to be
started with --control-socket PATH."""

KEYS = "q quit   s sort   r reverse   up/down select   Enter stack of the worker   p pause"

#: What requests are sorted by, in the order in which the key `s` goes through them: columns, and which end comes first.
ORDERS: dict[str, bool] = {
    "age_s": True,
    "pid": False,
    "client": False,
    "target": False,
    "phase": False,
    "thread": False,
}

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
TICKS = os.sysconf("SC_CLK_TCK")

Sample = dict[str, Any]


def take(control: Control) -> Sample:
    """Ask the server how it is."""
    sample: Sample = {"time": time.time(), **control.send("show status")}
    in_flight = control.send("show requests")
    sample["requests_in_flight"] = in_flight["requests"]
    sample["in_flight"] = in_flight["total"]
    sample["unanswered"] = in_flight["unanswered"]
    for worker in sample["workers"]:
        worker |= _measured(worker["pid"])
    return sample


def _measured(pid: int) -> Sample:
    """The memory and the processor time of a process, where this machine shows them to us."""
    try:
        resident = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_BYTES
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return {"rss_bytes": None, "cpu_seconds": None}
    return {"rss_bytes": resident, "cpu_seconds": (int(fields[11]) + int(fields[12])) / TICKS}


def compared(sample: Sample, before: Sample | None) -> Sample:
    """What has happened between two samples; since the start of the server where there is one sample only."""
    durations = sample["durations"]
    counts = durations["counts"]
    span = sample["uptime_seconds"]
    if before and before["pid"] == sample["pid"]:
        counts = [now - then for now, then in zip(counts, before["durations"]["counts"], strict=True)]
        span = sample["time"] - before["time"]
    total = sum(counts)
    rates: Sample = {
        "requests_per_second": round(total / span, 2) if span > 0 else 0.0,
        "p50_s": quantile(counts, durations["ends_s"], 0.5),
        "p99_s": quantile(counts, durations["ends_s"], 0.99),
    }
    earlier = {worker["pid"]: worker for worker in before["workers"]} if before else {}
    for worker in sample["workers"]:
        then = earlier.get(worker["pid"])
        known = then and None not in (worker["cpu_seconds"], then["cpu_seconds"])
        used = worker["cpu_seconds"] - then["cpu_seconds"] if known and then else None
        worker["cpu_percent"] = round(100 * used / span, 1) if used is not None and span > 0 else None
    return rates


def quantile(counts: list[int], ends: list[float], share: float) -> float | None:
    """The duration that a share of the requests stays within, between the ends of its bucket in proportion."""
    wanted, passed = share * sum(counts), 0
    if not wanted:
        return None
    for index, count in enumerate(counts):
        if passed + count >= wanted:
            if index >= len(ends):
                return ends[-1]
            start = ends[index - 1] if index else 0.0
            return round(start + (ends[index] - start) * (wanted - passed) / count, 6)
        passed += count
    return ends[-1]


class View:
    """What the terminal shows."""

    def __init__(self) -> None:
        """Begin with the oldest requests on top."""
        self.order = 0
        self.reverse = False
        self.selected = 0
        self.paused = False
        self.stack: list[str] | None = None

    def requests(self, sample: Sample) -> list[Sample]:
        """The requests in the order that is chosen."""
        name = list(ORDERS)[self.order]
        found: list[Sample] = sample["requests_in_flight"]
        return sorted(found, key=lambda request: request[name], reverse=ORDERS[name] != self.reverse)

    def press(self, key: str, sample: Sample) -> None:
        """Do what a key means."""
        match key:
            case "s":
                self.order = (self.order + 1) % len(ORDERS)
            case "r":
                self.reverse = not self.reverse
            case "p":
                self.paused = not self.paused
            case "up":
                self.selected = max(0, self.selected - 1)
            case "down":
                self.selected = min(max(0, len(sample["requests_in_flight"]) - 1), self.selected + 1)

    def lines(self, sample: Sample, rates: Sample, width: int, height: int) -> list[str]:
        """The screen."""
        if self.stack is not None:
            return [clipped(line, width) for line in [*self.stack[: height - 1], "", "any key: back"][:height]]
        lines = [*_head(sample, rates), "", *_workers(sample), "", *self._requests(sample)]
        room = max(1, height - 2)
        shown = lines[:room]
        if len(lines) > room:
            shown[-1] = f"({len(lines) - room + 1} more lines)"
        shown += [""] * (height - 1 - len(shown)) + [KEYS + ("   PAUSED" if self.paused else "")]
        return [clipped(line, width) for line in shown]

    def _requests(self, sample: Sample) -> list[str]:
        name = list(ORDERS)[self.order]
        head = f"REQUESTS IN FLIGHT: {sample['in_flight']}, by {name}{' reversed' if self.reverse else ''}"
        if sample["unanswered"]:
            head += f"; no answer from {', '.join(map(str, sample['unanswered']))}"
        lines = [head, f"  {'AGE':>9} {'PID':>8} {'THREAD':>8} {'PHASE':<12} {'CLIENT':<22} {'METHOD':<7} TARGET"]
        for index, request in enumerate(self.requests(sample)):
            mark = ">" if index == self.selected else " "
            lines.append(
                f"{mark} {span(request['age_s']):>9} {request['pid']:>8} {request['thread']:>8} {request['phase']:<12} "
                f"{request['client']:<22} {request['method']:<7} {request['target']}"
            )
        return lines


def _head(sample: Sample, rates: Sample) -> list[str]:
    state = "stopping" if sample["stopping"] else "ready" if sample["ready"] else "not ready"
    queued = "  ".join(f"{each['address']} queued {_or_dash(each['queued'])}" for each in sample["listeners"])
    exits = sum(sample["worker_exits"].values())
    rate = f"{rates['requests_per_second']:.1f} requests/s"
    return [
        f"oxicorn {sample['version']}  pid {sample['pid']}  up {span(sample['uptime_seconds'])}  {state}  "
        f"workers {len(sample['workers'])}/{sample['workers_target']}  exits {exits}  reloads {sample['reloads']}",
        f"{rate}  p50 {span(rates['p50_s'])}  p99 {span(rates['p99_s'])}  {queued}",
    ]


def _workers(sample: Sample) -> list[str]:
    head = (
        f"  {'WORKER':>8} {'STATE':<8} {'UP':>8} {'BUSY':>8} {'IN FLIGHT':>9} {'CONNS':>6} {'REQUESTS':>9} {'CPU':>6}"
    )
    lines = [f"{head} RSS"]
    for worker in sample["workers"]:
        cpu = worker["cpu_percent"]
        rss = worker["rss_bytes"]
        lines.append(
            f"  {worker['pid']:>8} {worker['state']:<8} {span(worker['uptime_seconds']):>8} "
            f"{span(worker['busy_seconds']):>8} {worker['in_flight']:>9} {worker['connections']:>6} "
            f"{worker['requests']:>9} {'-' if cpu is None else f'{cpu:.0f}%':>6} "
            f"{'-' if rss is None else f'{rss / 2**20:.0f} MiB'}"
        )
    return lines


def _or_dash(value: object) -> object:
    return "-" if value is None else value


def span(seconds: float | None) -> str:
    """A duration as a person reads it."""
    if seconds is None:
        return "-"
    if seconds < 1:
        return f"{1000 * seconds:.0f} ms"
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"


def clipped(line: str, width: int) -> str:
    """The line within the width, without anything that a terminal would act on: targets are the client's."""
    line = "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in line)
    return line if len(line) <= width else line[: max(0, width - 1)] + "\N{HORIZONTAL ELLIPSIS}"


class Terminal:
    """The terminal while it shows a screen of ours: without echo and cursor, and as it was afterwards."""

    def __enter__(self) -> Terminal:
        """Take it over."""
        self._input = sys.stdin.fileno()
        self._before = termios.tcgetattr(self._input)
        tty.setcbreak(self._input)
        sys.stdout.write("\x1b[?1049h\x1b[?25l")
        return self

    def __exit__(self, *_: object) -> None:
        """Give it back."""
        termios.tcsetattr(self._input, termios.TCSADRAIN, self._before)
        sys.stdout.write("\x1b[?25h\x1b[?1049l")
        sys.stdout.flush()

    def show(self, lines: list[str]) -> None:
        """Show a screen."""
        sys.stdout.write("\x1b[H" + "\r\n".join(f"{line}\x1b[K" for line in lines) + "\x1b[J")
        sys.stdout.flush()

    def key(self, within_s: float) -> str:
        """The next key, or nothing."""
        if not select.select([self._input], [], [], max(0.0, within_s))[0]:
            return ""
        pressed = os.read(self._input, 16).decode(errors="replace")
        return {"\x1b[A": "up", "\x1b[B": "down", "\n": "enter", "\r": "enter"}.get(pressed, pressed[:1] or "q")


def live(control: Control, interval_s: float) -> None:
    """Show the server until `q` is pressed."""
    view, before = View(), None
    sample = take(control)
    rates = compared(sample, None)
    due = time.monotonic() + interval_s
    with Terminal() as terminal:
        while True:
            terminal.show(view.lines(sample, rates, *os.get_terminal_size(sys.stdout.fileno())))
            key = terminal.key(due - time.monotonic())
            if view.stack is not None:
                view.stack = None if key else view.stack
            elif key == "q":
                return
            elif key == "enter":
                view.stack = _stack(control, view, sample)
            else:
                view.press(key, sample)
            if time.monotonic() >= due:
                due = time.monotonic() + interval_s
                if not view.paused:
                    before, sample = sample, take(control)
                    rates = compared(sample, before)


def _stack(control: Control, view: View, sample: Sample) -> list[str]:
    requests = view.requests(sample)
    if not requests:
        return ["No request is in flight."]
    request = requests[min(view.selected, len(requests) - 1)]
    try:
        (told,) = control.send(f"stacks {request['pid']}")["stacks"]
    except ControlError as error:
        return [str(error)]
    text = told.get("text") or told["error"]
    title = f"{request['method']} {request['target']}: worker {request['pid']}, thread {request['thread']}"
    parts = text.split("\nThread ")
    # The thread of the request comes first; an event loop has one for all of them.
    parts.sort(key=lambda part: f"id {request['thread']}:" not in part)
    return [title, "", *"\n".join(parts).splitlines()]


def main(arguments: list[str]) -> int:
    """Run `oxicorn top ARGUMENTS` and return its exit code."""
    parser = parser_of("oxicorn top", DESCRIPTION)
    parser.add_argument("-i", "--interval", type=float, default=1.0, metavar="SECONDS", help="how often it looks (1)")
    parser.add_argument("--once", action="store_true", help="look twice, an interval apart, show that and end")
    parser.add_argument("-j", "--json", action="store_true", help="with --once: as JSON")
    given = parser.parse_args(arguments)
    if not given.socket:
        parser.error("which server? -s PATH, the path that it was started with as --control-socket PATH")
    if given.interval <= 0:
        parser.error("--interval is a number of seconds, more than 0")
    if given.json and not given.once:
        parser.error("--json goes with --once")
    if not given.once and not (sys.stdin.isatty() and sys.stdout.isatty()):
        parser.error("it needs a terminal; --once does not")
    return _run(given.socket, lambda control: once(control, given) if given.once else live(control, given.interval))


def once(control: Control, given: argparse.Namespace) -> None:
    """Show one interval."""
    before = take(control)
    time.sleep(given.interval)
    sample = take(control)
    rates = compared(sample, before)
    if given.json:
        sys.stdout.write(json.dumps({**sample, **rates}, indent=2) + "\n")
        return
    lines = View().lines(sample, rates, 200, 10_000)
    sys.stdout.write("\n".join(lines[:-1]).rstrip() + "\n")


def _run(socket: str, show: Callable[[Control], None]) -> int:
    try:
        with Control(socket) as control:
            show(control)
    except ControlError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0
