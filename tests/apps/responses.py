"""Ways of calling `start_response` and of returning a body, right ones and wrong ones."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from lab import GATES, mark, wait_at

TEXT = [("Content-Type", "text/plain")]


class Text(str):
    """As frameworks have strings of their own."""


def write(environ, start_response):
    """The imperative way of PEP 3333, mixed with a returned body."""
    write = start_response("200 OK", TEXT)
    write(b"one ")
    write(b"two ")
    return [b"three"]


def write_and_wait(environ, start_response):
    write = start_response("200 OK", TEXT)
    write(b"written")
    wait_at("write")
    return [b" and returned"]


def replaced(environ, start_response):
    """An error page in the place of a response of which nothing went out."""
    start_response("200 OK", [*TEXT, ("X-First", "yes")])
    try:
        raise ValueError("replaced")
    except ValueError:
        start_response("503 Service Unavailable", [("X-Second", "yes")], sys.exc_info())
    return [b"sorry"]


def too_late(environ, start_response):
    """With the head out, start_response raises what it was given."""
    write = start_response("200 OK", TEXT)
    write(b"begun")
    try:
        raise ValueError("the first error")
    except ValueError:
        try:
            start_response("500 Internal Server Error", [], sys.exc_info())
        except ValueError as error:
            mark(f"reraised-{str(error).replace(' ', '-')}")
            raise
    return []


def twice(environ, start_response):
    start_response("200 OK", TEXT)
    start_response("200 OK", TEXT)
    return [b"never"]


def never(environ, start_response):
    return [b"no start_response"]


def late(environ, start_response):
    """start_response within the iteration, before the first piece: allowed."""
    start_response("200 OK", TEXT)
    yield b"late"


def nothing(environ, start_response):
    start_response("204 No Content", [])
    return None


def returns_str(environ, start_response):
    start_response("200 OK", TEXT)
    return ["text is not bytes"]


def empty(environ, start_response):
    start_response("200 OK", TEXT)
    return []


EMPTY_STRINGS = {"bytes": b"", "str": "", "bytearray": bytearray(), "memoryview": memoryview(b""), "subclass": Text()}
STRINGS = {"bytes": b"text", "str": "text", "bytearray": bytearray(b"text"), "memoryview": memoryview(b"text")}


def empty_string(environ, start_response):
    """Returns a string without characters; the path names the status, the query the type."""
    start_response(environ["PATH_INFO"].rpartition("/")[2] + " Given", [("X-Kept", "yes")])
    return EMPTY_STRINGS[environ["QUERY_STRING"]]


def string(environ, start_response):
    start_response("200 OK", TEXT)
    return STRINGS[environ["QUERY_STRING"]]


def empty_string_without_start(environ, start_response):
    return b""


def empty_pieces(environ, start_response):
    """Empty strings may be yielded at any time; the head waits for the first real one."""
    start_response("200 OK", TEXT)
    yield b""
    yield b""
    yield b"full"
    yield b""


def bad_status(environ, start_response):
    start_response(environ["QUERY_STRING"].replace("%20", " "), TEXT)
    return [b"bad"]


def bytes_status(environ, start_response):
    start_response(b"200 OK", TEXT)
    return [b"bad"]


BAD_FIELDS = {
    "newline": [("X-Bad", "a\r\nX-Injected: yes")],
    "lone-newline": [("X-Bad", "a\nb")],
    "nul": [("X-Bad", "a\0b")],
    "name": [("X Bad", "a")],
    "name-newline": [("X-Bad\r\nX-Injected", "a")],
    "empty-name": [("", "a")],
    "bytes": [(b"X-Bad", b"a")],
    "int": [("X-Bad", 3)],
    "no-list": {"X-Bad": "a"},
    "triple": [("X-Bad", "a", "b")],
    "not-latin-1": [("X-Bad", "\u20ac")],
    "length": [("Content-Length", "many")],
    "negative-length": [("Content-Length", "-1")],
    "two-lengths": [("Content-Length", "3"), ("Content-Length", "4")],
}


def bad_field(environ, start_response):
    start_response("200 OK", BAD_FIELDS[environ["QUERY_STRING"]])
    return [b"bad"]


PAIRS = [("X-One", "1"), ("X-Two", "2"), ("X-Two", "3")]


class Headers:
    """A mapping of a framework: iterated, it gives its pairs."""

    def __iter__(self):
        return iter(PAIRS)


class PairOfTwo:
    """Unpacks into two, and is neither a tuple nor a list."""

    def __init__(self, pair):
        self.pair = pair

    def __iter__(self):
        return iter(self.pair)


def raising():
    yield PAIRS[0]
    raise ValueError("while the headers were read")


#: Headers that are no list of tuples.
GIVEN_FIELDS = {
    "tuple": lambda: tuple(PAIRS),
    "iterator": lambda: iter(PAIRS),
    "generator": lambda: (pair for pair in PAIRS),
    "items": lambda: {"X-One": "1", "X-Two": "2"}.items(),
    "object": Headers,
    "lists": lambda: [list(pair) for pair in PAIRS],
    "tuple-of-lists": lambda: tuple(list(pair) for pair in PAIRS),
    "pair-iterators": lambda: [iter(pair) for pair in PAIRS],
    "pair-objects": lambda: [PairOfTwo(pair) for pair in PAIRS],
    "str-subclass": lambda: [(Text(name), Text(value)) for name, value in PAIRS],
    "none": lambda: (),
}

#: What is no headers, however it is read.
WRONG_FIELDS = {
    "mapping": lambda: {"X-Bad": "a"},
    "str": lambda: "X-Bad: a",
    "null": lambda: None,
    "number": lambda: 7,
    "flat": lambda: ("X-Bad", "a"),
    "one": lambda: [("X-Bad",)],
    "three": lambda: [["X-Bad", "a", "b"]],
    "raising": raising,
    "null-pair": lambda: [None],
}


def given_fields(environ, start_response):
    start_response("200 OK", GIVEN_FIELDS[environ["QUERY_STRING"]]())
    return [b"body"]


def wrong_fields(environ, start_response):
    start_response("200 OK", WRONG_FIELDS[environ["QUERY_STRING"]]())
    return [b"bad"]


def fields_that_start(environ, start_response):
    """Headers that, while they are read, start the response themselves and send its first byte."""

    def pairs():
        yield ("X-Outer", "yes")
        start_response("200 OK", [("X-Inner", "yes")])(b"begun")
        yield ("X-Outer", "again")

    start_response("200 OK", pairs())
    return [b"never"]


def hop_by_hop(environ, start_response):
    fields = [
        ("Connection", "upgrade"),
        ("Keep-Alive", "timeout=5"),
        ("Transfer-Encoding", "gzip"),
        ("Upgrade", "spdy"),
        ("TE", "x"),
        ("Proxy-Authenticate", "x"),
        ("X-Kept", "yes"),
    ]
    start_response("200 OK", [*TEXT, *fields])
    return [b"body"]


def own_fields(environ, start_response):
    start_response("200 OK", [("Date", "Thu, 01 Jan 1970 00:00:00 GMT"), ("Server", "mine")])
    return [b"body"]


def says_close(environ, start_response):
    start_response("200 OK", [("Connection", "close"), ("Content-Length", "4")])
    return [b"last"]


def cookies(environ, start_response):
    start_response("200 OK", [("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), *TEXT])
    return [b"two"]


def odd_reason(environ, start_response):
    start_response("299 All Is Well \u00fc", TEXT)
    return [b"odd"]


def early_error(environ, start_response):
    raise RuntimeError("before the start")


def error_after_start(environ, start_response):
    start_response("200 OK", [*TEXT, ("X-First", "yes")])
    raise RuntimeError("after the start")


def error_in_first_piece(environ, start_response):
    start_response("200 OK", TEXT)
    raise RuntimeError("before the first piece")
    yield b""


def error_mid_body(environ, start_response):
    start_response("200 OK", TEXT)
    yield b"the beginning"
    raise RuntimeError("in the middle")


def error_mid_length(environ, start_response):
    start_response("200 OK", [("Content-Length", "1000")])
    yield b"the beginning"
    raise RuntimeError("in the middle")


def system_exit(environ, start_response):
    raise SystemExit(7)


class Body:
    """An iterable that leaves a mark when it is closed."""

    def __init__(self, name, pieces, fails=False):
        self.name, self.pieces, self.fails = name, iter(pieces), fails

    def __iter__(self):
        return self

    def __next__(self):
        return next(self.pieces)

    def close(self):
        with (GATES / f"closed-{self.name}").open("a") as file:
            file.write(f"{os.getpid()}\n")
        if self.fails:
            raise RuntimeError("close() failed")


class Sized(Body):
    """One whose length is known, which changes how a server may send it."""

    def __len__(self):
        return 1


def closing(environ, start_response):
    start_response("200 OK", TEXT)
    return Body("whole", [b"a", b"b"])


def closing_sized(environ, start_response):
    start_response("200 OK", TEXT)
    return Sized("sized", [b"only piece"])


def closing_empty(environ, start_response):
    start_response("204 No Content", [])
    return Body("empty", [])


def closing_after_error(environ, start_response):
    def pieces():
        yield b"a"
        raise RuntimeError("in the middle")

    start_response("200 OK", TEXT)
    return Body("error", pieces())


def closing_without_start(environ, start_response):
    return Body("without-start", [b"a"])


def closing_wrong(environ, start_response):
    start_response("200 OK", TEXT)
    return Body("wrong", [b"a"], fails=True)


def closing_endless(environ, start_response):
    def pieces():
        while True:
            yield b"z" * 65536

    start_response("200 OK", TEXT)
    return Body("endless", pieces())


def closing_large(environ, start_response):
    """More than the Content-Length says; the rest is not asked for without need."""
    start_response("200 OK", [("Content-Length", "4")])
    return Body("large", [b"four", b"more"])


def stepwise(environ, start_response):
    """Each piece waits at its gate; a piece that was asked for leaves a mark."""

    def pieces():
        for number in range(3):
            mark(f"asked-{number}")
            if number:
                wait_at(f"step-{number}")
            yield b"piece %d\n" % number

    name = environ["QUERY_STRING"]
    fields = [("Content-Length", "24")] if name == "length" else []
    start_response("200 OK", [*TEXT, *fields])
    return pieces()


def read_after_write(environ, start_response):
    """Takes the request's body piece by piece and gives each back: an echo as a stream."""
    start_response("200 OK", TEXT)
    while block := environ["wsgi.input"].read(10_000):
        yield block


