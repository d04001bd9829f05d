"""A time stamp authority made by openssl: its CA, its certificates, its answers, and a real HTTP server of it."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

QUERY = "application/timestamp-query"
REPLY = "application/timestamp-reply"
NAME = "/O=Stamps/CN=Time Stamp Authority"
_CONFIG = """
[req]
distinguished_name = nobody
prompt = no
[nobody]
CN = nobody
[root]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
[stamping]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = critical,timeStamping
authorityKeyIdentifier = keyid
[signing]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = critical,codeSigning
[ca]
default_ca = issuer
[issuer]
database = {folder}/index.txt
new_certs_dir = {folder}
default_md = sha256
policy = any
unique_subject = no
rand_serial = yes
[any]
organizationName = optional
commonName = supplied
[tsa]
default_tsa = authority
[authority]
serial = {folder}/serial
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = {digests}
{accuracy}
ess_cert_id_alg = sha256
"""


def openssl(*arguments: object) -> bytes:
    """Run openssl; what it wrote."""
    done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


@dataclass
class TSA:
    """An authority in a folder: ``root`` is trusted, ``certificate`` signs, both files."""

    folder: Path
    root: Path = field(init=False)
    certificate: Path = field(init=False)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "index.txt").touch()
        (self.folder / "serial").write_text("01\n")
        self._configure()
        self.root = self.folder / "root.pem"
        for name in ("root", "signer"):
            openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", self.key(name))
        about = ("-subj", "/O=Stamps/CN=Root", "-days", 3650)
        openssl(
            "req",
            "-new",
            "-x509",
            *self._config,
            "-extensions",
            "root",
            "-key",
            self.key("root"),
            *about,
            "-out",
            self.root,
        )
        self.certificate = self.issue("tsa.pem")

    @property
    def _config(self) -> tuple[object, ...]:
        return "-config", self.folder / "openssl.cnf"

    def _configure(self, digests: str = "sha256, sha512", accuracy: str = "accuracy = secs:1, millisecs:500") -> None:
        text = _CONFIG.format(folder=self.folder, digests=digests, accuracy=accuracy)
        (self.folder / "openssl.cnf").write_text(text)

    def key(self, name: str) -> Path:
        """A key's file."""
        return self.folder / f"{name}.key"

    def issue(
        self,
        name: str,
        extensions: str = "stamping",
        *,
        subject: str = NAME,
        begin: str = "20200101000000Z",
        end: str = "20490101000000Z",
        key: str = "signer",
        by: str = "root",
    ) -> Path:
        """A certificate of the signer's key, or another's."""
        if not self.key(key).exists():
            openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", self.key(key))
        request, made = self.folder / f"{name}.csr", self.folder / name
        openssl("req", "-new", *self._config, "-key", self.key(key), "-subj", subject, "-out", request)
        issuer = ("-cert", self.folder / f"{by}.pem", "-keyfile", self.key(by))
        times = ("-startdate", begin, "-enddate", end)
        openssl(
            "ca",
            "-batch",
            "-notext",
            *self._config,
            "-extensions",
            extensions,
            *issuer,
            *times,
            "-in",
            request,
            "-out",
            made,
        )
        return made

    def reply(
        self,
        query: bytes,
        *,
        certificate: Path | None = None,
        chain: Path | None = None,
        digests: str = "sha256, sha512",
        accuracy: str = "accuracy = secs:1, millisecs:500",
    ) -> bytes:
        """The answer to a request, by ``openssl ts -reply``; it takes requests over ``digests`` alone."""
        self._configure(digests, accuracy)
        asked, answered = self.folder / "asked.tsq", self.folder / "answered.tsr"
        asked.write_bytes(query)
        signer = ("-inkey", self.key("signer"), "-signer", certificate or self.certificate)
        more = () if chain is None else ("-chain", chain)
        openssl("ts", "-reply", *self._config, "-queryfile", asked, *signer, *more, "-out", answered)
        return answered.read_bytes()

    def signed_by(self, reply: bytes, certificate: Path, key: str = "signer") -> bytes:
        """A reply's own text signed anew, by a certificate that ``openssl ts`` would not take."""
        old, token, text, new = (self.folder / f"resigned.{name}" for name in ("tsr", "token", "text", "new"))
        old.write_bytes(reply)
        openssl("ts", "-reply", "-in", old, "-token_out", "-out", token)
        openssl("cms", "-verify", "-noverify", "-binary", "-inform", "DER", "-in", token, "-out", text)
        signer = ("-signer", certificate, "-inkey", self.key(key), "-md", "sha256")
        kind = ("-econtent_type", "1.2.840.113549.1.9.16.1.4")
        openssl(
            "cms",
            "-sign",
            "-binary",
            "-nodetach",
            "-cades",
            "-in",
            text,
            *signer,
            *kind,
            "-outform",
            "DER",
            "-out",
            new,
        )
        return _sequence(_sequence(b"\x02\x01\x00") + new.read_bytes())


def verified_by_openssl(reply: Path, data: Path, roots: Path) -> bool:
    """Whether ``openssl ts -verify`` takes a stamp over a file."""
    command = ["openssl", "ts", "-verify", "-in", str(reply), "-data", str(data), "-CAfile", str(roots)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _sequence(content: bytes) -> bytes:
    size = len(content)
    length = bytes([size]) if size < 128 else bytes([0x82]) + size.to_bytes(2, "big")
    return b"\x30" + length + content


@dataclass
class Answer:
    """What a server answers: parts of a body, with ``before_part`` called before each."""

    body: list[bytes]
    status: int = 200
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": REPLY})
    before_part: Callable[[], object] = lambda: None


@contextmanager
def serving(answer: Callable[[bytes, dict[str, str]], Answer]) -> Iterator[str]:
    """A real HTTP server that answers a body and the headers that came with it; its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            told = answer(body, {name.lower(): value for name, value in self.headers.items()})
            self.send_response(told.status)
            for name, value in told.headers.items():
                self.send_header(name, value)
            self.end_headers()
            try:
                for part in told.body:
                    told.before_part()
                    self.wfile.write(part)
                    self.wfile.flush()
            except OSError:
                return  # whoever asked has gone

        def log_message(self, *_: object) -> None:
            """Nothing is logged."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/tsr"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
