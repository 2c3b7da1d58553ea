"""ASGI over HTTP, as the specification says it: scope, receive, send, errors, departing clients."""

from __future__ import annotations

import json
import os
import re
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from signal import SIGHUP, SIGINT, SIGTERM, SIGUSR1

import pytest
from harness import Load, Serve, Server, Wire, eventually, still

ASGI = ("-k", "asgi")


@pytest.fixture(scope="module", params=["asyncio", "uvloop"])
def server(serve_module: Serve, request: pytest.FixtureRequest) -> Server:
    if request.param == "uvloop":
        pytest.importorskip("uvloop")
    return serve_module("asgi_lab", *ASGI, "--asgi-loop", request.param)


def scope_of(server: Server, target: str = "/dump", **options) -> dict:
    with server.connect() as wire:
        return wire.request(target, **options).reply().json()


# Scope


def test_the_scope_of_a_request(server: Server) -> None:
    host, port = server.address
    fields = [("X-Twice", "1"), ("x-twice", "2"), ("Cookie", "a=\xe9")]
    with server.connect() as wire:
        client = wire.socket.getsockname()
        scope = wire.request("/dump/a%2Fb/%C3%A9%ff?q=%20&r", fields=fields).reply().json()
    headers = scope.pop("headers")
    assert headers[0] == "list"
    assert ["tuple", "b:x-twice", "b:1"] in headers and ["tuple", "b:x-twice", "b:2"] in headers
    assert ["tuple", "b:cookie", "b:a=\xc3\xa9"] in headers or ["tuple", "b:cookie", "b:a=\xe9"] in headers
    assert scope == {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.5"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/dump/a/b/\xe9\ufffd",
        "raw_path": "b:/dump/a%2Fb/%C3%A9%ff",
        "query_string": "b:q=%20&r",
        "root_path": "",
        "client": ["tuple", client[0], client[1]],
        "server": ["tuple", host, port],
        "state": {},
        "extensions": {"http.response.early_hint": {}},
    }


def test_what_one_request_has_the_next_does_not_inherit(server: Server) -> None:
    with server.connect() as wire:
        first = wire.request("/dump?a", method="POST", fields=[("X-First", "1")], body=b"x").reply().json()
        second = wire.get("/dump").json()
    assert (first["method"], first["query_string"]) == ("POST", "b:a")
    assert (second["method"], second["query_string"], second["path"]) == ("GET", "b:", "/dump")
    assert "b:x-first" not in json.dumps(second)


def test_http_1_0(server: Server) -> None:
    with server.connect() as wire:
        reply = wire.send(b"GET /dump HTTP/1.0\r\n\r\n").reply()
        assert reply.json()["http_version"] == "1.0"
        wire.assert_closed()


def test_an_absolute_target_names_the_host(server: Server) -> None:
    with server.connect() as wire:
        wire.send(b"GET http://example.org/dump HTTP/1.1\r\nHost: other\r\n\r\n")
        assert ["tuple", "b:host", "b:example.org"] in wire.reply().json()["headers"]


@pytest.mark.parametrize("root", ["/dump", "/dump/"])
def test_the_path_begins_with_the_root_path_whether_a_proxy_has_taken_it_away_or_not(serve: Serve, root: str) -> None:
    server = serve("asgi_lab", *ASGI, "--root-path", root)
    for sent, path in [
        ("/", "/dump/"),
        ("/x%20y", "/dump/x y"),
        ("/dump/x", "/dump/x"),
        ("/dump", "/dump"),
        ("/dumpling", "/dump/dumpling"),
    ]:
        scope = server.get(sent).json()
        assert (scope["root_path"], scope["path"], scope["raw_path"]) == ("/dump", path, f"b:{sent}")


@pytest.mark.skipif(sys.version_info < (3, 11), reason="it needs Python 3.11")
def test_files_below_a_mount_are_found_below_a_root_path(serve: Serve) -> None:
    server = serve("starlette_app:app", *ASGI, "--root-path", "/shop")
    for prefix in ("", "/shop"):
        assert server.get(f"{prefix}/static/starlette_app.py").status == 200


def test_a_unix_socket_has_no_client(serve: Serve, tmp_path: Path) -> None:
    server = serve("asgi_lab", *ASGI, bind=f"unix:{tmp_path}/s")
    scope = scope_of(server)
    assert scope["client"] is None
    assert scope["server"] == ["tuple", f"{tmp_path}/s", None]


def test_a_trusted_proxy_tells_the_scheme(server: Server) -> None:
    for said, scheme in [("https", "https"), ("wss", "https"), ("http", "http"), ("ws", "http"), ("https", "https")]:
        assert scope_of(server, fields=[("X-Forwarded-Proto", said)])["scheme"] == scheme


