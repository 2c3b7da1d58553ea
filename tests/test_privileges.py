"""Workers give up root for `--user` and `--group`; the arbiter keeps what it needs to bind."""

from __future__ import annotations

import grp
import os
import pwd
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from signal import SIGHUP, SIGUSR1

import pytest
from harness import Authority, Serve, eventually, needs_openssl, parity, processes

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can change its user")

NOBODY = pwd.getpwnam("nobody")
GROUP = grp.getgrgid(NOBODY.pw_gid).gr_name


@parity
@pytest.mark.parametrize(("user", "group"), [("nobody", GROUP), (str(NOBODY.pw_uid), str(NOBODY.pw_gid))])
def test_workers_run_as_the_user(serve: Serve, readable: Path, user: str, group: str) -> None:
    server = serve("app", "-u", user, "-g", group, cwd=readable)
    [worker] = server.wait_workers(1)
    assert processes.status(worker, "Uid").split() == [str(NOBODY.pw_uid)] * 4
    assert processes.status(worker, "Gid").split() == [str(NOBODY.pw_gid)] * 4
    assert processes.status(server.pid, "Uid").split() == ["0"] * 4
    assert "0" not in processes.status(worker, "Groups").split(), "root's groups are gone"


@parity
def test_the_unix_socket_belongs_to_the_user(serve: Serve, readable: Path) -> None:
    path = readable / "sock"
    serve("app", "-u", "nobody", "-g", GROUP, cwd=readable, bind=f"unix:{path}")
    assert (path.stat().st_uid, path.stat().st_gid) == (NOBODY.pw_uid, NOBODY.pw_gid)


@parity
def test_the_group_alone_may_change(serve: Serve, readable: Path) -> None:
    server = serve("app", "-g", GROUP, cwd=readable)
    [worker] = server.wait_workers(1)
    assert processes.status(worker, "Uid").split() == ["0"] * 4
    assert processes.status(worker, "Gid").split() == [str(NOBODY.pw_gid)] * 4


@pytest.mark.parametrize("option", [[], ["--initgroups"]], ids=["without", "with"])
def test_initgroups_gives_the_users_other_groups(serve: Serve, readable: Path, option: list[str]) -> None:
    server = serve("app", "-u", "nobody", *option, cwd=readable)
    [worker] = server.wait_workers(1)
    expected = set(os.getgrouplist("nobody", NOBODY.pw_gid)) if option else set()
    assert {int(group) for group in processes.status(worker, "Groups").split()} == expected


def test_a_folder_that_the_user_may_not_read_is_named(serve: Serve, readable: Path) -> None:
    readable.chmod(0o700)
    refusal = serve.refused("app", "-u", "nobody", cwd=readable)
    assert refusal.code == 3
    assert f"{readable}, which this user may not read" in refusal.text
    assert "Traceback" not in refusal.text


@parity
@pytest.mark.parametrize("option", ["--user", "--group"])
def test_a_name_that_nobody_has(serve: Serve, option: str) -> None:
    refusal = serve.refused("lab", option, "no-such-one")
    assert refusal.code == 1
    assert "no-such-one" in refusal.text and "Traceback" not in refusal.text


@pytest.mark.parametrize("logger", ["simple", "logs.Mine"], ids=["server", "logger"])
def test_new_log_files_belong_to_the_user(serve: Serve, readable: Path, logger: str) -> None:
    """Workers could not open them after a rotation otherwise."""
    text = "from gunicorn.glogging import Logger\nclass Mine(Logger):\n    def now(self):\n        return 'then'\n"
    (readable / "logs.py").write_text(text)
    (readable / "logs").mkdir()
    log = readable / "logs" / "access.log"
    options = ("--access-logfile", str(log), "--logger-class", logger)
    server = serve("app", "-w", "1", "-u", "nobody", "-g", GROUP, *options, cwd=readable)
    log.rename(log.with_suffix(".1"))
    server.signal(SIGUSR1)

    def follows() -> bool:
        server.get("/after")
        return log.exists() and "/after" in log.read_text()

    eventually(follows, what=lambda: server.log)
    assert log.stat().st_uid == NOBODY.pw_uid


@needs_openssl
def test_the_key_of_tls_is_read_before_the_rights_are_given_up(serve: Serve, readable: Path, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    pair = authority.issue("server")
    pair.keyfile.chmod(0o600)
    server = serve("app", "-u", "nobody", *pair.options, cwd=readable, trust=authority.context())
    before = server.workers()
    server.signal(SIGHUP).wait_replaced(before, 1)
    assert server.get().text == "ok"


@pytest.fixture
def readable() -> Iterator[Path]:
    """A folder that another user may enter, with an application that needs nothing else.

    Not below pytest's own, which every session that begins closes to other users.
    """
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    (folder / "app.py").write_text(
        "def application(environ, start_response):\n"
        "    start_response('200 OK', [('Content-Length', '2')])\n"
        "    return [b'ok']\n"
    )
    yield folder
    shutil.rmtree(folder)
