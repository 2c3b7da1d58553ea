"""The reader of the protocol vectors; `vectors/README.md` describes the format."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "vectors"

_SIMPLE = {"r": b"\r", "n": b"\n", "t": b"\t", "\\": b"\\"}
_ESCAPE = re.compile(r"\\(?:\{(\d+)\*(.*?)\}|x([0-9a-f]{2})|([rnt\\]))|([^\\])")


@dataclass
class Vector:
    """One case: what is sent, and what must come of it."""

    file: str
    values: dict[str, list[bytes]] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.file}:{self.name}"

    @property
    def name(self) -> str:
        return self.text("case") or "?"

    def text(self, keyword: str) -> str | None:
        """The value of a keyword as text, or None where the case does not have it."""
        values = self.values.get(keyword)
        return b"".join(values).decode("latin-1") if values is not None else None

    def texts(self, keyword: str) -> list[str]:
        """The values of a keyword that may appear more than once."""
        return [value.decode("latin-1") for value in self.values.get(keyword, [])]

    @property
    def sent(self) -> bytes:
        return b"".join(self.values.get("send", []))

    @property
    def options(self) -> list[str]:
        """The options of a server with the limits of this case."""
        names = {
            "request_line": "--limit-request-line",
            "fields": "--limit-request-fields",
            "field_size": "--limit-request-field_size",
            "unconventional_method": "--permit-unconventional-http-method",
            "casefold_method": "--casefold-http-method",
            "unconventional_version": "--permit-unconventional-http-version",
            "obsolete_folding": "--permit-obsolete-folding",
            "space_before_colon": "--strip-header-spaces",
        }
        words: list[str] = []
        for limit in (self.text("limits") or "").split():
            name, equals, value = limit.partition("=")
            words += [names[name], *([value] if equals else [])]
        return words

    @property
    def keeps_alive(self) -> bool:
        said = self.text("keep_alive")
        if said is None:
            return not (self.text("accepted") or "").endswith("HTTP/1.0")
        return said == "yes"


def read(files: str = "http1/*") -> list[Vector]:
    """All cases of the files that a pattern names."""
    vectors: list[Vector] = []
    for path in sorted(FOLDER.glob(f"{files}.txt")):
        for block in path.read_text("ascii").split("\n\n"):
            vector = Vector(path.stem)
            for line in block.splitlines():
                if line and not line.startswith("#"):
                    keyword, _, value = line.partition(":")
                    vector.values.setdefault(keyword, []).append(unescape(value[1:]))
            if vector.values:
                vectors.append(vector)
    return vectors


def unescape(text: str) -> bytes:
    """The bytes that a value stands for."""
    out = b""
    for count, repeated, code, simple, plain in _ESCAPE.findall(text):
        if count:
            out += int(count) * unescape(repeated)
        elif code:
            out += bytes.fromhex(code)
        else:
            out += _SIMPLE[simple] if simple else plain.encode("ascii")
    return out
