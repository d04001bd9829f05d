"""A client's connection to a gateway: what a busy gateway refuses is tried again, as long as the program allows."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gridledger.client.connection import GatewayConnection, Timeouts
from gridledger.errors import BusyError, UnavailableError
from gridledger.transport.node_client import NodeClient
from tests.support.paper import PaperNetwork

URL = "https://localhost:1"


class Calls:
    """Stands for the connection to a gateway: raises these errors, then answers."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.made: list[float] = []

    async def call(self, kind: int, body: bytes, timeout_s: float) -> bytes:
        self.made.append(asyncio.get_running_loop().time())
        if self.errors:
            raise self.errors.pop(0)
        return b"%d %b" % (kind, body)


def connection_over(calls: Any, busy_s: float) -> GatewayConnection:
    paper = PaperNetwork()
    node = NodeClient(URL, None, paper.config.msps.roots_pem())
    connection = GatewayConnection(node, paper.client, Timeouts(busy_s=busy_s))
    connection._calls = calls
    return connection


async def test_a_busy_gateway_is_asked_again_when_it_says() -> None:
    calls = Calls(BusyError("full", retry_after_s=0.2), BusyError("full", retry_after_s=0.0))
    assert await connection_over(calls, 60).call(1, b"x", 5) == b"1 x"
    first, second, third = calls.made
    assert second - first >= 0.2
    assert third - second > 0.01


@pytest.mark.parametrize(("busy_s", "retry_after_s"), [(0.0, 0.01), (1.0, 1.5)])
async def test_busy_is_told_when_the_time_is_over(busy_s: float, retry_after_s: float) -> None:
    calls = Calls(BusyError("full", retry_after_s=retry_after_s))
    with pytest.raises(BusyError, match="full"):
        await connection_over(calls, busy_s).call(1, b"x", 5)
    assert len(calls.made) == 1


async def test_another_error_is_told_at_once() -> None:
    calls = Calls(UnavailableError("down"))
    with pytest.raises(UnavailableError, match="down"):
        await connection_over(calls, 60).call(1, b"x", 5)
    assert len(calls.made) == 1
