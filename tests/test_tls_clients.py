"""TLS: certificates of clients, which ciphers there are, and what the application learns of the connection."""

from __future__ import annotations

import json
import shutil
import socket
import ssl
from pathlib import Path
from typing import Any

import pytest
from harness import KINDS, Authority, Pair, Serve, Server, needs_openssl
from harness.certificates import openssl

pytestmark = needs_openssl

CLASSES = {
    "sync": ("lab", *KINDS["sync"]),
    "gthread": ("lab", *KINDS["gthread"]),
    "asgi": ("asgi_lab", "-k", "asgi"),
}
OPTIONAL, REQUIRED = "1", "2"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def pair(authority: Authority) -> Pair:
    return authority.issue("server")


@pytest.fixture(scope="module")
def ann(authority: Authority) -> Pair:
    return authority.issue("ann", "email:ann@example.com", common_name="Ann Müller")


@pytest.fixture(params=CLASSES, scope="module")
def of_class(request: pytest.FixtureRequest) -> str:
    return request.param


def asking(authority: Authority, pair: Pair, cert_reqs: str) -> list[str]:
    """The options of a server that asks its clients."""
    return [*pair.options, "--ca-certs", str(authority.certfile), "--cert-reqs", cert_reqs]


def told(server: Server, context: ssl.SSLContext, of_class: str) -> dict[str, Any]:
    """What the application sees of the connection of such a client."""
    with server.connect_plain() as wire:
        reply = wire.secure(context).get("/dump" if of_class == "asgi" else "/environ")
    seen = json.loads(reply.text)
    return seen["extensions"]["tls"] if of_class == "asgi" else seen


def is_refused(server: Server, context: ssl.SSLContext) -> bool:
    """Whether such a client is not let in. With TLS 1.3 it learns that after its side of the handshake."""
    try:
        with server.connect_plain() as wire:
            return wire.secure(context).get("/").status != 200
    except (ssl.SSLError, ConnectionResetError):
        return True


def test_the_application_learns_who_the_client_is(
    serve: Serve, authority: Authority, pair: Pair, ann: Pair, of_class: str
) -> None:
    server = serve(*CLASSES[of_class], *asking(authority, pair, OPTIONAL), trust=authority.context())
    known, unknown = told(server, authority.context(ann), of_class), told(server, authority.context(), of_class)
    certificate = ann.certfile.read_text()
    if of_class == "asgi":
        assert known["client_cert_name"] == "CN=Ann Müller"
        # Python's client sends its authority's along.
        assert known["client_cert_chain"][:2] == ["list", certificate]
        assert (known["tls_version"], known["client_cert_error"]) == (0x0304, None)
        assert known["cipher_suite"] in (0x1301, 0x1302, 0x1303)
        assert (unknown["client_cert_name"], unknown["client_cert_chain"]) == (None, ["list"])
        return
    assert known["SSL_CLIENT_VERIFY"] == "SUCCESS"
    # PEP 3333: the bytes of UTF-8 as characters of Latin-1.
    name = "Ann Müller".encode().decode("latin-1")
    assert (known["SSL_CLIENT_S_DN"], known["SSL_CLIENT_S_DN_CN"]) == (f"CN={name}", name)
    assert known["SSL_CLIENT_I_DN"] == "CN=Test Authority"
    assert known["SSL_CLIENT_CERT"] == certificate
    shown = openssl("x509", "-in", ann.certfile, "-noout", "-serial")
    assert known["SSL_CLIENT_M_SERIAL"] == shown.strip().removeprefix("serial=")
    assert (known["SSL_PROTOCOL"], str(known["SSL_CIPHER"])[:4]) == ("TLSv1.3", "TLS_")
    assert unknown["SSL_CLIENT_VERIFY"] == "NONE" and "SSL_CLIENT_S_DN" not in unknown


def test_where_no_certificate_is_asked_for_nothing_is_said_of_it(
    serve: Serve, authority: Authority, pair: Pair, of_class: str
) -> None:
    server = serve(*CLASSES[of_class], *pair.options, trust=authority.context())
    seen = told(server, authority.context(), of_class)
    if of_class == "asgi":
        assert (seen["tls_version"], seen["client_cert_chain"]) == (0x0304, ["list"])
    else:
        assert not [key for key in seen if key.startswith("SSL_")]


def test_a_field_of_the_client_is_no_verified_identity(serve: Serve, authority: Authority, pair: Pair) -> None:
    server = serve("lab", *asking(authority, pair, OPTIONAL), trust=authority.context())
    forged = [("SSL_CLIENT_VERIFY", "SUCCESS"), ("SSL-Client-Verify", "SUCCESS"), ("SSL_CLIENT_S_DN", "CN=Ann")]
    with server.connect() as wire:
        seen = json.loads(wire.get("/environ", fields=forged).text)
    assert seen["SSL_CLIENT_VERIFY"] == "NONE" and "SSL_CLIENT_S_DN" not in seen


def test_a_client_without_a_certificate_is_not_let_in_where_one_is_required(
    serve: Serve, authority: Authority, pair: Pair, ann: Pair, tmp_path: Path
) -> None:
    server = serve("lab", *asking(authority, pair, REQUIRED), trust=authority.context(ann))
    assert server.get("/").status == 200
    stranger = Authority(tmp_path / "strangers", "Test Authority").issue("ann")
    assert is_refused(server, authority.context()) and is_refused(server, authority.context(stranger))
    assert server.get("/").status == 200


