"""Record what Gunicorn's `--print-config` says, into `print_config.json` beside this file.

Run it with an interpreter that has Gunicorn 27.0.1; `tests/test_print_config.py` reads the result.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

CONF = """
bind = [":9000", "unix:/tmp/x.sock"]
workers = "0x3"
worker_class = "gthread"
threads = 0
timeout = 0
umask = "0o22"
raw_env = "A=b"
loglevel = "INFO"
proc_name = " spaced "
max_requests = True
limit_request_fields = 0
secure_scheme_headers = {"X-A": "b"}
forwarded_allow_ips = "10.0.0.0/8, ::1"
forwarder_headers = "a_b,SCRIPT_NAME"
pythonpath = "/a,/b"
pidfile = "x.pid"
accesslog = "-"
reload_extra_files = ["app.py"]
wsgi_app = "app"
sendfile = False
user = "root"
group = "0"
not_a_setting = 1


def post_fork(server, worker):
    pass


class Hooks:
    def when_ready(server):
        pass


when_ready = Hooks.when_ready
on_exit = lambda server: None
"""

CASES = [
    {"arguments": ["app"], "conf": "", "environment": {}},
    {"arguments": [], "conf": CONF, "environment": {}},
    {
        "arguments": shlex.split(
            "-b 127.0.0.1:1 -b [::1]:2 -w 4 -k sync -t5 --threads 2 -D --no-sendfile app:application "
            "--access-logformat '%(h)s'"
        ),
        "conf": CONF,
        "environment": {"GUNICORN_CMD_ARGS": "--keep-alive 9 --name 'a b' --preload"},
    },
    {
        "arguments": shlex.split(
            "app --statsd-host h:80 --statsd-prefix p --dogstatsd-tags a:b --log-syslog --log-syslog-to udp://h:1 "
            "--log-syslog-prefix x --log-syslog-facility local0 --capture-output -R --spew --reload-engine poll "
            "--reload-extra-file app.py --reuse-port --initgroups --permit-obsolete-folding --strip-header-spaces "
            "--worker-tmp-dir /tmp --http-parser python --asgi-loop asyncio --root-path /x --max-requests-jitter 3"
        ),
        "conf": "",
        "environment": {},
    },
    {
        "arguments": shlex.split("app -m 022 --chdir . --reload --env A=1 --env B=2 --pid p --header-map REFUSE"),
        "conf": "",
        "environment": {
            "PORT": "9001",
            "WEB_CONCURRENCY": "3",
            "FORWARDED_ALLOW_IPS": "*",
            "SENDFILE": "no",
        },
    },
]


def lines(case: dict[str, object]) -> list[str]:
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder).resolve()
        (here / "app.py").write_text("def application(environ, start_response):\n    return []\n")
        if case["conf"]:
            (here / "gunicorn.conf.py").write_text(case["conf"])
        environment = {"PATH": os.environ["PATH"], "HOME": "/home/someone", "PWD": str(here), **case["environment"]}
        done = subprocess.run(
            [sys.executable, "-m", "gunicorn", *case["arguments"], "--print-config"],
            cwd=here,
            env=environment,
            check=True,
            capture_output=True,
            text=True,
        )
        said = [line.replace(str(here), "HERE") for line in done.stdout.splitlines()]
    accounts = {"user": (os.geteuid(), "UID"), "group": (os.getegid(), "GID")}
    for name, (number, word) in accounts.items():
        said = [line.replace(f" = {number}", f" = {word}") if line.startswith(name + " ") else line for line in said]
    return said


def main() -> None:
    recorded = [{**case, "lines": lines(case)} for case in CASES]
    text = json.dumps(recorded, indent=1)
    Path(__file__).with_name("print_config.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
