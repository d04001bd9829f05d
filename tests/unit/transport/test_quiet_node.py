"""A node that hangs: told from a slow one within its time, and heard again when it goes on."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest

from gridledger.transport import call_client as client_side
from gridledger.transport.call_client import CallClient, NodeQuiet
from gridledger.transport.node_client import ConnectionFailed
from tests.support.calls import ECHO, HOLD
from tests.support.stalling_proxy import stalling_proxy
from tests.support.waiting import until

QUIET_S = 0.4


@asynccontextmanager
async def behind_a_proxy(running, identity, quiet_after_s=QUIET_S):
    async with stalling_proxy(running.port) as proxy:
        context = running.house.client_context(identity)
        calls = CallClient(
            f"https://localhost:{proxy.port}", context, connect_timeout_s=3.0, quiet_after_s=quiet_after_s
        )
        try:
            yield proxy, calls
        finally:
            await calls.close()


@pytest.fixture
def alice(house):
    return house.org.issue("alice", "client")


async def test_a_node_that_hangs_is_told_in_time(start, service, alice):
    loop = asyncio.get_running_loop()
    async with start(routes=service.routes) as running, behind_a_proxy(running, alice) as (proxy, calls):
        await calls.call(ECHO, b"x", 5)
        proxy.stall()
        began = loop.time()
        with pytest.raises(NodeQuiet, match=r"nothing heard for 0\.4 s"):
            await calls.call(ECHO, b"y", 5)
        assert QUIET_S <= loop.time() - began < 4  # long before the call's own time is over


async def test_a_node_that_hangs_while_nothing_is_asked_is_told_in_time_all_the_same(
    start, service, alice, monkeypatch
):
    """A connection without calls is looked at seldom; the next call changes that."""
    monkeypatch.setattr(client_side, "HEARTBEAT_S", 60.0)
    loop = asyncio.get_running_loop()
    async with start(routes=service.routes) as running, behind_a_proxy(running, alice) as (proxy, calls):
        await calls.call(ECHO, b"x", 5)
        await until(lambda: calls._connection._looks_seldom)
        proxy.stall()
        began = loop.time()
        with pytest.raises(NodeQuiet, match=r"nothing heard for 0\.4 s"):
            await calls.call(ECHO, b"y", 10)
        assert QUIET_S <= loop.time() - began < 4


async def test_the_late_answer_comes_when_the_node_goes_on(start, service, alice):
    async with start(routes=service.routes) as running, behind_a_proxy(running, alice) as (proxy, calls):
        await calls.call(ECHO, b"x", 5)
        proxy.stall()
        with pytest.raises(NodeQuiet) as caught:
            await calls.call(ECHO, b"y", 5)
        proxy.go_on()
        assert await caught.value.answer == b"alice:y"
        assert await calls.call(ECHO, b"z", 5) == b"alice:z"


async def test_a_node_that_takes_no_connection_on_is_told(start, service, alice):
    async with start(routes=service.routes) as running, behind_a_proxy(running, alice) as (proxy, calls):
        proxy.stall()
        with pytest.raises(NodeQuiet) as caught:
            await calls.call(ECHO, b"x", 5)
        proxy.go_on()
        assert await caught.value.answer == b"alice:x"


async def test_a_slow_node_is_waited_for(start, service, alice):
    """Three times as long as a node may be quiet: it has no answer, and says that it lives."""
    loop = asyncio.get_running_loop()
    async with start(routes=service.routes) as running, behind_a_proxy(running, alice) as (_, calls):
        held = asyncio.create_task(calls.call(HOLD, b"", 10))
        began = loop.time()
        await until(lambda: loop.time() - began > 3 * QUIET_S)
        service.let_go()
        assert await held == b"held"


async def test_a_loop_that_stood_still_asks_before_it_judges(start, service, alice):
    async with start(routes=service.routes) as running, behind_a_proxy(running, alice) as (_, calls):
        held = asyncio.create_task(calls.call(HOLD, b"", 10))
        await until(lambda: service.held)
        connection = calls._connection
        assert connection is not None
        # As after a standstill: long ago it was asked, and for long nothing was read.
        connection._heard -= 10 * QUIET_S
        connection._pinged = connection._heard + QUIET_S
        connection._looked -= 9 * QUIET_S
        connection._look()
        service.let_go()
        assert await held == b"held"


async def test_late_answers_are_forgotten_when_nobody_waits(start, service, alice):
    async with start(routes=service.routes) as running, behind_a_proxy(running, alice) as (proxy, calls):
        await calls.call(ECHO, b"x", 5)
        proxy.stall()
        with pytest.raises(NodeQuiet) as caught:
            await calls.call(ECHO, b"y", 5)
        connection = calls._connection
        assert connection is not None
        assert len(connection._late) == 1
        caught.value.answer.cancel()
        await until(lambda: not connection._late, 1)


async def test_a_late_answer_ends_with_the_connection(start, service, alice, monkeypatch):
    monkeypatch.setattr(client_side, "SILENCE_S", 0.6)
    async with start(routes=service.routes) as running, behind_a_proxy(running, alice) as (proxy, calls):
        await calls.call(ECHO, b"x", 5)
        proxy.stall()
        with pytest.raises(NodeQuiet) as caught:
            await calls.call(ECHO, b"y", 5)
        with pytest.raises(ConnectionFailed, match=r"nothing heard for 0\.6 s"):
            await caught.value.answer


async def test_without_a_bound_silence_alone_ends_calls(start, service, alice):
    loop = asyncio.get_running_loop()
    async with start(routes=service.routes) as running, behind_a_proxy(running, alice, None) as (proxy, calls):
        await calls.call(ECHO, b"x", 5)
        proxy.stall()
        waiting, began = asyncio.create_task(calls.call(ECHO, b"y", 5)), loop.time()
        await until(lambda: loop.time() - began > 3 * QUIET_S)
        proxy.go_on()
        assert await waiting == b"alice:y"
