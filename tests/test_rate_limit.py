"""A client may ask so often and no more, over all workers and connections, by its address or by what a proxy says."""

from __future__ import annotations

from pathlib import Path
from signal import SIGHUP

import pytest
from harness import Reply, Serve, Server, eventually
from harness.http2 import connect

CLASSES = {
    "sync": ("lab", "-k", "sync"),
    "gthread": ("lab", "-k", "gthread", "--threads", "2"),
    "asgi": ("asgi_lab", "-k", "asgi"),
}
#: Rules that permit three requests; none comes back while a test runs.
LIMITED = ("--rate-limit", "/echo=3/h")


@pytest.fixture(params=CLASSES)
def start(serve: Serve, request: pytest.FixtureRequest):
    app, *options = CLASSES[request.param]

    def start(*more: str) -> Server:
        return serve(app, *options, *more)

    return start


def ask(server: Server, target: str = "/echo", *fields: tuple[str, str], body: bytes = b"x") -> Reply:
    with server.connect() as wire:
        return wire.request(target, method="POST", fields=fields, body=body).reply()


def test_one_more_is_too_many(start) -> None:
    server = start(*LIMITED, "--workers", "2", "--access-logfile", "-")
    assert [ask(server).status for _ in range(3)] == [200] * 3
    with server.connect() as wire:
        # What of its body follows is passed over, and the connection goes on where the body was whole.
        reply = wire.request("/echo", method="POST", body=b"x").reply()
        assert reply.status == 429
        assert 1000 < int(reply.header("Retry-After") or 0) <= 1200
        assert reply.header("RateLimit-Policy") == '"default";q=3;w=3600'
        assert reply.header("RateLimit") == f'"default";r=0;t={reply.header("Retry-After")}'
    for target in ("/echo/more", "/%65cho", "/%65cho%2Fmore", "/%65cho%zz", "/echo?a=b"):
        assert ask(server, target).status == 429, target
    assert ask(server, "/").status == 200
    server.wait_log('"POST /echo HTTP/1.1" 429')
    assert ask(server, body=b"x" * 300_000).status == 429


def test_streams_of_http2_count_like_requests(start) -> None:
    server = start(*LIMITED, "--http2-cleartext", "both")
    assert isinstance(server.address, tuple)
    with connect(*server.address[:2]) as client:
        assert [client.post("/echo", b"x").status for _ in range(3)] == [200] * 3
        response = client.post("/echo", b"x")
        assert (response.status, response.header("ratelimit-policy")) == (429, '"default";q=3;w=3600')
        assert client.get("/").status == 200
    assert ask(server).status == 429


def test_a_proxy_says_who_the_client_is(serve: Serve) -> None:
    server = serve("lab", *LIMITED, "--proxy-headers", "--forwarded-allow-ips", "127.0.0.1")

    def statuses(*clients: str) -> list[int]:
        return [ask(server, "/echo", ("X-Forwarded-For", client)).status for client in clients]

    assert statuses(*["10.0.0.1"] * 4) == [200, 200, 200, 429]
    assert statuses("10.0.0.2") == [200]
    # A client of IPv6 has a whole network of addresses.
    assert statuses("2001:db8::1", "2001:db8::2", "2001:db8::ffff:3", "2001:db8::4") == [200, 200, 200, 429]
    assert statuses("2001:db8:0:1::1") == [200]


def test_what_clients_say_without_a_trusted_proxy_does_not_count(serve: Serve) -> None:
    server = serve("lab", *LIMITED, "--proxy-headers", "--forwarded-allow-ips", "10.1.1.1")
    answers = [ask(server, "/echo", ("X-Forwarded-For", f"10.0.0.{number}")).status for number in range(4)]
    assert answers == [200, 200, 200, 429]


def test_the_rate_comes_back(serve: Serve) -> None:
    server = serve("lab", "--rate-limit", "/echo=20/s,burst=1")
    assert ask(server).status == 200
    eventually(lambda: ask(server).status == 429)
    eventually(lambda: ask(server).status == 200)


def test_every_rule_that_fits_holds(serve: Serve) -> None:
    server = serve("lab", "--rate-limit", "/echo=100/h", "--rate-limit", "/echo/a=2/h", "--rate-limit", "1000/h")
    assert [ask(server, "/echo/a").status for _ in range(3)] == [200, 200, 429]
    assert ask(server, "/echo/b").status == 200


def test_what_one_rule_refuses_counts_for_no_other(serve: Serve) -> None:
    server = serve("lab", "--rate-limit", "/e=4/h", "--rate-limit", "/echo=2/h")
    assert [ask(server, "/echo").status for _ in range(6)] == [200] * 2 + [429] * 4
    assert [ask(server, "/else").status for _ in range(3)] == [404] * 2 + [429]


def test_files_and_probes_are_not_counted(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a")
    options = ("--static", f"/echo/={tmp_path}", "--health-path", "/echo/healthz")
    server = serve("lab", "--rate-limit", "/echo=1/h", *options)
    for target in ("/echo/a.txt", "/echo/healthz"):
        for _ in range(3):
            assert server.get(target).status == 200, target
    assert [server.get("/echo/b.txt").status for _ in range(2)] == [200, 429]


def test_a_reload_forgets_nothing(serve: Serve) -> None:
    server = serve("lab", *LIMITED)
    assert [ask(server).status for _ in range(4)] == [200, 200, 200, 429]
    before = server.workers()
    server.signal(SIGHUP).wait_replaced(before, 1)
    assert ask(server).status == 429


def test_a_rule_that_a_reload_brings_knows_nothing_of_the_one_in_its_place(serve: Serve, tmp_path: Path) -> None:
    conf = tmp_path / "conf.py"
    conf.write_text('rate_limit = ["/echo=3/d"]\n')
    server = serve("lab", "-c", str(conf))
    assert [ask(server).status for _ in range(4)] == [200] * 3 + [429]
    conf.write_text('rate_limit = ["/echo=50/s"]\n')
    old = server.workers()
    server.signal(SIGHUP)
    server.wait_replaced(old, 1)
    assert ask(server).status == 200


def test_clients_of_a_unix_socket_have_no_limit(serve: Serve, tmp_path: Path) -> None:
    server = serve("lab", *LIMITED, bind=f"unix:{tmp_path / 'socket'}")
    assert [ask(server).status for _ in range(5)] == [200] * 5


def test_a_rule_that_is_none_is_refused(serve: Serve) -> None:
    refusal = serve.refused("lab", "--rate-limit", "5/week")
    assert "5/week" in refusal.text and "[PREFIX=]COUNT/UNIT" in refusal.text
