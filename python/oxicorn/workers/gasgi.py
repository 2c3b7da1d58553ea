"""The class of workers with an event loop."""

from oxicorn.workers.base import Worker


class ASGIWorker(Worker):
    """A worker that calls an ASGI application on an event loop."""
