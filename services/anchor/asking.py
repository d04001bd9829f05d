"""The other organisations' agents, over HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from gridledger import jsontext
from gridledger.client.anchors import AnchorAgent
from gridledger.errors import UnavailableError
from gridledger.identity.signer import SigningIdentity
from gridledger.protocol.fields import object_of
from gridledger.protocol.statements import Statement
from gridledger.transport.node_client import NodeClient

STATEMENTS: Final = "/statements"
ROUNDS: Final = "/rounds"
STATEMENT_S: Final = 1.5
"""How long a statement is waited for."""
ROUND_S: Final = 6.0
"""How long a round that was handed over is waited for: it is recorded, or its channel's agent hands it over itself."""
_MAX_CLIENTS: Final = 64
_MAX_ANSWER_BYTES: Final = 64 * 1024


class OtherAgents:
    """Connections to agents by their addresses, each kept while it is used; ``close`` ends them."""

    def __init__(self, identity: SigningIdentity, roots_pem: str) -> None:
        self._identity = identity
        self._own_roots_pem = self._roots_pem = roots_pem
        self._clients: dict[str, NodeClient] = {}

    def trust(self, roots_pem: str) -> None:
        """Root certificates of organisations that have joined: new connections trust them too."""
        self._roots_pem = f"{self._own_roots_pem}\n{roots_pem}"

    async def statement(self, agent: AnchorAgent, channel: str, size: int, base: int) -> Statement:
        """What an agent says of a channel at a size; raises what it refuses, and what goes wrong on the way."""
        asked = {"channel": channel, "size": size, "base": base}
        return Statement.from_dict(await self._post(agent, STATEMENTS, asked, STATEMENT_S))

    async def hand_over(self, agent: AnchorAgent, one: Mapping[str, Any]) -> dict[str, Any]:
        """Have an agent hand a round to the contract with those of other channels; what became of it."""
        return object_of(await self._post(agent, ROUNDS, dict(one), ROUND_S), "what became of a round")

    async def close(self) -> None:
        """Close all connections."""
        clients, self._clients = self._clients, {}
        for client in clients.values():
            await client.close()

    async def _post(self, agent: AnchorAgent, path: str, value: Any, timeout_s: float) -> Any:
        if agent.url is None:
            raise UnavailableError(f"the agent of {agent.mspid} has no address on record")
        client = self._clients.pop(agent.url, None)
        if client is None:
            client = NodeClient(
                agent.url, self._identity, self._roots_pem, max_connections=4, max_answer_bytes=_MAX_ANSWER_BYTES
            )
        self._clients[agent.url] = client
        while len(self._clients) > _MAX_CLIENTS:
            await self._clients.pop(next(iter(self._clients))).close()
        return jsontext.loads(await client.post(path, jsontext.dumps(value), timeout_s=timeout_s))
