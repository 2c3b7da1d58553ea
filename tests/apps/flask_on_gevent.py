"""A Flask application whose views wait for each other."""

from __future__ import annotations

import time

from flask import Flask, request

app = Flask(__name__)
present: set[int] = set()


@app.get("/")
def root() -> str:
    return "up"


@app.get("/crowd/<int:count>")
def crowd(count: int) -> str:
    assert request.view_args == {"count": count}
    present.add(id(request._get_current_object()))  # type: ignore[attr-defined]
    while len(present) < count:
        time.sleep(0.01)
    return "together"
