"""Names of `gunicorn.http`, for type hints and `except` clauses."""

from oxicorn._oxicorn import Request

__all__ = ["Request"]
