"""WebSockets on the wire (RFC 6455, RFC 7692): wrong handshakes, wrong frames, lost connections, limits, pings."""

from __future__ import annotations

import re
import zlib

import pytest
from harness import Serve, Server, Wire, eventually, still
from harness.frames import BINARY, CLOSE, PING, PONG, TEXT, close_frame, frame, handshake, read_frame, upgrade

ASGI = ("-k", "asgi")


@pytest.fixture(scope="module")
def server(serve_module: Serve) -> Server:
    return serve_module("ws_lab:application", *ASGI, "--access-logfile", "-", "--websocket-max-message-size", "100000")


def disconnect(server: Server, name: str) -> list:
    """How a view was told of the end."""
    return eventually(lambda: [seen for seen in server.get(f"/notes/{name}").json() if seen[0] == "disconnect"])


# The handshake


@pytest.mark.parametrize(
    ("request_head", "status"),
    [
        (handshake("/echo/x", version="8"), 426),
        (handshake("/echo/x", version=""), 426),
        (handshake("/echo/x", key="c2hvcnQ="), 400),
        (handshake("/echo/x", key="no base64 at all"), 400),
        (handshake("/echo/x", ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")), 400),
        (handshake("/echo/x", ("Sec-WebSocket-Protocol", "a b")), 400),
        (handshake("/echo/x", ("Sec-WebSocket-Extensions", ";")), 400),
        (handshake("/echo/x", ("Content-Length", "1")) + b"x", 400),
        (handshake("/echo/x").replace(b"GET", b"POST"), 400),
    ],
    ids=["version", "no version", "short key", "key", "two keys", "protocol", "extensions", "body", "method"],
)
def test_a_wrong_handshake_is_refused(server: Server, request_head: bytes, status: int) -> None:
    with server.connect() as wire:
        reply = wire.send(request_head).reply()
        assert reply.status == status or (status == 400 and reply.status == 405), reply
        assert (reply.header("Sec-WebSocket-Version") == "13") == (status == 426)
        wire.assert_closed()


def test_a_refused_handshake_has_its_line_in_the_access_log(server: Server) -> None:
    with server.connect() as wire:
        wire.send(handshake("/echo/refused-line", version="12")).reply()
    eventually(lambda: '"GET /echo/refused-line HTTP/1.1" 426 ' in server.log)


@pytest.mark.parametrize(
    "change",
    [(b"HTTP/1.1", b"HTTP/1.0"), (b"Upgrade: websocket", b"Upgrade: h2c"), (b"keep-alive, Upgrade", b"keep-alive")],
)
def test_what_is_no_handshake_is_a_request(server: Server, change: tuple[bytes, bytes]) -> None:
    with server.connect() as wire:
        assert wire.send(handshake("/echo/x").replace(*change)).reply().text == "Hello, world!"


def test_a_wsgi_application_sees_a_handshake_as_a_request(serve: Serve) -> None:
    server = serve("lab")
    with server.connect() as wire:
        assert wire.send(handshake("/")).reply().status == 200


def test_frames_may_follow_the_handshake_at_once(server: Server) -> None:
    with server.connect() as wire:
        wire.send(handshake("/echo/x") + frame(TEXT, b"early"))
        assert wire.interim().status == 101
        assert read_frame(wire).payload == b"early"


def test_a_handshake_byte_by_byte(server: Server) -> None:
    with server.connect() as wire:
        wire.send_bytewise(handshake("/echo/x") + frame(TEXT, b"slow"))
        assert wire.interim().status == 101
        assert read_frame(wire).payload == b"slow"
        wire.send_bytewise(close_frame(1000, "done"))
        assert read_frame(wire).close == (1000, "")
        wire.assert_closed()


def test_a_unix_socket(serve: Serve, tmp_path) -> None:
    server = serve("ws_lab:application", *ASGI, bind=f"unix:{tmp_path}/s")
    with server.connect() as wire:
        upgrade(wire, "/echo/x")
        wire.send(frame(TEXT, b"local"))
        assert read_frame(wire).payload == b"local"


@pytest.mark.parametrize(
    ("said", "scheme"), [("https", b"wss"), ("wss", b"wss"), ("http", b"ws"), ("ws", b"ws"), ("other", b"ws")]
)
def test_a_trusted_proxy_tells_the_scheme(server: Server, said: str, scheme: bytes) -> None:
    with server.connect() as wire:
        upgrade(wire, "/dump/x", ("X-Forwarded-Proto", said))
        assert b'"scheme": "%b"' % scheme in read_frame(wire).payload


# Frames


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (frame(TEXT, b"x", mask=None), 1002),
        (frame(TEXT, b"x", first=0xC1), 1002),
        (frame(3), 1002),
        (frame(0, b"x"), 1002),
        (frame(TEXT, b"x", first=1) + frame(TEXT, b"x"), 1002),
        (frame(PING, b"x" * 126), 1002),
        (frame(PING, b"x", first=PING), 1002),
        (frame(CLOSE, b"x"), 1002),
        (close_frame(1005), 1002),
        (frame(CLOSE, b"\x03\xe8\xff"), 1007),
        (frame(TEXT, b"\xff"), 1007),
        (frame(TEXT, b"\xed\xa0\x80", first=1), 1007),
        (frame(BINARY, b"x" * 100_001), 1009),
        (frame(BINARY, b"x" * 60_000, first=BINARY) + frame(0, b"x" * 60_000), 1009),
    ],
)
def test_a_wrong_frame_closes_the_websocket(server: Server, sent: bytes, code: int) -> None:
    name = f"wrong-{hash(sent)}"
    with server.connect() as wire:
        upgrade(wire, f"/echo/{name}")
        wire.send(sent + frame(TEXT, b"never seen"))
        said, reason = read_frame(wire).close
        assert said == code
        wire.assert_closed()
    assert disconnect(server, name) == [["disconnect", code, reason]]


