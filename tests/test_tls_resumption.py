"""TLS: a client that comes back resumes its session with any worker, after a reload and after an upgrade."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from pathlib import Path
from signal import SIGHUP, SIGTERM, SIGUSR2

import pytest
from harness import Authority, Pair, Serve, Server, eventually, needs_openssl, processes

pytestmark = needs_openssl

VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def pair(authority: Authority) -> Pair:
    return authority.issue("server")


class Client:
    """A client that comes back with the session that it had last."""

    def __init__(self, authority: Authority, version: str = "1.3") -> None:
        self.context = authority.context()
        self.context.minimum_version = self.context.maximum_version = VERSIONS[version]
        self.session: ssl.SSLSession | None = None

    def comes(self, server: Server) -> tuple[bool, str]:
        """Whether its session was resumed, and the worker that it met."""
        with server.connect_plain() as wire:
            secured = self.context.wrap_socket(wire.socket, server_hostname="localhost", session=self.session)
            wire.socket = secured
            # With TLS 1.3 the tickets come after the handshake.
            worker = wire.get("/pid").text
            self.session = secured.session
            return bool(secured.session_reused), worker


def meets_each(client: Client, server: Server, workers: list[int]) -> list[bool]:
    """Whether the session was resumed by each of the workers; the others are held meanwhile."""
    resumed = []
    for worker in workers:
        with processes.stopped(*(other for other in workers if other != worker)):
            is_resumed, met = client.comes(server)
        assert met == str(worker)
        resumed.append(is_resumed)
    return resumed


@pytest.mark.parametrize("version", VERSIONS)
def test_every_worker_resumes(serve: Serve, authority: Authority, pair: Pair, version: str) -> None:
    server = serve("lab", "-w", "4", *pair.options, trust=authority.context())
    workers = serve.wait_serving(server, 4)
    client = Client(authority, version)
    assert not client.comes(server)[0]
    assert meets_each(client, server, workers) == [True] * 4

    server.signal(SIGHUP)
    server.wait_replaced(workers, 4)
    assert meets_each(client, server, serve.wait_serving(server, 4)) == [True] * 4


def test_openssl_counts_resumptions(serve: Serve, authority: Authority, pair: Pair, tmp_path: Path) -> None:
    server = serve("lab", "-w", "4", *pair.options, trust=authority.context())
    serve.wait_serving(server, 4)
    words = ["openssl", "s_client", "-connect", f"127.0.0.1:{server.address[1]}", "-servername", "localhost"]
    words += ["-tls1_2", "-reconnect", "-CAfile", str(authority.certfile)]
    done = subprocess.run(words, input="", capture_output=True, text=True, timeout=30, check=True)
    assert (done.stdout.count("\nNew, TLSv1.2"), done.stdout.count("\nReused, TLSv1.2")) == (1, 5)


def test_a_session_outlives_an_upgrade_and_a_new_certificate(
    serve: Serve, authority: Authority, pair: Pair, tmp_path: Path
) -> None:
    pidfile, copy = tmp_path / "pid", Pair(tmp_path / "a.pem", tmp_path / "a.key")
    shutil.copy(pair.certfile, copy.certfile), shutil.copy(pair.keyfile, copy.keyfile)
    server = serve("lab", "-w", "1", "--pid", str(pidfile), *copy.options, trust=authority.context())
    client = Client(authority)
    assert not client.comes(server)[0] and client.comes(server)[0]

    new = authority.issue("renewed")
    shutil.copy(new.certfile, copy.certfile), shutil.copy(new.keyfile, copy.keyfile)
    server.wait_log("New TLS connections get")
    assert client.comes(server)[0]

    before = server.workers()
    server.signal(SIGUSR2)
    second = Path(f"{pidfile}.2")
    eventually(lambda: second.exists() and second.read_text().strip(), within=20)
    successor = int(second.read_text())
    try:
        [worker] = eventually(lambda: processes.children(successor), within=20)
        server.wait_log(rf"\[{successor}\] \[INFO\] Ready")
        with processes.stopped(*before):
            assert client.comes(server) == (True, str(worker))
        # And its own tickets are good for those that it forks.
        with processes.stopped(*before):
            assert client.comes(server)[0]
    finally:
        server.signal(SIGTERM)
        server.wait_exit()


def test_servers_that_share_a_file_of_keys_resume_each_others_sessions(
    serve: Serve, authority: Authority, pair: Pair, tmp_path: Path
) -> None:
    old, new = (subprocess.run(["openssl", "rand", "-base64", "48"], capture_output=True).stdout for _ in range(2))
    first, second = tmp_path / "first", tmp_path / "second"
    first.write_bytes(old)
    second.write_bytes(b"# a key that is new\n" + new + old)

    def start(file: Path) -> Server:
        return serve("lab", *pair.options, "--tls-ticket-key-file", str(file), trust=authority.context())

    one, other = start(first), start(second)
    client = Client(authority)
    assert not client.comes(one)[0]
    assert client.comes(other)[0], "the key that is second there decrypts"
    assert not client.comes(one)[0], "the other server encrypts with its first key"

    # The file is read again when it changes.
    client.comes(other)
    first.write_bytes(new + old)
    one.wait_log("New TLS connections get the changed")
    assert client.comes(one)[0]


def test_a_file_without_keys_is_refused(serve: Serve, pair: Pair, tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text("secret\n")
    said = serve.refused("lab", *pair.options, "--tls-ticket-key-file", str(file)).text
    assert "--tls-ticket-key-file" in said and "fewer than 43 characters" in said
    said = serve.refused("lab", *pair.options, "--tls-ticket-key-file", str(tmp_path / "none")).text
    assert "No such file" in said