def test_an_untrusted_peer_tells_no_scheme(serve: Serve) -> None:
    server = serve("asgi_lab", *ASGI, "--forwarded-allow-ips", "192.0.2.1")
    for said in ("https", "wss"):
        assert scope_of(server, fields=[("X-Forwarded-Proto", said)])["scheme"] == "http"


def test_names_with_an_underscore_are_dropped(server: Server) -> None:
    """The log says so."""
    scope = scope_of(server, fields=[("X_Forwarded_For", "10.0.0.1")])
    assert "x_forwarded_for" not in json.dumps(scope)
    server.wait_log("header_map: the field X_Forwarded_For is not passed")


# Receiving


def test_a_body_is_received(server: Server) -> None:
    with server.connect() as wire:
        assert wire.request("/echo", method="POST", body=b"hello").reply().body == b"hello"
        assert wire.request("/echo", method="POST", body=b"").reply().body == b""
        assert wire.get("/echo").body == b""


def test_a_chunked_body_is_received(server: Server) -> None:
    head = b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    with server.connect() as wire:
        wire.send(head + b"5\r\nhello\r\n")
        time.sleep(0.05)
        wire.send(b"7\r\n, world\r\n0\r\n\r\n")
        assert wire.reply().body == b"hello, world"
        assert wire.get("/").text == "Hello, world!"


def test_a_large_body_comes_in_pieces(server: Server) -> None:
    with server.connect() as wire:
        seen = wire.request("/pieces", method="POST", body=b"x" * 5_000_000).reply().json()
    assert seen["sum"] == 5_000_000
    assert seen["largest"] < 1_000_000


def test_a_body_that_nobody_reads_stays_with_the_client(serve: Serve) -> None:
    """Back-pressure: the server reads on only as the application does."""
    server = serve("asgi_lab", *ASGI)
    size = 50_000_000
    with server.connect() as wire, ThreadPoolExecutor() as pool:
        head = f"POST /late/door HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n"
        wire.send(head.encode())
        serve.gates.wait_entered("door")
        wire.socket.setblocking(False)
        sent = 0
        deadline = time.monotonic() + 1
        while time.monotonic() < deadline:
            try:
                sent += wire.socket.send(b"x" * min(65536, size - sent))
            except BlockingIOError:
                time.sleep(0.02)
        assert sent < 20_000_000
        wire.patience(30)
        rest = pool.submit(wire.send, b"x" * (size - sent))
        serve.gates.open("door")
        rest.result(30)
        assert wire.reply().text == str(size)


def test_a_body_that_nobody_reads_does_not_leak_into_the_next_request(server: Server) -> None:
    with server.connect() as wire:
        body = b"GET /pid HTTP/1.1\r\nHost: x\r\n\r\n"
        assert wire.request("/unread", method="POST", body=body).reply().text == "the body is not read"
        assert wire.get("/").text == "Hello, world!"


def test_expect_100_continue(server: Server) -> None:
    head = b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
    with server.connect() as wire:
        wire.send(head)
        assert wire.interim().status == 100
        wire.send(b"hello")
        assert wire.reply().text == "hello"


def test_a_cancelled_receive_loses_nothing(serve: Serve) -> None:
    server = serve("asgi_lab", *ASGI)
    head = b"POST /timed_receive/it HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\n"
    with server.connect() as wire:
        wire.send(head)
        serve.gates.wait_marked("it.cancelled-after-0")
        wire.send(b"abc")
        serve.gates.wait_marked("it.cancelled-after-3")
        assert wire.send(b"def").reply().text == "abcdef"


def test_receive_and_send_can_be_tasks(server: Server) -> None:
    with server.connect() as wire:
        assert wire.request("/task_of_receive", method="POST", body=b"x").reply().body == b"x"


# Sending


def test_a_response_with_a_length_keeps_the_connection(server: Server) -> None:
    with server.connect() as wire:
        for _ in range(3):
            reply = wire.get("/")
            assert (reply.text, reply.header("content-length")) == ("Hello, world!", "13")
            assert reply.header("server") == "oxicorn" and reply.header("date")


def test_a_stream_is_chunked(server: Server) -> None:
    with server.connect() as wire:
        reply = wire.get("/stream/3")
        assert reply.text == "piece 0\npiece 1\npiece 2\n"
        assert reply.header("transfer-encoding") == "chunked"
        assert wire.get("/").text == "Hello, world!"


def test_a_head_can_go_ahead_of_its_body(serve: Serve) -> None:
    server = serve("asgi_lab", *ASGI)
    with server.connect() as wire:
        wire.request("/head_first/door")
        assert wire.until(b"\r\n\r\n").startswith(b"HTTP/1.1 200 OK\r\n")
        serve.gates.open("door")
        assert b"the rest" in wire.until(b"the rest")


