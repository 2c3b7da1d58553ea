"""What Bottle applications do: routes, forms, cookies, static files, generators, aborts."""

from __future__ import annotations

from pathlib import Path

import bottle

app = bottle.Bottle()


@app.get("/hello/<name>")
def hello(name):
    return bottle.template("Hello, {{name}}!", name=name)


@app.post("/form")
def form():
    return {"title": bottle.request.forms.getunicode("title")}


@app.post("/upload")
def upload():
    part = bottle.request.files.get("file")
    content = part.file.read()
    return {"name": part.raw_filename, "size": len(content)}


@app.route("/raw", method="POST")
def raw():
    bottle.response.content_type = "application/octet-stream"
    return bottle.request.body.read()


@app.get("/cookie")
def cookie():
    count = int(bottle.request.get_cookie("count", default="0", secret="only for tests")) + 1
    bottle.response.set_cookie("count", str(count), secret="only for tests")
    return {"count": count}


@app.get("/static/<name>")
def static(name):
    return bottle.static_file(name, root=Path(__file__).parent)


@app.get("/generate")
def generate():
    for number in range(100):
        yield f"{number}\n"


@app.get("/abort")
def refuse():
    bottle.abort(403, "not for you")


@app.get("/fails")
def fails():
    raise RuntimeError("a view that fails")
