"""Names of `gunicorn.http.body`, for type hints and `isinstance`."""

from oxicorn._oxicorn import Input as Body

__all__ = ["Body", "ChunkedReader", "EOFReader", "LengthReader"]


class ChunkedReader:
    """Stands for Gunicorn's reader of a chunked body. Oxicorn's bodies are decoded before the application sees them."""


class LengthReader:
    """Stands for Gunicorn's reader of a body with a Content-Length."""


class EOFReader:
    """Stands for Gunicorn's reader of a body that ends with the connection."""