def test_any_buffer_is_a_body_and_any_pair_a_header(server: Server) -> None:
    reply = server.get("/views_of_bytes")
    assert reply.text == "a view, an array"
    assert reply.header("x-list") == "yes"


def test_a_body_is_cut_to_its_content_length(server: Server) -> None:
    with server.connect() as wire:
        assert wire.get("/lengthy").text == "12345"
        assert wire.get("/lacking").body == b"123"
        wire.assert_closed()
    server.wait_log("response to /lengthy was longer than its Content-Length; 3 bytes were cut off")
    server.wait_log("response to /lacking was shorter than its Content-Length; the connection is closed")


@pytest.mark.parametrize(
    ("code", "reason"), [(201, "Created"), (204, "No Content"), (304, "Not Modified"), (422, "Unprocessable Content")]
)
def test_statuses(server: Server, code: int, reason: str) -> None:
    with server.connect() as wire:
        reply = wire.get(f"/status/{code}")
        assert (reply.status, reply.reason) == (code, reason)
        assert wire.get("/").text == "Hello, world!"


def test_head_has_no_body(server: Server) -> None:
    with server.connect() as wire:
        reply = wire.request("/", method="HEAD").reply(to="HEAD")
        assert reply.header("content-length") == "13"
        assert wire.request("/stream/3", method="HEAD").reply(to="HEAD").status == 200
        assert wire.get("/").text == "Hello, world!"


def test_fields_of_the_connection_are_the_server_s(server: Server) -> None:
    with server.connect() as wire:
        reply = wire.get("/hop_by_hop")
        assert (reply.text, reply.header("x-mine")) == ("ok", "yes")
        assert reply.header("transfer-encoding") is None


def test_a_slow_client_holds_the_application_back(serve: Serve) -> None:
    server = serve("asgi_lab", *ASGI)
    pieces = 1500
    with Wire(server.address, receive_buffer=4096) as wire:
        wire.request(f"/big/{pieces * 65536}")
        wire.until(b"\r\n\r\n")

        def held() -> list[str]:
            return [name for name in serve.gates.marks() if name.startswith("held-")]

        # send() waits for a client that reads nothing, long before the whole body is in memory.
        assert 0 < int(eventually(held)[0].removeprefix("held-")) < pieces // 2
        assert server.get("/").text == "Hello, world!"
    with server.connect() as wire:
        reply = wire.patience(30).get(f"/big/{pieces * 65536}")
        assert len(reply.body) == pieces * 65536


def test_a_client_that_takes_nothing_is_disconnected(serve: Serve) -> None:
    server = serve("asgi_lab", *ASGI, "--send-timeout", "1")
    with Wire(server.address, receive_buffer=4096) as wire:
        wire.request("/without_end/stream").until(b"\r\n\r\n")
        eventually(lambda: serve.gates.marked("stream.TimeoutError"))
    assert "ERROR" not in server.log


def test_pathsend(serve: Serve) -> None:
    server = serve("asgi_lab", *ASGI, "--asgi-pathsend")
    assert scope_of(server)["extensions"] == {
        "http.response.early_hint": {},
        "http.response.pathsend": {},
        "http.response.zerocopysend": {},
    }
    content = b"0123456789" * 100_000
    (serve.gates.folder / "file").write_bytes(content)
    (serve.gates.folder / "empty").write_bytes(b"")
    with server.connect() as wire:
        reply = wire.get("/pathsend/file")
        assert reply.body == content and reply.header("content-length") == str(len(content))
        assert wire.get("/pathsend/empty").header("content-length") == "0"
        head = wire.request("/pathsend/file", method="HEAD").reply(to="HEAD")
        assert head.status == 200
        assert wire.get("/").text == "Hello, world!"


def test_a_path_without_a_true_size_is_read(serve: Serve) -> None:
    """The files of procfs say that they are empty, those of sysfs that they have 4096 bytes."""
    server = serve("asgi_lab", *ASGI, "--asgi-pathsend")
    with server.connect() as wire:
        for path in (Path("/proc/version"), Path("/sys/kernel/mm/transparent_hugepage/enabled")):
            for view in ("pathsend", "zero_copy_whole"):
                reply = wire.get(f"/{view}/{path}")
                assert (reply.body, reply.complete) == (path.read_bytes(), True)
        with (serve.gates.folder / "sparse").open("wb") as file:
            file.truncate(300_000)
        assert wire.get("/pathsend/sparse").body == bytes(300_000)


def test_a_path_to_no_regular_file_raises_at_once(serve: Serve) -> None:
    """Opening a pipe that no process writes to would hold the event loop."""
    server = serve("asgi_lab", *ASGI, "--asgi-pathsend")
    os.mkfifo(serve.gates.folder / "fifo")
    for path in ("fifo", "/dev/null", str(serve.gates.folder)):
        assert server.get(f"/pathsend/{path}").status == 500
    server.wait_log("not a regular file: .*/fifo")
    assert server.get("/").text == "Hello, world!"


