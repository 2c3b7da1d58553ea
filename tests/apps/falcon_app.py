"""What Falcon applications do: resources, media, streams, middleware, error serialisation."""

from __future__ import annotations

import io

import falcon


class Item:
    def on_get(self, request, response, number):
        response.media = {"number": number, "q": request.get_param_as_list("q"), "uri": request.uri}

    def on_put(self, request, response, number):
        response.media = {"number": number, "got": request.get_media()}
        response.status = falcon.HTTP_201

    def on_delete(self, request, response, number):
        response.status = falcon.HTTP_204


class Raw:
    def on_post(self, request, response):
        response.data = request.bounded_stream.read()
        response.content_type = falcon.MEDIA_TEXT


class Unbounded:
    def on_post(self, request, response):
        """The server's own stream, to its end: right where `wsgi.input_terminated` holds."""
        total = 0
        while block := request.stream.read(1000):
            total += len(block)
        response.media = {"total": total}


class Upload:
    def on_post(self, request, response):
        response.media = {part.name: [part.filename, len(part.stream.read())] for part in request.get_media()}


class Stream:
    def on_get(self, request, response):
        response.stream = io.BytesIO(b"s" * 300_000)
        response.content_type = falcon.MEDIA_TEXT

    def on_post(self, request, response):
        response.stream = (b"%d\n" % number for number in range(100))


class Fails:
    def on_get(self, request, response):
        raise RuntimeError("a responder that fails")


class Teapot:
    def on_get(self, request, response):
        raise falcon.HTTPError(falcon.HTTP_418, title="Short and stout")


class Stamp:
    def process_response(self, request, response, resource, succeeded):
        response.set_header("X-Succeeded", str(succeeded))


app = falcon.App(middleware=[Stamp()])
app.add_route("/item/{number:int}", Item())
app.add_route("/raw", Raw())
app.add_route("/unbounded", Unbounded())
app.add_route("/upload", Upload())
app.add_route("/stream", Stream())
app.add_route("/fails", Fails())
app.add_route("/teapot", Teapot())
app.add_sink(lambda request, response: setattr(response, "text", request.relative_uri), "/sink")
