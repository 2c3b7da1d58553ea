#!/usr/bin/env python3
"""Make the tables of the main README from documents of results: medians of CPU per request, every server of the run.

Each table stands between two comments that name its document, such as `<!-- results: 2026-11-22-12-34 -->` and
`<!-- end of results -->`. What is between them is replaced.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import re
import statistics
import sys
from collections.abc import Mapping
from typing import Any

from harness.cases import BENCH
from harness.peers import REPOSITORY

README = REPOSITORY / "README.md"
PLACE = re.compile(r"(<!-- results: (?P<stem>[0-9-]+) -->\n).*?(<!-- end of results -->)", re.DOTALL)

# What a row is called; the version of the package stands behind it.
TITLES = {
    "oxicorn-sync": "Oxicorn, sync",
    "oxicorn-sync-log": "Oxicorn, sync, with an access log",
    "oxicorn-gthread": "Oxicorn, gthread, 4 threads",
    "oxicorn-asyncio": "Oxicorn, asyncio",
    "oxicorn-uvloop": "Oxicorn, uvloop",
    "gunicorn-sync": "Gunicorn {}, sync, a connection a request",
    "gunicorn-gthread": "Gunicorn {}, gthread, 4 threads",
    "gunicorn-asgi": "Gunicorn {}, asgi, uvloop",
    "granian": "Granian {}",
    "granian-asgi": "Granian {}, uvloop",
    "bjoern": "Bjoern {}",
    "uwsgi": "uWSGI {}, a connection a request",
    "uwsgi-http11": "uWSGI {}, one connection at a time",
    "peregrine": "Peregrine {}",
    "peregrine-asgi": "Peregrine {}, uvloop",
    "weft": "Weft {}",
    "weft-asgi": "Weft {}",
    "fastpysgi": "FastPySGI {}",
    "nginx": "nginx {}, `return 200` without Python",
    "uvicorn": "uvicorn {}, httptools and uvloop",
}
COLUMNS = {
    "hello": "GET, 13 bytes",
    "big": "GET, 10 KB",
    "echo": "POST, 10 KB echoed",
    "flask_json": "JSON from Flask",
    "django_orm": "Django's ORM",
    "asgi_hello": "GET, 13 bytes",
    "asgi_big": "GET, 10 KB",
    "asgi_echo": "POST, 10 KB echoed",
    "asgi_fastapi": "JSON from FastAPI",
    "asgi_fastapi_1": "FastAPI, 1 connection",
    "asgi_fastapi_4": "FastAPI, 4 connections",
    "asgi_fastapi_64": "FastAPI, 64 connections",
    "asgi_starlette": "Starlette",
    "asgi_litestar": "Litestar",
    "asgi_django": "Django, async view",
    "asgi_sleep": "10 ms of sleep, 512 connections",
    "asgi_events": "20 events",
    "ws_echo": "WebSocket echo",
    "ws_broadcast": "WebSocket broadcast",
}
# From here on a microsecond has no decimals.
LARGE_US = 100.0


def title(server: str, versions: Mapping[str, str]) -> str:
    """The name of a row, with the version that was measured."""
    release = versions.get(server, "").partition(",")[0]
    return TITLES.get(server, server).format(".".join(release.split(".")[:2]))


def shown(values: list[float]) -> str:
    """The median of a row's windows."""
    if not values:
        return "-"
    middle = statistics.median(values)
    return f"{middle:.0f}" if middle >= LARGE_US else f"{middle:.1f}"


def table(document: Mapping[str, Any], interface: str) -> str:
    """The table of one interface, its rows in the order of the first column; empty where nothing was measured."""
    samples: dict[tuple[str, str], list[float]] = {}
    for sample in document["samples"]:
        samples.setdefault((sample["server"], sample["case"]), []).append(sample["cpu_us"])
    of_asgi = interface == "ASGI"
    cases = [case for case in document["cases"] if case.startswith(("asgi_", "ws_")) == of_asgi]
    rows = [name for name in document["servers"] if any((name, case) in samples for case in cases)]
    if not rows:
        return ""

    def first(name: str) -> float:
        return next((statistics.median(samples[name, case]) for case in cases if (name, case) in samples), 0.0)

    header = [interface, *(COLUMNS.get(case, case) for case in cases)]
    lines = [header, ["---", *["---:"] * len(cases)]]
    for name in sorted(rows, key=first):
        lines.append([title(name, document["versions"]), *(shown(samples.get((name, case), [])) for case in cases)])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def tables(document: Mapping[str, Any]) -> str:
    """Both tables of a run."""
    return "\n".join(filter(None, (table(document, interface) for interface in ("WSGI", "ASGI"))))


def renewed(page: str, results: pathlib.Path) -> str:
    """The page with every table made anew from the document that it names."""

    def replace(place: re.Match[str]) -> str:
        document = json.loads((results / f"{place['stem']}.json").read_text())
        return f"{place[1]}\n{tables(document)}\n{place[3]}"

    return PLACE.sub(replace, page)


def main() -> int:
    """0; with --check 1 where the README is not as it would be made."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="change nothing; say whether the README is up to date")
    parser.add_argument("--results", type=pathlib.Path, default=BENCH / "results")
    options = parser.parse_args()
    before = README.read_text()
    after = renewed(before, options.results)
    if options.check:
        return int(before != after)
    README.write_text(after)
    print(f"wrote {README}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
