"""Static files are answered as nginx answers them: status, the fields that matter, bytes. Where not, it is said why."""

from __future__ import annotations

import gzip
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import Serve, Server, eventually, free_port
from harness.wire import Reply, Wire, head

NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")

pytestmark = pytest.mark.skipif(NGINX is None, reason="nginx is not installed")

CONF = """
daemon off; pid {work}/nginx.pid; error_log {work}/nginx.log; worker_processes 1; {user}
events {{ }}
http {{
    access_log off; {temporary}
    types {{ text/plain txt; text/html html; font/woff2 woff2; application/pdf pdf; video/mp4 mp4; }}
    default_type application/octet-stream;
    charset utf-8; charset_types text/plain text/html;
    server {{
        listen 127.0.0.1:{port};
        location /static/ {{
            alias {root}/;
            index index.html;
            disable_symlinks if_not_owner from={root};
            location ~ /\\. {{ return 404; }}
        }}
        location = /static/coded.txt {{ alias {root}/coded.txt; gzip_static on; gzip_vary on; }}
    }}
}}
"""
MODIFIED = 784111777  # Sun, 06 Nov 1994 08:49:37 GMT
BEFORE, AT, AFTER = (
    "Sun, 06 Nov 1994 08:49:36 GMT",
    "Sun, 06 Nov 1994 08:49:37 GMT",
    "Sun, 06 Nov 1994 08:49:38 GMT",
)
BIG = bytes(range(256)) * 3000
#: What is compared of the head. An ETag is compared by being there.
FIELDS = (
    "Accept-Ranges",
    "Allow",
    "Content-Encoding",
    "Content-Length",
    "Content-Range",
    "Content-Type",
    "Last-Modified",
    "Transfer-Encoding",
    "Vary",
)
ETAG = "{etag}"

Case = tuple[str, str, tuple[tuple[str, str], ...]]


def get(target: str, *fields: tuple[str, str], method: str = "GET") -> Case:
    return (method, target, fields)


def ranges(*values: str) -> list[Case]:
    return [get("ten.txt", ("Range", value)) for value in values]


CASES: list[Case] = [
    *(get(name) for name in ("ten.txt", "empty.txt", "big.bin", "page.html", "a.pdf", "v.mp4", "f.woff2", "NOEXT")),
    *(get(name) for name in ("a%20b.txt", "%74en.txt", "ten.txt?v=1", "sub/deep.txt", "sub/", "within.txt")),
    *(get(name) for name in ("missing", "sub/missing.txt", "ten.txt/", "ten.txt/x", "%00", "a%0Ab")),
    *(get(name, method="HEAD") for name in ("ten.txt", "big.bin", "missing", "sub/")),
    *ranges("bytes=0-3", "bytes=9-9", "bytes=4-", "bytes=-4", "bytes=-100", "bytes=0-100", "bytes=10-", "bytes=10-11"),
    *ranges("bytes=-0", "bytes=3-2", "bytes=x", "bytes=", "items=0-3", "bytes=0-3,6-7", "bytes=0-1, 4-5 ,8-9"),
    *ranges("bytes=0-3,20-30", "bytes=20-30,40-50", "bytes=0-0,-1", "bytes=0-9,0-9"),
    get("ten.txt", ("Range", "bytes=2-4"), method="HEAD"),
    get("big.bin", ("Range", "bytes=1000-700000")),
    get("big.bin", ("Range", "bytes=0-9,500000-600000")),
    get("empty.txt", ("Range", "bytes=0-")),
    *(get("ten.txt", ("If-Modified-Since", date)) for date in (AT, AFTER, "nonsense")),
    get("ten.txt", ("If-Modified-Since", AT), method="HEAD"),
    *(get("ten.txt", ("If-Unmodified-Since", date)) for date in (BEFORE, AT, AFTER)),
    *(get("ten.txt", ("If-None-Match", tag)) for tag in (ETAG, f'"x", {ETAG}', f"W/{ETAG}", "*", '"x"')),
    *(get("ten.txt", ("If-Match", tag)) for tag in (ETAG, f'"x", {ETAG}', "*", '"x"')),
    get("ten.txt", ("If-None-Match", '"x"'), ("If-Modified-Since", AT)),
    get("ten.txt", ("If-None-Match", ETAG), ("If-Modified-Since", BEFORE)),
    *(get("ten.txt", ("Range", "bytes=0-3"), ("If-Range", value)) for value in (ETAG, '"x"', AT, BEFORE, f"W/{ETAG}")),
    get("ten.txt", ("Range", "bytes=0-3"), ("If-None-Match", ETAG)),
    *(get("coded.txt", ("Accept-Encoding", value)) for value in ("gzip", "br", "gzip;q=0", "deflate, gzip;q=0.5")),
    get("coded.txt"),
    get("coded.txt", ("Accept-Encoding", "gzip"), ("Range", "bytes=0-9")),
    get("sub"),
    get("sub?a=b"),
    *(get(name) for name in (".hidden", ".git/config", "out.txt", "..%2fsecret", "%2e%2e/secret")),
]