def test_early_hints(server: Server) -> None:
    with server.connect() as wire:
        wire.request("/early_hint")
        hint = wire.interim()
        assert hint.status == 103 and hint.all("link") == ["</style.css>; rel=preload", "</a.js>; rel=preload"]
        assert wire.reply().text == "late"
    with server.connect() as wire:
        assert wire.send(b"GET /early_hint HTTP/1.0\r\n\r\n").reply().text == "late"


TE = [("TE", "trailers"), ("Connection", "TE")]


@pytest.mark.parametrize("pieces", [1, 3])
def test_trailers(server: Server, pieces: int) -> None:
    with server.connect() as wire:
        reply = wire.get(f"/trailers/{pieces}", fields=TE)
        assert reply.text == "piece\n" * pieces
        assert reply.header("trailer") == "x-sum, x-more"
        assert reply.trailers == [("x-sum", "12"), ("x-more", "yes")]
        assert wire.get("/").text == "Hello, world!"
        assert "http.response.trailers" in wire.get("/dump", fields=TE).json()["extensions"]


def test_trailers_that_nobody_takes_are_left_out(server: Server) -> None:
    with server.connect() as wire:
        for pieces in (1, 3):
            reply = wire.get(f"/trailers/{pieces}")
            assert (reply.text, reply.trailers) == ("piece\n" * pieces, [])
        assert wire.get("/").text == "Hello, world!"
    with server.connect() as wire:
        wire.send(b"GET /trailers/3 HTTP/1.0\r\nTE: trailers\r\n\r\n")
        assert wire.rest().endswith(b"\r\n\r\n" + b"piece\n" * 3)


def test_trailers_that_do_not_come(serve: Serve) -> None:
    server = serve("asgi_lab", *ASGI)
    assert not server.get("/no_trailers", fields=TE).complete
    server.wait_log("returned without completing its response to /no_trailers")


def test_zero_copy_send(serve: Serve) -> None:
    server = serve("asgi_lab", *ASGI)
    content = b"0123456789" * 100_000
    (serve.gates.folder / "file").write_bytes(content)
    with server.connect() as wire:
        mixed = wire.get("/zero_copy/file")
        assert mixed.body == b"begin" + content[10:30] + content[:5] + content[5:] + b"end"
        assert mixed.header("transfer-encoding") == "chunked"
        whole = wire.get("/zero_copy_whole/file")
        assert (whole.body, whole.header("content-length")) == (content, str(len(content)))
        assert wire.request("/zero_copy/file", method="HEAD").reply(to="HEAD").status == 200
        assert wire.get("/").text == "Hello, world!"
    with server.connect() as wire:
        wire.send(b"GET /zero_copy/file HTTP/1.0\r\n\r\n")
        assert wire.rest().endswith(b"\r\n\r\n" + mixed.body)


def test_what_is_for_test_clients_is_ignored(server: Server) -> None:
    assert server.get("/debug").text == "debugged"


# Mistakes of the application


@pytest.mark.parametrize(
    ("mistake", "error"),
    [
        ("body_first", "RuntimeError: the response has not been started"),
        ("two_starts", "RuntimeError: the response has already been started"),
        ("unknown", "RuntimeError: an HTTP application cannot send a message of the type 'http.response.shout'"),
        ("no_type", "KeyError: \"the message has no 'type'\""),
        ("no_dict", "TypeError: what is given to send() must be a dict, not str"),
        ("text_status", "TypeError: the status must be an int, not str"),
        ("interim_status", "ValueError: 101 is not"),
        ("text_header", "TypeError: a header's name must be bytes-like, not str"),
        ("split_header", "ValueError: "),
        ("text_body", "TypeError: the body must be bytes-like, not str"),
        ("relative_path", "ValueError: the path of http.response.pathsend has to be absolute"),
        ("no_file", "FileNotFoundError: "),
        ("no_descriptor", "TypeError: the file must be an open file"),
        ("no_regular_file", "ValueError: the file of http.response.zerocopysend has to be a regular one"),
        ("no_reader", "ValueError: the file of http.response.zerocopysend has to be open for reading"),
        ("early_trailers", "RuntimeError: http.response.trailers has to follow the end of the body"),
        ("forbidden_trailer", "ValueError: invalid response field name"),
    ],
)
def test_misuse_raises_in_the_application(server: Server, mistake: str, error: str) -> None:
    assert server.get(f"/wrong/{mistake}").text.startswith(error)


