"""One client at the edge of a real server takes all it can get; others and those with places of their own go on."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest
from fastapi import FastAPI, Request

from gridledger.errors import BusyError
from gridledger.transport.node_client import NodeClient
from gridledger.web import Limits, Reserve, StreamResponse, json_response, read_body
from tests.support.calls import ECHO, HOLD, calling
from tests.support.waiting import until


class Held:
    """A route that answers when it is told to, a stream without end, and one that takes large bodies."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()

    def routes(self, app: FastAPI) -> None:
        @app.get("/hold")
        async def hold(request: Request):
            await self.go_on.wait()
            return json_response({})

        @app.get("/quick")
        async def quick(request: Request):
            return json_response({})

        @app.post("/store")
        async def store(request: Request):
            size = len(await read_body(request))
            await self.go_on.wait()
            return json_response({"size": size})

        @app.get("/stream")
        async def stream(request: Request):
            return StreamResponse(self.numbers(), "application/x-ndjson")

    async def numbers(self):
        yield b"0\n"
        await self.go_on.wait()


@pytest.fixture
def held() -> Held:
    return Held()


async def test_one_client_fills_the_edge_and_others_are_served(house, start, held):
    greedy, other = house.org.issue("greedy", "client"), house.org.issue("other", "client")
    async with (
        start(Limits(max_requests=16), held.routes) as running,
        running.client(greedy) as mine,
        running.client(other) as theirs,
    ):
        asked = [asyncio.ensure_future(mine.get("/hold")) for _ in range(30)]
        await until(lambda: sum(item.done() for item in asked) == 16)
        assert {item.result().status_code for item in asked if item.done()} == {429}
        assert running.app.edge.requests.used == 14
        for _ in range(20):
            assert (await theirs.get("/quick")).status_code == 200
        held.go_on.set()
        done = await asyncio.gather(*asked)
        assert [item.status_code for item in done].count(200) == 14
    assert running.app.edge.requests.used == 0


async def test_a_second_certificate_of_a_client_has_no_share_of_its_own(house, start, held):
    async with start(Limits(max_requests=16), held.routes) as running, AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(running.client(house.org.issue("greedy", "client"))) for _ in range(2)
        ]
        asked = [asyncio.ensure_future(client.get("/hold")) for client in clients for _ in range(20)]
        await until(lambda: sum(item.done() for item in asked) == 26)
        assert len(running.app.edge.requests._holders) == 1
        held.go_on.set()
        await asyncio.gather(*asked)


async def test_nodes_have_places_beside_the_common_ones(house, start, held):
    reserve = Reserve("nodes", 1)
    limits = Limits(max_requests=1)
    node, client = house.org.issue("peer9", "peer"), house.org.issue("alice", "client")
    async with (
        start(limits, held.routes, reserve_of=lambda c: reserve if c.role == "peer" else None) as running,
        running.client(client) as mine,
        running.client(node) as theirs,
    ):
        waiting = asyncio.ensure_future(mine.get("/hold"))
        await until(lambda: running.app.edge.requests.used == 1)
        assert (await mine.get("/quick")).status_code == 429
        assert (await theirs.get("/quick")).status_code == 200
        assert reserve.requests.used == 0
        held.go_on.set()
        await waiting


async def test_a_stream_gives_way_to_a_caller_without_one(house, start, held):
    async with start(Limits(max_streams=4), held.routes) as running, AsyncExitStack() as stack:

        async def node(name: str) -> NodeClient:
            identity = house.org.issue(name, "client")
            made = NodeClient(f"https://localhost:{running.port}", identity, house.org.root)
            return await stack.enter_async_context(made)

        greedy, other = await node("greedy"), await node("other")
        streams = [greedy.lines("/stream") for _ in range(3)]
        assert [await anext(lines) for lines in streams] == [b"0"] * 3
        with pytest.raises(BusyError):
            await anext(greedy.lines("/stream"))
        theirs = [other.lines("/stream"), (await node("third")).lines("/stream")]
        assert [await anext(lines) for lines in theirs] == [b"0", b"0"]
        with pytest.raises(BusyError, match="make room"):
            await anext(streams[-1])
        assert running.app.edge.streams.used == 4
        held.go_on.set()


async def test_large_bodies_are_bounded_by_their_sum(house, start, held):
    limits = Limits(max_held_bytes=8_000_000, max_body_bytes=2_000_000)
    greedy, other = house.org.issue("greedy", "client"), house.org.issue("other", "client")
    body = b"x" * 1_000_000
    async with start(limits, held.routes) as running:
        async with running.client(greedy) as mine, running.client(other) as theirs:
            asked = [asyncio.ensure_future(mine.post("/store", content=body)) for _ in range(20)]
            await until(lambda: sum(item.done() for item in asked) == 13)
            assert running.app.edge.bodies.used <= 7_000_000
            late = asyncio.ensure_future(theirs.post("/store", content=body[:400_000]))
            await until(lambda: running.app.edge.bodies.used > 7_000_000)
            held.go_on.set()
            assert (await late).status_code == 200
            assert [item.status_code for item in await asyncio.gather(*asked)].count(200) == 7
        await until(lambda: running.app.edge.bodies.used == 0)


async def test_calls_in_a_stream_share_the_places_of_requests(house, start, service):
    greedy, other = house.org.issue("greedy", "client"), house.org.issue("other", "client")
    async with (
        start(Limits(max_requests=16), service.routes) as running,
        calling(running, greedy) as mine,
        calling(running, other) as theirs,
    ):
        asked = [asyncio.ensure_future(mine.call(HOLD, b"", 10)) for _ in range(40)]
        await until(lambda: sum(item.done() for item in asked) == 26)
        assert {type(item.exception()) for item in asked if item.done()} == {BusyError}
        for _ in range(20):
            assert await theirs.call(ECHO, b"x", 5) == b"other:x"
        service.let_go()
        await asyncio.gather(*asked, return_exceptions=True)
    await until(lambda: service.active == 0)
