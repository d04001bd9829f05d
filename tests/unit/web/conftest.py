"""A real server on a socket with real certificates."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from fastapi import FastAPI

from gridledger.identity.msp import MSP, MSPManager
from gridledger.web import Limits, ServerSettings, TLSFiles, WebServer, create_app
from tests.support.processes import free_ports


def _name(common_name: str, *units: str) -> x509.Name:
    parts = [x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, unit) for unit in units]
    return x509.Name([*parts, x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


@dataclass
class Authority:
    """A small CA that writes folders with cert.pem and key.pem."""

    folder: Path
    name: str
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    def __post_init__(self) -> None:
        self.certificate = self._build(_name(self.name), self.key.public_key(), 3650, ca=True)
        self.pem = self.certificate.public_bytes(serialization.Encoding.PEM).decode()
        self.serials: dict[str, int] = {}

    def _build(
        self, subject: x509.Name, public_key: ec.EllipticCurvePublicKey, days: float, *, ca: bool
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(_name(self.name))
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=2))
            .not_valid_after(now + timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=0 if ca else None), critical=True)
        )
        if not ca:
            names = x509.SubjectAlternativeName([x509.DNSName("localhost")])
            builder = builder.add_extension(names, critical=False)
        return builder.sign(self.key, hashes.SHA256())

    def issue(self, common_name: str, role: str = "client", *, days: float = 365) -> Path:
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._build(_name(common_name, role), key.public_key(), days, ca=False)
        self.serials[common_name] = certificate.serial_number
        folder = self.folder / self.name / common_name
        folder.mkdir(parents=True)
        (folder / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        (folder / "key.pem").write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return folder

    def crl(self, *common_names: str) -> str:
        now = datetime.now(UTC)
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(_name(self.name))
            .last_update(now - timedelta(days=1))
            .next_update(now + timedelta(days=1))
        )
        for name in common_names:
            entry = x509.RevokedCertificateBuilder().serial_number(self.serials[name]).revocation_date(now).build()
            builder = builder.add_revoked_certificate(entry)
        return builder.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


@dataclass
class House:
    """The authorities of the tests and who they trust."""

    org: Authority
    foreign: Authority
    server: Path
    msps: MSPManager

    def authenticate(self, certificate):
        return self.msps.identify(certificate, time.time_ns() // 1000)

    def client_context(self, folder: Path | None) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cadata=self.org.pem)
        if folder is not None:
            context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
        return context


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item):
    """Services run on uvloop, others may not: the edge must hold under both."""
    return {"uvloop": uvloop.new_event_loop, "asyncio": asyncio.new_event_loop}


@pytest.fixture
def free_port() -> int:
    return free_ports(1)[0]


@pytest.fixture
def house(tmp_path: Path) -> House:
    org, foreign = Authority(tmp_path, "org1-ca"), Authority(tmp_path, "foreign-ca")
    return House(org, foreign, org.issue("server", "peer"), MSPManager({"Org1MSP": MSP("Org1MSP", [org.pem])}))


@dataclass
class Running:
    """A server that listens, and clients for it."""

    house: House
    app: FastAPI
    server: WebServer
    port: int

    @asynccontextmanager
    async def client(self, folder: Path | None) -> AsyncIterator[httpx.AsyncClient]:
        context = self.house.client_context(folder)
        async with httpx.AsyncClient(verify=context, base_url=f"https://localhost:{self.port}", timeout=10) as client:
            yield client

    async def raw(self, folder: Path | None) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("localhost", self.port, ssl=self.house.client_context(folder))


@pytest.fixture
def start(house: House, free_port: int) -> Callable[..., object]:
    """``async with start(limits, routes) as running``."""

    @asynccontextmanager
    async def starter(limits: Limits | None = None, routes=None, **options) -> AsyncIterator[Running]:
        app = create_app("test", house.authenticate, limits, node="node1", **options)
        if routes is not None:
            routes(app)
        tls = TLSFiles(house.server / "cert.pem", house.server / "key.pem", [house.org.pem])
        async with WebServer(app, ServerSettings("127.0.0.1", free_port, tls, graceful_stop_s=3)) as server:
            yield Running(house, app, server, free_port)

    return starter
