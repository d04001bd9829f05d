"""What each of a peer's routes asks about: a resource, and of whom the channel's configuration has it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gridledger.errors import GridLedgerError, PermissionDeniedError
from gridledger.identity.msp import Identity
from gridledger.ledger import Ledger
from gridledger.protocol import acls
from gridledger.protocol.config import Organisation
from services.peer.channel import Channel, Channels
from services.peer.routes import make_router
from tests.support.paper import PaperNetwork, PaperOrganisation, PaperPeer, paper_policies

ROUTES = {
    "/channels/shard1": acls.CHAIN_INFO,
    "/channels/shard1/config": acls.CHANNEL_CONFIG,
    "/channels/shard1/peers": acls.PEERS,
    "/channels/shard1/chaincodes/kv": acls.CHAINCODE_DEFINITION,
    "/channels/shard1/blocks/0": acls.BLOCK_BY_NUMBER,
    "/channels/shard1/blocks/0?format=raw": acls.BLOCK_BY_NUMBER,
    f"/channels/shard1/blocks/by-hash/{'0' * 64}": acls.BLOCK_BY_NUMBER,
    "/channels/shard1/headers?from=0&limit=2": acls.BLOCK_BY_NUMBER,
    "/channels/shard1/transactions": acls.BLOCK_BY_NUMBER,
    "/channels/shard1/transactions?prefix=00": acls.BLOCK_BY_NUMBER,
    "/channels/shard1/transactions/00": acls.TRANSACTION_BY_ID,
    "/channels/shard1/history/kv?key=a": acls.HISTORY,
    "/channels/shard1/events/blocks": acls.FILTERED_BLOCK_EVENTS,
    "/channels/shard1/events/full-blocks": acls.BLOCK_EVENTS,
    "/channels/shard1/events/chaincode?chaincode=kv": acls.CHAINCODE_EVENTS,
}


@pytest.fixture(scope="module")
def paper() -> PaperNetwork:
    return PaperNetwork()


@pytest.fixture(scope="module")
def ledger(paper: PaperNetwork, tmp_path_factory: pytest.TempPathFactory) -> Ledger:
    return PaperPeer(tmp_path_factory.mktemp("ledger"), paper).ledger


@pytest.fixture
def channel(ledger: Ledger) -> Channel:
    """A channel whose configuration a test may change."""
    return Channel(ledger)


async def asked(channel: Channel, caller: Identity, route: str) -> httpx.Response:
    """What a peer that has this channel answers this caller."""
    peer = SimpleNamespace(channels=Channels({channel.name: channel}), is_own_admin=lambda _: False)
    app = FastAPI()
    app.include_router(make_router(cast("Any", peer)))

    @app.middleware("http")
    async def as_caller(request: Request, call_next: Callable[[Request], Any]) -> Response:
        request.state.caller = caller
        return await call_next(request)

    @app.exception_handler(GridLedgerError)
    async def refused(_: Request, error: GridLedgerError) -> Response:
        return JSONResponse(error.to_dict(), error.status)

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="https://peer1") as client:
        return await client.get(route)


@pytest.mark.parametrize(("route", "resource"), ROUTES.items())
async def test_a_route_asks_about_its_resource(
    route: str, resource: str, paper: PaperNetwork, channel: Channel
) -> None:
    """Of all resources that one alone is closed to the caller."""
    closed = "/Channel/Orderer/Readers"
    channel.config = replace(paper.config, acls={resource: closed})
    answer = await asked(channel, paper.identity(paper.client), route)
    assert answer.status_code == 403
    assert answer.json()["details"] == {"resource": resource, "policy": closed}
    assert answer.json()["message"] == (
        f"client 'client' of Org1MSP may not use {resource} on shard1: that asks for {closed} (ANY Readers)"
    )


@pytest.mark.parametrize(
    "route",
    [route for route in ROUTES if not any(part in route for part in ("/events/", "/transactions/", "/by-hash/"))],
)
async def test_a_route_is_open_where_the_others_are_closed(route: str, paper: PaperNetwork, channel: Channel) -> None:
    others = {resource: "/Channel/Orderer/Readers" for resource in acls.DEFAULT_ACLS if resource != ROUTES[route]}
    channel.config = replace(paper.config, acls=others)
    assert (await asked(channel, paper.identity(paper.client), route)).status_code == 200


async def test_a_channel_that_the_caller_may_not_know_of_is_not_listed(paper: PaperNetwork, channel: Channel) -> None:
    caller = paper.identity(paper.client)
    assert (await asked(channel, caller, "/channels")).json() == {"channels": ["shard1"]}
    channel.config = replace(paper.config, acls={acls.CHAIN_INFO: "/Channel/Orderer/Readers"})
    assert (await asked(channel, caller, "/channels")).json() == {"channels": []}


def test_an_observer_reads_and_writes_nothing(paper: PaperNetwork, channel: Channel) -> None:
    room = PaperOrganisation("ControlRoomMSP")
    member = Organisation("ControlRoomMSP", (room.root,), kind="observer")
    channel.config = replace(paper.config, organisations={**paper.config.organisations, "ControlRoomMSP": member})
    operator = channel.identify(room.issue("operator", "client").certificate, paper.genesis.header.timestamp_us)
    for resource in acls.DEFAULT_ACLS:
        writes = resource in (acls.PROPOSE, acls.SUBMIT, acls.BROADCAST, acls.DELIVER)
        if writes:
            with pytest.raises(PermissionDeniedError, match=f"may not use {resource}"):
                channel.require(resource, operator)
        else:
            channel.require(resource, operator)


def test_readers_of_the_application_alone_keep_observers_out(paper: PaperNetwork, channel: Channel) -> None:
    channel.config = replace(paper.config, policies=paper_policies({"Channel/Readers": "any.admin"}))
    channel.require(acls.EVALUATE, paper.identity(paper.admins["Org2MSP"]))
    with pytest.raises(PermissionDeniedError, match=r"asks for /Channel/Readers \(any.admin\)"):
        channel.require(acls.EVALUATE, paper.identity(paper.client))