@pytest.mark.parametrize("view", ["early_error", "error_after_start", "nothing", "system_exit"])
def test_an_error_before_the_first_byte_is_a_500(serve: Serve, view: str) -> None:
    server = serve("asgi_lab", *ASGI)
    reply = server.get(f"/{view}")
    assert (reply.status, reply.header("x-first")) == (500, None)
    assert b"RuntimeError" not in reply.body
    assert server.get("/").text == "Hello, world!"


def test_the_traceback_is_in_the_log(serve: Serve) -> None:
    server = serve("asgi_lab", *ASGI)
    server.get("/early_error?q=1")
    server.wait_log(
        r"\[ERROR\] Error handling request /early_error\?q=1\n"
        r"Traceback \(most recent call last\):\n"
        r"(.*\n)*?.*asgi_lab\.py.*in early_error\n"
        r"(.*\n)*?RuntimeError: before the start"
    )
    server.get("/nothing")
    server.wait_log("returned without starting its response to /nothing")
    server.get("/head_only")
    server.wait_log("returned without completing its response to /head_only")


@pytest.mark.parametrize("view", ["error_mid_body", "half"])
def test_an_error_in_the_middle_cuts_the_connection(server: Server, view: str) -> None:
    with server.connect() as wire:
        reply = wire.get(f"/{view}")
        assert (reply.status, reply.complete) == (200, False)


def test_an_error_after_the_end_is_logged_and_costs_nothing(serve: Serve) -> None:
    server = serve("asgi_lab", *ASGI)
    with server.connect() as wire:
        assert wire.get("/error_after_end").text == "all of it"
        assert wire.get("/").text == "Hello, world!"
    server.wait_log("RuntimeError: after the end")


def test_after_the_end_there_is_only_disconnect(server: Server) -> None:
    with server.connect() as wire:
        assert wire.get("/after_the_end").text == "complete"
        eventually(lambda: wire.get("/events").json() == ["http.disconnect", "RuntimeError"])


def test_system_exit_ends_the_worker_after_its_requests(serve: Serve) -> None:
    server = serve("asgi_lab", *ASGI)
    (worker,) = server.wait_workers(1)
    with server.connect() as wire:
        wire.request("/gate/door")
        serve.gates.wait_entered("door")
        assert server.get("/late_system_exit").status == 500
        serve.gates.open("door")
        assert wire.reply().text == "door"
    server.wait_replaced([worker], 1)
    assert server.get("/").text == "Hello, world!"
    assert server.log.count("SystemExit") == 1


# Many at once, and clients that leave


def test_requests_wait_side_by_side(serve: Serve) -> None:
    server = serve("asgi_lab", *ASGI)
    serve.occupy(server, 50)


def test_every_request_has_its_own_context_and_task(server: Server) -> None:
    def ask(name: str) -> dict:
        return server.get(f"/context/{name}").json()

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, [f"n{number}" for number in range(32)]))
    assert answers == [{"before": "nobody's", "after": f"n{number}", "task": True} for number in range(32)]


def test_pipelined_requests_are_answered_in_order(server: Server) -> None:
    with server.connect() as wire:
        wire.send(b"".join(b"GET /status/%d HTTP/1.1\r\nHost: x\r\n\r\n" % status for status in range(201, 221)))
        for status in range(201, 221):
            assert wire.reply(to="HEAD").status == status


@pytest.mark.parametrize("leave", ["close", "reset"])
def test_a_client_that_leaves_is_noticed_at_once(serve: Serve, leave: str) -> None:
    server = serve("asgi_lab", *ASGI)
    wire = server.connect().request("/until_gone/events")
    wire.until(b"data: 1\n\n")
    serve.gates.wait_entered("events")
    getattr(wire, leave)()
    eventually(lambda: serve.gates.marked("events.http.disconnect"), within=2)
    eventually(lambda: serve.gates.marked("events.BrokenPipeError"), within=5)
    assert "ERROR" not in server.log


def test_a_task_is_cancelled_when_the_grace_period_is_over(serve: Serve) -> None:
    server = serve("asgi_lab", *ASGI, "--asgi-disconnect-grace-period", "1")
    wire = server.connect().request("/stubborn/one")
    serve.gates.wait_entered("one")
    left = time.monotonic()
    wire.close()
    eventually(lambda: serve.gates.marked("one.cancelled"), within=5)
    assert time.monotonic() - left > 0.8
    assert server.get("/").text == "Hello, world!"
    assert "ERROR" not in server.log


def test_clients_that_leave_have_the_statuses_of_nginx_in_the_access_log(serve: Serve) -> None:
    server = serve("asgi_lab", *ASGI, "--asgi-disconnect-grace-period", "0", "--access-logfile", "-")
    with server.connect() as wire:
        wire.request("/gate/door")
        serve.gates.wait_entered("door")
    server.wait_log(r'"GET /gate/door HTTP/1.1" 499 0')
    with server.connect() as wire:
        wire.send(b"POST /late/half HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf")
        serve.gates.wait_entered("half")
    serve.gates.open("half")
    server.wait_log(r'"POST /late/half HTTP/1.1" 400 0')
    assert "ERROR" not in server.log, "it is not the application's fault"


