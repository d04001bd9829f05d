"""How orderers reach one another: Raft's batches, and blocks for one that is far behind."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence
from random import Random

from gridledger.client.http import NodeClient
from gridledger.errors import GridLedgerError, UnavailableError
from gridledger.identity.signer import SigningIdentity
from gridledger.protocol import Node
from services.orderer.errors import NoLeader

log = logging.getLogger("orderer.transport")

RAFT_PATH = "/raft"
FETCH_COUNT = 200
_FIRST_RETRY_S, _LAST_RETRY_S = 0.2, 5.0


class OrdererTransport:
    """Connections to the other orderers of all channels. Implements the consensus engine's ``Transport``."""

    def __init__(
        self, name: str, identity: SigningIdentity, roots_pem: str, *, timeout_s: float, random: Random
    ) -> None:
        self._name = name
        self._identity = identity
        self._roots_pem = roots_pem
        self._timeout_s = timeout_s
        self._random = random
        self._clients: dict[str, NodeClient] = {}

    def know(self, nodes: Iterable[Node]) -> None:
        """Take in the orderers of a channel's configuration."""
        for node in nodes:
            if node.name == self._name:
                continue
            known = self._clients.get(node.name)
            if known is None or known.base_url != node.url.rstrip("/"):
                self._clients[node.name] = NodeClient(node.url, self._identity, self._roots_pem, max_connections=8)

    async def send(self, node_id: str, payload: bytes) -> None:
        """Hand a batch of Raft messages to another orderer (``Transport``)."""
        client = self._clients.get(node_id)
        if client is None:
            raise UnavailableError(f"no orderer named {node_id!r} in any channel's configuration")
        await client.post(RAFT_PATH, payload, timeout_s=self._timeout_s)

    async def fetch(self, channel: str, first: int, height: int) -> Sequence[bytes]:
        """Records of blocks ``first`` and up, below ``height``, from whichever other orderer has them.

        Retries with growing pauses until one answers: without the blocks this orderer cannot take part.
        """
        pause = _FIRST_RETRY_S
        while True:
            for name, client in self._random.sample(sorted(self._clients.items()), len(self._clients)):
                try:
                    if records := await self._fetch_from(client, channel, first, height):
                        return records
                except GridLedgerError as error:
                    log.info("%s has no block %d of %s for us: %s", name, first, channel, error)
            await asyncio.sleep(pause * (0.5 + self._random.random()))
            pause = min(pause * 2, _LAST_RETRY_S)

    async def close(self) -> None:
        """Close all connections."""
        for client in self._clients.values():
            await client.close()

    async def _fetch_from(self, client: NodeClient, channel: str, first: int, height: int) -> list[bytes]:
        there = await client.get_json(f"/channels/{channel}", timeout_s=self._timeout_s)
        count = min(FETCH_COUNT, height - first, int(there["height"]) - first)
        if count <= 0:
            raise NoLeader(f"its height is {there['height']}")
        params = {"from": str(first), "count": str(count)}
        return [record async for record in client.frames(f"/channels/{channel}/deliver", params=params)]
