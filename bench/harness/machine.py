"""What was measured on: the machine, its load, and the versions of everything."""

from __future__ import annotations

import datetime
import os
import pathlib
import platform
import subprocess

from harness.cases import BENCH


def _cpu_model() -> str:
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _wrk_version() -> str:
    # wrk prints its version and its usage together, and ends with status 1.
    shown = subprocess.run(["wrk", "-v"], capture_output=True, text=True, check=False)
    return (shown.stdout + shown.stderr).partition("[")[0].strip()


def _checkout() -> str:
    command = ["git", "-C", str(BENCH), "describe", "--always", "--dirty", "--exclude=*"]
    try:
        asked = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return "unknown"
    return asked.stdout.strip() or "unknown"


def describe() -> dict[str, str]:
    """The facts that a reader needs to judge the numbers, in the order of the report."""
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "cpu": _cpu_model(),
        "cores": str(os.cpu_count()),
        "kernel": f"{platform.system()} {platform.release()}",
        "load average before": " ".join(f"{load:.2f}" for load in os.getloadavg()),
        "wrk": _wrk_version(),
        "checkout": _checkout(),
    }
