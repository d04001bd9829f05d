"""Streams: their end, their bound, their client's leaving."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI, Request

from gridledger.errors import PermissionDeniedError
from gridledger.transport.node_client import NodeClient
from gridledger.web import Limits, StreamResponse, json_response


class Source:
    """A stream of numbers that waits after the third until it is told to go on."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()
        self.closed = asyncio.Event()
        self.fails: Exception | None = None

    async def chunks(self) -> AsyncIterator[bytes]:
        try:
            for number in range(3):
                yield b"%d\n" % number
            await self.go_on.wait()
            if self.fails:
                raise self.fails
            yield b"last\n"
        finally:
            self.closed.set()

    def routes(self, app: FastAPI) -> None:
        @app.get("/stream")
        async def stream(request: Request):
            return StreamResponse(self.chunks(), "application/x-ndjson")

        @app.get("/plain")
        async def plain(request: Request):
            return json_response({})


@pytest.fixture
def source() -> Source:
    return Source()


async def first_three(response: httpx.Response, lines: AsyncIterator[str]) -> None:
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/x-ndjson"
    assert [await anext(lines) for _ in range(3)] == ["0", "1", "2"]


async def test_a_stream_goes_on_to_its_end(house, start, source):
    async with start(routes=source.routes) as running, running.client(house.org.issue("alice", "client")) as client:
        async with client.stream("GET", "/stream") as response:
            lines = response.aiter_lines()
            await first_three(response, lines)
            source.go_on.set()
            assert [line async for line in lines] == ["last"]
        assert source.closed.is_set()


async def test_a_stream_ends_properly_when_the_process_stops(house, start, source):
    async with start(routes=source.routes) as running, running.client(house.org.issue("alice", "client")) as client:
        async with client.stream("GET", "/stream") as response:
            lines = response.aiter_lines()
            await first_three(response, lines)
            running.server.stop()
            assert [line async for line in lines] == []
        await asyncio.wait_for(running.server.wait(), 5)
        assert source.closed.is_set()


async def test_a_stream_that_fails_is_cut_short(house, start, source):
    source.fails = ZeroDivisionError("a defect")
    async with (
        start(routes=source.routes) as running,
        running.client(house.org.issue("alice", "client")) as client,
        client.stream("GET", "/stream") as response,
    ):
        lines = response.aiter_lines()
        await first_three(response, lines)
        source.go_on.set()
        with pytest.raises(httpx.RemoteProtocolError):
            await anext(lines)


async def test_a_stream_tells_the_error_that_ends_it(house, start, source):
    source.fails = PermissionDeniedError("no reader any more", policy="readers")
    identity = house.org.issue("alice", "client")
    async with (
        start(routes=source.routes) as running,
        NodeClient(f"https://localhost:{running.port}", identity, house.org.root) as node,
    ):
        lines = node.lines("/stream")
        assert [await anext(lines) for _ in range(3)] == [b"0", b"1", b"2"]
        source.go_on.set()
        with pytest.raises(PermissionDeniedError, match="no reader any more") as caught:
            await anext(lines)
        assert caught.value.details == {"policy": "readers"}


async def test_a_client_that_leaves_frees_the_stream(house, start, source):
    alice = house.org.issue("alice", "client")
    async with start(Limits(max_streams=1), source.routes) as running, running.client(alice) as client:
        async with client.stream("GET", "/stream") as response:
            await first_three(response, response.aiter_lines())
        await asyncio.wait_for(source.closed.wait(), 5)
        source.go_on.set()
        assert (await client.get("/stream")).text.endswith("last\n")


async def test_streams_are_bounded_apart_from_requests(house, start, source):
    limits = Limits(max_streams=1, max_requests=1)
    async with (
        start(limits, source.routes) as running,
        running.client(house.org.issue("alice", "client")) as client,
        client.stream("GET", "/stream") as response,
    ):
        lines = response.aiter_lines()  # held: an iterator that nobody holds closes its stream
        await first_three(response, lines)
        busy = await client.get("/stream")
        assert (busy.status_code, busy.headers["retry-after"]) == (429, "1")
        assert (await client.get("/plain")).status_code == 200
