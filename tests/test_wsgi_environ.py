"""The environ is the one of PEP 3333 with every key that Gunicorn sets.

What a client may not put into it, it cannot put into it.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from harness import APPS, NAME, Serve, Server, Wire, better, parity
from harness.wire import head


@pytest.fixture(scope="module")
def server(serve_module: Serve, kind: str) -> Server:
    # The tests' own address is trusted by default; here it is not.
    return serve_module("lab", "--forwarded-allow-ips", "192.0.2.1", kind=kind)


@pytest.fixture(scope="module")
def trusting(serve_module: Serve) -> Server:
    return serve_module("lab")


def ask(server: Server, raw: bytes) -> dict:
    with server.connect() as wire:
        reply = wire.send(raw).reply()
        assert reply.status == 200, reply
        return reply.json()


def get(server: Server, target: str = "/environ", *fields: tuple[str, str]) -> dict:
    return ask(server, head(target, fields=fields))


@parity
def test_every_key_of_gunicorn_is_there(server: Server, kind: str) -> None:
    with server.connect() as wire:
        port = wire.socket.getsockname()[1]
        environ = wire.get("/environ?a=1&b=%20").json()
    expected = {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/environ",
        "QUERY_STRING": "a=1&b=%20",
        "RAW_URI": "/environ?a=1&b=%20",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "REMOTE_PORT": str(port),
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": str(server.address[1]),
        "HTTP_HOST": "test.example",
        "wsgi.version": [1, 0],
        "wsgi.url_scheme": "http",
        "wsgi.multithread": kind == "gthread",
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "wsgi.input_terminated": True,
    }
    assert {key: environ.get(key) for key in expected} == expected
    assert environ["SERVER_SOFTWARE"].startswith(f"{NAME}/")
    for key in ("wsgi.input", "wsgi.errors", "wsgi.file_wrapper", "gunicorn.socket"):
        assert key in environ
    assert all(isinstance(key, str) for key in environ)


@parity
def test_what_gunicorn_leaves_out_is_left_out(server: Server) -> None:
    environ = get(server)
    for key in ("CONTENT_LENGTH", "CONTENT_TYPE", "HTTPS", "GATEWAY_INTERFACE", "REQUEST_URI"):
        assert key not in environ


@parity
def test_several_workers_are_multiprocess(serve: Serve) -> None:
    assert get(serve("lab", "-w", "2"))["wsgi.multiprocess"] is True


@parity
def test_content_type_and_length_have_no_prefix(server: Server) -> None:
    fields = [("Content-Type", "text/x-lab; a=b")]
    environ = ask(server, head("/environ", method="POST", fields=fields, body=b"abc") + b"abc")
    assert (environ["CONTENT_TYPE"], environ["CONTENT_LENGTH"]) == ("text/x-lab; a=b", "3")
    assert "HTTP_CONTENT_TYPE" not in environ and "HTTP_CONTENT_LENGTH" not in environ


@parity
@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("/environ/a%20b", "/environ/a b"),
        ("/environ/%2F%2f", "/environ///"),
        ("/environ/%C3%BC", "/environ/\u00c3\u00bc"),
        ("/environ/%zz%", "/environ/%zz%"),
        ("/environ;p=1/x", "/environ;p=1/x"),
        ("/environ/a+b", "/environ/a+b"),
        ("/environ/%3Fq", "/environ/?q"),
    ],
)
def test_the_path_is_percent_decoded_as_latin_1(server: Server, target: str, path: str) -> None:
    if ";" in target:
        # Parameters are a part of the path, so this one is no view of the laboratory.
        with server.connect() as wire:
            assert wire.get(target).status == 404
        return
    environ = get(server, target)
    assert environ["PATH_INFO"] == path
    assert environ["RAW_URI"] == target


@parity
def test_a_double_slash_stays(server: Server) -> None:
    with server.connect() as wire:
        assert wire.get("//environ").json()["PATH_INFO"] == "//environ"


@parity
def test_an_empty_query_is_an_empty_string(server: Server) -> None:
    assert get(server, "/environ?")["QUERY_STRING"] == ""
    assert get(server, "/environ")["QUERY_STRING"] == ""


@better
def test_the_authority_of_an_absolute_target_is_the_host(server: Server) -> None:
    # RFC 9112, section 3.2.2: the Host field of such a request is ignored.
    environ = ask(server, head("http://other.example:81/environ?q=1", host="test.example"))
    assert environ["PATH_INFO"] == "/environ"
    assert environ["QUERY_STRING"] == "q=1"
    assert environ["RAW_URI"] == "http://other.example:81/environ?q=1"
    assert environ["HTTP_HOST"] == "other.example:81"


@parity
def test_the_asterisk_of_options_is_the_path(serve: Serve, write) -> None:
    write(
        "star.py",
        """
        def application(environ, start_response):
            start_response("200 OK", [("Content-Type", "text/plain")])
            return [environ["PATH_INFO"].encode()]
        """,
    )
    server = serve("star", cwd=serve.folder)
    with server.connect() as wire:
        reply = wire.request("*", method="OPTIONS").reply()
    assert (reply.status, reply.text) == (200, "*")


@better
def test_connect_has_no_path(serve: Serve, write) -> None:
    write(
        "tunnel.py",
        """
        def application(environ, start_response):
            body = f"{environ['PATH_INFO']!r} {environ['RAW_URI']}".encode()
            start_response("403 Forbidden", [("Content-Length", str(len(body)))])
            return [body]
        """,
    )
    server = serve("tunnel", cwd=serve.folder)
    with server.connect() as wire:
        reply = wire.request("far.example:443", method="CONNECT", fields=[]).reply()
    assert reply.text == "'' far.example:443"


@parity
def test_repeated_fields_are_joined_with_commas(server: Server) -> None:
    environ = get(server, "/environ", ("X-Many", "a"), ("X-Many", "b"), ("x-many", "c"))
    assert environ["HTTP_X_MANY"] == "a,b,c"


@parity
def test_values_are_latin_1_strings(server: Server) -> None:
    assert get(server, "/environ", ("X-Umlaut", "\u00fc"))["HTTP_X_UMLAUT"] == "\u00fc"


@parity
def test_field_names_with_underscores_are_dropped(server: Server) -> None:
    environ = get(server, "/environ", ("X_Forged", "yes"), ("X-Forged", "no"))
    assert environ["HTTP_X_FORGED"] == "no"


@parity
def test_header_map_refuse_answers_400(serve: Serve) -> None:
    server = serve("lab", "--header-map", "refuse", "--forwarded-allow-ips", "192.0.2.1")
    assert server.get("/environ", fields=[("X_Forged", "yes")]).status == 400


@parity
def test_header_map_dangerous_lets_them_through(serve: Serve) -> None:
    server = serve("lab", "--header-map", "dangerous")
    assert get(server, "/environ", ("X_Odd", "yes"))["HTTP_X_ODD"] == "yes"


@better
def test_a_proxy_field_does_not_become_http_proxy(server: Server, trusting: Server) -> None:
    # CVE-2016-5385, "httpoxy": libraries read HTTP_PROXY as their own setting.
    for each in (server, trusting):
        assert "HTTP_PROXY" not in get(each, "/environ", ("Proxy", "http://evil.example"))


@parity
@pytest.mark.parametrize(
    "field",
    [("X-Forwarded-Proto", "https"), ("X-Forwarded-Protocol", "ssl"), ("X-Forwarded-Ssl", "on")],
)
def test_only_allowed_peers_set_the_scheme(server: Server, trusting: Server, field: tuple[str, str]) -> None:
    assert get(trusting, "/environ", field)["wsgi.url_scheme"] == "https"
    assert get(server, "/environ", field)["wsgi.url_scheme"] == "http"


@better
@pytest.mark.parametrize(("said", "scheme"), [("wss", "https")])
def test_the_secure_scheme_of_a_websocket_is_secure(trusting: Server, said: str, scheme: str) -> None:
    assert get(trusting, "/environ", ("X-Forwarded-Proto", said))["wsgi.url_scheme"] == scheme


@parity
def test_forwarded_schemes_that_disagree_are_refused(trusting: Server) -> None:
    fields = [("X-Forwarded-Proto", "https"), ("X-Forwarded-Ssl", "off")]
    assert trusting.get("/environ", fields=fields).status == 400


@parity
def test_the_peer_is_never_rewritten(trusting: Server) -> None:
    environ = get(trusting, "/environ", ("X-Forwarded-For", "203.0.113.9"))
    assert environ["REMOTE_ADDR"] == "127.0.0.1"
    assert environ["HTTP_X_FORWARDED_FOR"] == "203.0.113.9"


@parity
def test_secure_scheme_headers_are_configurable(serve: Serve, write) -> None:
    write("gunicorn.conf.py", "secure_scheme_headers = {'X-TLS': 'yes'}\n")
    server = serve("lab", "--pythonpath", str(APPS), cwd=serve.folder)
    assert get(server, "/environ", ("X-TLS", "yes"))["wsgi.url_scheme"] == "https"
    assert get(server, "/environ", ("X-Forwarded-Proto", "https"))["wsgi.url_scheme"] == "http"


@parity
def test_an_allowed_peer_sets_script_name(trusting: Server, server: Server) -> None:
    environ = get(trusting, "/mount/environ", ("SCRIPT_NAME", "/mount"))
    assert (environ["SCRIPT_NAME"], environ["PATH_INFO"]) == ("/mount", "/environ")
    environ = get(server, "/environ", ("SCRIPT_NAME", "/environ"))
    assert (environ["SCRIPT_NAME"], environ["PATH_INFO"]) == ("", "/environ")


@parity
def test_script_name_of_the_process_is_taken_off_the_path(serve: Serve) -> None:
    server = serve("lab", "-e", "SCRIPT_NAME=/app", probe="/app/")
    environ = get(server, "/app/environ")
    assert (environ["SCRIPT_NAME"], environ["PATH_INFO"]) == ("/app", "/environ")


@parity
def test_a_unix_peer_has_no_address_and_is_trusted(serve: Serve, tmp_path: Path) -> None:
    server = serve("lab", bind=f"unix:{tmp_path}/s")
    environ = get(server, "/environ", ("X-Forwarded-Proto", "https"))
    assert environ["REMOTE_ADDR"] == "" and "REMOTE_PORT" not in environ
    assert environ["wsgi.url_scheme"] == "https"
    assert environ["SERVER_NAME"] == "test.example"
    assert environ["SERVER_PORT"] == "443"


@parity("gthread")
def test_each_request_has_an_environ_of_its_own(serve: Serve, write, kind: str) -> None:
    write(
        "scribble.py",
        """
        def application(environ, start_response):
            body = repr(sorted(key for key in environ if key.startswith("scribble"))).encode()
            environ["scribble"] = environ["PATH_INFO"] = "x"
            del environ["wsgi.input"]
            start_response("200 OK", [("Content-Length", str(len(body)))])
            return [body]
        """,
    )
    server = serve("scribble", kind=kind, cwd=serve.folder)
    with server.connect() as wire:
        assert [wire.get().text for _ in range(3)] == ["[]"] * 3


@parity
def test_the_socket_in_environ_is_the_connection(serve: Serve, write, kind: str) -> None:
    write(
        "sock.py",
        """
        def application(environ, start_response):
            peer = environ["gunicorn.socket"].getpeername()
            body = b"%d" % peer[1]
            start_response("200 OK", [("Content-Length", str(len(body)))])
            return [body]
        """,
    )
    server = serve("sock", kind=kind, cwd=serve.folder)
    with server.connect() as wire:
        assert wire.get().text == str(wire.socket.getsockname()[1])


@parity
def test_wsgi_errors_goes_to_the_error_log(serve: Serve, write, kind: str) -> None:
    write(
        "complain.py",
        """
        def application(environ, start_response):
            errors = environ["wsgi.errors"]
            errors.write("first ")
            errors.writelines(["second ", "third\\n"])
            errors.flush()
            print("fourth", file=errors)
            start_response("200 OK", [("Content-Length", "0")])
            return []
        """,
    )
    server = serve("complain", kind=kind, cwd=serve.folder)
    server.wait_log("first second third\n(.*\n)*fourth\n")


@parity
def test_environ_is_a_plain_dict(serve: Serve, write) -> None:
    # PEP 3333: "a builtin Python dictionary (not a subclass)".
    write(
        "kinds.py",
        """
        def application(environ, start_response):
            body = f"{type(environ) is dict} {type(environ['wsgi.version'])}".encode()
            start_response("200 OK", [("Content-Length", str(len(body)))])
            return [body]
        """,
    )
    server = serve("kinds", cwd=serve.folder)
    assert server.get().text == "True <class 'tuple'>"


@parity
def test_wires_to_two_listeners_see_their_own_port(serve: Serve) -> None:
    first = serve("lab", "--bind", "127.0.0.1:0")
    ports = [int(match[1]) for match in first.wait_log(r"127\.0\.0\.1:(\d+)", times=2)]
    for port in set(ports):
        with Wire(("127.0.0.1", port)) as wire:
            assert wire.get("/environ").json()["SERVER_PORT"] == str(port)


def test_the_interpreter_is_the_one_that_was_started(serve: Serve, write) -> None:
    write(
        "which.py",
        """
        import sys

        def application(environ, start_response):
            body = sys.executable.encode()
            start_response("200 OK", [("Content-Length", str(len(body)))])
            return [body]
        """,
    )
    if "OXICORN_TEST_SERVER" in os.environ:
        pytest.skip("another server's interpreter")
    assert serve("which", cwd=serve.folder).get().text == sys.executable
