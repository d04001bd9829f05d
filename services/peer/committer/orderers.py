"""A channel's orderers, as the committer calls them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from gridledger import jsontext
from gridledger.errors import MalformedMessage, UnavailableError
from gridledger.identity.signer import SigningIdentity
from gridledger.protocol.config import ChannelConfig
from gridledger.transport.node_client import NodeClient
from gridledger.transport.pins import Dialled, block_sources_of

REQUEST_TIMEOUT_S = 3.0


class Orderers(Protocol):
    """What a committer asks of orderers, by name. Failures are errors of the one tree."""

    def names(self) -> Sequence[str]:
        """The orderers of the channel's present config."""

    def deliver(self, orderer: str, start: int) -> AsyncIterator[bytes]:
        """Delivered frames (a block with its signature) from block ``start`` on, without end."""

    async def height(self, orderer: str) -> int:
        """How many blocks the orderer has."""

    async def progress(self, orderer: str, height: int) -> None:
        """Tell the orderer how many blocks this peer has committed."""

    async def follow(self, config: ChannelConfig) -> None:
        """Connect to the orderers of a new config."""


class HttpOrderers:
    """Orderers over mutual TLS. ``roots_pem``: local roots, for an orderer whose organisation's roots are newer than
    the config at hand. ``ahead``: a config that this peer was given, by which it finds them until the chain is newer.
    """

    def __init__(
        self, channel: str, peer: str, identity: SigningIdentity, roots_pem: str, ahead: ChannelConfig | None = None
    ) -> None:
        self._ahead = ahead
        self._path = f"/channels/{channel}"
        self._peer = peer
        self._identity = identity
        self._roots_pem = roots_pem
        self._clients: dict[str, NodeClient] = {}
        self._dialled: dict[str, Dialled] = {}

    def names(self) -> Sequence[str]:
        return list(self._clients)

    def deliver(self, orderer: str, start: int) -> AsyncIterator[bytes]:
        return self._client(orderer).frames(f"{self._path}/deliver", params={"from": str(start)})

    async def height(self, orderer: str) -> int:
        answer = await self._client(orderer).get_json(self._path, timeout_s=REQUEST_TIMEOUT_S)
        height = answer.get("height") if isinstance(answer, dict) else None
        if not isinstance(height, int):
            raise MalformedMessage(f"{orderer} does not tell its height", status=502)
        return height

    async def progress(self, orderer: str, height: int) -> None:
        body = jsontext.dumps({"peer": self._peer, "height": height})
        await self._client(orderer).post(f"{self._path}/progress", body, timeout_s=REQUEST_TIMEOUT_S)

    async def follow(self, config: ChannelConfig) -> None:
        if self._ahead is not None and self._ahead.sequence > config.sequence:
            config = self._ahead
        before, dialled_before = self._clients, self._dialled
        self._clients, self._dialled = {}, block_sources_of(config, self._roots_pem)
        for name, dialled in self._dialled.items():
            if dialled == dialled_before.get(name):
                self._clients[name] = before.pop(name)
            else:
                self._clients[name] = NodeClient.to(dialled, self._identity, max_connections=4)
        for client in before.values():
            await client.close()

    def _client(self, orderer: str) -> NodeClient:
        client = self._clients.get(orderer)
        if client is None:
            raise UnavailableError(f"{orderer} is no orderer of the channel any more")
        return client

    async def close(self) -> None:
        """Close all connections."""
        for client in self._clients.values():
            await client.close()
        self._clients, self._dialled = {}, {}
