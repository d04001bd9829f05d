"""A service with three calls, and clients of its stream of calls."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from gridledger.errors import ConflictError
from gridledger.transport.call_client import CallClient
from gridledger.transport.call_frames import PATH
from gridledger.web import CallHandler, CallStream, PlainRoute, Pool

ECHO, HOLD, FAIL = 1, 2, 3


class Service:
    """Echoes; holds back what it is told to; remembers what came and what was abandoned."""

    def __init__(self) -> None:
        self.echoed: list[bytes] = []
        self.held: list[asyncio.Future[bytes]] = []
        self.abandoned = 0
        self.streams = Pool("streams of calls", 10, retry_after_s=1.0)
        self.app: Any = None

    async def echo(self, body: bytes, caller: Any) -> bytes:
        self.echoed.append(body)
        if body == b"conflict":
            raise ConflictError("taken", code="TAKEN", by="org2")
        return bytes(caller.name.encode()) + b":" + body

    async def hold(self, body: bytes, caller: Any) -> bytes:
        self.held.append(asyncio.get_running_loop().create_future())
        try:
            return await self.held[-1]
        except asyncio.CancelledError:
            self.abandoned += 1
            raise

    async def fail(self, body: bytes, caller: Any) -> bytes:
        await asyncio.sleep(0)
        if body == b"defect":
            raise ZeroDivisionError("a secret of the inside")
        raise ConflictError(body.decode())

    def let_go(self) -> None:
        for held in self.held:
            if not held.done():
                held.set_result(b"held")

    def routes(self, app: Any) -> None:
        self.app = app
        handlers: dict[int, tuple[str, CallHandler]] = {
            ECHO: ("echo", self.echo),
            HOLD: ("hold", self.hold),
            FAIL: ("fail", self.fail),
        }

        async def calls(_: Any) -> CallStream:
            return CallStream(handlers, max_call_bytes=1000, streams=self.streams)

        app.add_plain_routes([PlainRoute(PATH, calls)])

    @property
    def active(self) -> int:
        return int(self.app.edge.requests.used)


@pytest.fixture
def service() -> Service:
    return Service()


async def single(kind: int, body: bytes, timeout_s: float) -> bytes:
    return b"single:" + body


@asynccontextmanager
async def calling(running: Any, identity: Any, fallback: Any = single) -> AsyncIterator[CallClient]:
    context = running.house.client_context(identity)
    made = CallClient(f"https://localhost:{running.port}", context, fallback, connect_timeout_s=3.0)
    try:
        yield made
    finally:
        await made.close()
