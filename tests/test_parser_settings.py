"""What the settings of the parser let through, and what the application sees of it: as with Gunicorn."""

from __future__ import annotations

import re
from textwrap import dedent

import pytest
from harness import Reply, Serve, Server, better, parity

APP = """
    import json

    def application(environ, start_response):
        body = json.dumps({key: value for key, value in environ.items() if isinstance(value, str)}).encode()
        start_response("200 OK", [("Content-Length", str(len(body)))])
        return [body]
"""

UNDERSCORES = "X_Y: 1\r\nX-Y: 2"

#: Options, the method and the fields of a request, and what it becomes: a status, or variables.
CASES = [
    ("", "GET", "X: 1\r\n 2", 400),
    ("--permit-obsolete-folding", "GET", "X: 1 \r\n\t 2\r\n  3: 4", {"HTTP_X": "1 2 3: 4"}),
    ("", "GET", "X \t: 1", 400),
    ("--strip-header-spaces", "GET", "X \t: 1", {"HTTP_X": "1"}),
    ("", "g#t", "X: 1", 400),
    ("--permit-unconventional-http-method", "g#t", "X: 1", {"REQUEST_METHOD": "g#t"}),
    ("--casefold-http-method", "get", "X: 1", 400),
    ("--casefold-http-method --permit-unconventional-http-method", "get", "X: 1", {"REQUEST_METHOD": "GET"}),
    ("", "GET", UNDERSCORES, {"HTTP_X_Y": "2"}),
    ("--header-map dangerous", "GET", UNDERSCORES, {"HTTP_X_Y": "1,2"}),
    ("--header-map refuse", "GET", UNDERSCORES, 400),
    ("--forwarder-headers X_Y", "GET", "X_Y: 1", {"HTTP_X_Y": "1"}),
    ("--forwarder-headers *", "GET", "X_Y: 1", {"HTTP_X_Y": "1"}),
    ("--forwarder-headers X_Y --forwarded-allow-ips 10.0.0.1", "GET", "X_Y: 1", {"HTTP_X_Y": None}),
    ("--limit-request-fields 2", "GET", "X: 1", 431),
    ("--limit-request-field_size 19", "GET", "X: 12345678901234", {"HTTP_X": "12345678901234"}),
    ("--limit-request-field_size 19", "GET", "X: 123456789012345", 431),
]


class Servers(dict[str, Server]):
    """One server for each line of options."""

    def __init__(self, serve: Serve) -> None:
        self.serve = serve
        (serve.folder / "variables.py").write_text(dedent(APP))

    def __missing__(self, options: str) -> Server:
        self[options] = self.serve("variables", *options.split(), cwd=self.serve.folder)
        return self[options]

    def ask(self, options: str, request: str) -> Reply:
        with self[options].connect() as wire:
            return wire.send(request.encode()).reply()

    def check(self, options: str, head: str, expected: object) -> None:
        reply = self.ask(options, f"{head}\r\nConnection: close\r\n\r\n")
        if isinstance(expected, int):
            assert reply.status == expected
        else:
            seen = reply.json()
            assert {name: seen.get(name) for name in expected} == expected


@pytest.fixture(scope="module")
def servers(serve_module: Serve) -> Servers:
    return Servers(serve_module)


@parity
@pytest.mark.parametrize(("options", "method", "fields", "expected"), CASES)
def test_a_head(servers: Servers, options: str, method: str, fields: str, expected: object) -> None:
    servers.check(options, f"{method} / HTTP/1.1\r\nHost: a\r\n{fields}", expected)


@parity
@pytest.mark.parametrize(("line", "status"), [("/123", 200), ("/1234", 414)])
def test_the_limit_of_the_request_line(servers: Servers, line: str, status: int) -> None:
    head = f"GET {line} HTTP/1.1\r\nHost: a"
    expected = {"PATH_INFO": line} if status == 200 else status
    servers.check("--limit-request-line 17", head, expected)


@better
@pytest.mark.parametrize("conf", ["", "def pre_request(worker, req): pass\n"])
def test_a_field_that_is_dropped_is_told_of_once(serve: Serve, conf: str) -> None:
    (serve.folder / "conf.py").write_text(conf)
    server = serve("lab", "-w", "1", "-c", str(serve.folder / "conf.py"))
    for name in ["X_Token", "x_token", "X-Token", "X_Token"]:
        server.get(fields=[(name, "secret")])
    server.get(fields=[("X_Other", "secret")])
    server.wait_log(r"\[WARNING\] header_map: the field X_Other is not passed to the application")
    assert len(re.findall("header_map: the field (?i:x_token)", server.log)) == 1
    assert "secret" not in server.log


@better
@pytest.mark.parametrize(("version", "seen"), [("HTTP/2.0", "HTTP/1.1"), ("HTTP/0.9", "HTTP/1.0")])
def test_an_odd_version_counts_as_one_that_there_is(servers: Servers, version: str, seen: str) -> None:
    head = f"GET / {version}\r\nHost: a"
    servers.check("--permit-unconventional-http-version", head, {"SERVER_PROTOCOL": seen})


@better
@pytest.mark.parametrize("field", ["Content-Length : 5", "Transfer-Encoding : chunked"])
def test_what_frames_a_message_stays_exact(servers: Servers, field: str) -> None:
    licences = "--permit-obsolete-folding --strip-header-spaces"
    body = "0\r\n\r\n" if "chunked" in field else "hello"
    head = f"POST / HTTP/1.1\r\nHost: a\r\n{field}\r\nConnection: close\r\n\r\n"
    reply = servers.ask(licences, head + body)
    assert reply.status == 400


@better
def test_names_in_settings_are_read_in_any_case(servers: Servers) -> None:
    servers.check("--forwarder-headers x_y", "GET / HTTP/1.1\r\nHost: a\r\nX_Y: 1", {"HTTP_X_Y": "1"})
