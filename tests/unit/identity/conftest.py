"""A small PKI made by the openssl command: what the ledger reads here it has not written itself."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

ATTRIBUTES = '{"attrs":{"group":"2","hf.Registrar":"true"}}'


class OpenSSL:
    """One CA in a folder. All texts are PEM."""

    def __init__(self, folder: Path, name: str = "root", key: tuple[str, ...] = ()) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        (folder / "index.txt").touch()
        (folder / "crlnumber").write_text("01\n")
        (folder / "ca.cnf").write_text(
            "[ca]\ndefault_ca=d\n[d]\ndatabase=index.txt\ncrlnumber=crlnumber\ndefault_md=sha256\ndefault_crl_days=30\n"
            "certificate=root.pem\nprivate_key=root.key\nunique_subject=no\n"
        )
        self.make_root(name, key)

    def run(self, *arguments: str) -> str:
        done = subprocess.run(
            ["openssl", *arguments], cwd=self.folder, check=False, capture_output=True, text=True, timeout=30
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def new_key(self, path: str, kind: tuple[str, ...] = ()) -> None:
        self.run("genpkey", *(kind or ("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")), "-out", path)

    def make_root(self, name: str, key: tuple[str, ...] = (), *, ca: bool = True) -> str:
        self.new_key("root.key", key)
        self.run(
            *("req", "-x509", "-new", "-key", "root.key", "-out", "root.pem", "-days", "3650", "-subj", f"/CN={name}"),
            *("-addext", f"basicConstraints=critical,CA:{'true' if ca else 'false'}"),
            *("-addext", "keyUsage=critical,keyCertSign,cRLSign,digitalSignature"),
        )
        return self.root

    @property
    def root(self) -> str:
        return (self.folder / "root.pem").read_text()

    def issue(
        self,
        subject: str = "/OU=peer/CN=peer1",
        *extensions: str,
        key: tuple[str, ...] = (),
        name: str = "leaf",
        digest: str = "sha256",
    ) -> str:
        self.new_key(f"{name}.key", key)
        self.run("req", "-new", "-key", f"{name}.key", "-subj", subject, "-out", f"{name}.csr")
        (self.folder / "ext.cnf").write_text("\n".join(extensions or ("basicConstraints=critical,CA:false",)) + "\n")
        self.run(
            *("x509", "-req", "-in", f"{name}.csr", "-CA", "root.pem", "-CAkey", "root.key", "-days", "365"),
            *(f"-{digest}", "-extfile", "ext.cnf", "-out", f"{name}.pem"),
        )
        return (self.folder / f"{name}.pem").read_text()

    def key_pem(self, name: str = "leaf") -> bytes:
        return (self.folder / f"{name}.key").read_bytes()

    def revoke(self, name: str = "leaf") -> str:
        """Revoke a leaf and return the new list."""
        self.run("ca", "-config", "ca.cnf", "-revoke", f"{name}.pem")
        return self.crl()

    def crl(self) -> str:
        self.run("ca", "-config", "ca.cnf", "-gencrl", "-out", "crl.pem")
        return (self.folder / "crl.pem").read_text()


@pytest.fixture
def new_ca(tmp_path: Path) -> Callable[..., OpenSSL]:
    """Makes CAs: ``new_ca("Org1")``."""
    return lambda name="root", key=(): OpenSSL(tmp_path / f"ca-{name}", name, key)


@pytest.fixture
def ca(new_ca: Callable[..., OpenSSL]) -> OpenSSL:
    return new_ca()
