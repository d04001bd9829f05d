"""Clients that ask for much and do not read it: what lies unread here is bounded by bytes and by time."""

from __future__ import annotations

import asyncio
import socket
import ssl
from typing import cast

from fastapi import Request
from starlette.responses import Response

from gridledger.transport.call_frames import PATH, write_call
from gridledger.web import Application, CallStream, Limits, PlainRoute, Pool
from tests.support.waiting import until

ANSWER = 12_000_000
BODY = bytes(ANSWER)


def large(app: Application) -> None:
    """Answers of 12 MB: by a route, and by calls."""

    @app.get("/large")
    async def answer(request: Request):
        return Response(BODY)

    async def call(body, caller):
        return BODY

    pool = app.state.calls = Pool("streams of calls", 100, retry_after_s=1.0)

    async def calls(_):
        return CallStream({1: ("large", call)}, max_call_bytes=1000, streams=pool)

    app.add_plain_routes([PlainRoute(PATH, calls)])


async def open_unread(running, identity, request: bytes) -> asyncio.StreamWriter:
    """Send a request over a connection whose answers nobody reads, with as small a window as there is."""
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    made.setblocking(False)
    await asyncio.get_running_loop().sock_connect(made, ("127.0.0.1", running.port))
    context = running.house.client_context(identity)
    _, writer = await asyncio.open_connection(sock=made, ssl=context, server_hostname="localhost", limit=4096)
    cast("asyncio.Transport", writer.transport).pause_reading()
    writer.write(request)
    return writer


GET = b"GET /large HTTP/1.1\r\nhost: localhost\r\n\r\n"


def calls_of(count: int) -> bytes:
    head = f"POST {PATH} HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n"
    return head.encode() + more_calls(count)


def more_calls(count: int) -> bytes:
    body = b"".join(write_call(number, 1, b"") for number in range(count))
    return b"%x\r\n%b\r\n" % (len(body), body)


async def test_a_client_that_reads_nothing_is_dropped_in_time(house, start):
    async with start(Limits(reader_timeout_s=0.3), large) as running:
        for request in (GET, calls_of(1)):
            writer = await open_unread(running, house.org.issue("alice", "client"), request)
            await until(lambda: running.app.edge.unread.used > 0)
            await until(lambda: running.app.edge.unread.used == 0 and running.app.edge.requests.used == 0)
            writer.close()


async def test_a_client_that_reads_slowly_gets_all(house, start):
    async with start(Limits(reader_timeout_s=0.3), large) as running:
        made = await running.raw(house.org.issue("alice", "client"))
        made[1].write(GET)
        await made[0].readuntil(b"\r\n\r\n")
        got = 0
        while got < ANSWER:
            got += len(await made[0].read(400_000))
            await asyncio.sleep(0.005)
        assert got == ANSWER
        made[1].close()


async def test_unread_answers_are_bounded_by_their_sum(house, start):
    """550 MiB were held for one client. Another one, that reads, gets its answers meanwhile."""
    limits = Limits(max_held_bytes=200_000_000)
    greedy, other = house.org.issue("greedy", "client"), house.org.issue("other", "client")
    async with start(limits, large) as running:
        unread, peak = running.app.edge.unread, 0
        writers = [await open_unread(running, greedy, GET) for _ in range(20)]
        writers += [await open_unread(running, greedy, calls_of(20)) for _ in range(4)]
        async with running.client(other) as client:
            for _ in range(3):
                assert len((await client.get("/large")).content) == ANSWER
                peak = max(peak, unread.used)
        await until(lambda: running.app.edge.requests.used <= 14)
        assert 150_000_000 < max(peak, unread.used) <= limits.max_held_bytes
        for writer in writers:
            writer.transport.abort()
        await until(lambda: unread.used == 0)


async def test_a_stream_that_is_cut_off_gives_its_places_back(house, start):
    """It waited for its client to read before it would take more calls, and so for ever."""
    async with start(Limits(max_held_bytes=2 * ANSWER), large) as running:
        unread, streams = running.app.edge.unread, running.app.state.calls
        writer = await open_unread(running, house.org.issue("alice", "client"), calls_of(1))
        await until(lambda: unread.used >= ANSWER)
        writer.write(more_calls(2))
        await until(lambda: (streams.used, unread.used, running.app.edge.requests.used) == (0, 0, 0))
        writer.close()


async def test_a_slow_reader_without_a_certificate_is_counted_too(house, start):
    async with start(Limits(reader_timeout_s=0.3), open_routes=["/large"], routes=large) as running:
        context = house.client_context(None)
        assert isinstance(context, ssl.SSLContext)
        writer = await open_unread(running, None, GET)
        await until(lambda: running.app.edge.unread.used > 0)
        await until(lambda: running.app.edge.unread.used == 0)
        writer.close()
