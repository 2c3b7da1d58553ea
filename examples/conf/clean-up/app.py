import os

SPOOL = os.environ["SHOP_SPOOL"]


def application(environ, start_response):
    with open(os.path.join(SPOOL, str(os.getpid())), "a") as file:
        file.write("a request\n")
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(len(os.listdir(SPOOL))).encode()]
