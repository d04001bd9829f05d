"""A socket whose descriptor's number uvloop still has: what a client makes of the loop's refusal."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator

import pytest
import uvloop

from gridledger.transport.node_client import ConnectionFailed, NodeClient
from tests.support.paper import PaperOrganisation


class TakenSockets(NodeClient):
    """Connects by sockets that transports of the loop have."""

    taken: Iterator[socket.socket]

    def _socket(self, address: object) -> socket.socket:
        return next(self.taken)


async def _ask_with_taken_sockets(client: TakenSockets) -> None:
    pairs = [socket.socketpair() for _ in range(2)]
    transports = [await _transport_over_a_new_socket(own) for own, _ in pairs]
    client.taken = iter([socket.socket(fileno=own.fileno()) for own, _ in pairs])
    async with client:
        with pytest.raises(ConnectionFailed, match="File descriptor"):
            await client.get("/")
        with pytest.raises(ConnectionFailed, match="File descriptor"):
            await anext(client.frames("/"))
    for transport, (_, other) in zip(transports, pairs, strict=True):
        transport.abort()
        other.close()


async def _transport_over_a_new_socket(own: socket.socket) -> asyncio.Transport:
    """A transport behind whose back the descriptor's number was given to a socket that is not connected yet."""
    transport, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol, sock=own)
    with socket.socket() as new:
        os.dup2(new.fileno(), own.fileno())
    return transport


def test_it_is_a_failed_connection() -> None:
    org = PaperOrganisation("Org1MSP")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        client = TakenSockets(f"https://127.0.0.1:{listening.getsockname()[1]}", None, org.root)
        _run(client)


def _run(client: TakenSockets) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_ask_with_taken_sockets(client))
