import logging

log = logging.getLogger("shop")


def application(environ, start_response):
    log.info("somebody came")
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"Hello"]
