"""Calls over one connection: the real client against a real server, both with certificates."""

from __future__ import annotations

import asyncio

import pytest

from gridledger.errors import (
    AuthenticationError,
    BusyError,
    ConflictError,
    GridLedgerError,
    LimitError,
    TimeoutExceeded,
)
from gridledger.framing import FrameBuffer
from gridledger.transport import call_client as client_side
from gridledger.transport.call_frames import PATH, read_answer, write_call
from gridledger.transport.node_client import ConnectionFailed
from gridledger.web import Limits
from tests.support.calls import ECHO, FAIL, HOLD, calling
from tests.support.waiting import until


async def test_each_call_has_its_own_answer(house, start, service):
    async with start(routes=service.routes) as running, calling(running, house.org.issue("alice", "client")) as calls:
        bodies = [b"%d" % n for n in range(50)] + [b"conflict"]
        answers = await asyncio.gather(*(calls.call(ECHO, body, 5) for body in bodies), return_exceptions=True)
        assert answers[:50] == [b"alice:" + body for body in bodies[:50]]
        assert isinstance(answers[50], ConflictError)
        assert (answers[50].code, answers[50].details) == ("TAKEN", {"by": "org2"})
        assert service.echoed == bodies
        # Later calls take the same connection.
        assert await calls.call(ECHO, b"again", 5) == b"alice:again"
        assert (service.active, service.streams.used) == (0, 1)
    await until(lambda: service.streams.used == 0)


async def test_an_unknown_kind_is_refused(house, start, service):
    async with start(routes=service.routes) as running, calling(running, house.org.issue("alice", "client")) as calls:
        with pytest.raises(GridLedgerError) as caught:
            await calls.call(99, b"", 5)
        assert caught.value.status == 400


async def test_calls_beyond_the_bound_are_busy(house, start, service):
    limits = Limits(max_requests=3)
    async with start(limits, service.routes) as running, calling(running, house.org.issue("alice", "client")) as calls:
        tasks = [asyncio.create_task(calls.call(HOLD, b"", 5)) for _ in range(5)]
        refused, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        await until(lambda: sum(task.done() for task in tasks) == 2)
        assert all(isinstance(task.exception(), BusyError) for task in refused)
        assert service.active == 3
        service.let_go()
        assert [await task for task in tasks if task not in refused] == [b"held"] * 3
        assert service.active == 0


async def test_a_client_that_leaves_has_its_calls_abandoned(house, start, service):
    async with start(routes=service.routes) as running:
        async with calling(running, house.org.issue("alice", "client")) as calls:
            waiting = asyncio.create_task(calls.call(HOLD, b"", 5))
            await until(lambda: service.held)
        with pytest.raises(ConnectionFailed):
            await waiting
        await until(lambda: service.abandoned == 1)
        await until(lambda: service.active == 0)


async def test_a_defect_is_told_without_its_secret(house, start, service, caplog):
    async with start(routes=service.routes) as running, calling(running, house.org.issue("alice", "client")) as calls:
        errors = await asyncio.gather(*(calls.call(FAIL, b"defect", 5) for _ in range(2)), return_exceptions=True)
        for error in errors:
            assert isinstance(error, GridLedgerError)
            assert error.code == "INTERNAL"
            assert "secret" not in error.message
        with pytest.raises(ConflictError, match="mine"):
            await calls.call(FAIL, b"mine", 5)
        assert service.active == 0
    assert [record.exc_info is not None for record in caplog.records if record.levelname == "ERROR"] == [True, True]


async def test_a_revocation_bites_on_an_open_connection(house, start, service):
    alice = house.org.issue("alice", "client")
    async with start(routes=service.routes) as running, calling(running, alice) as calls:
        await calls.call(ECHO, b"x", 5)
        house.revoke(alice)
        with pytest.raises(AuthenticationError) as caught:
            await calls.call(ECHO, b"x", 5)
        assert caught.value.code == "CERTIFICATE_REVOKED"
        await until(lambda: service.streams.used == 0)