@pytest.mark.parametrize("end", [close_frame(1000), frame(3)], ids=["close", "violation"])
def test_what_came_before_the_end_is_answered_before_it(server: Server, end: bytes) -> None:
    with server.connect() as wire:
        upgrade(wire, "/echo/x")
        wire.send(frame(TEXT, b"one") + frame(TEXT, b"two") + end + frame(PING))
        assert [read_frame(wire).payload for _ in range(2)] == [b"one", b"two"]
        assert read_frame(wire).opcode == CLOSE
        wire.assert_closed()


def test_an_application_that_answers_nothing_delays_the_end_for_a_moment_only(serve: Serve) -> None:
    server = serve("ws_lab:application", *ASGI)
    with server.connect() as wire:
        upgrade(wire, "/gated/thinker")
        serve.gates.wait_entered("thinker")
        wire.send(frame(TEXT, b"never taken") + close_frame(4000))
        assert read_frame(wire.patience(5)).close[0] == 4000
        wire.assert_closed()
    serve.gates.open("thinker")


def test_text_is_refused_as_soon_as_it_is_wrong(server: Server) -> None:
    with server.connect() as wire:
        upgrade(wire, "/echo/x")
        wire.send(frame(TEXT, b"\xc3(" + b"x" * 1000)[:20])
        assert read_frame(wire).close[0] == 1007


def test_a_ping_is_answered_within_a_message(server: Server) -> None:
    with server.connect() as wire:
        upgrade(wire, "/echo/x")
        wire.send(frame(TEXT, b"a", first=1) + frame(PING, b"there?") + frame(0, b"b"))
        pong, echo = read_frame(wire), read_frame(wire)
        assert (pong.opcode, pong.payload) == (PONG, b"there?")
        assert (echo.opcode, echo.payload) == (TEXT, b"ab")


def test_pings_are_answered_while_the_application_waits_for_nothing(serve: Serve) -> None:
    server = serve("ws_lab:application", *ASGI)
    with server.connect() as wire:
        upgrade(wire, "/gated/busy")
        serve.gates.wait_entered("busy")
        wire.send(frame(PING, b"1"))
        assert read_frame(wire).payload == b"1"
    serve.gates.open("busy")


def test_a_close_without_a_code_is_1005(server: Server) -> None:
    with server.connect() as wire:
        upgrade(wire, "/echo/no-code")
        answer = read_frame(wire.send(frame(CLOSE)))
        assert (answer.opcode, answer.payload) == (CLOSE, b"")
        wire.assert_closed()
    assert disconnect(server, "no-code") == [["disconnect", 1005, ""]]


def test_our_close_waits_for_the_answer(server: Server) -> None:
    with server.connect() as wire:
        upgrade(wire, "/close/4000")
        assert read_frame(wire).close[0] == 4000
        wire.send(frame(TEXT, b"crossing") + frame(PING, b"crossing"))
        still(lambda: not wire.buffer, throughout=0.1, what="nothing is sent after the close frame")
        wire.send(close_frame(4000)).assert_closed()


