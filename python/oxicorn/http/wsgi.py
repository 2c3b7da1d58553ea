"""The class of the `resp` that hooks get."""

from oxicorn import SERVER, SERVER_SOFTWARE
from oxicorn._oxicorn import Response

__all__ = ["SERVER", "SERVER_SOFTWARE", "Response"]
