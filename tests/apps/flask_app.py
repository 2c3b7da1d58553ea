"""What Flask applications do: templates, sessions, uploads, streams, files, error pages."""

from __future__ import annotations

import io

from flask import (
    Flask,
    Response,
    abort,
    flash,
    get_flashed_messages,
    jsonify,
    redirect,
    render_template_string,
    request,
    send_file,
    session,
    stream_with_context,
    url_for,
)

app = Flask(__name__)
app.secret_key = "only for tests"
app.config["MAX_CONTENT_LENGTH"] = 2_000_000


@app.get("/")
def index():
    return render_template_string("<h1>Hello, {{ name }}!</h1>", name=request.args.get("name", "world"))


@app.get("/count")
def count():
    session["count"] = session.get("count", 0) + 1
    return jsonify(count=session["count"])


@app.post("/form")
def form():
    flash(f"{request.form['title']} by {request.form['author']}")
    return redirect(url_for("shown"))


@app.get("/shown")
def shown():
    return jsonify(get_flashed_messages())


@app.post("/upload")
def upload():
    file = request.files["file"]
    content = file.read()
    return jsonify(name=file.filename, size=len(content), head=content[:10].decode("latin-1"))


@app.post("/json")
def json():
    return jsonify(got=request.get_json())


@app.post("/raw")
def raw():
    return Response(request.get_data(), mimetype="application/octet-stream")


@app.post("/stream-in")
def stream_in():
    """Reads the body as a stream, to its end."""
    total = 0
    while block := request.stream.read(1000):
        total += len(block)
    return jsonify(total=total)


@app.get("/stream")
def stream():
    @stream_with_context
    def produce():
        for number in range(100):
            yield f"{request.path} {number}\n"

    return Response(produce(), mimetype="text/plain")


@app.get("/file")
def file():
    return send_file(__file__, mimetype="text/x-python", conditional=True)


@app.get("/memory")
def memory():
    return send_file(io.BytesIO(b"m" * 100_000), download_name="m.bin", as_attachment=True)


@app.get("/url")
def url():
    return jsonify(url=request.url, root=request.root_url, remote=request.remote_addr, scheme=request.scheme)


@app.get("/path/<path:rest>")
def path(rest):
    return jsonify(rest=rest)


@app.get("/teapot")
def teapot():
    abort(418)


@app.get("/fails")
def fails():
    raise RuntimeError("a view that fails")


@app.errorhandler(404)
def not_found(error):
    return jsonify(error="not here"), 404
