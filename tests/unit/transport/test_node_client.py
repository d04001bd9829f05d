"""A node's answers as its client reads them, over a real socket with mutual TLS."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from fastapi import FastAPI, Request

from gridledger.errors import GridLedgerError
from gridledger.identity.msp import MSP, MSPManager
from gridledger.transport import node_client
from gridledger.transport.node_client import AnswerTooLarge, NodeClient
from gridledger.web import ServerSettings, StreamResponse, TLSFiles, WebServer, create_app, json_response
from tests.support.paper import PaperOrganisation
from tests.support.processes import free_ports

BOUND = 10_000


async def chunks(size: int) -> AsyncIterator[bytes]:
    for _ in range(size // 100):
        yield b"x" * 100


def routes(app: FastAPI) -> None:
    @app.get("/whole/{size}")
    async def whole(request: Request, size: int):
        return json_response(b"x" * size)

    @app.get("/chunked/{size}")
    async def chunked(request: Request, size: int):
        return StreamResponse(chunks(size))


@asynccontextmanager
async def node(folder: Path) -> AsyncIterator[NodeClient]:
    org, port = PaperOrganisation("Org1MSP"), free_ports(1)[0]
    org.issue("server", "peer").save(folder)
    msps = MSPManager({"Org1MSP": MSP("Org1MSP", [org.root])})
    app = create_app("test", lambda certificate: msps.identify(certificate, time.time_ns() // 1000))
    routes(app)
    tls = TLSFiles(folder / "cert.pem", folder / "key.pem", [org.root])
    async with (
        WebServer(app, ServerSettings("127.0.0.1", port, tls)),
        NodeClient(f"https://localhost:{port}", org.issue("alice", "client"), org.root) as client,
    ):
        yield client


async def test_an_answer_beyond_the_bound_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node_client, "MAX_ANSWER_BYTES", BOUND)
    async with node(tmp_path) as client:
        for path in ("/whole", "/chunked"):
            assert await client.get(f"{path}/{BOUND}") == b"x" * BOUND
            with pytest.raises(AnswerTooLarge, match=f"longer than {BOUND} bytes"):
                await client.get(f"{path}/{BOUND + 100}")
            assert await client.get(f"{path}/100") == b"x" * 100


async def test_an_error_comes_back_as_the_node_raised_it(tmp_path: Path) -> None:
    async with node(tmp_path) as client:
        with pytest.raises(GridLedgerError) as caught:
            await client.get("/nowhere")
        assert (caught.value.code, caught.value.status) == ("ROUTE_NOT_FOUND", 404)
