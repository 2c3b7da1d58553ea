"""Record what Gunicorn's settings make of values that a conf file can give them, into `values.json` beside this file.

Run it as root with an interpreter that has Gunicorn 27.0.1; `tests/values.rs` reads the result.
"""

from __future__ import annotations

import json
from pathlib import Path

from gunicorn.config import KNOWN_SETTINGS, Config

#: Forms of every kind, and words that some setting knows.
POOL = [
    None, True, False, 0, 1, 7, -1, 70000, 1.5,
    "", " ", "0", "1", " 2 ", "+3", "-1", "0x10", "0o17", "0b11", "010", "1_000", "1.5", "abc",
    "true", "False", " TRUE", "yes", "on",
    "a,b", " a , b ,", "*", "127.0.0.1", "10.0.0.0/8", "10.0.0.1/8", "::1,fe80::/10", "localhost",
    ":80", "0.0.0.0:80", "[::1]:80", "unix:/run/x.sock", "fd://3", "tcp://h:80", "h:99999", "h:x",
    "off", "v1", "auto", "poll", "inotify", "asyncio", "uvloop", "drop", "Refuse", "fast", "python",
    "debug", "INFO", "warn", "sync", "gthread", "root", "nobody", "daemon", "nosuchuser", "-", "./x", "K=V", "/",
    [], ["a"], ["a", " b "], ["a", 1], [":80", "unix:x"], ["10.0.0.0/8", "*"], {}, {"A": "b"}, {"A": 1}, {"a": "b"},
]  # fmt: skip


def outcome(name: str, value: object) -> str | None:
    """What `--print-config` shows for the value, or None where it is refused."""
    config = Config()
    try:
        config.set(name, value)
    except (Exception, SystemExit):
        return None
    return str(config.settings[name].value)


def main() -> None:
    lines = [f'{{"pool": {json.dumps(POOL)}, "settings": {{']
    settings = [setting for setting in KNOWN_SETTINGS if not callable(setting.default)]
    for setting in settings:
        outcomes = json.dumps([outcome(setting.name, value) for value in POOL])
        comma = "," if setting is not settings[-1] else ""
        lines.append(f"{json.dumps(setting.name)}: {outcomes}{comma}")
    text = "\n".join([*lines, "}}", ""])
    Path(__file__).with_name("values.json").write_text(text)


if __name__ == "__main__":
    main()
