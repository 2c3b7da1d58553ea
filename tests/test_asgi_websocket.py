"""WebSockets, as the ASGI specification says it: scope, connect, accept, receive, send, close, disconnect."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from harness import Serve, Server, eventually
from harness.frames import handshake

pytest.importorskip("websockets")

from websockets import Response
from websockets.exceptions import ConnectionClosed, ConnectionClosedOK, InvalidStatus
from websockets.sync.client import ClientConnection, connect

ASGI = ("-k", "asgi")


@pytest.fixture(scope="module")
def server(serve_module: Serve) -> Server:
    return serve_module("ws_lab:application", *ASGI)


def dial(server: Server, target: str, **options) -> ClientConnection:
    host, port = server.address
    return connect(f"ws://{host}:{port}{target}", open_timeout=10, close_timeout=10, **options)


@pytest.mark.parametrize("compression", ["deflate", None])
@pytest.mark.parametrize(
    "message",
    ["", "hello", "\N{SNOWMAN}" * 1000, "x" * 100_000, b"", bytes(range(256)), b"y" * 3_000_000],
    ids=["nothing", "text", "long text", "longer text", "no bytes", "bytes", "long bytes"],
)
def test_a_message_is_echoed(server: Server, message: str | bytes, compression: str | None) -> None:
    with dial(server, "/echo/x", compression=compression, max_size=None) as socket:
        for _ in range(2):
            socket.send(message)
            assert socket.recv(timeout=10) == message


def test_a_message_in_fragments_arrives_whole(server: Server) -> None:
    with dial(server, "/echo/x") as socket:
        socket.send(iter(["one, ", "t\xfc, ", "three" * 1000]))
        assert socket.recv(timeout=10) == "one, t\xfc, " + "three" * 1000


def test_the_scope_of_a_websocket(server: Server) -> None:
    host, port = server.address
    with dial(server, "/dump/a%2Fb?q=%20", subprotocols=["b", "a"], additional_headers={"X-Me": "1"}) as socket:
        client = socket.socket.getsockname()
        scope = json.loads(socket.recv(timeout=10))
    headers = scope.pop("headers")
    assert ["tuple", "b:x-me", "b:1"] in headers and ["tuple", "b:upgrade", "b:websocket"] in headers
    assert scope == {
        "type": "websocket",
        "asgi": {"version": "3.0", "spec_version": "2.5"},
        "http_version": "1.1",
        "scheme": "ws",
        "path": "/dump/a/b",
        "raw_path": "b:/dump/a%2Fb",
        "query_string": "b:q=%20",
        "root_path": "",
        "client": ["tuple", client[0], client[1]],
        "server": ["tuple", host, port],
        "subprotocols": ["list", "b", "a"],
        "state": {},
        "extensions": {"websocket.http.response": {}},
    }


def notes(server: Server, name: str, *, until: Callable[[list], object] = bool) -> list:
    """What a view has noted, as soon as it suffices."""
    seen: list = []

    def look() -> object:
        seen[:] = server.get(f"/notes/{name}").json()
        return until(seen)

    eventually(look, what=lambda: f"{name} noted {seen}")
    return seen


def end_of(socket: ClientConnection) -> tuple[int, str]:
    """The code and the reason with which the server closes."""
    with pytest.raises(ConnectionClosed) as caught:
        socket.recv(timeout=10)
    assert caught.value.rcvd is not None, "there was no close frame"
    return caught.value.rcvd.code, caught.value.rcvd.reason


def refusal(server: Server, target: str) -> Response:
    """The response to a handshake that does not lead to a WebSocket."""
    with pytest.raises(InvalidStatus) as caught, dial(server, target):
        pass
    return caught.value.response


# The handshake


def test_the_application_chooses_the_sub_protocol_and_adds_fields(server: Server) -> None:
    with dial(server, "/choose/b", subprotocols=["a", "b"]) as socket:
        assert socket.subprotocol == "b"
        assert (socket.response.headers["X-Lab"], socket.response.headers["Set-Cookie"]) == ("yes", "a=b")


def test_no_sub_protocol_is_chosen_by_the_server(server: Server) -> None:
    with dial(server, "/echo/x", subprotocols=["a", "b"]) as socket:
        assert socket.subprotocol is None


def test_a_close_instead_of_an_acceptance_is_a_403(server: Server) -> None:
    assert refusal(server, "/refuse/refused").status_code == 403
    assert notes(server, "refused") == [["disconnect", 1006, ""]]


def test_a_handshake_can_be_denied_with_a_response(server: Server) -> None:
    response = refusal(server, "/deny/denied")
    assert (response.status_code, response.headers["X-Why"], response.body) == (418, "tea", b"no coffee")
    assert notes(server, "denied") == [["disconnect", 1006, ""]]


def test_a_connection_outlives_a_denial(server: Server) -> None:
    with server.connect() as wire:
        assert wire.send(handshake("/deny/x")).reply().status == 418
        assert wire.get("/").text == "Hello, world!"


def test_a_denial_that_breaks_off_is_cut(server: Server) -> None:
    with server.connect() as wire:
        wire.send(handshake("/deny_half/x")).until(b"half")
        assert not wire.rest_or_reset().endswith(b"0\r\n\r\n")
    server.wait_log("returned without completing its response to /deny_half/x")


def test_an_application_that_returns_at_once_refuses(server: Server) -> None:
    assert refusal(server, "/ignore/x").status_code == 403


def test_an_error_before_the_acceptance_is_a_500(server: Server) -> None:
    assert refusal(server, "/fail_early/x").status_code == 500
    server.wait_log("RuntimeError: a view that fails before it accepts")


# The end


@pytest.mark.parametrize("code", [1000, 1001, 1008, 1011, 1013, 3000, 4999])
def test_the_application_closes(server: Server, code: int) -> None:
    with dial(server, f"/close/{code}") as socket:
        assert end_of(socket) == (code, "enough, \xe9")
    assert notes(server, str(code)) == [["disconnect", code, "enough, \xe9"]]


@pytest.mark.parametrize(("code", "reason"), [(1000, ""), (1001, "gone"), (4321, "\xfc" * 61)])
def test_the_client_closes(server: Server, code: int, reason: str) -> None:
    with dial(server, f"/echo/client-{code}") as socket:
        socket.close(code, reason)
        assert socket.close_code == code
    assert notes(server, f"client-{code}") == [["disconnect", code, reason]]


def test_messages_that_came_before_the_close_are_received_before_it(serve: Serve) -> None:
    server = serve("ws_lab:application", *ASGI)
    with dial(server, "/gated/gate") as socket:
        serve.gates.wait_entered("gate")
        for _ in range(5):
            socket.send("12345")
    serve.gates.open("gate")
    assert notes(server, "gate") == [["disconnect", 1000, ""]]


def test_an_application_that_returns_closes_normally(server: Server) -> None:
    with dial(server, "/leave/x") as socket:
        assert socket.recv(timeout=10) == "last words"
        with pytest.raises(ConnectionClosedOK):
            socket.recv(timeout=10)


def test_an_error_after_the_acceptance_closes_with_1011(server: Server) -> None:
    with dial(server, "/fail/x") as socket:
        assert end_of(socket) == (1011, "")
    server.wait_log("RuntimeError: a view that fails after it has accepted")


def test_a_disconnect_that_nobody_catches_is_no_error_and_another_exception_is(serve: Serve) -> None:
    server = serve("ws_lab", *ASGI)
    for name in ("WebSocketDisconnect", "RuntimeError"):
        with dial(server, f"/uncaught/{name}"):
            pass
    server.wait_log("^.*RuntimeError: of the end")
    assert "WebSocketDisconnect" not in server.log


def test_after_the_client_has_closed_sending_raises_an_os_error(server: Server) -> None:
    with dial(server, "/after_the_end/by-client"):
        pass
    seen = notes(server, "by-client", until=lambda seen: ["done"] in seen)
    assert seen == [
        ["disconnect", 1000, ""],
        ["BrokenPipeError", True],
        ["sent"],
        ["disconnect", 1000, ""],
        ["done"],
    ]


def test_after_its_own_close_the_application_gets_a_runtime_error(server: Server) -> None:
    with dial(server, "/after_the_end/closed") as socket:
        assert end_of(socket) == (1000, "")
    seen = notes(server, "closed", until=lambda seen: ["done"] in seen)
    wrong = ["RuntimeError", False]
    assert seen == [["disconnect", 1000, ""], wrong, wrong, ["disconnect", 1000, ""], ["done"]]


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("send_early", "RuntimeError: the WebSocket has not been accepted"),
        ("body_early", "RuntimeError: websocket.http.response.start has to come first"),
        ("protocol", 'ValueError: the sub-protocol "c d" is no token: it cannot be sent'),
        ("own_field", 'ValueError: the field "sec-websocket-accept" is the handshake\'s own'),
        ("bad_field", "ValueError: "),
        ("bad_fields", "TypeError: "),
        ("accept_twice", "RuntimeError: the handshake has been answered already"),
        ("deny_late", "RuntimeError: the handshake has been answered already"),
        ("http", "RuntimeError: a WebSocket application cannot send a message of the type 'http.response.start'"),
        ("no_type", "KeyError: "),
        ("nothing", "ValueError: a websocket.send needs either 'text' or 'bytes'"),
        ("none", "ValueError: a websocket.send needs either 'text' or 'bytes'"),
        ("no_text", "TypeError: "),
        ("no_bytes", "TypeError: "),
        ("surrogate", "UnicodeEncodeError: "),
        ("code", "ValueError: close code 1006"),
        ("codes", "TypeError: "),
        ("reason", "ValueError: the reason for closing has 124 bytes"),
    ],
)
def test_misuse_raises_in_the_application(server: Server, name: str, error: str) -> None:
    with dial(server, f"/mistake/{name}", subprotocols=["a"]) as socket:
        assert socket.recv(timeout=10).startswith(error)


# Both ways at once


def test_two_tasks_share_a_websocket(server: Server) -> None:
    with dial(server, "/both/x") as socket:
        for number in range(1000):
            socket.send("x" * 100)
            assert socket.recv(timeout=10) == str(number)


def test_a_receive_that_waits_since_before_the_acceptance(server: Server) -> None:
    with dial(server, "/receive_first/x") as socket:
        socket.send("at last")
        assert socket.recv(timeout=10) == "at last"


def test_the_connect_comes_first_also_where_the_application_has_accepted_before(server: Server) -> None:
    with dial(server, "/accept_first/x") as socket:
        socket.send("later")
        assert socket.recv(timeout=10) == "websocket.connect, later"


def test_many_messages_are_echoed_in_order(server: Server) -> None:
    with dial(server, "/echo/many") as socket:
        for number in range(2000):
            socket.send(str(number))
        assert [socket.recv(timeout=10) for _ in range(2000)] == [str(number) for number in range(2000)]


def test_an_application_of_http_alone_does_not_see_websockets_as_requests(serve: Serve) -> None:
    server = serve("asgi_lab", *ASGI)
    assert refusal(server, "/").status_code in (403, 500)
