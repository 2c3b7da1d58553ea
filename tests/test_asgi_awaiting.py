"""`receive()` and `send()` of ASGI applications are coroutine functions: they act, and raise, when they are awaited."""

from __future__ import annotations

import json

import pytest
from harness import Serve, Server, eventually
from harness.frames import read_frame, upgrade

APPLICATION = """
    import asyncio, gc, inspect, json, warnings, weakref

    SOCKETS = {}

    async def answer(send, value):
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": json.dumps(value).encode()})

    async def websocket(scope, receive, send):
        await receive()
        await send({"type": "websocket.accept"})
        SOCKETS[scope["path"]] = send
        while (await receive())["type"] != "websocket.disconnect":
            pass
        # It stays in the list: the next broadcast finds it gone.
        await asyncio.sleep(3600)

    def kind(outcome):
        return type(outcome).__name__

    async def broadcast(scope, receive, send):
        message = {"type": "websocket.send", "text": "news"}
        sends = [one(message) for one in SOCKETS.values()]
        outcomes = await asyncio.gather(*sends, return_exceptions=True)
        await answer(send, dict(zip(SOCKETS, map(kind, outcomes))))

    async def broadcast_nonsense(scope, receive, send):
        sends = [one({"type": wrong}) for one, wrong in zip(SOCKETS.values(), ["websocket.sned", "websocket.ping"])]
        outcomes = await asyncio.gather(*sends, return_exceptions=True)
        await answer(send, list(map(kind, outcomes)))

    async def later(scope, receive, send):
        head = {"type": "http.response.start", "status": 500, "headers": []}
        starting = send(head)
        # As with an `async def`, the message counts as it is when it is sent.
        head.update(status=201, headers=[(b"x-late", b"yes")])
        await starting
        await send({"type": "http.response.body", "body": b"later"})

    async def order(scope, receive, send):
        await send({"type": "http.response.start", "status": 200})
        second = send({"type": "http.response.body", "body": b"second", "more_body": True})
        first = send({"type": "http.response.body", "body": b"first ", "more_body": True})
        last = asyncio.create_task(send({"type": "http.response.body", "body": b" last"}))
        await first
        await second
        await last

    async def misuse(scope, receive, send):
        calls = [send({"type": "http.response.body"}), send("nonsense"), send({}), send({"type": "x"})]
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        await answer(send, list(map(kind, outcomes)))

    async def reuse(scope, receive, send):
        outcomes = []
        receiving = receive()
        await receiving
        for awaitable in (receiving,):
            try:
                await awaitable
            except RuntimeError as error:
                outcomes.append(str(error))
        unsent = send({"type": "http.response.start", "status": 204})
        unsent.close()
        try:
            await unsent
        except RuntimeError as error:
            outcomes.append(str(error))
        thrown = send({"type": "http.response.start", "status": 204})
        try:
            thrown.throw(KeyError("thrown"))
        except KeyError as error:
            outcomes.append(str(error))
        await answer(send, outcomes)

    async def forgotten(scope, receive, send):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            send({"type": "http.response.start", "status": 204})
            receive()
            gc.collect()
        await answer(send, [str(one.message) for one in caught])

    FUNCTIONS = []

    async def kept(scope, receive, send):
        # The memory of awaitables is used again, but never that of one to which a reference is left.
        nothing = {"type": "http.response.debug"}
        awaited = [send(nothing) for _ in range(600)]
        for one in awaited:
            await one
        fresh = [send(nothing) for _ in range(600)]
        refused = 0
        for one in awaited:
            try:
                await one
            except RuntimeError:
                refused += 1
        for one in fresh:
            await one
        FUNCTIONS.extend([receive, send])
        await answer(send, [len({id(one) for one in awaited + fresh}), refused, len({id(one) for one in FUNCTIONS})])

    async def wrong_calls(scope, receive, send):
        calls = [
            lambda: receive(1),
            lambda: receive(message={}),
            lambda: send(),
            lambda: send({}, {}),
            lambda: send({}, message={}),
            lambda: send(text={}),
        ]
        outcomes = []
        for call in calls:
            try:
                call()
                outcomes.append("nothing")
            except TypeError as error:
                outcomes.append(str(error))
        await answer(send, outcomes)

    async def nature(scope, receive, send):
        await answer(send, {
            "inspect": [inspect.iscoroutinefunction(receive), inspect.iscoroutinefunction(send)],
            "asyncio": [asyncio.iscoroutinefunction(receive), asyncio.iscoroutinefunction(send)],
            "signatures": [list(inspect.signature(receive).parameters), list(inspect.signature(send).parameters)],
            "names": [receive.__name__, send.__name__],
            "weak": weakref.ref(send)() is send and weakref.ref(receive)() is receive,
            "awaitable": inspect.isawaitable(receive()) and asyncio.iscoroutine(receive()),
            "keyword": [await send(message={"type": "http.response.debug"})],
            "unpacked": [await send(*[{"type": "http.response.debug"}], **{})],
        })

    async def departed(scope, receive, send):
        # Until the client has left; every call is made beforehand.
        await send({"type": "http.response.start", "status": 200})
        while (await receive())["type"] != "http.disconnect":
            pass
        outcomes = []
        while "BrokenPipeError" not in outcomes and "ClientDisconnected" not in outcomes:
            calls = [send({"type": "http.response.body", "body": b"x", "more_body": True}) for _ in range(2)]
            outcomes = list(map(kind, await asyncio.gather(*calls, return_exceptions=True)))
            await asyncio.sleep(0.01)
        STATE["departed"] = outcomes

    STATE = {}

    async def state(scope, receive, send):
        await answer(send, STATE)

    async def application(scope, receive, send):
        if scope["type"] == "websocket":
            await websocket(scope, receive, send)
        elif scope["type"] == "http":
            view = globals().get(scope["path"][1:])
            await (view(scope, receive, send) if view else answer(send, "here"))
"""