@pytest.mark.parametrize(
    ("where", "version", "waits"), [("tcp", b"1.1", 4.5), ("tcp", b"1.0", 1.5), ("unix", b"1.1", 1.5)]
)
def test_a_client_that_has_only_ended_its_side_gets_its_response(
    serve: Serve, tmp_path: Path, where: str, version: bytes, waits: float
) -> None:
    """The application stands at the gate for longer than the grace period and than the look after it."""
    bind = "127.0.0.1" if where == "tcp" else f"unix:{tmp_path}/s"
    server = serve("asgi_lab", *ASGI, "--asgi-disconnect-grace-period", "1", bind=bind)
    with server.connect() as wire:
        wire.send(b"GET /gate/door HTTP/%s\r\nHost: x\r\n\r\n" % version).half_close()
        serve.gates.wait_entered("door")
        still(lambda: not serve.gates.marked("door.cancelled"), throughout=waits, what="the task runs")
        serve.gates.open("door")
        assert wire.reply().text == "door"


def test_a_stream_to_a_client_that_has_only_ended_its_side_goes_on(serve: Serve) -> None:
    server = serve("asgi_lab", *ASGI, "--asgi-disconnect-grace-period", "1")
    with server.connect() as wire:
        wire.request("/slow_stream/20").half_close()
        assert wire.reply().text == "".join(f"piece {number}\n" for number in range(20))


def test_a_silent_stream_ends_after_its_client(serve: Serve) -> None:
    server = serve("asgi_lab", *ASGI, "--asgi-disconnect-grace-period", "1")
    with server.connect() as wire:
        wire.request("/silent_stream/one").until(b"begun")
    eventually(lambda: serve.gates.marked("one.cancelled"), within=5)


def test_work_after_the_response_is_not_the_client_s(serve: Serve) -> None:
    server = serve("asgi_lab", *ASGI, "--asgi-disconnect-grace-period", "0")
    with server.connect() as wire:
        assert wire.get("/background/job").text == "accepted"
        assert wire.get("/").text == "Hello, world!"
    time.sleep(0.3)
    serve.gates.open("job")
    eventually(lambda: serve.gates.marked("job.worked"))


# The worker


def test_term_finishes_what_has_begun(serve: Serve) -> None:
    server = serve("asgi_lab", *ASGI, "--log-level", "debug")
    with server.connect() as wire:
        wire.request("/gate/door")
        serve.gates.wait_entered("door")
        server.signal(SIGTERM)
        server.wait_log("Worker was told to finish")
        serve.gates.open("door")
        assert wire.reply().text == "door"
    assert server.wait_exit() == 0


def test_a_stream_at_ctrl_c_is_neither_an_error_nor_does_it_get_a_new_worker(serve: Serve) -> None:
    server = serve("asgi_lab", *ASGI)
    with server.connect() as wire, server.connect() as other:
        wire.request("/head_first/open")
        other.request("/gate/shut")
        serve.gates.wait_entered("open")
        serve.gates.wait_entered("shut")
        # As a terminal does: to all processes at once.
        os.killpg(server.pid, SIGINT)
        assert server.wait_exit() == 0
    assert "ERROR" not in server.log
    assert server.log.count("Booting worker") == 1


def test_work_after_the_response_is_finished_on_term(serve: Serve) -> None:
    server = serve("asgi_lab", *ASGI, "--log-level", "debug")
    assert server.get("/background/job").text == "accepted"
    server.signal(SIGTERM)
    server.wait_log("Worker was told to finish")
    serve.gates.open("job")
    assert server.wait_exit() == 0
    assert serve.gates.marked("job.worked")


def test_what_outlasts_the_graceful_timeout_is_cancelled(serve: Serve) -> None:
    server = serve("asgi_lab", *ASGI, "--graceful-timeout", "2")
    with server.connect() as wire, server.connect() as other:
        wire.request("/stubborn/one")
        serve.gates.wait_entered("one")
        other.request("/head_first/two")
        serve.gates.wait_entered("two")
        assert server.stop(within=10) == 0
    assert serve.gates.marked("one.cancelled")
    assert "[WARNING] /head_first/two was cut off: it has outlasted graceful_timeout" in server.log
    assert "Traceback" not in server.log


