"""The class of the `resp` that hooks get, and what people patch to hide the server's name."""

from oxicorn import SERVER, SERVER_SOFTWARE, _oxicorn
from oxicorn.util import http_date

__all__ = ["SERVER", "SERVER_SOFTWARE", "Response"]


class Response(_oxicorn.Response):
    """What became of a request; the objects that hooks get are of the class above it."""

    version = SERVER

    def default_headers(self) -> list[str]:
        """Return lines as Gunicorn has them. A function in its place decides on the Server field, and on no other."""
        return [f"Server: {self.version}\r\n", f"Date: {http_date()}\r\n", "Connection: keep-alive\r\n"]
