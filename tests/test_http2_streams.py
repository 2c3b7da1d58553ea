"""What happens on one stream of HTTP/2 concerns the others as little as can be: flow control, broken responses, clients
that leave, time-outs, and the end of the worker."""

from __future__ import annotations

import time
from signal import SIGHUP, SIGTERM

import pytest
from harness import Serve, Server
from harness.http2 import Http2, connect
from test_http2 import H2C, WORKERS

#: RFC 9113, section 7.
NO_ERROR, INTERNAL_ERROR, CANCEL = 0, 2, 8


@pytest.fixture(params=["sync", "asyncio"])
def worker(request: pytest.FixtureRequest) -> str:
    """A thread that blocks, and an event loop."""
    return request.param


@pytest.fixture
def server(serve: Serve, worker: str) -> Server:
    return serve(*WORKERS[worker], *H2C, "--access-logfile", "-", "--send-timeout", "2", "--body-timeout", "2")


def h2(server: Server, *, reads: bool = True, receive_buffer: int | None = None, **settings: int) -> Http2:
    """A client of a server."""
    assert isinstance(server.address, tuple)
    host, port = server.address[:2]
    return connect(host, port, reads=reads, receive_buffer=receive_buffer, **settings)


def big(worker: str, size: int) -> str:
    """A path of both laboratories that answers so many bytes, in pieces."""
    return f"/{'pieces' if worker in ('sync', 'gthread') else 'big'}/{size}"


def test_a_response_waits_for_the_windows_of_its_client(server: Server, worker: str) -> None:
    with h2(server, reads=False) as client:
        number = client.begin(big(worker, 1_048_576))
        while len(client.streams[number].body) < 65535:
            assert client.read()
        # The window of the connection is used up too; an answer without a body still comes.
        assert client.wait(client.begin(method="HEAD")).status == 200
        assert len(client.streams[number].body) == 65535
        client.h2.increment_flow_control_window(2_000_000)
        client.h2.increment_flow_control_window(2_000_000, number)
        client.flush()
        assert len(client.wait(number).body) == 1_048_576


def test_a_client_that_takes_too_little_loses_its_stream_alone(server: Server, worker: str) -> None:
    with h2(server, reads=False) as client:
        number = client.begin(big(worker, 1_048_576))
        begun = time.monotonic()
        while client.streams[number].reset is None:
            assert client.read()
            if len(client.streams[number].body) >= 65535 and client.streams[number].reset is None:
                # A byte now and then is no progress; as many as the machine can send would be some.
                time.sleep(0.05)
                client.h2.increment_flow_control_window(1)
                client.h2.increment_flow_control_window(1, number)
                client.flush()
        assert client.streams[number].reset == CANCEL
        assert 1 < time.monotonic() - begun < 10
        assert client.wait(client.begin(method="HEAD")).status == 200


def test_a_client_that_sends_nothing_of_its_body_is_told_so_on_its_stream(server: Server) -> None:
    with h2(server) as client:
        number = client.begin("/echo", method="POST", ends=False)
        client.data(number, b"abc", ends=False)
        assert client.get().text == "Hello, world!"
        assert client.wait(number).status == 408
        assert client.get().text == "Hello, world!"


def test_a_response_that_fails_half_way_ends_its_stream_alone(server: Server, worker: str) -> None:
    path = "/late/1000" if worker in ("sync", "gthread") else "/error_mid_body"
    with h2(server) as client:
        broken = client.wait(client.begin(path))
        assert (broken.status, broken.ended, broken.reset) == (200, False, INTERNAL_ERROR)
        assert client.get().text == "Hello, world!"


def test_a_worker_that_ends_finishes_its_streams(serve: Serve, server: Server) -> None:
    with h2(server) as client:
        number = client.begin("/gate/held")
        serve.gates.wait_entered("held")
        server.signal(SIGTERM)
        while len(client.goaways) < 2:
            assert client.read()
        # First for no stream in particular, then, when the client has answered, behind those that have begun.
        assert client.goaways == [2**31 - 1, number]
        assert client.went_away == NO_ERROR
        serve.gates.open("held")
        assert client.wait(number).status == 200
        client.read_to_end()
    assert server.wait_exit() == 0


