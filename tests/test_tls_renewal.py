"""TLS: certificates are renewed while the server runs. No connection is dropped for it, and no worker replaced."""

from __future__ import annotations

import os
import shutil
import ssl
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from signal import SIGHUP, SIGKILL, SIGTTIN

import pytest
from harness import Authority, Load, Pair, Serve, Server, eventually, needs_openssl, processes

pytestmark = needs_openssl

#: The line of the log for a change that was taken up.
RENEWED = "New TLS connections get the changed"
REFUSED = "The changed certificates cannot be used"


@dataclass
class Renewable:
    """A pair of files whose content changes."""

    authority: Authority
    pair: Pair
    rounds: int = 0

    def renew(self) -> bytes:
        """Put a new pair in place, first the certificate, then the key. Returns the certificate, in DER."""
        new = self.issue()
        shutil.copy(new.certfile, self.pair.certfile)
        shutil.copy(new.keyfile, self.pair.keyfile)
        return der(new)

    def issue(self) -> Pair:
        """A new pair somewhere else."""
        self.rounds += 1
        return self.authority.issue(f"round-{self.rounds}")


def der(pair: Pair) -> bytes:
    """The certificate as clients see it."""
    return ssl.PEM_cert_to_DER_cert(pair.certfile.read_text())


def shown(server: Server) -> bytes:
    """The certificate that a new connection gets."""
    with server.connect() as wire:
        assert isinstance(wire.socket, ssl.SSLSocket)
        return wire.socket.getpeercert(binary_form=True) or b""


def shown_by(server: Server, workers: list[int]) -> list[bytes]:
    """The certificate of a new connection to each worker, while the others are held."""

    def shown_by_one(worker: int) -> bytes:
        with processes.stopped(*(other for other in workers if other != worker)), server.connect() as wire:
            assert wire.get("/pid").text == str(worker)
            assert isinstance(wire.socket, ssl.SSLSocket)
            return wire.socket.getpeercert(binary_form=True) or b""

    return [shown_by_one(worker) for worker in workers]


@pytest.fixture
def files(tmp_path: Path) -> Renewable:
    authority = Authority(tmp_path / "authority")
    first, pair = authority.issue("first"), Pair(tmp_path / "a.pem", tmp_path / "a.key")
    shutil.copy(first.certfile, pair.certfile), shutil.copy(first.keyfile, pair.keyfile)
    return Renewable(authority, pair)


@pytest.fixture(params=["sync", "gthread", "asgi"])
def server(request: pytest.FixtureRequest, serve: Serve, files: Renewable) -> Server:
    app = "asgi_lab" if request.param == "asgi" else "lab"
    options = ("-k", request.param, "-w", "2", *files.pair.options)
    return serve(app, *options, trust=files.authority.context())


def test_changed_files_are_taken_up_by_themselves(server: Server, files: Renewable) -> None:
    workers = server.wait_workers(2)
    with server.connect() as kept, Load(server, keep_alive=False) as fresh, Load(server) as load:
        before = kept.get("/pid").text
        expected = files.renew()
        server.wait_log(f"{RENEWED} {files.pair.certfile}, {files.pair.keyfile}")
        eventually(lambda: shown(server) == expected)
        total = fresh.total, load.total
        eventually(lambda: fresh.total > total[0] + 20 and load.total > total[1] + 20)
        assert kept.get("/pid").text == before
    assert not fresh.failures and not load.failures and not load.repeats
    assert shown_by(server, workers) == [expected] * 2
    assert server.workers() == workers
    assert server.log.count(RENEWED) == 1


def test_a_wrong_pair_is_told_once_and_changes_nothing(serve: Serve, files: Renewable) -> None:
    server = serve("lab", *files.pair.options, trust=files.authority.context())
    before, new = shown(server), files.issue()
    shutil.copy(new.certfile, files.pair.certfile)
    server.wait_log(f"{REFUSED}.*the key does not belong to the certificate")
    assert shown(server) == before
    files.pair.keyfile.unlink()
    server.wait_log(f"{REFUSED}.*No such file")
    shutil.copy(new.keyfile, files.pair.keyfile)
    server.wait_log(RENEWED)
    assert shown(server) == der(new)
    assert server.log.count(REFUSED) == 2