def test_a_bad_certificate_is_not_let_in_where_none_is_required(
    serve: Serve, authority: Authority, pair: Pair, tmp_path: Path
) -> None:
    server = serve("lab", *asking(authority, pair, OPTIONAL), trust=authority.context())
    stranger = Authority(tmp_path / "strangers", "Strangers").issue("ann")
    assert is_refused(server, authority.context(stranger))
    assert server.get("/").status == 200


def test_a_revoked_certificate_is_not_let_in(
    serve: Serve, authority: Authority, pair: Pair, ann: Pair, tmp_path: Path
) -> None:
    revoked, listed = authority.issue("revoked"), tmp_path / "revoked.crl"
    shutil.copy(authority.revoke(revoked), listed)
    options = (*asking(authority, pair, REQUIRED), "--tls-crl-file", str(listed))
    server = serve("lab", *options, trust=authority.context(ann))
    assert server.get("/").status == 200
    assert is_refused(server, authority.context(revoked))
    # The list is read again when it changes.
    later = authority.issue("later")
    assert not is_refused(server, authority.context(later))
    shutil.copy(authority.revoke(later), listed)
    server.wait_log("New TLS connections get the changed")
    assert is_refused(server, authority.context(later))
    assert server.get("/").status == 200


def test_sessions_are_not_resumed_where_clients_are_asked(
    serve: Serve, authority: Authority, pair: Pair, ann: Pair
) -> None:
    context = authority.context(ann)
    server = serve("lab", *asking(authority, pair, OPTIONAL), trust=context)
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context.minimum_version = context.maximum_version = version
        session = None
        for _ in range(2):
            with server.connect_plain() as wire:
                secured = context.wrap_socket(wire.socket, server_hostname="localhost", session=session)
                wire.socket = secured
                assert wire.get("/").status == 200
                assert not secured.session_reused
                session = secured.session if secured.session and secured.session.has_ticket else None


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--cert-reqs", "2"], ["--cert-reqs", "ca_certs, which is not set"]),
        (["--cert-reqs", "3", "--ca-certs", "CA"], ["--cert-reqs", "0 (none), 1 (optional) and 2 (required)"]),
        (["--cert-reqs", "1", "--ca-certs", "KEY"], ["--ca-certs", "no certificate in PEM"]),
        (["--cert-reqs", "1", "--ca-certs", "CA", "--tls-crl-file", "CA"], ["--tls-crl-file", "no list in PEM"]),
        (["--ciphers", "AES256-SHA:RC4"], ["--ciphers", "no cipher of TLS 1.2", "ECDHE-RSA-AES128-GCM-SHA256"]),
    ],
)
def test_what_cannot_be_is_refused(
    serve: Serve, authority: Authority, pair: Pair, options: list[str], said: list[str]
) -> None:
    files = {"CA": str(authority.certfile), "KEY": str(pair.keyfile)}
    refusal = serve.refused("lab", *pair.options, *(files.get(word, word) for word in options))
    assert refusal.code != 0
    assert all(part in refusal.text for part in said), refusal.text


def test_ciphers_are_chosen_by_openssls_notation(serve: Serve, authority: Authority, pair: Pair) -> None:
    line = "DHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE+AESGCM:!AES256"
    server = serve("lab", *pair.options, "--ciphers", line, trust=authority.context())
    server.wait_log("ciphers: there is no DHE-RSA-AES128-GCM-SHA256")

    def agreed(offer: str) -> str:
        context = authority.context()
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers(offer)
        with server.connect_plain() as wire:
            sock = wire.secure(context).socket
            assert isinstance(sock, ssl.SSLSocket)
            cipher = sock.cipher()
            return cipher[0] if cipher else ""

    offer = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305"
    assert agreed(offer) == "ECDHE-ECDSA-CHACHA20-POLY1305", "the server's order"
    assert agreed("ECDHE-ECDSA-AES128-GCM-SHA256") == "ECDHE-ECDSA-AES128-GCM-SHA256"
    with pytest.raises((ssl.SSLError, ConnectionResetError)):
        agreed("ECDHE-ECDSA-AES256-GCM-SHA384")


def test_settings_of_gunicorn_that_change_nothing_are_accepted(
    serve: Serve, authority: Authority, pair: Pair, tmp_path: Path
) -> None:
    conf = tmp_path / "conf.py"
    conf.write_text(
        "import ssl\n"
        "ssl_version = ssl.PROTOCOL_TLS_SERVER\n"
        "do_handshake_on_connect = True\n"
        "suppress_ragged_eofs = False\n"
        f"cert_reqs = ssl.CERT_OPTIONAL\nca_certs = {str(authority.certfile)!r}\n"
    )
    server = serve("lab", "-c", str(conf), *pair.options, trust=authority.context())
    with server.connect() as wire:
        assert json.loads(wire.get("/environ").text)["SSL_CLIENT_VERIFY"] == "NONE"
        # It ends without a goodbye.
        wire.socket.shutdown(socket.SHUT_WR)
    assert server.get("/").status == 200


def test_uvicorns_names_are_understood(serve: Serve, authority: Authority, pair: Pair, ann: Pair) -> None:
    options = ["--ssl-certfile", pair.certfile, "--ssl-keyfile", pair.keyfile, "--ssl-ca-certs", authority.certfile]
    options += ["--ssl-cert-reqs", "2", "--ssl-ciphers", "ECDHE+AESGCM"]
    server = serve("asgi_lab", *map(str, options), trust=authority.context(ann))
    assert server.get("/").status == 200
    assert is_refused(server, authority.context())
