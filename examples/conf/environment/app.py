import os

SECRET = os.environ["SHOP_SECRET"]


def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{len(SECRET)} {environ['wsgi.multithread']}".encode()]
