"""Answers with the status, length and body that the path names: `/STATUS/LENGTH/BODY`.

A length of `-` gives no Content-Length.
"""

from __future__ import annotations


def application(environ, start_response):
    status, length, body = environ["PATH_INFO"].strip("/").split("/", 2)
    fields = [] if length == "-" else [("Content-Length", length)]
    start_response(f"{status} Some Reason", fields)
    if environ["QUERY_STRING"] == "pieces":
        return (body[at : at + 1].encode() for at in range(len(body)))
    return [body.encode()] if body != "none" else []
