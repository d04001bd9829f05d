"""Connections to the other nodes of this peer's channels: one lasting client for each."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from gridledger.errors import MalformedMessage, UnavailableError
from gridledger.identity.signer import SigningIdentity
from gridledger.protocol.config import ChannelConfig, Node
from gridledger.transport.call_client import CallClient
from gridledger.transport.call_frames import ENDORSE_HERE
from gridledger.transport.node_client import NodeClient
from services.peer.endorser import remote
from services.peer.endorser.endorser import AdmittedProposal, ProposalResponse

PROBE_TIMEOUT_S = 2.0
MAX_CONNECTIONS = 16
"""To one node: endorsements, batches to the orderers, evaluations and probes share them."""


class OtherNodes:
    """Follows the channels' configs: an address that changed gets a new client, a node that left loses its own."""

    def __init__(self, identity: SigningIdentity, roots_pem: str) -> None:
        self._identity = identity
        self._roots_pem = roots_pem
        self._roots = ""
        self._calls: dict[str, CallClient] = {}
        self._clients: dict[str, NodeClient] = {}
        self._closing: set[asyncio.Task[None]] = set()

    def follow(self, configs: Iterable[ChannelConfig]) -> None:
        """Go by these configs. Connections that are not needed any more are closed in the background."""
        known = list(configs)
        # A new organisation brings a root that the file of the start does not have.
        roots = self._roots_pem + "".join(config.msps.roots_pem() for config in known)
        changed, self._roots = roots != self._roots, roots
        nodes = {node.name: node for config in known for node in (*config.peers.values(), *config.orderers.values())}
        for name, client in list(self._clients.items()):
            node = nodes.get(name)
            if changed or node is None or node.url.rstrip("/") != client.base_url:
                task = asyncio.get_running_loop().create_task(
                    self._retire(self._clients.pop(name), self._calls.pop(name, None))
                )
                self._closing.add(task)
                task.add_done_callback(self._closing.discard)
        for name, node in nodes.items():
            if name not in self._clients:
                self._clients[name] = NodeClient(node.url, self._identity, roots, max_connections=MAX_CONNECTIONS)

    async def endorse(
        self, peer: Node, proposal: AdmittedProposal, min_height: int, timeout_s: float
    ) -> ProposalResponse:
        """Ask another peer for an endorsement; raises its error."""
        request = remote.write_request(min_height, proposal.signed)
        response = remote.read_response(await self._calls_to(peer.name).call(ENDORSE_HERE, request, timeout_s))
        if response.endorsement.endorser not in peer.fingerprints:
            raise MalformedMessage(f"the response of {peer.name} is no endorsement of its own", status=502)
        return response

    async def evaluate(self, peer: Node, proposal: AdmittedProposal, timeout_s: float) -> bytes:
        """Have another peer evaluate a proposal; its answer's body."""
        body = proposal.signed.to_bytes()
        return await self._client(peer.name).post(
            "/gateway/evaluate", body, params={"forward": "no"}, timeout_s=timeout_s
        )

    async def broadcast(self, orderer: str, channel: str, body: bytes, timeout_s: float) -> bytes:
        """Hand envelopes to an orderer; its answer's body."""
        return await self._client(orderer).post(f"/channels/{channel}/broadcast", body, timeout_s=timeout_s)

    async def probe(self, peer: Node) -> None:
        """Raise unless the peer answers and is well."""
        await self._client(peer.name).get("/healthz", timeout_s=PROBE_TIMEOUT_S)

    async def close(self) -> None:
        """Close all connections."""
        await asyncio.gather(*(calls.close() for calls in self._calls.values()))
        self._calls.clear()
        await asyncio.gather(*self._closing, return_exceptions=True)
        for client in self._clients.values():
            await client.close()
        self._clients.clear()

    def _calls_to(self, name: str) -> CallClient:
        calls = self._calls.get(name)
        if calls is None:
            client = self._client(name)
            calls = CallClient(client.base_url, client.tls, connect_timeout_s=client.connect_timeout_s)
            self._calls[name] = calls
        return calls

    def _client(self, name: str) -> NodeClient:
        client = self._clients.get(name)
        if client is None:
            raise UnavailableError(f"{name} is no node of this peer's channels")
        return client

    @staticmethod
    async def _retire(client: NodeClient, calls: CallClient | None) -> None:
        # Requests that are under way get their answers first, within the longest time that any of them may take.
        await asyncio.sleep(PROBE_TIMEOUT_S)
        if calls is not None:
            await calls.close()
        await client.close()
