"""A real server on a socket with real certificates, and its fixtures: ``free_port``, ``house`` and ``start``."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from gridledger.identity.msp import MSP, MSPManager
from gridledger.identity.signer import SigningIdentity
from gridledger.transport.node_client import client_tls
from gridledger.web import Limits, ServerSettings, TLSFiles, WebServer, admins_and, by_certificate, create_app
from tests.support.paper import PaperOrganisation
from tests.support.processes import free_ports


@dataclass
class House:
    """The organisations of the tests, a server's folder, and whom the server trusts."""

    org: PaperOrganisation
    foreign: PaperOrganisation
    server: Path
    msps: MSPManager

    def authenticate(self, certificate):
        return self.msps.identify(certificate, time.time_ns() // 1000)

    def revoke(self, *identities: SigningIdentity) -> None:
        self.msps = MSPManager({"Org1MSP": MSP("Org1MSP", [self.org.root], [self.org.crl(*identities)])})

    def client_context(self, identity: SigningIdentity | None) -> ssl.SSLContext:
        return client_tls(identity, self.org.root)


@pytest.fixture
def free_port() -> int:
    return free_ports(1)[0]


@pytest.fixture
def house(tmp_path: Path) -> House:
    org, foreign, server = PaperOrganisation("Org1MSP"), PaperOrganisation("ForeignMSP"), tmp_path / "server"
    org.issue("server", "peer").save(server)
    return House(org, foreign, server, MSPManager({"Org1MSP": MSP("Org1MSP", [org.root])}))


@dataclass
class Running:
    """A server that listens, and clients for it."""

    house: House
    app: FastAPI
    server: WebServer
    port: int

    @asynccontextmanager
    async def client(self, identity: SigningIdentity | None) -> AsyncIterator[httpx.AsyncClient]:
        context = self.house.client_context(identity)
        async with httpx.AsyncClient(verify=context, base_url=f"https://localhost:{self.port}", timeout=10) as client:
            yield client

    async def raw(self, identity: SigningIdentity | None) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("localhost", self.port, ssl=self.house.client_context(identity))


@pytest.fixture
def start(house: House, free_port: int) -> Callable[..., object]:
    """``async with start(limits, routes) as running``."""

    @asynccontextmanager
    async def starter(limits: Limits | None = None, routes=None, **options) -> AsyncIterator[Running]:
        options.setdefault("may_read_metrics", admins_and(["Org1MSP/alice"], ["Org1MSP"]))
        app = create_app("test", by_certificate(house.authenticate), limits, node="node1", **options)
        if routes is not None:
            routes(app)
        tls = TLSFiles(house.server / "cert.pem", house.server / "key.pem", [house.org.root])
        async with WebServer(app, ServerSettings("127.0.0.1", free_port, tls, graceful_stop_s=3)) as server:
            yield Running(house, app, server, free_port)

    return starter
