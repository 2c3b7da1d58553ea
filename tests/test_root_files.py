"""A server that root has started opens, makes and gives away no file of root's for the sake of a link.

The application's user owns directories that the settings name, and may put into them what it likes, at any time.
"""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from signal import SIGHUP, SIGUSR1

import pytest
from harness import Serve, Server, eventually, processes, run

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="only root has rights to lose"),
    pytest.mark.skipif(os.environ.get("CI") == "true", reason="changes owners of files as root"),
]

NOBODY = pwd.getpwnam("nobody")
THIRD = 12_345
USER = ("--user", "nobody")

APPLICATION = """\
import os

def application(environ, start_response):
    text = os.environ.get("SECRET", "none").encode()
    start_response("200 OK", [("Content-Length", str(len(text)))])
    return [text]
"""


class Site:
    """A directory of root's with one of the application's user in it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.theirs, self.private = folder, folder / "theirs", folder / "private"
        (folder / "app.py").write_text(APPLICATION)
        self.theirs.mkdir()
        self.private.mkdir(mode=0o700)
        self.secret = self.private / "secret"
        self.secret.write_text("SECRET=root's\n")
        self.secret.chmod(0o600)
        self.take(self.theirs)

    def take(self, path: Path, uid: int = NOBODY.pw_uid) -> Path:
        os.chown(path, uid, NOBODY.pw_gid, follow_symlinks=False)
        return path

    def link(self, name: str, target: Path) -> Path:
        """A symbolic link that the user makes."""
        path = self.theirs / name
        path.symlink_to(target)
        return self.take(path)

    def assert_untouched(self) -> None:
        assert os.listdir(self.private) == ["secret"]
        assert self.secret.read_text() == "SECRET=root's\n"
        status = self.secret.stat()
        assert (status.st_uid, status.st_gid, status.st_mode & 0o777) == (0, 0, 0o600)


@pytest.fixture
def site() -> Iterator[Site]:
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield Site(folder)
    shutil.rmtree(folder)


@pytest.fixture
def start(serve: Serve, site: Site):
    def start(*options: str, **keywords: object) -> Server:
        return serve("app", *USER, *options, cwd=site.folder, **keywords)

    return start


FILES = {
    "access log": "--access-logfile",
    "error log": "--error-logfile",
    "pid file": "--pid",
}


@pytest.mark.parametrize("option", FILES.values(), ids=FILES)
@pytest.mark.parametrize("target", ["an existing file", "a new file", "a directory"])
def test_a_link_in_the_users_directory(serve: Serve, site: Site, option: str, target: str) -> None:
    if target == "a directory":
        path = site.link("up", site.private) / "log"
    else:
        path = site.link("log", site.secret if target == "an existing file" else site.private / "new")
    if option == "--pid" and target != "a directory":
        # The pid file replaces the name, as it always has.
        serve("app", *USER, option, str(path), cwd=site.folder).stop()
    else:
        refusal = serve.refused("app", *USER, option, str(path), cwd=site.folder)
        assert refusal.code == 1, refusal.text
        assert str(path) in refusal.text and "Permission denied" in refusal.text
    site.assert_untouched()


def test_a_link_to_what_the_user_may_write_is_followed(site: Site, start) -> None:
    """As people deploy: `current` is a link to a release, whose logs are a link to what all releases share."""
    for name in ("releases/1", "shared/log"):
        (site.theirs / name).mkdir(parents=True)
    for path in site.theirs.rglob("*"):
        site.take(path)
    site.link("current", site.theirs / "releases/1")
    site.link("releases/1/log", site.theirs / "shared/log")
    log = site.theirs / "current/log/access.log"
    server = start("--access-logfile", str(log), "--pid", str(site.theirs / "current/log/app.pid"))
    eventually(lambda: "GET / HTTP" in log.read_text())
    assert (site.theirs / "shared/log/access.log").stat().st_uid == NOBODY.pw_uid
    assert (site.theirs / "shared/log/app.pid").read_text() == f"{server.pid}\n"
    assert server.stop() == 0
    assert not (site.theirs / "shared/log/app.pid").exists()


@pytest.mark.parametrize("option", ["--access-logfile", "--error-logfile"])
@pytest.mark.parametrize("kind", ["symbolic", "hard"])
def test_a_link_that_appears_before_a_rotation(site: Site, start, option: str, kind: str) -> None:
    log = site.theirs / "log"
    server = start(option, str(log), "-w", "2")
    log.unlink()
    site.link("log", site.secret) if kind == "symbolic" else os.link(site.secret, log)
    server.signal(SIGUSR1)
    eventually(
        lambda: "could not be opened again" in server.log or option == "--error-logfile", what=lambda: server.log
    )
    for _ in range(4):
        assert server.get().status == 200
    server.signal(SIGHUP)
    assert server.get().status == 200
    assert server.stop() == 0
    if kind == "hard":
        log.unlink()
    site.assert_untouched()


def test_files_of_pythons_logging_are_no_exception(serve: Serve, site: Site) -> None:
    path = site.link("log", site.private / "new")
    config = site.folder / "logging.ini"
    config.write_text(
        "[loggers]\nkeys=root\n[handlers]\nkeys=file\n[formatters]\nkeys=\n"
        "[logger_root]\nlevel=INFO\nhandlers=file\n"
        f"[handler_file]\nclass=FileHandler\nargs=({str(path)!r},)\n"
    )
    refusal = serve.refused("app", *USER, "--log-config", str(config), cwd=site.folder)
    assert refusal.code == 1 and "Permission denied" in refusal.text, refusal.text
    site.assert_untouched()


def test_a_socket_is_made_with_the_rights_of_the_user(serve: Serve, site: Site) -> None:
    refusal = serve.refused("app", *USER, cwd=site.folder, bind=f"unix:{site.link('up', site.private)}/sock")
    assert refusal.code == 1 and "Permission denied" in refusal.text, refusal.text
    site.assert_untouched()
    path = site.theirs / "sock"
    server = serve("app", *USER, cwd=site.folder, bind=f"unix:{path}")
    assert (path.stat().st_uid, path.stat().st_gid) == (NOBODY.pw_uid, NOBODY.pw_gid)
    path.unlink()
    with socket.socket(socket.AF_UNIX) as another:
        another.bind(str(path))
        assert server.stop() == 0
        assert path.exists(), "it is another server's now"


def test_a_stale_name_is_removed_with_the_rights_of_the_user(serve: Serve, site: Site) -> None:
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(site.private / "sock"))
    refusal = serve.refused("app", *USER, cwd=site.folder, bind=f"unix:{site.link('up', site.private)}/sock")
    assert refusal.code == 1, refusal.text
    (site.private / "sock").unlink()
    site.assert_untouched()


@pytest.mark.parametrize("where", ["private", "theirs", "third", "/dev/stdout"])
def test_logs_are_written_wherever_they_may_be(site: Site, start, where: str) -> None:
    """What only root can open, root opens once, and its workers write to it."""
    third = site.folder / "third"
    third.mkdir()
    site.take(third, THIRD)
    places = {"private": site.private / "log", "theirs": site.theirs / "log", "third": third / "log"}
    path = places.get(where, Path(where))
    server = start("--access-logfile", str(path), "-w", "2")

    def written() -> str:
        return path.read_text() if where in places else server.log

    eventually(lambda: "GET / HTTP" in written(), what=written)
    if where in places:
        assert path.stat().st_uid == NOBODY.pw_uid
    assert server.stop() == 0


def test_workers_after_a_rotation_write_to_the_new_file(site: Site, start) -> None:
    log = site.private / "log"
    server = start("--access-logfile", str(log))
    log.rename(site.private / "log.1")
    server.signal(SIGUSR1)
    eventually(log.exists)
    [before] = server.workers()
    server.signal(SIGHUP)
    eventually(lambda: before not in server.workers() and server.workers())
    server.get("/later")
    eventually(lambda: "/later" in log.read_text(), what=lambda: server.log)
    (site.private / "log.1").unlink()


def test_an_env_file_gives_the_workers_nothing_of_roots(serve: Serve, site: Site) -> None:
    path = site.link(".env", site.secret)
    refusal = serve.refused("app", *USER, "--env-file", str(path), cwd=site.folder)
    assert refusal.code == 1 and "Permission denied" in refusal.text, refusal.text
    path.unlink()
    path.write_text("SECRET=theirs\n")
    path.chmod(0o600)
    assert serve("app", *USER, "--env-file", str(path), cwd=site.folder).get().text == "theirs", "root's own file"
    site.take(path)
    assert serve("app", *USER, "--env-file", str(path), cwd=site.folder).get().text == "theirs", "the user's file"


def test_a_pipe_in_place_of_the_pid_file_does_not_hold_the_start_up(site: Site, start) -> None:
    path = site.theirs / "pid"
    os.mkfifo(path)
    site.take(path)
    server = start("--pid", str(path))
    assert path.read_text() == f"{server.pid}\n"


def test_workers_have_nothing_of_roots_open(site: Site, start) -> None:
    server = start("--access-logfile", str(site.theirs / "log"))
    [worker] = server.workers()
    assert [file for file in processes.open_files(worker) if str(site.private) in file] == []
    assert processes.status(worker, "CapEff") == "0" * 16


@pytest.mark.parametrize("owner", ["root", "nobody"])
def test_a_preloaded_application_that_others_can_change_is_warned_of(site: Site, start, owner: str) -> None:
    project = site.folder / "project"
    project.mkdir()
    shutil.move(site.folder / "app.py", project)
    conf = project / "conf.py"
    conf.write_text("preload_app = True\n")
    if owner == "nobody":
        for path in (project, conf):
            site.take(path)
    server = start("--chdir", str(project), "-c", str(conf))
    for told in (f"preload_app: root imports the application from {project}", f"root runs the conf file {conf}"):
        assert (told in server.log) == (owner == "nobody"), server.log
    checked = run("app", *USER, "--chdir", str(project), "-c", str(conf), "--check-config", cwd=site.folder)
    assert checked.code == 0
    assert ("they can become root" in checked.text) == (owner == "nobody")


def test_a_server_without_user_is_not_warned(serve: Serve, site: Site) -> None:
    server = serve("app", "--preload", "--chdir", str(site.folder), cwd=site.take(site.folder))
    assert "they can become root" not in server.log