def test_an_idle_loop_is_not_killed_and_a_stuck_one_is(serve: Serve, write) -> None:
    write(
        "stuck.py",
        """
        import asyncio, time
        async def application(scope, receive, send):
            assert scope["type"] == "http"
            if scope["path"] == "/stuck":
                time.sleep(60)
            await asyncio.sleep(4 if scope["path"] == "/slow" else 0)
            await send({"type": "http.response.start", "status": 200})
            await send({"type": "http.response.body", "body": b"here"})
        """,
    )
    server = serve("stuck", *ASGI, "--timeout", "3", cwd=serve.folder)
    (worker,) = server.wait_workers(1)
    with server.connect() as wire:
        assert wire.get("/slow").text == "here"
    assert server.workers() == [worker]
    with server.connect() as wire:
        wire.request("/stuck")
        server.wait_replaced([worker], 1)
    server.wait_log("WORKER TIMEOUT")
    server.wait_log(r'File ".*stuck\.py", line \d+,? in application')


@pytest.mark.parametrize("keep_alive", [True, False])
def test_a_reload_under_load_loses_no_request(serve: Serve, keep_alive: bool) -> None:
    server = serve("asgi_lab", *ASGI, "-w", "2")
    serve.wait_serving(server, 2)
    with Load(server, clients=8, target="/pid", keep_alive=keep_alive) as load:
        for _ in range(3):
            old = server.workers()
            server.signal(SIGHUP)
            new = server.wait_replaced(old, 2)
            eventually(lambda: any(load.answers[str(pid)] > 20 for pid in new), what=lambda: str(load.answers))  # noqa: B023
    assert load.failures == []
    assert load.longest_s < 3


def test_max_requests_lose_none(serve: Serve) -> None:
    server = serve("asgi_lab", *ASGI, "--max-requests", "50")
    serve.wait_serving(server, 1)
    with Load(server, clients=8, target="/pid") as load:
        eventually(lambda: len(load.answers) >= 3, within=20, what=lambda: str(load.answers))
    assert load.failures == []


def test_idle_connections_end_with_the_worker_and_lose_nothing(serve: Serve) -> None:
    server = serve("asgi_lab", *ASGI, "--graceful-timeout", "5", "--log-level", "debug")
    with ExitStack() as stack:
        wires = [stack.enter_context(server.connect()) for _ in range(200)]
        for wire in wires:
            assert wire.get("/").text == "Hello, world!"
        asking = wires[:50]
        for wire in asking:
            wire.request("/gate/door")
        serve.gates.wait_entered("door")
        server.signal(SIGTERM)
        server.wait_log("Worker was told to finish")
        serve.gates.open("door")
        assert [wire.reply().text for wire in asking] == ["door"] * 50
        assert server.wait_exit() == 0


