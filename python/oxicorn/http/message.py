"""The class of the `req` that hooks get."""

from oxicorn._oxicorn import Request

__all__ = ["Request"]
