"""Plain routes: behind the same edge as all others, without Starlette between."""

from __future__ import annotations

import asyncio

import pytest
from starlette.responses import Response

from gridledger.errors import ConflictError
from gridledger.web import Limits, PlainRequest, PlainRoute, StreamResponse, read_body, unless_disconnected


async def _echo(request: PlainRequest) -> bytes:
    body = await read_body(request, max_bytes=100)
    return b'{"name":"%b","wait":"%b","body":%b}' % (
        request.parameter.encode(),
        (request.query("wait") or "").encode(),
        body,
    )


async def _refuse(request: PlainRequest) -> bytes:
    raise ConflictError("no", code="NO_SUCH_LUCK")


async def _stream(request: PlainRequest) -> Response:
    async def chunks():
        yield b"one"
        yield b"two"

    return StreamResponse(chunks())


def _routes(*routes: PlainRoute):
    return lambda app: app.add_plain_routes(routes)


ECHO = PlainRoute("/channels/{name}/echo", _echo)


async def test_caller_parameter_query_and_body_reach_the_handler(house, start):
    async with start(None, _routes(ECHO)) as running, running.client(house.org.issue("alice", "client")) as client:
        answer = await client.post("/channels/shard%201/echo?wait=a%20b", content=b"[1]")
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/json"
        assert answer.json() == {"name": "shard 1", "wait": "a b", "body": [1]}


async def test_the_edge_stands_before_plain_routes(house, start):
    limits = Limits(max_body_bytes=1000)
    async with start(limits, _routes(ECHO, PlainRoute("/refuse", _refuse))) as running:
        async with running.client(None) as nobody:
            assert (await nobody.post("/channels/a/echo", content=b"1")).status_code == 401
        async with running.client(house.org.issue("alice", "client")) as client:
            assert (await client.post("/channels/a/echo", content=b"1" * 101)).status_code == 413
            assert (await client.post("/channels/a/echo", content=b"1" * 1001)).status_code == 413
        async with running.client(house.org.issue("bob", "client")) as client:
            refused = await client.post("/refuse")
            assert (refused.status_code, refused.json()["error"]["code"]) == (409, "NO_SUCH_LUCK")
            wrong = await client.get("/refuse")
            assert (wrong.status_code, wrong.json()["error"]["code"]) == (405, "METHOD_NOT_ALLOWED")
        async with running.client(house.org.issue("alice", "client")) as client:
            metrics = (await client.get("/metrics")).text
            assert 'gridledger_http_requests_total{method="POST",route="/channels/{name}/echo",status="413"}' in metrics


async def test_a_stream_counts_as_a_stream(house, start):
    routes = _routes(PlainRoute("/stream", _stream))
    async with start(None, routes) as running, running.client(house.org.issue("alice", "client")) as client:
        assert (await client.post("/stream")).content == b"onetwo"


@pytest.mark.parametrize(
    ("path", "matches"),
    [
        ("/channels/a/echo", True),
        ("/channels//echo", False),
        ("/channels/echo", False),
        ("/channels/a/b/echo", False),
        ("/channels/a/echo/", False),
        ("/channels/a", False),
    ],
)
def test_a_parameter_is_one_part_of_the_path(path, matches):
    assert ECHO.matches(path) is matches


async def test_work_ends_when_its_client_leaves(house, start):
    begun, ended = asyncio.Event(), asyncio.Event()

    async def work() -> bytes:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return b""

    async def handler(request: PlainRequest) -> bytes:
        await read_body(request)
        return await unless_disconnected(request.scope, work())

    async with start(None, _routes(PlainRoute("/work", handler))) as running:
        _, writer = await running.raw(house.org.issue("alice", "client"))
        writer.write(b"POST /work HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n")
        async with asyncio.timeout(5):
            await begun.wait()
            writer.transport.abort()
            await ended.wait()
