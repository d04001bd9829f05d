"""Which resources an orderer asks about, and whom it admits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gridledger.errors import GridLedgerError, PermissionDeniedError
from gridledger.identity.msp import Identity
from gridledger.identity.signer import SigningIdentity
from gridledger.protocol import acls
from gridledger.protocol.config import Organisation
from services.orderer.orderer import Orderer
from services.orderer.routes import make_router, plain_routes
from services.orderer.submission import check_submission
from tests.support.paper import NOW_US, PaperNetwork, PaperOrganisation

CLOSED = "/Channel/Orderer/Readers"


@pytest.fixture
def paper() -> PaperNetwork:
    return PaperNetwork()


def orderer_of(paper: PaperNetwork) -> Any:
    """As much of an orderer as says who may do what on the channel."""
    return SimpleNamespace(
        settings=SimpleNamespace(limits=SimpleNamespace(stream_chunk_bytes=1)),
        clock_us=lambda: NOW_US,
        channel=lambda _: SimpleNamespace(config=paper.config),
        is_own_admin=lambda _: False,
    )


def admits(paper: PaperNetwork, signer: SigningIdentity, resource: str) -> bool:
    caller = Identity(signer.mspid, "", signer.certificate)
    try:
        Orderer.authorise(orderer_of(paper), "shard1", caller, resource)
    except PermissionDeniedError:
        return False
    return True


def test_an_orderer_admits_the_application_to_its_blocks_and_not_the_observers(paper: PaperNetwork) -> None:
    room = PaperOrganisation("ControlRoomMSP")
    member = Organisation("ControlRoomMSP", (room.root,), kind="observer")
    paper.config = replace(paper.config, organisations={**paper.config.organisations, "ControlRoomMSP": member})
    operator = room.issue("operator", "client")
    for resource in (acls.DELIVER, acls.BROADCAST):
        assert admits(paper, paper.client, resource)
        assert admits(paper, paper.peers["peer1"], resource)
        assert admits(paper, paper.orderers["orderer2"], resource)
        assert not admits(paper, operator, resource)
    assert admits(paper, paper.orderer_admin, acls.BROADCAST)
    assert not admits(paper, paper.orderer_admin, acls.DELIVER)


@pytest.mark.parametrize(
    ("closed", "channels"),
    [
        ((), {"client": ["shard1"], "operator": ["shard1"]}),
        ((acls.CHAIN_INFO,), {"client": ["shard1"], "operator": []}),
        ((acls.CHAIN_INFO, acls.DELIVER), {"client": [], "operator": []}),
    ],
)
def test_observers_hear_how_far_a_channel_is(
    closed: tuple[str, ...], channels: dict[str, list[str]], paper: PaperNetwork
) -> None:
    room = PaperOrganisation("ControlRoomMSP")
    member = Organisation("ControlRoomMSP", (room.root,), kind="observer")
    organisations = {**paper.config.organisations, "ControlRoomMSP": member}
    paper.config = replace(paper.config, organisations=organisations, acls=dict.fromkeys(closed, CLOSED))
    orderer = orderer_of(paper)
    orderer.channels = {"shard1": None}
    orderer.certificate = paper.orderers["orderer1"].certificate
    orderer.settings = SimpleNamespace(name="orderer1", mspid="OrdererMSP")
    orderer.describe = lambda _: {"height": 3, "leader": "orderer1", "queued": 9}
    for name in ("authorise", "_may_know", "_told_to_members"):
        setattr(orderer, name, partial(getattr(Orderer, name), orderer))
    for name, signer in (("client", paper.client), ("operator", room.issue("operator", "client"))):
        told = Orderer.status(orderer, Identity(signer.mspid, "client", signer.certificate))
        assert told["channels"] == {channel: {"height": 3, "leader": "orderer1"} for channel in channels[name]}
        assert told.keys() == {"node", "mspid", "version", "certificate_not_after_us", "channels"}


@pytest.mark.parametrize("route", ["", "/deliver", "/blocks/0/hash"])
async def test_a_route_asks_about_blocks(route: str, paper: PaperNetwork) -> None:
    paper.config = replace(paper.config, acls={acls.DELIVER: CLOSED})
    orderer = orderer_of(paper)
    orderer.authorise = lambda *args: Orderer.authorise(orderer, *args)
    orderer.told = lambda *args: Orderer.told(orderer, *args)
    app = FastAPI()
    app.include_router(make_router(orderer))

    @app.middleware("http")
    async def as_caller(request: Request, call_next: Callable[[Request], Any]) -> Response:
        request.state.caller = paper.identity(paper.client)
        return await call_next(request)

    @app.exception_handler(GridLedgerError)
    async def refused(_: Request, error: GridLedgerError) -> Response:
        return JSONResponse(error.to_dict(), error.status)

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="https://orderer1") as client:
        answer = await client.get(f"/channels/shard1{route}")
    assert answer.status_code == 403
    assert answer.json()["details"] == {"resource": "orderer/Deliver", "policy": CLOSED}


async def test_ordering_asks_about_broadcasting(paper: PaperNetwork) -> None:
    paper.config = replace(paper.config, acls={acls.BROADCAST: CLOSED})
    orderer = orderer_of(paper)
    orderer.authorise = lambda *args: Orderer.authorise(orderer, *args)
    (broadcast,) = plain_routes(orderer)
    request = SimpleNamespace(parameter="shard1", caller=paper.identity(paper.client))
    with pytest.raises(PermissionDeniedError) as caught:
        await broadcast._handler(cast("Any", request))
    assert caught.value.details == {"resource": "orderer/Broadcast", "policy": CLOSED}


def test_the_creator_of_a_transaction_must_be_admitted_too(paper: PaperNetwork) -> None:
    closed = replace(paper.config, acls={acls.BROADCAST: CLOSED})
    check_submission(paper.transaction().to_bytes(), paper.config, NOW_US)
    with pytest.raises(
        PermissionDeniedError, match=r"may not use orderer/Broadcast on shard1: that asks for /Channel/Or"
    ):
        check_submission(paper.transaction().to_bytes(), closed, NOW_US)