def test_files_that_were_only_touched_are_no_news(serve: Serve, files: Renewable) -> None:
    server = serve("lab", *files.pair.options, trust=files.authority.context())
    content = files.pair.certfile.read_bytes()
    files.pair.certfile.write_bytes(content)
    # The change after it is noticed, so this one was as well.
    expected = files.renew()
    eventually(lambda: shown(server) == expected)
    assert server.log.count(RENEWED) == 1 and REFUSED not in server.log


def test_a_link_that_leads_elsewhere_is_a_change(serve: Serve, files: Renewable, tmp_path: Path) -> None:
    """As Kubernetes and certbot renew: the names are links, and what they lead to is another file."""
    live = tmp_path / "live"
    live.symlink_to(files.pair.certfile.parent)
    server = serve(
        *("lab", "--certfile", str(live / "a.pem"), "--keyfile", str(live / "a.key")),
        trust=files.authority.context(),
    )
    new = files.issue()
    (tmp_path / "next").mkdir()
    shutil.copy(new.certfile, tmp_path / "next" / "a.pem"), shutil.copy(new.keyfile, tmp_path / "next" / "a.key")
    (tmp_path / "link").symlink_to(tmp_path / "next")
    (tmp_path / "link").replace(live)
    eventually(lambda: shown(server) == der(new))


def test_workers_that_come_later_have_the_new_certificate(serve: Serve, files: Renewable) -> None:
    server = serve("lab", "-w", "1", *files.pair.options, trust=files.authority.context())
    [first] = server.workers()
    expected = files.renew()
    server.wait_log(RENEWED)
    server.signal(SIGTTIN).wait_workers(2)
    workers = serve.wait_serving(server, 2)
    assert shown_by(server, workers) == [expected] * 2
    os.kill(first, SIGKILL)
    server.wait_replaced([first], 2)
    assert shown_by(server, serve.wait_serving(server, 2)) == [expected] * 2


def test_hup_takes_up_changed_files_at_once_and_goes_on_looking(serve: Serve, files: Renewable) -> None:
    server = serve("lab", *files.pair.options, trust=files.authority.context())
    before = server.workers()
    expected = files.renew()
    server.signal(SIGHUP).wait_replaced(before, 1)
    assert shown(server) == expected
    expected = files.renew()
    eventually(lambda: shown(server) == expected)


def test_a_failed_reload_goes_on_looking(serve: Serve, files: Renewable) -> None:
    server = serve("lab", *files.pair.options, trust=files.authority.context())
    new = files.issue()
    shutil.copy(new.keyfile, files.pair.keyfile)
    server.signal(SIGHUP).wait_log("the key does not belong to the certificate")
    shutil.copy(new.certfile, files.pair.certfile)
    eventually(lambda: shown(server) == der(new))


@pytest.fixture
def readable() -> Iterator[Path]:
    """A folder that another user may enter, with an application that needs nothing else."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    (folder / "app.py").write_text(
        "import os\n"
        "def application(environ, start_response):\n"
        "    body = b'%d' % os.getpid()\n"
        "    start_response('200 OK', [('Content-Length', str(len(body)))])\n"
        "    return [body]\n"
    )
    yield folder
    shutil.rmtree(folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can change its user")
def test_workers_that_cannot_read_the_key_get_it_from_the_arbiter(
    serve: Serve, files: Renewable, readable: Path
) -> None:
    files.pair.keyfile.chmod(0o600)
    server = serve(
        *("app", "--user", "nobody", "-w", "2", *files.pair.options), cwd=readable, trust=files.authority.context()
    )
    workers = server.wait_workers(2)
    assert all(processes.status(worker, "Uid").split()[0] != "0" for worker in workers)
    expected = files.renew()
    assert files.pair.keyfile.stat().st_mode & 0o777 == 0o600
    eventually(lambda: shown(server) == expected)
    assert shown_by(server, workers) == [expected] * 2
