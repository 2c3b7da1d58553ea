"""Certificates for tests, made by the command `openssl`, and clients that trust them."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

#: Keys are quick to make and to use.
CURVE = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="the command openssl is not installed")


def openssl(*words: str | Path, given: str | None = None) -> str:
    """What the command prints; its failure is the test's."""
    done = subprocess.run(
        ["openssl", *map(str, words)], input=given, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@dataclass(frozen=True)
class Pair:
    """A certificate with its key."""

    certfile: Path
    keyfile: Path

    @property
    def options(self) -> list[str]:
        """The server's options for it."""
        return ["--certfile", str(self.certfile), "--keyfile", str(self.keyfile)]


class Authority:
    """An authority of its own, whose certificates only its own clients trust."""

    def __init__(self, folder: Path, name: str = "Test Authority") -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.certfile, self._keyfile = folder / "ca.pem", folder / "ca.key"
        openssl(
            *("req", "-x509", *CURVE, "-nodes", "-days", "30", "-subj", f"/CN={name}"),
            *("-keyout", self._keyfile, "-out", self.certfile),
            *("-addext", "keyUsage=critical,keyCertSign,cRLSign"),
        )

    def issue(self, name: str, *alternatives: str, common_name: str = "", days: int = 30) -> Pair:
        """A pair in `NAME.pem` and `NAME.key`, for the names given, else for localhost and 127.0.0.1."""
        pair = Pair(self.folder / f"{name}.pem", self.folder / f"{name}.key")
        names = ",".join(alternatives or ("DNS:localhost", "IP:127.0.0.1"))
        request, extensions = self.folder / f"{name}.csr", self.folder / f"{name}.ext"
        extensions.write_text(f"subjectAltName={names}\nbasicConstraints=CA:FALSE\n")
        subject = f"/CN={common_name or name}"
        openssl("req", "-new", "-utf8", *CURVE, "-nodes", "-subj", subject, "-keyout", pair.keyfile, "-out", request)
        openssl(
            *("x509", "-req", "-in", request, "-CA", self.certfile, "-CAkey", self._keyfile, "-CAcreateserial"),
            *("-days", str(days), "-extfile", extensions, "-out", pair.certfile),
        )
        return pair

    def revoke(self, pair: Pair) -> Path:
        """The list of all certificates that have been revoked so far, with this one."""
        database, conf, listed = self.folder / "index.txt", self.folder / "crl.conf", self.folder / "revoked.crl"
        database.touch()
        (self.folder / "crlnumber").write_text("01\n")
        conf.write_text(
            "[ca]\ndefault_ca=ours\n[ours]\ndefault_md=sha256\ndefault_crl_days=30\n"
            f"database={database}\ncrlnumber={self.folder / 'crlnumber'}\n"
        )
        signer = ("ca", "-config", conf, "-cert", self.certfile, "-keyfile", self._keyfile)
        openssl(*signer, "-revoke", pair.certfile)
        openssl(*signer, "-gencrl", "-out", listed)
        return listed

    def context(self, client: Pair | None = None) -> ssl.SSLContext:
        """What a client needs that trusts this authority, and shows a certificate if it has one."""
        context = ssl.create_default_context(cafile=str(self.certfile))
        if client is not None:
            context.load_cert_chain(client.certfile, client.keyfile)
        return context