#: Where Oxicorn answers otherwise on purpose: nginx's status, ours, and why.
OTHERWISE: dict[Case, tuple[int, int, str]] = {
    get("%00"): (400, 404, "nginx refuses the request as a whole; here no file has such a name"),
    get("ten.txt", ("Range", "bytes=3-2")): (416, 200, "a range that is none is ignored (RFC 9110, section 14.2)"),
    get("ten.txt", ("Range", "bytes=x")): (416, 200, "likewise"),
    get("ten.txt", ("Range", "bytes=2-4"), method="HEAD"): (206, 200, "ranges are for GET (RFC 9110, section 14.2)"),
    get("empty.txt", ("Range", "bytes=0-")): (200, 416, "nothing has no first byte (RFC 9110, section 14.1.2)"),
    get("ten.txt", ("If-Modified-Since", AFTER)): (200, 304, "nginx compares for equality; the field says since"),
    get("ten.txt", ("If-None-Match", ETAG), ("If-Modified-Since", BEFORE)): (
        200,
        304,
        "with If-None-Match the date is ignored (RFC 9110, section 13.1.3)",
    ),
    get("coded.txt", ("Accept-Encoding", "gzip"), ("Range", "bytes=0-9")): (
        200,
        206,
        "a coded sibling is a representation with bytes of its own",
    ),
    get("out.txt"): (200, 404, "the link leads out of the directory, which nginx checks by its owner at the most"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    root = folder / "root"
    for name in ("sub", ".git"):
        (root / name).mkdir(parents=True)
    (folder / "secret").write_text("secret")
    contents = {
        "ten.txt": b"0123456789",
        "empty.txt": b"",
        "big.bin": BIG,
        "page.html": b"<p>page</p>",
        "a.pdf": b"pdf",
        "v.mp4": b"video" * 100,
        "f.woff2": b"font",
        "NOEXT": b"none",
        "a b.txt": b"blank",
        "sub/deep.txt": b"deep",
        "sub/index.html": b"<p>index</p>",
        ".hidden": b"hidden",
        ".git/config": b"config",
        "coded.txt": b"coded " * 100,
        "coded.txt.gz": gzip.compress(b"coded " * 100, mtime=0),
    }
    for name, content in contents.items():
        (root / name).write_bytes(content)
        os.utime(root / name, (MODIFIED, MODIFIED))
    (root / "within.txt").symlink_to("ten.txt")
    (root / "out.txt").symlink_to("../secret")
    for place in (folder, *folder.parents):
        if place.owner() == folder.owner() and place.stat().st_mode & 0o77 == 0:
            place.chmod(0o755)
    return folder


@pytest.fixture(scope="module")
def nginx(folder: Path) -> Iterator[tuple[str, int]]:
    work, port = folder / "nginx", free_port()
    work.mkdir()
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "".join(f"{kind}_temp_path {work}/{kind};" for kind in kinds)
    user = "user root;" if os.geteuid() == 0 else ""
    conf = CONF.format(work=work, port=port, root=folder / "root", temporary=temporary, user=user)
    (work / "nginx.conf").write_text(conf)
    assert NGINX is not None
    process = subprocess.Popen([NGINX, "-c", str(work / "nginx.conf"), "-e", f"{work}/nginx.log"])

    def listens() -> bool:
        assert process.poll() is None, (work / "nginx.log").read_text()
        try:
            Wire(("127.0.0.1", port)).close()
        except OSError:
            return False
        return True

    try:
        eventually(listens)
        yield ("127.0.0.1", port)
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture(scope="module")
def server(serve_module: Serve, folder: Path) -> Server:
    root = folder / "root"
    return serve_module("lab", "-k", "sync", "--static", f"/static/={root}", "--static-missing", "404")


def ask(wire: Wire, case: Case) -> Reply:
    method, target, fields = case
    if any(ETAG in value for _, value in fields):
        etag = wire.request("/static/ten.txt").reply().header("ETag") or ""
        fields = tuple((name, value.replace(ETAG, etag)) for name, value in fields)
    return wire.send(head(f"/static/{target}", method=method, fields=fields)).reply(to=method)


def shown(reply: Reply) -> dict[str, object]:
    """What is compared of a response."""
    fields: dict[str, str | None] = {name: reply.header(name) for name in FIELDS}
    body = reply.body
    if reply.status >= 400 or reply.status in (301, 308):
        # Pages for people, each in its own words.
        fields = {"Content-Range": reply.header("Content-Range")}
        body = b""
    if reply.status != 200 or reply.header("Content-Encoding"):
        # nginx leaves it out there; a client that has asked for a range knows already.
        fields["Accept-Ranges"] = None
    boundary = re.fullmatch("multipart/byteranges; *boundary=(.*)", fields.get("Content-Type") or "")
    if boundary:
        fields["Content-Type"] = "multipart/byteranges"
        fields["Content-Length"] = None
        parts = body.split(b"--" + boundary[1].encode())
        body = b"|".join(sorted_fields(part) for part in parts)
    location = re.sub("^https?://[^/]*", "", reply.header("Location") or "")
    return {"status": reply.status, "etag": bool(reply.header("ETag")), "to": location, **fields, "body": body}


def sorted_fields(part: bytes) -> bytes:
    fields, _, content = part.strip(b"\r\n").partition(b"\r\n\r\n")
    return b"\n".join(sorted(fields.lower().split(b"\r\n"))) + b"\n\n" + content


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]} {case[1]} {dict(case[2]) or ''}")
def test_as_nginx(server: Server, nginx: tuple[str, int], case: Case) -> None:
    with server.connect() as ours, Wire(nginx) as theirs:
        own, other = ask(ours, case), ask(theirs, case)
    if case in OTHERWISE:
        there, here, _ = OTHERWISE[case]
        assert (other.status, own.status) == (there, here)
        return
    assert shown(own) == shown(other)