# Lost connections


@pytest.mark.parametrize("leave", [Wire.close, Wire.reset, Wire.half_close])
def test_a_connection_that_ends_without_a_close_frame_is_1006(server: Server, leave) -> None:
    name = f"lost-{leave.__name__}"
    with server.connect() as wire:
        upgrade(wire, f"/echo/{name}")
        wire.send(frame(TEXT, b"x"))
        read_frame(wire)
        leave(wire)
        assert disconnect(server, name) == [["disconnect", 1006, ""]]


def test_a_client_that_leaves_before_the_acceptance(serve: Serve) -> None:
    server = serve("ws_lab:application", *ASGI, "--access-logfile", "-")
    with server.connect() as wire:
        wire.send(handshake("/late/early-bird"))
        serve.gates.wait_entered("early-bird")
    # Only after the loop has turned does the server know that the client is gone.
    server.get("/")
    serve.gates.open("early-bird")
    assert disconnect(server, "early-bird") == [["disconnect", 1006, ""]]


def test_an_application_that_never_receives_is_cancelled_after_the_grace_period(serve: Serve) -> None:
    server = serve("ws_lab:application", *ASGI, "--asgi-disconnect-grace-period", "0")
    with server.connect() as wire:
        upgrade(wire, "/deaf/deaf")
    eventually(lambda: ["cancelled"] in server.get("/notes/deaf").json())
    assert "Traceback" not in server.log


# Bounds


def pour(wire: Wire, message: bytes, at_most: int) -> tuple[int, bytes]:
    """Send a message again and again until the server takes no more: how much it took, and the rest of the last one."""
    wire.socket.settimeout(0.5)
    sent, pending = 0, b""
    while sent < at_most:
        pending = pending or message
        try:
            count = wire.socket.send(pending)
        except TimeoutError:
            break
        sent, pending = sent + count, pending[count:]
    return sent, pending


def test_a_slow_application_stops_the_client(serve: Serve) -> None:
    server = serve("ws_lab:application", *ASGI)
    with server.connect() as wire:
        upgrade(wire, "/gated/slow")
        serve.gates.wait_entered("slow")
        message = frame(BINARY, b"x" * 10_000)
        sent, pending = pour(wire, message, at_most=64 << 20)
        assert sent < 32 << 20
        serve.gates.open("slow")
        wire.patience(20).send(pending + frame(TEXT, b"over"))
        number = (sent + len(pending)) // len(message)
        assert read_frame(wire).payload.decode() == f"{number} {number * 10_000}"


def test_a_slow_client_stops_the_application_and_is_given_up(serve: Serve) -> None:
    server = serve("ws_lab:application", *ASGI, "--send-timeout", "1")
    with server.connect(receive_buffer=4096) as wire:
        upgrade(wire, "/flood/flooded")
        before = eventually(lambda: server.get("/notes/flooded").json())
        assert before[0][1] < 2000
        assert disconnect(server, "flooded") == [["disconnect", 1006, ""]]
        (_, sent), error, _ = server.get("/notes/flooded").json()
        assert sent < 2000
        assert error == ["TimeoutError"]


def test_websockets_count_as_connections(serve: Serve) -> None:
    server = serve("ws_lab:application", *ASGI, "--worker-connections", "2", "--backlog", "64")
    with server.connect() as first, server.connect() as second:
        upgrade(first, "/echo/x")
        upgrade(second, "/echo/x")
        with server.connect() as third:
            third.send(handshake("/echo/x")).patience(0.3)
            with pytest.raises(AssertionError, match="no bytes within"):
                third.interim()
            first.close()
            assert third.patience(10).interim().status == 101


# Pings


def test_the_server_pings_and_gives_up_who_does_not_answer(serve: Serve) -> None:
    server = serve("ws_lab:application", *ASGI, "--ws-ping-interval", "0.2", "--ws-ping-timeout", "1.5")
    with server.connect() as wire:
        upgrade(wire, "/echo/silent")
        for _ in range(3):
            ping = read_frame(wire)
            assert ping.opcode == PING
            wire.send(frame(PONG, ping.payload))
        assert read_frame(wire).opcode == PING
        assert read_frame(wire).close == (1011, "ping timeout")
        wire.assert_closed()
    assert disconnect(server, "silent") == [["disconnect", 1011, "ping timeout"]]


