"""WebSockets over WSGI: Flask-Sock takes `gunicorn.socket`, waits on it with a selector and reads it in a thread."""

from __future__ import annotations

from flask import Flask
from flask_sock import Sock

app = Flask(__name__)
app.config["SOCK_SERVER_OPTIONS"] = {"ping_interval": 5}
sock = Sock(app)


@sock.route("/echo")
def echo(connection):
    while (message := connection.receive()) != "bye":
        connection.send(message)
    connection.close(1000, "bye")


@app.get("/")
def hello():
    return "Hello, world!"