@pytest.fixture(scope="module", params=["asyncio", "uvloop"])
def server(serve_module: Serve, request: pytest.FixtureRequest) -> Server:
    from textwrap import dedent

    (serve_module.folder / "awaiting.py").write_text(dedent(APPLICATION))
    loop = ["--asgi-loop", request.param]
    return serve_module(
        "awaiting", "-k", "asgi", *loop, "--asgi-disconnect-grace-period", "60", cwd=serve_module.folder
    )


def test_a_broadcast_reaches_all_others_when_one_client_has_left(server: Server) -> None:
    with server.connect() as one, server.connect() as two, server.connect() as three:
        for wire, name in ((one, "/one"), (two, "/two"), (three, "/three")):
            upgrade(wire, name)
        eventually(lambda: set(json.loads(server.get("/broadcast").text)) >= {"/one", "/two", "/three"})
        assert json.loads(server.get("/broadcast_nonsense").text) == ["RuntimeError"] * 2
        two.reset()

        def outcomes() -> dict[str, str]:
            return json.loads(server.get("/broadcast").text)

        gone = eventually(lambda: (found := outcomes()) and found["/two"] != "NoneType" and found)
        assert (gone["/one"], gone["/three"]) == ("NoneType", "NoneType")
        for wire in (one, three):
            assert read_frame(wire).payload == b"news"
            assert read_frame(wire).payload == b"news"
    assert "Error handling" not in server.log


def test_what_is_sent_counts_when_it_is_awaited(server: Server) -> None:
    with server.connect() as wire:
        reply = wire.get("/later")
        assert (reply.status, reply.header("x-late"), reply.text) == (201, "yes", "later")
        assert wire.get("/order").text == "first second last"


def test_a_misuse_is_raised_where_it_is_awaited(server: Server) -> None:
    outcomes = ["RuntimeError", "TypeError", "KeyError", "RuntimeError"]
    assert json.loads(server.get("/misuse").text) == outcomes


def test_what_was_awaited_cannot_be_awaited_again(server: Server) -> None:
    again = "cannot reuse already awaited coroutine"
    assert json.loads(server.get("/reuse").text) == [again, again, "'thrown'"]


def test_an_awaitable_is_used_for_one_call_only(server: Server) -> None:
    for request in range(1, 4):
        assert json.loads(server.get("/kept").text) == [1200, 600, 2 * request]


def test_a_call_with_other_arguments_is_a_type_error(server: Server) -> None:
    outcomes = json.loads(server.get("/wrong_calls").text)
    assert len(outcomes) == 6 and all("argument" in outcome for outcome in outcomes)


def test_a_message_that_is_not_awaited_is_not_sent_and_warned_of(server: Server) -> None:
    reply = server.get("/forgotten")
    assert (reply.status, json.loads(reply.text)) == (200, ["coroutine 'send' was never awaited"])


def test_both_pass_for_coroutine_functions(server: Server) -> None:
    assert json.loads(server.get("/nature").text) == {
        "inspect": [True, True],
        "asyncio": [True, True],
        "signatures": [[], ["message"]],
        "names": ["receive", "send"],
        "weak": True,
        "awaitable": True,
        "keyword": [None],
        "unpacked": [None],
    }


def test_calls_for_a_client_that_has_left_raise_when_they_are_awaited(server: Server) -> None:
    with server.connect() as wire:
        wire.request("/departed")
    eventually(lambda: "departed" in json.loads(server.get("/state").text))
    outcomes = json.loads(server.get("/state").text)["departed"]
    assert len(outcomes) == 2 and outcomes[1] in ("BrokenPipeError", "ClientDisconnected")
    assert "Error handling" not in server.log


def test_asgiref_calls_a_wsgi_application_without_a_warning(serve: Serve, write) -> None:
    write(
        "adapted.py",
        """
        from asgiref.wsgi import WsgiToAsgi

        def hello(environ, start_response):
            start_response("200 OK", [("Content-Type", "text/plain")])
            return [b"hello from ", environ["PATH_INFO"].encode()]

        application = WsgiToAsgi(hello)
        """,
    )
    server = serve("adapted", "-k", "asgi", cwd=serve.folder, env={"PYTHONWARNINGS": "error"})
    assert server.get("/there").text == "hello from /there"
    assert "async" not in server.log.replace("asyncio", "")
