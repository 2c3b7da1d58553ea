"""The class of workers with one thread."""

from oxicorn.workers.base import Worker


class SyncWorker(Worker):
    """A worker that calls the application on its main thread."""
