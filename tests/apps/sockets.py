"""Looks at `gunicorn.socket`, or takes it, in the way that the path names."""

from __future__ import annotations

import array
import copy
import fcntl
import json
import os
import select
import selectors
import socket
import stat

from lab import mark, wait_at

TEXT = [("Content-Type", "application/json")]
PEEK = socket.MSG_PEEK | socket.MSG_DONTWAIT


def outcome(act):
    try:
        return act()
    except Exception as error:
        return type(error).__name__


def kind(sock):
    return [sock.family.name, sock.type.name, isinstance(sock.proto, int), isinstance(repr(sock), str)]


def number(sock):
    first, second = sock.fileno(), sock.fileno()
    return [first == second, stat.S_ISSOCK(os.fstat(first).st_mode), os.get_inheritable(first)]


def names(sock):
    peer, own = sock.getpeername(), sock.getsockname()
    return [peer, own]


def times(sock):
    seen = [sock.gettimeout(), sock.timeout, sock.getblocking()]
    sock.settimeout(2.5)
    seen += [sock.gettimeout(), sock.timeout, sock.getblocking()]
    sock.setblocking(False)
    seen += [sock.gettimeout(), sock.getblocking()]
    sock.setblocking(True)
    sock.settimeout(None)
    nonblocking = bool(fcntl.fcntl(sock.fileno(), fcntl.F_GETFL) & os.O_NONBLOCK)
    wrong = [outcome(lambda: sock.settimeout(-1)), outcome(lambda: sock.settimeout("long"))]
    return [*seen, sock.gettimeout(), nonblocking, *wrong]


def options(sock):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    large = sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) > 0
    raw = len(sock.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8))
    return [sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE), large, raw]


def selected(sock):
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    with selectors.DefaultSelector() as selector:
        selector.register(sock, selectors.EVENT_READ)
        return [len(select.select([sock], [], [], 0)[0]), len(poll.poll(0)), len(selector.select(0))]


def peeked(sock):
    """There is nothing to be read."""
    into = bytearray(4)
    seen = [
        outcome(lambda: sock.recv(1, PEEK)),
        outcome(lambda: sock.recvfrom(1, PEEK)),
        outcome(lambda: sock.recv_into(into, 4, PEEK)),
        outcome(lambda: sock.recv_into(into, flags=PEEK)),
        outcome(lambda: sock.recvmsg(1, 0, PEEK)),
    ]
    sock.settimeout(0.05)
    seen.append(outcome(lambda: sock.recv(1, socket.MSG_PEEK)))
    sock.setblocking(False)
    seen.append(outcome(lambda: sock.recv(1, socket.MSG_PEEK)))
    return seen


def attributes(sock):
    known = [hasattr(sock, name) for name in ("recv", "sendall", "makefile", "shutdown", "detach", "close")]
    for name in ("recv", "sendall", "makefile"):
        getattr(sock, name)
    unknown = [getattr(sock, name, None) for name in ("getpeercert", "cipher", "context", "no_such_thing")]
    return [known, unknown, [hasattr(sock, "_sslobj"), "recv" in dir(sock)]]


def copied(sock):
    """What debuggers and error trackers do with an environ."""
    return [outcome(lambda: copy.copy(sock) is not None) in (True, "TypeError"), bool(sock), sock == sock, bool({sock})]


def misused(sock):
    return [outcome(lambda: sock.recv()), outcome(lambda: sock.recv("many")), outcome(lambda: sock.getsockopt())]


LOOKS = {each.__name__: each for each in (kind, number, names, times, options, selected, peeked, attributes, copied)}


def look(environ, start_response, name):
    seen = LOOKS[name](environ["gunicorn.socket"])
    start_response("200 OK", TEXT)
    return [json.dumps(seen).encode()]


def look_at_all(environ, start_response, _):
    for each in LOOKS.values():
        each(environ["gunicorn.socket"])
    fields = [("Connection", "close")] if environ["QUERY_STRING"] else []
    start_response("200 OK", TEXT + fields)
    return [b"seen"]


def peek(environ, start_response, gate):
    """Looks at what the client sends while its request is served, blocking and not."""
    sock = environ["gunicorn.socket"]
    if gate == "blocking":
        mark("blocking.entered")
        seen = sock.recv(3, socket.MSG_PEEK)
    else:
        wait_at(gate)
        seen = sock.recv(3, PEEK)
    again = sock.recv(3, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    into = array.array("B", bytes(3))
    count = sock.recv_into(into, 3, PEEK)
    start_response("200 OK", TEXT)
    return [json.dumps([seen.decode(), again.decode(), bytes(into[:count]).decode()]).encode()]


ANSWER = b"HTTP/1.1 299 Taken\r\nContent-Length: 5\r\nConnection: close\r\n\r\ntaken"


def sent(sock):
    sock.sendall(ANSWER)


def written(sock):
    with sock.makefile("wb") as file:
        file.write(ANSWER)


def detached(sock):
    with socket.socket(fileno=sock.detach()) as own:
        own.sendall(ANSWER)


def received(sock):
    mark("receiving")
    data = b""
    while len(data) < 4:
        data += sock.recv(4)
    sock.sendall(ANSWER.replace(b"taken", data + b"!"))


def within(sock):
    with sock as same:
        same.send(ANSWER)


def looked_at_first(sock):
    number, peer = sock.fileno(), sock.getpeername()
    sock.settimeout(7)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.sendall(ANSWER[:-5])
    same = sock.fileno() == number and sock.getpeername() == peer and sock.gettimeout() == 7
    kept = sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
    sock.sendall(b"taken" if same and kept else b"other")


def copied_to_another(sock):
    """The end of the first is not the end of its copy."""
    other = sock.dup()
    sock.close()
    other.sendall(ANSWER)
    other.close()


TAKES = {
    each.__name__: each for each in (sent, written, detached, received, within, looked_at_first, copied_to_another)
}


def closed(sock):
    sock.sendall(ANSWER[-5:])
    sock.close()


def left(sock):
    with sock as same:
        same.sendall(ANSWER[-5:])


def forgotten(sock):
    sock.sendall(ANSWER[-5:])


def filed(sock):
    with sock.makefile("wb") as file:
        sock.close()
        file.write(ANSWER[-5:])


ENDS = {each.__name__: each for each in (closed, left, forgotten, filed)}


def take_and_fork(environ, start_response, name):
    """A child holds the connection, and closes its copy of the socket, before its parent ends it."""
    sock = environ["gunicorn.socket"]
    sock.sendall(ANSWER[:-5])
    if os.fork() == 0:
        held = os.dup(sock.fileno())
        sock.close()
        wait_at("child")
        os.close(held)
        os._exit(0)
    wait_at("parent")
    ENDS[name](sock)
    return []


def take(environ, start_response, name):
    TAKES[name](environ["gunicorn.socket"])
    return []


def hello(environ, start_response, _):
    start_response("200 OK", TEXT)
    return [b"Hello, world!"]


VIEWS = {each.__name__: each for each in (look, look_at_all, peek, take, take_and_fork)}


def application(environ, start_response):
    name, _, rest = environ["PATH_INFO"].lstrip("/").partition("/")
    return VIEWS.get(name, hello)(environ, start_response, rest)