async def test_without_a_certificate_every_call_is_told_so(start, service):
    async with start(routes=service.routes) as running, calling(running, None) as calls:
        answers = await asyncio.gather(*(calls.call(ECHO, b"x", 5) for _ in range(3)), return_exceptions=True)
        assert [getattr(answer, "code", "") for answer in answers] == ["CLIENT_CERTIFICATE_REQUIRED"] * 3


async def test_a_stopping_server_answers_what_it_has_and_takes_no_more(house, start, service):
    async with start(routes=service.routes) as running, calling(running, house.org.issue("alice", "client")) as calls:
        waiting = asyncio.create_task(calls.call(HOLD, b"", 5))
        await until(lambda: service.held)
        running.server.stop()
        await until(running.app.state.stopping.is_set)
        with pytest.raises(GridLedgerError) as caught:
            await calls.call(ECHO, b"x", 5)
        assert caught.value.code == "STOPPING"
        service.let_go()
        assert await waiting == b"held"
        await asyncio.wait_for(running.server.wait(), 5)
        with pytest.raises(ConnectionFailed):
            await calls.call(ECHO, b"x", 5)


async def test_a_call_too_long_costs_itself_alone(house, start, service):
    async with start(routes=service.routes) as running, calling(running, house.org.issue("alice", "client")) as calls:
        waiting = asyncio.create_task(calls.call(HOLD, b"", 5))
        await until(lambda: service.held)
        long = asyncio.create_task(calls.call(ECHO, b"x" * 1_000_000, 5))
        for body in (b"1", b"2"):
            assert await calls.call(ECHO, body, 5) == b"alice:" + body
        with pytest.raises(LimitError) as caught:
            await long
        assert caught.value.code == "BODY_TOO_LARGE"
        service.let_go()
        assert await waiting == b"held"
        assert len(service.echoed) == 2


@pytest.mark.parametrize("sent", [b"\0\0\0\1x", b"\x7f\xff\xff\xff", b"\0\0\0\5" + bytes(4)])
async def test_what_is_no_call_ends_the_connection(house, start, service, sent):
    async with start(routes=service.routes) as running:
        reader, writer = await running.raw(house.org.issue("alice", "client"))
        writer.write(f"POST {PATH} HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n".encode())
        writer.write(b"%x\r\n%b\r\n" % (len(sent), sent))
        if len(sent) == 8:
            # A call cut short: the connection ends inside it, and nothing stays behind.
            await until(lambda: service.streams.used == 1)
            writer.transport.abort()
        else:
            assert b"0\r\n\r\n" not in await asyncio.wait_for(reader.read(), 5)
            writer.close()
        await until(lambda: (service.active, service.streams.used) == (0, 0))
        assert service.echoed == []


async def test_a_plain_request_with_calls_gets_all_answers(house, start, service):
    async with start(routes=service.routes) as running, running.client(house.org.issue("alice", "client")) as client:
        body = b"".join(write_call(number, ECHO, b"%d" % number) for number in (7, 8))
        answer = await client.post(PATH, content=body)
        frames = [read_answer(frame) for frame in FrameBuffer(1000).feed(answer.content)]
        assert frames == [(7, 200, b"alice:7"), (8, 200, b"alice:8")]


async def test_heartbeats_keep_a_slow_call_alive(house, start, service, monkeypatch):
    monkeypatch.setattr("gridledger.web.call_stream.HEARTBEAT_S", 0.02)
    monkeypatch.setattr(client_side, "HEARTBEAT_S", 0.02)
    # Server and client share a process, which a crowded machine may hold up for a few tenths of a second.
    monkeypatch.setattr(client_side, "SILENCE_S", 0.5)
    async with start(routes=service.routes) as running, calling(running, house.org.issue("alice", "client")) as calls:
        with pytest.raises(TimeoutExceeded):
            await calls.call(HOLD, b"", 1.2)
        assert await calls.call(ECHO, b"x", 5) == b"alice:x"
