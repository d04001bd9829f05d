"""The client of calls: its bounds, what it falls back to, how it leaves a connection."""

from __future__ import annotations

import asyncio

import pytest

from gridledger.errors import BusyError, TimeoutExceeded
from gridledger.transport import call_client as client_side
from gridledger.transport.call_client import CallClient, StreamRefused
from gridledger.transport.node_client import ConnectionFailed
from tests.support.calls import ECHO, HOLD, calling, single
from tests.support.waiting import until


async def test_cancelling_or_timing_out_hurts_no_other(house, start, service):
    async with start(routes=service.routes) as running, calling(running, house.org.issue("alice", "client")) as calls:
        cancelled = asyncio.create_task(calls.call(HOLD, b"", 5))
        stays = asyncio.create_task(calls.call(HOLD, b"", 5))
        await until(lambda: len(service.held) == 2)
        cancelled.cancel()
        with pytest.raises(TimeoutExceeded):
            await calls.call(HOLD, b"", 0.02)
        assert await calls.call(ECHO, b"x", 5) == b"alice:x"
        service.let_go()
        assert await stays == b"held"


async def test_a_refused_stream_is_told_without_a_fallback(house, start, service):
    service.streams.resize(1)
    alice = house.org.issue("alice", "client")
    async with start(routes=service.routes) as running, calling(running, alice) as calls:
        await calls.call(ECHO, b"x", 5)
        async with calling(running, alice, None) as second:
            for _ in range(2):
                with pytest.raises(StreamRefused) as caught:
                    await second.call(ECHO, b"y", 5)
                assert caught.value.status == 429
        assert service.echoed == [b"x"]


async def test_a_refused_stream_falls_back_to_single_requests(house, start, service):
    service.streams.resize(1)
    alice = house.org.issue("alice", "client")
    async with start(routes=service.routes) as running, calling(running, alice) as calls:
        await calls.call(ECHO, b"x", 5)
        async with calling(running, alice) as second:
            assert await second.call(ECHO, b"y", 5) == b"single:y"
            assert await second.call(ECHO, b"z", 5) == b"single:z"
        assert service.echoed == [b"x"]


async def test_a_server_that_says_nothing_is_not_waited_for(house, start, service, monkeypatch):
    monkeypatch.setattr(client_side, "HEARTBEAT_S", 0.02)
    monkeypatch.setattr(client_side, "SILENCE_S", 0.2)
    async with start(routes=service.routes) as running, calling(running, house.org.issue("alice", "client")) as calls:
        await calls.call(ECHO, b"x", 5)
        # The server's first heartbeat comes after 2 s: were it waited for, the call would end by its own time-out.
        with pytest.raises(ConnectionFailed, match="nothing heard"):
            await calls.call(HOLD, b"", 10)
        assert await calls.call(ECHO, b"x", 5) == b"alice:x"


async def test_an_idle_connection_is_closed_and_opened_again(house, start, service, monkeypatch):
    monkeypatch.setattr(client_side, "HEARTBEAT_S", 0.02)
    monkeypatch.setattr(client_side, "IDLE_S", 0.1)
    async with start(routes=service.routes) as running, calling(running, house.org.issue("alice", "client")) as calls:
        await calls.call(ECHO, b"x", 5)
        await until(lambda: service.streams.used == 0)
        assert await calls.call(ECHO, b"y", 5) == b"alice:y"


async def test_calls_of_one_program_are_bounded(house, start, service, monkeypatch):
    monkeypatch.setattr(client_side, "MAX_CALLS", 1)
    async with start(routes=service.routes) as running, calling(running, house.org.issue("alice", "client")) as calls:
        waiting = asyncio.create_task(calls.call(HOLD, b"", 5))
        await until(lambda: service.held)
        with pytest.raises(BusyError):
            await calls.call(ECHO, b"x", 5)
        waiting.cancel()


async def test_a_server_that_is_not_there(house, free_port):
    calls = CallClient(f"https://localhost:{free_port}", house.client_context(None), single, connect_timeout_s=1.0)
    with pytest.raises(ConnectionFailed, match="Cannot connect"):
        await calls.call(ECHO, b"x", 5)
    await calls.close()
