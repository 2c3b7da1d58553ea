"""Programs that an application starts inherit no descriptor of the server, even where they ask for all."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from harness import KINDS, Serve

APPLICATION = """\
import json, subprocess, sys

LIST = '''
import json, os
links = [f"/proc/self/fd/{number}" for number in os.listdir("/proc/self/fd")]
print(json.dumps([os.readlink(link) for link in links if os.path.exists(link)]))
'''

def listed():
    found = subprocess.run([sys.executable, "-c", LIST], close_fds=False, capture_output=True, stdin=subprocess.DEVNULL)
    return found.stdout

def application(environ, start_response):
    body = listed()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]

async def asgi(scope, receive, send):
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": listed()})
"""

WORKERS = {**{name: ("app", options) for name, options in KINDS.items()}, "asgi": ("app:asgi", ["-k", "asgi"])}


@pytest.mark.parametrize("preload", [[], ["--preload"]], ids=["", "preload"])
@pytest.mark.parametrize(("app", "options"), WORKERS.values(), ids=WORKERS)
def test_a_program_has_what_it_was_given(
    serve: Serve, tmp_path: Path, app: str, options: list[str], preload: list[str]
) -> None:
    (tmp_path / "app.py").write_text(APPLICATION)
    files = ("--access-logfile", str(tmp_path / "access"), "--error-logfile", str(tmp_path / "error"))
    statsd = ("--statsd-host", "127.0.0.1:9", "--pid", str(tmp_path / "pid"))
    server = serve(app, *options, *preload, *files, *statsd, cwd=tmp_path)
    targets = json.loads(server.get().text)
    own = [target for target in targets if target != "/dev/null" and not target.startswith("pipe:")]
    assert own == [], targets
    assert len(targets) <= 3
