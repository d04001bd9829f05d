"""Pins against real TLS servers: who holds another certificate with the right host name is not talked to."""

from __future__ import annotations

import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from fastapi import FastAPI, Request

from gridledger.identity.signer import SigningIdentity
from gridledger.transport.call_client import CallClient
from gridledger.transport.node_client import ConnectionFailed, NodeClient, WrongNode, client_tls
from gridledger.transport.pins import Pin, PinMismatch, PinnedContext
from gridledger.web import StreamResponse, json_response
from tests.support.calls import ECHO


async def _ten() -> AsyncIterator[bytes]:
    for _ in range(10):
        yield b"\n"


def routes(app: FastAPI) -> None:
    @app.get("/who")
    async def who(request: Request):
        return json_response(request.state.caller.name.encode())

    @app.get("/stream")
    async def stream(request: Request):
        return StreamResponse(_ten())


class Place:
    """A server at a port, and clients that dial it."""

    def __init__(self, house, port: int, server: SigningIdentity) -> None:
        self.house, self.port, self.server = house, port, server
        self.caller = house.org.issue("alice", "client")

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}"

    def client(self, pin: Pin | None) -> NodeClient:
        return NodeClient(self.url, self.caller, self.house.org.root, pin=pin)


@asynccontextmanager
async def place(house, start, port: int, name: str, role: str) -> AsyncIterator[Place]:
    """Whoever listens has a certificate of the trusted organisation for the right host."""
    who = house.org.issue(name, role)
    for part in ("key.pem", "cert.pem"):
        (house.server / part).unlink()
    who.save(house.server)
    async with start(routes=routes):
        yield Place(house, port, who)


async def test_a_client_with_the_hosts_name_is_no_node(house, start, free_port) -> None:
    node = house.org.issue("peer1", "peer")
    pin = Pin("peer1", frozenset({node.fingerprint}))
    async with place(house, start, free_port, "mallory", "client") as made:
        async with made.client(None) as unpinned:
            assert await unpinned.get("/who") == b"alice"  # what the pin is for: TLS alone is content
        async with made.client(pin) as pinned:
            for ask in (pinned.get("/who"), pinned.post("/who", b"secret"), anext(pinned.lines("/stream"))):
                with pytest.raises(WrongNode, match="this is not peer1") as caught:
                    await ask
                assert caught.value.details == {"expected": [node.fingerprint], "seen": made.server.fingerprint}
                for told in (made.url, node.fingerprint, made.server.fingerprint, "'mallory'"):
                    assert told in caught.value.message
        for narrower in (Pin("peer1", subjects=frozenset({node.certificate.subject_der})), Pin("peer1", role="peer")):
            async with made.client(narrower) as pinned:
                with pytest.raises(WrongNode):
                    await pinned.get("/who")


async def test_calls_reach_the_pinned_node_alone(house, start, service, free_port) -> None:
    right = Pin("node", frozenset({SigningIdentity.load(house.server).fingerprint}))
    wrong = Pin("node", frozenset({house.org.issue("server", "peer").fingerprint}))
    url, caller = f"https://localhost:{free_port}", house.org.issue("alice", "client")
    async with start(routes=service.routes):
        for pin, reached in ((right, True), (wrong, False)):
            calls = CallClient(url, client_tls(caller, house.org.root, pin), connect_timeout_s=3.0)
            try:
                if reached:
                    assert await calls.call(ECHO, b"x", 5.0) == b"alice:x"
                else:
                    with pytest.raises(WrongNode, match="this is not node"):
                        await calls.call(ECHO, b"x", 5.0)
            finally:
                await calls.close()


async def test_each_kind_of_pin_takes_its_own_node(house, start, free_port) -> None:
    async with place(house, start, free_port, "peer1", "peer") as made:
        renewed = house.org.issue("peer1", "peer")  # the same subject, another key
        for pin in (
            Pin("peer1", frozenset({made.server.fingerprint})),
            Pin("peer1", frozenset({renewed.fingerprint, made.server.fingerprint})),
            Pin("peer1", frozenset({renewed.fingerprint}), subjects=frozenset({renewed.certificate.subject_der})),
            Pin("peer1", role="peer"),
        ):
            async with made.client(pin) as client:
                assert await client.get("/who") == b"alice"
        async with made.client(Pin("peer1", frozenset({renewed.fingerprint}))) as client:
            with pytest.raises(WrongNode, match="must name the new one first"):
                await client.get("/who")


async def test_a_pin_does_not_replace_the_chain(house, start, free_port) -> None:
    async with place(house, start, free_port, "peer1", "peer") as made:
        pin = Pin("peer1", frozenset({made.server.fingerprint}))
        async with NodeClient(made.url, made.caller, house.foreign.root, pin=pin) as client:
            with pytest.raises(ConnectionFailed, match="CERTIFICATE_VERIFY_FAILED") as caught:
                await client.get("/who")
            assert not isinstance(caught.value, WrongNode)


def test_an_empty_pin_and_no_certificate_are_refused(house) -> None:
    for der in (None, b"", b"rubbish", house.org.issue("peer1", "peer").certificate.der):
        with pytest.raises(PinMismatch):
            Pin("peer1").check(der)


def test_a_pinned_context_wraps_no_plain_socket() -> None:
    with socket.socket() as plain, pytest.raises(TypeError, match="event loop"):
        PinnedContext(ssl.PROTOCOL_TLS_CLIENT).wrap_socket(plain)
