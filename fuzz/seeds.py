"""Writes the cases of vectors as seeds of the fuzzers, below fuzz/corpus."""

import re
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
VECTORS = HERE.parent / "vectors"

SIMPLE = {"r": b"\r", "n": b"\n", "t": b"\t", "\\": b"\\"}
ESCAPE = re.compile(r"\\(?:\{(\d+)\*(.*?)\}|x([0-9a-f]{2})|([rnt\\]))|([^\\])")


def unescape(text: str) -> bytes:
    out = b""
    for count, repeated, code, simple, plain in ESCAPE.findall(text):
        if count:
            out += int(count) * unescape(repeated)
        elif code:
            out += bytes.fromhex(code)
        else:
            out += SIMPLE[simple] if simple else plain.encode("ascii")
    return out


def messages(folder: str) -> Iterator[tuple[str, bytes]]:
    for path in sorted((VECTORS / folder).glob("*.txt")):
        for block in path.read_text("ascii").split("\n\n"):
            lines = [line.partition(":") for line in block.splitlines() if not line.startswith("#")]
            names = [value[1:] for keyword, _, value in lines if keyword == "case"]
            sent = [unescape(value[1:]) for keyword, _, value in lines if keyword == "send"]
            if names:
                yield names[0], b"".join(sent)


def main() -> None:
    for target in ("http1_request", "chunked", "ws_decoder"):
        (HERE / "corpus" / target).mkdir(parents=True, exist_ok=True)
    for name, message in messages("http1"):
        if len(message) > 20_000:
            continue
        # The first byte chooses the limits, or the size of the pieces.
        (HERE / "corpus" / "http1_request" / name).write_bytes(b"\0" + message)
        body = message.partition(b"\r\n\r\n")[2]
        if b"Transfer-Encoding" in message and body:
            (HERE / "corpus" / "chunked" / name).write_bytes(b"\2" + body)
    for name, frames in messages("websocket"):
        # The last limit, with compression.
        if 0 < len(frames) <= 20_000:
            (HERE / "corpus" / "ws_decoder" / name).write_bytes(b"\x0d" + frames)


if __name__ == "__main__":
    main()
