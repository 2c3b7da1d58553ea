"""The class of workers with several threads."""

from oxicorn.workers.base import Worker


class ThreadWorker(Worker):
    """A worker that calls the application on `threads` threads."""
