"""What the suite found: its reports, the cases that count as passed, and the page that is written."""

from __future__ import annotations

import dataclasses
import html
import json
import pathlib
import re

# How many cases the suite has. A run that reports fewer has skipped some, which it does silently.
COMPLETE = 517
STRICT = ("OK", "INFORMATIONAL")
SECTIONS = {
    1: "Framing",
    2: "Pings and pongs",
    3: "Reserved bits",
    4: "Opcodes",
    5: "Fragmentation",
    6: "UTF-8",
    7: "Closing",
    9: "Limits, performance",
    10: "Auto-fragmentation",
    12: "Compression",
    13: "Compression, other parameters",
}


@dataclasses.dataclass(frozen=True)
class Case:
    """One case and its two outcomes: of the messages, and of the closing handshake."""

    number: str
    behaviour: str
    closing: str
    duration_ms: int
    report: pathlib.Path

    def section(self) -> int:
        """The first part of its number."""
        return int(self.number.split(".")[0])

    def order(self) -> tuple[int, ...]:
        """Its number as a key to sort by."""
        return tuple(map(int, self.number.split(".")))

    def is_strict(self) -> bool:
        """Whether both outcomes are what the suite wants."""
        return self.behaviour in STRICT and self.closing in STRICT

    def is_tolerable(self) -> bool:
        """Whether the worst of it is NON-STRICT, which accepted.txt may explain."""
        return {self.behaviour, self.closing} <= {*STRICT, "NON-STRICT"}

    def verdict(self) -> str:
        """The column of the table that it is counted in."""
        if self.is_strict():
            return self.behaviour
        return "NON-STRICT" if self.is_tolerable() else "other"

    def story(self) -> str:
        """What the case does, what was expected of the server, and what it did."""
        told = json.loads(self.report.read_text())

        def plain(key: str) -> str:
            text = html.unescape(re.sub(r"<[^>]+>", "", str(told.get(key) or "")))
            return " ".join(text.split())

        return (
            f"{self.number}: {self.behaviour}, closing {self.closing}\n"
            f"  does:     {plain('description')}\n  expects:  {plain('expectation')}\n"
            f"  result:   {plain('result')}\n  closing:  {plain('resultClose')}\n"
        )


@dataclasses.dataclass
class Outcome:
    """All cases of a run, and which of them accepted.txt explains."""

    cases: list[Case]
    reasons: dict[str, str]

    def failed(self) -> list[Case]:
        """What does not pass."""
        return [case for case in self.cases if not case.is_strict() and case not in self.accepted()]

    def accepted(self) -> list[Case]:
        """NON-STRICT with a reason."""
        return [
            case for case in self.cases if not case.is_strict() and case.is_tolerable() and case.number in self.reasons
        ]

    def complaints(self, complete: bool) -> list[str]:
        """Why a run counts as failed, beside the cases that did."""
        found = []
        if complete and len(self.cases) != COMPLETE:
            found.append(f"{len(self.cases)} cases were reported, the suite has {COMPLETE}")
        strict = {case.number for case in self.cases if case.is_strict()}
        found += [f"accepted.txt explains {number}, which passes" for number in self.reasons if number in strict]
        return found

    def table(self) -> str:
        """A row for each section."""
        rows = ["| section | cases | OK | informational | non-strict | other | seconds |", "|---|" + "---:|" * 6]
        for section in sorted({case.section() for case in self.cases}):
            title = f"{section}. {SECTIONS.get(section, '')}"
            rows.append(_row(title, [case for case in self.cases if case.section() == section]))
        rows.append(_row("all", self.cases))
        return "\n".join(rows)


def _row(title: str, cases: list[Case]) -> str:
    verdicts = [case.verdict() for case in cases]
    counts = [verdicts.count(kind) for kind in ("OK", "INFORMATIONAL", "NON-STRICT", "other")]
    seconds = sum(case.duration_ms for case in cases) / 1000
    return f"| {title} | {len(cases)} | {' | '.join(map(str, counts))} | {seconds:.1f} |"


def read(folder: pathlib.Path) -> list[Case]:
    """The reports of all shares."""
    cases = []
    for index in folder.glob("share-*/index.json"):
        for found in json.loads(index.read_text()).values():
            for number, case in found.items():
                report = index.parent / case["reportfile"]
                outcomes = case["behavior"], case["behaviorClose"]
                cases.append(Case(number, *outcomes, int(case["duration"]), report))
    return sorted(cases, key=Case.order)


def reasons(path: pathlib.Path) -> dict[str, str]:
    """accepted.txt: the case and why it may be NON-STRICT."""
    lines = [line.strip() for line in path.read_text().splitlines()]
    return {number: reason for number, _, reason in (line.partition(" ") for line in lines if line and line[0] != "#")}
