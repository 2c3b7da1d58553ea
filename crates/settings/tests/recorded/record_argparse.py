"""Record what Gunicorn's own parser makes of command lines, into `argparse.json` beside this file.

Run it with an interpreter that has Gunicorn 27.0.1; the tests of the command line read the result.
"""

from __future__ import annotations

import contextlib
import io
import json
import shlex
from pathlib import Path

from gunicorn.config import Config

LINES = r"""
app
app:app -w 4
-w 4 app:app
app other
-w 4 app other
app other -w 4
app -w 4 other
-w 1 app -t 2 other
app -w 4 --
-- app
-- -w 4
-w 4 -- app
app -- -w
-w -- app
app -w4
-w=4 app
-w4
-w 4 -w 5
-w
--workers
--workers=
--workers=4
--workers 4
--workers=-4
-w -4
-w-4
-w +4
-w 0x10
-w 010
-w 1_000
-w ' 4 '
-w four
-w 4.0
-w ''
-t 2.0
-m 027
-m 0o27
-m 0x17
-m 23
-m 0
-m 00
-m abc
-m 9
-m 09
-m -1
-m 0X17
--umask=077
-D
-D -D
-Dw 2
-Dw2
-Dw=2
-DR
-DRw3 app
-wD
-D4
-D=1
--daemon=1
--daemon=
--daemon app
--dae
--dae=1
--daemo app -w 2
--work 4
--worker 4
--workers 4
--worker-c gthread
--worker-co 10
--keep 10
--keep-alive 10
--keepalive 10
--keep=10
--limit-request-field_size 10
--limit-request-field 10
--limit-request-fields 10
--limit-request-fi 10
--limit-request-l 10
--log 1
--log-f x
--log-l debug
--log-c x
--log-config x
--log-config-j x
--log-syslog
--log-syslog-to x
--log-s
--pid x
--pi x
--p x
--pr
--pre
--preload
--paste x
--past x
--paster x
--paste-g a=b
--re
--reload
--reload-e poll
--reu
--no-s
--no-sendfile
--no-c
--no
--n x
--na x
--name x
--nam=x
--name=a=b
--name=
--name ''
-n ''
-n 'a b'
-n '-a b'
-n '- a b'
-n -a
-n -x
-n --x
-n=-x
-n-x
-n- app
-n -
-n -1
-n -1.5
-n -.5
-n -1e5
-n -- app
-n -- -- app
-n=-- app
--name -D
--access-logfile - app
--access-logfile=- app
--access-logf - app
--access-logformat '%(h)s "%(r)s"' app
--access-logformat '- %(h)s' app
--access-logformat '-%(h)s %(l)s' app
--access-logformat '-w %(h)s' app
--access-logformat '--workers %(h)s' app
-b 127.0.0.1:80 -b unix:/x
-b127.0.0.1:80
-b :80
-b=:80
--bind=[::1]:80 --bind unix:x
--bin x
-e A=1 -e B=2 app
-e A= app
--env A=b=c
--env=A=1
-e 'A=b c'
-eA=1
-c x app
-cx
--config python:mod app
-k gthread --threads 4 app
--proxy-protocol
--proxy-protocol app
--proxy-protocol -w 4
--proxy-protocol -w 4 app
--proxy-protocol v1 app
--proxy-protocol=v2 app
--proxy-protocol= app
--proxy-protocol --proxy-protocol v1
app --proxy-protocol
--proxy-protocol -- app
--proxy-p
--proxy-prot v1
--proxy
--permit-obsolete-folding --strip-header-spaces
--permit
--permit-u
--suppress-ragged-eofs
--do-handshake-on-connect
--spew --check-config --print-config
--check
--print
--print=1
--foo
--foo=1
--foo app
--workers-x 4
-x
-x 4
-Dx
-xD
-V
-1
-1 app
-w 4 -1
app -5 -w 2
--1
---
---workers 4
--=4
-
- -w 4
app -
-D - app
''
'a b' -w 2
'-a b'
'-w 4'
'-w 4' app
'--workers 4'
'--workers=4 '
-h
--help
-hw
-Dh
-w 4 -h
-w x -h
-h -w x
--foo -h
-w -h
--hel
--he
--v
--ver
--vers=1
--version
-v
-vD
-Dv
--help=1
-h1
--backlog 0x10
--backlog 10 --backlog=20
--timeout=30 --graceful-timeout 31 --threads=2
-t30 -w2 -b:80 -kgthread
-tw 4
-t-1
-pfile -u me -g us -m 0
-p=file
-R -R
-Rp x
--header-map=refuse --forwarder-headers A,B
--http2-max-concurrent-streams x
--http2-max-frame-size 5
--ssl-version TLSv1
--ssl-version x
--cert-reqs 2
--cert-reqs x
--cert-reqs CERT_NONE
--dirty-app a --dirty-app b
--control-socket-mode 0600
--control-socket-mode 600
--websocket-max-message-size 1
--asgi-loop x
--max-requests 5
--max-requests-j 5
--max-r 5
--max 5
--statsd-host localhost:80
--statsd-p x
--dogstatsd x
--enable-b
--enable-s
--enable
--user me --us
--u x
--use me
--umas 1
--initgroups --initg
--chdir /tmp
--chd /
--pythonpath a,b
--root-path /x
--forwarded-allow-ips='*'
--forwarded *
--capture
--cap=1
--disable
--disable-redirect-access-to-syslog
--worker-tmp-dir=/dev/shm
"""


def outcome(line: list[str]) -> dict[str, object]:
    """What argparse makes of a line: the values, or the exit code with what stands on stderr."""
    out, err = io.StringIO(), io.StringIO()
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            namespace = Config(prog="gunicorn").parser().parse_args(line)
    except SystemExit as stop:
        said = err.getvalue().rpartition("gunicorn: error: ")[2].strip()
        return {"line": line, "exit": stop.code, "said": said}
    values = {name: value for name, value in vars(namespace).items() if value is not None}
    return {"line": line, "args": values.pop("args"), "values": values}


def main() -> None:
    cases = [outcome(shlex.split(line)) for line in LINES.strip().splitlines()]
    text = ",\n".join(json.dumps(case, sort_keys=True) for case in cases)
    Path(__file__).with_name("argparse.json").write_text(f"[\n{text}\n]\n")


if __name__ == "__main__":
    main()
