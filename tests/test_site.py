"""What the server answers itself before the application: hosts, redirects, maintenance, security.txt; request ids."""

from __future__ import annotations

from pathlib import Path

import pytest
from harness import Reply, Serve, Server, eventually

CLASSES = {
    "sync": ("lab", "-k", "sync"),
    "gthread": ("lab", "-k", "gthread", "--threads", "2"),
    "asgi": ("asgi_lab", "-k", "asgi"),
}


@pytest.fixture(params=list(CLASSES))
def start(serve: Serve, request: pytest.FixtureRequest):
    """Start a server of each worker class in turn."""
    app, *options = CLASSES[request.param]

    def start(*more: str, probe: str = "/") -> Server:
        return serve(app, *options, *more, ready=False).wait_listening()

    return start


def ask(server: Server, host: str, target: str = "/", *, method: str = "GET", body: bytes = b"") -> Reply:
    length = f"Content-Length: {len(body)}\r\n" if body or method == "POST" else ""
    with server.connect() as wire:
        sent = f"{method} {target} HTTP/1.1\r\nHost: {host}\r\n{length}\r\n".encode() + body
        return wire.send(sent).reply(to=method)


def test_other_hosts_are_refused(start) -> None:
    server = start("--allowed-hosts", "shop.example,.shop.test", "--access-logfile", "-")
    for host in ("shop.example", "SHOP.example:8000", "a.shop.test", "shop.test"):
        assert ask(server, host).status == 200, host
    for host in ("evil.example", "shop.example.evil", "a.shop.example", "127.0.0.1"):
        assert ask(server, host).status == 400, host
        # What of a body is still to come is not read as a request.
        assert ask(server, host, method="POST", body=b"x" * 100_000).status == 400, host
    server.wait_log('"GET / HTTP/1.1" 400', times=4)


def test_requests_are_led_to_the_canonical_host(start) -> None:
    server = start("--canonical-host", "shop.example")
    assert ask(server, "shop.example").status == 200
    reply = ask(server, "www.shop.example", "/a%20b?c=d")
    assert (reply.status, reply.header("Location")) == (301, "http://shop.example/a%20b?c=d")
    reply = ask(server, "www.shop.example", "/a", method="POST", body=b"x")
    assert (reply.status, reply.header("Location")) == (308, "http://shop.example/a")


def test_maintenance_comes_and_goes(start, tmp_path: Path) -> None:
    page = tmp_path / "down.html"
    server = start("--maintenance-file", str(page), "--health-path", "/healthz")
    assert ask(server, "a").status == 200
    page.write_text("<h1>Back soon</h1>")
    eventually(lambda: ask(server, "a").status == 503)
    reply = ask(server, "a", "/x")
    assert (reply.text, reply.header("Content-Type")) == ("<h1>Back soon</h1>", "text/html; charset=utf-8")
    assert reply.header("Retry-After") == "60"
    assert ask(server, "a", "/healthz").status == 200
    page.unlink()
    eventually(lambda: ask(server, "a").status == 200)


def test_security_txt_is_served(start, tmp_path: Path) -> None:
    text = tmp_path / "security.txt"
    text.write_text("Contact: mailto:security@shop.example\n")
    server = start("--security-txt", str(text))
    reply = ask(server, "a", "/.well-known/security.txt")
    assert (reply.status, reply.text) == (200, text.read_text())
    assert ask(server, "a").status == 200


def ids(server: Server, *fields: tuple[str, str]) -> tuple[list[str], str | None]:
    """What the application finds in the field, and what the client is told."""
    with server.connect() as wire:
        path = "/dump" if "asgi_lab" in server.command else "/environ"
        reply = wire.get(path, fields=fields)
        told = reply.json()
    if "headers" in told:
        found = [pair[2][2:] for pair in told["headers"][1:] if pair[1] == "b:x-request-id"]
    else:
        found = [told["HTTP_X_REQUEST_ID"]]
    return found, reply.header("X-Request-ID")


def test_requests_have_ids(start) -> None:
    server = start("--request-id", "--access-logfile", "-", "--access-logformat", "ID %({X-Request-ID}i)s")
    (first,), told = ids(server)
    (second,), _ = ids(server)
    assert first == told and first != second and len(first) == 32
    assert ids(server, ("X-Request-ID", "abc-1")) == (["abc-1"], "abc-1")
    # What could break a line of a log, or is too long, is replaced.
    for forged in ("a b", "x" * 129, '"'):
        (made,), told = ids(server, ("X-Request-ID", forged))
        assert made == told and made != forged
    server.wait_log("ID abc-1")


def test_ids_of_strangers_are_replaced(start) -> None:
    server = start("--request-id", "--forwarded-allow-ips", "10.0.0.1")
    (made,), told = ids(server, ("X-Request-ID", "abc-1"))
    assert made == told != "abc-1"


def test_without_the_setting_there_is_none(serve: Serve) -> None:
    server = serve("lab")
    with server.connect() as wire:
        assert wire.get("/").header("X-Request-ID") is None


def test_wrong_values_are_refused(serve: Serve) -> None:
    assert "host name" in serve.refused("lab", "--canonical-host", "http://a/").text
    assert "name of a field" in serve.refused("lab", "--request-id", "a b").text
