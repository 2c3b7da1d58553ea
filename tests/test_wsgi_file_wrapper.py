"""`wsgi.file_wrapper` sends files, from where they stand, and closes them."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest
from harness import Serve, Server, better, eventually, parity, processes

CONTENT = os.urandom(1_500_000)


@pytest.fixture(scope="module")
def server(serve_module: Serve, kind: str) -> Server:
    return serve_module("responses", kind=kind)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("files") / "content"
    path.write_bytes(CONTENT)
    return path


@parity("gthread")
def test_a_file_arrives_whole(server: Server, path: Path) -> None:
    with server.connect() as wire:
        assert wire.get(f"/file?path={path}").body == CONTENT
        assert wire.get("/").text == "Hello, world!"


@parity
def test_its_length_is_told_where_it_is_known(server: Server, path: Path) -> None:
    reply = server.get(f"/file?path={path}")
    length = reply.header("Content-Length")
    assert length == str(len(CONTENT)) or reply.header("Transfer-Encoding") == "chunked"


@pytest.mark.parametrize(
    "query",
    ["offset=1000000", "length=700", "offset=5&length=700", "offset=1500000", "block=7&length=70"],
)
def test_it_is_sent_from_where_it_stands(server: Server, path: Path, query: str) -> None:
    options = dict(part.split("=") for part in query.split("&"))
    offset = int(options.get("offset", 0))
    end = offset + int(options["length"]) if "length" in options else None
    with server.connect() as wire:
        assert wire.get(f"/file?path={path}&{query}").body == CONTENT[offset:end]
        assert wire.get("/").text == "Hello, world!"


@parity
def test_a_file_that_is_shorter_than_its_length_closes(server: Server, path: Path) -> None:
    with server.connect() as wire:
        reply = wire.get(f"/file?path={path}&offset=1499990&length=700")
        assert (reply.body, reply.complete) == (CONTENT[1_499_990:], False)


@parity("gthread")
def test_head_sends_no_byte_of_it(server: Server, path: Path) -> None:
    with server.connect() as wire:
        reply = wire.request(f"/file?path={path}&length=700", method="HEAD").reply(to="HEAD")
        assert (reply.status, reply.header("Content-Length")) == (200, "700")
        assert wire.get("/").text == "Hello, world!"


@parity
def test_something_like_a_file_without_a_descriptor(serve_module: Serve, server: Server) -> None:
    assert server.get("/memory_file").body == b"m" * 20_000
    serve_module.gates.wait_marked("closed-memory")


@parity
def test_the_file_is_closed(serve: Serve, kind: str, path: Path) -> None:
    server = serve("responses", kind=kind)
    [worker] = server.wait_workers(1)
    assert server.get(f"/marked_file?{path}").body == CONTENT
    serve.gates.wait_marked("closed-file")
    eventually(
        lambda: str(path) not in processes.open_files(worker),
        what=lambda: f"no descriptor left: {processes.open_files(worker)}",
    )


@parity
def test_the_file_is_closed_when_the_client_goes(serve: Serve, kind: str, tmp_path: Path) -> None:
    large = tmp_path / "large"
    with large.open("wb") as file:
        file.truncate(200_000_000)
    server = serve("responses", kind=kind)
    wire = server.connect(receive_buffer=8192)
    wire.request(f"/marked_file?{large}").exactly(1000)
    wire.reset()
    serve.gates.wait_marked("closed-file")
    assert server.get("/").text == "Hello, world!"


@parity
def test_a_middleware_may_iterate_it(server: Server) -> None:
    assert server.get("/unrun_wrapper").text == "abca|bcab|cabc|abc"


@parity
def test_no_sendfile_sends_the_same(serve: Serve, kind: str, path: Path) -> None:
    server = serve("responses", "--no-sendfile", kind=kind)
    assert server.get(f"/file?path={path}&offset=9").body == CONTENT[9:]


@better
def test_a_compressed_file_is_read_and_not_sent_as_it_stands(serve: Serve, write) -> None:
    """It has a descriptor, behind which is something else than what it reads."""
    with gzip.open(serve.folder / "packed.gz", "wb") as file:
        file.write(b"unpacked " * 1000)
    write(
        "packed.py",
        """
        import gzip
        from pathlib import Path

        def application(environ, start_response):
            start_response("200 OK", [("Content-Type", "text/plain")])
            return environ["wsgi.file_wrapper"](gzip.open(Path(__file__).with_name("packed.gz")))
        """,
    )
    assert serve("packed", cwd=serve.folder).get().body == b"unpacked " * 1000


@pytest.fixture(scope="module")
def files(serve_module: Serve, kind: str) -> Server:
    return serve_module("files", kind=kind)


WITHOUT_POSITION = ["pipe", "raw-pipe", "fifo", "process", "socket", "socket-number"]
WITHOUT_TRUE_SIZE = ["proc", "raw-proc", "sys", "null"]
REGULAR = ["file", "raw", "read-on", "behind-its-end", "sparse"]
WRITTEN_TO = ["unflushed", "append", "write-then-read"]
LIKE_FILES = ["mapped", "memory", "no-number", "odd", "upper"]
TEMPORARY = ["temporary", "named-temporary", "spooled", "spooled-to-disk"]


@pytest.mark.parametrize("name", WITHOUT_POSITION + WITHOUT_TRUE_SIZE + REGULAR + WRITTEN_TO + LIKE_FILES + TEMPORARY)
def test_what_is_sent_is_what_read_returns(files: Server, name: str) -> None:
    with files.connect() as wire:
        expected = wire.get(f"/read/{name}").body
        reply = wire.get(f"/wrapped/{name}")
        assert (reply.status, reply.body, reply.complete) == (200, expected, True)
        assert expected or name in ("null", "behind-its-end", "append")
        assert wire.get("/").text == "Hello, world!"


@pytest.mark.parametrize("name", ["pipe", "process", "proc", "file", "memory"])
def test_a_stated_length_limits_it(files: Server, name: str) -> None:
    with files.connect() as wire:
        reply = wire.get(f"/wrapped/{name}?20")
        assert (reply.header("Content-Length"), len(reply.body)) == ("20", 20)
        assert wire.get("/").text == "Hello, world!"


@pytest.mark.parametrize(
    "name",
    [
        "write-only",
        "raw-write-only",
        "write-only-number",
        "text",
        "closed",
        "raw-closed",
        "detached",
    ],
)
def test_what_cannot_be_read_as_bytes_is_a_500(files: Server, name: str) -> None:
    reply = files.get(f"/wrapped/{name}")
    assert reply.status == 500 and b"0123" not in reply.body
    assert files.get("/").text == "Hello, world!"


def test_a_file_that_shrinks_while_it_is_sent_is_cut(serve: Serve, kind: str) -> None:
    server = serve("files", kind=kind)
    with server.connect(receive_buffer=8192) as wire:
        wire.request("/shrinking").until(b"\r\n\r\n")
        serve.gates.open("shrink")
        serve.gates.wait_marked("shrunk")
        rest = wire.rest_or_reset()
        assert len(rest) < 20_000_000 and not rest.strip(b"s")
    assert server.get("/").text == "Hello, world!"
