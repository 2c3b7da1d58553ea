"""The class of workers with greenlets."""

from oxicorn.workers import greenlets
from oxicorn.workers.base import Worker


class GeventWorker(Worker):
    """A worker that calls the application in a greenlet for each request."""

    def patch(self) -> None:
        """Have gevent's functions stand in the place of those that block."""
        greenlets.patch()


class GeventPyWSGIWorker(GeventWorker):
    """The same, by the name of gevent's own server, which Oxicorn has no use for."""
