"""Many samples become one page of Markdown for people and one document of JSON for programs."""

from __future__ import annotations

import dataclasses
import json
import statistics
from collections.abc import Sequence

from harness.cases import CASES
from harness.measure import Sample
from harness.servers import SERVERS

# The servers whose CPU the rows are divided by.
BASELINES = {"wsgi": ("granian", "bjoern"), "asgi": ("granian-asgi", "uvicorn")}
# Above this share of the core's time, other work (or a hypervisor) makes a window doubtful.
NOISY = 0.05


@dataclasses.dataclass(frozen=True)
class Promise:
    """A ratio of CPU per request that Oxicorn keeps to."""

    server: str
    case: str
    baseline: str
    at_most: float


PROMISES = (
    Promise("oxicorn-sync", "hello", "granian", 0.60),
    Promise("oxicorn-sync", "hello", "bjoern", 1.00),
    Promise("oxicorn-sync-log", "hello", "oxicorn-sync", 1.15),
    Promise("oxicorn-uvloop", "asgi_hello", "granian-asgi", 0.50),
    Promise("oxicorn-uvloop", "asgi_hello", "uvicorn", 0.45),
    Promise("oxicorn-uvloop", "asgi_echo", "granian-asgi", 0.50),
    Promise("oxicorn-uvloop", "asgi_echo", "uvicorn", 0.50),
)


@dataclasses.dataclass(frozen=True)
class Failure:
    """A measurement that could not be made. Without `case` and `round` there was no attempt."""

    server: str
    case: str | None
    round: int | None
    reason: str


@dataclasses.dataclass
class Results:
    """Everything that a run found."""

    machine: dict[str, str]
    options: dict[str, str]
    servers: list[str]
    cases: list[str]
    versions: dict[str, str]
    commands: dict[str, str]
    samples: list[Sample] = dataclasses.field(default_factory=list)
    failures: list[Failure] = dataclasses.field(default_factory=list)

    def of(self, server: str, case: str) -> list[Sample]:
        """The samples of a row."""
        return [one for one in self.samples if (one.server, one.case) == (server, case)]

    def ratios(self, server: str, case: str, baseline: str) -> list[float]:
        """CPU per request over the baseline's, within each round that measured both.

        The windows of a round lie close together, so slow drift of the machine (frequency, neighbours)
        cancels out of a ratio within a round; it would not out of a ratio of two medians.
        """
        base = {one.round: one.cpu_us for one in self.of(baseline, case)}
        return [one.cpu_us / base[one.round] for one in self.of(server, case) if base.get(one.round)]


def spread(values: Sequence[float], digits: int) -> str:
    """`12.3 (12.1 .. 12.9)`: the median, the least and the greatest."""
    middle, least, most = statistics.median(values), min(values), max(values)
    if digits == 0:
        return f"{middle:,.0f} ({least:,.0f} .. {most:,.0f})"
    return f"{middle:.{digits}f} ({least:.{digits}f} .. {most:.{digits}f})"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]], right_from: int) -> str:
    rule = ["---" if column < right_from else "---:" for column in range(len(header))]
    return "\n".join(f"| {' | '.join(row)} |" for row in [header, rule, *rows])


def _row(results: Results, server: str, case: str) -> list[str]:
    samples = results.of(server, case)
    baselines = BASELINES[CASES[case].interface]
    if not samples:
        return [server, "not measured", *["-"] * (len(baselines) + 5)]
    ratios = [results.ratios(server, case, baseline) for baseline in baselines]
    return [
        server,
        spread([one.cpu_us for one in samples], 1),
        *(spread(found, 2) if found else "-" for found in ratios),
        spread([one.requests_per_s for one in samples], 0),
        f"{statistics.median(one.busy for one in samples):.0%}",
        f"{max(one.foreign + one.steal for one in samples):.0%}",
        "yes" if all(one.keep_alive for one in samples) else "no",
        str(len(samples)),
    ]


def _case(results: Results, case: str) -> str:
    header = [
        "server",
        "CPU µs per request",
        *(f"CPU / {baseline}" for baseline in BASELINES[CASES[case].interface]),
        "requests/s",
        "core busy",
        "disturbed",
        "keep-alive",
        "windows",
    ]
    rows = [_row(results, server, case) for server in results.servers if SERVERS[server].serves(CASES[case])]
    return f"## {CASES[case].title} (`{case}`)\n\n{_table(header, rows, 1)}"


def judge(results: Results) -> list[tuple[str, bool]]:
    """Each promise whose two sides were measured: what was found, and whether it is kept."""
    verdicts = []
    for promise in PROMISES:
        ratios = results.ratios(promise.server, promise.case, promise.baseline)
        if ratios:
            ratio = statistics.median(ratios)
            kept = ratio <= promise.at_most
            verdicts.append(
                (
                    f"{promise.server}, `{promise.case}`: {ratio:.2f} of {promise.baseline}'s CPU, "
                    f"promised at most {promise.at_most:.2f}: {'kept' if kept else '**broken**'}",
                    kept,
                )
            )
    return verdicts


def _noise(results: Results) -> str:
    noisy = [one for one in results.samples if one.foreign + one.steal > NOISY]
    if not noisy:
        return f"No window had more than {NOISY:.0%} of the server's core taken by other work."
    return (
        f"In {len(noisy)} of {len(results.samples)} windows other work took more than {NOISY:.0%} "
        "of the server's core: read the spreads before the medians."
    )


def _failures(results: Results) -> str:
    lines = []
    for failure in results.failures:
        where = f", `{failure.case}`, round {failure.round}" if failure.case else ""
        reason, _, log = failure.reason.partition("\n")
        lines.append(f"- **{failure.server}**{where}: {reason.removesuffix(':')}")
        if log.strip():
            # Indented, so that the log stays inside the item of the list.
            lines += [f"  {line}".rstrip() for line in ["", "```text", *log.splitlines(), "```"]]
    return "\n".join(lines)


def _servers(results: Results) -> str:
    rows = [
        [name, results.versions.get(name, "-"), SERVERS[name].note, f"`{results.commands[name]}`"]
        for name in results.servers
    ]
    return _table(["server", "version", "options", "command line"], rows, 4)


def markdown(results: Results) -> str:
    """The page that is written to results/ and shown at the end of a run."""
    facts = {**results.machine, **results.options}
    parts = [
        f"# Benchmark of {results.machine['date']}",
        "How this is measured, and what the columns mean, is in [the method](../README.md).",
        _table(["fact", "value"], [[name, value] for name, value in facts.items()], 2),
        *(_case(results, case) for case in results.cases),
    ]
    verdicts = judge(results)
    if verdicts:
        parts += ["## Promises", "\n".join(f"- {text}" for text, _ in verdicts)]
    parts += ["## Noise", _noise(results)]
    if results.failures:
        parts += ["## Not measured", _failures(results)]
    parts += ["## Servers", _servers(results)]
    return "\n\n".join(parts) + "\n"


def document(results: Results) -> str:
    """All that the page is made of, sample by sample."""
    return json.dumps(dataclasses.asdict(results), indent=2, ensure_ascii=False) + "\n"
