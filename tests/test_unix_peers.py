"""Who may use a unix socket, and what its peers are believed."""

from __future__ import annotations

from pathlib import Path

import pytest
from harness import Serve, better, parity

FORWARDED = [("X-Forwarded-Proto", "https"), ("X-Forwarded-For", "203.0.113.7")]


@parity
@pytest.mark.parametrize(("options", "mode"), [((), 0o777), (("--umask", "007"), 0o770)], ids=["default", "umask"])
def test_without_a_mode_the_umask_decides(serve: Serve, tmp_path: Path, options: tuple[str, ...], mode: int) -> None:
    serve("lab", *options, bind=f"unix:{tmp_path / 'sock'}")
    assert (tmp_path / "sock").stat().st_mode & 0o777 == mode


@pytest.mark.parametrize("given", ["660", "0660", "0o660"])
def test_a_mode_is_asked_for_by_name(serve: Serve, tmp_path: Path, given: str) -> None:
    serve("lab", "--socket-mode", given, "--umask", "077", bind=f"unix:{tmp_path / 'sock'}")
    assert (tmp_path / "sock").stat().st_mode & 0o777 == 0o660


def test_a_mode_in_the_conf_file(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "conf.py").write_text("socket_mode = 0o600\n")
    serve("lab", "-c", str(tmp_path / "conf.py"), bind=f"unix:{tmp_path / 'sock'}")
    assert (tmp_path / "sock").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("given", ["rw", "1000", "888"])
def test_what_is_no_mode_is_refused(serve: Serve, tmp_path: Path, given: str) -> None:
    refusal = serve.refused("lab", "--socket-mode", given, bind=f"unix:{tmp_path / 'sock'}")
    assert refusal.code in (1, 2)
    assert "socket" in refusal.text and "file mode from 0 to 0777" in refusal.text


@parity
def test_by_default_they_are_believed(serve: Serve, tmp_path: Path) -> None:
    server = serve("lab", bind=f"unix:{tmp_path / 'sock'}")
    assert server.get("/environ", fields=FORWARDED).json()["wsgi.url_scheme"] == "https"


@pytest.mark.parametrize(
    ("allowed", "scheme"),
    [
        ("10.0.0.0/8", "http"),
        ("", "http"),
        ("127.0.0.1,::1", "http"),
        ("10.0.0.0/8,unix", "https"),
        ("unix", "https"),
        pytest.param("*", "https", marks=parity),
    ],
)
@pytest.mark.parametrize("source", ["option", "environment"])
def test_once_the_proxies_are_named_they_are_only_as_unix(
    serve: Serve, tmp_path: Path, allowed: str, scheme: str, source: str
) -> None:
    options = ("--forwarded-allow-ips", allowed) if source == "option" else ()
    env = {} if source == "option" else {"FORWARDED_ALLOW_IPS": allowed}
    server = serve("lab", *options, env=env, bind=f"unix:{tmp_path / 'sock'}")
    assert server.get("/environ", fields=FORWARDED).json()["wsgi.url_scheme"] == scheme


def test_the_client_is_named_by_them_alike(serve: Serve, tmp_path: Path) -> None:
    for number, (allowed, expected) in enumerate([("10.0.0.0/8", ""), ("unix", "203.0.113.7")]):
        options = ("--proxy-headers", "--forwarded-allow-ips", allowed)
        server = serve("lab", *options, bind=f"unix:{tmp_path / f'sock{number}'}")
        assert server.get("/environ", fields=FORWARDED).json()["REMOTE_ADDR"] == expected


@better
def test_peers_on_other_sockets_are_not_unix(serve: Serve) -> None:
    server = serve("lab", "--forwarded-allow-ips", "unix")
    assert server.get("/environ", fields=FORWARDED).json()["wsgi.url_scheme"] == "http"
