"""Bounds on what one connection may cost, on real sockets."""

from __future__ import annotations

import asyncio

from fastapi import FastAPI, Request

from gridledger.web import Limits, json_response, read_body


def waiting(app: FastAPI) -> None:
    @app.post("/echo")
    async def post(request: Request):
        return json_response({"size": len(await read_body(request))})


async def test_an_endless_head_and_no_http_at_all(house, start):
    async with start(Limits(max_header_bytes=5000), waiting) as running:
        alice = house.org.issue("alice", "client")
        reader, writer = await running.raw(alice)
        writer.write(b"GET /healthz HTTP/1.1\r\n" + b"".join(b"x-%d: %s\r\n" % (n, b"y" * 990) for n in range(8)))
        answer = await asyncio.wait_for(reader.read(), 5)
        assert answer.startswith(b"HTTP/1.1 431 ")
        writer.close()
        reader, writer = await running.raw(alice)
        writer.write(b"GET /healthz HTTP/1.1\r\nendless: " + b"y" * 8000)
        assert (await asyncio.wait_for(reader.read(), 5)).startswith(b"HTTP/1.1 431 ")
        writer.close()
        reader, writer = await running.raw(alice)
        writer.write(b"EHLO there\r\n\r\n")
        assert (await asyncio.wait_for(reader.read(), 5)).startswith(b"HTTP/1.1 400 ")
        writer.close()


async def test_a_request_that_never_ends_is_cut(house, start):
    async with start(Limits(request_timeout_s=0.2), waiting) as running:
        reader, writer = await running.raw(house.org.issue("alice", "client"))
        writer.write(b"POST /echo HTTP/1.1\r\nhost: localhost\r\ncontent-length: 10\r\n\r\nhalf")
        assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()


async def test_a_connection_too_many_ends_the_oldest(house, start):
    async with start(Limits(max_connections=1), waiting) as running:
        first = await running.raw(None)
        second = await running.raw(None)
        assert await asyncio.wait_for(first[0].read(), 5) == b""
        second[1].write(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n")
        assert (await second[0].readline()).startswith(b"HTTP/1.1 200")
        for _, writer in (first, second):
            writer.close()
