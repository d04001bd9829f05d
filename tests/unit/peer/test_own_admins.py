"""Whom a peer takes for an admin of its own organisation: by its local MSP, whatever its channels say."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest
from fastapi import FastAPI, Request
from starlette.responses import JSONResponse, Response

from gridledger.errors import AuthenticationError, GridLedgerError
from gridledger.identity.certificate import Certificate
from gridledger.identity.local_msp import LocalMSP
from gridledger.identity.msp import Identity
from gridledger.protocol.config import ChannelConfig, Organisation
from gridledger.web.metrics_access import own_admins_and
from services.peer.channel import Channel, Channels
from services.peer.peer import Peer
from services.peer.routes import make_router
from tests.support.paper import PaperNetwork, PaperOrganisation, PaperPeer


class OnlyWhoCalls(Peer):
    """As much of a peer as knows who calls."""

    def __init__(self, channels: Iterable[Channel], local: LocalMSP) -> None:
        self.channels = Channels({channel.name: channel for channel in channels})
        self.local = local
        self.settings = cast("Any", SimpleNamespace(mspid="Org1MSP"))


@pytest.fixture
def paper() -> PaperNetwork:
    return PaperNetwork()


@pytest.fixture
def channel(paper: PaperNetwork, tmp_path: Path) -> Channel:
    return Channel(PaperPeer(tmp_path, paper).ledger)


@pytest.fixture
def local(paper: PaperNetwork, tmp_path: Path) -> LocalMSP:
    paper.organisations["Org1MSP"].furnish(paper.peers["peer1"], tmp_path / "msp")
    return LocalMSP.open(tmp_path / "msp", "Org1MSP")


def is_admin(peer: Peer, certificate: Certificate) -> bool:
    return peer.is_own_admin(peer.authenticate(certificate))


def with_entry(config: ChannelConfig, entry: Organisation) -> ChannelConfig:
    return replace(config, organisations={**config.organisations, entry.mspid: entry})


def test_a_channels_admins_make_themselves_no_admins_of_a_peer(
    paper: PaperNetwork, channel: Channel, local: LocalMSP
) -> None:
    """They gave the organisation a root of theirs, and could install chaincode on its peers."""
    ours, theirs = paper.organisations["Org1MSP"], PaperOrganisation("Org1MSP")
    channel.config = with_entry(paper.config, Organisation("Org1MSP", (theirs.root, ours.root)))
    peer = OnlyWhoCalls([channel], local)
    assert is_admin(peer, ours.issue("admin", "admin").certificate)
    for nobody in (theirs.issue("admin", "admin"), ours.issue("admin", "client"), paper.admins["Org2MSP"]):
        assert not is_admin(peer, nobody.certificate)


def test_an_admin_whom_no_channel_knows_is_known_to_its_own_peer(
    paper: PaperNetwork, channel: Channel, local: LocalMSP
) -> None:
    ours = paper.organisations["Org1MSP"]
    channel.config = with_entry(
        paper.config, Organisation("Org1MSP", (ours.root,), crls=(ours.crl(paper.admins["Org1MSP"]),))
    )
    for peer in (OnlyWhoCalls([], local), OnlyWhoCalls([channel], local)):
        assert is_admin(peer, paper.admins["Org1MSP"].certificate)
    for nobody in (paper.client, paper.admins["Org2MSP"]):
        with pytest.raises(AuthenticationError):
            OnlyWhoCalls([], local).authenticate(nobody.certificate)


async def test_a_list_that_an_admin_brings_holds_at_once(
    paper: PaperNetwork, channel: Channel, local: LocalMSP
) -> None:
    peer, ours = OnlyWhoCalls([channel], local), paper.organisations["Org1MSP"]
    fired, boss = paper.admins["Org1MSP"].certificate, ours.issue("boss", "admin").certificate
    crl = ours.crl(paper.admins["Org1MSP"], number=2).encode()
    for nobody in (paper.client, paper.admins["Org2MSP"], paper.peers["peer1"]):
        answer = await brought(peer, nobody.certificate, crl)
        assert (answer.status_code, answer.json()["code"]) == (403, "PERMISSION_DENIED")
    assert is_admin(peer, fired)
    answer = await brought(peer, boss, crl)
    assert answer.status_code == 200
    assert [(item["number"], item["revoked"]) for item in answer.json()["lists"]] == [(2, 1)]
    assert not is_admin(peer, fired)
    assert (await brought(peer, fired, ours.crl(number=3).encode())).status_code == 403
    assert (await brought(peer, boss, ours.crl(number=1).encode())).json()["code"] == "CONFLICT"
    assert (await brought(peer, boss, b"x" * (600 * 1024))).status_code == 413


def test_metrics_are_read_by_own_admins_and_whom_the_settings_name(
    paper: PaperNetwork, channel: Channel, local: LocalMSP
) -> None:
    peer = OnlyWhoCalls([channel], local)
    may = own_admins_and(["Org2MSP/client"], peer.is_own_admin)
    callers = [paper.admins["Org1MSP"], paper.clients["Org2MSP"], paper.admins["Org2MSP"], paper.client]
    assert [may(peer.authenticate(caller.certificate)) for caller in callers] == [True, True, False, False]


async def brought(peer: Peer, certificate: Certificate, body: bytes) -> httpx.Response:
    """What the route answers whoever has this certificate."""
    app = FastAPI()
    app.include_router(make_router(peer))
    caller: Identity = peer.authenticate(certificate)

    @app.middleware("http")
    async def as_caller(request: Request, call_next: Any) -> Response:
        request.state.caller = caller
        answer: Response = await call_next(request)
        return answer

    @app.exception_handler(GridLedgerError)
    async def refused(_: Request, error: GridLedgerError) -> Response:
        return JSONResponse(error.to_dict(), error.status)

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="https://peer1") as client:
        return await client.post("/admin/revocations", content=body)