def test_logs_are_reopened(serve: Serve, tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    server = serve("asgi_lab", *ASGI, "--access-logfile", str(log))
    assert server.get("/status/404").status == 404
    eventually(lambda: '"GET /status/404 HTTP/1.1" 404' in log.read_text())
    log.rename(tmp_path / "old.log")
    server.signal(SIGUSR1)
    eventually(log.exists)
    server.get("/status/403")
    eventually(lambda: '" 403' in log.read_text())


@pytest.mark.parametrize("loop", ["auto", "asyncio", "uvloop"])
def test_loops(serve: Serve, loop: str) -> None:
    if loop != "asyncio":
        pytest.importorskip("uvloop")
    server = serve("asgi_lab", *ASGI, "--asgi-loop", loop)
    module = server.get("/loop").text
    assert module.startswith("asyncio" if loop == "asyncio" else "uvloop")
    assert server.get("/stream/3").text == "piece 0\npiece 1\npiece 2\n"
    with server.connect() as wire:
        wire.request("/gate/door")
        serve.gates.wait_entered("door")
        server.signal(SIGTERM)
        serve.gates.open("door")
        assert wire.reply().text == "door"
    assert server.wait_exit() == 0


def test_uvloop_that_is_not_there(serve: Serve, write) -> None:
    write("sitecustomize.py", "import sys\nsys.modules['uvloop'] = None\n")
    write("shop.py", "async def application(scope, receive, send): pass\n")
    environment = {"PYTHONPATH": str(serve.folder)}
    refusal = serve.refused("shop", "--asgi-loop", "uvloop", *ASGI, cwd=serve.folder, env=environment)
    assert refusal.code == 3
    assert "uvloop cannot be imported" in refusal.text and "pip install uvloop" in refusal.text


def test_auto_does_without_uvloop(serve: Serve, write) -> None:
    write("sitecustomize.py", "import sys\nsys.modules['uvloop'] = None\n")
    server = serve("asgi_lab", *ASGI, env={"PYTHONPATH": str(serve.folder)})
    assert server.get("/loop").text.startswith("asyncio")


# Which worker class


@pytest.mark.parametrize(
    "name",
    ["asgi", "uvicorn.workers.UvicornWorker", "uvicorn.workers.UvicornH11Worker", "uvicorn_worker.UvicornWorker"],
)
def test_the_names_of_the_class(serve: Serve, name: str) -> None:
    server = serve("asgi_lab", "-k", name)
    assert server.get("/").text == "Hello, world!"


def test_an_asgi_application_is_recognized(serve: Serve) -> None:
    server = serve("asgi_lab")
    assert server.get("/").text == "Hello, world!"
    server.wait_log("The application speaks ASGI: an asgi worker serves it")
    assert re.search(r"Using worker: sync \(asgi for an ASGI application\)$", server.log, re.MULTILINE)


def test_preloaded(serve: Serve) -> None:
    server = serve("asgi_lab", "--preload", "-w", "2")
    assert server.get("/").text == "Hello, world!"
    assert re.search(r"Using worker: asgi$", server.log, re.MULTILINE)


def test_a_class_that_does_not_fit_the_application_is_refused(serve: Serve) -> None:
    refusal = serve.refused("asgi_lab", "-k", "gthread")
    assert refusal.code in (3, 4) and "-k asgi" in refusal.text
    refusal = serve.refused("lab", "-k", "asgi")
    assert refusal.code in (3, 4) and "WSGI application" in refusal.text


def test_an_application_of_two_calls(serve: Serve, write) -> None:
    write(
        "old.py",
        """
        class application:
            def __init__(self, scope):
                self.scope = scope
            async def __call__(self, receive, send):
                assert self.scope["type"] == "http"
                await send({"type": "http.response.start", "status": 200})
                await send({"type": "http.response.body", "body": self.scope["path"].encode()})
        """,
    )
    server = serve("old", cwd=serve.folder)
    assert server.get("/there").text == "/there"


def test_a_task_factory_is_respected(serve: Serve, write) -> None:
    write(
        "factory.py",
        """
        import asyncio
        MADE = []
        def factory(loop, coroutine, **options):
            MADE.append(coroutine)
            return asyncio.Task(coroutine, loop=loop, **options)
        async def application(scope, receive, send):
            if scope["type"] == "lifespan":
                asyncio.get_running_loop().set_task_factory(factory)
                raise NotImplementedError
            await send({"type": "http.response.start", "status": 200})
            await send({"type": "http.response.body", "body": b"%d" % len(MADE)})
        """,
    )
    server = serve("factory", *ASGI, cwd=serve.folder)
    assert int(server.get("/").text) >= 2


# Hooks

HOOKS = """
    import pathlib
    LOG = pathlib.Path({log!r})

    def note(line):
        with LOG.open("a") as file:
            file.write(line + "\\n")

    def pre_request(worker, req):
        note(f"pre {{worker.pid}} {{req.method}} {{req.path}} {{dict(req.headers)['HOST']}}")
        if req.path == "/refused":
            raise RuntimeError("not today")
        req.mine = req.path

    def post_request(worker, req, environ, resp):
        seen = getattr(req, "mine", "-")
        note(f"post {{seen}} {{environ['REQUEST_METHOD']}} {{resp.status}} {{resp.sent}}")
"""


def test_request_hooks(serve: Serve, write, tmp_path: Path) -> None:
    log = tmp_path / "hooks.log"
    conf = write("conf.py", HOOKS.format(log=str(log)))
    server = serve("asgi_lab", *ASGI, "-c", str(conf), ready=False)
    server.wait_listening()
    (worker,) = server.wait_workers(1)

    def lines() -> list[str]:
        return log.read_text().splitlines() if log.exists() else []

    def told(target: str, after: str, **options) -> None:
        before = len(lines())
        with server.connect() as wire:
            length = len(wire.request(target, **options).reply().body)
        path = target.partition("?")[0]
        method = options.get("method", "GET")
        eventually(lambda: len(lines()) == before + 2, what=lambda: str(lines()))
        assert lines()[before:] == [f"pre {worker} {method} {path} test.example", f"post {after} {length}"]

    told("/?q", "/ GET 200 OK")
    told("/echo", "/echo POST 200 OK", method="POST", body=b"hello")
    told("/stream/3", "/stream/3 GET 200 OK")
    told("/status/404", "/status/404 GET 404 Not Found")
    told("/early_error", "/early_error GET 500 Internal Server Error")
    told("/refused", "- GET 500 Internal Server Error")
    server.wait_log("RuntimeError: not today")


def test_a_post_request_that_raises_costs_nothing(serve: Serve, write) -> None:
    conf = write("conf.py", "def post_request(worker, req):\n    raise RuntimeError('in the hook')\n")
    server = serve("asgi_lab", *ASGI, "-c", str(conf))
    with server.connect() as wire:
        assert wire.get("/").text == wire.get("/").text == "Hello, world!"
    server.wait_log(r"Exception in post_request hook\n(.*\n)*?RuntimeError: in the hook")