def early_hints(environ, start_response):
    environ["wsgi.early_hints"]([("Link", "</style.css>; rel=preload")])
    start_response("200 OK", TEXT)
    return [b"final"]


def early_hints_given(environ, start_response):
    environ["wsgi.early_hints"](GIVEN_FIELDS[environ["QUERY_STRING"]]())
    start_response("200 OK", TEXT)
    return [b"final"]


def file(environ, start_response):
    """A file by `wsgi.file_wrapper`; the query says which and how."""
    options = dict(part.split("=") for part in environ["QUERY_STRING"].split("&"))
    opened = Path(options["path"]).open("rb")  # noqa: SIM115 - the server closes it
    opened.seek(int(options.get("offset", 0)))
    fields = [("Content-Length", options["length"])] if "length" in options else []
    start_response("200 OK", [*TEXT, *fields])
    wrapper = environ["wsgi.file_wrapper"]
    return wrapper(opened, int(options["block"])) if "block" in options else wrapper(opened)


class Memory:
    """Like a file, but with no descriptor."""

    def __init__(self, data):
        self.data = data

    def read(self, size=-1):
        taken, self.data = self.data[:size], self.data[size:]
        return taken

    def close(self):
        mark("closed-memory")


def memory_file(environ, start_response):
    start_response("200 OK", TEXT)
    return environ["wsgi.file_wrapper"](Memory(b"m" * 20_000))


class Marked:
    """A file whose closing can be seen."""

    def __init__(self, path):
        self.file = Path(path).open("rb")  # noqa: SIM115 - closed below

    def read(self, size=-1):
        return self.file.read(size)

    def fileno(self):
        return self.file.fileno()

    def tell(self):
        return self.file.tell()

    def seek(self, *arguments):
        return self.file.seek(*arguments)

    def close(self):
        self.file.close()
        mark("closed-file")


def marked_file(environ, start_response):
    start_response("200 OK", TEXT)
    return environ["wsgi.file_wrapper"](Marked(environ["QUERY_STRING"]))


def unrun_wrapper(environ, start_response):
    """A wrapper that a middleware iterates itself."""
    start_response("200 OK", TEXT)
    wrapped = environ["wsgi.file_wrapper"](Memory(b"abc" * 5), 4)
    return [b"|".join(wrapped)]


def application(environ, start_response):
    view = globals().get(environ["PATH_INFO"].strip("/").partition("/")[0])
    if view is None:
        body = b"Hello, world!"
        start_response("200 OK", [*TEXT, ("Content-Length", str(len(body)))])
        return [body]
    return view(environ, start_response)
