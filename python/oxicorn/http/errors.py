"""What Gunicorn raises while it reads a request. Oxicorn raises none of them: they are names for `except` clauses."""


class ParseException(Exception):
    """A request that cannot be understood."""


class NoMoreData(OSError):
    """The client has gone before its request was complete."""


def _violations(*names: str) -> None:
    for name in names:
        globals()[name] = type(name, (ParseException,), {"__module__": __name__})


_violations(
    "ChunkMissingTerminator",
    "ConfigurationProblem",
    "ExpectationFailed",
    "ForbiddenProxyRequest",
    "InvalidChunkExtension",
    "InvalidChunkSize",
    "InvalidHTTPVersion",
    "InvalidHeader",
    "InvalidHeaderName",
    "InvalidProxyHeader",
    "InvalidProxyLine",
    "InvalidRequestLine",
    "InvalidRequestMethod",
    "InvalidSchemeHeaders",
    "LimitRequestHeaders",
    "LimitRequestLine",
    "ObsoleteFolding",
    "UnsupportedTransferCoding",
)
