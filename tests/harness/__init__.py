"""What every test needs: a server as a subprocess, a raw connection, and a way to wait.

Nothing here knows how Oxicorn works inside. A server is a process with a command line, a log, an
address and children; all that a test learns it learns from those.
"""

from . import processes
from .certificates import Authority, Pair, needs_openssl
from .crowd import Crowd
from .gates import Gates
from .load import Load
from .parity import better, parity
from .poll import eventually, still
from .serve import APPS, KINDS, Serve
from .server import NAME, Refusal, Server, free_port, run
from .wire import Reply, Wire

__all__ = [
    "APPS",
    "KINDS",
    "NAME",
    "Authority",
    "Crowd",
    "Gates",
    "Load",
    "Pair",
    "Refusal",
    "Reply",
    "Serve",
    "Server",
    "Wire",
    "better",
    "eventually",
    "free_port",
    "needs_openssl",
    "parity",
    "processes",
    "run",
    "still",
]
