"""One gateway of several, over a real connection: a request to one that hangs ends, one to a slow one does not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from fastapi import FastAPI

from gridledger.client import connection as connection_module
from gridledger.client.connection import GatewayConnection
from gridledger.transport.call_client import NodeQuiet
from gridledger.transport.node_client import NodeClient
from tests.support.calls import Service, service
from tests.support.stalling_proxy import StallingProxy, stalling_proxy
from tests.support.waiting import until
from tests.support.web_server import free_port, house, start

__all__ = ["free_port", "house", "service", "start"]
QUIET_S = 0.5


class Slow:
    """A route that answers when it is told."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()
        self.asked = 0

    def add_to(self, app: FastAPI) -> None:
        @app.get("/slow")
        async def slow() -> dict[str, int]:
            self.asked += 1
            await self.go_on.wait()
            return {"asked": self.asked}


@pytest.fixture
def slow() -> Slow:
    return Slow()


@pytest.fixture
def connect(house: Any, start: Any, service: Service, slow: Slow, monkeypatch: pytest.MonkeyPatch) -> Any:
    """``async with connect() as (proxy, gateway)``: a gateway behind a proxy."""
    monkeypatch.setattr(connection_module, "QUIET_AFTER_S", QUIET_S)

    @asynccontextmanager
    async def connecting(*, watched: bool = True) -> AsyncIterator[tuple[StallingProxy, GatewayConnection]]:
        def routes(app: FastAPI) -> None:
            service.routes(app)
            slow.add_to(app)

        async with start(routes=routes) as running, stalling_proxy(running.port) as proxy:
            node = NodeClient(f"https://localhost:{proxy.port}", house.org.issue("alice", "client"), house.org.root)
            gateway = GatewayConnection(node, watched=watched)
            try:
                yield proxy, gateway
            finally:
                await gateway.close()

    return connecting


async def test_a_request_to_a_gateway_that_hangs_ends(connect: Any, slow: Slow) -> None:
    loop = asyncio.get_running_loop()
    async with connect() as (proxy, gateway):
        slow.go_on.set()
        assert await gateway.request(gateway.node.get_json("/slow")) == {"asked": 1}
        proxy.stall()
        began = loop.time()
        with pytest.raises(NodeQuiet, match="nothing heard") as caught:
            await gateway.request(gateway.node.get_json("/slow"))
        assert loop.time() - began < 10  # long before the request's own time is over
        assert not await gateway.alive(0.05)
        proxy.go_on()
        assert await caught.value.answer == {"asked": 2}
        assert await gateway.alive(5)


async def test_a_request_to_a_slow_gateway_is_waited_for(connect: Any, slow: Slow) -> None:
    loop = asyncio.get_running_loop()
    async with connect() as (_, gateway):
        waiting = asyncio.ensure_future(gateway.request(gateway.node.get_json("/slow")))
        began = loop.time()
        await until(lambda: loop.time() - began > 2 * QUIET_S)
        slow.go_on.set()
        assert await waiting == {"asked": 1}


async def test_a_request_that_is_given_up_is_cancelled(connect: Any, slow: Slow) -> None:
    async with connect() as (_, gateway):
        work = asyncio.create_task(gateway.node.get_json("/slow"))
        await until(lambda: slow.asked)
        waiting = asyncio.create_task(gateway.request(_result_of(work)))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait((work,), timeout=5)
        assert work.cancelled()


async def _result_of(work: asyncio.Task[Any]) -> Any:
    return await work


async def test_without_streams_a_gateways_health_is_asked(connect: Any, service: Service) -> None:
    service.streams.resize(0)
    async with connect() as (proxy, gateway):
        assert await gateway.alive(5)
        proxy.stall()
        assert not await gateway.alive(0.05)


async def test_the_only_gateway_is_waited_for_though_it_hangs(connect: Any, slow: Slow) -> None:
    loop = asyncio.get_running_loop()
    slow.go_on.set()
    async with connect(watched=False) as (proxy, gateway):
        proxy.stall()
        waiting = asyncio.ensure_future(gateway.request(gateway.node.get_json("/slow")))
        began = loop.time()
        await until(lambda: loop.time() - began > 2 * QUIET_S)
        proxy.go_on()
        assert await waiting == {"asked": 1}