def test_a_reload_finishes_what_has_begun(serve: Serve, server: Server) -> None:
    workers = server.wait_workers(1)
    with h2(server) as client:
        number = client.begin("/gate/held")
        serve.gates.wait_entered("held")
        server.signal(SIGHUP)
        while not client.goaways:
            assert client.read()
        with h2(server) as other:
            assert other.get().text == "Hello, world!"
        serve.gates.open("held")
        assert client.wait(number).status == 200
    server.wait_replaced(workers, 1)


def test_an_idle_connection_is_told_to_go(serve: Serve, worker: str) -> None:
    server = serve(*WORKERS[worker], *H2C, "--keep-alive", "1")
    with h2(server) as client:
        assert client.get().status == 200
        begun = time.monotonic()
        client.read_to_end()
        assert client.went_away == NO_ERROR
        assert 0.5 < time.monotonic() - begun < 8


def test_a_reset_stream_tells_the_application(serve: Serve) -> None:
    server = serve(*WORKERS["asyncio"], *H2C)
    with h2(server) as client:
        number = client.begin("/until_gone/left")
        serve.gates.wait_entered("left")
        client.h2.reset_stream(number, CANCEL)
        client.flush()
        serve.gates.wait_marked("left.http.disconnect")
        assert client.get().text == "Hello, world!"


def ping(client: Http2, payload: bytes) -> None:
    """Wait until the server has read all that was sent."""
    before = client.pongs
    client.h2.ping(payload)
    client.flush()
    while client.pongs == before:
        assert client.read()


def test_a_request_whose_client_left_before_a_thread_was_free_is_not_run(serve: Serve) -> None:
    server = serve(*WORKERS["sync"], *H2C, "--access-logfile", "-")
    with h2(server) as client:
        first = client.begin("/gate/first")
        serve.gates.wait_entered("first")
        second = client.begin("/gate/second")
        # Read, because the answer to a PING comes behind it.
        ping(client, b"is there")
        client.h2.reset_stream(second, CANCEL)
        client.flush()
        ping(client, b"has left")
        serve.gates.open("first")
        assert client.wait(first).status == 200
        server.wait_log(r'"GET /gate/second HTTP/2\.0" 499')
        assert not serve.gates.entered("second")


def test_a_slow_view_holds_no_other_stream(serve: Serve) -> None:
    server = serve(*WORKERS["gthread"], *H2C)
    with h2(server) as client:
        slow = client.begin("/gate/slow")
        serve.gates.wait_entered("slow")
        assert [client.get().text for _ in range(20)] == ["Hello, world!"] * 20
        serve.gates.open("slow")
        assert client.wait(slow).status == 200


def test_a_hundred_streams_do_not_keep_another_client_waiting(serve: Serve) -> None:
    server = serve(*WORKERS["sync"], *H2C, "--access-logfile", "-")
    with h2(server) as crowd, h2(server) as other:
        assert other.get().status == 200
        first = crowd.begin("/gate/first")
        serve.gates.wait_entered("first")
        streams = [crowd.begin("/crowd") for _ in range(99)]
        number = other.begin("/other")
        time.sleep(0.2)  # Both have been read by then: the watchdog turns the reactor meanwhile.
        serve.gates.open("first")
        assert crowd.wait(first).status == 200
        other.wait(number)
        for stream in streams:
            crowd.wait(stream)
        server.wait_log('"GET /crowd', times=99)
    lines = [line.split('"')[1] for line in server.log.splitlines() if "/crowd" in line or "/other" in line]
    assert lines.index("GET /other HTTP/2.0") < 40


def test_a_504_answers_one_stream(serve: Serve) -> None:
    server = serve(*WORKERS["gthread"][:-1], "2", *H2C, "-t", "2")
    with h2(server) as client:
        stuck = [client.begin(f"/gate/stuck{number}") for number in range(2)]
        assert [client.wait(number).status for number in stuck] == [504, 504]


def test_trailers_and_early_hints_of_asgi(serve: Serve) -> None:
    server = serve(*WORKERS["asyncio"], *H2C)
    with h2(server) as client:
        takes = [("te", "trailers")]
        response = client.wait(client.begin("/trailers/3", fields=takes))
        assert response.status == 200
        assert response.trailers
        assert client.get("/early_hint").interim == [103]


def test_an_answer_before_the_end_of_the_body_lets_the_client_stop(server: Server) -> None:
    with h2(server) as client:
        number = client.begin("/unread", method="POST", ends=False)
        client.data(number, b"x" * 1000, ends=False)
        client.data(number, b"x" * 1000)
        assert client.wait(number).status == 200
        assert client.get().text == "Hello, world!"
