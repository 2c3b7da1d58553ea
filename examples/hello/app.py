"""The smallest Flask application worth serving: a page, and what the server told the application."""

from flask import Flask, request

app = Flask(__name__)


@app.get("/")
def hello() -> str:
    """Greet."""
    return "Hello from Oxicorn!\n"


@app.get("/environ")
def environ() -> dict[str, str]:
    """Show the WSGI environment of this request, the values as text."""
    return {name: str(value) for name, value in sorted(request.environ.items())}
