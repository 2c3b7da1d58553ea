"""Reads `wsgi.input` in the way that the path names and tells what it got."""

from __future__ import annotations

import codecs
import gc
import io
import json
import os
import shutil
import sys
import tempfile


def calls(stream, environ):
    """A mixture, as in `read:3,line,line:2,lines:4,read`: each call and what it returned."""
    for call in environ["QUERY_STRING"].split(","):
        name, _, size = call.partition(":")
        arguments = [] if not size else [None if size == "None" else int(size)]
        yield {"read": stream.read, "line": stream.readline, "lines": stream.readlines}[name](*arguments)


def iterate(stream, environ):
    return list(stream)


def again(stream, environ):
    """At the end every way of reading says so, again and again."""
    stream.read()
    return [stream.read(), stream.read(5), stream.readline(), stream.readlines(), list(stream)]


def outcome(act):
    """What a call returned, or what it raised."""
    try:
        return act()
    except Exception as error:
        return type(error).__name__


def sought(stream):
    """Every way to seek, and what is read there."""
    yield [stream.tell(), stream.read(3), stream.tell()]
    yield [stream.seek(0), stream.read(5)]
    yield [stream.seek(-4, os.SEEK_END), stream.read()]
    yield [stream.seek(2), stream.seek(3, os.SEEK_CUR), stream.readline(), stream.tell()]
    yield [stream.seek(0, io.SEEK_END), stream.read(), stream.readline(), list(stream)]
    yield [stream.seek(0), stream.readlines()[:3]]
    yield [stream.seek(7), next(stream), stream.seek(-1, 1), stream.read(2)]


def beyond(stream):
    end = stream.seek(0, 2)
    yield [stream.seek(end + 100) - end, stream.read(), stream.read(1), stream.readline(), stream.readlines()]
    yield [stream.tell() - end, stream.seek(-100, 1) - end, stream.seek(0), stream.read(1)]


def wrong_seeks(stream):
    for arguments in [(-1,), (0, 7), ("0",), (None,), (1.0,), (0, -1)]:
        yield outcome(lambda arguments=arguments: stream.seek(*arguments))
    yield stream.read(4)


def read_into(stream):
    for buffer in (bytearray(4), memoryview(bytearray(6))[1:3]):
        yield [stream.readinto(buffer), bytes(buffer)]
    yield [stream.readinto1(large := bytearray(10)), bytes(large)]
    yield [
        outcome(lambda: stream.readinto(bytes(3))),
        outcome(lambda: stream.readinto(3)),
        stream.readinto(bytearray()),
    ]
    stream.seek(-2, 2)
    yield [stream.readinto(large), bytes(large[:2]), stream.readinto(large), stream.read1(3), stream.read1()]
    stream.seek(1)
    yield [stream.read1(2), stream.read1(0), stream.tell()]


def as_text(stream):
    text = io.TextIOWrapper(stream, encoding="latin-1", newline="")
    yield [text.readline(), text.read(2), text.seekable()]
    text.seek(0)
    yield [text.read(7), text.detach() is stream, stream.seek(1), stream.read(3)]


def buffered(stream):
    reader = io.BufferedReader(stream) if not isinstance(stream, io.BytesIO) else io.BufferedReader(Raw(stream))
    yield [reader.readline(), reader.peek(1)[:2], reader.read(4), reader.tell()]
    reader.seek(2)
    yield [reader.read(3), reader.seek(0, 2) > 3, reader.read()]


class Raw(io.RawIOBase):
    """Bytes in memory as the lowest floor of a stack of streams."""

    def __init__(self, memory):
        self.memory = memory

    def readable(self):
        return True

    def seekable(self):
        return True

    def readinto(self, buffer):
        return self.memory.readinto(buffer)

    def seek(self, *arguments):
        return self.memory.seek(*arguments)


def copied(stream):
    """What libraries do with uploads."""
    target = io.BytesIO()
    shutil.copyfileobj(stream, target)
    stream.seek(0)
    with tempfile.TemporaryFile() as file:
        shutil.copyfileobj(stream, file)
        file.seek(0)
        yield [len(target.getvalue()), file.read() == target.getvalue()]
    stream.seek(0)
    yield codecs.getreader("latin-1")(stream).readline()


def described(stream):
    yield [stream.readable(), stream.seekable(), stream.writable() is isinstance(stream, io.BytesIO)]
    yield [stream.isatty(), stream.closed]
    for act in (stream.fileno, stream.detach, lambda: stream.write(b"x"), lambda: stream.writelines([b"x"])):
        # Bytes in memory can be written to.
        yield "UnsupportedOperation" if isinstance(stream, io.BytesIO) else outcome(act)
    yield [stream.flush(), stream.__enter__() is stream]


CASES = {each.__name__: each for each in (sought, beyond, wrong_seeks, read_into, as_text, buffered, copied, described)}


def compared(stream, environ):
    """The case that the query names, done with the input, and with the same bytes in memory."""
    case = CASES[environ["QUERY_STRING"]]
    body = stream.read()
    stream.seek(0)
    return [plain(list(case(stream))), plain(list(case(io.BytesIO(body))))]


def plain(value):
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    if isinstance(value, bytes):
        return value[:100].decode("latin-1")
    return value


def keywords(stream, environ):
    got = [stream.read(size=3), stream.readline(size=2), stream.readlines(hint=1), stream.read(size=None)]
    stream.seek(0)
    return [*got, stream.readlines(size=1), stream.readline(size=-1)]


def dropped(stream, environ):
    """Lays streams of the standard library over the input and lets go of them; says what Python complained about."""
    complaints = []
    sys.unraisablehook = lambda unraisable: complaints.append(str(unraisable.exc_value))
    try:
        for wrap in (io.TextIOWrapper, io.BufferedReader, lambda raw: io.TextIOWrapper(io.BufferedReader(raw))):
            wrapped = wrap(stream)
            wrapped.read(2)
            del wrapped
            gc.collect()
            with wrap(stream) as wrapped:
                wrapped.readline()
    finally:
        sys.unraisablehook = sys.__unraisablehook__
    stream.seek(0)
    return [*complaints, stream.closed, stream.readline()]


def position_left(stream, environ):
    """Moves the position of an input, which is nothing to the next request."""
    before = stream.tell()
    stream.seek(5)
    return [before]


def errors(stream, environ):
    log = environ["wsgi.errors"]
    facts = [log.isatty(), log.writable(), log.readable(), log.seekable(), log.closed]
    unsupported = [
        outcome(act)
        for act in (log.fileno, log.read, log.readline, log.tell, log.truncate, log.detach, lambda: log.seek(0))
    ]
    log.close()
    with log as same:
        same.write("written within with\n")
    print("printed", file=log, flush=True)
    log.write("a lone \udcff surrogate\n")
    more = [outcome(lambda: log.write(b"bytes")), log.write("four"), log.encoding, log.closed, log.line_buffering]
    return [facts, unsupported, more, isinstance(log.name, str), log.errors, log.mode, outcome(lambda: list(log))]


def shape(value):
    if isinstance(value, bytes):
        return value.decode("latin-1")
    return [shape(each) for each in value] if isinstance(value, list) else value


VIEWS = {each.__name__: each for each in (calls, iterate, again, compared, keywords, dropped, position_left, errors)}


def application(environ, start_response):
    view = VIEWS.get(environ["PATH_INFO"].strip("/"))
    got = [shape(each) for each in view(environ["wsgi.input"], environ)] if view else []
    body = json.dumps(got).encode()
    start_response("200 OK", [("Content-Type", "application/json")])
    return [body]