def test_no_pings_where_none_are_wanted(serve: Serve) -> None:
    server = serve("ws_lab:application", *ASGI, "--ws-ping-interval", "0")
    with server.connect() as wire:
        upgrade(wire, "/echo/x")
        wire.patience(0.5)
        with pytest.raises(AssertionError, match="no bytes within"):
            wire.exactly(1)


# Compression

OFFER = ("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits")


def test_a_compressed_message_is_read_and_answered_compressed(server: Server) -> None:
    text = b"squeeze me, " * 1000
    squeezer = zlib.compressobj(wbits=-15)
    squeezed = (squeezer.compress(text) + squeezer.flush(zlib.Z_SYNC_FLUSH))[:-4]
    with server.connect() as wire:
        assert upgrade(wire, "/echo/x", OFFER).header("Sec-WebSocket-Extensions").startswith("permessage-deflate")
        for _ in range(2):
            wire.send(frame(TEXT, squeezed, first=0xC1))
            answer = read_frame(wire)
            assert answer.first == 0xC1 and len(answer.payload) < len(text) / 10
            assert zlib.decompressobj(-15).decompress(answer.payload + b"\0\0\xff\xff") == text


def test_a_message_that_swells_beyond_the_limit_is_1009(server: Server) -> None:
    squeezer = zlib.compressobj(wbits=-15)
    bomb = (squeezer.compress(bytes(50_000_000)) + squeezer.flush(zlib.Z_SYNC_FLUSH))[:-4]
    with server.connect() as wire:
        upgrade(wire, "/echo/x", OFFER)
        wire.send(frame(BINARY, bomb, first=0xC2))
        assert read_frame(wire).close[0] == 1009


def test_compression_can_be_switched_off(serve: Serve) -> None:
    server = serve("ws_lab:application", *ASGI, "--ws-per-message-deflate", "false")
    with server.connect() as wire:
        assert upgrade(wire, "/echo/x", OFFER).header("Sec-WebSocket-Extensions") is None


# Other clients and loops


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_a_client_of_wsproto(serve: Serve, loop: str) -> None:
    pytest.importorskip(loop)
    pytest.importorskip("wsproto")
    from wsproto import ConnectionType, WSConnection
    from wsproto.events import AcceptConnection, BytesMessage, CloseConnection, Message, Request, TextMessage
    from wsproto.extensions import PerMessageDeflate

    server = serve("ws_lab:application", *ASGI, "--asgi-loop", loop)
    client = WSConnection(ConnectionType.CLIENT)
    with server.connect() as wire:

        def hear() -> object:
            """The next event; the parts of a message are joined."""
            parts = []
            while True:
                for event in client.events():
                    if not isinstance(event, Message):
                        return event
                    parts.append(event.data)
                    if event.message_finished:
                        return type(event)(data=type(event.data)().join(parts))
                client.receive_data(wire.receive() or None)

        wire.send(client.send(Request(host="x", target="/echo/proto", extensions=[PerMessageDeflate()])))
        assert isinstance(hear(), AcceptConnection)
        for message in ["text", "long \xe9" * 10_000, "again " * 1000]:
            wire.send(client.send(TextMessage(data=message)))
            assert hear() == TextMessage(data=message)
        wire.send(client.send(BytesMessage(data=bytes(100_000))))
        assert bytes(hear().data) == bytes(100_000)
        wire.send(client.send(CloseConnection(code=4001, reason="bye")))
        answer = hear()
        assert isinstance(answer, CloseConnection) and answer.code == 4001
        wire.assert_closed()
    assert disconnect(server, "proto") == [["disconnect", 4001, "bye"]]


# The access log


def test_a_websocket_has_one_line_with_its_whole_duration(serve: Serve) -> None:
    server = serve(
        "ws_lab:application", *ASGI, "--access-logfile", "-", "--access-logformat", "%(r)s %(s)s %(B)s %(L)s|"
    )
    with server.connect() as wire:
        upgrade(wire, "/echo/logged")
        wire.send(frame(TEXT, b"12345"))
        read_frame(wire)
        still(lambda: "logged" not in server.log, throughout=0.3, what="no line while it is open")
        wire.send(close_frame(1000))
    found = eventually(lambda: re.findall(r"GET /echo/logged HTTP/1.1 101 (\d+) ([\d.]+)\|", server.log))
    ((length, seconds),) = found
    assert length == "5" and 0.3 <= float(seconds) < 10
