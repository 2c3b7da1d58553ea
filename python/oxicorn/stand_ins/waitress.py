"""Waitress's names for programs: `serve` and `create_server`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from oxicorn import server as own

__version__ = "3.0.2"
"""Whose interface is meant."""

_SETTINGS = {
    "backlog": "backlog",
    "connection_limit": "worker_connections",
    "max_request_body_size": "limit_request_body",
    "threads": "threads",
    "channel_timeout": "keepalive",
}
"""What its options are here."""

_WITHOUT_EFFECT = {
    *("asyncore_loop_timeout", "asyncore_use_poll", "channel_request_lookahead", "cleanup_interval", "inbuf_overflow"),
    *("clear_untrusted_proxy_headers", "expose_tracebacks", "log_socket_errors", "log_untrusted_proxy_headers"),
    *("outbuf_high_watermark", "outbuf_overflow", "recv_bytes", "send_bytes", "max_request_header_size"),
    *("ident", "ipv4", "ipv6", "socket_options", "map", "_quiet", "_profile", "_start", "_sock", "_dispatcher"),
}
"""What is no concern of the program's: buffers, and the inside of the server."""


def _settings(keywords: dict[str, Any]) -> tuple[dict[str, Any], list[Any] | None]:
    """Return what Waitress's keywords are here, and the sockets that the program brings."""
    given = {"host": "0.0.0.0", "port": 8080, "threads": 4, **keywords}
    sockets = given.pop("sockets", None)
    host, port, listen = given.pop("host"), int(given.pop("port")), given.pop("listen", None)
    path, mode = given.pop("unix_socket", None), given.pop("unix_socket_perms", None)
    scheme, prefix = given.pop("url_scheme", "http"), given.pop("url_prefix", "")
    proxy, fields = given.pop("trusted_proxy", None), given.pop("trusted_proxy_headers", None)
    given.pop("trusted_proxy_count", None)
    unknown = sorted(given.keys() - _SETTINGS.keys() - _WITHOUT_EFFECT)
    if scheme not in ("http", "https"):
        unknown.append("url_scheme")
    if unknown:
        raise ValueError(f"{', '.join(unknown)}: options of Waitress that Oxicorn does not have")
    found = {_SETTINGS[name]: value for name, value in given.items() if name in _SETTINGS}
    found["worker_class"] = "gthread"
    if path is not None:
        found["bind"] = f"unix:{path}"
    elif listen is not None:
        found["bind"] = [_address(each) for each in str(listen).split()]
    elif sockets is None:
        found["bind"] = _address(f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
    if mode is not None:
        found["socket_mode"] = mode
    found["forwarded_allow_ips"] = proxy or ""
    found["proxy_headers"] = bool(proxy and fields and "x-forwarded-for" in fields)
    found["_scheme"], found["_prefix"] = scheme, prefix
    return found, sockets


def _address(text: str) -> str:
    host, _, port = text.rpartition(":")
    return text if host not in ("", "*") else f"0.0.0.0:{port}"


def _application(app: Callable[..., Any], scheme: str, prefix: str) -> Callable[..., Any]:
    """Return `app` where clients come by `scheme` and below `prefix`, as the program says."""
    if scheme == "http" and not prefix.strip("/"):
        return app
    mount = f"/{prefix.strip('/')}" if prefix.strip("/") else ""

    def mounted(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        environ["wsgi.url_scheme"] = scheme
        environ["SCRIPT_NAME"] = mount
        path = environ["PATH_INFO"]
        environ["PATH_INFO"] = path[len(mount) :] if path.startswith(f"{mount}/") or path == mount else path
        return app(environ, start_response)

    return mounted


class Server:
    """A server that `run` starts."""

    def __init__(self, app: Callable[..., Any], keywords: dict[str, Any]) -> None:
        """Prepare to serve."""
        settings, sockets = _settings(keywords)
        scheme, prefix = settings.pop("_scheme"), settings.pop("_prefix")
        self._served = own.Server(_application(app, scheme, prefix), sockets=sockets, **settings)
        self._served.listen()
        address = self._served.address
        self.effective_host, self.effective_port = address if isinstance(address, tuple) else (address, 0)
        self.effective_listen = [(self.effective_host, self.effective_port)]

    def run(self) -> None:
        """Serve until `close`, Ctrl+C or TERM."""
        self._served.run()

    def close(self) -> None:
        """End."""
        self._served.stop()

    def print_listen(self, format_str: str) -> None:
        """Say where it listens."""
        print(format_str.format(self.effective_host, self.effective_port))  # noqa: T201


def create_server(application: Callable[..., Any], **keywords: Any) -> Server:
    """Return a server that listens."""
    return Server(application, keywords)


def serve(app: Callable[..., Any], **keywords: Any) -> None:
    """Serve until Ctrl+C or TERM."""
    create_server(app, **keywords).run()


def main(*_arguments: Any) -> None:
    """Run the command line."""
    raise SystemExit("waitress-serve: its command line is not Oxicorn's; run oxicorn MODULE:APP --bind HOST:PORT")


run = main

__all__ = ["Server", "create_server", "main", "run", "serve"]
