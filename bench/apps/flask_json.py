"""Answer with JSON that Flask makes: what most small WSGI applications are like."""

from flask import Flask, Response, json

ITEM = {"id": 7, "name": "oxicorn", "tags": ["fast", "plain"], "price": 12.5}
app = Flask(__name__)


@app.get("/")
def item() -> Response:
    return Response(json.dumps(ITEM, separators=(",", ":"), sort_keys=False), mimetype="application/json")
