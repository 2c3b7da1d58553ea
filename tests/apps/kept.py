"""Keeps what belongs to a request, in the way that the path names, and uses it in a later request."""

from __future__ import annotations

import gc
import io
import json
import sys
import threading
import weakref

from lab import mark, wait_at

KEPT = {}
TEXT = [("Content-Type", "text/plain")]


def objects(environ, start_response, write):
    """What a request hands out."""
    return {
        "start_response": start_response,
        "write": write,
        "early_hints": environ["wsgi.early_hints"],
        "socket": environ["gunicorn.socket"],
        "input": environ["wsgi.input"],
    }


WAYS = {
    "itself": lambda thing: lambda: thing,
    "cell": lambda thing: (lambda cell: lambda: cell.cell_contents)((lambda: thing).__closure__[0]),
    "owner": lambda thing: (lambda owner, name: lambda: getattr(owner, name))(thing.__self__, thing.__name__),
    "weak": lambda thing: weakref.ref(thing),
    "wrapper": lambda thing: (lambda wrapper: lambda: wrapper)(thing.__call__),
}


def keep(environ, start_response, name):
    """`keep/NAME/WAY`"""
    name, _, way = name.partition("/")
    write = start_response("200 OK", TEXT)
    thing = objects(environ, start_response, write)[name]
    KEPT[name] = WAYS[way](thing)
    return [b"kept"]


def keep_all(environ, start_response, _):
    """Keeps the dictionaries that lead to the objects of this request."""
    write = start_response("200 OK", TEXT)
    things = objects(environ, start_response, write)
    found = [each for thing in things.values() for each in gc.get_referrers(thing) if isinstance(each, dict)]
    KEPT["referrers"] = [each for each in found if each is not environ and each is not things]
    return [b"kept"]


def collect(environ, start_response, _):
    """Looks for such objects while no request is served."""

    def run():
        wait_at("collect")
        everything = gc.get_objects()
        methods = [each for each in everything if type(each) is type(print)]
        ours = [each for each in methods if type(each.__self__).__module__ == "oxicorn._oxicorn"]
        KEPT["found"] = [each for each in ours if each.__name__ in ("start_response", "write", "early_hints")]
        KEPT["found"] += [each for each in everything if type(each) is dict and "wsgi.early_hints" in each]
        mark("collected")

    threading.Thread(target=run).start()
    start_response("200 OK", TEXT)
    return [b"collecting"]


STOLEN = ("299 Stolen", [("X-Stolen", "yes")])
USES = {
    "start_response": lambda thing: thing(*STOLEN),
    "write": lambda thing: thing(b"stolen"),
    "early_hints": lambda thing: thing([("X-Stolen", "yes")]),
    "socket": lambda thing: thing.sendall(b"HTTP/1.1 299 Stolen\r\nContent-Length: 0\r\n\r\n"),
    "input": lambda thing: thing.read(),
}


def attempt(name, thing):
    try:
        USES[name](thing)
    except Exception as error:
        return type(error).__name__
    return "done"


def steal(environ, start_response, name):
    """Uses what another request left, then answers for itself."""
    thing = KEPT.pop(name)()
    outcome = "dead" if thing is None else attempt(name, thing)
    start_response("200 OK", TEXT)
    return [outcome.encode()]


def steal_late(environ, start_response, name):
    """As `steal`, when its own response has begun."""
    write = start_response("200 OK", TEXT)
    write(b"mine ")
    thing = KEPT.pop(name)()
    return [("dead" if thing is None else attempt(name, thing)).encode()]


def steal_found(environ, start_response, _):
    outcomes = set()
    for thing in KEPT.pop("found"):
        if isinstance(thing, dict):
            thing["REMOTE_USER"] = "admin"
        else:
            outcomes.add(attempt(thing.__name__, thing))
    start_response("200 OK", TEXT)
    return [json.dumps(sorted(outcomes)).encode()]


def spoil(environ, start_response, _):
    """Writes into what led to an earlier request's objects."""
    for each in KEPT["referrers"]:
        each["REMOTE_USER"] = "admin"
    start_response("200 OK", TEXT)
    return [b"%d" % len(KEPT["referrers"])]


def seen(environ, start_response, _):
    """Whether an earlier request's objects show this one, or this one shows them."""
    shown = json.dumps([repr(each) for each in KEPT.get("referrers", [])])
    start_response("200 OK", TEXT)
    return [json.dumps(["secret" in shown, environ.get("REMOTE_USER")]).encode()]


def background(environ, start_response, name):
    """Keeps something, and uses it from a thread while another client is served."""
    write = start_response("200 OK", TEXT)
    thing = objects(environ, start_response, write)[name]

    def run():
        wait_at("background")
        mark(f"outcome-{attempt(name, thing)}")

    threading.Thread(target=run).start()
    return [b"kept"]


def gate(environ, start_response, name):
    wait_at(name)
    start_response("200 OK", TEXT)
    return [environ["wsgi.input"].read() or b"mine"]


def laid_over(environ, start_response, _):
    """Leaves a stream over its input to the time when the request is over."""
    KEPT["text"] = io.TextIOWrapper(environ["wsgi.input"])
    start_response("200 OK", TEXT)
    return [b"kept"]


def let_go(environ, start_response, _):
    complaints = []
    sys.unraisablehook = lambda unraisable: complaints.append(str(unraisable.exc_value))
    outcome = "read"
    try:
        KEPT["text"].read()
    except ValueError:
        outcome = "closed"
    del KEPT["text"]
    gc.collect()
    sys.unraisablehook = sys.__unraisablehook__
    start_response("200 OK", TEXT)
    return [json.dumps([outcome, *complaints]).encode()]


def hello(environ, start_response, _):
    start_response("200 OK", TEXT)
    return [b"Hello, world!"]


VIEWS = {
    each.__name__: each
    for each in (
        keep,
        keep_all,
        collect,
        steal,
        steal_late,
        steal_found,
        spoil,
        seen,
        background,
        gate,
        laid_over,
        let_go,
    )
}


def application(environ, start_response):
    name, _, rest = environ["PATH_INFO"].lstrip("/").partition("/")
    return VIEWS.get(name, hello)(environ, start_response, rest)
